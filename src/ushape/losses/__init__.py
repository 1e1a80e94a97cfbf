"""What training minimises: pure functions on logits, and mixtures of them written in one line.

`functional` holds the formulas, `terms` their options, `mixture` the language
(`"dice + 10*bce(weight=auto)"`).
"""

from ushape.losses.mixture import LossValue, Mixture, build_loss, parse_mixture
from ushape.losses.terms import TERMS

__all__ = ["TERMS", "LossValue", "Mixture", "build_loss", "parse_mixture"]
