"""Vary training patches on the device that trains: draw parameters, then apply them.

    parameters = draw_augmentation(generator, config, ...)
    images, targets = apply_augmentation(images, targets, parameters, ...)

All spatial transforms of a patch are composed into one resampling (`spatial`); intensities follow
(`intensity`). Parameters are per patch, so a batch gives the same result as its patches one by
one, and a seed fixes everything. What every setting does: docs/augmentation.md.
"""

from contextlib import nullcontext

import torch
from torch import Tensor

from ushape.data.augment.draw import Augmentation, draw_augmentation
from ushape.data.augment.intensity import change_intensity
from ushape.data.augment.presets import PRESETS, augment_preset
from ushape.data.augment.space import window_size
from ushape.data.augment.spatial import Outside, apply_spatial
from ushape.sizes import Size

__all__ = [
    "PRESETS",
    "Augmentation",
    "apply_augmentation",
    "apply_spatial",
    "augment_preset",
    "draw_augmentation",
    "window_size",
]


@torch.no_grad()
def apply_augmentation(
    images: Tensor,
    targets: Tensor,
    augmentation: Augmentation,
    *,
    patch_size: Size,
    num_classes: int,
    ignore_index: int | None = None,
    outside: Outside = "mirror",
    overwrite: bool = False,
) -> tuple[Tensor, Tensor]:
    """Turn windows into varied patches.

    Args:
        images: Shape (batch, channel, *window size), float32.
        targets: Class indices, shape (batch, *window size), integers; or masks that may overlap,
            (batch, class, *window size), integers or bool; or graded targets and weights, the
            same shape, floating.
        augmentation: What `draw_augmentation` drew for this batch.
        patch_size: Size of the result, at the windows' centre.
        num_classes: Classes with the background, for class indices.
        ignore_index: The class index of pixels that are not trained on.
        outside: What lies beyond a window: its mirror image, or, for class indices, pixels that
            are not trained on.
        overwrite: Allow the result to take the place of windows that are no larger than the
            patches; saves a copy where the windows are not needed any more.

    Returns:
        Images (batch, channel, *patch_size) and targets (batch, [channel,] *patch_size), of the
        same types; new tensors, unless overwritten. Class indices and masks hold only values that
        the windows hold.

    Raises:
        ShapeError: Images, targets, parameters and patch size do not fit each other.
    """
    device = images.device.type
    with (
        torch.autocast(device, enabled=False)
        if torch.is_autocast_enabled(device)
        else nullcontext()
    ):
        patches, kept = apply_spatial(
            images,
            targets,
            augmentation,
            patch_size=patch_size,
            num_classes=num_classes,
            ignore_index=ignore_index,
            outside=outside,
            overwrite=overwrite,
        )
        change_intensity(patches, augmentation)
    return patches, kept
