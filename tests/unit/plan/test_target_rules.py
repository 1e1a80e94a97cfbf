"""What the planner reads out of a loss, and which loss graded targets get."""

from pathlib import Path

import pytest

from ushape.device import DeviceFacts
from ushape.labels import LabelClass, LabelTable
from ushape.plan import Fingerprint, Request, Split, plan_run
from ushape.plan.choices import Choices
from ushape.plan.target_rules import (
    choose_lines,
    choose_loss,
    choose_thresholds,
    hard_overlap_warning,
)


def data_of(*names, fractions=None, kind="multilabel", dims=2):
    labels = LabelTable(
        tuple(LabelClass(name, n) for n, name in enumerate(("background", *names))),
        kind=kind,
        form="channels" if kind == "multilabel" else "index",
    )
    size = (64,) * dims
    return Fingerprint(
        name="data",
        root=Path("data"),
        layout="images + labels",
        case_ids=("a", "b"),
        median_size=size,
        smallest_size=size,
        largest_size=size,
        channels=1,
        value_types=("uint8",),
        value_range=(0.0, 255.0),
        labels=labels,
        class_fractions=fractions or (0.5, *(0.2 for _ in names)),
        class_cases=(2,) * (len(names) + 1),
    )


def thresholds(loss, *names):
    choices = Choices({"loss": loss})
    choices.values["loss"] = loss
    choose_thresholds(choices, data_of(*(names or ("cell", "wall"))))
    return choices.values["train.thresholds"], choices.reasons.get("train.thresholds", "")


@pytest.mark.parametrize(
    "loss",
    [
        "dice + bce",
        "dice(class_weight=[1,2]) + bce(class_weight=auto)",
        "bce(weight=1) + dice",
        "bce(weight=[1, 1])",
        "tversky(alpha=0.5, beta=0.5)",
        {"focal_lesion": "dice", "cell": {"terms": "bce", "weight": 3}},
    ],
)
def test_what_only_looks_like_a_weight_moves_no_probability(loss):
    assert thresholds(loss, "focal_lesion", "cell") == ("lines", "")


@pytest.mark.parametrize(
    ("loss", "why"),
    [
        ("dice + focal", "focal in"),
        ("bce( weight = auto )", "bce(weight) in"),
        ("bce(weight=[1, 4])", "bce(weight) in"),
        ("tversky(alpha=0.05,beta=0.95)", "tversky(alpha, beta) in"),
        ("tversky", "tversky(alpha, beta) in"),
        (
            {"cell": "tversky + bce(weight=2)", "wall": {"terms": "focal + bce(weight=3)"}},
            "tversky(alpha, beta), bce(weight) and focal in",
        ),
    ],
)
def test_terms_that_move_probabilities_are_named(loss, why):
    chosen, reason = thresholds(loss)
    assert chosen == "all"
    assert reason.startswith(why + " the loss")


def learnt(data, **settings):
    choices = Choices({key.replace("__", "."): value for key, value in settings.items()})
    choose_lines(choices, data)
    choose_loss(choices, data)
    return choices


DISTANCE = {"lines__classes": ["cell"], "lines__mode": "distance"}


@pytest.mark.parametrize("fractions", [(0.6, 0.2, 0.2), (0.799, 0.001, 0.2)])
@pytest.mark.parametrize("kind", ["multilabel", "multiclass"])
def test_graded_classes_get_the_dice_whose_best_answer_is_their_target(kind, fractions):
    data = data_of("cell", "wall", kind=kind, fractions=fractions)
    graded = learnt(data, **DISTANCE)
    assert "dice(squared=true)" in str(graded.values["loss"])
    assert "graded targets of lines" in graded.reasons["loss"]
    assert hard_overlap_warning(graded, data) == ()
    for other in ({}, {"lines__classes": ["cell"]}):  # blurred: extra outputs, another loss
        assert "squared" not in str(learnt(data, **other).values["loss"])


def test_a_hard_loss_by_hand_for_graded_classes_is_told():
    data = data_of("cell", "wall")
    (told,) = hard_overlap_warning(learnt(data, loss="dice + bce", **DISTANCE), data)
    assert "dice in the loss pulls the graded target of cell" in told
    assert "take dice(squared=true)" in told
    both = {"lines__classes": ["cell", "wall"], "lines__mode": "distance"}
    by_class = {"cell": "dice + bce", "wall": "dice + bce"}
    (told,) = hard_overlap_warning(learnt(data, loss=by_class, **both), data)
    assert "graded target of cell and wall" in told
    for fine in (
        {"loss": "dice(squared=true) + bce", **DISTANCE},
        {"loss": {"wall": "dice", "cell": "bce"}, **DISTANCE},
        {"loss": "dice + bce", "lines__classes": ["cell"]},
        {"loss": "dice + bce"},
    ):
        assert hard_overlap_warning(learnt(data, **fine), data) == ()


def test_the_plan_warns_of_it():
    data, cpu = (
        data_of("cell", "wall"),
        DeviceFacts("cpu", "two cores", 2, 8 * 2**30, has_fast_bf16=False),
    )
    told = {}
    for loss in ("tversky(alpha=0.5, beta=0.5)", "dice(squared=true)"):
        settings = {
            "loss": loss,
            "lines.classes": ("cell",),
            "lines.mode": "distance",
        }
        request = Request(budget_s=600.0, settings=settings)
        warnings = plan_run(data, Split(("a",), ("b",), "as asked"), request, cpu).warnings
        told[loss] = [text for text in warnings if "graded target" in text]
    assert [len(texts) for texts in told.values()] == [1, 0]
    assert told["tversky(alpha=0.5, beta=0.5)"][0].startswith("tversky in the loss")
