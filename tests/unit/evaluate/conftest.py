"""Fixtures: labels drawn for tests, written in every form, and scores computed in another way."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.distance import cdist

from ushape.data.io import Grid, write_label_volume, write_volume

NAMES = ("disc", "bone")
LABELS = {"background": 0, "disc": 1, "bone": 2}


def scene(seed, size, *, overlapping=False):
    """Draw blobs of two classes, and the same a little elsewhere as their prediction."""
    generator = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(generator.normal(size=(2, *size)), (0, *(2,) * len(size)))
    truth = noise > np.quantile(noise, 0.7)
    if not overlapping:
        truth[1] &= ~truth[0]
    prediction = np.stack([np.roll(truth[0], 1, axis=-1), np.roll(truth[1], 2, axis=0)])
    if not overlapping:
        prediction[1] &= ~prediction[0]
    return prediction, truth


def write_values(folder, name, masks, grid=None, suffix=".png", values=(1, 2)):
    """Write one file of label values."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = np.zeros(masks.shape[1:], np.uint8)
    for mask, value in zip(masks, values, strict=True):
        picture[mask] = value
    path = folder / f"{name}{suffix}"
    write_label_volume(path, picture, grid or Grid.of(picture.shape), keep_place=False)
    return path


def write_folders(folder, name, masks, grid=None, suffix=".png", names=NAMES, value=255):
    """Write one file a class into folders."""
    for mask, class_name in zip(masks, names, strict=True):
        inner = folder / class_name
        inner.mkdir(parents=True, exist_ok=True)
        write_label_volume(
            inner / f"{name}{suffix}",
            mask.astype(np.uint8) * value,
            grid or Grid.of(mask.shape),
            keep_place=False,
        )


def write_channels(folder, name, masks, grid=None, suffix=".tif"):
    """Write one file with a channel a class."""
    folder.mkdir(parents=True, exist_ok=True)
    values = masks.astype(np.uint8) * 255
    write_volume(
        folder / f"{name}{suffix}", values, grid or Grid.of(masks.shape[1:]), keep_place=False
    )


def dice_of(prediction, truth):
    """Dice by the sets of places."""
    ours, theirs = ({tuple(p) for p in np.argwhere(mask)} for mask in (prediction, truth))
    return 2 * len(ours & theirs) / (len(ours) + len(theirs))


def hd95_of(prediction, truth, spacing):
    """HD95 by all distances between all surface voxels."""
    ours, theirs = (
        np.argwhere(mask & ~ndimage.binary_erosion(mask, border_value=0)) * np.array(spacing)
        for mask in (prediction, truth)
    )
    apart = cdist(ours, theirs)
    return max(np.percentile(apart.min(axis=1), 95), np.percentile(apart.min(axis=0), 95))


@pytest.fixture
def scenes():
    """Give the functions of this file: test modules cannot import each other."""
    return SimpleNamespace(
        draw=scene,
        values=write_values,
        folders=write_folders,
        channels=write_channels,
        dice=dice_of,
        hd95=hd95_of,
    )
