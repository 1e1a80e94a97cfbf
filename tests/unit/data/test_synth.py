"""Synthetic data: fixed by the seed, labels that fit what is drawn, folders left alone."""

import numpy as np
import pytest
from scipy import ndimage

from ushape.data.layouts import find_cases
from ushape.data.scan import scan_cases
from ushape.data.synth import KINDS, make_case, write_dataset
from ushape.data.synth.texture import place_discs, press_together, smooth_noise
from ushape.errors import ConfigError, DataError

VALUES = {"membrane": {0, 255}, "cells": {0, 255}, "discs": {0, 1, 2, 3}, "lines": {0, 255}}


def pooled(kind, seeds=range(4), size=(160, 160)):
    cases = [make_case(kind, size, seed) for seed in seeds]
    images = np.concatenate([image[0].ravel() for image, _ in cases]).astype(float)
    return images, np.concatenate([label.ravel() for _, label in cases])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(64, 64), (32, 75), (81, 33)])
def test_shapes_types_and_values(kind, size):
    image, label = make_case(kind, size, 1)
    assert image.shape == (1, *size)
    assert label.shape == size
    assert image.dtype == label.dtype == np.uint8
    values = set(np.unique(label).tolist())
    assert values <= VALUES[kind]
    assert len(values) >= 2
    assert image.std() > 3


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_fixes_every_pixel(kind):
    first, again = make_case(kind, (64, 64), 5), make_case(kind, (64, 64), 5)
    other = make_case(kind, (64, 64), 6)
    for one, two, three in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one, two)
        assert (one != three).mean() > 0.005


@pytest.mark.parametrize(
    ("kind", "value", "low", "high"),
    [("membrane", 0, 0.15, 0.33), ("cells", 255, 0.15, 0.6), ("lines", 255, 0.005, 0.025)],
)
def test_share_of_the_foreground(kind, value, low, high):
    _, labels = pooled(kind)
    assert low < (labels == value).mean() < high


def test_every_class_of_the_spine_occurs():
    _, labels = pooled("discs")
    shares = [(labels == value).mean() for value in range(4)]
    assert shares[0] > 0.7
    assert 0.08 < shares[2] < 0.25
    assert 0.02 < shares[1] < 0.08
    assert 0.0003 < shares[3] < shares[1] / 3


@pytest.mark.parametrize(
    ("kind", "value", "sign"), [("membrane", 0, -1), ("cells", 255, 1), ("lines", 255, 1)]
)
def test_labels_lie_on_what_is_drawn(kind, value, sign):
    image, label = make_case(kind, (160, 160), 2)
    local = image[0] - ndimage.gaussian_filter(image[0].astype(float), 9)
    marked = label == value

    def contrast(mask):
        return sign * (local[mask].mean() - local[~mask].mean())

    assert contrast(marked) > 12
    for axis in (0, 1):  # shifted by some pixels, a label that is at its place fits much less
        assert contrast(np.roll(marked, 5, axis)) < 0.75 * contrast(marked)


def test_vertebrae_are_brighter_than_their_rim():
    image, label = make_case("discs", (256, 256), 0)
    inside = ndimage.binary_erosion(label == 2, iterations=3)
    rim = (label == 2) & ~ndimage.binary_erosion(label == 2)
    assert image[0][inside].mean() > 1.5 * image[0][rim].mean()


def test_protrusions_touch_a_disc():
    for seed in range(3):
        _, label = make_case("discs", (256, 256), seed)
        knobs, count = ndimage.label(label == 3)
        touched = set(np.unique(knobs[ndimage.binary_dilation(label == 1)]).tolist()) - {0}
        assert touched == set(range(1, count + 1))


def test_touching_nuclei_stay_apart_in_the_label():
    _, label = make_case("cells", (256, 256), 0)
    _, count = ndimage.label(label)
    assert count > 20
    closed = ndimage.binary_closing(label > 0, iterations=1)
    _, together = ndimage.label(closed)
    assert together < 0.8 * count  # so there were thin gaps


def test_neighbouring_intensities_overlap():
    """A threshold must not solve the task: there are dark things that are not membrane."""
    images, labels = pooled("membrane")
    best = max(
        2
        * np.sum((images < level) & (labels == 0))
        / (np.sum(images < level) + np.sum(labels == 0))
        for level in range(40, 200, 10)
    )
    assert 0.4 < best < 0.8


class TestTexture:
    # Wide features are few in one picture, so their figures scatter.
    @pytest.mark.parametrize(("sigma", "scatter"), [(1.5, 0.05), (4, 0.1), (9, 0.15), (30, 0.35)])
    def test_noise_has_unit_deviation_and_its_width(self, sigma, scatter):
        rng = np.random.default_rng(0)
        noise = smooth_noise(rng, (400, 400), sigma)
        assert noise.shape == (400, 400)
        assert noise.std() == pytest.approx(1, abs=scatter)
        # Correlation of Gaussian-filtered noise at distance d is exp(-d^2 / (4 sigma^2)).
        lag = max(1, round(sigma))
        together = np.mean(noise[lag:] * noise[:-lag]) / np.mean(noise**2)
        assert together == pytest.approx(np.exp(-(lag**2) / (4 * sigma**2)), abs=0.1 + scatter / 5)

    def test_discs_keep_their_distance(self):
        rng = np.random.default_rng(0)
        discs = place_discs(rng, (100, 100), np.full(200, 8.0, np.float32), closeness=1.0)
        apart = np.hypot(*(discs[:, None, :2] - discs[None, :, :2]).transpose(2, 0, 1))
        np.fill_diagonal(apart, np.inf)
        assert len(discs) > 10
        assert apart.min() >= 16

    def test_bubbles_divide_the_plane_by_the_nearest_rim(self):
        discs = np.array([[20, 10, 8], [20, 40, 4]], np.float32)
        grid = tuple(np.indices((41, 51)).astype(np.float32))
        ones = np.ones(2, np.float32)
        bubbles = press_together(discs, grid, angles=0 * ones, stretches=ones, reach=60)
        rims = np.stack([np.hypot(grid[0] - y, grid[1] - x) - r for y, x, r in discs])
        np.testing.assert_array_equal(bubbles.owner, rims.argmin(0))
        np.testing.assert_allclose(bubbles.inside, -rims.min(0), atol=1e-4)
        assert bubbles.depth[20, 27] < 1  # half-way between the rims at 18 and 36
        assert bubbles.depth[20, 20] == pytest.approx(7, abs=1)


class TestDataSet:
    def test_is_a_data_set_without_problems(self, tmp_path):
        seen = []
        root = write_dataset(
            "cells",
            tmp_path / "new" / "cells",
            cases=3,
            size=(48, 64),
            progress=lambda done, total: seen.append((done, total)),
        )
        scan = scan_cases(find_cases(root))
        assert scan.problems == ()
        assert [case.id for case in scan.cases] == ["cells_000", "cells_001", "cells_002"]
        assert {case.size for case in scan.cases} == {(48, 64)}
        assert seen == [(1, 3), (2, 3), (3, 3)]
        source = (root / "SOURCE.txt").read_text()
        assert "ushape data synth cells --cases 3 --size 48x64 --seed 0" in source
        assert "255 = nucleus" in source

    def contents(self, root):
        return {
            str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.png"))
        }

    def test_a_case_does_not_depend_on_how_many_there_are(self, tmp_path):
        few = self.contents(write_dataset("lines", tmp_path / "a", cases=1, size=(40, 40), seed=9))
        more = self.contents(write_dataset("lines", tmp_path / "b", cases=3, size=(40, 40), seed=9))
        assert few.items() <= more.items()
        assert len({content for name, content in more.items() if "images" in name}) == 3

    def test_replaces_an_earlier_one_completely_but_nothing_else(self, tmp_path):
        write_dataset("lines", tmp_path, cases=3, size=(40, 40))
        (tmp_path / "images" / "mine.png").write_bytes(b"keep")
        write_dataset("cells", tmp_path, cases=1, size=(40, 40))
        names = sorted(path.name for path in (tmp_path / "images").iterdir())
        assert names == ["cells_000.png", "mine.png"]
        assert len(list((tmp_path / "labels").iterdir())) == 1

    @pytest.mark.parametrize("source", [None, "ISBI 2012 EM segmentation challenge"])
    def test_refuses_a_folder_that_holds_something_else(self, tmp_path, source):
        (tmp_path / "thesis.tex").write_text("x")
        if source:
            (tmp_path / "SOURCE.txt").write_text(source)
        with pytest.raises(DataError, match=r"not empty.*thesis\.tex|not empty.*SOURCE\.txt"):
            write_dataset("cells", tmp_path, cases=1, size=(40, 40))
        assert not (tmp_path / "images").exists()

    @pytest.mark.parametrize(
        ("changes", "pattern"),
        [
            ({"kind": "membranes"}, "did you mean 'membrane'"),
            ({"size": (31, 64)}, "31 x 64 is not possible.*32 pixels or more"),
            ({"size": (64,)}, "two edges"),
            ({"kind": "lines", "size": (64, 64, 64)}, "lines is drawn as pictures.*vessels"),
            ({"kind": "vessels"}, "vessels is drawn as volumes"),
            ({"spacing_mm": (1, 1, 1)}, "pictures have none"),
            ({"cases": 0}, "ask for one or more"),
            ({"seed": -1}, "negative"),
        ],
    )
    def test_refuses_wrong_wishes_before_writing(self, tmp_path, changes, pattern):
        wishes = {"kind": "cells", "cases": 1, "size": (40, 40), "seed": 0} | changes
        kind = wishes.pop("kind")
        with pytest.raises(ConfigError, match=pattern):
            write_dataset(kind, tmp_path / "out", **wishes)
        assert not (tmp_path / "out").exists()
