"""What `dataset.json` tells of the truth holds where a person says something else."""

import json

import numpy as np
import pytest

from ushape.data.io import Grid, write_label_volume
from ushape.evaluate import evaluate_folders

LABELS = {"background": 0, "whole": [1, 2], "core": 2, "ignore": 4}


@pytest.fixture
def folders(tmp_path):
    """Rows of truth and prediction: the last of the truth is void."""
    rows = {"t": (0, 1, 1, 2, 2, 4), "p": (0, 1, 2, 2, 1, 2)}
    for folder, values in rows.items():
        (tmp_path / folder).mkdir()
        picture = np.repeat(np.array(values, np.uint8)[:, None], 8, axis=1)
        write_label_volume(tmp_path / folder / "a.png", picture, Grid.of(picture.shape))
    (tmp_path / "t" / "dataset.json").write_text(json.dumps({"labels": LABELS}))
    return tmp_path / "p", tmp_path / "t"


def scores(folders, **said):
    found = evaluate_folders(*folders, **said)
    return dict(zip(found.class_names, found.cases[0].classes["dice"], strict=True))


def test_parts_of_regions_are_not_scored(folders):
    assert scores(folders) == pytest.approx({"whole": 1.0, "core": 0.5})


def test_void_stays_void_when_a_person_names_the_values(folders):
    """Naming them threw the void value away: it was refused, or one more object."""
    names = {"nothing": 0, "rim": 1, "stone": 2}
    assert scores(folders, names=names) == pytest.approx({"rim": 0.5, "stone": 0.5, "whole": 1.0})


def test_void_is_no_object(folders):
    """The last row of the truth was an object that the prediction lacks."""
    picture = np.repeat(np.array([0, 1, 2, 2, 1, 0], np.uint8)[:, None], 8, axis=1)
    write_label_volume(folders[0] / "a.png", picture, Grid.of(picture.shape))
    assert scores(folders, target="instances") == pytest.approx({"object": 1.0})
