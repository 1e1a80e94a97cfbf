"""Classes that few cases hold: how patches find them, and warnings of sides that lack them."""

from dataclasses import replace
from pathlib import Path

import pytest

from ushape.config.schema import FineConfig
from ushape.device import DeviceFacts
from ushape.labels import choose_labels
from ushape.plan import Fingerprint, Request, Split, plan_run
from ushape.plan.fine_rules import first_pass

CPU = DeviceFacts("cpu", "two cores", 2, 8 * 2**30, has_fast_bf16=False)
IDS = tuple(f"case_{number:02d}" for number in range(40))
SPLIT = Split(IDS[:30], IDS[30:], "as asked")


def data(size, holders, *, counts=None, **known):
    """Describe cases that all hold class 1, and of which `holders` hold class 2."""
    counts = counts or {0: 60, 1: 30, 2: 10}
    labels = choose_labels(counts)
    held = {case: (1, 2) if case in holders else (1,) for case in IDS}
    return Fingerprint(
        name="data",
        root=Path("data"),
        layout="images + labels",
        case_ids=IDS,
        median_size=size,
        smallest_size=size,
        largest_size=size,
        channels=1,
        value_types=("uint8",),
        value_range=(0.0, 255.0),
        labels=labels,
        class_fractions=tuple(counts[v] / sum(counts.values()) for v in labels.values),
        class_cases=(len(IDS), len(IDS), len(holders)),
        cases_classes=held,
        **known,
    )


def plan(found, split=SPLIT, **settings):
    dotted = {key.replace("__", "."): value for key, value in settings.items()}
    return plan_run(found, split, Request(budget_s=600.0, settings=dotted), CPU)


# ---------------------------------------------------------------- sampling

SIZES = pytest.mark.parametrize("size", [(256, 256), (36, 50, 35)], ids=["2D", "whole volumes"])


@SIZES
@pytest.mark.parametrize(("number", "fraction"), [(0, 0), (1, 0.33), (9, 0.33), (10, 0), (30, 0)])
def test_a_class_in_less_than_a_third_of_the_training_cases_is_sampled(size, number, fraction):
    made = plan(data(size, IDS[:number] + IDS[30:]))
    sampling = made.config.sampling
    assert (sampling.foreground_fraction, sampling.classes) == (fraction, "equal")
    if fraction:
        reason = made.reasons["sampling.foreground_fraction"]
        assert f"class_2 is in {number} of 30 training cases: a third" in reason


@SIZES
def test_where_it_is_not_known_which_cases_hold_a_class_nothing_changes(size):
    unknown = replace(data(size, IDS[:1]), cases_classes={})
    assert plan(unknown).config.sampling.foreground_fraction == 0
    assert plan(unknown).warnings == ()


def test_classes_that_are_sampled_anyway_stay_as_they_were():
    small = data((200, 200, 200), IDS[:2], counts={0: 9900, 1: 90, 2: 10})
    made = plan(small)
    assert made.config.sampling.foreground_fraction == 0.5
    assert "less than 1%" in made.reasons["sampling.foreground_fraction"]


def test_a_share_of_patches_set_by_hand_is_kept():
    made = plan(data((256, 256), IDS[:2]), sampling__foreground_fraction=0.0)
    assert made.config.sampling.foreground_fraction == 0
    assert made.reasons["sampling.foreground_fraction"] == "set by hand"


def test_slices_of_a_stack_are_called_slices():
    groups = dict.fromkeys(IDS, "stack")
    made = plan(data((40, 64, 64), IDS[:2], is_stack=True, groups=groups))
    assert "2 of 30 training slices" in made.reasons["sampling.foreground_fraction"]


def test_a_first_pass_knows_which_cases_hold_the_class_with_small_ones_in_it():
    found = data((256, 256), IDS[:2], counts={0: 50, 1: 30, 2: 10, 3: 10})
    held = {IDS[0]: (1, 2), IDS[1]: (3,), IDS[2]: (), IDS[3]: (2,)}
    found = replace(found, class_cases=(40, 1, 2, 1), cases_classes=held)
    seen = first_pass(found, FineConfig(classes=("class_2",), within="class_3"))
    assert seen.labels.names == ("background", "class_1", "class_3")
    assert seen.cases_classes == {IDS[0]: (1, 2), IDS[1]: (2,), IDS[2]: (), IDS[3]: (2,)}


# ---------------------------------------------------------------- warnings


@SIZES
def test_a_class_on_one_side_only_is_warned_of_once(size):
    (never,) = plan(data(size, IDS[30:])).warnings
    assert never == (
        "no training case holds class_2, which cannot be learnt: choose other cases with --val"
    )
    (unseen,) = plan(data(size, IDS[:20])).warnings
    assert unseen.startswith("no validation case holds class_2, which has no score: choose other")
    assert plan(data(size, IDS[20:])).warnings == ()


def test_a_class_of_a_single_case_cannot_be_moved():
    (lone,) = plan(data((256, 256), IDS[:1])).warnings
    assert lone.endswith("label more cases with it")


def test_without_validation_no_side_is_missing():
    assert plan(data((256, 256), IDS[:20]), Split(IDS, (), "none")).warnings == ()


def test_a_stack_lacks_slices_and_many_classes_are_counted():
    counts = {0: 50} | dict.fromkeys(range(1, 7), 10)
    found = data((40, 64, 64), IDS[:2], counts=counts, is_stack=True)
    found = replace(found, cases_classes=dict.fromkeys(IDS, (1,)), class_cases=(40,) * 7)
    trained, validated = plan(found).warnings
    assert "no training slice holds class_2, class_3, class_4 and 2 more" in trained
    assert "no validation slice" in validated
