"""What a person says of labels is laid over what a file beside the data tells, field by field."""

from dataclasses import replace

import numpy as np
import pytest

from ushape.data.layouts.dataset_json import describe
from ushape.data.targets import class_masks, encode_labels, paint_masks
from ushape.labels import LabelClass, LabelTable, LabelWish, choose_labels, join_wishes

SPINE = {"background": 0, "whole": [1, 2, 3], "inner": [2, 3], "core": 3, "ignore": 4}
TOLD = describe({"labels": SPINE, "regions_class_order": [1, 2, 3]}).wish
NAMED = {"background": 0, "label_1": 1, "label_2": 2, "core": 3}
PLAIN = LabelWish(names={"background": 0, "a": 1, "b": 2}, ignore=9)


def table(wish, values=(0, 1, 2, 3, 4)):
    """Choose the classes of labels that hold these values."""
    return choose_labels(
        dict.fromkeys(values, 1),
        foreground=wish.foreground,
        names=wish.names,
        target=wish.target,
        ignore=wish.ignore,
        regions=wish.regions,
        parts_only=wish.parts_only,
        order=wish.order,
    )


def test_nothing_said_is_all_that_the_file_tells():
    assert join_wishes(LabelWish(), TOLD) == TOLD
    said = LabelWish(foreground="1", ignore=3)
    assert join_wishes(said, None) == said


def test_a_recorded_table_wins_over_all_of_the_file():
    said = LabelWish(table=LabelTable((LabelClass("background", 0), LabelClass("x", 1))))
    assert join_wishes(said, TOLD) == said
    assert join_wishes(said, TOLD).void is None


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (LabelWish(target="multilabel"), {"names", "ignore", "regions", "parts_only", "order"}),
        (LabelWish(target="multiclass"), {"names", "ignore"}),
        (LabelWish(target="binary"), {"names", "ignore"}),
        (LabelWish(foreground="core"), {"names", "ignore"}),
        (LabelWish(regions={"both": ("core", "label_1")}), {"names", "ignore"}),
        (LabelWish(target="instances"), {"ignore"}),
        (LabelWish(target="instances+border", ignore=7), set()),
    ],
)
def test_each_field_is_the_persons_where_it_is_said(said, kept):
    """One flag threw all of the file away, and void became a class."""
    assert join_wishes(said, TOLD) == replace(said, **{name: getattr(TOLD, name) for name in kept})


def test_the_void_value_of_the_file_is_no_class_whatever_target_is_asked_for():
    found = table(join_wishes(LabelWish(target="multiclass"), TOLD))
    assert found.names == ("background", "label_1", "label_2", "core")
    assert (found.ignore, found.target) == (4, "multiclass")


def test_a_value_is_named_or_void_as_the_person_says():
    void = join_wishes(LabelWish(ignore=2), PLAIN)
    assert (void.names, void.ignore) == ({"background": 0, "a": 1}, 2)
    named = join_wishes(LabelWish(names={"rest": 0, "c": 9}), PLAIN)
    assert (named.names, named.ignore) == ({"rest": 0, "c": 9}, None)
    of_regions = join_wishes(LabelWish(ignore=2), TOLD)
    assert of_regions.regions == {"whole": ("label_1", "core"), "inner": ("core",)}
    assert set(of_regions.parts_only) == {"label_1"}


def test_regions_outlive_other_names_for_their_values():
    said = LabelWish(names={"nothing": 0, "rim": 1, "flesh": 2, "stone": 3})
    joined = join_wishes(said, TOLD)
    assert joined.regions == {"whole": ("rim", "flesh", "stone"), "inner": ("flesh", "stone")}
    assert joined.parts_only == ()  # a person names classes
    assert table(joined).names[1:] == ("rim", "flesh", "stone", "whole", "inner")


def test_the_order_of_painting_follows_new_names():
    told = describe(
        {"labels": {"bg": 0, "all": [1, 2], "a": 1, "b": 2}, "regions_class_order": [1, 1, 2]}
    ).wish
    joined = join_wishes(LabelWish(names={"bg": 0, "x": 1, "y": 2}), told)
    assert list(joined.order.items()) == [("all", 1), ("x", 1), ("y", 2)]


def test_what_no_label_holds_is_left_out():
    joined = join_wishes(LabelWish(), TOLD, {0, 1, 3})
    assert joined.names == {"background": 0, "label_1": 1, "core": 3}
    assert joined.regions == {"whole": ("label_1", "core"), "inner": ("core",)}
    assert (joined.parts_only, joined.ignore) == (("label_1",), None)
    assert join_wishes(LabelWish(), TOLD, {0, 4}) == LabelWish(ignore=4)
    said = LabelWish(names={"background": 0, "far": 77}, ignore=5)  # a person is told of it later
    assert join_wishes(said, TOLD, {0, 1}).names == said.names
    assert join_wishes(said, TOLD, {0, 1}).ignore == 5


def test_parts_of_regions_are_no_classes_and_their_pixels_are_in_the_regions():
    found = table(TOLD)
    assert found.logit_names == ("core", "whole", "inner")  # nnU-Net trains these three
    values = np.array([0, 1, 2, 3, 4])
    np.testing.assert_array_equal(
        class_masks(encode_labels(values, found), found),
        [[0, 0, 0, 1, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 0]],
    )
    assert LabelTable.from_json(found.to_json()) == found


@pytest.mark.parametrize("order", [[1, 2, 3], [3, 2, 1]])
def test_masks_are_painted_in_the_order_of_the_file(order):
    """The order of the table, its labels first, would paint the core under the others."""
    found = table(describe({"labels": SPINE, "regions_class_order": order}).wish)
    masks = np.random.default_rng(0).random((3, 50)) < 0.4  # core, whole, inner
    expected = np.zeros(50, int)
    for number, name in zip(order, ("whole", "inner", "core"), strict=True):  # as nnU-Net does
        expected[masks[found.names.index(name) - 1]] = number
    painted = paint_masks(masks, found)
    assert painted.dtype == np.uint8
    np.testing.assert_array_equal(painted, expected)
    assert set(expected) == {0, 1, 2, 3}


def test_only_an_order_that_fits_is_painted():
    assert table(TOLD).is_painted
    assert not table(replace(TOLD, order={})).is_painted
    assert not table(join_wishes(LabelWish(target="multiclass"), TOLD)).is_painted
    assert not table(join_wishes(LabelWish(regions={"b": ("core",)}), TOLD)).is_painted


def test_nothing_is_painted_with_the_void_value():
    joined = join_wishes(LabelWish(ignore=1), TOLD)
    assert joined.ignore == 1
    assert joined.order == {}
    assert set(joined.regions) == {"whole", "inner"}


def test_a_label_takes_its_name_from_a_region_of_the_file():
    said = LabelWish(names={"background": 0, "whole": 1, "b": 2, "c": 3})
    joined = join_wishes(said, TOLD)
    assert set(joined.regions) == {"inner"}
    assert [entry.name for entry in table(joined).foreground] == ["whole", "b", "c", "inner"]
