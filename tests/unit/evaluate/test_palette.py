"""Void pixels of palette labels: by index, since the files are read so."""

import numpy as np
import pytest
from PIL import Image

from ushape.errors import ConfigError
from ushape.evaluate import evaluate_folders
from ushape.files import write_json
from ushape.labels import LabelClass, LabelTable, parse_value


def write(folder, name, values):
    picture = Image.fromarray(np.array(values, np.uint8), "P")
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
    folder.mkdir(exist_ok=True)
    picture.save(folder / name)


@pytest.fixture
def sides(tmp_path):
    write(tmp_path / "truth", "a.png", [[0, 1, 2, 2]] * 4)
    write(tmp_path / "found", "a.png", [[0, 1, 1, 1]] * 4)
    return tmp_path / "found", tmp_path / "truth"


def told(folder):
    """Leave the record of a prediction, which tells the classes."""
    table = LabelTable((LabelClass("rest", 0), LabelClass("cell", 1)))
    content = {"labels": table.to_json(), "form": "values", "written": ["a.png"], "failed": {}}
    write_json(folder / "predictions.json", content)


@pytest.mark.parametrize("names", [None, {"rest": 0, "cell": 1}, "told"])
def test_a_colour_is_refused_and_its_index_leaves_pixels_out(sides, names):
    if names == "told":
        told(sides[0])
        names = None
    with pytest.raises(ConfigError, match=r"--ignore #0000ff: .*index"):
        evaluate_folders(*sides, names=names, ignore=parse_value("#0000ff"))
    found = evaluate_folders(*sides, names=names, ignore=2)
    assert found.cases[0].classes["dice"] == (1.0,)
