"""Convert annotations of other programs and data sets in other layouts.

A source (`coco`, `labelme`, `cvat`, `cvat_masks`, `from_layout`; `find` tells which) becomes a list
of cases, each with an image and a function that gives its labels; `run` converts them one by one,
`write` and `dataset_json` lay them out. `annotated` is shared by all that outlines objects;
`shapes`, `rle` and `canvas` make pixels of outlines.
"""

from ushape.data.convert.canvas import LABEL_FORMS, LabelForm
from ushape.data.convert.checks import check_target
from ushape.data.convert.find import SOURCE_KINDS
from ushape.data.convert.run import Conversion, convert_dataset, convert_layout
from ushape.data.convert.source import ConvertWish
from ushape.data.convert.write import TARGET_LAYOUTS, TargetLayout

__all__ = [
    "LABEL_FORMS",
    "SOURCE_KINDS",
    "TARGET_LAYOUTS",
    "Conversion",
    "ConvertWish",
    "LabelForm",
    "TargetLayout",
    "check_target",
    "convert_dataset",
    "convert_layout",
]
