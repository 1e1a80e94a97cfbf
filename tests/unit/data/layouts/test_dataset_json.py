"""`dataset.json`: regions, and the order in which nnU-Net paints them."""

import pytest

from ushape.data.layouts.dataset_json import describe

LABELS = {"background": 0, "whole": [1, 2, 3], "inner": [2, 3], "core": 3, "ignore": 4}


def wish(labels, order=None):
    return describe({"labels": labels, "regions_class_order": order}).wish


def test_values_that_only_stand_in_regions_are_known_and_marked():
    found = wish(LABELS)
    assert list(found.names.items()) == [
        *(("background", 0), ("label_1", 1), ("label_2", 2), ("core", 3))
    ]
    assert found.parts_only == ("label_1", "label_2")
    assert found.regions == {"whole": ("label_1", "label_2", "core"), "inner": ("label_2", "core")}
    assert found.ignore == 4
    assert found.order == {}


def test_the_order_of_classes_is_that_of_the_file():
    labels = {"ignore": 4, "core": [3], "background": [0], "inner": [2, 3], "whole": [1, 2, 3]}
    found = wish(labels, [3, 2, 1])
    assert list(found.order.items()) == [("core", 3), ("inner", 2), ("whole", 1)]


def test_an_order_without_regions_means_nothing():
    assert wish({"background": 0, "a": 1}, [1, 2, 3]).order == {}


@pytest.mark.parametrize(
    ("order", "why"),
    [
        ([1, 2], "2 numbers for the 3 classes whole, inner, core"),
        ([1, 2, 9], "has 9, which is no value of a label"),
    ],
)
def test_an_order_that_does_not_fit_is_refused(order, why):
    with pytest.raises(ValueError, match=why):
        wish(LABELS, order)


def test_parts_of_regions_get_names_that_nobody_has():
    wish = describe({"labels": {"background": 0, "label_1": 2, "w": [1, 2, 3]}}).wish
    assert wish.names == {"background": 0, "label_1_": 1, "label_1": 2, "label_3": 3}
    assert wish.regions == {"w": ("label_1_", "label_1", "label_3")}
    assert wish.parts_only == ("label_1_", "label_3")
