"""Every form of label file against the arrays that were written; void pixels; overlapping sets."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

from ushape.data.instances import find_borders, number_objects
from ushape.data.io import read_header, read_volume, write_label
from ushape.data.layouts import find_cases
from ushape.data.masks import read_masks, write_class_folders, write_masks
from ushape.data.preprocess import read_case_target
from ushape.data.scan import scan_cases
from ushape.data.targets import (
    VOID,
    class_masks,
    decode_labels,
    encode_labels,
    encode_masks,
    likely_masks,
    most_likely,
    void_mask,
)
from ushape.errors import ConfigError, DataError
from ushape.labels import LabelClass, LabelTable, LabelWish, choose_labels
from ushape.plan import take_fingerprint

RNG = np.random.default_rng(7)
NAMES = ("jaw", "palate", "tooth")
SIZE = (24, 20)
MASKS = RNG.random((3, 2, *SIZE)) < 0.4  # class, case, y, x; they overlap


def table_of(count, **options):
    names = [f"c{number}" for number in range(count)]
    return LabelTable(tuple(LabelClass(n, i) for i, n in enumerate(names)), **options)


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def make_images(root):
    for case in range(2):
        save(root / "images" / f"{case}.png", RNG.integers(0, 255, SIZE, dtype=np.uint8))


def in_folders(root):
    for number, name in enumerate(NAMES):
        for case in range(2):
            save(root / "labels" / name / f"{case}.png", MASKS[number, case].astype(np.uint8) * 9)


def in_tiff(root):
    (root / "labels").mkdir(parents=True)
    for case in range(2):
        stack = MASKS[:, case].astype(np.uint8)
        tifffile.imwrite(root / "labels" / f"{case}.tif", stack, photometric="minisblack")


def in_samples(root, *, planarconfig="contig"):
    (root / "labels").mkdir(parents=True)
    for case in range(2):
        stack = MASKS[:, case].astype(np.uint8)
        if planarconfig == "contig":
            stack = np.moveaxis(stack, 0, -1)
        options = {"photometric": "minisblack", "planarconfig": planarconfig}
        tifffile.imwrite(root / "labels" / f"{case}.tif", stack, **options)


def in_planes(root):
    in_samples(root, planarconfig="separate")


def in_numpy(root, *, last=False):
    (root / "labels").mkdir(parents=True)
    for case in range(2):
        stack = MASKS[:, case]
        np.save(root / "labels" / f"{case}.npy", np.moveaxis(stack, 0, -1) if last else stack)


def in_numpy_channels_last(root):
    in_numpy(root, last=True)


@pytest.fixture(
    params=[in_folders, in_tiff, in_samples, in_planes, in_numpy, in_numpy_channels_last]
)
def data(request, tmp_path):
    make_images(tmp_path)
    request.param(tmp_path)
    return tmp_path


def test_overlapping_masks_are_understood_and_read_in_every_form(data):
    layout = find_cases(data)
    scan = scan_cases(layout)
    found = take_fingerprint(scan)
    assert not scan.problems
    assert found.labels.target == "multilabel"
    assert found.labels.num_logits == 3
    assert "which overlap" in found.labels.reason
    np.testing.assert_allclose(found.class_fractions[1:], MASKS.mean(axis=(1, 2, 3)))
    assert found.class_fractions[0] == pytest.approx(1 - MASKS.any(axis=0).mean())
    assert found.logit_fractions == found.class_fractions[1:]
    for number, case in enumerate(layout.cases):
        target = read_case_target(case, found.labels, SIZE)
        assert target.dtype == np.uint8
        np.testing.assert_array_equal(class_masks(target, found.labels), MASKS[:, number])


def test_folders_name_the_classes(tmp_path):
    make_images(tmp_path)
    in_folders(tmp_path)
    scan = scan_cases(find_cases(tmp_path))
    assert take_fingerprint(scan).labels.names == ("background", *NAMES)
    renamed = LabelWish(names={"nothing": 0, "a": 1, "b": 2, "c": 3})
    assert take_fingerprint(scan, renamed).labels.names == ("nothing", "a", "b", "c")
    with pytest.raises(ConfigError, match=r"name 0 .* to 3, each once"):
        take_fingerprint(scan, LabelWish(names={"nothing": 0, "a": 1}))


def test_masks_that_never_overlap_exclude_each_other(tmp_path):
    make_images(tmp_path)
    index = RNG.integers(0, 3, SIZE)
    for name, number in (("a", 1), ("b", 2)):
        for case in range(2):
            save(tmp_path / "labels" / name / f"{case}.png", (index == number).astype(np.uint8))
    layout = find_cases(tmp_path)
    scan = scan_cases(layout)
    table = take_fingerprint(scan).labels
    assert (table.target, table.num_logits) == ("multiclass", 3)
    np.testing.assert_array_equal(read_case_target(layout.cases[0], table, SIZE), index)
    assert take_fingerprint(scan, LabelWish(target="multilabel")).labels.num_logits == 2


def test_overlapping_masks_cannot_be_exclusive(data):
    with pytest.raises(
        ConfigError, match=r"--target multiclass: the masks overlap in .*multilabel"
    ):
        take_fingerprint(scan_cases(find_cases(data)), LabelWish(target="multiclass"))
    with pytest.raises(DataError, match=r"overlap in .* pixels, and the target is multiclass"):
        encode_masks(MASKS[:, 0], None, table_of(4, form="folders"))


@pytest.mark.parametrize(("count", "dtype"), [(7, np.uint8), (8, np.uint16), (31, np.uint32)])
def test_sets_of_classes_are_as_small_as_can_be_and_come_back(count, dtype):
    table = table_of(count + 1, kind="multilabel", form="channels", ignore=9)
    masks = RNG.random((count, 5, 6)) < 0.5
    void = RNG.random((5, 6)) < 0.2
    target = encode_masks(masks, void, table)
    assert target.dtype == dtype
    np.testing.assert_array_equal(void_mask(target, table), void)
    np.testing.assert_array_equal(class_masks(target, table), masks & ~void)


def test_more_overlapping_classes_than_bits_are_refused():
    with pytest.raises(ConfigError, match="32 classes that may overlap: 31 are the most"):
        table_of(33, kind="multilabel")


@pytest.mark.parametrize("form", ["folders", "channels"])
def test_masks_are_written_as_they_are_read(form, tmp_path):
    masks = MASKS[:, 0]
    make_images(tmp_path)
    for case in range(2):
        if form == "folders":
            write_class_folders(tmp_path / "labels", str(case), NAMES, masks)
        else:
            (tmp_path / "labels").mkdir(exist_ok=True)
            write_masks(tmp_path / "labels" / f"{case}.tif", masks)
    found = read_masks(find_cases(tmp_path).cases[1], SIZE)
    assert found is not None
    np.testing.assert_array_equal(found.masks, masks)


@pytest.mark.parametrize("size", [(7, 3), (3, 3), (1, 4), (24, 4)])
def test_a_file_of_channels_keeps_its_axes_at_sizes_that_look_like_colours(size, tmp_path):
    masks = RNG.random((3, *size)) < 0.5
    write_masks(tmp_path / "a.tif", masks)
    assert tifffile.imread(tmp_path / "a.tif").shape == masks.shape


@pytest.mark.parametrize(
    ("samples", "extra", "is_channels"),
    [
        (2, (0,), True),  # of no stated meaning
        (2, (2,), False),  # a value and its alpha
        (2, (1,), False),
        (3, (0, 0), True),
        (4, (0, 0, 0), True),
    ],
)
def test_one_rule_tells_channels_from_values(samples, extra, is_channels, tmp_path):
    """Training reads with `read_masks`, evaluation by the header: they must agree."""
    values = np.full((*SIZE, samples), 255, np.uint8)
    values[: SIZE[0] // 2, :, 0] = 0
    save(tmp_path / "images" / "0.png", np.zeros(SIZE, np.uint8))
    (tmp_path / "labels").mkdir()
    path = tmp_path / "labels" / "0.tif"
    options = {"photometric": "minisblack", "planarconfig": "contig"}
    tifffile.imwrite(path, values, extrasamples=extra, **options)
    found = read_masks(find_cases(tmp_path).cases[0], SIZE)
    assert (found is not None) == is_channels
    assert (read_header(path).num_channels == samples) == is_channels
    if found is not None:
        np.testing.assert_array_equal(found.masks, np.moveaxis(values, -1, 0) > 0)
        np.testing.assert_array_equal(read_volume(path).values, np.moveaxis(values, -1, 0))


# ---------------------------------------------------------------- void pixels


def test_void_pixels_are_in_no_class_and_in_no_share():
    values = RNG.integers(0, 3, SIZE)
    void = RNG.random(SIZE) < 0.3
    values[void] = 255
    counts = dict(
        zip(*(part.tolist() for part in np.unique(values, return_counts=True)), strict=True)
    )
    table = choose_labels(counts, ignore=255)
    assert table.names == ("background", "class_1", "class_2")
    assert table.describe().endswith("255 = void")
    target = encode_labels(values, table)
    np.testing.assert_array_equal(target == VOID, void)
    np.testing.assert_array_equal(target[~void], values[~void])
    several = choose_labels(counts, ignore=255, target="multilabel")
    sets = encode_labels(values, several)
    np.testing.assert_array_equal(void_mask(sets, several), void)
    np.testing.assert_array_equal(class_masks(sets, several), [values == 1, values == 2])


def test_void_pixels_of_masks_hold_in_all_of_them(tmp_path):
    make_images(tmp_path)
    void = np.zeros(SIZE, bool)
    void[:4] = True
    for name in ("a", "b"):
        for case in range(2):
            mask = (RNG.random(SIZE) < 0.5).astype(np.uint8)
            mask[void] = 77 if name == "a" else 0
            save(tmp_path / "labels" / name / f"{case}.png", mask)
    layout, wish = find_cases(tmp_path), LabelWish(ignore=77)
    scan = scan_cases(layout, wish=wish)
    table = take_fingerprint(scan, wish).labels
    target = read_case_target(layout.cases[0], table, SIZE)
    np.testing.assert_array_equal(void_mask(target, table), void)
    assert scan.cases[0].num_void == void.sum()
    with pytest.raises(DataError, match="holds the values 1 and 77"):
        scan_cases(layout)


def test_a_value_is_a_class_or_void():
    counts = {0: 5, 1: 5, 2: 5}
    with pytest.raises(ConfigError, match="--ignore 2: --labels calls this value b"):
        choose_labels(counts, names={"z": 0, "a": 1, "b": 2}, ignore=2)
    with pytest.raises(
        ConfigError, match=r"--ignore 9: no label has that value \(found: 0, 1, 2\)"
    ):
        choose_labels(counts, ignore=9)
    with pytest.raises(ConfigError, match="--ignore 1: this value is the class c1"):
        table_of(3, ignore=1)


def test_masks_whose_value_is_void_leave_nothing(tmp_path):
    make_images(tmp_path)
    in_folders(tmp_path)
    wish = LabelWish(ignore=9)
    with pytest.raises(ConfigError, match=r"all masks are empty.*is 9 the value of the masks"):
        take_fingerprint(scan_cases(find_cases(tmp_path), wish=wish), wish)


# ---------------------------------------------------------------- regions and kinds


def test_regions_overlap_the_labels_that_they_are_made_of():
    counts = {0: 10, 1: 5, 2: 3, 3: 1}
    names = {"background": 0, "disc": 1, "vertebra": 2, "knob": 3}
    table = choose_labels(counts, names=names, regions={"whole": ("disc", "3")})
    assert table.target == "multilabel"
    assert table.logit_names == ("disc", "vertebra", "knob", "whole")
    assert "whole = disc + 3" in table.reason
    values = np.array([[0, 1, 2, 3]])
    np.testing.assert_array_equal(
        class_masks(encode_labels(values, table), table)[:, 0],
        [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 1, 0, 1]],
    )
    assert LabelTable.from_json(table.to_json()) == table
    with pytest.raises(ConfigError, match="unknown label 'dics': did you mean 'disc'"):
        choose_labels(counts, names=names, regions={"whole": ("dics", "knob")})
    with pytest.raises(ConfigError, match="regions overlap their labels"):
        choose_labels(counts, names=names, regions={"whole": ("disc",)}, target="multiclass")


def test_the_kind_of_target_can_be_asked_for():
    counts = {0: 10, 4: 5, 7: 3}
    values = np.array([0, 4, 7])
    assert choose_labels(counts, target="multilabel").num_logits == 2
    assert choose_labels({0: 9, 1: 1}, target="multiclass").num_logits == 2
    merged = choose_labels(counts, target="binary")
    assert (merged.target, merged.num_logits) == ("binary", 1)
    assert encode_labels(values, merged).tolist() == [0, 1, 1]
    assert decode_labels(np.array([0, 1], np.uint8), merged).tolist() == [0, 4]
    with pytest.raises(ConfigError, match="did you mean 'multilabel'"):
        choose_labels(counts, target="multilable")


# ---------------------------------------------------------------- objects


def naive_borders(numbers):
    found = np.zeros(numbers.shape, bool)
    for y, x in np.ndindex(numbers.shape):
        near = numbers[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        found[y, x] = len(set(near[near > 0].tolist())) > 1
    return found


def test_borders_lie_where_two_objects_are_near():
    numbers = np.kron(RNG.integers(0, 4, (6, 6)), np.ones((3, 3), int))
    assert naive_borders(numbers).any()
    np.testing.assert_array_equal(find_borders(numbers), naive_borders(numbers))


def test_objects_come_back_with_numbers_of_their_own():
    numbers = np.zeros((12, 12), int)
    numbers[1:6, 1:6], numbers[1:6, 6:11], numbers[9:11, 2:5] = 300, 7, 41
    plain = choose_labels({}, target="instances")
    bordered = choose_labels({}, target="instances+border")
    assert encode_labels(numbers, plain).tolist() == (numbers > 0).astype(int).tolist()
    index = encode_labels(numbers, bordered)
    assert set(index[1:6, 5:7].ravel().tolist()) == {2}
    again = decode_labels(index, bordered)
    pairs = set(zip(numbers.ravel().tolist(), again.ravel().tolist(), strict=True))
    rim = {pair for pair in pairs if 0 in pair}
    assert len(pairs - rim) == 3, "each object has one number"
    assert number_objects(encode_labels(numbers, plain)).max() == 2, "touching ones are one"


def test_object_numbers_beyond_the_number_of_classes_are_read_when_asked(tmp_path):
    make_images(tmp_path)
    numbers = np.arange(np.prod(SIZE), dtype=np.uint16).reshape(SIZE)
    for case in range(2):
        save(tmp_path / "labels" / f"{case}.png", numbers)
    layout = find_cases(tmp_path)
    with pytest.raises(DataError, match="--target instances"):
        scan_cases(layout)
    wish = LabelWish(target="instances")
    found = take_fingerprint(scan_cases(layout, wish=wish), wish)
    assert (found.labels.target, found.labels.form) == ("binary", "instances")
    assert found.class_fractions[1] == pytest.approx(1 - 1 / np.prod(SIZE))


# ---------------------------------------------------------------- decisions


@pytest.mark.parametrize("target", [None, "instances"])
def test_the_colours_of_palette_files_are_kept(target, tmp_path):
    make_images(tmp_path)
    colors = [0x00FF00, 0x102030, 0xFF0000, 0x0000FF]
    (tmp_path / "labels").mkdir()
    for case in range(2):
        values = np.zeros(SIZE, np.uint8)
        values[: 8 + case, :8] = 2
        write_label(tmp_path / "labels" / f"{case}.png", values, palette=colors)
    wish = LabelWish(target=target)
    table = take_fingerprint(scan_cases(find_cases(tmp_path), wish=wish), wish).labels
    # Predicted objects may have higher numbers than those of the labels.
    assert list(table.palette[:4]) == (colors[:3] if target is None else colors)


def test_overlapping_classes_have_thresholds_of_their_own():
    table = table_of(3, kind="multilabel")
    probabilities = np.array([[0.6, 0.4, 0.1], [0.6, 0.55, 0.3]], np.float32)[..., None]
    assert likely_masks(probabilities, table)[..., 0].tolist() == [[1, 0, 0], [1, 1, 0]]
    masks = likely_masks(probabilities, table, {"c1": 0.3, "c2": 0.58})
    assert masks[..., 0].tolist() == [[1, 1, 0], [1, 0, 0]]


def test_an_exclusive_class_wins_from_its_threshold_on():
    table = table_of(3)
    probabilities = np.array([[0.7, 0.5, 0.2], [0.1, 0.1, 0.3], [0.2, 0.4, 0.5]], np.float32)
    assert most_likely(probabilities).tolist() == [0, 0, 2]
    assert most_likely(probabilities, table, {"c2": 0.3}).tolist() == [0, 2, 2]
    assert most_likely(probabilities, table, {"c2": 0.9}).tolist() == [0, 0, 1]
    one = table_of(2)
    assert most_likely(probabilities[2:], one, {"c1": 0.45}).tolist() == [0, 0, 1]


# ---------------------------------------------------------------- bad input


def problems_of(root, wish=None):
    return [str(p) for p in scan_cases(find_cases(root), wish=wish).problems]


def test_a_missing_mask_names_its_folder_and_the_remedy(tmp_path):
    make_images(tmp_path)
    in_folders(tmp_path)
    (tmp_path / "labels" / "palate" / "1.png").unlink()
    (problem,) = problems_of(tmp_path)
    assert str(tmp_path / "images" / "1.png") in problem
    assert "no mask of this name in labels/palate/" in problem
    assert "save an empty mask" in problem


def test_a_mask_of_another_size_is_named(tmp_path):
    make_images(tmp_path)
    in_folders(tmp_path)
    odd = tmp_path / "labels" / "tooth" / "0.png"
    save(odd, np.zeros((10, 20), np.uint8))
    (problem,) = problems_of(tmp_path)
    assert problem.startswith(str(odd))
    assert "10 x 20 pixels, its image 24 x 20" in problem


def test_a_mask_of_many_values_is_named(tmp_path):
    make_images(tmp_path)
    in_folders(tmp_path)
    odd = tmp_path / "labels" / "tooth" / "0.png"
    save(odd, RNG.integers(0, 255, SIZE, dtype=np.uint8))
    (problem,) = problems_of(tmp_path)
    assert problem.startswith(f"{odd}: the mask of tooth holds the values")
    assert "threshold it first" in problem


def test_files_with_other_channels_than_most_are_left_out(tmp_path):
    make_images(tmp_path)
    save(tmp_path / "images" / "2.png", RNG.integers(0, 255, SIZE, dtype=np.uint8))
    in_numpy(tmp_path)
    np.save(tmp_path / "labels" / "2.npy", MASKS[:2, 0])
    (problem,) = problems_of(tmp_path)
    assert "2.npy: the label has 2 masks, 2 of 3 labels have 3 masks" in problem


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((3, 5, 5), bool), "3 x 5 x 5 pixels, its image 24 x 20"),
        (np.full((3, *SIZE), 0.5), "fractions; threshold it first"),
        (np.full((3, *SIZE), -1), "label values are 0 or larger"),
        (np.zeros((3, *SIZE), complex), "save whole numbers"),
    ],
)
def test_arrays_that_are_no_masks_are_named(array, words, tmp_path):
    make_images(tmp_path)
    in_numpy(tmp_path)
    np.save(tmp_path / "labels" / "0.npy", array)
    (problem,) = problems_of(tmp_path)
    assert str(tmp_path / "labels" / "0.npy") in problem
    assert words in problem


def test_an_array_of_objects_is_not_unpickled(tmp_path):
    make_images(tmp_path)
    in_numpy(tmp_path)
    np.save(tmp_path / "labels" / "0.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    (problem,) = problems_of(tmp_path)
    assert "0.npy" in problem


def test_another_folder_of_labels_can_be_chosen(tmp_path):
    make_images(tmp_path)
    in_folders(tmp_path)
    (tmp_path / "labels").rename(tmp_path / "second")
    in_numpy(tmp_path)
    layout = find_cases(tmp_path, label_folder="second")
    assert [mask.name for mask in layout.cases[0].masks] == list(NAMES)
    with pytest.raises(DataError, match="--label-folder third: there is no such folder"):
        find_cases(tmp_path, label_folder="third")
