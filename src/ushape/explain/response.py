"""What is asked, and what comes out: the response of every node of a network to every class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ushape.explain.maps import Image, Masks
from ushape.explain.probe import Probe


class Case(NamedTuple):
    """One image to explain.

    Attributes:
        name: For tables and pictures.
        image: Prepared for the network, shape (C, *size).
        masks: True masks of the foreground classes, shape (K, *size); None: use the prediction.
        void: Pixels that count nowhere, shape (*size), or None.
        spacing_mm: Edges of a voxel; None of pictures, and where nobody told them.
    """

    name: str
    image: Image
    masks: Masks | None = None
    void: npt.NDArray[np.bool_] | None = None
    spacing_mm: tuple[float, ...] | None = None


@dataclass(frozen=True)
class NodeResponse:
    """What one node tells of one class.

    Attributes:
        name: Of the node.
        level: 0 is full resolution.
        column: 0 is the encoder.
        probe: How well the class is read from the node.
        gradient_inside: Part of the gradient-weighted map that lies in the class, mean over the
            images with the class; nan where the map is zero.
    """

    name: str
    level: int
    column: int
    probe: Probe
    gradient_inside: float

    @property
    def part(self) -> str:
        """`encoder` or `decoder`."""
        return "decoder" if self.column else "encoder"


@dataclass(frozen=True)
class ClassResponse:
    """What all nodes tell of one class.

    Attributes:
        name: Of the class.
        channel: Its logit.
        nodes: In the order of computation; the last carries the head.
        area: Part of the pixels that belong to the class.
        num_images: In which it is found.
        network_dice: Of the network's own prediction with the truth; nan without truth.
    """

    name: str
    channel: int
    nodes: tuple[NodeResponse, ...]
    area: float
    num_images: int
    network_dice: float

    @property
    def columns(self) -> tuple[tuple[str, tuple[NodeResponse, ...]], ...]:
        """Group the nodes: encoder and decoder, or every column where nodes are nested."""
        encoder = tuple(node for node in self.nodes if node.column == 0)
        decoder = tuple(node for node in self.nodes if node.column)
        if len({node.level for node in decoder}) == len(decoder):
            return ("encoder", encoder), ("decoder", decoder)
        numbers = sorted({node.column for node in decoder})
        nested = ((f"column {c}", tuple(n for n in decoder if n.column == c)) for c in numbers)
        return ("encoder", encoder), *nested


@dataclass(frozen=True)
class ClassPicture:
    """What the sheet of a class shows: the image with most of it.

    Attributes:
        case: The image (its window), with the masks that were explained.
        mask: Of the class.
        predicted: By the network.
        gradient: Heat by node name, shape (*size), zero or more.
        probe: Score by node name, shape (*size), 0 rest and 1 class, of probes that did not see
            the pixel where there are such.
        limits: By node name, the threshold of the probe.
    """

    case: Case
    mask: npt.NDArray[np.bool_]
    predicted: npt.NDArray[np.bool_]
    gradient: dict[str, Image]
    probe: dict[str, Image]
    limits: dict[str, float]


@dataclass(frozen=True)
class Response:
    """The answer.

    Attributes:
        classes: Examined ones.
        absent: Names of the others: (almost) no pixel in any image.
        has_truth: Whether masks were given; else they are the network's own prediction.
        pictures: By class name.
        notes: What was cut, left out or scored on the same pixels.
        num_images: Looked at.
    """

    classes: tuple[ClassResponse, ...]
    absent: tuple[str, ...]
    has_truth: bool
    pictures: dict[str, ClassPicture]
    notes: tuple[str, ...]
    num_images: int
