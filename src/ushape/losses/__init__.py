"""What training minimises: pure functions on logits, and mixtures of them written in one line.

`functional` and `overlap` hold the formulas, `pixels` what they look at, `terms` their options,
`language` the line (`"dice + 10*bce(weight=auto)"`), `groups` the mapping from classes to lines,
`build` joins them, `mixture` is what training calls, `auxiliary` holds the losses of
inner outputs, `weight_map` the pixel weights of the 2015 paper.
"""

from ushape.losses.auxiliary import AuxiliaryOutput, auxiliary_loss
from ushape.losses.build import build_loss, check_loss
from ushape.losses.groups import LossText, loss_to_data
from ushape.losses.language import parse_mixture
from ushape.losses.mixture import LossValue, Mixture, TargetKind
from ushape.losses.pixels import Pixels
from ushape.losses.terms import TERMS
from ushape.losses.weight_map import weight_map

__all__ = [
    "TERMS",
    "AuxiliaryOutput",
    "LossText",
    "LossValue",
    "Mixture",
    "Pixels",
    "TargetKind",
    "auxiliary_loss",
    "build_loss",
    "check_loss",
    "loss_to_data",
    "parse_mixture",
    "weight_map",
]
