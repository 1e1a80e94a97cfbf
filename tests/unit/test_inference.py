"""Whole images through a network: any size, mirrored views, bands."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from ushape import build
from ushape.config.schema import TilingConfig
from ushape.errors import ShapeError
from ushape.inference import plan_image, predict_probabilities, tile_function
from ushape.labels import LabelClass, LabelTable
from ushape.nets import geometry_of, make_spec
from ushape.nets.network import Output

CPU = torch.device("cpu")
TILING = TilingConfig((32, 48))
RNG = np.random.default_rng(0)


def image(*size, channels=1):
    return RNG.normal(size=(channels, *size)).astype(np.float32)


@pytest.fixture(scope="module")
def padded():
    torch.manual_seed(0)
    return build("unet_padding", width=2, levels=3, classes=3).eval()


@pytest.fixture(scope="module")
def unpadded():
    torch.manual_seed(0)
    return build("unet_original", width=2, levels=3).eval()


def predict(network, picture, tiling=TILING, **options):
    return predict_probabilities(network, picture, tiling, device=CPU, **options)


def whole(network, picture):
    with torch.no_grad():
        return network(torch.from_numpy(picture)[None]).logits[0]


def test_one_tile_is_the_network_itself(padded):
    picture = image(32, 48)
    expected = torch.softmax(whole(padded, picture), 0).numpy()
    assert np.allclose(predict(padded, picture), expected, atol=1e-6)


def test_probabilities_are_sigmoid_for_one_channel(unpadded):
    size = unpadded.geometry.nearest_sizes((60, 60))[1]
    margin = unpadded.geometry.margin
    picture = image(*size)
    result = predict(unpadded, picture, TilingConfig(size))
    expected = torch.sigmoid(whole(unpadded, picture)).numpy()
    effect = unpadded.geometry.edge_effect
    kept = [slice(0, n - after) for n, (_, after) in zip(expected.shape[1:], effect, strict=True)]
    inner = result[:, margin[0][0] :, margin[1][0] :][:, : kept[0].stop, : kept[1].stop]
    assert np.allclose(inner, expected[:, kept[0], kept[1]], atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (5, 70), (33, 49), (100, 31)])
@pytest.mark.parametrize("is_mirrored", [False, True])
def test_any_size_gives_probabilities_of_every_pixel(padded, unpadded, size, is_mirrored):
    for network, tile in ((padded, (32, 48)), (unpadded, (60, 68))):
        tiling = TilingConfig(tile, mirror=is_mirrored, batch=2)
        result = predict(network, image(*size), tiling)
        assert result.shape == (network.spec.classes, *size)
        assert result.dtype == np.float32
        assert ((result >= 0) & (result <= 1)).all()
        if network is padded:
            assert result.sum(0) == pytest.approx(np.ones(size), abs=1e-5)


def test_a_tile_is_not_larger_than_a_small_image_needs(padded):
    plan = plan_image(padded.geometry, (9, 100), TilingConfig((512, 512)))
    assert plan.tile_size == (12, 100)
    assert plan.num_tiles == 1


def test_a_tile_size_that_an_unpadded_network_trims_is_taken_as_it_reads_it(unpadded):
    """62 is read as 60; tiles of 62 would be planned with a result that is 2 too large."""
    geometry = unpadded.geometry
    fit = geometry.nearest_sizes((60, 60))[0]
    surplus = tuple(edge + 2 for edge in fit)
    assert geometry.used_size(surplus) == fit
    picture = image(70, 50)
    exact, trimmed = (predict(unpadded, picture, TilingConfig(size)) for size in (fit, surplus))
    assert np.array_equal(exact, trimmed)


def test_an_impossible_tile_size_is_refused_with_the_nearest(unpadded):
    with pytest.raises(ShapeError, match="the nearest is"):
        predict(unpadded, image(70, 50), TilingConfig((61, 60)))


SYMMETRIES = [(turns, flip) for flip in (False, True) for turns in range(4)]


def turned(picture, turns, flip):
    picture = np.rot90(picture, turns, (1, 2))
    return np.ascontiguousarray(np.flip(picture, 2) if flip else picture)


@pytest.mark.parametrize("size", [(32, 32), (24, 40)])
def test_mirrored_prediction_is_the_mean_over_the_eight_views(padded, size):
    picture = image(*size)
    plain = TilingConfig((48, 48))
    parts = []
    for turns, flip in SYMMETRIES:
        part = predict(padded, turned(picture, turns, flip), plain)
        part = np.flip(part, 2) if flip else part
        parts.append(np.rot90(part, -turns, (1, 2)))
    result = predict(padded, picture, replace(plain, mirror=True))
    assert np.allclose(result, np.mean(parts, 0), atol=1e-6)
    assert not np.allclose(result, parts[0], atol=1e-3), "this network is not symmetric"


@pytest.mark.parametrize(("turns", "flip"), SYMMETRIES)
def test_mirrored_prediction_does_not_depend_on_how_the_picture_lies(padded, turns, flip):
    picture = image(24, 40)
    tiling = TilingConfig((48, 48), mirror=True)
    upright = predict(padded, picture, tiling)
    lying = predict(padded, turned(picture, turns, flip), tiling)
    assert np.allclose(lying, turned(upright, turns, flip), atol=1e-6)


class Volume(nn.Module):
    """A lopsided 3D 'network': a weighted difference along every axis."""

    spec = make_spec("unet_padding", spatial_dims=3, levels=3, width=2)
    geometry = geometry_of(spec)

    def forward(self, x):
        return Output(x + 0.5 * x.roll(1, 2) - 0.3 * x.roll(1, 3) + 0.2 * x.roll(1, 4), ())


def test_three_dimensions_are_flipped_along_every_axis():
    picture, tiling = image(8, 8, 12), TilingConfig((8, 8, 12), mirror=True)
    result = predict(Volume(), picture, tiling)
    for axes in ((1,), (2,), (3,), (1, 2, 3)):
        flipped = predict(Volume(), np.ascontiguousarray(np.flip(picture, axes)), tiling)
        assert np.allclose(np.flip(flipped, axes), result, atol=1e-6)
    plain = predict(Volume(), picture, replace(tiling, mirror=False))
    assert not np.allclose(plain, result, atol=1e-3)


@pytest.mark.parametrize("is_mirrored", [False, True])
def test_a_sink_receives_the_rows_in_order(padded, is_mirrored):
    picture, tiling = image(90, 60), TilingConfig((32, 48), mirror=is_mirrored)
    expected, bands = predict(padded, picture, tiling), []

    def sink(first, band):
        assert first == sum(b.shape[1] for b in bands)
        bands.append(band.copy())

    assert predict(padded, picture, tiling, sink=sink) is None
    assert len(bands) == 1 if is_mirrored else len(bands) > 1
    assert np.array_equal(np.concatenate(bands, 1), expected)


@pytest.mark.parametrize("is_mirrored", [False, True])
def test_progress_ends_with_all_tiles(padded, is_mirrored):
    seen = []
    tiling = TilingConfig((32, 32), mirror=is_mirrored, batch=3)
    predict(padded, image(60, 60), tiling, progress=lambda *p: seen.append(p))
    totals = {total for _, total in seen}
    assert len(totals) == 1
    done = [d for d, _ in seen]
    assert done == sorted(set(done))
    assert done[-1] == totals.pop()


def test_the_result_does_not_depend_on_the_batch_of_tiles(padded):
    picture = image(70, 90)
    one, four = (predict(padded, picture, replace(TILING, batch=b)) for b in (1, 4))
    assert np.allclose(one, four, atol=1e-6)


def test_memory_order_and_precision(padded):
    tiles = torch.from_numpy(image(16, 16)[None])
    plain = tile_function(padded, device=CPU, precision="32-true", channels_last=False)(tiles)
    ordered = tile_function(padded, device=CPU, precision="32-true", channels_last=True)(tiles)
    rounded = tile_function(padded, device=CPU, precision="bf16-mixed", channels_last=True)(tiles)
    assert torch.allclose(plain, ordered, atol=1e-6)
    assert rounded.dtype == torch.float32
    assert torch.allclose(plain, rounded, atol=0.05)
    assert not torch.equal(plain, rounded), "bfloat16 was asked for"
    assert not plain.requires_grad


def test_the_kind_of_target_chooses_how_logits_become_probabilities():
    """Further logits are dropped before the softmax, which they would change."""
    torch.manual_seed(4)
    network = build("unet_padding", classes=5, width=4, levels=3).eval()
    image = np.random.default_rng(0).normal(size=(1, 24, 24)).astype(np.float32)
    logits = network(torch.from_numpy(image)[None]).logits[0].detach()
    tiling = TilingConfig((32, 32))
    classes = tuple(LabelClass(f"c{n}", n) for n in range(4))
    for kind, wanted in (
        ("multiclass", torch.softmax(logits[:4], 0)),
        ("multilabel", torch.sigmoid(logits[:3])),
        (None, torch.softmax(logits, 0)),
    ):
        labels = LabelTable(classes, kind=kind) if kind else None
        found = predict_probabilities(
            network, image, tiling, device=torch.device("cpu"), labels=labels
        )
        assert found is not None
        np.testing.assert_allclose(found, wanted.numpy(), atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_tiles_of_a_volume_agree_with_the_whole(axis):
    """Each voxel that one tile alone covers is the whole's; where two are blended, nearly so."""
    torch.manual_seed(0)
    network = build("unet_padding", spatial_dims=3, width=2, levels=3, classes=3).eval()
    size, tile = ([8, 8, 8], [8, 8, 8])
    size[axis], tile[axis] = 160, 96
    picture = image(*size)
    plan = plan_image(network.geometry, tuple(size), TilingConfig(tuple(tile)))
    assert [piece.start for piece in plan.axes[axis]] == [0, 64]
    assert max(map(sum, network.geometry.edge_effect)) < 64
    tiled = np.moveaxis(predict(network, picture, TilingConfig(tuple(tile))), axis + 1, 1)
    expected = torch.softmax(whole(network, picture), 0).numpy()
    expected = np.moveaxis(expected, axis + 1, 1)
    for alone in (slice(0, 64), slice(96, None)):
        assert np.allclose(tiled[:, alone], expected[:, alone], atol=1e-5)
    # Fading weighs down what a tile's border has touched; a plain mean would not.
    lying = np.moveaxis(picture, axis + 1, 1)
    ends = [np.moveaxis(lying[:, part], 1, axis + 1) for part in (slice(96), slice(64, None))]
    first, second = (
        np.moveaxis(
            torch.softmax(whole(network, np.ascontiguousarray(end)), 0).numpy(), axis + 1, 1
        )
        for end in ends
    )
    plain = (first[:, 64:] + second[:, :32]) / 2
    errors = [np.abs(found - expected[:, 64:96]) for found in (tiled[:, 64:96], plain)]
    assert errors[0].mean() < 0.75 * errors[1].mean()
    assert errors[0][:, [0, -1]].max() < 0.02, "at its border a tile counts almost nothing"


class Pointwise(Volume):
    """A 'network' that looks at one voxel."""

    def forward(self, x):
        return Output(2 * x - 1, ())


@pytest.mark.parametrize("is_mirrored", [False, True])
@pytest.mark.parametrize("tile", [(8, 8, 8), (12, 20, 16)])
def test_a_constant_volume_shows_no_tile_borders(tile, is_mirrored):
    picture = np.full((1, 21, 30, 25), 0.3, np.float32)
    result = predict(Pointwise(), picture, TilingConfig(tile, mirror=is_mirrored))
    assert result.min() == result.max()
    assert result[0, 0, 0, 0] == pytest.approx(1 / (1 + np.exp(0.4)))


def test_mirrored_volumes_come_in_bands():
    """The bands are those of flipped tiles; the whole is never held."""
    torch.manual_seed(2)
    network = build("unet_padding", spatial_dims=3, width=2, levels=3).eval()
    picture, tiling = image(20, 8, 8), TilingConfig((8, 8, 8), mirror=True)
    expected, bands, seen = predict(network, picture, tiling), [], []
    assert expected is not None
    predict(network, picture, tiling, sink=lambda first, band: bands.append((first, band)))
    predict(network, picture, tiling, progress=lambda *done: seen.append(done))
    assert len(bands) > 1
    assert np.array_equal(np.concatenate([band for _, band in bands], 1), expected)
    assert seen[-1] == (len(seen), len(seen))
    flips = [axes for n in range(8) if (axes := tuple(a for a in (1, 2, 3) if n >> (a - 1) & 1))]
    first = picture[:, :8]
    views = [first, *(np.ascontiguousarray(np.flip(first, axes)) for axes in flips)]
    parts = [torch.sigmoid(whole(network, view)).numpy() for view in views]
    parts = [parts[0], *(np.flip(p, axes) for p, axes in zip(parts[1:], flips, strict=True))]
    starts = [p.start for p in plan_image(network.geometry, (20, 8, 8), tiling).axes[0]]
    assert np.allclose(expected[:, : starts[1]], np.mean(parts, 0)[:, : starts[1]], atol=1e-5)
