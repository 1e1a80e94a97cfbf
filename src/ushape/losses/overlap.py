"""The formulas that compare regions: dice, hardness_dice, border_dice, tversky, cldice.

Each is a fraction of sums over the pixels of one class. The sums are formed over the whole batch
(or over each image), added over all processes by `pixels.reduce`, and only then divided; the
classes' values are averaged by their weights. A void pixel is as if it lay outside the image, for
windows too. All take `Pixels` and return a scalar from 0 to 1
that is finite, with a finite gradient, for any finite logits.

Options that all share:
    weight: Weight of each class in the mean, shape (class,); equal by default.
    smooth: Added above and below the fraction: the loss is 0 for an empty class that is predicted
        empty, and its gradient is finite.
    per_image: One fraction an image, averaged over the images that have a pixel that counts.
        Over the batch is steadier for small objects.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ushape.losses.morphology import border, skeleton
from ushape.losses.pixels import Pixels

SMALLEST_SMOOTH = 1e-6
"""Stands in for a smaller `smooth`, which would make 0 / 0 of an empty class predicted empty."""

SMALLEST_BASE = 1e-6
"""Keeps the slope of x^gamma finite at x = 0 for gamma below 1."""


def dice(
    pixels: Pixels,
    *,
    smooth: float = 1.0,
    is_squared: bool = False,
    per_image: bool = False,
    weight: Tensor | None = None,
) -> Tensor:
    """Measure one minus the soft Dice overlap, averaged over the classes.

    L = 1 - (2 sum(p t) + smooth) / (sum(p) + sum(t) + smooth)

    Args:
        pixels: Logits and target.
        smooth: See the module.
        is_squared: Sum p^2 and t^2 below the fraction: then p = t is best for a graded target
            too.
        per_image: See the module.
        weight: See the module.

    Source: Milletari et al. 2016, section 3 (squared); Drozdzal et al. 2016 (plain).
    """
    p, t = pixels.probabilities, pixels.target
    size = p.square() + t.square() if is_squared else p + t
    return _mean(pixels, [p * t, size], _dice_of(smooth), weight=weight, per_image=per_image)


def hardness_dice(
    pixels: Pixels,
    *,
    hardness: float = 0.6,
    smooth: float = 1.0,
    per_image: bool = False,
    weight: Tensor | None = None,
) -> Tensor:
    """Measure one minus the soft Dice overlap of pixels weighted by how wrong they are.

    w = hardness |p - t| + 1 - hardness
    L = 1 - (2 sum(w p t) + smooth) / (sum(w (p + t)) + smooth)

    Args:
        pixels: Logits and target.
        hardness: The paper's lambda, from 0 (plain Dice) to 1. The weight is differentiated too.
        smooth: See the module.
        per_image: See the module.
        weight: See the module.

    Source: Wang et al. 2019, the hardness-weighted Dice loss.
    """
    p, t = pixels.probabilities, pixels.target
    w = hardness * (p - t).abs() + (1 - hardness)
    return _mean(
        pixels, [w * p * t, w * (p + t)], _dice_of(smooth), weight=weight, per_image=per_image
    )


def border_dice(
    pixels: Pixels,
    *,
    smooth: float = 1.0,
    per_image: bool = False,
    weight: Tensor | None = None,
) -> Tensor:
    """Measure one minus the soft Dice overlap of the borders.

    The border of a mask m is maxpool(m) maxpool(1 - m), windows of 3x3 or 3x3x3: for a sharp mask
    the pixels on either side of its edge. The edge of the image is no border.

    Args:
        pixels: Logits and target.
        smooth: See the module.
        per_image: See the module.
        weight: See the module.
    """
    b, c = (border(mask, pixels.mask) for mask in (pixels.probabilities, pixels.target))
    return _mean(pixels, [b * c, b + c], _dice_of(smooth), weight=weight, per_image=per_image)


def tversky(
    pixels: Pixels,
    *,
    alpha: float = 0.3,
    beta: float = 0.7,
    gamma: float = 1.0,
    smooth: float = 1.0,
    per_image: bool = False,
    weight: Tensor | None = None,
) -> Tensor:
    """Measure an overlap that prices false and missed pixels apart.

    T = (TP + smooth) / (TP + alpha FP + beta FN + smooth);  L = (1 - T)^gamma
    with TP = sum(p t), FP = sum(p (1 - t)), FN = sum((1 - p) t).

    Args:
        pixels: Logits and target.
        alpha: Price of false pixels.
        beta: Price of missed pixels; alpha = beta = 0.5 is Dice with `smooth` doubled.
        gamma: Exponent; below 1 it holds on to classes that are nearly right (0.75 is the
            paper's 4/3). There x^gamma is computed as
            ((x + e)^gamma - e^gamma) / ((1 + e)^gamma - e^gamma) with e = 1e-6: exact at 0 and
            1, with a finite slope at 0.
        smooth: See the module.
        per_image: See the module.
        weight: See the module.

    Source: Salehi et al. 2017 (alpha 0.3, beta 0.7); Abraham and Khan 2019 (the exponent).
    """
    smooth = max(smooth, SMALLEST_SMOOTH)
    offset: float = SMALLEST_BASE**gamma
    height: float = (1 + SMALLEST_BASE) ** gamma - offset
    p, t = pixels.probabilities, pixels.target

    def value(sums: Tensor) -> Tensor:
        right, false, missed = sums.unbind(-1)
        wrong = alpha * false + beta * missed
        share = wrong / (right + wrong + smooth)
        if gamma >= 1:
            return share.pow(gamma)
        return ((share + SMALLEST_BASE).pow(gamma) - offset) / height

    counts = [p * t, p * (1 - t), (1 - p) * t]
    return _mean(pixels, counts, value, weight=weight, per_image=per_image)


def cldice(
    pixels: Pixels,
    *,
    iterations: int = 3,
    smooth: float = 1.0,
    per_image: bool = False,
    weight: Tensor | None = None,
) -> Tensor:
    """Measure how much of either centreline lies outside the other mask.

    precision = (sum(S(p) t) + smooth) / (sum(S(p)) + smooth), sensitivity with p and t swapped;
    L = 1 - 2 precision sensitivity / (precision + sensitivity). S is the soft skeleton.

    Args:
        pixels: Logits and target.
        iterations: Erosions of the soft skeleton: at least the largest radius, in pixels.
        smooth: See the module.
        per_image: See the module.
        weight: See the module.

    Source: Shit et al. 2021, Algorithms 1 and 2.
    """
    smooth = max(smooth, SMALLEST_SMOOTH)
    p, t = pixels.probabilities, pixels.target
    thin_p, thin_t = (skeleton(mask, iterations, pixels.mask) for mask in (p, t))

    def value(sums: Tensor) -> Tensor:
        inside_t, length_p, inside_p, length_t = sums.unbind(-1)
        precision = (inside_t + smooth) / (length_p + smooth)
        sensitivity = (inside_p + smooth) / (length_t + smooth)
        mean: Tensor = 2 * precision * sensitivity / (precision + sensitivity)
        return 1 - mean

    lengths = [thin_p * t, thin_p, thin_t * p, thin_t]
    return _mean(pixels, lengths, value, weight=weight, per_image=per_image)


def _dice_of(smooth: float) -> Callable[[Tensor], Tensor]:
    smooth = max(smooth, SMALLEST_SMOOTH)

    def value(sums: Tensor) -> Tensor:
        overlap, size = sums.unbind(-1)
        return 1 - (2 * overlap + smooth) / (size + smooth)

    return value


def _mean(
    pixels: Pixels,
    counts: list[Tensor],
    value: Callable[[Tensor], Tensor],
    *,
    weight: Tensor | None,
    per_image: bool,
) -> Tensor:
    """Sum over pixels, over processes, divide, and average over the classes.

    Args:
        pixels: Says how much each pixel counts.
        counts: What is summed, each of the target's shape.
        value: Turns sums (..., class, count) into values (..., class).
        weight: Weight of each class.
        per_image: Whether the sums are those of each image.
    """
    space = tuple(range(2, pixels.target.ndim))
    sums = torch.stack([pixels.weighted(count).sum(space) for count in counts], -1)
    shares = torch.ones_like(sums[0, :, 0]) if weight is None else weight.to(sums)
    shares = shares / shares.sum()
    if not per_image:
        return (value(pixels.reduce(sums.sum(0))) * shares).sum()
    values = (value(sums) * shares).sum(1)
    counted = torch.ones_like(values)
    if pixels.weight is not None:
        counted = (pixels.weight.flatten(1) > 0).any(1).to(values)
    sums = pixels.reduce(torch.stack([(values * counted).sum(), counted.sum()]))
    return sums[0] / torch.where(sums[1] > 0, sums[1], 1)
