"""Starting the program: help that reads well, at once, and stopping it before there is a run."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys

import pytest

import ushape
from ushape.predict import predict_cases

COMMANDS = (
    (),
    ("demo",),
    ("plan",),
    ("train",),
    ("predict",),
    ("evaluate",),
    ("models",),
    ("data",),
    ("data", "synth"),
    ("data", "check"),
)
SLOW = ("torch", "numpy", "scipy", "matplotlib", "lightning_fabric", "PIL", "yaml")

WATCHED = """
import sys
from ushape.cli.main import main
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help(command, cli):
    result = cli(*command, "--help")
    assert result.code == 0
    assert result.err == ""
    assert result.out.startswith(" ".join(("Usage: ushape", *command, "[OPTIONS]")))
    assert cli(*command, "-h").out == result.out
    # No option's value is named by a Python type, no sentence is cut off, nothing is too wide.
    for line in result.out.splitlines():
        assert not re.match(r"\s+-.*<", line), line
        assert not line.endswith("...") or line.endswith("COMMAND [ARGS]..."), line
        assert len(line) <= 80, line
    assert "default: None" not in result.out


def test_every_option_is_explained(cli):
    for command in COMMANDS:
        lines = cli(*command, "--help").out.splitlines()
        begin = lines.index("Options:") + 1
        for number, line in enumerate(lines[begin:], start=begin):
            if line.startswith("  -"):
                after = lines[number + 1] if number + 1 < len(lines) else ""
                is_explained = len(re.split(r"\s{2,}", line.strip())) >= 2
                assert is_explained or re.match(r"\s{10,}\w", after), (command, line)


def test_no_arguments_give_the_help(cli):
    for command in ((), ("data",)):
        bare = cli(*command)
        assert bare.code == 2
        assert bare.out == ""
        assert bare.err.rstrip() == cli(*command, "--help").out.rstrip()


def test_the_version(cli):
    assert cli("--version").out == f"ushape {ushape.__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["--version"], ["trian"]])
def test_help_and_misspelt_commands_load_nothing_slow(arguments):
    result = subprocess.run(
        [sys.executable, "-c", WATCHED, *arguments], capture_output=True, text=True, check=False
    )
    modules = result.stderr.splitlines()[-1].split()
    assert "ushape.cli.main" in modules
    assert [name for name in SLOW if name in modules] == []


def test_help_comes_at_once():
    """The promise is 0.3 s; processor time is counted, which other work disturbs little."""

    def spent_by_children():
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        return spent.ru_utime + spent.ru_stime

    seconds = []
    for _ in range(3):
        begin = spent_by_children()
        subprocess.run(
            [sys.executable, "-m", "ushape.cli.main", "--help"], capture_output=True, check=True
        )
        seconds.append(spent_by_children() - begin)
    assert min(seconds) < 0.3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_outside_training_says_what_is_kept(
    number, cli, tiny_run, tiny_data, tmp_path, monkeypatch, request
):
    def stop_at_the_third(predictor, cases, out, *, progress, **options):
        def watch(done, total, name):
            if done == 2:
                os.kill(os.getpid(), number)
            progress(done, total, name)

        return predict_cases(predictor, cases, out, progress=watch, **options)

    if number == signal.SIGINT:  # a shell lets what it starts in the background ignore it
        before = signal.signal(number, signal.default_int_handler)
        request.addfinalizer(lambda: signal.signal(number, before))
    monkeypatch.setattr("ushape.predict.predict_cases", stop_at_the_third)
    result = cli("predict", tiny_run, tiny_data, "--out", tmp_path)
    assert result.code == 3
    assert result.err == "stopped; files that were finished before are kept\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells_000.png", "cells_001.png"]
