"""Imports go down only, and what has to start fast imports nothing slow."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SLOW = {"torch", "lightning_fabric", "matplotlib", "scipy", "skimage", "pydantic", "safetensors"}


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_the_contracts_of_import_linter_hold() -> None:
    code = (
        "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    )
    result = run_python(code)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


@pytest.mark.parametrize("module", ["ushape", "ushape.cli.main"])
def test_start_up_imports_nothing_slow(module: str) -> None:
    loaded = run_python(f"import sys, {module}; print(*sys.modules)")
    assert loaded.returncode == 0, loaded.stderr
    modules = set(loaded.stdout.split())
    assert module in modules
    assert modules & SLOW == set()


def test_help_imports_no_torch() -> None:
    code = (
        "import contextlib, io, sys\n"
        "sys.argv = ['ushape', '--help']\n"
        "from ushape.cli.main import main\n"
        "with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):\n"
        "    main()\n"
        "assert 'train' in out.getvalue(), out.getvalue()\n"
        "assert 'torch' not in sys.modules\n"
    )
    result = run_python(code)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("module", ["ushape.labels", "ushape.sizes", "ushape.files"])
def test_the_lowest_layer_needs_the_standard_library_only(module: str) -> None:
    assert find_spec(module) is not None
    code = (
        f"import sys, {module}\n"
        "foreign = {name.partition('.')[0] for name, m in sys.modules.items()"
        " if 'site-packages' in str(getattr(m, '__file__', ''))}\n"
        "import numpy\n"
        "assert 'numpy' in {n for n, m in sys.modules.items() if 'site-packages' in str(m)}\n"
        "print(*foreign)"
    )
    # Start-up hooks of the environment may load something of their own; they do so without us too.
    bare = run_python(code.replace(f", {module}", ""))
    result = run_python(code)
    assert result.returncode == 0, result.stderr
    assert set(result.stdout.split()) <= set(bare.stdout.split()) | {"ushape"}


def test_geometry_and_specs_need_no_torch() -> None:
    result = run_python(
        "import sys; from ushape.nets import geometry_of, make_spec\n"
        "assert geometry_of(make_spec('unet_original')).output_size((572, 572)) == (388, 388)\n"
        "assert 'torch' not in sys.modules"
    )
    assert result.returncode == 0, result.stderr
