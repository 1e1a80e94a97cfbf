"""The log of a run tells one story, whatever was killed in between."""

import errno
import json
import math
import os
from dataclasses import replace
from pathlib import Path

import pytest

from ushape.errors import StorageError
from ushape.training.observe import RunLog, Silence, StepReport, ValidationReport, read_log

STEP = StepReport(
    step=1,
    loss=0.5,
    parts={"dice": 0.5},
    learning_rate=1e-3,
    samples_per_s=3.0,
    fraction=0.1,
    spent_s=1.0,
    remaining_s=9.0,
)
VALIDATION = ValidationReport(
    step=2, score=0.8, class_dice={"cell": 0.8}, is_best=True, seconds=1.0, spent_s=3.0
)


def strictly(line):
    """Read JSON as strict readers do, who know no NaN."""

    def refuse(name):
        raise ValueError(name)

    return json.loads(line, parse_constant=refuse)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.jsonl"


def test_one_line_an_event(path):
    log = RunLog(path, resume_step=0)
    log.write("step", STEP)
    log.write("validation", VALIDATION)
    first, second = (strictly(line) for line in path.read_text().splitlines())
    assert first == {"event": "step", **vars(STEP)}
    assert second == {"event": "validation", **vars(VALIDATION)}
    assert read_log(path) == [first, second]


def test_numbers_that_are_none_are_null_in_groups_too(path):
    log = RunLog(path, resume_step=0)
    log.write("step", replace(STEP, loss=math.inf, parts={"dice": math.nan, "bce": 1.0}))
    log.write("validation", replace(VALIDATION, score=math.nan, class_dice={"cell": math.nan}))
    first, second = (strictly(line) for line in path.read_text().splitlines())
    assert (first["loss"], first["parts"]) == (None, {"dice": None, "bce": 1.0})
    assert (second["score"], second["class_dice"]) == (None, {"cell": None})


def steps(path):
    return [event["step"] for event in read_log(path)]


def test_a_resumed_run_drops_what_came_after_its_state(path):
    log = RunLog(path, resume_step=0)
    for step in range(1, 6):
        log.write("step", replace(STEP, step=step))
    RunLog(path, resume_step=3).write("step", replace(STEP, step=4))
    assert steps(path) == [1, 2, 3, 4]
    RunLog(path, resume_step=0)
    assert steps(path) == []


def test_a_validation_that_was_logged_but_not_saved_is_dropped(path):
    """It is measured again after the resume, and must not stand there twice."""
    log = RunLog(path, resume_step=0)
    for step in (2, 4):
        log.write("step", replace(STEP, step=step))
        log.write("validation", replace(VALIDATION, step=step))
    RunLog(path, resume_step=4, validated_step=2)
    assert [(event["event"], event["step"]) for event in read_log(path)] == [
        ("step", 2),
        ("validation", 2),
        ("step", 4),
    ]


@pytest.mark.parametrize("keep", [1, 10, 40])
def test_a_line_that_a_kill_cut_in_two_is_dropped(path, keep):
    log = RunLog(path, resume_step=0)
    log.write("step", STEP)
    whole = path.read_text()
    path.write_text(whole + whole[:keep])
    assert steps(path) == [1]
    RunLog(path, resume_step=9).write("step", replace(STEP, step=2))
    assert [strictly(line)["step"] for line in path.read_text().splitlines()] == [1, 2]


def test_garbage_at_the_end_is_dropped(path):
    RunLog(path, resume_step=0).write("step", STEP)
    with path.open("ab") as file:
        file.write(b"\0\0\0\xff\n17\n")
    assert steps(path) == [1]


def test_no_log_yet(path):
    assert read_log(path) == []
    RunLog(path, resume_step=5)
    assert path.read_text() == ""


def test_a_full_disk_is_named(path, monkeypatch):
    log = RunLog(path, resume_step=0)

    def refuse(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(StorageError, match=r"metrics\.jsonl: the disk is full"):
        log.write("step", STEP)


def test_silence_hears_everything():
    silence = Silence()
    silence.preparing(1, 2)
    silence.stepped(STEP)
    silence.validating(1, 2)
    silence.validated(VALIDATION)
    silence.note("hello")
