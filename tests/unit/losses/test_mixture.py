"""The language of mixtures: what it computes, and where it finds mistakes."""

import pytest
import torch

from ushape.errors import ConfigError
from ushape.losses import TERMS, build_loss, functional, parse_mixture
from ushape.losses.terms import LARGEST_AUTO_WEIGHT

LOGITS = torch.linspace(-2, 2, 24).view(1, 2, 3, 4)
TARGET = torch.zeros(1, 2, 3, 4)
TARGET[:, 0, :, :3], TARGET[:, 1, :, 3:] = 1, 1


def build(text, fractions=(0.75, 0.25)):
    return build_loss(text, num_logits=len(fractions), class_fractions=fractions)


def test_a_mixture_is_the_sum_of_factor_times_term():
    value = build("dice + 10*bce(weight=3) + .5*ce")(LOGITS, TARGET)
    parts = {
        "dice": functional.dice(LOGITS, TARGET),
        "bce": functional.bce(LOGITS, TARGET, weight=torch.tensor([3.0, 3.0])),
        "ce": functional.ce(LOGITS, TARGET),
    }
    assert {k: float(v) for k, v in value.parts.items()} == pytest.approx(
        {k: float(v) for k, v in parts.items()}
    )
    expected = parts["dice"] + 10 * parts["bce"] + 0.5 * parts["ce"]
    assert float(value.total) == pytest.approx(float(expected))


def test_parts_do_not_hold_the_graph():
    logits = LOGITS.clone().requires_grad_()
    value = build("2*dice")(logits, TARGET)
    assert value.total.requires_grad
    assert not value.parts["dice"].requires_grad


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("dice(smooth=20)", {"smooth": 20.0}),
        ("dice(squared=true)", {"is_squared": True}),
        ("dice(per_image=true)", {"per_image": True}),
        ("dice(background=false)", {"with_background": False}),
    ],
)
def test_every_option_of_dice_reaches_the_formula(text, changed):
    logits, target = torch.cat([LOGITS, LOGITS.flip(3)]), torch.cat([TARGET, TARGET.flip(1)])
    value = float(build(text)(logits, target).total)
    assert value == pytest.approx(float(functional.dice(logits, target, **changed)))
    assert value != pytest.approx(float(functional.dice(logits, target)), abs=1e-4)


@pytest.mark.parametrize(
    ("share", "weight"), [(0.25, 3.0), (0.5, 1.0), (0.8, 0.25), (1e-5, 100.0), (0.0, 100.0)]
)
def test_auto_weight_of_bce_is_negatives_to_positives(share, weight):
    assert weight <= LARGEST_AUTO_WEIGHT
    logits, target = LOGITS[:, :1], TARGET[:, :1]
    value = build("bce(weight=auto)", (share,))(logits, target).total
    expected = functional.bce(logits, target, weight=torch.tensor([weight]))
    assert float(value) == pytest.approx(float(expected), rel=1e-5)


def test_auto_weight_of_bce_is_per_channel():
    value = build("bce(weight=auto)", (0.75, 0.25))(LOGITS, TARGET).total
    expected = functional.bce(LOGITS, TARGET, weight=torch.tensor([1 / 3, 3.0]))
    assert float(value) == pytest.approx(float(expected))


def test_auto_weight_of_ce_is_inverse_frequency_and_bounded():
    logits = torch.cat([LOGITS, LOGITS[:, :1]], 1)
    target = torch.cat([TARGET, torch.zeros(1, 1, 3, 4)], 1)
    target[0, :, 0, 0] = torch.tensor([0.0, 0.0, 1.0])  # the data had none: weight without end
    value = build("ce(weight=auto)", (0.8, 0.2, 0.0))(logits, target).total
    expected = functional.ce(logits, target, weight=torch.tensor([1.0, 4.0, 100.0]))
    assert float(value) == pytest.approx(float(expected))


def test_spaces_order_and_defaults():
    first, second = parse_mixture("  2.5e-1 *bce ( weight = auto )+dice(smooth=1.,squared=true)")
    assert (first.factor, first.name, first.options) == (0.25, "bce", {"weight": "auto"})
    assert (second.factor, second.name) == (1.0, "dice")
    assert second.options == {
        "smooth": 1.0, "squared": True, "per_image": False, "background": True,
    }  # fmt: skip
    assert parse_mixture("dice()") == parse_mixture("dice")


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("dise + bce", 1, "did you mean 'dice'"),
        ("dice + 3*bec", 10, "did you mean 'bce'"),
        ("dice(smoth=1)", 6, "did you mean 'smooth'"),
        ("bce(weight=1, wieght=2)", 15, "did you mean 'weight'"),
        ("bce(weight=many)", 12, "a number that is not negative or auto, found 'many'"),
        ("bce(weight=-1)", 12, "a number that is not negative"),
        ("ce(weight=2)", 11, "takes auto, found '2'"),
        ("dice(squared=1)", 14, "true or false, found '1'"),
        ("dice(smooth=auto)", 13, "a number that is not negative, found 'auto'"),
        ("bce(weight=1,weight=2)", 14, "weight stands twice"),
        ("dice + bce + dice", 14, "dice stands twice"),
        ("", 1, "expected the name of a loss (dice, bce, ce), found the end"),
        ("dice +", 7, "expected the name of a loss"),
        ("dice bce", 6, "expected + or the end, found 'bce'"),
        ("dice)", 5, "expected + or the end"),
        ("10", 3, "expected * after the factor, found the end"),
        ("10 bce", 4, "expected * after the factor, found 'bce'"),
        ("dice + 0*bce", 8, "a factor of 0"),
        ("-1*dice", 1, "expected the name of a loss"),
        ("1e999*dice", 1, "too large"),
        ("bce(weight=1e999)", 12, "too large"),
        ("bce(weight", 11, "expected = after weight, found the end"),
        ("bce(weight=", 12, "found the end"),
        ("bce(weight=1", 13, "expected , or )"),
        ("bce(weight=1,)", 14, "expected an option of bce (weight), found ')'"),
        ("bce(", 5, "expected an option of bce (weight), found the end"),
        ("dice +  ? ", 9, "'?' has no meaning"),
    ],
)
def test_a_mistake_is_named_with_its_column(text, column, says):
    with pytest.raises(ConfigError) as caught:
        parse_mixture(text)
    assert f"loss {text!r}, column {column}:" in str(caught.value)
    assert says in str(caught.value)


def test_ce_is_refused_for_a_binary_target():
    with pytest.raises(ConfigError, match=r"'dice \+ ce': ce is for several classes.*use bce"):
        build("dice + ce", (0.3,))


def test_the_number_of_fractions_must_fit():
    with pytest.raises(ConfigError, match="2 logit channels but 1 class"):
        build_loss("dice", num_logits=2, class_fractions=[1.0])


def test_every_term_and_option_is_documented():
    for term in TERMS.values():
        assert term.doc
        assert all(option.doc for option in term.options.values())
