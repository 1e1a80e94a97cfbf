"""A loss whose terms are balanced while training: logged, saved, and the same after a resume."""

from __future__ import annotations

import json
import os
import signal

import pytest
import torch
from safetensors.torch import load_file

import ushape
import ushape.training.loop as loop
from ushape.errors import Stopped
from ushape.training.checkpoint import load_state
from ushape.training.observe import Silence

SETTINGS = {
    "model.options.width": 4,
    "model.options.levels": 3,
    "patch.batch": 2,
    "tiling.mirror": False,
    "loss": "dice + 10*bce + focal",
    "balance": "auto",
}
STEPS = 8


class _Impatient(Silence):
    def stepped(self, report):
        if report.step == STEPS // 2:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(autouse=True)
def log_every_step(monkeypatch):
    monkeypatch.setattr(loop, "LOG_EVERY_S", 0.0)


def run_in(folder, data, more, *, observer=None, is_resumed=False):
    return ushape.train(
        data,
        out=folder,
        steps=STEPS,
        val="6-7",
        settings={**SETTINGS, **more},
        observer=observer,
        is_resumed=is_resumed,
    )


def factors_of(folder):
    lines = (folder / "fold_0" / "metrics.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    return [event["factors"] for event in events if event["event"] == "step"]


BALANCE = {"mean.dice", "mean.bce", "mean.focal", "mass"}
GRADED = {"graded.mean.dice", "graded.mean.bce", "graded.mass"}


@pytest.mark.parametrize(
    ("more", "state"), [({}, BALANCE), ({"lines.classes": ["foreground"]}, BALANCE | GRADED)]
)
def test_a_resumed_run_balances_as_an_uninterrupted_one(more, state, tiny_data, tmp_path):
    run_in(tmp_path / "whole", tiny_data, more)
    with pytest.raises(Stopped):
        run_in(tmp_path / "cut", tiny_data, more, observer=_Impatient())
    assert set(load_state(tmp_path / "cut" / "fold_0" / "state.pt")[1]["loss"]) == state
    run_in(tmp_path / "cut", tiny_data, more, is_resumed=True)

    first, second = (
        load_file(tmp_path / name / "fold_0" / "last.safetensors") for name in ("whole", "cut")
    )
    assert all(torch.equal(tensor, second[key]) for key, tensor in first.items())
    # The state of the balance decides the factors, so without it the second half would differ.
    assert factors_of(tmp_path / "whole") == factors_of(tmp_path / "cut")
    assert len({factors["dice"] for factors in factors_of(tmp_path / "whole")}) == STEPS
