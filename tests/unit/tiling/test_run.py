"""The tile loop: what the callable sees, what the caller gets, and how much is held meanwhile."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
import torch

from ushape.errors import ConfigError, ShapeError
from ushape.tiling import plan_tiles, run_tiled
from ushape.tiling.windows import LEAST_WEIGHT, cut_tile, reflect_indices, tile_weights


def plan_for(size, tile, *, margin=0, blend=False, stride=1, overlap_fraction=0.0):
    dims = len(size)
    return plan_tiles(
        size,
        tile_size=(tile,) * dims,
        margin=[(margin, margin)] * dims,
        edge_effect=[(0, 0)] * dims,
        stride=(stride,) * dims,
        overlap_fraction=overlap_fraction,
        blend=blend,
    )


def blend_plan(size, tile):
    return plan_for(size, tile, blend=True, stride=4, overlap_fraction=0.5)


def random_image(*shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def same(tiles):
    return tiles


@pytest.mark.parametrize("start", range(-9, 9))
def test_reflect_does_not_repeat_the_edge(start):
    # One period of 0 1 2 3 2 1, written out by hand.
    period = [0, 1, 2, 3, 2, 1]
    expected = [period[position % 6] for position in range(start, start + 7)]
    assert reflect_indices(start, 7, 4).tolist() == expected


def test_a_tile_inside_the_image_is_a_view():
    image = random_image(1, 8, 8)
    assert np.shares_memory(cut_tile(image, (2, 0), (4, 8)), image)


def test_a_tile_of_the_images_size_that_lies_in_the_mirror_is_reversed():
    # It touches as many pixels as it has, which must not pass for lying inside.
    image = np.arange(4.0)[None]
    assert cut_tile(image, (-3,), (4,)).tolist() == [[3, 2, 1, 0]]
    assert cut_tile(image, (3,), (4,)).tolist() == [[3, 2, 1, 0]]


def test_weights_are_a_floored_gaussian_of_an_eighth():
    weights = tile_weights((33, 17))
    assert weights[16, 8] == 1
    assert weights[16 + 4, 8] == pytest.approx(np.exp(-0.5 * (4 / (33 / 8)) ** 2), rel=1e-6)
    assert weights[0, 0] == weights.min() == np.float32(LEAST_WEIGHT**2)
    assert weights[0, 8] == weights[16, 0] == np.float32(LEAST_WEIGHT)
    np.testing.assert_allclose(weights[:, 0], weights[:, 8] * LEAST_WEIGHT, rtol=1e-6)
    np.testing.assert_array_equal(weights, weights[::-1, ::-1])


def test_blending_equals_a_plain_weighted_mean():
    # Every tile answers with other numbers, so that wrong weights or lost tiles show.
    plan = blend_plan((30, 21), 12)
    answers = random_image(plan.num_tiles, 2, 12, 12, seed=1)
    queue = iter(answers)
    result = run_tiled(
        lambda tiles: torch.from_numpy(next(queue))[None], np.zeros((1, 30, 21)), plan
    )

    weighted, total = np.zeros((2, 44, 44)), np.zeros((44, 44))
    weights = tile_weights((12, 12)).astype(float)
    for (rows, columns), answer in zip(plan.tiles(), answers, strict=True):
        place = np.s_[rows.start : rows.start + 12, columns.start : columns.start + 12]
        weighted[(slice(None), *place)] += weights * answer
        total[place] += weights
    expected = weighted[:, :30, :21] / total[:30, :21]
    np.testing.assert_allclose(result, expected, atol=1e-5)


@pytest.mark.parametrize("plan", [plan_for((50, 37), 16), blend_plan((50, 37), 16)])
@pytest.mark.parametrize("value", [0.1, -1e20, 1 / 3])
def test_a_constant_comes_back_to_the_last_bit(plan, value):
    image = np.full((1, 50, 37), value, np.float32)
    # The callable makes the constant anew, as a network would, whatever the tile.
    result = run_tiled(lambda tiles: torch.full_like(tiles, value), image, plan)
    np.testing.assert_array_equal(result, image)


@pytest.mark.parametrize("batch_size", [2, 3, 5, 1000])
@pytest.mark.parametrize("plan", [plan_for((31, 26), 10, margin=2), blend_plan((31, 26), 10)])
def test_batches_change_nothing(plan, batch_size):
    crop = (plan.tile_size[0] - plan.out_tile_size[0]) // 2

    def predict(tiles):
        kept = tiles[..., crop : 10 - crop, crop : 10 - crop]
        return kept * torch.linspace(0, 1, kept.shape[-1])  # depends on the place in the tile

    image = random_image(3, 31, 26)
    sizes: list[int] = []

    def counted(tiles):
        sizes.append(len(tiles))
        return predict(tiles)

    result = run_tiled(counted, image, plan, batch_size=batch_size)
    np.testing.assert_array_equal(result, run_tiled(predict, image, plan))
    assert max(sizes) == min(batch_size, plan.num_tiles)
    assert sum(sizes) == plan.num_tiles


@pytest.mark.parametrize(
    "plan", [plan_for((41, 13), 9, margin=1), blend_plan((41, 13), 12), blend_plan((5, 5), 12)]
)
@pytest.mark.parametrize("batch_size", [1, 7])
def test_the_sink_gets_every_row_once_in_order(plan, batch_size):
    crop = (plan.tile_size[0] - plan.out_tile_size[0]) // 2
    end = plan.tile_size[0] - crop

    def predict(tiles):
        return tiles[..., crop:end, crop:end]

    image = random_image(2, *plan.size)
    blocks: list[tuple[int, np.ndarray]] = []
    returned = run_tiled(
        predict, image, plan, batch_size=batch_size, sink=lambda *block: blocks.append(block)
    )
    assert returned is None
    starts = [start for start, _ in blocks]
    heights = [block.shape[1] for _, block in blocks]
    assert starts == [0, *np.cumsum(heights)[:-1]]
    # Blocks that were kept must not change when later ones are made.
    joined = np.concatenate([block for _, block in blocks], axis=1)
    np.testing.assert_array_equal(joined, run_tiled(predict, image, plan))


@pytest.mark.parametrize("blend", [False, True])
def test_a_long_strip_is_held_one_band_at_a_time(blend):
    size, tile = (10_000, 256), 64
    plan = plan_for(size, tile, blend=blend, stride=8, overlap_fraction=0.5 if blend else 0.0)
    rows, num_columns = plan.axes[0], len(plan.axes[1])
    image = np.zeros((1, *size), np.float32)
    num_predicted = num_flushed = most_waiting = 0

    def predict(tiles):
        nonlocal num_predicted, most_waiting
        if num_predicted and num_predicted % num_columns == 0:
            last = rows[num_predicted // num_columns - 1]
            most_waiting = max(most_waiting, last.first + last.count - num_flushed)
        num_predicted += 1
        return tiles

    def sink(start, block):
        nonlocal num_flushed
        assert start == num_flushed
        num_flushed += block.shape[1]

    tracemalloc.start()
    try:
        run_tiled(predict, image, plan, sink=sink)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert num_flushed == size[0]
    # Between two rows of tiles, only the pixels that both touch may wait.
    overlaps = [upper.first + upper.count - lower.first for upper, lower in pairwise(rows)]
    assert most_waiting == max(overlaps) == (40 if blend else 0)
    band_bytes = tile * size[1] * 4
    assert peak < 8 * band_bytes < image.nbytes / 15


def test_a_memory_mapped_image_gives_the_same(tmp_path):
    image = random_image(2, 37, 29)
    mapped = np.memmap(tmp_path / "image", np.float32, "w+", shape=image.shape)
    mapped[:] = image
    plan = plan_for((37, 29), 12, margin=3)
    result = run_tiled(lambda tiles: tiles[..., 3:-3, 3:-3], mapped, plan)
    np.testing.assert_array_equal(result, image)
    assert not isinstance(result, np.memmap)


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        (np.uint8, torch.float32),
        (np.uint16, torch.float32),
        (np.float16, torch.float32),
        (np.float32, torch.float32),
        (np.dtype(">f8"), torch.float64),
        (np.float64, torch.float64),
    ],
)
def test_the_callable_sees_float_tiles(given, seen):
    image = (np.arange(30) % 7).reshape(1, 5, 6).astype(given)
    dtypes = set()

    def predict(tiles):
        dtypes.add(tiles.dtype)
        return tiles

    result = run_tiled(predict, image, plan_for((5, 6), 4))
    assert dtypes == {seen}
    np.testing.assert_array_equal(result, image.astype(np.float64))


@pytest.mark.parametrize(
    ("given", "kept"),
    [(torch.bfloat16, np.float32), (torch.int64, np.float32), (torch.float64, np.float64)],
)
def test_results_become_float32_unless_float64(given, kept):
    image = (np.arange(30) % 7).reshape(1, 5, 6).astype(np.float32)
    result = run_tiled(lambda tiles: tiles.to(given), image, plan_for((5, 6), 4))
    assert result.dtype == kept
    np.testing.assert_array_equal(result, image)


def test_no_gradients_are_kept():
    weight = torch.ones((), requires_grad=True)
    seen = []

    def predict(tiles):
        seen.append((tiles * weight).requires_grad)
        return tiles * weight

    run_tiled(predict, np.ones((1, 4, 4), np.float32), plan_for((4, 4), 4))
    assert seen == [False]


@pytest.mark.parametrize("plan", [plan_for((20, 20), 8), blend_plan((20, 20), 8)])
def test_a_pixel_that_is_not_finite_stays_alone(plan):
    image = np.ones((1, 20, 20), np.float32)
    image[0, 9, 9] = np.nan
    result = run_tiled(same, image, plan)
    np.testing.assert_array_equal(result, image)


def test_progress_counts_tiles():
    calls = []
    plan = plan_for((9, 9), 4)
    run_tiled(
        same, np.zeros((1, 9, 9)), plan, batch_size=4, progress=lambda *call: calls.append(call)
    )
    assert calls == [(4, 9), (8, 9), (9, 9)]


@pytest.mark.parametrize(
    ("predict", "message"),
    [
        (
            lambda tiles: tiles[..., 1:],
            "gave shape 2 x 1 x 8 x 7 for tiles of shape 2 x 1 x 8 x 8; ",
        ),
        (lambda tiles: tiles[:1], "gave shape 1 x 1 x 8 x 8 for tiles"),
        (lambda tiles: tiles[:, 0], "gave shape 2 x 8 x 8 for tiles"),
        (lambda tiles: tiles[:, :0], "gave shape 2 x 0 x 8 x 8 for tiles"),
        (lambda tiles: (tiles,), "gave a tuple; "),
    ],
)
def test_a_wrong_result_says_what_came_and_what_was_expected(predict, message):
    with pytest.raises(ShapeError, match=message + ".*expected a tensor of 2 x classes x 8 x 8"):
        run_tiled(predict, np.zeros((1, 16, 16)), plan_for((16, 16), 8), batch_size=2)


def test_a_change_of_channels_is_refused():
    # Three channels would be spread over one without a word, if numpy were left to broadcast.
    channels = iter([3, 1])
    with pytest.raises(ShapeError, match="gave 1 channels for a tile, after 3"):
        run_tiled(
            lambda tiles: tiles.expand(-1, next(channels), -1), np.zeros((1, 8)), plan_for((8,), 4)
        )


def test_an_image_of_another_size_is_refused():
    with pytest.raises(ShapeError, match=r"image of shape 1 x 8 x 9 .* expected channels x 8 x 8"):
        run_tiled(same, np.zeros((1, 8, 9)), plan_for((8, 8), 4))


def test_an_empty_batch_is_refused():
    with pytest.raises(ConfigError, match="batch_size 0"):
        run_tiled(same, np.zeros((1, 8)), plan_for((8,), 4), batch_size=0)
