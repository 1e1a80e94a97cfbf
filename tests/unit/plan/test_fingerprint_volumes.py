"""A scan of volumes and stacks summed up."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ushape.data.io import Grid, write_label_volume, write_volume
from ushape.data.layouts import CaseFiles, Layout
from ushape.data.scan import scan_cases
from ushape.labels import LabelWish
from ushape.plan import take_fingerprint

SIZES = {"a": (6, 12, 10), "b": (8, 20, 10), "c": (10, 14, 30)}
EDGES = {"a": (3.0, 1.0, 1.0), "b": (2.0, 1.0, 0.5), "c": (5.0, 4.0, 1.0)}


class Drawn:
    """Three volumes, what was written, and their scan."""

    def __init__(self, root, *, low=0, high=200):
        rng = np.random.default_rng(0)
        self.root, self.images, self.labels, self.files = root, {}, {}, []
        for name, size in SIZES.items():
            image = rng.integers(low, high, size).astype(np.int16) + (name == "c")
            label = np.zeros(size, np.uint8)
            label[2:4, 2:8, 2:8] = 1
            if name == "b":
                label[5, 2:4, 2:4] = 2
            paths = [root / folder / f"{name}.nii.gz" for folder in ("images", "labels")]
            write_volume(paths[0], image[np.newaxis], Grid.of(size, EDGES[name]))
            write_label_volume(paths[1], label, Grid.of(size, EDGES[name]))
            self.images[name], self.labels[name] = image, label
            self.files.append(CaseFiles(name, *paths, group="one" if name != "b" else None))

    def fingerprint(self, wish=None, **changes):
        layout = Layout("test", self.root, tuple(self.files), (), self.root / "labels")
        return take_fingerprint(scan_cases(replace(layout, **changes), wish=wish), wish)


@pytest.fixture
def drawn(tmp_path):
    return Drawn(tmp_path)


def test_sizes_spacings_groups_and_classes(drawn):
    found = drawn.fingerprint()
    assert (found.spatial_dims, found.is_stack, found.channels) == (3, False, 1)
    assert found.median_size == (8, 14, 10)
    assert (found.smallest_size, found.largest_size) == ((6, 12, 10), (10, 20, 30))
    assert found.spacing_mm == (3.0, 1.0, 1.0)
    assert found.smallest_spacing_mm == (2.0, 1.0, 0.5)
    assert found.largest_spacing_mm == (5.0, 4.0, 1.0)
    assert found.groups == {"a": "one", "c": "one"}
    assert found.cases_classes == {"a": (1,), "b": (1, 2), "c": (1,)}
    assert found.content_size == found.median_size
    assert found.modality == "other"


def test_content_is_the_median_over_the_cases(drawn):
    for name, planes in (("a", 4), ("b", 5)):
        image = drawn.images[name].copy()
        image[planes:] = 0
        image[:planes, 0, 0] = 1
        path = drawn.root / "images" / f"{name}.nii.gz"
        write_volume(path, image[np.newaxis], Grid.of(SIZES[name], EDGES[name]))
    assert drawn.fingerprint().content_size == (5, 14, 10)


def test_intensities_are_those_of_all_foreground_voxels_of_all_cases(drawn):
    """Catches the whole image instead of its foreground, and cases that weigh the same."""
    pooled = np.concatenate([drawn.images[n][drawn.labels[n] > 0] for n in SIZES])
    (found,) = drawn.fingerprint().intensities
    assert found.mean == pytest.approx(pooled.mean())
    assert found.std == pytest.approx(pooled.std())
    for value, percent in ((found.percentile_0_5, 0.5), (found.percentile_99_5, 99.5)):
        assert value == np.percentile(pooled, percent, method="inverted_cdf")


def test_the_foreground_is_what_the_labels_are_understood_as(drawn):
    wish = LabelWish(names={"rest": 1, "hole": 0, "spot": 2})
    pooled = np.concatenate([drawn.images[n][drawn.labels[n] != 1] for n in SIZES])
    (found,) = drawn.fingerprint(wish).intensities
    assert found.mean == pytest.approx(pooled.mean(), rel=1e-6)


def test_a_wild_value_shows_in_the_outlier_ratio(drawn):
    usual = drawn.fingerprint().outlier_ratio
    assert 1 <= usual < 1.2
    image = drawn.images["b"].copy()
    image[3, 3, 3] = 20_000
    write_volume(drawn.root / "images" / "b.nii.gz", image[np.newaxis],
                 Grid.of(SIZES["b"], EDGES["b"]))  # fmt: skip
    middle, high = np.percentile(image, [50, 99.5], method="inverted_cdf")
    assert drawn.fingerprint().outlier_ratio == pytest.approx((20_000 - middle) / (high - middle))


def test_spacing_counts_where_most_files_tell_it(drawn):
    for files in drawn.files[:2]:
        path = files.image.with_name(f"{files.id}.npy")
        write_volume(path, drawn.images[files.id][np.newaxis], Grid.of(SIZES[files.id]))
        place = drawn.files.index(files)
        drawn.files[place] = replace(files, image=path)
        found = drawn.fingerprint()
        if place == 0:
            assert found.spacing_mm == (3.5, 2.5, 0.75)
            assert found.smallest_spacing_mm == (2.0, 1.0, 0.5)
    assert (found.spacing_mm, found.largest_spacing_mm) == (None, None)
    assert found.edges == (1.0, 1.0, 1.0)


class TestModality:
    def test_a_name_beside_the_data_decides(self, drawn):
        assert drawn.fingerprint(channel_names=("CT",)).modality == "ct"
        assert drawn.fingerprint(channel_names=("ct_venous",)).modality == "ct"
        assert drawn.fingerprint(channel_names=("CT", "PET")).modality == "other"
        assert drawn.fingerprint(channel_names=("MRI",)).modality == "other"
        assert drawn.fingerprint(channel_names=("CT",)).channel_names == ("CT",)

    def test_whole_numbers_from_air_to_bone_are_ct(self, tmp_path):
        drawn = Drawn(tmp_path, low=-1024, high=1500)
        assert drawn.fingerprint().modality == "ct"
        assert drawn.fingerprint(channel_names=("T1",)).modality == "other"

    def test_fractions_are_none(self, tmp_path):
        drawn = Drawn(tmp_path, low=-1024, high=1500)
        image = drawn.images["a"] + np.float32(0.5)
        path = drawn.root / "images" / "a.nii.gz"
        write_volume(path, image[np.newaxis], Grid.of(SIZES["a"], EDGES["a"]))
        assert drawn.fingerprint().modality == "other"


def test_stacks_have_the_sizes_of_stacks_and_the_cases_of_slices(tmp_path):
    rng = np.random.default_rng(0)
    files = []
    for stack, slices, size in (("s", 3, (16, 20)), ("t", 5, (12, 30))):
        for number in range(slices):
            paths = [tmp_path / f"{kind}_{stack}{number}.png" for kind in ("image", "label")]
            image = rng.integers(1, 255, size, dtype=np.uint8)
            image[:, 10:] = 0
            Image.fromarray(image).save(paths[0])
            Image.fromarray(np.eye(*size, dtype=np.uint8)).save(paths[1])
            files.append(CaseFiles(f"{stack}{number}", *paths, group=stack))
    layout = Layout("test", tmp_path, tuple(files), (), tmp_path, stack_mm=(0.05, 0.004, 0.004))
    found = take_fingerprint(scan_cases(layout))
    assert found.is_stack
    assert found.spatial_dims == 3
    assert len(found.case_ids) == 8
    assert (found.smallest_size, found.largest_size) == ((3, 12, 20), (5, 16, 30))
    assert found.median_size == (4, 14, 25)
    assert found.content_size == (4, 14, 10)
    assert found.spacing_mm == found.largest_spacing_mm == (0.05, 0.004, 0.004)
    assert found.groups["t4"] == "t"
