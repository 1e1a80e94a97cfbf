"""Fixtures that many tests share: the program, a tiny data set, a run on it, real data."""

from __future__ import annotations

import contextlib
import io
import json
import locale
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the program does; before torch comes

ROOT = Path(__file__).resolve().parents[1]
TINY = tuple(
    argument
    for setting in (
        "model.options.width=4",
        "model.options.levels=3",
        "patch.batch=4",
        "optimizer.learning_rate=0.01",
        "train.validations=4",
    )
    for argument in ("--set", setting)
)
"""A run that takes a step in milliseconds, and still learns."""


@dataclass(frozen=True)
class Outcome:
    """What the program left: exit code, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON object on standard output."""
        return json.loads(self.out, parse_constant=_refuse)

    @property
    def error(self) -> str:
        """The one line of an error."""
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.err
        return lines[0]


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


Cli = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def _keep_locale() -> Iterator[None]:
    """Undo what SimpleITK does to the locale where a test writes or reads DICOM with it."""
    before = locale.setlocale(locale.LC_ALL)
    yield
    locale.setlocale(locale.LC_ALL, before)


@pytest.fixture(autouse=True)
def _same_chance() -> None:
    """Let every test draw the same numbers, in whatever order the tests run."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session")
def cli() -> Cli:
    """Run the program inside this process: `cli("train", folder, "--steps", 6)`."""
    from ushape.cli.main import main

    def run(*arguments: object) -> Outcome:
        before, handler = sys.argv, signal.getsignal(signal.SIGTERM)
        out, err, code = io.StringIO(), io.StringIO(), 0
        sys.argv = ["ushape", *map(str, arguments)]
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                main()
        except SystemExit as exit:
            code = int(exit.code or 0)
        finally:
            sys.argv = before
            signal.signal(signal.SIGTERM, handler)
        return Outcome(code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="session")
def tiny_network() -> tuple[str, ...]:
    """Arguments of `ushape train` for a network that takes a step in milliseconds."""
    return TINY


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight synthetic images of cells, 64 x 64, labels 0 and 255. Do not change it."""
    from ushape.data.synth import write_dataset

    folder = tmp_path_factory.mktemp("data") / "cells"
    return write_dataset("cells", folder, cases=8, size=(64, 64), seed=5)


@pytest.fixture(scope="session")
def tiny_run(cli: Cli, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on `tiny_data`: 80 steps, six cases to train on, two to validate. Do not change it."""
    folder = tmp_path_factory.mktemp("runs") / "cells"
    result = cli("train", tiny_data, "--out", folder, "--steps", 80, "--val", "6-7", *TINY)
    assert result.code == 0, result.err
    return folder


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Find a real data set by its folder's name, or skip the test."""

    def find(name: str) -> Path:
        home = Path(os.environ.get("USHAPE_DATA", ROOT.parent / "shared" / "data"))
        if not (home / name).is_dir():
            pytest.skip(f"the data set {name} is not in {home}; USHAPE_DATA names its folder")
        return home / name

    return find
