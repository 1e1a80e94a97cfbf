"""Cut training windows from memory-mapped cases, by index, without worker processes.

What is cut at a step is a pure function of (seed, step): there is no iterator to save, a resumed
run cuts what an uninterrupted one would have cut, and nothing runs beside the training process.
A window is larger than the patch that the network sees, so that rotation and scaling find real
pixels at the patch's corners; beyond the image the border is mirrored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ushape.config.schema import SamplingConfig
from ushape.data.sample import Sample
from ushape.data.sampling import case_weights, draw_places, num_centred
from ushape.errors import DataError
from ushape.sizes import Size
from ushape.tiling.windows import reflect_indices

T = TypeVar("T", bound=np.generic)

PATCH_STREAM = 1
"""Keeps the draws of patches apart from those of augmentation at the same seed and step."""

ANYWHERE = SamplingConfig()
"""Patches lie anywhere."""


@dataclass(frozen=True)
class Windows:
    """A batch of windows.

    Attributes:
        images: Shape (batch, channel, *window size), float32.
        targets: Class indices, shape (batch, *window size), uint8; sets of classes may be int64.
        weights: Pixel weights, shape (batch, *window size), if the cases have any.
    """

    images: Tensor
    targets: Tensor
    weights: Tensor | None = None


def cut_windows(
    samples: Sequence[Sample],
    *,
    patch_size: Size,
    window_size: Size,
    batch_size: int,
    seed: int,
    step: int,
    rank: int = 0,
    sampling: SamplingConfig = ANYWHERE,
) -> Windows:
    """Cut the windows of one training step.

    A case is drawn with a chance in proportion to its pixels that are not void, or with that of
    every other; the patch lies anywhere inside the image, by up to an eighth of its size also
    across the border. The first patches of a batch are centred on a voxel of a class instead, as
    many as `sampling` says, as far as the same borders allow. If no training case holds any
    foreground, they too lie anywhere; a case without foreground alone changes nothing.

    Args:
        samples: Labelled cases.
        patch_size: Size of the patch in the window's middle.
        window_size: Size to cut, at least the patch.
        rank: Number of the process in a group, so that each cuts its own.
        sampling: How cases are drawn, and which patches are centred on a class; that needs
            samples with `places`.

    Raises:
        DataError: All cases are void.
        ValueError: Patches are to be centred and samples have no places.
    """
    generator = np.random.default_rng([seed, step, rank, PATCH_STREAM])
    chances = case_weights(samples, sampling)
    if not chances.sum():
        raise DataError(
            "every pixel of the training cases is void: nothing can be learnt; is the value given "
            "by --ignore right?"
        )
    chosen = generator.choice(len(samples), size=batch_size, p=chances / chances.sum())
    centred = draw_places(generator, samples, sampling, num_centred(sampling, batch_size))
    images, targets, weights = [], [], []
    for number, index in enumerate(chosen):
        centre = None
        if number < len(centred):
            index, centre = centred[number]
        sample = samples[index]
        indices = []
        for axis, (length, patch, window) in enumerate(
            zip(sample.size, patch_size, window_size, strict=True)
        ):
            slack = patch // 8
            low, high = -slack, max(length - patch + slack, -slack)
            if centre is None:
                start = int(generator.integers(low, high + 1))
            else:  # within these bounds the voxel stays in the patch
                start = min(max(int(centre[axis]) - patch // 2, low), high)
            indices.append(reflect_indices(start - (window - patch) // 2, window, length))
        assert sample.target is not None
        images.append(cut(sample.image, indices))
        targets.append(cut(sample.target, indices))
        if sample.weight is not None:
            weights.append(cut(sample.weight, indices))
    whole = np.stack(targets)
    if whole.dtype != np.uint8:  # torch computes with no wider unsigned numbers
        whole = whole.astype(np.int64)
    return Windows(
        torch.from_numpy(np.stack(images)),
        torch.from_numpy(whole),
        torch.from_numpy(np.stack(weights)) if weights else None,
    )


def clip_window(window_size: Size, patch_size: Size, samples: Sequence[Sample]) -> Size:
    """Leave out what small cases do not have: no window need reach farther than all of every case.

    Args:
        window_size: Wanted size.
        patch_size: Size of the patch in its middle; `cut_windows` shifts it by up to an eighth
            across the border.
        samples: The cases.

    Returns:
        At most the wanted size, of the same parity as the patch.
    """
    longest = np.max([sample.size for sample in samples], axis=0)
    return tuple(
        min(window, max(patch, 2 * (int(length) + patch // 8) - patch))
        for window, patch, length in zip(window_size, patch_size, longest, strict=True)
    )


def cut(array: npt.NDArray[T], indices: Sequence[npt.NDArray[np.intp]]) -> npt.NDArray[T]:
    """Read a box from an array's last axes; only the rows that it needs are touched on disk."""
    lead = array.ndim - len(indices)
    boxed = array[(slice(None),) * lead + tuple(slice(i.min(), i.max() + 1) for i in indices)]
    shifted = [i - i.min() for i in indices]
    if all(np.array_equal(i, np.arange(len(i))) for i in shifted):
        return np.array(boxed)
    return boxed[(..., *np.ix_(*shifted))] if lead == 0 else _cut_channels(boxed, shifted)


def _cut_channels(boxed: npt.NDArray[T], indices: Sequence[npt.NDArray[np.intp]]) -> npt.NDArray[T]:
    return np.stack([channel[np.ix_(*indices)] for channel in boxed])
