"""Vary training patches on the device that trains: draw parameters, then apply them.

    parameters = draw_augmentation(generator, config, ...)
    images, targets = apply_augmentation(images, targets, parameters, ...)

All spatial transforms of a patch are composed into one resampling (`spatial`); intensities follow
(`intensity`). Parameters are per patch, so a batch gives the same result as its patches one by
one, and a seed fixes everything.
"""

from ushape.data.augment.draw import Augmentation, draw_augmentation
from ushape.data.augment.intensity import apply_intensity
from ushape.data.augment.spatial import apply_spatial, window_size

__all__ = ["Augmentation", "apply_augmentation", "draw_augmentation", "window_size"]

from torch import Tensor

from ushape.sizes import Size


def apply_augmentation(
    images: Tensor,
    targets: Tensor,
    augmentation: Augmentation,
    *,
    patch_size: Size,
    num_classes: int,
) -> tuple[Tensor, Tensor]:
    """Turn windows into varied patches.

    Args:
        images: Shape (batch, channel, *window size), float32.
        targets: Class indices, shape (batch, *window size), uint8.
        augmentation: What `draw_augmentation` drew for this batch.
        patch_size: Size of the result, at the windows' centre.
        num_classes: Classes with the background.

    Returns:
        Images (batch, channel, *patch_size) and targets (batch, *patch_size). Targets hold only
        class indices that the windows hold.
    """
    images, targets = apply_spatial(
        images, targets, augmentation, patch_size=patch_size, num_classes=num_classes
    )
    return apply_intensity(images, augmentation), targets
