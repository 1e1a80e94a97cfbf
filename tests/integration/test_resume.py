"""A run that is killed or stopped, and resumed, ends with the weights of one that was not."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import ushape
from ushape.config.load import load_config, read_assignments
from ushape.data.synth import write_dataset
from ushape.training.checkpoint import load_state
from ushape.workflow.folder import RunFolder

STEPS, KILLS = 80, 10
SETTINGS = (
    "model.options.width=4",
    "model.options.levels=3",
    "patch.batch=2",
    "train.validations=9",
    "tiling.mirror=false",
)

# The program, but that it says everything it does, that the moment between a finished temporary
# file and its final name is long enough to be hit, and that it dies just there if it is told so.
PROGRAM = """
import os, signal, sys, time
import ushape.files, ushape.training.loop
from ushape.cli import live, main

def say(*words):
    print(*words, file=sys.stderr, flush=True)

writes = int(os.environ.get("DIE_AT_WRITE", "0"))

def fsync(file, sync=os.fsync):
    global writes
    writes -= 1
    if writes == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.005)
    sync(file)

ushape.files.os.fsync = fsync
ushape.training.loop.LOG_EVERY_S = 0.0
live.LiveLine.stepped = lambda self, report: say("event step", report.step)
live.LiveLine.validating = lambda self, done, total: say("event image", done)
main.main()
"""


def command(data, run, *more):
    arguments = ["train", data, "--out", run, "--steps", STEPS, "--val", "6-7", *more]
    for setting in SETTINGS:
        arguments += ["--set", setting]
    return [sys.executable, "-c", PROGRAM, *map(str, arguments)]


def weights_of(run):
    return {name: load_file(run / "fold_0" / f"{name}.safetensors") for name in ("best", "last")}


def assert_equal_weights(first, second):
    for name in ("best", "last"):
        assert first[name].keys() == second[name].keys()
        for key, tensor in first[name].items():
            assert torch.equal(tensor, second[name][key]), (name, key)


def events_of(run):
    lines = (run / "fold_0" / "metrics.jsonl").read_text().splitlines()
    return [(event["event"], event["step"]) for event in map(json.loads, lines)]


@pytest.fixture(scope="module")
def uninterrupted(tiny_data, tmp_path_factory):
    run = tmp_path_factory.mktemp("uninterrupted") / "run"
    result = subprocess.run(command(tiny_data, run), capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return run


def assert_nothing_is_damaged(run):
    """Open every file that a killed run left, half-written temporary ones aside."""
    for path in run.rglob("*"):
        if path.is_dir() or path.name == ".lock" or path.name.endswith(".part"):
            continue
        if path.suffix == ".pt":
            load_state(path)
        elif path.suffix == ".safetensors":
            ushape.load(path, device="cpu")
        elif path.suffix == ".npy":
            np.load(path, allow_pickle=False)
        elif path.name == "config.yaml":
            load_config(path)
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".jsonl":
            *whole, _ = path.read_text().split("\n")  # a kill may cut the last line
            for line in whole:
                json.loads(line)
        else:
            pytest.fail(f"what is {path}?")


def run_until(arguments, num_events, delay_s, number):
    """Start the program, and send it a signal some time after so many events of training."""
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        said, seen = [], 0
        for line in process.stderr:
            said.append(line.decode())
            seen += line.startswith(b"event")
            if seen == num_events:
                time.sleep(delay_s)
                process.send_signal(number)
                break
        said.append(process.stderr.read().decode())
    return process.returncode, "".join(said)


@pytest.mark.slow
def test_ten_kills_change_nothing(uninterrupted, tiny_data, tmp_path):
    run, chance = tmp_path / "run", random.Random(2015)
    saving = ("--set", "train.save_every_s=0")
    resume: tuple[str, ...] = ()
    for _ in range(KILLS):
        delay_s = chance.uniform(0, 0.06)
        arguments = command(tiny_data, run, *saving, *resume)
        code, said = run_until(arguments, chance.randint(1, 9), delay_s, signal.SIGKILL)
        assert code == -signal.SIGKILL, said
        assert_nothing_is_damaged(run)
        resume = ("--resume",)
    # Once more, while a file is being written.
    dying = subprocess.run(
        command(tiny_data, run, *saving, *resume),
        capture_output=True,
        check=False,
        env={**os.environ, "DIE_AT_WRITE": "5"},
    )
    assert dying.returncode == -signal.SIGKILL
    assert len(list(run.rglob("*.part"))) == 1
    assert_nothing_is_damaged(run)
    killed_at = load_state(run / "fold_0" / "state.pt")[0].step
    assert 5 < killed_at < STEPS
    result = subprocess.run(
        command(tiny_data, run, *saving, *resume), capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert f"resumed at step {killed_at}" in result.stderr
    assert_equal_weights(weights_of(run), weights_of(uninterrupted))
    assert events_of(run) == events_of(uninterrupted)
    assert list(run.rglob("*.part")) == []
    scores = [
        json.loads((r / "fold_0" / "evaluation.json").read_text()) for r in (run, uninterrupted)
    ]
    assert scores[0] == scores[1]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_polite_stop_saves_and_the_same_command_goes_on(
    number, uninterrupted, tiny_data, tmp_path
):
    run = tmp_path / "run"
    code, said = run_until(command(tiny_data, run), 15, 0.0, number)
    assert code == 3, said
    assert "Traceback" not in said
    assert said.splitlines()[-1] == (
        f"stopped: the run is saved in {run}; to go on, repeat the command with --out {run} "
        "--resume"
    )
    assert_nothing_is_damaged(run)
    assert 10 <= load_state(run / "fold_0" / "state.pt")[0].step < STEPS
    result = subprocess.run(
        command(tiny_data, run, "--resume"), capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert_equal_weights(weights_of(run), weights_of(uninterrupted))
    assert events_of(run) == events_of(uninterrupted)


def short_run(cli, data, run, *more):
    arguments = [argument for setting in SETTINGS for argument in ("--set", setting)]
    result = cli("train", data, "--out", run, "--steps", 4, "--val", "6-7", *arguments, *more)
    assert result.code == 0, result.err
    return run


def test_the_seed_decides_the_weights(cli, tiny_data, tmp_path):
    first, again, other = (
        weights_of(short_run(cli, tiny_data, tmp_path / name, "--seed", seed))
        for name, seed in (("first", 1), ("again", 1), ("other", 2))
    )
    assert_equal_weights(first, again)
    changed = [key for key, t in first["last"].items() if not torch.equal(t, other["last"][key])]
    assert len(changed) > 10


def test_resuming_takes_up_the_settings_and_refuses_others(cli, tiny_data, tmp_path):
    run = short_run(cli, tiny_data, tmp_path / "run")
    before = weights_of(run)
    recorded = (run / "config.yaml").read_text()
    # Nothing but the folder need be said; the run is finished, so only its results are renewed.
    (run / "report.html").unlink()
    assert cli("train", tiny_data, "--out", run, "--resume").code == 0
    assert (run / "report.html").exists()
    assert (run / "config.yaml").read_text() == recorded
    assert_equal_weights(before, weights_of(run))
    for option, key in {
        ("--steps", 5): "schedule.steps",
        ("--budget", "10m"): "schedule.budget_s",
        ("--seed", 3): "train.seed",
        ("--val", "0-1"): "data.validation",
        ("--set", "loss=bce"): "loss",
        ("--set", "model.options.width=8"): "model.options",
        ("--model", "unet_original"): "model.name",
        ("--foreground", "0"): "data.labels",
        ("--stack", "50x4x4nm"): "data.stack_mm",
    }.items():
        refused = cli("train", tiny_data, "--out", run, "--resume", *option)
        assert refused.code == 2, option
        assert f"{run} was begun with {key} = " in refused.error
    assert_equal_weights(before, weights_of(run))


def test_two_processes_do_not_train_in_one_folder(cli, tiny_data, tmp_path):
    run = short_run(cli, tiny_data, tmp_path / "run")
    before = weights_of(run)
    (run / "fold_0" / ".state.pt.0a1b2c3d.part").touch()  # the other one is writing it
    with RunFolder(run).held():
        refused = cli("train", tiny_data, "--out", run, "--resume")
        assert refused.code == 2
        assert f"another process trains in {run}: wait until it ends" in refused.error
        assert (run / "fold_0" / ".state.pt.0a1b2c3d.part").exists()
    assert cli("train", tiny_data, "--out", run, "--resume").code == 0
    assert_equal_weights(before, weights_of(run))


def test_a_run_of_a_release_that_recorded_less_of_labels_goes_on(cli, tmp_path):
    data = tmp_path / "data"
    write_dataset("cells", data, cases=8, size=(64, 64), seed=0)
    for file in (data / "labels").iterdir():
        label = Image.fromarray((np.asarray(Image.open(file)) > 0).astype(np.uint8), "P")
        label.putpalette([0, 0, 0, 255, 0, 0])
        label.save(file)
    options = ("--labels", "rest=0,cell=1")
    run = short_run(cli, data, tmp_path / "run", *options)
    config = run / "config.yaml"
    text = config.read_text()
    assert "palette" in text
    config.write_text(re.sub(r", palette: '?#[^,}\n]*?(?=[,}])", "", text))
    assert "palette" not in config.read_text()
    assert cli("train", data, "--out", run, "--resume", *options).code == 0
    refused = cli("train", data, "--out", run, "--resume", "--labels", "rest=0,other=1")
    assert refused.code == 2
    assert "leave what is said of labels out, as it is recorded" in refused.error


def test_another_machine_can_go_on(cli, tiny_data, tmp_path, monkeypatch):
    """What the planner would choose elsewhere does not matter: the run keeps its settings."""
    import dataclasses

    import ushape.workflow.prepare as workflow

    run = tmp_path / "run"
    options = ("--steps", 2, "--set", "patch.batch=2", "--val", "6-7")
    assert cli("train", tiny_data, "--out", run, *options).code == 0
    here = workflow.find_device("cpu")
    facts = dataclasses.replace(here, has_fast_bf16=not here.has_fast_bf16)
    monkeypatch.setattr(workflow, "find_device", lambda name: facts)
    elsewhere = cli("plan", tiny_data, *options, "--json").json["config"]
    assert elsewhere["train"]["precision"] != load_config(run / "config.yaml").train.precision
    assert cli("train", tiny_data, "--out", run, *options, "--resume").code == 0


def test_changed_data_stop_a_resume(cli, tiny_data, tmp_path):
    import shutil

    data = shutil.copytree(tiny_data, tmp_path / "data")
    run = short_run(cli, data, tmp_path / "run")
    (data / "labels" / "cells_002.png").unlink()
    refused = cli("train", data, "--out", run, "--resume")
    assert refused.code == 2
    assert "begun with 6 training and 2 validation cases, the data now gives 5 and 2" in (
        refused.error
    )


def test_a_damaged_resume_state_is_named(cli, tiny_data, tmp_path):
    run = short_run(cli, tiny_data, tmp_path / "run")
    state = run / "fold_0" / "state.pt"
    state.write_bytes(state.read_bytes()[:1000])
    refused = cli("train", tiny_data, "--out", run, "--resume")
    assert refused.code == 2
    assert f"{state}: the resume state cannot be read; delete it" in refused.error


def test_a_time_budget_ends_on_time_with_the_rate_at_zero(tiny_data, tmp_path, monkeypatch):
    monkeypatch.setattr("ushape.training.loop.LOG_EVERY_S", 0.0)
    settings = read_assignments(SETTINGS)
    run = ushape.train(tiny_data, out=tmp_path / "run", budget=3.0, val="6-7", settings=settings)
    log = (Path(run.folder) / "fold_0" / "metrics.jsonl").read_text().splitlines()
    steps = [event for event in map(json.loads, log) if event["event"] == "step"]
    rates = [event["learning_rate"] for event in steps]
    peak = load_config(run.folder / "config.yaml").optimizer.learning_rate
    assert run.fit.steps == steps[-1]["step"] > 10
    assert 0.8 * peak < max(rates) <= peak
    assert rates[-1] < 0.05 * peak
    assert steps[-1]["fraction"] == pytest.approx(1, abs=0.05)
    assert 2.0 < run.fit.seconds < 6.0
