"""Synthetic volumes: fixed by the seed, round in millimetres, at a true place."""

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from scipy import ndimage

from ushape.data.io import read_label_volume, read_volume
from ushape.data.synth import VOLUME_KINDS, make_case, make_volume, write_dataset
from ushape.data.synth.lattice import Lattice
from ushape.errors import ConfigError, DataError

THICK = (4.0, 1.0, 1.0)
PICTURES = {
    "membrane": (737692, 3842),
    "cells": (281846, 1847),
    "discs": (310452, 752),
    "lines": (341725, 116),
}
"""Sum of the image and pixels above 0 in the label, of the first release that drew them; of discs,
of the one in which fewer protrude."""


@pytest.fixture(scope="module")
def drawn():
    """A volume of every kind, with thick slices."""
    return {kind: make_volume(kind, (20, 80, 80), 1, spacing_mm=THICK) for kind in VOLUME_KINDS}


@pytest.mark.parametrize("kind", VOLUME_KINDS)
@pytest.mark.parametrize("size", [(8, 32, 32), (9, 33, 47)])
def test_shapes_types_and_values(kind, size):
    image, label, grid = make_volume(kind, size, 3, spacing_mm=(2, 1, 1.5))
    assert image.shape == (1, *size)
    assert image.dtype == np.int16
    assert label.shape == grid.size == size
    assert set(np.unique(label)) <= set(VOLUME_KINDS[kind].labels.values())
    assert label.any()
    assert image.std() > 20


@pytest.mark.parametrize("kind", VOLUME_KINDS)
def test_seed_and_spacing_fix_every_voxel(kind):
    size = (8, 40, 40)
    one, again = make_volume(kind, size, 5), make_volume(kind, size, 5)
    others = make_volume(kind, size, 6), make_volume(kind, size, 5, spacing_mm=THICK)
    np.testing.assert_array_equal(one[0], again[0])
    np.testing.assert_array_equal(one[1], again[1])
    for other in others:
        assert (one[0] != other[0]).mean() > 0.5
        assert (one[1] != other[1]).any()


def test_only_the_ratio_of_the_edges_matters():
    thin = make_volume("cells", (8, 32, 32), spacing_mm=(0.002, 0.0005, 0.0005))
    thick = make_volume("cells", (8, 32, 32), spacing_mm=(4, 1, 1))
    np.testing.assert_array_equal(thin[0], thick[0])
    assert thin[2].spacing_mm == (0.002, 0.0005, 0.0005)


@pytest.mark.parametrize("kind", PICTURES)
def test_pictures_are_what_they_were_before_there_were_volumes(kind):
    image, label = make_case(kind, (64, 80), 0)
    # Another order of random numbers changes these by per cents, another machine by rounding.
    assert (int(image.sum()), int((label > 0).sum())) == pytest.approx(PICTURES[kind], rel=1e-3)


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), THICK, (1.0, 2.0, 1.0)])
def test_nuclei_are_round_in_millimetres(spacing_mm):
    _, label, _ = make_volume("cells", (40, 72, 72), 0, spacing_mm=spacing_mm)
    # The mean length of runs through a body is proportional to its extent along the axis.
    extents = []
    for axis, edge in enumerate(spacing_mm):
        padded = np.pad(np.moveaxis(label, axis, -1), [(0, 0), (0, 0), (1, 1)])
        starts = (np.diff(padded.astype(int), axis=-1) == 1).sum()
        extents.append(label.sum() / starts * edge)
    # Along thick slices the gaps between nuclei are not resolved: runs join.
    assert max(extents) / min(extents) < 1.6
    assert 5 < np.median(extents) < 14


def test_vessels_are_few_thin_connected_and_brighter(drawn):
    image, label, _ = drawn["vessels"]
    assert 0.005 < label.mean() < 0.05
    pieces, _ = ndimage.label(label, np.ones((3, 3, 3)))
    largest = np.sort(np.bincount(pieces.ravel())[1:])[::-1]
    assert largest[:4].sum() > 0.7 * label.sum()
    inside = ndimage.distance_transform_edt(label, sampling=THICK)
    assert inside.max() < 8
    around = ndimage.binary_dilation(label, iterations=3) & ~ndimage.binary_dilation(label)
    assert image[0][label > 0].mean() > 1.3 * image[0][around].mean()


def test_vessels_fork():
    _, label, _ = make_volume("vessels", (48, 64, 64), 2)
    slices = [ndimage.label(part)[1] for part in label]
    assert max(slices) > 3


def test_a_spine_has_all_its_parts_in_their_order(drawn):
    image, label, _ = drawn["discs"]
    shares = np.bincount(label.ravel(), minlength=4) / label.size
    assert shares[2] > shares[1] > 0.005
    assert shares[1] / 4 > shares[3] > 0
    # Along the spine discs lie between vertebrae; protrusions lie behind (larger x).
    _, _, x = np.indices(label.shape)
    assert x[label == 3].mean() > x[label == 1].mean() + 5
    knobs, count = ndimage.label(label == 3)
    touched = set(np.unique(knobs[ndimage.binary_dilation(label == 1, iterations=2)])) - {0}
    assert touched == set(range(1, count + 1))
    inside = ndimage.binary_erosion(label == 2, iterations=2)
    rim = (label == 2) & ~ndimage.binary_erosion(label == 2)
    assert image[0][inside].mean() > 1.2 * image[0][rim].mean()
    # It is seen whole: no vertebra in the first and the last slice.
    assert not (label[0] == 2).any()
    assert not (label[-1] == 2).any()


def test_nuclei_are_brighter_than_what_is_around(drawn):
    image, label, _ = drawn["cells"]
    assert 0.2 < label.mean() < 0.6
    for part, values in zip(label, image[0], strict=True):
        assert values[part > 0].mean() > 1.5 * values[part == 0].mean()
    assert image[0][-4:].mean() < image[0][:4].mean()  # light gets lost with depth


class TestLattice:
    def test_voxels_are_measured_in_their_shortest_edge(self):
        lattice = Lattice.of((4, 5, 6), (3.0, 1.5, 0.75))
        assert lattice.edges == (4.0, 2.0, 1.0)
        assert lattice.extent.tolist() == [16, 10, 6]
        z, y, x = lattice.positions()
        assert z.ravel().tolist() == [2, 6, 10, 14]
        assert (y.shape, x.shape) == ((1, 5, 1), (1, 1, 6))

    def test_windows_hold_all_that_is_near(self):
        lattice = Lattice.of((10, 20, 20), THICK)
        window = lattice.around((18.0, 9.0, 1.0), 5.0)
        z, y, x = lattice.positions()
        near = (z - 18) ** 2 + (y - 9) ** 2 + (x - 1) ** 2 < 25
        inside = np.zeros(lattice.size, bool)
        inside[window] = True
        assert not (near & ~inside).any()
        assert inside.mean() < 0.25

    @pytest.mark.parametrize("sigma", [1.5, 4.0, 9.0])
    def test_noise_has_unit_deviation_and_is_as_wide_along_every_axis(self, sigma):
        lattice = Lattice.of((40, 160, 80), (4.0, 1.0, 2.0))
        noise = lattice.noise(np.random.default_rng(0), sigma)
        assert noise.shape == lattice.size
        assert noise.std() == pytest.approx(1, abs=0.15)
        if sigma < 4:
            return
        for axis, edge in enumerate(lattice.edges):
            lag = max(1, round(sigma / edge))
            values = np.moveaxis(noise, axis, 0)
            together = np.mean(values[lag:] * values[:-lag]) / np.mean(noise**2)
            # Of Gaussian-filtered noise at distance d: exp(-d^2 / (4 sigma^2)).
            expected = np.exp(-((lag * edge) ** 2) / (4 * sigma**2))
            assert together == pytest.approx(expected, abs=0.14)

    def test_refined_voxels_average_back(self):
        lattice = Lattice.of((3, 4, 5), (3.0, 1.0, 1.4))
        fine = lattice.refined()
        assert fine.size == (9, 4, 5)
        values = np.arange(9 * 4 * 5, dtype=np.float32).reshape(9, 4, 5)
        expected = values.reshape(3, 3, 4, 5).mean(axis=1)
        np.testing.assert_allclose(lattice.gather(values), expected)


class TestDataSet:
    @pytest.mark.parametrize("kind", list(VOLUME_KINDS))
    def test_axes_are_right_handed_as_those_of_a_dicom_series(self, kind):
        _, _, grid = make_volume(kind, (8, 32, 32), spacing_mm=THICK)
        x, y, z = np.asarray(grid.direction)[::-1, ::-1].T
        np.testing.assert_array_equal(np.cross(x, y), z)

    def test_volumes_lie_where_their_header_says(self, tmp_path):
        root = write_dataset("discs", tmp_path, cases=2, size=(8, 48, 40), spacing_mm=THICK)
        names = sorted(p.relative_to(root).as_posix() for p in root.rglob("*.nii.gz"))
        assert names == [
            *("images/discs_000.nii.gz", "images/discs_001.nii.gz"),
            *("labels/discs_000.nii.gz", "labels/discs_001.nii.gz"),
        ]
        image, label = (read_volume(root / name) for name in names[::2])
        assert image.grid.is_same(label.grid)
        assert image.grid.spacing_mm == pytest.approx(THICK)
        assert image.grid.orientation == "RIP"
        drawn = make_first("discs", (8, 48, 40))
        np.testing.assert_array_equal(image.values, drawn[0])
        np.testing.assert_array_equal(read_label_volume(root / names[2]).values, drawn[1])
        scan = sitk.ReadImage(str(root / names[0]))
        assert scan.GetSpacing() == pytest.approx((1, 1, 4))
        middle = scan.TransformContinuousIndexToPhysicalPoint((19.5, 23.5, 3.5))
        assert middle == pytest.approx((0, 0, 0), abs=1e-4)
        source = (root / "SOURCE.txt").read_text()
        assert "--size 8x48x40 --spacing 4x1x1 --seed 0" in source
        assert "8 x 48 x 40 voxels of 4 x 1 x 1 mm" in source
        assert "3 = protrusion" in source

    def test_volumes_replace_pictures_and_the_reverse(self, tmp_path):
        write_dataset("cells", tmp_path, cases=2, size=(40, 40))
        write_dataset("vessels", tmp_path, cases=1, size=(8, 32, 32))
        assert [p.name for p in (tmp_path / "images").iterdir()] == ["vessels_000.nii.gz"]
        write_dataset("lines", tmp_path, cases=1, size=(40, 40))
        assert [p.name for p in (tmp_path / "labels").iterdir()] == ["lines_000.png"]

    @pytest.mark.parametrize(
        ("layout", "image"),
        [("nnunet", "cells_001_0000"), ("msd", "cells_001")],
    )
    def test_other_layouts_hold_the_same_cases(self, tmp_path, layout, image):
        size = {"cases": 2, "size": (8, 32, 32), "spacing_mm": THICK}
        plain = write_dataset("cells", tmp_path / "a", **size)
        other = write_dataset("cells", tmp_path / "b", layout=layout, **size)
        for one, two in (
            ("images/cells_001", f"imagesTr/{image}"),
            ("labels/cells_001", "labelsTr/cells_001"),
        ):
            first, second = (
                read_volume(root / f"{name}.nii.gz") for root, name in ((plain, one), (other, two))
            )
            np.testing.assert_array_equal(first.values, second.values)
            assert first.grid == second.grid
        assert '"nucleus"' in (other / "dataset.json").read_text()
        assert f"--layout {layout}" in (other / "SOURCE.txt").read_text()
        with pytest.raises(DataError, match="not empty"):
            write_dataset("cells", tmp_path / "b", layout=layout, **size)

    @pytest.mark.parametrize(
        ("changes", "pattern"),
        [
            ({"kind": "membrane"}, "membrane is drawn as pictures.*cells, vessels, discs in 3D"),
            ({"kind": "vessel"}, "did you mean 'vessels'"),
            ({"size": (7, 32, 32)}, "8 slices"),
            ({"size": (8, 31, 32)}, "8 slices"),
            ({"spacing_mm": (0, 1, 1)}, "spacing 0 x 1 x 1"),
            ({"spacing_mm": (1, 1)}, "three edges"),
            ({"spacing_mm": (50, 1, 1)}, "20 times"),
            ({"spacing_mm": (float("nan"), 1, 1)}, "three edges"),
        ],
    )
    def test_refuses_wrong_wishes_before_writing(self, tmp_path, changes, pattern):
        wishes = {"kind": "cells", "cases": 1, "size": (8, 32, 32)} | changes
        with pytest.raises(ConfigError, match=pattern):
            write_dataset(wishes.pop("kind"), tmp_path / "out", **wishes)
        assert not (tmp_path / "out").exists()


def make_first(kind, size):
    """Draw what a data set of seed 0 has as its first case."""
    from ushape.data.synth.kinds import draw_volume

    return draw_volume(kind, size, (0, 0), THICK)
