"""Regions of interest: what holds for every mask, box and size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ushape.tiling.resize import resize
from ushape.tiling.roi import cut, cut_labels, find_region, jitter, largest_component, paste

FEW = settings(max_examples=60, deadline=None)


@st.composite
def masks(draw):
    dims = draw(st.integers(1, 3))
    size = tuple(draw(st.integers(1, 24 if dims < 3 else 12)) for _ in range(dims))
    box = [sorted((draw(st.integers(0, n)), draw(st.integers(0, n)))) for n in size]
    mask = np.zeros(size, dtype=bool)
    mask[tuple(slice(low, max(high, low + 1)) for low, high in box)] = True
    noise = np.random.default_rng(draw(st.integers(0, 99))).random(size)
    return mask | (noise < draw(st.sampled_from([0, 0.02, 0.3])))


options = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["square", "mask"]),
        "margin_fraction": st.sampled_from([0, 0.1, 0.8]),
        "least_edge": st.integers(1, 10),
    }
)


@FEW
@given(masks(), options, st.floats(0, 0.6), st.integers(0, 99))
def test_boxes_hold_the_object_are_square_and_lie_inside(mask, given_options, amount, seed):
    region = find_region(mask, **given_options)
    component = largest_component(mask)
    assert (region is None) == (not mask.any())
    if region is None:
        return
    assert len(set(region.size)) == 1
    assert np.count_nonzero(component[region.inside]) == np.count_nonzero(component)
    for box in (region, jitter(region, np.random.default_rng(seed), amount)):
        for start, edge, n in zip(box.start, box.size, mask.shape, strict=True):
            if edge <= n:
                assert 0 <= start <= n - edge
            else:
                assert start <= 0
                assert start + edge >= n
                assert abs(-start - (start + edge - n)) <= 1


@FEW
@given(masks(), options, st.integers(1, 4), st.integers(0, 99))
def test_there_and_back_keeps_smooth_images_and_fills_the_rest(mask, given_options, factor, seed):
    region = find_region(mask, **given_options)
    if region is None:
        return
    generator = np.random.default_rng(seed)
    ramp = sum(
        generator.uniform(-1, 1) * axis
        for axis in np.meshgrid(*map(np.arange, mask.shape), indexing="ij")
    )
    size = tuple(edge * factor + int(generator.integers(0, 3)) for edge in region.size)
    square = find_region(mask, **given_options | {"kind": "square"})

    back = paste(cut(ramp[None].astype(float), square, size), region, mask.shape, fill=-99.0)[0]

    is_kept = np.zeros(mask.shape, dtype=bool)
    is_kept[region.inside] = True
    if region.weights is not None:
        is_kept &= region.weights > 0
    assert (back[~is_kept] == -99).all()
    # A ramp returns exactly but for the pixels that feel the box's own border.
    inner = np.zeros(mask.shape, dtype=bool)
    inner[tuple(slice(s.start + 2, max(0, s.stop - 2)) for s in region.inside)] = True
    np.testing.assert_allclose(back[is_kept & inner], ramp[is_kept & inner], atol=1e-8)
    np.testing.assert_allclose(back[is_kept], ramp[is_kept], atol=1.0 * len(mask.shape))


@FEW
@given(masks(), st.integers(1, 3), st.integers(0, 99))
def test_any_image_returns_to_the_accuracy_of_interpolation(mask, factor, seed):
    region = find_region(mask)
    if region is None:
        return
    image = np.random.default_rng(seed).random((1, *mask.shape))
    size = tuple(edge * factor for edge in region.size)
    back = paste(cut(image, region, size), region, mask.shape)
    # Linear interpolation misses by at most the largest difference of neighbours.
    padded = np.pad(image[0], 1, mode="edge")
    steps = sum(
        np.maximum(
            abs(np.diff(padded, axis=axis)).take(range(n), axis),
            abs(np.diff(padded, axis=axis)).take(range(1, n + 1), axis),
        )[tuple(slice(None) if a == axis else slice(1, -1) for a in range(mask.ndim))]
        for axis, n in enumerate(mask.shape)
    ).max()
    inside = (0, *region.inside)
    assert abs(back[inside] - image[inside]).max() <= steps + 1e-12
    if factor == 1:
        np.testing.assert_array_equal(back[inside], image[inside])


@FEW
@given(
    masks(),
    st.sampled_from(["nearest", "vote"]),
    st.integers(1, 30),
    st.integers(0, 99),
    st.booleans(),
)
def test_labels_are_never_invented(mask, method, edge, seed, is_masked):
    region = find_region(mask, kind="mask" if is_masked else "square")
    if region is None:
        return
    values = np.array([3, 40, 41, 200], dtype=np.uint8)
    label = values[np.random.default_rng(seed).integers(0, 4, mask.shape)]
    found = cut_labels(label, region, (edge,) * mask.ndim, method=method, beyond=255)
    allowed = set(label[region.inside].ravel().tolist())
    if any(
        s < 0 or s + e > n for s, e, n in zip(region.start, region.size, mask.shape, strict=True)
    ):
        allowed.add(255)
    assert set(found.ravel().tolist()) <= allowed
    assert found.dtype == np.uint8


@FEW
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
def test_resizing_stays_within_the_values_and_mirrors(length, wanted, seed):
    line = np.random.default_rng(seed).random((1, length))
    result = resize(line, (wanted,))
    assert line.min() - 1e-12 <= result.min()
    assert result.max() <= line.max() + 1e-12
    np.testing.assert_allclose(resize(line[:, ::-1], (wanted,))[:, ::-1], result, atol=1e-12)
    assert resize(np.full((1, length), 0.3), (wanted,)) == pytest.approx(0.3)
