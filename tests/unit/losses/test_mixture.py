"""Mixtures: what they compute from factors, groups, class fractions and running means."""

import pytest
import torch

from ushape.errors import ConfigError
from ushape.losses import LossValue, Pixels, build_loss, functional, overlap
from ushape.losses.balance import DECAY
from ushape.losses.terms import LARGEST_AUTO_WEIGHT

LOGITS = torch.linspace(-2, 2, 24).view(1, 2, 3, 4)
TARGET = torch.zeros(1, 2, 3, 4)
TARGET[:, 0, :, :3], TARGET[:, 1, :, 3:] = 1, 1
NAMES = ["background", "jaw", "palate"]


def build(text, fractions=(0.75, 0.25), **options):
    return build_loss(text, num_logits=len(fractions), class_fractions=fractions, **options)


def three_classes(seed=0):
    generator = torch.Generator().manual_seed(seed)
    index = torch.randint(0, 3, (2, 4, 5), generator=generator)
    target = torch.nn.functional.one_hot(index, 3).movedim(-1, 1).float()
    return torch.randn(2, 3, 4, 5, generator=generator), target


def test_a_mixture_is_the_sum_of_factor_times_term():
    value = build("dice + 10*bce(weight=3) + .5*ce")(LOGITS, TARGET)
    pixels = Pixels(LOGITS, TARGET)
    parts = {
        "dice": overlap.dice(pixels),
        "bce": functional.bce(pixels, weight=torch.tensor([3.0, 3.0])),
        "ce": functional.ce(pixels),
    }
    assert {k: float(v) for k, v in value.parts.items()} == pytest.approx(
        {k: float(v) for k, v in parts.items()}
    )
    assert {k: float(v) for k, v in value.factors.items()} == {"dice": 1, "bce": 10, "ce": 0.5}
    expected = parts["dice"] + 10 * parts["bce"] + 0.5 * parts["ce"]
    assert float(value.total) == pytest.approx(float(expected))


def test_parts_and_factors_do_not_hold_the_graph():
    logits = LOGITS.clone().requires_grad_()
    for balance in ("none", "auto"):
        value = build("2*dice", balance=balance)(logits, TARGET)
        assert value.total.requires_grad
        assert not value.parts["dice"].requires_grad
        assert not value.factors["dice"].requires_grad


def test_a_value_may_be_made_without_factors():
    assert LossValue(torch.zeros(()), {}).factors == {}


@pytest.mark.parametrize(
    ("text", "loss", "changed"),
    [
        ("dice(smooth=20)", overlap.dice, {"smooth": 20.0}),
        ("dice(squared=true)", overlap.dice, {"is_squared": True}),
        ("dice(per_image=true)", overlap.dice, {"per_image": True}),
        ("dice(class_weight=[1, 5])", overlap.dice, {"weight": torch.tensor([1.0, 5.0])}),
        ("dice(class_weight=auto)", overlap.dice, {"weight": torch.tensor([1.0, 3.0])}),
        ("hardness_dice(lambda=0.1)", overlap.hardness_dice, {"hardness": 0.1}),
        ("tversky(alpha=2)", overlap.tversky, {"alpha": 2.0}),
        ("tversky(beta=2)", overlap.tversky, {"beta": 2.0}),
        ("tversky(gamma=0.5)", overlap.tversky, {"gamma": 0.5}),
        ("border_dice(smooth=9)", overlap.border_dice, {"smooth": 9.0}),
        ("cldice(iterations=1,background=true)", overlap.cldice, {"iterations": 1}),
        ("focal(alpha=[0.9, 0.2])", functional.focal, {"alpha": torch.tensor([0.9, 0.2])}),
        ("focal(alpha=auto)", functional.focal, {"alpha": torch.tensor([0.25, 0.75])}),
        ("focal(gamma=0)", functional.focal, {"gamma": 0.0}),
        ("bce(weight=[3,2])", functional.bce, {"weight": torch.tensor([3.0, 2.0])}),
        ("ce(weight=[3,2])", functional.ce, {"weight": torch.tensor([3.0, 2.0])}),
    ],
)
def test_every_option_reaches_the_formula(text, loss, changed):
    logits = torch.cat([LOGITS, LOGITS.flip(3)]).repeat_interleave(3, 2).repeat_interleave(3, 3)
    target = torch.cat([TARGET, TARGET.flip(1)]).repeat_interleave(3, 2).repeat_interleave(3, 3)
    value = float(build(text)(logits, target).total)
    pixels = Pixels(logits, target)
    assert value == pytest.approx(float(loss(pixels, **changed)))
    assert value != pytest.approx(float(loss(pixels)), abs=1e-5)


def test_one_alpha_tells_foreground_from_background_only_without_the_latter():
    even, high = (build(f"focal(alpha={alpha})")(LOGITS, TARGET).total for alpha in (0.5, 0.9))
    assert float(even) == pytest.approx(float(high))
    value = build("focal(alpha=0.9, background=false)")(LOGITS, TARGET).total
    foreground = Pixels(LOGITS, TARGET).select([1])
    assert float(value) == pytest.approx(float(functional.focal(foreground, alpha=0.9)))
    assert float(value) != pytest.approx(float(functional.focal(foreground)), abs=1e-3)


def test_class_weights_of_bce_and_focal_weigh_the_mean():
    for name, loss in (("bce", functional.bce), ("focal", functional.focal)):
        value = build(f"{name}(class_weight=[1, 0])")(LOGITS, TARGET).total
        alone = loss(Pixels(LOGITS, TARGET).select([0]))
        assert float(value) == pytest.approx(float(alone))


def test_leaving_the_background_out_keeps_the_softmax_over_all_classes():
    logits, target = three_classes()
    value = build("dice(background=false)", (0.4, 0.3, 0.3))(logits, target).total
    p, t = torch.softmax(logits, 1)[:, 1:], target[:, 1:]
    axes = (0, 2, 3)
    share = (2 * (p * t).sum(axes) + 1) / (p.sum(axes) + t.sum(axes) + 1)
    assert float(value) == pytest.approx(float((1 - share).mean()))
    skeleton = build("cldice", (0.4, 0.3, 0.3))(logits, target).total
    assert float(skeleton) == pytest.approx(
        float(overlap.cldice(Pixels(logits, target).select([1, 2])))
    )


@pytest.mark.parametrize(
    ("share", "weight"), [(0.25, 3.0), (0.5, 1.0), (0.8, 0.25), (1e-5, 100.0), (0.0, 100.0)]
)
def test_auto_weight_of_bce_is_negatives_to_positives(share, weight):
    assert weight <= LARGEST_AUTO_WEIGHT
    logits, target = LOGITS[:, :1], TARGET[:, :1]
    value = build("bce(weight=auto)", (share,))(logits, target).total
    expected = functional.bce(Pixels(logits, target), weight=torch.tensor([weight]))
    assert float(value) == pytest.approx(float(expected), rel=1e-5)


def test_auto_weight_of_bce_is_per_channel():
    value = build("bce(weight=auto)", (0.75, 0.25))(LOGITS, TARGET).total
    expected = functional.bce(Pixels(LOGITS, TARGET), weight=torch.tensor([1 / 3, 3.0]))
    assert float(value) == pytest.approx(float(expected))


def test_auto_weight_of_ce_is_inverse_frequency_and_bounded():
    logits = torch.cat([LOGITS, LOGITS[:, :1]], 1)
    target = torch.cat([TARGET, torch.zeros(1, 1, 3, 4)], 1)
    target[0, :, 0, 0] = torch.tensor([0.0, 0.0, 1.0])  # the data had none: weight without end
    value = build("ce(weight=auto)", (0.8, 0.2, 0.0))(logits, target).total
    expected = functional.ce(Pixels(logits, target), weight=torch.tensor([1.0, 4.0, 100.0]))
    assert float(value) == pytest.approx(float(expected))


def test_the_kind_of_target_decides_between_softmax_and_sigmoid():
    logits, target = three_classes()
    fractions = (0.4, 0.3, 0.3)
    for kind, activation in (("multiclass", "softmax"), ("multilabel", "sigmoid")):
        value = build("dice + bce", fractions, target=kind)(logits, target).total
        pixels = Pixels(logits, target, activation=activation)
        assert float(value) == pytest.approx(float(overlap.dice(pixels) + functional.bce(pixels)))
    assert build("dice", fractions).target == "multiclass"
    assert build("dice", (0.5,)).target == "binary"
    assert build("dice", (0.5,), target="multilabel").target == "multilabel"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"target": "multi-class"}, "unknown kind of target 'multi-class': did you mean"),
        ({"target": "binary"}, "binary target needs one logit channel, the network has 2"),
        ({"balance": "atuo"}, "unknown balance 'atuo': did you mean 'auto'"),
        ({"class_names": ["a"]}, "2 logit channels but 1 class names"),
    ],
)
def test_what_does_not_fit_is_refused(options, says):
    with pytest.raises(ConfigError, match=says):
        build("dice", **options)


def test_multiclass_needs_two_channels_and_a_mapping_needs_names():
    with pytest.raises(ConfigError, match="needs two logit channels or more, the network has 1"):
        build("dice", (0.5,), target="multiclass")
    with pytest.raises(ConfigError, match="needs the names of the classes"):
        build({"a": "dice"}, (0.5,))


def test_the_number_of_fractions_must_fit():
    with pytest.raises(ConfigError, match="2 logit channels but 1 class"):
        build_loss("dice", num_logits=2, class_fractions=[1.0])


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_groups_see_their_classes_and_probabilities_among_all(kind):
    logits, target = three_classes()
    mapping = {
        "background": "dice",
        "lines": {"terms": "dice + 10*bce(weight=auto)", "classes": ["palate", "jaw"], "weight": 2},
    }
    value = build(mapping, (0.5, 0.1, 0.4), target=kind, class_names=NAMES)(logits, target)
    activation = "softmax" if kind == "multiclass" else "sigmoid"
    pixels = Pixels(logits, target, activation=activation)
    lines = pixels.select([2, 1])
    parts = {
        "background.dice": overlap.dice(pixels.select([0])),
        "lines.dice": overlap.dice(lines),
        "lines.bce": functional.bce(lines, weight=torch.tensor([1.5, 9.0])),
    }
    assert {k: float(v) for k, v in value.parts.items()} == pytest.approx(
        {k: float(v) for k, v in parts.items()}
    )
    factors = {"background.dice": 1, "lines.dice": 2, "lines.bce": 20}
    assert {k: float(v) for k, v in value.factors.items()} == factors
    expected = sum(factors[k] * float(v) for k, v in parts.items())
    assert float(value.total) == pytest.approx(expected)


def test_classes_without_a_loss_have_no_gradient_under_the_sigmoid():
    logits, target = three_classes()
    logits.requires_grad_()
    mapping = {"background": "none", "jaw": "dice", "palate": "bce"}
    loss = build(mapping, (0.5, 0.1, 0.4), target="multilabel", class_names=NAMES)
    loss(logits, target).total.backward()
    assert (logits.grad[:, 0] == 0).all()
    assert (logits.grad[:, 1:] != 0).all()


def test_one_group_of_all_classes_is_the_line():
    logits, target = three_classes()
    fractions = (0.5, 0.1, 0.4)
    line = build("dice + ce + cldice", fractions)(logits, target).total
    named = build({"all": "dice + ce + cldice"}, fractions, class_names=NAMES)(logits, target).total
    assert float(line) == float(named)


def test_balance_brings_terms_to_one_magnitude_and_keeps_that_of_the_whole():
    logits, target = three_classes()
    plain = build("dice + 3*bce + 100*focal", (0.3,) * 3)(logits, target)
    value = build("dice + 3*bce + 100*focal", (0.3,) * 3, balance="auto")(logits, target)
    shares = {k: float(value.parts[k] * value.factors[k]) for k in value.parts}
    assert shares["bce"] / shares["dice"] == pytest.approx(3)
    assert shares["focal"] / shares["dice"] == pytest.approx(100)
    assert float(value.total) == pytest.approx(float(plain.total))
    assert sum(shares.values()) == pytest.approx(float(value.total))


def test_balance_follows_running_means_of_the_values_only():
    loss = build("dice + bce", (0.5,), balance="auto")
    seen = []
    for step in range(4):
        logits, target = LOGITS[:, :1] * (step + 1), TARGET[:, :1]
        logits.requires_grad_()
        value = loss(logits, target)
        seen.append(torch.stack([*value.parts.values()]))
        weights = torch.tensor([DECAY ** (step - k) for k in range(step + 1)])
        means = (torch.stack(seen) * weights[:, None]).sum(0) / weights.sum()
        expected = means.mean() / means
        assert [float(f) for f in value.factors.values()] == pytest.approx(expected.tolist())
    before = {k: v.clone() for k, v in loss.state().items()}
    with torch.no_grad():
        loss(LOGITS[:, :1] * 9, TARGET[:, :1])
    loss(LOGITS[:, :1] * 9, TARGET[:, :1], is_auxiliary=True)
    loss(LOGITS[:, :1] * torch.nan, TARGET[:, :1])
    assert loss.state() == before


def test_the_balance_goes_on_exactly_after_saving_and_loading(tmp_path):
    steps = [three_classes(seed) for seed in range(6)]
    straight = build("dice + 50*focal", (0.3,) * 3, balance="auto")
    totals = [straight(*step).total for step in steps]
    first = build("dice + 50*focal", (0.3,) * 3, balance="auto")
    for step in steps[:3]:
        first(*step)
    torch.save(first.state(), tmp_path / "state.pt")
    second = build("dice + 50*focal", (0.3,) * 3, balance="auto")
    second.load_state(torch.load(tmp_path / "state.pt", weights_only=True))
    assert [second(*step).total for step in steps[3:]] == totals[3:]
    assert set(second.state()) == {"mean.dice", "mean.focal", "mass"}


def test_the_state_of_another_mixture_is_refused():
    balanced = build("dice + bce", (0.5,), balance="auto")
    with pytest.raises(ConfigError, match=r"unknown term 'focal'.*resume with the loss"):
        balanced.load_state(build("dice + focal", (0.5,), balance="auto").state())
    plain = build("dice + bce", (0.5,))
    assert plain.state() == {}
    plain.load_state({})
    with pytest.raises(ConfigError, match="set balance: auto to resume"):
        plain.load_state(balanced.state())
    with pytest.raises(ConfigError, match="resume with the loss"):
        balanced.load_state({})


def test_a_term_that_is_zero_does_not_run_away():
    loss = build("dice + bce", (0.5,), balance="auto")
    sure = (TARGET[:, :1] * 2 - 1) * 1e4
    value = loss(sure, TARGET[:, :1])
    assert float(value.total) == 0
    value = loss(LOGITS[:, :1], TARGET[:, :1])
    assert value.total.isfinite()
    assert all(1e-3 <= float(f) <= 1e3 for f in value.factors.values())


def test_the_balance_is_equal_on_all_ranks():
    logits, target = three_classes()
    whole = build("dice + 50*focal", (0.3,) * 3, balance="auto")
    whole(logits, target)
    sums, ranks = [], []
    plain = build("dice + 50*focal", (0.3,) * 3)
    for half in (slice(0, 1), slice(1, 2)):
        own = []
        plain(logits[half], target[half], reduce=lambda t, own=own: own.append(t) or t)
        sums.append(own)
    for half in (slice(0, 1), slice(1, 2)):
        rank = build("dice + 50*focal", (0.3,) * 3, balance="auto")
        added = iter([a + b for a, b in zip(*sums, strict=True)])
        rank(logits[half], target[half], reduce=lambda t, added=added: next(added))
        ranks.append(rank.state())
    assert ranks[0] == ranks[1]
    for key, value in whole.state().items():
        assert float(ranks[0][key]) == pytest.approx(float(value), rel=1e-6)
