"""Each loss against a loop over pixels in double precision, and its gradient against differences.

The loops know nothing of tensors: they spell out the formulas of docs/losses.md one pixel at a
time, with void pixels, pixel weights and class weights.
"""

import itertools
import math

import numpy as np
import pytest
import torch

from ushape.losses import Pixels, functional, overlap

SPACES = {"2D": (4, 5), "3D": (3, 3, 4)}
CHANNELS = {"binary": 1, "multiclass": 3, "multilabel": 3}
EPSILON = 1e-6


def make_pair(kind, space, seed=0, batch=2):
    """Logits, and a target of zeros and ones: one-hot for multiclass, overlapping for others."""
    rng = np.random.default_rng(seed)
    shape = (batch, CHANNELS[kind], *space)
    logits = rng.normal(scale=2, size=shape)
    if kind != "multiclass":
        return logits, (rng.random(shape) < 0.4).astype(float)
    index = rng.integers(0, shape[1], size=(batch, *space))
    return logits, np.moveaxis(np.eye(shape[1])[index], -1, 1)


def probability(logits, place, kind):
    image, channel, *space = place
    if kind != "multiclass":
        return 1 / (1 + math.exp(-logits[place]))
    powers = [math.exp(logits[(image, k, *space)]) for k in range(logits.shape[1])]
    return powers[channel] / sum(powers)


class Loop:
    """Walks over the pixels of one class of one image or of the whole batch."""

    def __init__(self, logits, target, kind, counts, valid):
        self.shape, self.target, self.counts = logits.shape, target, counts
        self.valid = valid
        self.p = np.zeros(self.shape)
        for place in np.ndindex(self.shape):
            self.p[place] = probability(logits, place, kind)

    def sum(self, images, channel, value):
        return sum(
            self.counts[place] * value(place)
            for place in np.ndindex(self.shape)
            if place[1] == channel and place[0] in images
        )

    def near(self, place, *, cross):
        """Places of the window around a place that lie in the image and are valid."""
        image, channel, *space = place
        for step in itertools.product((-1, 0, 1), repeat=len(space)):
            if cross and sum(map(abs, step)) > 1:
                continue
            there = (image, channel, *(a + b for a, b in zip(space, step, strict=True)))
            inside = all(0 <= a < n for a, n in zip(there, self.shape, strict=True))
            if inside and self.valid[there]:
                yield there

    def map(self, value):
        result = np.zeros(self.shape)
        for place in np.ndindex(self.shape):
            if self.valid[place]:
                result[place] = value(place)
        return result

    def border(self, mask):
        return self.map(
            lambda at: (
                max(mask[there] for there in self.near(at, cross=False))
                * max(1 - mask[there] for there in self.near(at, cross=False))
            )
        )

    def skeleton(self, mask, iterations):
        def erode(m):
            return self.map(lambda at: min(m[there] for there in self.near(at, cross=True)))

        def opened(m):
            small = erode(m)
            return self.map(lambda at: max(small[there] for there in self.near(at, cross=False)))

        found = np.maximum(mask - opened(mask), 0)
        for _ in range(iterations):
            mask = erode(mask)
            more = np.maximum(mask - opened(mask), 0)
            found = found + np.maximum(more - found * more, 0)
        return found


def over_regions(loop, value, class_weight, per_image):
    """Average the value of each class by weight, over the batch or over images that count."""
    images = range(loop.shape[0])
    groups = [[i] for i in images if loop.counts[i].any()] if per_image else [list(images)]
    weights = class_weight or [1.0] * loop.shape[1]
    rows = [
        sum(w * value(group, c) for c, w in enumerate(weights)) / sum(weights) for group in groups
    ]
    return sum(rows) / len(rows)


def naive_dice(
    loop, *, smooth=1.0, is_squared=False, per_image=False, weight=None, p=None, t=None, w=None
):
    p = loop.p if p is None else p
    t = loop.target if t is None else t
    w = np.ones(loop.shape) if w is None else w

    def value(images, c):
        both = loop.sum(images, c, lambda at: w[at] * p[at] * t[at])
        if is_squared:
            size = loop.sum(images, c, lambda at: p[at] ** 2 + t[at] ** 2)
        else:
            size = loop.sum(images, c, lambda at: w[at] * (p[at] + t[at]))
        return 1 - (2 * both + smooth) / (size + smooth)

    return over_regions(loop, value, weight, per_image)


def naive_hardness(loop, *, hardness=0.6, **options):
    w = hardness * np.abs(loop.p - loop.target) + 1 - hardness
    return naive_dice(loop, w=w, **options)


def naive_border(loop, **options):
    return naive_dice(loop, p=loop.border(loop.p), t=loop.border(loop.target), **options)


def naive_tversky(
    loop, *, alpha=0.3, beta=0.7, gamma=1.0, smooth=1.0, per_image=False, weight=None
):
    def value(images, c):
        p, t = loop.p, loop.target
        right = loop.sum(images, c, lambda at: p[at] * t[at])
        false = loop.sum(images, c, lambda at: p[at] * (1 - t[at]))
        missed = loop.sum(images, c, lambda at: (1 - p[at]) * t[at])
        index = (right + smooth) / (right + alpha * false + beta * missed + smooth)
        if gamma >= 1:
            return (1 - index) ** gamma
        height = (1 + EPSILON) ** gamma - EPSILON**gamma
        return ((1 - index + EPSILON) ** gamma - EPSILON**gamma) / height

    return over_regions(loop, value, weight, per_image)


def naive_cldice(loop, *, iterations=3, smooth=1.0, per_image=False, weight=None):
    p, t = loop.p, loop.target
    thin_p, thin_t = loop.skeleton(p, iterations), loop.skeleton(t, iterations)

    def value(images, c):
        precision = (loop.sum(images, c, lambda at: thin_p[at] * t[at]) + smooth) / (
            loop.sum(images, c, lambda at: thin_p[at]) + smooth
        )
        sensitivity = (loop.sum(images, c, lambda at: thin_t[at] * p[at]) + smooth) / (
            loop.sum(images, c, lambda at: thin_t[at]) + smooth
        )
        return 1 - 2 * precision * sensitivity / (precision + sensitivity)

    return over_regions(loop, value, weight, per_image)


def naive_mean(loop, cost, class_weight):
    total = counted = 0.0
    for at in np.ndindex(loop.shape):
        count = loop.counts[at] * (1.0 if class_weight is None else class_weight[at[1]])
        total += count * cost(at)
        counted += count
    return total / counted


def naive_bce(loop, *, weight=None, class_weight=None):
    def cost(at):
        p, t = loop.p[at], loop.target[at]
        factor = 1.0 if weight is None else weight[at[1]]
        return -factor * t * math.log(p) - (1 - t) * math.log(1 - p)

    return naive_mean(loop, cost, class_weight)


def naive_focal(loop, *, alpha=0.25, gamma=2.0, class_weight=None):
    def cost(at):
        p, t = loop.p[at], loop.target[at]
        a = alpha[at[1]] if isinstance(alpha, tuple) else alpha
        yes = a * t * (1 - p) ** gamma * math.log(p)
        return -yes - (1 - a) * (1 - t) * p**gamma * math.log(1 - p)

    return naive_mean(loop, cost, class_weight)


def naive_ce(loop, *, weight=None):
    total = counted = 0.0
    for at in np.ndindex(loop.shape):
        factor = loop.counts[at] * loop.target[at] * (1.0 if weight is None else weight[at[1]])
        total -= factor * math.log(loop.p[at])
        counted += factor
    return total / counted


LOSSES = {
    "dice": (overlap.dice, naive_dice),
    "hardness_dice": (overlap.hardness_dice, naive_hardness),
    "border_dice": (overlap.border_dice, naive_border),
    "tversky": (overlap.tversky, naive_tversky),
    "cldice": (overlap.cldice, naive_cldice),
    "bce": (functional.bce, naive_bce),
    "focal": (functional.focal, naive_focal),
    "ce": (functional.ce, naive_ce),
}
REGIONS = ("dice", "hardness_dice", "border_dice", "tversky", "cldice")
WEIGHTS = (0.2, 3.0, 1.0)
VARIANTS = [
    *((name, {}) for name in LOSSES),
    *((name, {"smooth": 0.25}) for name in REGIONS),
    *((name, {"per_image": True}) for name in REGIONS),
    *((name, {"weight": WEIGHTS}) for name in (*REGIONS, "bce", "ce")),
    *((name, {"class_weight": WEIGHTS}) for name in ("bce", "focal")),
    ("dice", {"is_squared": True}),
    ("hardness_dice", {"hardness": 0.9, "per_image": True}),
    ("tversky", {"alpha": 0.8, "beta": 0.1}),
    ("tversky", {"gamma": 0.75}),
    ("tversky", {"gamma": 0.1}),
    ("tversky", {"gamma": 2.0}),
    ("cldice", {"iterations": 1}),
    ("focal", {"alpha": 0.99, "gamma": 0.5}),
    ("focal", {"alpha": (0.9, 0.2, 0.6), "gamma": 0.0}),
]
CASES = [
    pytest.param(name, options, kind, space, id=f"{name}-{options}-{kind}-{label}")
    for name, options in VARIANTS
    for kind in CHANNELS
    for label, space in SPACES.items()
    if (name != "ce" or kind == "multiclass") and (label == "2D" or not options)
]


def fitting(options, channels):
    """Cut options that hold one number a class to the number of classes."""
    return {k: v[:channels] if isinstance(v, tuple) else v for k, v in options.items()}


def as_tensors(options):
    return {
        k: torch.tensor(v, dtype=torch.float64) if isinstance(v, tuple) else v
        for k, v in options.items()
    }


def activation(kind):
    return "softmax" if kind == "multiclass" else "sigmoid"


def both(name, options, kind, logits, target, mask=None, weight=None):
    """The loss and its loop on the same data."""
    loss, naive = LOSSES[name]
    options = fitting(options, logits.shape[1])
    valid = np.ones(logits.shape, bool) if mask is None else np.broadcast_to(mask, logits.shape)
    counts = valid * (1.0 if weight is None else np.broadcast_to(weight, logits.shape))
    pixels = Pixels(
        torch.tensor(logits),
        torch.tensor(target),
        activation=activation(kind),
        mask=None if mask is None else torch.tensor(mask),
        pixel_weight=None if weight is None else torch.tensor(weight),
    )
    loop = Loop(logits, target, kind, counts, valid)
    return loss(pixels, **as_tensors(options)), naive(loop, **options)


@pytest.mark.parametrize(("name", "options", "kind", "space"), CASES)
def test_the_value_is_that_of_a_loop(name, options, kind, space):
    value, expected = both(name, options, kind, *make_pair(kind, space))
    assert value.dtype == torch.float64
    assert float(value) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("weights", ["one a pixel", "one a class", "none"])
@pytest.mark.parametrize(
    ("name", "kind"),
    [(n, k) for n in LOSSES for k in CHANNELS if n != "ce" or k == "multiclass"],
)
def test_void_pixels_weights_and_graded_targets_are_those_of_a_loop(name, kind, weights):
    logits, target = make_pair(kind, (4, 5), seed=2)
    rng = np.random.default_rng(3)
    target = 0.7 * target + 0.3 * rng.random(target.shape)  # graded
    mask = rng.random((2, 1, 4, 5)) < 0.7
    weight = {
        "one a pixel": rng.random((2, 1, 4, 5)),
        "one a class": rng.random(logits.shape),
        "none": None,
    }[weights]
    for options in ({}, {"per_image": True} if name in REGIONS else {}):
        value, expected = both(name, options, kind, logits, target, mask, weight)
        assert float(value) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "options", "kind", "space"),
    [case for case in CASES if not case.values[1] or case.values[2] == "multiclass"],
)
def test_the_gradient_is_that_of_finite_differences(name, options, kind, space):
    logits, target = make_pair(kind, tuple(edge - 1 for edge in space), seed=1)
    mask = torch.tensor(np.random.default_rng(4).random((2, 1, *logits.shape[2:])) < 0.8)
    options = as_tensors(fitting(options, logits.shape[1]))

    def loss(given):
        pixels = Pixels(given, torch.tensor(target), activation=activation(kind), mask=mask)
        return LOSSES[name][0](pixels, **options)

    assert torch.autograd.gradcheck(loss, torch.tensor(logits, requires_grad=True))


@pytest.mark.parametrize("gamma", [0.1, 0.5, 0.75, 1.0, 4 / 3, 10.0])
def test_the_exponent_of_tversky_leaves_a_full_miss_and_a_full_hit_alone(gamma):
    """(1 - T)^gamma itself at both ends: a miss costs nearly 1 whatever the exponent."""
    target = torch.ones(1, 1, 10, 10)
    for answer, index in ((-1e4, 1 / (0.7 * 100 + 1)), (1e4, 1.0)):
        logits = torch.full_like(target, answer).requires_grad_()
        value = overlap.tversky(Pixels(logits, target), gamma=gamma)
        assert float(value.detach()) == pytest.approx((1 - index) ** gamma, abs=2e-3, rel=0)
        value.backward()
        assert logits.grad.isfinite().all()


def test_margins_keep_their_precision_where_the_softmax_loses_it():
    """log(1 - p) of a class that is nearly sure: p itself rounds to 1."""
    logits = torch.tensor([[30.0, 0.0, -5.0]]).view(1, 3, 1, 1)
    pixels = Pixels(logits, torch.zeros_like(logits), activation="softmax")
    rest = math.log(1 + math.exp(-5))
    expected = [30 - rest, -math.log(math.exp(30) + math.exp(-5)), -5 - 30]
    assert pixels.margins.flatten().tolist() == pytest.approx(expected, rel=1e-6)
    assert float(pixels.probabilities[0, 0]) == 1


def test_margins_of_equal_logits_are_finite_and_right():
    logits = torch.zeros(1, 4, 1, 1, requires_grad=True)
    margins = Pixels(logits, torch.zeros(1, 4, 1, 1)).margins
    assert margins.flatten().tolist() == pytest.approx([-math.log(3)] * 4)
    margins.sum().backward()
    assert logits.grad.isfinite().all()
