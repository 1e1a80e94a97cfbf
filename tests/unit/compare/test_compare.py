"""Two methods compared: pairing, reading back, words, direction, files."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from ushape.compare import (
    ScoreTable,
    compare_tables,
    load_scores,
    main_rows,
    sentence,
    table_lines,
    table_of,
    write_comparison,
)
from ushape.errors import ConfigError, DataError
from ushape.evaluate import ScoreSettings, evaluate_maps, summarise, write_evaluation
from ushape.labels import LabelClass, LabelTable

NAN = math.nan


def table(source="a", *, tolerance=None, groups=None, **columns):
    """A table of class `cell`: one list of values a column."""
    length = len(next(iter(columns.values())))
    cases = tuple(f"c{number}" for number in range(length))
    scores = {
        ("cell", column): dict(zip(cases, values, strict=True))
        for column, values in columns.items()
    }
    return ScoreTable(source, cases, scores, groups or {}, tolerance)


DICE = [0.80, 0.82, 0.84, 0.86, 0.88, 0.90, 0.81, 0.83]
BETTER = [value + 0.01 + 0.0008 * number for number, value in enumerate(DICE)]


def test_better_says_how_much_how_sure_and_how_often():
    row = compare_tables(table(dice=DICE), table(dice=BETTER)).rows[0]
    low, high = row.difference.low, row.difference.high
    assert sentence(row) == (
        f"B is better by 0.013 Dice of cell, 95 % interval {low:.3f} to {high:.3f}, in 8 of 8 "
        "cases, Wilcoxon p = 0.0078."
    )
    back = compare_tables(table(dice=BETTER), table(dice=DICE)).rows[0]
    assert sentence(back).startswith("A is better by 0.013 Dice of cell, 95 % interval 0.012 to")


def test_low_distances_are_better_and_named_with_their_unit():
    found = compare_tables(
        table(hd95_mm=[5.0, 6.0, 7.0, 5.0, 6.0, 7.0, NAN]),
        table(hd95_mm=[4.0, 4.5, 5.0, 4.0, 4.5, 5.0, 1.0]),
    )
    text = sentence(found.rows[0])
    assert text.startswith("B is better by 1.500 mm HD95 of cell")
    assert "in 6 of 6 cases" in text
    assert text.endswith("1 case without a value left out.")


def test_no_difference_is_said_in_words():
    row = compare_tables(table(dice=DICE), table(dice=[*BETTER[:4], *np.array(DICE[4:]) - 0.02]))
    assert sentence(row.rows[0]).startswith("No difference can be shown in Dice of cell: B - A = ")
    one = compare_tables(table(dice=[0.5]), table(dice=[0.9])).rows[0]
    assert "no interval from one case or group" in sentence(one)
    assert sentence(one).startswith("No difference can be shown")
    none = compare_tables(table(dice=[NAN]), table(dice=[0.9])).rows[0]
    assert "nothing can be said" in sentence(none)


def test_too_few_to_tell_is_said_with_their_number():
    first, second = [0.8, 0.8, NAN, NAN], [0.801, 0.802, 0.9, 0.9]
    found = compare_tables(table(dice=first), table(dice=second))
    text = sentence(found.rows[0])
    assert text.startswith(
        "No difference can be shown in Dice of cell (only 2 cases: too few to tell): B - A = +0.002"
    )
    assert text.endswith("Wilcoxon p = 0.50, 2 cases without a value left out.")
    assert table_lines(found)[1].split()[-1] == "-"
    assert found.to_json()["rows"][0]["winner"] is None
    subjects = compare_tables(table(dice=DICE), table(dice=BETTER), group_of=lambda case: "anna")
    text = sentence(subjects.rows[0])
    assert "(only 1 group: too few to tell)" in text
    assert text.endswith("over 1 group.")
    # Enough cases: nothing is said of their number.
    same = compare_tables(table(dice=DICE), table(dice=DICE)).rows[0]
    assert "too few" not in sentence(same)


def test_the_table_has_a_line_for_each_score():
    lines = table_lines(
        compare_tables(table(dice=DICE, hd95_mm=DICE), table(dice=BETTER, hd95_mm=BETTER))
    )
    assert len(lines) == 3
    assert lines[1].split()[:2] == ["cell", "dice"]
    assert [line.split()[-1] for line in lines] == ["winner", "B", "A"]


def test_cases_are_paired_by_name_not_by_place():
    second = table(dice=BETTER)
    shuffled = ScoreTable(
        "b",
        second.cases[::-1],
        {("cell", "dice"): dict(reversed(second.scores["cell", "dice"].items()))},
    )
    straight = compare_tables(table(dice=DICE), second).rows[0]
    assert compare_tables(table(dice=DICE), shuffled).rows[0] == straight


def test_unpaired_cases_are_refused_unless_asked():
    first, second = table(dice=DICE), table(dice=BETTER[:6])
    with pytest.raises(DataError, match=r"2 cases are in A only \(c6, c7\): .*--common .* the 6"):
        compare_tables(first, second)
    with pytest.raises(DataError, match=r"^1 case is in A only \(c7\)"):
        compare_tables(first, table(dice=BETTER[:7]))
    found = compare_tables(first, second, use_common=True)
    assert (found.only_first, len(found.cases)) == (("c6", "c7"), 6)
    assert found.rows[0].difference.num_cases == 6
    other = ScoreTable("b", ("x",), {("cell", "dice"): {"x": 1.0}})
    with pytest.raises(DataError, match=r"no case of a \(c0, c1.*\) is in b \(x\)"):
        compare_tables(first, other, use_common=True)


def test_scores_at_different_tolerances_are_left_out():
    first, second = table(dice=DICE, nsd=DICE), table(dice=BETTER, nsd=BETTER)
    assert len(compare_tables(first, second).rows) == 2
    at_one = table(tolerance=1.0, dice=DICE, nsd=DICE)
    at_two = table(tolerance=2.0, dice=BETTER, nsd=BETTER)
    found = compare_tables(at_one, at_two)
    assert [row.column for row in found.rows] == ["dice"]
    assert found.left_out == ("cell_nsd was measured at a tolerance of 1 in A and 2 in B",)
    with pytest.raises(ConfigError, match=r"nsd is not in both evaluations .*tolerance of 1"):
        compare_tables(at_one, at_two, metrics="nsd")
    with pytest.raises(ConfigError, match="did you mean 'nsd'"):
        compare_tables(first, second, metrics="nsdd")


def test_millimetres_are_not_compared_with_pixels():
    with pytest.raises(DataError, match="no score in common: in A only: cell_hd95_mm"):
        compare_tables(table(hd95_mm=DICE), table(hd95_pixels=DICE))


def test_recorded_groups_are_used_and_must_agree():
    cases = [f"c{number}" for number in range(8)]
    groups = {case: case[1] if case < "c4" else "rest" for case in cases}
    first, second = table(dice=DICE, groups=groups), table(dice=BETTER)
    assert compare_tables(first, second).rows[0].difference.num_groups == 5
    assert "over 5 groups" in sentence(compare_tables(first, second).rows[0])
    other = table(dice=BETTER, groups=dict.fromkeys(cases, "all"))
    with pytest.raises(DataError, match="the case c0 belongs to 0 in A and all in B"):
        compare_tables(first, other)
    by_hand = compare_tables(first, other, group_of=lambda case: case)
    assert by_hand.rows[0].difference.num_groups == 8


def evaluated(seed):
    labels = LabelTable((LabelClass("back", 0), LabelClass("left_cell", 1), LabelClass("v", 2)))
    generator = np.random.default_rng(seed)
    settings = ScoreSettings(("dice", "iou", "precision", "recall", "hd95", "nsd"), unit="mm")
    cases = [
        evaluate_maps(
            f"case {number}",
            *generator.integers(0, 3, (2, 12, 12)).astype(np.uint8),
            labels,
            settings=settings,
            group="ab"[number % 2],
        )
        for number in range(4)
    ]
    return summarise(cases, labels, settings=settings)


def test_json_csv_and_memory_give_the_same_table(tmp_path):
    evaluation = evaluated(0)
    csv_path, json_path = write_evaluation(evaluation, tmp_path / "evaluation")
    from_memory = table_of(evaluation.to_json(), "memory")
    from_json, from_csv = load_scores(json_path), load_scores(csv_path)
    assert load_scores(tmp_path) == from_json
    assert from_json.scores == from_memory.scores
    assert from_json.groups == from_csv.groups == {f"case {n}": "ab"[n % 2] for n in range(4)}
    assert from_csv.cases == from_json.cases  # without mean, low and high
    assert set(from_csv.scores) == set(from_json.scores)
    assert ("left_cell", "hd95_mm") in from_csv.scores
    for column, values in from_json.scores.items():
        assert from_csv.scores[column] == pytest.approx(values, abs=1e-6)


def test_what_is_no_evaluation_is_refused(tmp_path):
    def refused(match, name, text):
        (tmp_path / name).write_text(text)
        with pytest.raises(DataError, match=match):
            load_scores(tmp_path / name)

    refused("holds no evaluation .* give a folder or file", "a.json", "{")
    refused("holds no evaluation", "b.json", '{"cases": 3}')
    refused("holds no evaluation", "c.json", "[]")
    refused("holds no scores by case", "d.json", '{"cases": []}')
    twice = json.dumps({"cases": [{"id": "x", "cell": {"dice": 1}}] * 2})
    refused("the case x stands twice", "e.json", twice)
    refused("is no table of scores", "f.csv", "name,cell_dice\nx,1\n")
    refused("cell_dice of case x is 'high', no number", "g.csv", "case,cell_dice\nx,high\n")
    refused("neither .json nor .csv", "h.txt", "")
    with pytest.raises(DataError, match="there is no such file or folder"):
        load_scores(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no evaluation\.json or evaluation\.csv"):
        load_scores(tmp_path / "empty")


def test_a_run_with_one_fold_is_found(tmp_path):
    write_evaluation(evaluated(0), tmp_path / "fold_0" / "evaluation")
    assert load_scores(tmp_path).source.endswith("fold_0/evaluation.json")
    write_evaluation(evaluated(1), tmp_path / "fold_1" / "evaluation")
    with pytest.raises(DataError, match=r"several evaluations \(fold_0, fold_1\)"):
        load_scores(tmp_path)


def test_files_are_written_and_equal_at_every_run(tmp_path):
    columns = {"dice": DICE, "hd95_mm": [NAN, *DICE[1:]], "iou": DICE}
    found = compare_tables(table(**columns), table(**dict.fromkeys(columns, BETTER)))
    details, lines, picture = write_comparison(found, tmp_path / "one")
    content = json.loads(details.read_text(), parse_constant=lambda text: pytest.fail(text))
    assert [row["winner"] for row in content["rows"]] == ["b", "a", "b"]
    assert len(content["words"]) == len(main_rows(found)) == 2
    assert lines.read_text().splitlines()[0].startswith("class,metric,better,mean_a,mean_b")
    assert len(lines.read_text().splitlines()) == 4
    text = picture.read_text()
    assert text.count("B - A") == 2
    again = write_comparison(found, tmp_path / "two")
    assert [path.read_bytes() for path in again] == [
        path.read_bytes() for path in (details, lines, picture)
    ]
    png = write_comparison(found, tmp_path / "three", metrics=["iou"], format="png")[2]
    assert png.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ConfigError, match="choose svg or png"):
        write_comparison(found, tmp_path, format="pdf")
