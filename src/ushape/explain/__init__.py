"""Show where the features of a trained network respond to each class, and whether to branch.

`maps` computes feature maps and knows where they lie, `cam` weighs them by gradients, `probe` reads
classes from them linearly, `examine` puts both together over images, `response` holds the result,
`advice` concludes, `sheet` and `tables` show it, `files` is the way from files to files.
"""

from ushape.explain.advice import Advice, Origin, advise
from ushape.explain.examine import respond
from ushape.explain.files import Explanation, explain_files, write_explanation
from ushape.explain.response import Case, ClassResponse, NodeResponse, Response

__all__ = [
    "Advice",
    "Case",
    "ClassResponse",
    "Explanation",
    "NodeResponse",
    "Origin",
    "Response",
    "advise",
    "explain_files",
    "respond",
    "write_explanation",
]
