"""Each loss against a loop over pixels in double precision, and finite wherever logits are."""

import math

import numpy as np
import pytest
import torch

from ushape.errors import ShapeError
from ushape.losses import build_loss, functional

BINARY, CLASSES, VOLUME = (2, 1, 3, 4), (2, 3, 3, 4), (2, 2, 2, 3, 2)
SHAPES = [BINARY, CLASSES, VOLUME]


def make_pair(shape, seed=0):
    """Logits and a target, one-hot over the channels when there are several."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2, size=shape)
    if shape[1] == 1:
        return logits, (rng.random(shape) < 0.4).astype(float)
    index = rng.integers(0, shape[1], size=(shape[0], *shape[2:]))
    return logits, np.moveaxis(np.eye(shape[1])[index], -1, 1)


def naive_probability(logits, place):
    image, channel, *space = place
    if logits.shape[1] == 1:
        return 1 / (1 + math.exp(-logits[place]))
    powers = [math.exp(logits[(image, k, *space)]) for k in range(logits.shape[1])]
    return powers[channel] / sum(powers)


def naive_dice(
    logits, target, *, smooth=1.0, is_squared=False, per_image=False, with_background=True
):
    first = 0 if with_background or logits.shape[1] == 1 else 1
    sums = {}
    for place in np.ndindex(logits.shape):
        if place[1] < first:
            continue
        group = sums.setdefault((place[0] if per_image else 0, place[1]), [0.0, 0.0])
        p, t = naive_probability(logits, place), target[place]
        group[0] += p * t
        group[1] += p * p + t * t if is_squared else p + t
    losses = [1 - (2 * both + smooth) / (size + smooth) for both, size in sums.values()]
    return sum(losses) / len(losses)


def naive_bce(logits, target, *, weight=None):
    total = 0.0
    for place in np.ndindex(logits.shape):
        p = 1 / (1 + math.exp(-logits[place]))
        factor = 1.0 if weight is None else weight[place[1]]
        t = target[place]
        total -= factor * t * math.log(p) + (1 - t) * math.log(1 - p)
    return total / logits.size


def naive_ce(logits, target, *, weight=None):
    total = counted = 0.0
    for place in np.ndindex(logits.shape):
        factor = target[place] * (1.0 if weight is None else weight[place[1]])
        total -= factor * math.log(naive_probability(logits, place))
        counted += factor
    return total / counted


CASES = [
    *((functional.dice, naive_dice, shape, {}) for shape in SHAPES),
    *((functional.dice, naive_dice, shape, {"smooth": 0.25}) for shape in SHAPES),
    *((functional.dice, naive_dice, shape, {"is_squared": True}) for shape in SHAPES),
    *((functional.dice, naive_dice, shape, {"per_image": True}) for shape in SHAPES),
    *((functional.dice, naive_dice, shape, {"with_background": False}) for shape in SHAPES),
    *((functional.bce, naive_bce, shape, {}) for shape in SHAPES),
    *((functional.bce, naive_bce, s, {"weight": (7.0, 0.5, 2.0)[: s[1]]}) for s in SHAPES),
    *((functional.ce, naive_ce, shape, {}) for shape in (CLASSES, VOLUME)),
    *((functional.ce, naive_ce, s, {"weight": (0.01, 0.03, 0.02)[: s[1]]}) for s in SHAPES[1:]),
]
NAMES = [f"{case[0].__name__}-{case[2]}-{case[3]}" for case in CASES]


def as_tensors(options):
    return {k: torch.tensor(v) if isinstance(v, tuple) else v for k, v in options.items()}


@pytest.mark.parametrize(("loss", "naive", "shape", "options"), CASES, ids=NAMES)
def test_the_value_is_that_of_a_loop(loss, naive, shape, options):
    logits, target = make_pair(shape)
    value = loss(torch.tensor(logits), torch.tensor(target), **as_tensors(options))
    assert value.dtype == torch.float32
    assert float(value) == pytest.approx(naive(logits, target, **options), rel=1e-5)


@pytest.mark.parametrize(("loss", "naive", "shape", "options"), CASES, ids=NAMES)
def test_the_gradient_is_that_of_finite_differences(loss, naive, shape, options):
    logits, target = make_pair(shape, seed=1)
    given = torch.tensor(logits, requires_grad=True)
    loss(given, torch.tensor(target), **as_tensors(options)).backward()
    step = 1e-5
    for place in list(np.ndindex(shape))[::3]:
        change = np.zeros(shape)
        change[place] = step
        above, below = (naive(logits + s * change, target, **options) for s in (1, -1))
        slope = (above - below) / (2 * step)
        assert float(given.grad[place]) == pytest.approx(slope, rel=1e-3, abs=1e-6)


def test_dice_is_zero_for_a_perfect_answer_and_near_one_for_the_opposite():
    target = torch.zeros(1, 1, 20, 20)
    target[..., :8] = 1
    sure = (target * 2 - 1) * 50
    assert float(functional.dice(sure, target)) == pytest.approx(0, abs=1e-6)
    assert float(functional.dice(-sure, target)) > 0.99


def test_dice_over_the_batch_is_another_number_than_per_image():
    """One image full, one empty: the batch forgives what the single image does not."""
    target = torch.zeros(2, 1, 10, 10)
    target[0] = 1
    logits = torch.full_like(target, 30.0)
    whole = functional.dice(logits, target)
    each = functional.dice(logits, target, per_image=True)
    assert float(whole) == pytest.approx(1 - 201 / 301, abs=1e-4)
    assert float(each) == pytest.approx((0 + 1 - 1 / 101) / 2, abs=1e-4)


TERMS = {
    "dice": 1, "dice(smooth=0)": 1, "dice(smooth=0,squared=true,per_image=true)": 1,
    "bce": 1, "bce(weight=auto)": 1, "bce(weight=0)": 1,
    "dice(smooth=0,background=false)": 3, "bce(weight=auto) ": 3, "ce": 3, "ce(weight=auto)": 3,
}  # fmt: skip
LEVELS = {"low": -1e4, "high": 1e4, "zero": 0.0, "mixed": None}


def extreme_logits(shape, level, dtype):
    if level is None:
        signs = torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(3)) * 2 - 1
        return (signs * 1e4).to(dtype).requires_grad_()
    return torch.full(shape, level, dtype=dtype, requires_grad=True)


def masks(shape):
    """An empty mask, a full one, a single pixel, and one half."""
    for kind in ("empty", "full", "pixel", "half"):
        index = torch.zeros(shape[0], *shape[2:], dtype=torch.long)
        if kind == "full":
            index[:] = 1
        if kind == "pixel":
            index.view(-1)[0] = 1
        if kind == "half":
            index[..., : shape[-1] // 2] = 1
        if shape[1] == 1:
            yield index.unsqueeze(1).float()
        else:
            yield torch.nn.functional.one_hot(index, shape[1]).movedim(-1, 1).float()


@pytest.mark.parametrize("is_autocast", [False, True], ids=["plain", "autocast"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("level", LEVELS.values(), ids=LEVELS)
@pytest.mark.parametrize("text", TERMS)
def test_value_and_gradient_are_finite(text, level, dtype, is_autocast):
    channels = TERMS[text]
    for fractions in ([0.0], [1.0], [0.3]) if channels == 1 else ([1.0, 0.0, 0.0], [0.5, 0.5, 0]):
        loss = build_loss(text, num_logits=channels, class_fractions=fractions)
        for size in ((1, 1), (3, 4)):
            for target in masks((2, channels, *size)):
                logits = extreme_logits(target.shape, level, dtype)
                with torch.autocast("cpu", torch.bfloat16, enabled=is_autocast):
                    value = loss(logits, target)
                assert value.total.dtype == torch.float32
                value.total.backward()
                assert math.isfinite(float(value.total.detach()))
                assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("loss", [functional.dice, functional.bce, functional.ce])
def test_low_precision_input_is_computed_in_float32(loss):
    """Rounded logits differ from the exact ones, the arithmetic on them must not."""
    logits, target = make_pair(CLASSES)
    rounded = torch.tensor(logits).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(rounded, torch.tensor(target))
    assert float(value) == pytest.approx(
        float(loss(rounded.double(), torch.tensor(target))), rel=1e-6
    )


@pytest.mark.parametrize("loss", [functional.dice, functional.bce, functional.ce])
def test_another_shape_is_refused_with_both_shapes(loss):
    with pytest.raises(ShapeError, match=r"\(1, 2, 4, 4\) and target \(1, 2, 3, 4\)"):
        loss(torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 3, 4))


def test_ce_needs_two_channels_and_names_the_loss_that_does_not():
    with pytest.raises(ShapeError, match="bce"):
        functional.ce(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4))


def test_probabilities_are_sigmoid_for_one_channel_and_softmax_over_several():
    logits, _ = make_pair(CLASSES)
    several = functional.probabilities(torch.tensor(logits))
    assert several.sum(1) == pytest.approx(np.ones((2, 3, 4)), abs=1e-6)
    place = (1, 2, 0, 3)
    assert float(several[place]) == pytest.approx(naive_probability(logits, place), rel=1e-5)
    one = functional.probabilities(torch.tensor([[[[math.log(3)]]]], dtype=torch.float16))
    assert one.dtype == torch.float32
    assert float(one) == pytest.approx(0.75, abs=1e-3)
