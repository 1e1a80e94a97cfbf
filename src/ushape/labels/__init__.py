"""What the values in label files mean: the table between files and classes.

Files hold whatever values their maker chose (0 and 255, gaps, colours, masks by class); networks
speak of class indices 0, 1, 2, ... where 0 is the background. A `LabelTable` is stored with every
model, so that predictions are written in the form that the labels came in. Standard library only;
the arrays are translated in `ushape.data.targets`.

`table` holds the classes, `choose` decides them (`values` for pictures of values), `parse` reads
what people write about them, `join` lays that over what a file beside the data tells; `palette`
finds the indices of colours.
"""

from ushape.labels.choose import (
    TARGETS,
    LabelWish,
    choose_labels,
    choose_masks,
    instance_table,
)
from ushape.labels.join import join_wishes
from ushape.labels.palette import Colors, Palette, pool_palettes
from ushape.labels.parse import parse_names, parse_regions, parse_value
from ushape.labels.table import Form, LabelClass, LabelTable, Target
from ushape.labels.values import BACKGROUND_SHARE

__all__ = [
    "BACKGROUND_SHARE",
    "TARGETS",
    "Colors",
    "Form",
    "LabelClass",
    "LabelTable",
    "LabelWish",
    "Palette",
    "Target",
    "choose_labels",
    "choose_masks",
    "instance_table",
    "join_wishes",
    "parse_names",
    "parse_regions",
    "parse_value",
    "pool_palettes",
]
