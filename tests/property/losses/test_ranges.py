"""Losses of any logits, target, void pixels and weights: in range, finite, zero where void."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ushape.losses import TERMS, build_loss

QUICK = settings(deadline=None, max_examples=40)
REGIONS = ("dice", "border_dice", "hardness_dice", "tversky", "cldice")


@st.composite
def problems(draw):
    kind, channels = draw(st.sampled_from([("binary", 1), ("multiclass", 3), ("multilabel", 3)]))
    name = draw(st.sampled_from([n for n in TERMS if n != "ce" or kind == "multiclass"]))
    size = tuple(draw(st.lists(st.integers(1, 5), min_size=2, max_size=3)))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))
    scale = draw(st.sampled_from([0.1, 3.0, 100.0, 1e5]))
    batch = draw(st.integers(1, 3))
    shape = (batch, channels, *size)
    target = torch.rand(shape, generator=generator)
    if draw(st.booleans()):
        target = target.round()
    if kind == "multiclass":
        target = target / target.sum(1, keepdim=True).clamp_min(1)
    return {
        "text": name,
        "kind": kind,
        "logits": scale * torch.randn(shape, generator=generator),
        "target": target,
        "mask": torch.rand((batch, 1, *size), generator=generator) < draw(st.floats(0, 1)),
        "pixel_weight": 10 * torch.rand((batch, 1, *size), generator=generator),
    }


@QUICK
@given(problem=problems())
def test_losses_stay_in_range_and_void_pixels_have_no_gradient(problem):
    channels = problem["logits"].shape[1]
    loss = build_loss(
        problem["text"],
        num_logits=channels,
        class_fractions=[0.2] * channels,
        target=problem["kind"],
    )
    logits = problem["logits"].requires_grad_()
    mask = problem["mask"]
    value = loss(logits, problem["target"], mask=mask, pixel_weight=problem["pixel_weight"]).total
    value.backward()
    assert -1e-6 <= float(value.detach()) < float("inf")
    if problem["text"] in REGIONS:
        assert float(value.detach()) <= 1 + 1e-6
    assert logits.grad.isfinite().all()
    assert (logits.grad[~mask.expand_as(logits.grad)] == 0).all()
