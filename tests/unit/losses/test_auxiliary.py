"""Losses of inner outputs: targets that shrink, void pixels that stay void, attention maps."""

import pytest
import torch

from ushape.errors import ShapeError
from ushape.losses import AuxiliaryOutput, Pixels, auxiliary_loss, build_loss, overlap
from ushape.losses.auxiliary import Truth, shrink


def build(text, channels, target=None, **options):
    fractions = [0.2] * channels
    return build_loss(
        text, num_logits=channels, class_fractions=fractions, target=target, **options
    )


def repeated(values, factors):
    for axis, factor in enumerate(factors, start=2):
        values = values.repeat_interleave(factor, axis)
    return values


def make(channels=2, size=(4, 6), factors=(2, 3), seed=0):
    """Small logits, and a full-size target, mask and weight."""
    generator = torch.Generator().manual_seed(seed)
    full = [edge * factor for edge, factor in zip(size, factors, strict=True)]
    logits = torch.randn(2, channels, *size, generator=generator, dtype=torch.float64)
    target = (torch.rand(2, channels, *full, generator=generator) < 0.4).double()
    mask = torch.rand(2, 1, *full, generator=generator) < 0.6
    mask[0, :, : 2 * factors[0], : 2 * factors[1]] = False  # whole large pixels are void
    weight = torch.rand(2, 1, *full, generator=generator, dtype=torch.float64)
    return logits, target, mask, weight


@pytest.mark.parametrize("with_weight", [False, True])
@pytest.mark.parametrize("with_mask", [False, True])
@pytest.mark.parametrize(
    ("size", "factors"), [((4, 6), (2, 3)), ((4, 6), (1, 4)), ((2, 3, 4), (1, 2, 2))]
)
@pytest.mark.parametrize(
    "text", ["bce(weight=3)", "focal(alpha=0.8)", "dice(smooth=0)", "tversky(smooth=0)"]
)
def test_a_small_output_gives_what_its_repetition_gives(
    text, size, factors, with_mask, with_weight
):
    """Exact for losses that are linear in the target, whatever is void and however weighted.

    For those on regions without `smooth`, which counts more where there are fewer pixels.
    """
    logits, target, mask, weight = make(size=size, factors=factors)
    options = {
        "mask": mask if with_mask else None,
        "pixel_weight": weight if with_weight else None,
    }
    loss = build(text, 2, "multilabel")
    small = auxiliary_loss(loss, [AuxiliaryOutput(logits)], target, **options)
    large = loss(repeated(logits, factors), target, **options)
    assert float(small.total) == pytest.approx(float(large.total), rel=1e-6)


def test_the_target_is_the_mean_of_the_valid_pixels():
    target = torch.tensor([[1.0, 0, 1, 1], [1, 0, 0, 0]]).view(1, 1, 2, 4)
    mask = torch.tensor([[1, 1, 0, 0], [0, 1, 0, 0]]).bool().view(1, 1, 2, 4)
    target[~mask] = torch.nan
    small = shrink(Truth(target, mask), (1, 2))
    assert small.target.flatten().tolist() == pytest.approx([1 / 3, 0])
    assert small.pixel_weight.flatten().tolist() == pytest.approx([3 / 4, 0])
    assert small.mask.flatten().tolist() == [True, False]
    whole = shrink(Truth(target.nan_to_num(1.0)), (1, 2))
    assert (whole.mask, whole.pixel_weight) == (None, None)
    same = Truth(target)
    assert shrink(same, (2, 4)) is same


def test_outputs_are_weighted_summed_and_named_by_their_place():
    logits, target, _, _ = make()
    loss = build("dice + 10*bce", 2, "multilabel")
    outputs = [
        AuxiliaryOutput(logits, weight=0.5),
        AuxiliaryOutput(torch.sigmoid(logits[:, :1]), "attention", 0.25),
        AuxiliaryOutput(repeated(logits, (2, 3)), weight=2),
    ]
    value = auxiliary_loss(loss, outputs, target)
    alone = [float(auxiliary_loss(loss, [output], target).total) for output in outputs]
    assert float(value.total) == pytest.approx(sum(alone))
    whole = loss(repeated(logits, (2, 3)), target)
    assert alone[2] == pytest.approx(2 * float(whole.total))
    assert set(value.parts) == {
        "auxiliary0.dice", "auxiliary0.bce", "attention1.dice", "auxiliary2.dice", "auxiliary2.bce"
    }  # fmt: skip
    factors = {key: float(factor) for key, factor in value.factors.items()}
    assert factors == {
        "auxiliary0.dice": 0.5, "auxiliary0.bce": 5, "attention1.dice": 0.25,
        "auxiliary2.dice": 2, "auxiliary2.bce": 20,
    }  # fmt: skip
    total = sum(float(value.parts[key]) * factors[key] for key in factors)
    assert total == pytest.approx(float(value.total))
    assert float(auxiliary_loss(loss, [], target).total) == 0


def test_every_output_gets_a_gradient():
    logits, target, mask, _ = make()
    logits.requires_grad_()
    attention = torch.full((2, 1, 4, 6), 0.3, requires_grad=True)
    outputs = [AuxiliaryOutput(logits), AuxiliaryOutput(attention, "attention")]
    auxiliary_loss(build("dice", 2, "multilabel"), outputs, target, mask=mask).total.backward()
    for values in (logits, attention):
        assert (values.grad[0, :, :2, :2] == 0).all()  # void
        assert (values.grad[:, :, 2:] != 0).any()


@pytest.mark.parametrize(
    ("kind", "foreground"), [("multiclass", [1, 2]), ("multilabel", [0, 1, 2])]
)
def test_attention_is_compared_with_the_pooled_foreground(kind, foreground):
    _, target, _, _ = make(channels=3)
    if kind == "multiclass":
        target = torch.nn.functional.one_hot(target[:, 0].long() + target[:, 1].long(), 3)
        target = target.movedim(-1, 1).double()
    attention = torch.rand(2, 1, 4, 6, dtype=torch.float64)
    value = auxiliary_loss(
        build("bce", 3, kind), [AuxiliaryOutput(attention, "attention")], target
    ).total
    union = target[:, foreground].bool().any(1, keepdim=True).double()
    pooled = torch.nn.functional.avg_pool2d(union, (2, 3))
    overlap_sum = 2 * (attention * pooled).sum() + 1
    expected = 1 - overlap_sum / (attention.sum() + pooled.sum() + 1)
    assert float(value) == pytest.approx(float(expected))
    chosen = auxiliary_loss(
        build("bce", 3, kind), [AuxiliaryOutput(attention, "attention")], target, foreground=[2]
    ).total
    pooled = torch.nn.functional.avg_pool2d(target[:, 2:], (2, 3))
    pixels = Pixels(attention, pooled, activation="none")
    assert float(chosen) == pytest.approx(float(overlap.dice(pixels)))


def test_attention_at_zero_and_one_is_finite():
    target = torch.zeros(1, 1, 4, 4)
    for level in (0.0, 1.0):
        attention = torch.full((1, 1, 2, 2), level, requires_grad=True)
        value = auxiliary_loss(
            build("dice", 1), [AuxiliaryOutput(attention, "attention")], target
        ).total
        value.backward()
        assert value.isfinite()
        assert attention.grad.isfinite().all()


def test_inner_outputs_use_the_balance_of_the_main_one():
    logits, target, _, _ = make()
    loss = build("dice + bce", 2, "multilabel", balance="auto")
    main = loss(repeated(logits, (2, 3)), target)
    state = loss.state()
    inner = auxiliary_loss(loss, [AuxiliaryOutput(-3 * logits)], target)
    assert loss.state() == state
    for key, factor in main.factors.items():
        assert float(inner.factors[f"auxiliary0.{key}"]) == pytest.approx(float(factor))


def test_inner_outputs_are_exact_over_two_ranks():
    logits, target, mask, weight = make()
    loss = build("dice + bce", 2, "multilabel")

    def call(part, reduce=None):
        outputs = [
            AuxiliaryOutput(logits[part]),
            AuxiliaryOutput(logits[part, :1].sigmoid(), "attention"),
        ]
        options = {"mask": mask[part], "pixel_weight": weight[part], "reduce": reduce}
        return float(auxiliary_loss(loss, outputs, target[part], **options).total)

    sums = []
    for half in (slice(0, 1), slice(1, 2)):
        own = []
        call(half, lambda t, own=own: own.append(t) or t)
        sums.append(own)
    added = iter([a + b for a, b in zip(*sums, strict=True)])
    assert call(slice(0, 1), lambda t: next(added)) == pytest.approx(call(slice(0, 2)), rel=1e-9)


@pytest.mark.parametrize(
    ("shape", "kind", "says"),
    [
        ((2, 2, 3, 6), "logits", "size 3 x 6 does not divide the target's 8 x 18"),
        ((2, 2, 16, 18), "logits", "size 16 x 18 does not divide"),
        ((2, 2, 4, 6, 1), "logits", "does not divide"),
        ((2, 3, 4, 6), "logits", r"differ in shape"),
        ((2, 2, 4, 6), "attention", "an attention map has one channel, got 2"),
    ],
)
def test_an_output_that_does_not_fit_is_refused(shape, kind, says):
    _, target, _, _ = make()
    with pytest.raises(ShapeError, match=says):
        auxiliary_loss(
            build("dice", 2, "multilabel"), [AuxiliaryOutput(torch.zeros(shape), kind)], target
        )
