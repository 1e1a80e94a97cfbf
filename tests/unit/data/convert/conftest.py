"""Small sets of pictures, and how to look at what was written."""

import json

import numpy as np
import pytest
from PIL import Image

from ushape.data.convert import ConvertWish, convert_dataset

SIZE = (20, 30)


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return path


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def grey(seed=0, size=SIZE):
    return np.random.default_rng(seed).integers(0, 256, size).astype(np.uint8)


def messages(done):
    return [f"{p.severity}: {p.path.name}: {p.message}" for p in done.problems]


@pytest.fixture
def convert(tmp_path):
    """Convert into OUT, a new folder; returns what was done."""

    def run(source, *, to="images+labels", kind=None, out="OUT", progress=None, **wishes):
        return convert_dataset(
            source, tmp_path / out, to=to, kind=kind, wish=ConvertWish(**wishes), progress=progress
        )

    return run
