"""The scan of volumes, channels in several files, and stacks."""

import struct
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - its usual name
from PIL import Image

from ushape.data.io import Grid, write_label_volume, write_volume
from ushape.data.io.orientation import canonical_turn
from ushape.data.layouts import CaseFiles, Layout
from ushape.data.layouts.cases import ClassMask
from ushape.data.scan import scan_cases
from ushape.labels import LabelWish

SIZE = (6, 12, 10)
EDGES = (3.0, 1.0, 0.5)


def turned_grid(size=SIZE, edges=EDGES):
    """Stored x y z to right, anterior and inferior: every axis of the file is another one."""
    direction = np.zeros((3, 3))
    direction[2, 0], direction[1, 1], direction[0, 2] = 1, -1, -1
    return Grid.of(size, edges, (5.0, -7.0, 11.0), direction)


class Volumes:
    """Write volumes and labels, and scan them."""

    def __init__(self, root):
        self.root = root
        self.rng = np.random.default_rng(0)
        self.cases = []

    def image(self, size=SIZE, low=0, high=1000):
        values = self.rng.integers(low, high, (1, *size)).astype(np.int16)
        values[0, :2] = 0  # two empty planes
        return values

    def label(self, size=SIZE):
        label = np.zeros(size, np.uint8)
        label[3:5, 2:7, 2:7] = 1
        label[4, 8:10, 3:6] = 2
        return label

    def add(self, name, grid=None, image=None, label=None, label_grid=None, ending=".nii.gz", **f):
        grid = grid or Grid.of(SIZE, EDGES)
        image = self.image(grid.size) if image is None else image
        label = self.label(grid.size) if label is None else label
        paths = [self.root / folder / f"{name}{ending}" for folder in ("images", "labels")]
        write_volume(paths[0], image, grid, keep_place=False)
        write_label_volume(paths[1], label, label_grid or grid, keep_place=False)
        self.cases.append(CaseFiles(name, *paths, **f))
        return image, label

    def scan(self, stack_mm=None, **options):
        layout = Layout(
            "test", self.root, tuple(self.cases), (), self.root / "labels", stack_mm=stack_mm
        )
        return scan_cases(layout, **options)


@pytest.fixture
def data(tmp_path):
    return Volumes(tmp_path)


def only_problem(scan, severity, name, *words):
    (problem,) = scan.problems
    assert problem.severity == severity
    assert problem.path.name == name
    for word in words:
        assert word in problem.message
    return problem


def test_a_volume_is_measured_in_canonical_order(data):
    """Catches sizes or spacings in the order of the file, and labels that are not turned along."""
    image, label = data.add("a", turned_grid(), group="anna")
    (case,) = data.scan().cases
    turn = canonical_turn(turned_grid())
    assert case.size == turn.new.size != SIZE
    assert case.spacing_mm == turn.new.spacing_mm == (0.5, 1.0, 3.0)
    assert case.content_size == (10, 12, 4)
    assert case.orientation == turned_grid().orientation
    assert (case.oblique_degrees, case.group) == (0.0, "anna")
    assert (case.dtype, case.num_channels, case.is_whole) == ("int16", 1, True)
    assert case.median == np.percentile(image, 50, method="inverted_cdf")
    assert case.label_counts == {v: int((label == v).sum()) for v in (0, 1, 2)}
    for value in (1, 2):
        exact = np.sort(image[0][label == value])
        assert case.inside[value].means[0] == pytest.approx(exact.mean())
        np.testing.assert_array_equal(case.inside[value].quantiles[0], exact)
    assert "inside" not in case.to_json()


def test_axis_order_and_format_of_a_file_change_nothing(data):
    """One scan stored in four ways gives one hash, one size, one set of intensities."""
    image, label = data.image(), data.label()
    for name, ending in (("a", ".nii.gz"), ("b", ".nrrd"), ("c", ".npz")):
        data.add(name, None, image, label, ending=ending)
    turn = canonical_turn(Grid.of(SIZE[::-1], EDGES[::-1], direction=turned_grid().direction))
    assert turn.new.size == SIZE
    data.add("d", turn.old, turn.undo(image), turn.undo(label))
    scan = data.scan()
    assert len({(case.image_hash, case.size, case.spacing_mm) for case in scan.cases}) == 1
    for value in (0, 1, 2):
        kept = [case.inside[value].quantiles for case in scan.cases]
        assert all(np.array_equal(kept[0], each) for each in kept)
    copies = [problem for problem in scan.problems if "the same volume as" in problem.message]
    assert [problem.path.name for problem in copies] == ["b.nrrd", "c.npz", "d.nii.gz"]


def test_channels_in_several_files_are_one_image(data):
    first, _ = data.add("a_0000")
    second, _ = data.add("a_0001", image=data.image(high=50))
    paths = tuple(case.image for case in data.cases)
    data.cases = [CaseFiles("a", paths[0], data.cases[0].label, channels=paths)]
    (case,) = data.scan().cases
    assert case.num_channels == 2
    assert case.maximum == first.max()
    assert case.mean == pytest.approx((first.mean() + second.mean()) / 2)
    means = case.inside[1].means
    assert means[0] > 3 * means[1]  # catches channels that are mixed up or both the first


def test_three_equal_channel_files_are_no_grey_picture(data):
    picture = data.rng.integers(0, 9, (12, 10), dtype=np.uint8)
    paths = []
    for number in range(3):
        paths.append(data.root / f"a_000{number}.png")
        Image.fromarray(picture).save(paths[-1])
    Image.fromarray((picture > 4).astype(np.uint8)).save(data.root / "label.png")
    data.cases = [CaseFiles("a", paths[0], data.root / "label.png", channels=tuple(paths))]
    (case,) = data.scan().cases
    assert case.num_channels == 3
    assert not case.is_grey_in_colors


def test_masks_by_class_are_turned_like_their_image(data):
    image, label = data.add("a", turned_grid())
    masks = []
    for value, name in ((1, "body"), (2, "spot")):
        path = data.root / name / "a.nii.gz"
        write_label_volume(path, (label == value).astype(np.uint8) * 7, turned_grid())
        masks.append(ClassMask(name, path))
    data.cases = [replace(data.cases[0], label=None, masks=tuple(masks))]
    (case,) = data.scan().cases
    assert (case.form, case.mask_names) == ("folders", ("body", "spot"))
    assert case.label_counts[2] == (label == 2).sum()
    assert case.inside[2].means[0] == pytest.approx(image[0][label == 2].mean())


def test_instances_in_a_volume(data):
    data.add("a")
    (case,) = data.scan(wish=LabelWish(target="instances")).cases
    assert case.form == "instances"
    assert case.label_counts[1] == (data.label() > 0).sum()


def test_a_picture_among_volumes_is_left_out(data):
    data.add("a")
    data.add("b", ending=".mha")
    flat = Grid.of((12, 10))
    data.add("c", flat, data.image((12, 10)).astype(np.uint8), np.eye(12, 10, dtype=np.uint8),
             ending=".png")  # fmt: skip
    scan = data.scan()
    assert [case.id for case in scan.cases] == ["a", "b"]
    only_problem(scan, "error", "c.png", "2D picture (12 x 10)", "2 of 3 are volumes")


def test_a_channel_on_another_grid_is_the_one_that_is_named(data, tmp_path):
    """The first was, whose grid is the right one."""
    data.add("a")
    data.add("b")
    other = tmp_path / "images" / "b_0001.nii.gz"
    second = tmp_path / "images" / "a_0001.nii.gz"
    write_volume(other, data.image(), Grid.of(SIZE, EDGES, (3.0, 0.0, 0.0)), keep_place=False)
    write_volume(second, data.image(), Grid.of(SIZE, EDGES), keep_place=False)
    data.cases = [
        replace(case, channels=(case.image, path))
        for case, path in zip(data.cases, (second, other), strict=True)
    ]
    scan = data.scan()
    only_problem(scan, "error", "b_0001.nii.gz", "the channel does not lie on the grid of",
                 "b.nii.gz: origin 3 x 0 x 0 against 0 x 0 x 0", "give the channel of this",
                 "channels are not aligned")  # fmt: skip
    other.write_bytes(b"\x1f\x8b damaged")
    only_problem(data.scan(), "error", "b_0001.nii.gz", "unreadable: it is")


def test_a_label_on_another_grid_is_refused_with_the_numbers_or_aligned(data):
    data.add("a")
    moved = Grid.of(SIZE, EDGES, (3.0, 0.0, 0.0))
    data.add("b", label_grid=moved)
    scan = data.scan()
    assert [case.id for case in scan.cases] == ["a"]
    only_problem(scan, "error", "b.nii.gz", "does not lie on the grid", "3 x 0 x 0", "--align")
    aligned = data.scan(align=True)
    only_problem(aligned, "warning", "b.nii.gz", "labels of this case are resampled")
    shifted = np.zeros_like(data.label())
    shifted[1:] = data.label()[:-1]  # one slice of 3 mm
    assert aligned.cases[1].label_counts == {v: int((shifted == v).sum()) for v in (0, 1, 2)}
    image = data.cases[1].image
    assert aligned.cases[1].inside[1].count == (shifted == 1).sum()
    assert image.exists()


def test_a_label_of_another_size(data):
    data.add("a")
    data.add("b", label=data.label((6, 12, 11)), label_grid=Grid.of((6, 12, 11), EDGES))
    only_problem(data.scan(), "error", "b.nii.gz", "6 x 12 x 10", "6 x 12 x 11")


def test_nan_and_time_series_are_unreadable(data):
    data.add("a")
    bad = data.image().astype(np.float32)
    bad[0, 1, 2, 3] = np.nan
    data.add("b", image=bad)
    data.add("c")
    frames = sitk.JoinSeries([sitk.ReadImage(data.cases[-1].image)] * 3)
    sitk.WriteImage(frames, data.cases[-1].image)
    scan = data.scan()
    assert [case.id for case in scan.cases] == ["a"]
    nan, series = scan.problems
    assert (nan.severity, nan.path.name) == ("error", "b.nii.gz")
    assert "1 of 720 values are nan" in nan.message
    assert (series.severity, series.path.name) == ("error", "c.nii.gz")
    assert "3 images one after another" in series.message


def test_headers_that_lie_leave_their_cases_out(data):
    for name in "abcd":
        data.add(name, ending=".nii")
    for name, place, patch in (
        ("b", 42, struct.pack("<3h", 10000, 10000, 10000)),  # a million million voxels
        ("c", 80, struct.pack("<f", 0.0)),  # spacing
    ):
        path = data.root / "images" / f"{name}.nii"
        content = bytearray(path.read_bytes())
        content[place : place + len(patch)] = patch
        path.write_bytes(content)
    path = data.root / "labels" / "d.nii"
    path.write_bytes(path.read_bytes()[:-50])
    scan = data.scan()
    assert [case.id for case in scan.cases] == ["a"]
    huge, flat, cut = scan.problems
    assert "10000 x 10000 x 10000" in huge.message
    assert "every axis must be above 0" in flat.message
    assert cut.path.parent.name == "labels"
    assert all(problem.message.startswith("unreadable: ") for problem in scan.problems)


def test_few_slices_are_enough_but_two_small_edges_are_not(data):
    grid = Grid.of((2, 12, 10), EDGES)
    data.add("a", grid, data.image()[:, 2:4], data.label()[3:5])
    data.add("b", Grid.of((30, 7, 5), EDGES), label=data.label((30, 7, 5)))
    data.add("c")
    scan = data.scan()
    assert [case.id for case in scan.cases] == ["a", "c"]
    only_problem(scan, "error", "b.nii.gz", "30 x 7 x 5 voxels", "two of its edges need 8")


class TestWarnings:
    """The case stays in the set."""

    def test_unknown_spacing(self, data):
        data.add("a", ending=".npy")
        only_problem(data.scan(), "warning", "a.npy", "not told in this case: ")

    def test_what_several_have_is_said_once(self, data):
        for name in "abcde":
            data.add(name, ending=".npy")
        only_problem(data.scan(), "warning", data.root.name, "in 5 cases (a, b, c and 2 more)")

    def test_spacing_that_something_else_tells(self, data):
        data.add("a", ending=".npy", spacing_mm=EDGES)
        scan = data.scan()
        assert scan.problems == ()
        assert scan.cases[0].spacing_mm == EDGES

    def test_spacing_unlike_the_others(self, data):
        for name in "abc":
            data.add(name)
        data.add("d", Grid.of(SIZE, (30.0, 10.0, 5.0)))
        only_problem(data.scan(), "warning", "d.nii.gz", "3 x 1 x 0.5", "this case (30 x 10 x 5)")

    def test_other_orientations(self, data):
        data.add("a")
        data.add("b", Grid.of((10, 12, 6), EDGES[::-1], direction=turned_grid().direction))
        only_problem(data.scan(), "warning", data.root.name, "different sides", "SPL in 1")

    def test_oblique(self, data):
        angle = np.radians(20)
        tilt = [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
        data.add("a", Grid.of(SIZE, EDGES, direction=tilt))
        only_problem(data.scan(), "warning", "a.nii.gz", "oblique", "20.0 degrees")

    def test_another_scale_of_intensities(self, data):
        for name in "abc":
            data.add(name)
        data.add("d", image=data.image().astype(np.float32) * 1000)
        only_problem(
            data.scan(), "warning", "d.nii.gz", "not in this case (", "normalise each image"
        )

    def test_single_wild_values(self, data):
        image = data.image()
        image[0, 4, 4, 4] = 30000
        data.add("a", image=image)
        only_problem(data.scan(), "warning", "a.nii.gz", "3e+04 above", "preprocess.clip")

    def test_labels_stored_as_fractions(self, data):
        data.add("a")
        path = data.cases[0].label
        write_volume(path, data.label()[np.newaxis] * np.float32(0.9999), Grid.of(SIZE, EDGES))
        scan = data.scan()
        only_problem(scan, "warning", "a.nii.gz", "stored as fractions")
        assert sorted(scan.cases[0].label_counts) == [0, 1, 2]

    def test_remarks_of_the_reader_are_said_once(self, data):
        for name in "ab":
            data.add(name)
        quiet = data.scan()
        assert quiet.problems == ()
        from ushape.data.scan.geometry import warn_of_geometry

        odd = [replace(case, remarks=(f"it is {n} mm off",)) for n, case in enumerate(quiet.cases)]
        (problem,) = warn_of_geometry(data.root, odd)
        assert problem.message == "a: it is 0 mm off; so it is in 2 cases"


def test_slices_unlike_their_stack_are_left_out(data):
    for number in range(4):
        size = (12, 10) if number != 2 else (12, 12)
        paths = [data.root / f"{folder}{number}.png" for folder in "il"]
        Image.fromarray(data.rng.integers(0, 99, size, dtype=np.uint8)).save(paths[0])
        Image.fromarray(np.eye(*size, dtype=np.uint8)).save(paths[1])
        data.cases.append(CaseFiles(str(number), *paths, group="s"))
    scan = data.scan(stack_mm=(4.0, 1.0, 1.0))
    assert [case.id for case in scan.cases] == ["0", "1", "3"]
    assert scan.stack_mm == (4.0, 1.0, 1.0)
    only_problem(scan, "error", "i2.png", "12 x 12 pixels of uint8", "12 x 10 of uint8")
    assert len(data.scan().cases) == 4  # pictures of their own may differ
