"""Data sets of empty files: layouts go by names."""

import pytest


@pytest.fixture
def make(tmp_path):
    """Return a function that makes empty files below a folder, and returns the folder."""

    def make(*names, **texts):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        for name, text in texts.items():
            (tmp_path / name.replace("__", ".")).write_text(text, encoding="utf-8")
        return tmp_path

    return make


def relative(layout):
    """List ids, images and labels relative to the data set."""
    root = layout.root if layout.root.is_dir() else layout.root.parent
    return [
        (case.id, case.image.relative_to(root).as_posix(), case.label.relative_to(root).as_posix())
        for case in layout.cases
    ]
