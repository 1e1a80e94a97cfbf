"""Synthetic data sets: images that look like the real thing, with labels that are exactly right.

One module a kind; `texture` holds what the 2D kinds share, `lattice` what the 3D kinds do. `kinds`
draws a case, `dataset` writes many. The same seed always gives the same bytes.
"""

from ushape.data.synth.dataset import write_dataset
from ushape.data.synth.kinds import KINDS, VOLUME_KINDS, Kind, VolumeKind, make_case, make_volume

__all__ = [
    "KINDS",
    "VOLUME_KINDS",
    "Kind",
    "VolumeKind",
    "make_case",
    "make_volume",
    "write_dataset",
]
