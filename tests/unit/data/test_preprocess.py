"""From files to normalised arrays that are made once."""

import errno
import os
from collections import Counter

import numpy as np
import pytest
from numpy.lib import format as npy
from PIL import Image

from ushape.config.schema import PreprocessConfig, SamplingConfig, WeightMapConfig
from ushape.data.layouts import CaseFiles
from ushape.data.preprocess import cases as preparation
from ushape.data.preprocess import normalise, normalise_image, prepare_cases, read_sample
from ushape.errors import DataError, StorageError
from ushape.labels import LabelClass, LabelTable, choose_labels
from ushape.losses import weight_map

TABLE = LabelTable((LabelClass("background", 0), LabelClass("cell", 255)))
GREY, PERCENTILE = PreprocessConfig(1), PreprocessConfig(1, "percentile")
RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (12, 10), dtype=np.uint8)
LABEL = (RNG.random((12, 10)) < 0.3).astype(np.uint8) * 255


@pytest.fixture
def case(tmp_path):
    files = CaseFiles("a", tmp_path / "image.png", tmp_path / "label.png")
    Image.fromarray(PICTURE).save(files.image)
    Image.fromarray(LABEL).save(files.label)
    return files


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def test_zscore_is_by_channel_and_by_image():
    image = np.stack([PICTURE, PICTURE * 0.1 + 7, PICTURE[::-1].astype(float)])
    out = normalise_image(image.astype(np.float32), PreprocessConfig(3))
    assert out.dtype == np.float32
    assert out.mean((1, 2)) == pytest.approx(np.zeros(3), abs=1e-5)
    assert out.std((1, 2)) == pytest.approx(np.ones(3), abs=1e-5)
    expected = (PICTURE - PICTURE.mean()) / PICTURE.std()
    assert out[0] == pytest.approx(expected, abs=1e-5)


def test_percentile_puts_the_percentiles_at_minus_two_and_two():
    image = RNG.normal(40, 9, (1, 100, 100)).astype(np.float32)
    image[0, 0, 0] = 1e6  # one hot pixel, which would ruin a z-score
    out = normalise_image(image, PERCENTILE)
    assert np.percentile(out, (0.5, 99.5)) == pytest.approx((-2, 2), abs=1e-4)


@pytest.mark.parametrize("config", [GREY, PERCENTILE])
@pytest.mark.parametrize("value", [0, 0.1, 65535, 1e30, 1e-12])
def test_a_constant_image_gives_zeros(config, value):
    image = np.full((1, 7, 9), value, np.float32)
    assert normalise_image(image, config) == pytest.approx(np.zeros((1, 7, 9)), abs=1e-4)


@pytest.mark.parametrize("config", [GREY, PERCENTILE])
def test_the_unit_of_the_numbers_does_not_matter(config):
    """Float images may be in any unit, such as amperes."""
    image = PICTURE[None].astype(np.float32)
    small, large = (normalise_image(image * np.float32(k), config) for k in (1e-9, 1e6))
    assert small == pytest.approx(large, abs=1e-4)
    assert large == pytest.approx(normalise_image(PICTURE[None], config), abs=1e-4)


def test_grey_stored_as_colour_is_taken_as_grey_but_colour_is_refused():
    grey = np.repeat(PICTURE[None], 3, 0)
    assert np.array_equal(normalise_image(grey, GREY), normalise_image(PICTURE[None], GREY))
    grey[2, 0, 0] ^= 1
    with pytest.raises(DataError, match=r"3 channel.*takes 1: give grey images"):
        normalise_image(grey, GREY)
    with pytest.raises(DataError, match=r"1 channel.*takes 3: give RGB images"):
        normalise_image(PICTURE[None], PreprocessConfig(3))


def test_a_sample_is_the_files_content(case):
    sample = read_sample(case, TABLE, GREY)
    assert (sample.id, sample.size) == ("a", (12, 10))
    assert np.array_equal(sample.image, normalise_image(PICTURE[None], GREY))
    assert np.array_equal(sample.target, LABEL // 255)
    assert read_sample(CaseFiles("a", case.image, None), TABLE, GREY).target is None


def test_errors_name_the_file_once(case):
    Image.fromarray(LABEL[:, :5]).save(case.label)
    with pytest.raises(DataError, match=r"label\.png: the label has 12 x 5 .*image 12 x 10"):
        read_sample(case, TABLE, GREY)
    Image.fromarray(LABEL // 2).save(case.label)
    with pytest.raises(DataError, match=r"label\.png: label value 127 is in no class"):
        read_sample(case, TABLE, GREY)
    case.image.write_bytes(b"not a picture")
    with pytest.raises(DataError) as caught:
        read_sample(case, TABLE, GREY)
    assert str(caught.value).count(str(case.image)) == 1
    Image.fromarray(np.stack([PICTURE, PICTURE, PICTURE // 2], -1)).save(case.image)
    with pytest.raises(DataError, match=r"image\.png: the image has 3 channel"):
        read_sample(case, TABLE, GREY)


def test_a_coloured_label_in_a_grey_set_is_named(case):
    Image.fromarray(np.stack([LABEL, LABEL, LABEL // 2], -1)).save(case.label)
    with pytest.raises(DataError, match=r"label\.png"):
        read_sample(case, TABLE, GREY)


def test_a_label_of_a_coloured_set_may_hold_greys_only(case):
    """Its file could be taken for numbers, but white is the colour 0xffffff here, not 255."""
    Image.fromarray(np.repeat(LABEL[..., None], 3, 2)).save(case.label)
    names = {"background": 0, "nerve": 0xFF0000, "cell": 0xFFFFFF}
    table = LabelTable(tuple(LabelClass(*item) for item in names.items()), is_color=True)
    assert np.array_equal(read_sample(case, table, GREY).target, LABEL // 255 * 2)


def test_prepared_arrays_are_mapped_not_read(case, cache):
    calls = []
    (prepared,) = prepare_cases(
        [case], TABLE, GREY, cache, progress=lambda *done: calls.append(done)
    )
    sample = prepared.open()
    assert calls == [(1, 1)]
    assert np.array_equal(sample.image, read_sample(case, TABLE, GREY).image)
    assert np.array_equal(sample.target, LABEL // 255)
    assert isinstance(sample.image.base, np.memmap)
    assert not sample.image.flags.writeable


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def kinds(folder):
    return Counter(name.split("-")[2].partition(".")[0] for name in names(folder))


def test_arrays_are_used_again_until_something_changes(case, cache, monkeypatch):
    prepare_cases([case], TABLE, GREY, cache)
    first = names(cache)
    assert kinds(cache) == {"image": 1, "placement": 1, "target": 1}
    with monkeypatch.context() as patch:
        patch.setattr(preparation, "read_case_image", None)  # a call would fail
        patch.setattr(preparation, "read_case_target", None)
        prepare_cases([case], TABLE, GREY, cache)
    assert names(cache) == first
    prepare_cases([case], TABLE, PERCENTILE, cache)
    assert kinds(cache) == {"image": 2, "placement": 2, "target": 1}, "the target is the same"
    inverted = LabelTable(TABLE.classes[::-1])
    (prepared,) = prepare_cases([case], inverted, GREY, cache)
    assert kinds(cache) == {"image": 2, "placement": 2, "target": 2}, "the image is the same"
    assert np.array_equal(prepared.open().target, 1 - LABEL // 255)
    renamed = LabelTable((LabelClass("a", 0), LabelClass("b", 255)))
    prepare_cases([case], renamed, GREY, cache)
    assert kinds(cache)["target"] == 2, "class names are in no array"
    Image.fromarray(255 - PICTURE).save(case.image)
    (prepared,) = prepare_cases([case], TABLE, GREY, cache)
    assert kinds(cache) == {"image": 3, "placement": 3, "target": 2}
    assert np.array_equal(prepared.open().image, normalise_image(255 - PICTURE[None], GREY))
    Image.fromarray(255 - LABEL).save(case.label)
    (prepared,) = prepare_cases([case], TABLE, GREY, cache)
    assert kinds(cache) == {"image": 3, "placement": 3, "target": 3}
    assert np.array_equal(prepared.open().target, 1 - LABEL // 255)


def test_a_half_prepared_case_is_prepared_again(case, cache):
    (prepared,) = prepare_cases([case], TABLE, GREY, cache)
    prepared.target_path.unlink()
    (again,) = prepare_cases([case], TABLE, GREY, cache)
    assert again == prepared
    assert np.array_equal(again.open().target, LABEL // 255)


def test_a_damaged_array_is_named_with_the_remedy(case, cache):
    (prepared,) = prepare_cases([case], TABLE, GREY, cache)
    for damaged in (prepared.image_path.read_bytes()[:-8], b""):
        prepared.image_path.write_bytes(damaged)
        with pytest.raises(DataError, match=rf"{prepared.image_path.name}.*delete it and run"):
            prepared.open()


def test_a_file_that_vanished_is_named(case, cache):
    case.image.unlink()
    with pytest.raises(DataError, match=r"image\.png: cannot be read: No such file"):
        prepare_cases([case], TABLE, GREY, cache)


def test_a_full_disk_leaves_no_half_array(case, cache, monkeypatch):
    def refuse(file, header):
        file.write(b"a part of it")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(npy, "write_array_header_1_0", refuse)
    with pytest.raises(StorageError, match=r"-image\.npy: the disk is full"):
        prepare_cases([case], TABLE, GREY, cache)
    assert names(cache) == []


def test_weights_are_those_of_the_paper_and_made_once(case, cache, monkeypatch):
    settings = WeightMapConfig(use=True, w0=8.0, sigma=3.0)
    (prepared,) = prepare_cases([case], TABLE, GREY, cache, weights=settings)
    expected = weight_map(LABEL > 0, w0=8.0, sigma=3.0)
    assert np.array_equal(prepared.open().weight, expected)
    with monkeypatch.context() as patch:
        patch.setattr(preparation, "make_weights", None)  # a call would fail
        prepare_cases([case], TABLE, GREY, cache, weights=settings)
    wider = WeightMapConfig(use=True, w0=8.0, sigma=6.0)
    (again,) = prepare_cases([case], TABLE, GREY, cache, weights=wider)
    assert again.weight_path != prepared.weight_path
    assert again.image_path == prepared.image_path
    (plain,) = prepare_cases([case], TABLE, GREY, cache, weights=WeightMapConfig())
    assert plain.open().weight is None


def test_weights_of_numbered_objects_tell_touching_ones_apart(case, cache):
    numbers = np.zeros((12, 10), np.uint8)
    numbers[2:10, 1:5], numbers[2:10, 5:9] = 3, 8
    Image.fromarray(numbers).save(case.label)
    settings = WeightMapConfig(use=True)
    (prepared,) = prepare_cases(
        [case], choose_labels({}, target="instances"), GREY, cache, weights=settings
    )
    assert np.array_equal(prepared.open().weight, weight_map(numbers))
    assert not np.array_equal(weight_map(numbers), weight_map(numbers > 0))


def test_pixels_that_count_are_counted(case, cache):
    values = LABEL.copy()
    values[:3] = 7
    Image.fromarray(values).save(case.label)
    for kind in (None, "multilabel"):
        table = LabelTable(TABLE.classes, kind=kind, ignore=7)
        (prepared,) = prepare_cases([case], table, GREY, cache)
        assert prepared.open().num_valid == 9 * 10
    (prepared,) = prepare_cases(
        [case], LabelTable((*TABLE.classes, LabelClass("c", 7))), GREY, cache
    )
    assert prepared.open().num_valid is None


SPIKED = PICTURE[None].astype(np.float32)
SPIKED[0, 3, 3] = 1e6
HOLED = np.where(LABEL[None] > 0, PICTURE[None] + np.float32(5), np.float32(0))


def test_clip_holds_wild_pixels():
    low, high = np.percentile(SPIKED, (2, 98))
    clipped = np.clip(SPIKED, low, high)
    out = normalise_image(SPIKED, PreprocessConfig(1, clip=(2, 98)))
    assert out == pytest.approx((clipped - clipped.mean()) / clipped.std(), abs=1e-4)
    assert SPIKED[0, 3, 3] == 1e6, "what was given stays as it is"
    plain = normalise_image(SPIKED, PreprocessConfig(1, "none", clip=(2, 98)))
    assert plain == pytest.approx(clipped)


def test_clip_is_by_channel():
    image = np.stack([PICTURE, PICTURE // 2, PICTURE // 4])
    out = normalise_image(image, PreprocessConfig(3, "none", clip=(10, 90)))
    for channel, given in zip(out, image, strict=True):
        expected = np.percentile(given, (10, 90))
        assert (channel.min(), channel.max()) == pytest.approx(expected)


@pytest.mark.parametrize("clip", [None, (20.0, 90.0)])
def test_zeros_stay_zero_and_do_not_count(clip):
    image = HOLED + np.float32(0)
    kept = image != 0
    if clip:
        image = np.clip(image, *np.percentile(image, clip))
    values = image[kept]
    expected = np.where(kept, (image - values.mean()) / values.std(), 0)
    out = normalise_image(HOLED, PreprocessConfig(1, clip=clip, nonzero=True))
    assert out == pytest.approx(expected, abs=1e-5)
    assert (out[~kept] == 0).all()


def test_clipping_does_not_lift_zeros():
    image = np.full((1, 10, 10), 7, np.float32)
    image[0, 0, :3], image[0, 1] = 0, 9
    out = normalise_image(image, PreprocessConfig(1, clip=(5, 100), nonzero=True))
    assert (out[0, 0, :3] == 0).all()
    assert (out[0, 0, 3:] < 0).all()


def test_an_image_of_zeros_stays_so():
    out = normalise_image(np.zeros((1, 4, 5), np.uint8), PreprocessConfig(1, nonzero=True))
    assert np.array_equal(out, np.zeros((1, 4, 5), np.float32))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16, np.uint32])
def test_unit_divides_by_the_largest_value_of_the_type(kind):
    image = PICTURE[None].astype(kind)
    image[0, 0, 0] = np.iinfo(kind).max
    out = normalise_image(image, PreprocessConfig(1, "unit"))
    assert out.dtype == np.float32
    assert out == pytest.approx(image / np.iinfo(kind).max, rel=1e-6)
    assert out[0, 0, 0] == 1


def test_unit_is_refused_of_floats(case):
    with pytest.raises(DataError, match=r"normalise=unit .*float32: use zscore"):
        normalise_image(SPIKED, PreprocessConfig(1, "unit"))
    assert normalise_image(PICTURE[None] > 99, PreprocessConfig(1, "unit")).max() == 1


def test_none_leaves_values_as_they_are():
    out = normalise_image(PICTURE[None], PreprocessConfig(1, "none"))
    assert out.dtype == np.float32
    assert np.array_equal(out, PICTURE[None])
    given = SPIKED.copy()
    assert not np.shares_memory(normalise_image(given, PreprocessConfig(1, "none")), given)


@pytest.mark.parametrize("config", [GREY, PERCENTILE])
def test_scaling_by_parts_changes_nothing(config, monkeypatch):
    whole = normalise_image(PICTURE[None], config)
    monkeypatch.setattr(normalise, "SLAB", 25)
    assert normalise_image(PICTURE[None], config) == pytest.approx(whole, rel=1e-6)


def test_clip_and_nonzero_prepare_anew(case, cache):
    settings = [GREY, PreprocessConfig(1, clip=(1, 99)), PreprocessConfig(1, nonzero=True)]
    settings.append(PreprocessConfig(1, clip=(2, 99)))
    paths = {prepare_cases([case], TABLE, config, cache)[0].image_path for config in settings}
    assert len(paths) == 4


def test_places_are_stored_where_patches_are_centred_and_once(case, cache, monkeypatch):
    (plain,) = prepare_cases([case], TABLE, GREY, cache, sampling=SamplingConfig())
    assert plain.open().places == ()
    assert "places" not in kinds(cache)
    centred = SamplingConfig(0.3)
    (prepared,) = prepare_cases([case], TABLE, GREY, cache, sampling=centred)
    assert kinds(cache)["places"] == 1
    (places,) = prepared.open().places
    assert np.array_equal(places, np.argwhere(LABEL))
    assert prepared.open().places.counts == (np.count_nonzero(LABEL),)
    with monkeypatch.context() as patch:
        patch.setattr(preparation, "index_places", None)  # a call would fail
        prepare_cases([case], TABLE, GREY, cache, sampling=centred)
    prepared.places_path.write_bytes(prepared.places_path.read_bytes()[:-8])
    with pytest.raises(DataError, match=r"-places\.npy.*delete it and run"):
        prepared.open()


def test_places_of_overlapping_classes(case, cache):
    values = LABEL.copy()
    values[:3] = 7
    Image.fromarray(values).save(case.label)
    table = LabelTable(TABLE.classes, kind="multilabel", ignore=7)
    (prepared,) = prepare_cases([case], table, GREY, cache, sampling=SamplingConfig(0.5))
    assert np.array_equal(prepared.open().places[0], np.argwhere(values == 255))
