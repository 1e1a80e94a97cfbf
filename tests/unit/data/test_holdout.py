"""Fractions and folds: which cases they hold out, and what they keep together."""

import pytest

from ushape.data.holdout import CaseFacts, fold_positions
from ushape.data.selection import choose_cases
from ushape.errors import ConfigError

LETTERS = [f"case_{letter}" for letter in "abcdefghijklmnopqrst"]
SLICES = {f"{stack}_{n:02d}": stack for stack in ("left", "right") for n in range(10)}


@pytest.mark.parametrize(
    ("count", "of", "folds"),
    [
        (5, 5, [[0], [4], [3], [1], [2]]),
        (7, 3, [[3, 4, 6], [0, 1], [2, 5]]),
        (10, 5, [[0, 7], [3, 9], [4, 6], [1, 8], [2, 5]]),
        (13, 4, [[0, 3, 7, 9], [6, 8, 10], [4, 11, 12], [1, 2, 5]]),
    ],
)
def test_folds_are_those_of_scikit_learn(count, of, folds):
    """`KFold(of, shuffle=True, random_state=12345)` of scikit-learn 1.9.1 printed these."""
    assert [fold_positions(count, number, of) for number in range(of)] == folds


def test_a_large_set_has_the_folds_of_scikit_learn():
    first = [fold_positions(260, number, 5)[:6] for number in range(5)]
    assert first == [
        [9, 10, 16, 18, 20, 30],
        [1, 14, 15, 17, 19, 26],
        [2, 4, 8, 13, 24, 25],
        [0, 3, 6, 12, 21, 22],
        [5, 7, 11, 23, 29, 31],
    ]
    whole = sorted(place for number in range(5) for place in fold_positions(260, number, 5))
    assert whole == list(range(260))


def test_folds_go_over_the_names_in_the_order_of_characters():
    """As nnU-Net sorts them: scan_10 before scan_2."""
    ids = [f"scan_{number}" for number in range(13)]
    by_name = sorted(ids)
    chosen = choose_cases(ids, "fold 1 of 4")
    assert set(chosen.ids) == {by_name[place] for place in (6, 8, 10)}
    assert chosen == choose_cases(ids[::-1], "Fold  1 of 4", seed=9)
    assert "fold 1 of 4" in chosen.reason


def test_numbered_volumes_and_pictures_have_the_same_folds():
    ids = [f"{number:02d}" for number in range(10)]
    for facts in (CaseFacts(), CaseFacts(are_volumes=True)):
        assert choose_cases(ids, "fold 0 of 5", facts=facts).ids == ("00", "07")


@pytest.mark.parametrize(
    ("selection", "says"),
    [
        ("fold 5 of 5", "numbered from 0 to 4"),
        ("fold 0 of 1", "two folds or more"),
        ("fold 0 of 21", "20 cases cannot be divided into 21 folds"),
    ],
)
def test_folds_that_do_not_exist_are_refused(selection, says):
    with pytest.raises(ConfigError, match=says):
        choose_cases(LETTERS, selection)


def test_subjects_are_not_divided():
    groups = {case: f"patient_{number // 4}" for number, case in enumerate(LETTERS)}
    facts = CaseFacts(groups=groups)
    for selection in ("0.2", "0.5", "fold 0 of 5", "fold 3 of 5"):
        chosen = choose_cases(LETTERS, selection, facts=facts)
        rest = set(LETTERS) - set(chosen.ids)
        assert not {groups[c] for c in chosen.ids} & {groups[c] for c in rest}
        assert "subjects kept together" in chosen.reason
    folds = [choose_cases(LETTERS, f"fold {n} of 5", facts=facts).ids for n in range(5)]
    assert sorted(case for fold in folds for case in fold) == sorted(LETTERS)
    with pytest.raises(ConfigError, match="5 subjects cannot be divided into 6 folds"):
        choose_cases(LETTERS, "fold 0 of 6", facts=facts)
    with pytest.raises(ConfigError, match="belong to one subject, 'p'"):
        choose_cases(LETTERS, "0.2", facts=CaseFacts(groups=dict.fromkeys(LETTERS, "p")))


def test_a_fraction_of_subjects_is_about_that_of_cases():
    """One large subject among small ones is not what a fifth means."""
    groups = {case: "large" if number < 12 else case for number, case in enumerate(LETTERS)}
    for seed in range(20):
        chosen = choose_cases(LETTERS, "0.2", seed=seed, facts=CaseFacts(groups=groups))
        assert len(chosen.ids) == 4


def test_a_rare_class_is_on_both_sides():
    plain = choose_cases(LETTERS, "0.2")
    usual = dict.fromkeys(LETTERS, (1,))
    assert choose_cases(LETTERS, "0.2", facts=CaseFacts(classes=usual)) == plain
    outside = [case for case in LETTERS if case not in plain.ids]
    missing_in_val = usual | dict.fromkeys(outside[:2], (1, 2))
    chosen = choose_cases(LETTERS, "0.2", facts=CaseFacts(classes=missing_in_val))
    assert len(chosen.ids) == 4
    assert len(set(chosen.ids) & set(outside[:2])) == 1
    assert len(set(chosen.ids) & set(plain.ids)) == 3, "one case is exchanged, no more"
    assert "every class on both sides" in chosen.reason
    missing_in_train = usual | dict.fromkeys(plain.ids[:2], (1, 2))
    chosen = choose_cases(LETTERS, "0.2", facts=CaseFacts(classes=missing_in_train))
    assert len(set(chosen.ids) & set(plain.ids[:2])) == 1


def test_a_class_that_one_case_holds_trains():
    plain = choose_cases(LETTERS, "0.2")
    classes = dict.fromkeys(LETTERS, (1,)) | {plain.ids[0]: (1, 2)}
    chosen = choose_cases(LETTERS, "0.2", facts=CaseFacts(classes=classes))
    assert plain.ids[0] not in chosen.ids
    assert len(chosen.ids) == 4


def test_several_rare_classes_are_brought_to_both_sides():
    classes = {case: (number % 7 + 1,) for number, case in enumerate(LETTERS)}
    for seed in range(10):
        chosen = choose_cases(LETTERS, "0.5", seed=seed, facts=CaseFacts(classes=classes))
        inside = {each for case in chosen.ids for each in classes[case]}
        rest = {each for case in LETTERS if case not in chosen.ids for each in classes[case]}
        assert inside == rest == set(range(1, 8))


def test_of_stacks_the_last_slices_of_each_are_held_out():
    facts = CaseFacts(groups=SLICES, is_stack=True)
    chosen = choose_cases(list(SLICES), "0.2", facts=facts)
    assert chosen.ids == ("left_08", "left_09", "right_08", "right_09")
    assert "each of 2 stacks" in chosen.reason
    one = [f"{number:02d}" for number in range(30)]
    chosen = choose_cases(one, "20%", facts=CaseFacts(is_stack=True))
    assert chosen.ids == tuple(one[24:])
    assert "last block 24-29" in chosen.reason


def test_slices_are_neighbours_by_place_and_not_by_name():
    ids = ["d", "a", "e", "b", "f", "c"]  # in the order of a manifest's column `slice`
    facts = CaseFacts(groups=dict.fromkeys(ids, "one"), is_stack=True)
    last = choose_cases(ids, "0.3", facts=facts)
    assert set(last.ids) == {"f", "c"}
    assert "last block f-c" in last.reason
    folds = [choose_cases(ids, f"fold {n} of 3", facts=facts).ids for n in range(3)]
    assert [set(fold) for fold in folds] == [{"d", "a"}, {"e", "b"}, {"f", "c"}]


def test_folds_of_stacks_are_stacks_or_blocks_of_slices():
    facts = CaseFacts(groups=SLICES, is_stack=True)
    whole = choose_cases(list(SLICES), "fold 0 of 2", facts=facts)
    assert {SLICES[case] for case in whole.ids} in ({"left"}, {"right"})
    assert "stacks kept together" in whole.reason
    blocks = [choose_cases(list(SLICES), f"fold {n} of 5", facts=facts).ids for n in range(5)]
    assert blocks[1] == ("left_02", "left_03", "right_02", "right_03")
    assert sorted(case for block in blocks for case in block) == sorted(SLICES)
    with pytest.raises(ConfigError, match=r"a stack of 10 slices .* into 11 folds"):
        choose_cases(list(SLICES), "fold 0 of 11", facts=facts)


def test_numbered_volumes_are_no_sections():
    ids = [f"{number:02d}" for number in range(30)]
    chosen = choose_cases(ids, "0.2", facts=CaseFacts(are_volumes=True))
    assert "at random" in chosen.reason
    assert chosen.ids != tuple(ids[24:])
