"""What is said of a data set: units, groups, modality, volumes of classes."""

from dataclasses import replace
from pathlib import Path

import pytest

from ushape.labels import LabelClass, LabelTable
from ushape.plan import Fingerprint
from ushape.plan.intensity import Intensity
from ushape.workflow.data_facts import data_facts, format_lengths, format_volume

FOUND = Fingerprint(
    name="scans",
    root=Path("scans"),
    layout="images + labels",
    case_ids=("a", "b", "c"),
    median_size=(30, 512, 512),
    smallest_size=(30, 512, 512),
    largest_size=(30, 512, 512),
    channels=1,
    value_types=("int16",),
    value_range=(-1024.0, 3071.0),
    labels=LabelTable((LabelClass("rest", 0), LabelClass("liver", 1)), reason="as named"),
    class_fractions=(0.9, 0.1),
    class_cases=(3, 2),
    spacing_mm=(5.0, 0.7, 0.7),
    smallest_spacing_mm=(5.0, 0.7, 0.7),
    largest_spacing_mm=(5.0, 0.7, 0.7),
    content_size=(30, 512, 512),
)


def text(found):
    return {title: "\n".join(lines) for title, lines in data_facts(found)}


def test_sizes_in_voxels_and_in_lengths():
    said = text(FOUND)["images"]
    assert "30 x 512 x 512 voxels z y x, 1 channel, int16, values -1024 to 3071" in said
    assert "150 x 358.4 x 358.4 mm large, voxels of 5 x 0.7 x 0.7 mm" in said
    assert "without empty borders" not in said
    assert (
        "without empty borders 30 x 400 x 300"
        in text(replace(FOUND, content_size=(30, 400, 300)))["images"]
    )


def test_unknown_spacing_is_said():
    said = text(replace(FOUND, spacing_mm=None))["images"]
    assert "do not tell the edges" in said
    assert " mm" not in said


def test_computed_tomography_shows_its_window():
    inside = (Intensity(-40.0, 200.0, 100.5, 30.25),)
    assert (
        "-40 to 200 (99 %), mean 100.5"
        in text(replace(FOUND, modality="ct", intensities=inside))["images"]
    )
    assert "99 %" not in text(replace(FOUND, intensities=inside))["images"]


def test_groups_are_counted_the_largest_first():
    found = replace(FOUND, groups={"a": "anna", "b": "ben", "c": "ben"})
    assert text(found)["groups"] == "2 subjects (ben: 2, anna: 1)"
    assert (
        "1 of 3 cases belong to none" in text(replace(FOUND, groups={"a": "x", "b": "x"}))["groups"]
    )
    stack = replace(FOUND, is_stack=True, groups=dict.fromkeys("abc", "s"))
    assert text(stack)["groups"] == "1 stack (s: 3)"
    assert "3 slices" in text(stack)["data"]
    assert "groups" not in text(FOUND)


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ((50e-6, 4e-6, 4e-6), "50 x 4 x 4 nm"),
        ((1e-3, 0.2e-3, 0.2e-3), "1 x 0.2 x 0.2 µm"),
        ((0.3, 0.08, 0.08), "0.3 x 0.08 x 0.08 mm"),
        ((2.5, 2.5, 5.0), "2.5 x 2.5 x 5 mm"),
    ],
)
def test_lengths_have_a_unit_that_people_use(edges, expected):
    assert format_lengths(edges) == expected


def test_volumes_have_a_unit_that_people_use():
    assert format_volume(1.5e6) == "1.5e+03 cm³"
    assert format_volume(250.0) == "0.25 cm³"
    assert format_volume(20.0) == "20 mm³"
    assert format_volume(4e-9) == "4 µm³"
