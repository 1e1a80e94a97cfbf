"""Which cases train and which measure."""

import pytest

from ushape.errors import ConfigError
from ushape.plan import split_cases

IDS = tuple(f"{number:02d}" for number in range(10))


def test_the_rest_trains_in_its_own_order():
    ids = IDS[::-1]
    split = split_cases(ids, "03,07")
    assert split.val == ("03", "07")
    assert split.train == tuple(name for name in ids if name not in ("03", "07"))


def test_a_fraction_is_reproducible_and_follows_the_seed():
    ids = tuple(f"case_{letter}" for letter in "abcdefghijklmnop")
    first = split_cases(ids, "0.25", seed=1)
    assert first == split_cases(ids, "0.25", seed=1)
    assert first.val != split_cases(ids, "0.25", seed=2).val
    assert len(first.val) == 4
    assert sorted(first.val + first.train) == sorted(ids)


def test_none_trains_on_everything_and_says_what_that_costs():
    split = split_cases(IDS, "none")
    assert (split.train, split.val) == (IDS, ())
    assert "nothing tells how good" in split.reason
    assert split_cases(("a",), "none").train == ("a",)


def test_one_case_trains_when_a_fraction_is_asked_of_it():
    split = split_cases(("a",), "0.2")
    assert (split.train, split.val) == (("a",), ())
    assert "cannot be divided" in split.reason


def test_one_case_cannot_be_split_otherwise():
    for selection in ("a", "fold 0 of 2"):
        with pytest.raises(ConfigError, match="--val none"):
            split_cases(("a",), selection)


@pytest.mark.parametrize("selection", ["0-9", "*", "99", ""])
def test_impossible_selections(selection):
    with pytest.raises(ConfigError):
        split_cases(IDS, selection)
