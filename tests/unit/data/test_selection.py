"""What `--val` understands."""

import pytest

from ushape.data.selection import choose_cases
from ushape.errors import ConfigError

SECTIONS = [f"{number:02d}" for number in range(30)]
SLICES = [f"slice_{number:02d}" for number in range(12)]
MIXED = ["a_1", "a_2", "a_10", "b_1", "b_2", "c"]


@pytest.mark.parametrize(
    ("ids", "selection", "expected"),
    [
        (SECTIONS, "07", ["07"]),
        (SECTIONS, "24-29", SECTIONS[24:]),
        (SECTIONS, "024-025, 3-3", ["03", "24", "25"]),
        (SECTIONS, "28-99", ["28", "29"]),
        (SLICES, "9-10", ["slice_09", "slice_10"]),
        (SLICES, "slice_09-slice_10", ["slice_09", "slice_10"]),
        (SLICES, "slice_9-10", ["slice_09", "slice_10"]),
        (MIXED, "b_*", ["b_1", "b_2"]),
        (MIXED, "?_1", ["a_1", "b_1"]),
        (MIXED, "a_2-a_10", ["a_2", "a_10"]),
        (MIXED, "c,b_1,c", ["b_1", "c"]),
        (MIXED, "a_2.png", ["a_2"]),
        (["24-29", "24", "25", "0.2"], "24-29", ["24-29"]),
        (["24-29", "24", "25", "0.2"], "0.2", ["0.2"]),
        ([*SECTIONS, "extra5"], "5-6", ["05", "06"]),
    ],
)
def test_names_ranges_and_patterns(ids, selection, expected):
    assert list(choose_cases(ids, selection).ids) == expected


def test_a_fraction_of_consecutive_sections_is_the_last_block():
    chosen = choose_cases(SECTIONS[::-1], "0.2", seed=5)
    assert list(chosen.ids) == SECTIONS[24:]
    assert "last block 24-29" in chosen.reason
    assert "sections of one stack" in chosen.reason


def test_numbers_with_a_gap_are_no_stack():
    ids = [name for name in SECTIONS if name != "13"]
    assert "at random" in choose_cases(ids, "0.2").reason


def test_a_fraction_is_seeded_and_independent_of_order():
    ids = [f"patient_{number}" for number in range(100)]
    first = choose_cases(ids, "20%", seed=1)
    assert len(first.ids) == 20
    assert first == choose_cases(ids[::-1], "0.2", seed=1)._replace(reason=first.reason)
    assert first.ids != choose_cases(ids, "0.2", seed=2).ids
    assert "seed 1" in first.reason


def test_a_new_case_moves_few_of_the_others():
    ids = [f"patient_{number}" for number in range(100)]
    before = set(choose_cases(ids, "0.2").ids)
    after = set(choose_cases([*ids, "patient_100"], "0.2").ids)
    assert len(before - after) <= 1


@pytest.mark.parametrize(("fraction", "count"), [("0.01", 1), ("0.99", 2), ("50%", 2)])
def test_a_fraction_leaves_cases_on_both_sides(fraction, count):
    assert len(choose_cases(["x", "y", "z"], fraction).ids) == count


def test_a_file_of_names(tmp_path):
    listing = tmp_path / "val.txt"
    listing.write_text("# held out\nslice_03.png\n\n  slice_01  # blurred\n")
    chosen = choose_cases(SLICES, str(listing))
    assert chosen.ids == ("slice_01", "slice_03")
    assert "val.txt" in chosen.reason


def test_a_file_with_an_unknown_name_gives_the_line(tmp_path):
    listing = tmp_path / "val.txt"
    listing.write_text("slice_03\nslize_01\n")
    with pytest.raises(ConfigError, match=r"val\.txt, line 2.*'slize_01'.*did you mean 'slice_01'"):
        choose_cases(SLICES, str(listing))


def test_files_that_name_none_or_cannot_be_read(tmp_path):
    (tmp_path / "empty.txt").touch()
    with pytest.raises(ConfigError, match="names none"):
        choose_cases(SLICES, str(tmp_path / "empty.txt"))
    with pytest.raises(ConfigError, match=r"absent\.txt: No such file"):
        choose_cases(SLICES, str(tmp_path / "absent.txt"))


def test_the_reason_counts():
    assert choose_cases(MIXED, "b_*,c").reason == "3 of 6 cases: the pattern b_*, c"


@pytest.mark.parametrize(
    ("ids", "selection", "pattern"),
    [
        (MIXED, "a_3", "no case 'a_3': did you mean 'a_"),
        (MIXED, "d_*", "matches no case"),
        (MIXED, "*", "takes all 6 cases"),
        (SECTIONS, "0-29", "takes all 30 cases"),
        (SECTIONS, "40-50", r"no case has a number.*00, 01, 02 \.\. 29"),
        (SECTIONS, "29-24", "runs backwards: write 24-29"),
        (MIXED, "1-2", "ambiguous: 'a_1' and 'b_1'"),
        (SECTIONS, "", "is empty"),
        (SECTIONS, " , ", "is empty"),
        (SECTIONS, "0.0", "number between 0 and 1"),
        (SECTIONS, "100%", "number between 0 and 1"),
        (["only"], "0.5", "two cases"),
        (SECTIONS, "1.5", "no case '1.5'"),
        (SLICES, "slice_1-part_3", "no case"),
    ],
)
def test_what_is_refused(ids, selection, pattern):
    with pytest.raises(ConfigError, match=pattern):
        choose_cases(ids, selection)
