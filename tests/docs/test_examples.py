"""The examples in pages and docstrings run, in a folder of their own.

A fence of ```python is run, those of one page in order and with shared names; ```python no-run
is shown only.
"""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```python[ \t]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
MODULES = [
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(SOURCE.rglob("*.py"))
    if re.search(r"^\s*>>> ", path.read_text(encoding="utf-8"), re.MULTILINE)
]


def code_blocks(text: str) -> list[str]:
    """Cut out the blocks to run, each moved down to its line in the page for tracebacks."""
    return [
        "\n" * (text[: match.start(1)].count("\n")) + match[1] for match in FENCE.finditer(text)
    ]


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if code_blocks(page.read_text(encoding="utf-8"))],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_the_code_on_a_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__page__"}
    for block in code_blocks(page.read_text(encoding="utf-8")):
        exec(compile(block, str(page), "exec"), names)


def test_blocks_are_found_and_no_run_is_left_out() -> None:
    text = "a\n```python\nx = 1\n```\n```python no-run\ny\n```\n```\nz\n```\n```python\nw\n```\n"
    assert code_blocks(text) == ["\n\nx = 1\n", "\n" * 11 + "w\n"]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0


def test_the_modules_below_all_others_have_examples() -> None:
    assert {"ushape.errors", "ushape.sizes", "ushape.labels.parse"} <= set(MODULES)


def test_links_between_pages_lead_somewhere() -> None:
    broken = []
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            path, _, _ = target.partition("#")
            if path and "://" not in path and not (page.parent / path).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []


def test_decisions_stay_short() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    long = [p.name for p in pages if len(p.read_text(encoding="utf-8").splitlines()) > 40]
    assert long == []
