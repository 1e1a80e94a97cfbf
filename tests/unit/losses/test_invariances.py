"""What must not change a loss: cropping void pixels, reordering pixels, splitting a batch."""

import pytest
import torch

from ushape.errors import ShapeError
from ushape.losses import Pixels, build_loss, functional, overlap
from ushape.losses.morphology import border, dilate, erode, skeleton

BY_PIXEL = ("dice", "hardness_dice", "tversky(gamma=0.75)", "bce(weight=auto)", "focal", "ce")
BY_WINDOW = ("border_dice", "cldice(background=true)")
PER_IMAGE = ("dice(per_image=true)", "cldice(per_image=true)")
KINDS = {"binary": 1, "multiclass": 3, "multilabel": 2}


def make_pair(channels, space=(6, 7), batch=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, channels, *space)
    logits = 2 * torch.randn(shape, generator=generator, dtype=torch.float64)
    index = torch.randint(0, max(2, channels), (batch, *space), generator=generator)
    one_hot = torch.nn.functional.one_hot(index, max(2, channels)).movedim(-1, 1)
    return logits, one_hot[:, -channels:].double()


def build(text, kind):
    channels = KINDS[kind]
    fractions = [0.1 + 0.2 * channel for channel in range(channels)]
    return build_loss(text, num_logits=channels, class_fractions=fractions, target=kind)


def fits(text, kind):
    return kind == "multiclass" or not (text == "ce" or "background" in text)


CASES = [
    (text, kind)
    for text in (*BY_PIXEL, *BY_WINDOW, *PER_IMAGE)
    for kind in KINDS
    if fits(text, kind)
]


def value_and_gradient(loss, logits, target, **options):
    logits = logits.clone().requires_grad_()
    value = loss(logits, target, **options).total
    value.backward()
    return float(value.detach()), logits.grad


@pytest.mark.parametrize(("text", "kind"), CASES)
def test_void_pixels_are_as_if_they_were_cut_away(text, kind):
    logits, target = make_pair(KINDS[kind])
    mask = torch.ones(4, 1, 6, 7, dtype=torch.bool)
    mask[..., 5:] = False
    inside = (..., slice(0, 5))
    expected = value_and_gradient(build(text, kind), logits[inside], target[inside])
    target[~mask.expand_as(target)] = torch.nan  # whatever stands there
    logits[~mask.expand_as(logits)] *= 1e4
    value, gradient = value_and_gradient(build(text, kind), logits, target, mask=mask)
    assert value == pytest.approx(expected[0], rel=1e-9)
    torch.testing.assert_close(gradient[inside], expected[1], rtol=1e-9, atol=1e-12)
    assert (gradient[..., 5:] == 0).all()


@pytest.mark.parametrize(("text", "kind"), [case for case in CASES if case[0] in BY_PIXEL])
def test_weight_zero_is_void_and_the_scale_of_weights_has_no_effect_on_means(text, kind):
    logits, target = make_pair(KINDS[kind])
    mask = torch.rand(4, 1, 6, 7, generator=torch.Generator().manual_seed(1)) < 0.5
    loss = build(text, kind)
    void = loss(logits, target, mask=mask).total
    weighted = loss(logits, target, pixel_weight=mask.double()).total
    assert float(void) == pytest.approx(float(weighted), rel=1e-9)
    if text.startswith(("bce", "focal", "ce")):
        tripled = loss(logits, target, pixel_weight=3 * mask.double()).total
        assert float(tripled) == pytest.approx(float(weighted), rel=1e-9)


@pytest.mark.parametrize(("text", "kind"), CASES)
def test_the_order_of_pixels_counts_only_where_windows_are_looked_at(text, kind):
    logits, target = make_pair(KINDS[kind])
    order = torch.randperm(42, generator=torch.Generator().manual_seed(2))

    def shuffled(values):
        return values.flatten(2)[..., order].view_as(values)

    loss = build(text, kind)
    before = float(loss(logits, target).total)
    after = float(loss(shuffled(logits), shuffled(target)).total)
    is_same = after == pytest.approx(before, rel=1e-9)
    assert is_same == (not text.startswith(("border_dice", "cldice")))


@pytest.mark.parametrize(("text", "kind"), CASES)
def test_mirroring_and_exchanging_axes_change_nothing(text, kind):
    logits, target = make_pair(KINDS[kind])
    loss = build(text, kind)
    expected = float(loss(logits, target).total)
    for turn in (lambda x: x.flip(2), lambda x: x.flip(3), lambda x: x.transpose(2, 3)):
        turned = float(loss(turn(logits), turn(target)).total)
        assert turned == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("text", ["dice", "focal", "ce", "border_dice", "tversky"])
def test_classes_may_be_renumbered(text):
    logits, target = make_pair(3)
    loss = build_loss(text, num_logits=3, class_fractions=[0.3] * 3)
    order = [2, 0, 1]
    expected = float(loss(logits, target).total)
    assert float(loss(logits[:, order], target[:, order]).total) == pytest.approx(expected)


@pytest.mark.parametrize("cut", [1, 2])
@pytest.mark.parametrize(("text", "kind"), CASES)
def test_a_batch_split_over_two_ranks_gives_value_and_gradient_of_the_whole(text, kind, cut):
    """Also halves of unequal size, and void pixels that one half has more of."""
    logits, target = make_pair(KINDS[kind])
    mask = torch.ones(4, 1, 6, 7, dtype=torch.bool)
    mask[0, ..., :4] = False
    weight = torch.rand(4, 1, 6, 7, generator=torch.Generator().manual_seed(5)).double()
    expected = value_and_gradient(build(text, kind), logits, target, mask=mask, pixel_weight=weight)
    logits = logits.clone().requires_grad_()
    halves = [slice(0, cut), slice(cut, 4)]
    totals = across_ranks(
        build(text, kind),
        [
            {"logits": logits[h], "target": target[h], "mask": mask[h], "pixel_weight": weight[h]}
            for h in halves
        ],
    )
    for total in totals:
        assert float(total.detach()) == pytest.approx(expected[0], rel=1e-9)
    # Each rank differentiates its own copy of the same number; `all_reduce` adds them, and the
    # average that data-parallel training takes divides by the number of ranks.
    sum(totals).backward()
    torch.testing.assert_close(logits.grad / 2, expected[1], rtol=1e-9, atol=1e-12)


def across_ranks(loss, ranks):
    """Call a loss on every rank with a `reduce` that adds the sums of all ranks."""
    sums = []
    for rank in ranks:
        own = []
        loss(**rank, reduce=lambda tensor, own=own: own.append(tensor) or tensor)
        sums.append(own)
    totals = []
    for rank in ranks:
        added = iter([sum(same) for same in zip(*sums, strict=True)])
        totals.append(loss(**rank, reduce=lambda tensor, added=added: next(added)).total)
    return totals


def test_without_reduce_the_halves_do_not_average_to_the_whole():
    """Else the test above would show nothing."""
    logits, target = make_pair(1)
    target[:2] *= 0
    loss = build("dice", "binary")
    halves = [float(loss(logits[h], target[h]).total) for h in (slice(0, 2), slice(2, 4))]
    assert sum(halves) / 2 != pytest.approx(float(loss(logits, target).total), abs=1e-2)


def test_what_is_reduced_is_small():
    logits, target = make_pair(3)
    seen = []
    text = "dice + bce + focal + ce + border_dice + hardness_dice + tversky + cldice"
    build(text, "multiclass")(logits, target, reduce=lambda t: seen.append(t) or t)
    assert len(seen) == 8
    assert max(tensor.numel() for tensor in seen) <= 12


@pytest.mark.parametrize("text", ["bce", "dice(squared=true,smooth=0)"])
def test_a_graded_target_is_answered_best_by_itself(text):
    target = torch.tensor([0.1, 0.4, 0.75, 0.9]).view(1, 1, 2, 2).double()
    loss = build(text, "binary")
    exact = float(loss(torch.logit(target), target).total)
    for change in (-0.2, 0.2, 1.0):
        assert float(loss(torch.logit(target) + change, target).total) > exact + 1e-4


def test_hardness_zero_is_dice_and_tversky_with_half_prices_is_dice_of_twice_the_smooth():
    pixels = Pixels(*make_pair(3))
    dice = float(overlap.dice(pixels))
    assert float(overlap.hardness_dice(pixels, hardness=0)) == pytest.approx(dice)
    half = float(overlap.tversky(pixels, alpha=0.5, beta=0.5, smooth=0.5))
    assert half == pytest.approx(dice)


def test_focal_without_gamma_and_with_even_alpha_is_half_of_bce():
    pixels = Pixels(*make_pair(3))
    assert float(functional.focal(pixels, alpha=0.5, gamma=0)) == pytest.approx(
        float(functional.bce(pixels)) / 2
    )


def test_two_softmax_channels_are_one_sigmoid_of_their_difference():
    logits, target = make_pair(2)
    difference = (logits[:, 1] - logits[:, 0]).unsqueeze(1)
    for loss in (functional.bce, functional.focal, overlap.dice, overlap.border_dice):
        two = Pixels(logits, target, activation="softmax").select([1])
        one = Pixels(difference, target[:, 1:])
        assert float(loss(two)) == pytest.approx(float(loss(one)), rel=1e-9)


def test_cldice_sees_a_broken_line_that_dice_hardly_does():
    target = torch.zeros(1, 1, 9, 30)
    target[..., 3:6, 2:28] = 1
    broken = target.clone()
    broken[..., 14:17] = 0
    grown = torch.zeros_like(target)
    grown[..., 3:7, 2:28] = 1  # one row too thick, connected

    def losses(answer):
        pixels = Pixels((answer * 2 - 1) * 50, target)
        return float(overlap.dice(pixels)), float(overlap.cldice(pixels))

    assert losses(broken)[0] < losses(grown)[0]
    assert losses(broken)[1] > losses(grown)[1]


def test_the_border_of_a_square_is_its_edge_on_both_sides_but_not_that_of_the_image():
    square = torch.zeros(1, 1, 8, 8)
    square[..., :4, 2:6] = 1
    expected = torch.zeros(8, 8)
    expected[:5, 1:7] = 1
    expected[:3, 3:5] = 0
    assert torch.equal(border(square)[0, 0], expected)
    volume = torch.zeros(1, 1, 6, 6, 6)
    volume[..., 2:4, 2:4, 2:4] = 1
    assert float(border(volume).sum()) == 4**3


@pytest.mark.parametrize("shape", [(2, 2, 5, 6), (1, 2, 4, 3, 5), (1, 1, 1, 4)])
def test_moving_maxima_are_those_of_pooling_and_lose_no_gradient(shape):
    """Also on plateaus, where several places hold the maximum."""
    generator = torch.Generator().manual_seed(4)
    pool = torch.nn.functional.max_pool2d if len(shape) == 4 else torch.nn.functional.max_pool3d
    for values in (
        torch.rand(shape, generator=generator),
        torch.randint(0, 2, shape, generator=generator).float(),
    ):
        values.requires_grad_()
        wide = dilate(values)
        assert torch.equal(wide, pool(values, 3, 1, 1))
        crosses = [
            -pool(-values, [3 if k == axis else 1 for k in range(len(shape) - 2)], 1,
                  [1 if k == axis else 0 for k in range(len(shape) - 2)])
            for axis in range(len(shape) - 2)
        ]  # fmt: skip
        assert torch.equal(erode(values), torch.stack(crosses).amin(0))
        for result in (wide, erode(values)):
            weight = torch.rand(shape, generator=generator)
            (gradient,) = torch.autograd.grad(result, values, weight)
            assert float(gradient.sum()) == pytest.approx(float(weight.sum()), rel=1e-5)


def test_the_skeleton_of_a_bar_is_its_centreline():
    bar = torch.zeros(1, 1, 9, 20)
    bar[..., 2:7, 2:18] = 1
    line = skeleton(bar, 3)[0, 0]
    assert (line[4, 5:15] == 1).all()
    assert float(line[:, 6:14].sum()) == 8


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"target": torch.zeros(1, 2, 3, 4)}, r"\(1, 2, 4, 4\) and target \(1, 2, 3, 4\)"),
        ({"mask": torch.ones(1, 2, 4, 4, dtype=torch.bool)}, r"mask \(1, 2, 4, 4\).*give \(1, 1,"),
        ({"mask": torch.ones(1, 1, 4, 4)}, "torch.float32: give .* torch.bool"),
        ({"pixel_weight": torch.ones(4, 4)}, r"pixel weights \(4, 4\): give \(1, 1, 4, 4\) or"),
    ],
)
def test_another_shape_is_refused_with_both_shapes(change, says):
    given = {"target": torch.zeros(1, 2, 4, 4), **change}
    with pytest.raises(ShapeError, match=says):
        Pixels(torch.zeros(1, 2, 4, 4), **given)


def test_ce_needs_the_softmax_and_names_the_loss_that_does_not():
    with pytest.raises(ShapeError, match="use bce"):
        functional.ce(Pixels(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)))
