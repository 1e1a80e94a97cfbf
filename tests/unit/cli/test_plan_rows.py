"""What `ushape plan` prints: every choice that matters, with its reason, in a hundred columns."""

import re

import pytest

from ushape.cli.plan_rows import WIDTH, Row, plan_rows, row_lines
from ushape.cli.texts import fingerprint_lines, plan_lines
from ushape.config.load import read_assignments
from ushape.data.synth import write_dataset
from ushape.workflow import plan


def flat(lines):
    """Undo the line breaks."""
    return " ".join(" ".join(lines).split())


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures") / "data"
    return write_dataset("cells", root, cases=6, size=(64, 64), seed=0)


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    root = tmp_path_factory.mktemp("volumes") / "data"
    return write_dataset(
        "discs", root, cases=4, size=(16, 32, 32), seed=0, spacing_mm=(4.0, 1.0, 1.0)
    )


def plans(pictures, volumes):
    return {
        "pictures": plan(pictures, steps=20),
        "volumes": plan(volumes, steps=20),
        "stack": plan(pictures, steps=20, stack="50e-6x4e-6x4e-6"),
    }


def test_every_choice_that_matters_is_printed_with_its_reason(pictures, volumes):
    common = ("model.name", "model.options", "patch.size", "patch.batch", "loss", "augment")
    common += ("preprocess.normalise", "optimizer.learning_rate", "tiling.tile_size")
    for kind, prepared in plans(pictures, volumes).items():
        text, reasons = flat(plan_lines(prepared)), prepared.plan.reasons
        keys = common if kind == "pictures" else (*common, "preprocess.spacing_mm")
        assert [key for key in keys if reasons[key] not in text] == [], kind
        assert reasons["tiling.mirror"].partition(": ")[2] in text
        assert ("voxels " in text.partition("split ")[2]) is (kind != "pictures")
        assert prepared.plan.split.reason in text


def test_what_is_printed_fits_a_terminal(pictures, volumes):
    for prepared in plans(pictures, volumes).values():
        known = len(fingerprint_lines(prepared.plan.fingerprint))
        lines = plan_lines(prepared)[known:]
        assert max(map(len, lines)) <= WIDTH
        assert all(re.match(r"(\w+ +| {9})\S", line) or line[:10].isspace() for line in lines)
        assert lines[0].startswith("split    ")
        assert lines[-1].startswith("device   ")


def test_what_is_not_the_usual_has_a_line_and_else_none(volumes):
    settings = {
        "sampling.foreground_fraction": 0.4,
        "preprocess.clip": [0.5, 99.5],
        "preprocess.nonzero": True,
        "preprocess.crop": "nonzero",
        "preprocess.spacing_mm": [2.0, 2.0, 2.0],
        "augment.flip": False,
    }
    said = (
        "sampling 40% of the patches are centred on a class (set by hand)",
        "clipped to the percentiles 0.5 and 99.5 of each image (set by hand)",
        "mean and deviation of what is not zero (set by hand)",
        "borders of zeros are cut off (set by hand)",
        "voxels resampled to 2 x 2 x 2 mm (set by hand)",
        "not mirrored (set by hand)",
    )
    usual = flat(plan_lines(plan(volumes, steps=20)))
    by_hand = read_assignments(f"{key}={value}" for key, value in settings.items())
    text = flat(plan_lines(plan(volumes, steps=20, settings=by_hand)))
    assert [line for line in said if line not in text] == []
    assert [line for line in said if line.partition(" (set")[0] in usual] == [said[-1]]


def test_ct_is_clipped_to_values_of_all_scans(volumes):
    settings = read_assignments(
        ["preprocess.normalise=ct", "preprocess.intensity=[[-100, 300, 40, 60]]"]
    )
    text = flat(plan_lines(plan(volumes, steps=20, settings=settings)))
    assert "values ct (set by hand) clipped to -100 .. 300, mean 40, deviation 60" in text


def test_reasons_that_an_older_run_has_not_are_left_out(pictures):
    prepared = plan(pictures, steps=20)
    prepared.plan.reasons.clear()
    rows = {row.title: row for row in plan_rows(prepared)}
    assert "augment" not in rows
    assert row_lines(rows["loss"]) == ["loss     dice + bce"]


def test_a_short_reason_stands_behind_and_long_ones_beneath():
    assert row_lines(Row("loss", "dice", ("why",))) == ["loss     dice  (why)"]
    assert row_lines(Row("loss", "dice", ("",))) == ["loss     dice"]
    assert row_lines(Row("loss", "dice", ("why", "", "and"))) == [
        "loss     dice",
        "         (why)",
        "         (and)",
    ]
    words = " ".join(["word"] * 40)
    lines = row_lines(Row("loss", "dice", (words,)))
    assert lines[0] == "loss     dice"
    assert lines[1].startswith("         (word word")
    assert lines[2].startswith("          word")
    assert flat(lines[1:]) == f"({words})"
