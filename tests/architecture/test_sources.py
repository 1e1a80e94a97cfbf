"""Rules that every source file keeps: nothing that is read is executed, no path of one machine."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = sorted((ROOT / "src").rglob("*.py"))
TEXT_SUFFIXES = {".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".j2", ".css", ".svg", ".json", ""}
TEXTS = sorted(
    path
    for start in ("src", "docs", "benchmarks", ".ci")
    for path in (ROOT / start).rglob("*")
    if path.is_file() and path.suffix in TEXT_SUFFIXES and "__pycache__" not in path.parts
) + sorted(
    path
    for path in ROOT.iterdir()
    if path.is_file() and path.suffix in TEXT_SUFFIXES and path.name != ".git"
)
MACHINE_PATH = re.compile(r"(?<![\w.)}\]])/(?:work|root|tmp|home|Users)/")
PICKLE_ALLOWED = {"UnpicklingError"}
"""Catching the error of a damaged file executes nothing."""


def unsafe(source: str) -> Iterator[str]:
    """Name every expression that could execute what a file holds."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module in PICKLES:
            names = {alias.name for alias in node.names} - PICKLE_ALLOWED
            yield from (f"from {node.module} import {name}" for name in sorted(names))
        elif isinstance(node, ast.Import):
            yield from (
                f"import {alias.name}" for alias in node.names if alias.name in PICKLES - {"pickle"}
            )
        elif isinstance(node, ast.Attribute) and dotted(node.value) == "pickle":
            if node.attr not in PICKLE_ALLOWED:
                yield f"pickle.{node.attr}"
        elif isinstance(node, ast.Call):
            yield from unsafe_call(node)


PICKLES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


def unsafe_call(node: ast.Call) -> Iterator[str]:
    name = dotted(node.func)
    constants = {
        keyword.arg: keyword.value.value
        for keyword in node.keywords
        if isinstance(keyword.value, ast.Constant)
    }
    if name in {"eval", "exec", "os.system", "os.popen", "builtins.eval", "builtins.exec"}:
        yield name
    if name == "torch.load" and constants.get("weights_only") is not True:
        yield "torch.load without weights_only=True"
    if name in {"yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load"}:
        yield name
    for flag in ("allow_pickle", "shell"):
        if any(k.arg == flag for k in node.keywords) and constants.get(flag) is not False:
            yield f"{flag} is not False"


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.relative_to(ROOT / "src").as_posix())
def test_nothing_that_is_read_is_executed(path: Path) -> None:
    assert list(unsafe(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\npickle.loads(b'')",
        "from pickle import load",
        "import dill",
        "import torch\ntorch.load('x')",
        "import torch\ntorch.load('x', weights_only=False)",
        "import torch\ntorch.load('x', weights_only=flag)",
        "import yaml\nyaml.load(text, Loader=yaml.Loader)",
        "import yaml\nyaml.unsafe_load(text)",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "eval('1')",
        "import subprocess\nsubprocess.run('ls', shell=True)",
    ],
)
def test_the_scan_finds_what_is_unsafe(source: str) -> None:
    assert len(list(unsafe(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\ntry: ...\nexcept pickle.UnpicklingError: ...",
        "import torch\ntorch.load('x', weights_only=True)",
        "network.eval()",
        "import yaml\nyaml.safe_load(text)",
        "import numpy as np\nnp.load('x', allow_pickle=False)",
    ],
)
def test_the_scan_lets_safe_code_pass(source: str) -> None:
    assert list(unsafe(source)) == []


def test_no_text_holds_a_path_of_one_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in TEXTS
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if MACHINE_PATH.search(line)
    ]
    assert len(TEXTS) > 40
    assert found == []


def test_the_path_pattern_tells_absolute_from_relative() -> None:
    for text in ("'/tmp/x'", " /root/a", "see /work/data", '"/home/me/"'):
        assert MACHINE_PATH.search(text), text
    for text in ("runs/tmp/x", "../work/data", "{root}/tmp/", "https://a.b/home/"):
        assert not MACHINE_PATH.search(text), text
