"""Small classes within a large one: tables, targets and probabilities of two passes."""

import numpy as np
import pytest
import torch

from ushape.config.schema import FineConfig
from ushape.data.contacts import count_contacts
from ushape.data.fine import (
    check_fine,
    coarse_table,
    fine_table,
    join_passes,
    looked_into,
    recode,
    small_sets,
    small_thresholds,
    within_mask,
)
from ushape.data.targets import VOID, class_masks, encode_labels, encode_masks, most_likely
from ushape.errors import ConfigError
from ushape.labels import LabelClass, LabelTable

SPINE = LabelTable(
    (
        LabelClass("background", 0),
        LabelClass("disc", 10),
        LabelClass("knob", 30),
        LabelClass("vertebra", 20),
    ),
    ignore=99,
)
FINE = FineConfig(classes=("knob",), within="disc")
VALUES = np.array([[0, 10, 30, 20], [99, 30, 10, 0]])


class TestExclusive:
    def test_the_coarse_table_encodes_files_as_recoding_does(self):
        coarse = coarse_table(SPINE, FINE)
        assert coarse.names == ("background", "disc", "vertebra")
        full = torch.from_numpy(encode_labels(VALUES, SPINE))
        expected = encode_labels(VALUES, coarse)  # by another way: the values themselves
        assert recode(full, SPINE, FINE).numpy().tolist() == expected.tolist()
        assert expected.tolist() == [[0, 1, 1, 2], [VOID, 1, 1, 0]]

    def test_the_mask_that_is_looked_into_holds_the_small_class(self):
        mask = within_mask(encode_labels(VALUES, SPINE), SPINE, FINE)
        assert mask.tolist() == [[False, True, True, False], [False, True, True, False]]

    def test_sets_of_small_classes_keep_void(self):
        sets = small_sets(encode_labels(VALUES, SPINE), SPINE, FINE)
        assert sets.tolist() == [[0, 0, 2, 0], [1, 2, 0, 0]]
        table = fine_table(SPINE, FINE)
        assert table.logit_names == ("knob",)
        assert (class_masks(sets, table)[0] == (VALUES == 30)).all()

    def test_two_classes_are_left_of_three(self):
        table = LabelTable(SPINE.classes[:3])
        coarse = coarse_table(table, FINE)
        assert (coarse.target, coarse.num_logits) == ("binary", 1)

    def test_several_values_of_a_class_stay_with_it(self):
        table = LabelTable(
            (LabelClass("background", 0), LabelClass("disc", 1, (1, 5)), LabelClass("knob", 2))
        )
        assert coarse_table(table, FINE).classes[1].members == (1, 5, 2)


class TestOverlapping:
    TABLE = LabelTable(
        tuple(
            LabelClass(name, n) for n, name in enumerate(["background", "whole", "knob", "cord"])
        ),
        kind="multilabel",
        form="folders",
        ignore=7,
    )
    FINE = FineConfig(classes=("knob",), within="whole")
    MASKS = np.array([[[1, 1, 0, 0]], [[0, 1, 1, 0]], [[0, 1, 0, 0]]], bool)
    NO_VOID = np.array([[0, 0, 0, 1]], bool)

    def test_the_small_class_is_dropped_and_nothing_else_changes(self):
        full = encode_masks(self.MASKS, self.NO_VOID, self.TABLE)
        coarse = coarse_table(self.TABLE, self.FINE)
        assert coarse.logit_names == ("whole", "cord")
        found = recode(torch.from_numpy(full), self.TABLE, self.FINE).numpy()
        assert (class_masks(found, coarse) == self.MASKS[[0, 2]]).all()
        assert (found & 1).tolist() == [[0, 0, 0, 1]]

    def test_regions_are_those_of_the_large_class_alone(self):
        full = encode_masks(self.MASKS, self.NO_VOID, self.TABLE)
        assert within_mask(full, self.TABLE, self.FINE).tolist() == [[True, True, False, False]]
        assert small_sets(full, self.TABLE, self.FINE).tolist() == [[0, 2, 2, 1]]

    def test_joined_in_the_order_of_all_classes(self):
        first = np.array([[[0.9]], [[0.2]]], np.float32)
        joined = join_passes(first, np.array([[[0.6]]], np.float32), self.TABLE, self.FINE)
        np.testing.assert_allclose(joined[:, 0, 0], [0.9, 0.6, 0.2])

    def test_looked_into_from_one_half_on(self):
        coarse = coarse_table(self.TABLE, self.FINE)
        found = looked_into(np.array([[[0.6, 0.4]], [[0.9, 0.9]]]), coarse, self.FINE)
        assert found.tolist() == [[True, False]]


class TestJoin:
    def test_probabilities_add_up_and_half_decides(self):
        rng = np.random.default_rng(0)
        first = rng.dirichlet(np.ones(3), (5, 5)).transpose(2, 0, 1).astype(np.float32)
        second = rng.random((1, 5, 5)).astype(np.float32)
        joined = join_passes(first, second, SPINE, FINE)
        np.testing.assert_allclose(joined.sum(0), 1, rtol=1e-5)
        np.testing.assert_array_equal(joined[2], second[0])
        chosen = most_likely(joined, SPINE, small_thresholds(FINE))
        assert ((chosen == 2) == (second[0] > 0.5)).all()
        others = np.array([0, 1, 3])[first.argmax(0)]
        assert (chosen[chosen != 2] == others[chosen != 2]).all()

    def test_one_coarse_channel(self):
        table = LabelTable(SPINE.classes[:3])
        joined = join_passes(
            np.array([[[0.8]]], np.float32), np.array([[[0.25]]], np.float32), table, FINE
        )
        np.testing.assert_allclose(joined[:, 0, 0], [0.15, 0.6, 0.25], rtol=1e-6)

    def test_of_several_small_classes_the_likeliest_keeps_its_probability(self):
        fine = FineConfig(classes=("knob", "vertebra"), within="disc")
        second = np.array([[[0.9, 0.2]], [[0.7, 0.3]]], np.float32)
        joined = join_passes(np.full((1, 1, 2), 0.5, np.float32), second, SPINE, fine)
        np.testing.assert_allclose(joined.sum(0), 1, rtol=1e-5)
        np.testing.assert_allclose(joined[2:, 0, 0], [0.9, 0.1], rtol=1e-5)
        np.testing.assert_allclose(joined[2:, 0, 1], [0.2, 0.3], rtol=1e-5)
        assert most_likely(joined, SPINE, small_thresholds(fine))[0, 0] == 2


@pytest.mark.parametrize(
    ("fine", "words"),
    [
        (FineConfig(classes=("knbo",), within="disc"), "fine.classes.*knob"),
        (FineConfig(classes=("knob",), within="dics"), "fine.within.*disc"),
        (FineConfig(classes=("knob",)), "fine.within"),
        (FineConfig(classes=("disc",), within="disc"), "large class"),
        (FineConfig(classes=("knob", "knob"), within="disc"), "twice"),
    ],
)
def test_refusals(fine, words):
    with pytest.raises(ConfigError, match=words):
        check_fine(SPINE, fine)


def test_contacts_count_what_touches_and_what_covers():
    target = np.zeros((8, 8), np.uint8)
    target[2:4, 2:4] = 2  # knob
    target[2:4, 0:2] = 1  # disc beside it
    target[4, 4] = 3  # vertebra at its corner
    target[7, 7] = 3  # and far away
    assert count_contacts(target, SPINE, ["knob"]) == {"disc": 2, "vertebra": 1}
    sets = np.zeros((4, 4), np.uint8)
    sets[1:3, 1:3] = 0b110
    assert count_contacts(sets, TestOverlapping.TABLE, ["knob"]) == {"whole": 4, "cord": 0}
    assert count_contacts(np.zeros((4, 4), np.uint8), SPINE, ["knob"]) == {"disc": 0, "vertebra": 0}
