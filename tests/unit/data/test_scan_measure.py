"""Figures of a scan against NumPy on whole arrays, of any type and in any number of slabs."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ushape.data.scan import measure
from ushape.data.scan.label import count_values
from ushape.data.scan.measure import (
    content_size,
    hash_image,
    measure_by_mask,
    measure_by_value,
    measure_image,
)
from ushape.data.threads import MemoryBudget, map_in_threads

RNG = np.random.default_rng(0)
TYPES = ["uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"]


def values_of(dtype, shape=(2, 5, 9, 11)):
    if dtype.startswith("float"):
        return RNG.normal(40, 300, shape).astype(dtype)
    low = 0 if dtype.startswith("u") else -1024
    return RNG.integers(low, 250, shape).astype(dtype)


@pytest.mark.parametrize("dtype", TYPES)
def test_measures_agree_with_numpy(dtype):
    image = values_of(dtype)
    found = measure_image(image)
    exact = image.astype(np.float64)
    assert (found["minimum"], found["maximum"]) == (exact.min(), exact.max())
    assert found["mean"] == pytest.approx(exact.mean())
    assert found["std"] == pytest.approx(exact.std())
    for name, percent in (("percentile_0_5", 0.5), ("median", 50), ("percentile_99_5", 99.5)):
        assert found[name] == np.percentile(exact, percent, method="inverted_cdf")
    assert found["is_whole"] == (not dtype.startswith("float"))


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_a_large_image_has_the_measures_of_a_small_one(monkeypatch, dtype):
    """Slab by slab: catches slabs that are left out, or weigh the same though they differ."""
    image = np.sort(values_of(dtype, (1, 20, 50, 50)), axis=None).reshape(1, 20, 50, 50)
    exact = measure_image(image)
    monkeypatch.setattr(measure, "SLAB", 777)
    monkeypatch.setattr(measure, "EXACT_VALUES", 1000)
    found = measure_image(image)
    assert found["std"] == pytest.approx(exact["std"])
    assert found["mean"] == pytest.approx(exact["mean"])
    assert (found["minimum"], found["maximum"]) == (exact["minimum"], exact["maximum"])
    ordered = np.sort(image, axis=None)
    for name, share in (("percentile_0_5", 0.005), ("median", 0.5), ("percentile_99_5", 0.995)):
        rank = np.searchsorted(ordered, found[name], side="right") / image.size
        assert rank == pytest.approx(share, abs=0.002 if dtype == "float32" else 0.02)


def test_whole_numbers_in_floats():
    assert measure_image(np.array([[[1.0, 2.0, 3.0]]], np.float32))["is_whole"]
    assert not measure_image(np.array([[[1.0, 2.5, 3.0]]], np.float32))["is_whole"]


def test_the_box_of_the_content_is_that_of_all_channels():
    image = np.zeros((2, 7, 9, 11), np.int16)
    assert content_size(image) == (7, 9, 11)  # blank: nothing to cut off
    image[0, 2, 3, 4] = -5
    assert content_size(image) == (1, 1, 1)
    image[1, 5, 3, 10] = 1
    assert content_size(image) == (4, 1, 7)


def test_copies_have_one_hash_and_other_shapes_or_types_another():
    image = values_of("uint8")
    assert hash_image(image) == hash_image(image.copy())
    assert hash_image(image) != hash_image(image.reshape(2, 9, 5, 11))
    assert hash_image(image) != hash_image(image.view(np.int8))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["uint8", "uint16", "int32"]))
def test_intensities_by_value_are_those_at_the_voxels_of_the_value(seed, dtype):
    rng = np.random.default_rng(seed)
    image = rng.normal(0, 1, (2, 4, 9, 10)).astype(np.float32)
    labels = rng.choice([0, 3, 250], (4, 9, 10), p=[0.9, 0.08, 0.02]).astype(dtype)
    counts = count_values(labels)
    assert counts == {int(v): int((labels == v).sum()) for v in np.unique(labels)}
    found = measure_by_value(image, labels, counts)
    masks = np.stack([labels == 3, labels == 250])
    by_mask = measure_by_mask(image, masks, {n: int(m.sum()) for n, m in enumerate(masks, 1)})
    assert set(found) == set(counts)
    for value, inside in found.items():
        for channel in range(2):
            exact = np.sort(image[channel][labels == value])
            assert inside.means[channel] == pytest.approx(exact.mean(dtype=float))
            assert inside.stds[channel] == pytest.approx(exact.std(dtype=float), abs=1e-9)
            if len(exact) <= 64:  # few are kept as they are
                np.testing.assert_array_equal(inside.quantiles[channel], exact)
    for number, value in ((1, 3), (2, 250)):
        if value in found:
            np.testing.assert_array_equal(by_mask[number].quantiles, found[value].quantiles)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32"])
def test_many_values_are_told_apart(monkeypatch, dtype):
    monkeypatch.setattr(measure, "SLAB", 301)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 60, (4, 20, 30)).astype(dtype)
    image = (labels[np.newaxis] * 3 + 1).astype(np.int16)
    counts = count_values(labels)
    assert len(counts) > 16
    for value, inside in measure_by_value(image, labels, counts).items():
        assert inside.count == (labels == value).sum()
        assert (inside.means, inside.stds) == ((3 * value + 1,), (0,))


def test_many_voxels_are_picked_evenly(monkeypatch):
    """Catches picks from the first slabs only, and picks that start anew in every slab."""
    monkeypatch.setattr(measure, "PICKED", 1000)
    monkeypatch.setattr(measure, "SLAB", 997)
    image = np.arange(50_000, dtype=np.float32).reshape(1, 50, 25, 40)
    labels = np.zeros((50, 25, 40), np.uint8)
    labels[10:] = 1
    inside = measure_by_value(image, labels, {0: 10_000, 1: 40_000})
    assert inside[1].count == 40_000
    assert inside[1].means[0] == pytest.approx(30_000, rel=0.002)
    assert inside[0].means[0] == pytest.approx(5_000, rel=0.01)
    quantiles = inside[1].quantiles[0]
    expected = np.linspace(10_000, 50_000, len(quantiles))
    np.testing.assert_allclose(quantiles, expected, atol=200)


def test_results_keep_their_order_and_progress_comes_from_the_caller():
    seen = []

    def progress(done, total):
        assert threading.current_thread() is threading.main_thread()
        seen.append((done, total))

    assert map_in_threads(lambda n: n * n, range(20), progress) == [n * n for n in range(20)]
    assert seen == [(n, 20) for n in range(1, 21)]


def test_an_error_ends_the_work():
    with pytest.raises(ZeroDivisionError):
        map_in_threads(lambda n: 1 // n, [1, 0, 1])


def test_a_budget_lets_in_what_fits_and_a_single_one_always():
    budget = MemoryBudget(10)
    inside, most, lock = [0], [0], threading.Lock()

    def work(needed):
        with budget.hold(needed):
            with lock:
                inside[0] += needed
                most[0] = max(most[0], inside[0])
            with lock:
                inside[0] -= needed

    threads = [threading.Thread(target=work, args=(n,)) for n in [4, 6, 7, 25, 3, 9] * 5]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert most[0] == 25  # alone, though larger than the budget
