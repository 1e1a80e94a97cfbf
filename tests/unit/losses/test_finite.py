"""The nan question: for finite logits every value and gradient is finite, and as documented."""

import math
from pathlib import Path

import pytest
import torch

from ushape.losses import TERMS, build_loss

PAGE = Path(__file__).parents[3] / "docs" / "losses.md"

TEXTS = {
    "dice": ("", "(smooth=0)", "(smooth=0,squared=true,per_image=true)", "(class_weight=auto)"),
    "bce": ("", "(weight=auto)", "(weight=0)"),
    "ce": ("", "(weight=auto)"),
    "focal": ("", "(gamma=0)", "(gamma=0.5,alpha=auto)", "(gamma=10,alpha=1)"),
    "border_dice": ("", "(smooth=0)", "(smooth=0,per_image=true)"),
    "hardness_dice": ("", "(smooth=0,lambda=1)", "(smooth=0,lambda=0)"),
    "tversky": ("", "(smooth=0,gamma=0.1)", "(alpha=0,beta=0,smooth=0)", "(gamma=10)"),
    "cldice": ("", "(smooth=0)", "(smooth=0,per_image=true,iterations=4)"),
}
KINDS = {"binary": 1, "multiclass": 3, "multilabel": 2}
CASES = [
    (name + options, kind)
    for name, variants in TEXTS.items()
    for options in variants
    for kind in KINDS
    if name != "ce" or kind == "multiclass"
]
SIZES = [(1, 1), (2, 3, 3)]


def logits_of(level, shape, dtype):
    if level == "mixed":
        signs = torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(3)) * 2 - 1
        return (signs * 1e4).to(dtype).requires_grad_()
    return torch.full(shape, level, dtype=dtype, requires_grad=True)


def targets(kind, channels, size):
    """Empty, full, a single pixel, half, and (for graded lines) one half everywhere."""
    last = {name: torch.zeros(2, 1, *size) for name in ("empty", "pixel", "half")}
    last["pixel"].view(-1)[0] = 1
    last["half"][..., : max(1, size[-1] // 2)] = 1
    last["full"] = torch.ones(2, 1, *size)
    last["graded"] = last["full"] / 2
    if kind == "multiclass":
        return {k: torch.cat([1 - v, torch.zeros_like(v), v], 1) for k, v in last.items()}
    return {k: v.expand(2, channels, *size) for k, v in last.items()}


def masks(size):
    void = torch.zeros(2, 1, *size, dtype=torch.bool)
    one_image = void.clone()
    one_image[0] = True
    one_pixel = void.clone()
    one_pixel.view(-1)[-1] = True
    yield from (void, one_image, one_pixel)


def check(loss, logits, target, mask, *, is_autocast=False):
    with torch.autocast("cpu", torch.bfloat16, enabled=is_autocast):
        value = loss(logits, target, mask=mask)
    assert value.total.dtype == torch.float32
    (gradient,) = torch.autograd.grad(value.total, logits)
    assert math.isfinite(float(value.total.detach()))
    assert gradient.dtype == logits.dtype
    assert torch.isfinite(gradient).all()
    if mask is not None:
        assert (gradient[~mask.expand_as(gradient)] == 0).all()
        if not mask.any():
            assert float(value.total.detach()) == 0


@pytest.mark.parametrize("level", [-1e4, 1e4, 0.0, "mixed"])
@pytest.mark.parametrize(("text", "kind"), CASES)
def test_value_and_gradient_are_finite(text, kind, level):
    channels = KINDS[kind]
    for fraction in (0.0, 1.0) if "auto" in text else (0.2,):
        loss = build_loss(
            text, num_logits=channels, class_fractions=[fraction] * channels, target=kind
        )
        for size in SIZES:
            named = targets(kind, channels, size)
            for target in named.values():
                check(loss, logits_of(level, target.shape, torch.float32), target, None)
            for mask in masks(size):
                target = named["pixel"]
                check(loss, logits_of(level, target.shape, torch.float32), target, mask)


@pytest.mark.parametrize("is_autocast", [False, True], ids=["plain", "autocast"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("text", "kind"), [(name, kind) for name, kind in CASES if name in TEXTS])
def test_half_precision_is_finite_too(text, kind, dtype, is_autocast):
    channels = KINDS[kind]
    loss = build_loss(text, num_logits=channels, class_fractions=[0.2] * channels, target=kind)
    for size in ((3, 4), (2, 3, 3)):
        named = targets(kind, channels, size)
        for level in (-1e4, 1e4, "mixed"):
            for target in named.values():
                logits = logits_of(level, target.shape, dtype)
                check(loss, logits, target, None, is_autocast=is_autocast)
            for mask in masks(size):
                logits = logits_of(level, named["pixel"].shape, dtype)
                check(loss, logits, named["pixel"], mask, is_autocast=is_autocast)


@pytest.mark.parametrize("text", TERMS)
def test_the_largest_float_is_finite_and_infinity_is_not_hidden(text):
    kind = "multiclass"
    loss = build_loss(text, num_logits=3, class_fractions=[0.2] * 3, target=kind)
    largest = torch.finfo(torch.float32).max
    for target in targets(kind, 3, (3, 4)).values():
        signs = logits_of("mixed", target.shape, torch.float32).detach().sign()
        check(loss, (signs * largest).requires_grad_(), target, None)
        logits = torch.zeros_like(target)
        logits[0, -1, 0, 0] = torch.inf
        assert not loss(logits, target).total.isfinite()


@pytest.mark.parametrize("text", TERMS)
def test_low_precision_input_is_computed_in_float32(text):
    """Rounded logits differ from the exact ones, the arithmetic on them must not."""
    generator = torch.Generator().manual_seed(1)
    loss = build_loss(text, num_logits=3, class_fractions=[0.2] * 3)
    target = torch.nn.functional.one_hot(torch.randint(0, 3, (2, 6, 6), generator=generator), 3)
    target = target.movedim(-1, 1)
    logits = torch.randn(2, 3, 6, 6, generator=generator).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(logits, target).total
    exact = loss(logits.double(), target).total
    assert exact.dtype == torch.float64
    assert float(value) == pytest.approx(float(exact), rel=1e-5)


def table():
    """Read the table of docs/losses.md: case -> loss -> value as written."""
    lines = [
        [cell.strip().strip("`") for cell in line.strip("|\n ").split("|")]
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("|")
    ]
    start = next(number for number, line in enumerate(lines) if line[0] == "mask, answer")
    names = lines[start][1:]
    rows = {}
    for line in lines[start + 2 :]:
        if len(line) != len(names) + 1:
            break
        rows[line[0]] = dict(zip(names, line[1:], strict=True))
    return rows


ROWS = {
    "empty, no": ("empty", -1, True),
    "empty, yes": ("empty", 1, True),
    "full, yes": ("full", 1, True),
    "full, no": ("full", -1, True),
    "one pixel, no": ("pixel", -1, True),
    "one pixel, that one": ("pixel", 0, True),
    "all void, yes": ("empty", 1, False),
}


def test_the_table_names_every_loss_and_case():
    assert table().keys() == ROWS.keys()
    assert all(row.keys() == TERMS.keys() for row in table().values())


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("text", TERMS)
def test_the_values_are_those_of_the_page(row, text):
    mask_kind, answer, is_valid = ROWS[row]
    target = torch.zeros(1, 1, 10, 10)
    if mask_kind == "full":
        target[:] = 1
    if mask_kind == "pixel":
        target[..., 4, 5] = 1
    logits = (2 * target - 1 if answer == 0 else torch.full_like(target, answer)) * 1e4
    if text == "ce":  # the same as two classes
        logits, target = torch.cat([-logits, logits], 1), torch.cat([1 - target, target], 1)
    channels = target.shape[1]
    loss = build_loss(text, num_logits=channels, class_fractions=[0.5] * channels)
    mask = torch.full((1, 1, 10, 10), is_valid)
    logits.requires_grad_()
    value = loss(logits, target, mask=mask).total
    value.backward()
    written = table()[row][text]
    decimals = len(written.partition(".")[2])
    assert abs(float(value.detach()) - float(written)) <= 0.5 * 10**-decimals + 1e-9
    assert logits.grad.isfinite().all()
