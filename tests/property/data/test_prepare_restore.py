"""There and back: what preparation does to a label, restoring undoes on the file's own grid."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ushape.config.schema import PreprocessConfig
from ushape.data.io import Grid, Volume, to_canonical
from ushape.data.placement import Placement
from ushape.data.preprocess import place_image, place_target, prepare_image
from ushape.data.restore import Restorer, restore_probabilities
from ushape.data.targets import class_masks
from ushape.labels import LabelClass, LabelTable

QUICK = settings(deadline=None, max_examples=25)
NAMES = ("background", "a", "b")
EXCLUSIVE = LabelTable(tuple(LabelClass(name, i) for i, name in enumerate(NAMES)))
OVERLAPPING = LabelTable(EXCLUSIVE.classes, kind="multilabel")
BINARY = LabelTable(EXCLUSIVE.classes[:2])
VOLUMES = st.just(3)


@st.composite
def placed(draw, *, dims=VOLUMES, low=3, high=9):
    """A grid in any order of axes, flipped anyhow, oblique or not."""
    count = draw(dims)
    size = tuple(draw(st.integers(low, high)) for _ in range(count))
    order = draw(st.permutations(range(count)))
    signs = [draw(st.sampled_from([-1.0, 1.0])) for _ in range(count)]
    matrix = np.eye(count)[:, order] * signs
    if count == 3 and draw(st.booleans()):
        angle = draw(st.floats(-0.3, 0.3))
        turn = np.eye(3)
        turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        matrix = turn @ matrix
    spacing = [draw(st.sampled_from([0.5, 0.7, 1.0, 2.5])) for _ in range(count)]
    return Grid.of(size, spacing, [draw(st.integers(-50, 50)) for _ in range(count)], matrix)


def probabilities_of(target, table):
    """Be as sure as can be of a target."""
    masks = class_masks(target, table)
    if table.target == "multiclass":
        masks = np.concatenate([target[np.newaxis] == 0, masks])
    return masks.astype(np.float32)


def restored(target, placement, table, band=3):
    """Give bands as tiling does."""
    restorer = Restorer(placement, table)
    sure = probabilities_of(target, table)
    for first in range(0, len(target), band):
        restorer.put(first, sure[:, first : first + band])
    return restorer


@QUICK
@given(data=st.data(), table=st.sampled_from([EXCLUSIVE, OVERLAPPING, BINARY]), crop=st.booleans())
def test_without_resampling_every_voxel_comes_back(data, table, crop):
    grid = data.draw(placed(dims=st.sampled_from([2, 3])))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    target = rng.integers(0, len(table.classes), grid.size).astype(np.uint8)
    if table.is_overlapping:
        target = (rng.integers(0, 4, grid.size) << 1).astype(np.uint8)
    if crop:
        target[0], target[..., -1] = 0, 0
    values = np.stack([target > 0, target == 1]).astype(np.int16) * 9
    config = PreprocessConfig(2, "none", crop="nonzero" if crop else "none")
    image, placement = prepare_image(Volume(values, grid, "a"), config)
    prepared = place_target(target, placement, table)
    assert image.shape[1:] == prepared.shape == placement.size == placement.cropped
    np.testing.assert_array_equal(image[0] > 0, prepared > 0)  # together, voxel by voxel
    back = restored(prepared, placement, table, data.draw(st.integers(1, 4)))
    np.testing.assert_array_equal(back.masks(), class_masks(target, table))
    if not table.is_overlapping:
        np.testing.assert_array_equal(back.classes(), target)
    sure = restore_probabilities(probabilities_of(prepared, table), placement, table)
    np.testing.assert_array_equal(sure, probabilities_of(target, table))


@QUICK
@given(grid=placed(), wanted=st.sampled_from([None, (1.0, 0.6, 0.8)]), crop=st.booleans())
def test_prepared_voxels_lie_where_their_placement_says(grid, wanted, crop):
    """The image is the world position itself: what is sampled tells where it was sampled."""
    indices = np.stack(np.meshgrid(*map(np.arange, grid.size), indexing="ij"), -1)
    world = grid.positions_mm(indices.reshape(-1, 3)).T.reshape(3, *grid.size)
    if crop:
        world[:, 0] = 0
    config = PreprocessConfig(3, "none", spacing_mm=wanted, crop="nonzero" if crop else "none")
    volume = Volume(world, grid, "a")
    image, placement = prepare_image(volume, config)
    assert placement == place_image(volume, config)
    assert Placement.from_json(placement.to_json()) == placement
    new = placement.turn.new
    edges = np.array(placement.spacing_mm)
    faces = np.array(new.spacing_mm)
    np.testing.assert_allclose(edges * placement.size, faces * placement.cropped, rtol=1e-9)
    places = np.stack(np.meshgrid(*map(np.arange, placement.size), indexing="ij"), -1) + 0.5
    in_file = places * edges / faces + placement.start - 0.5
    expected = new.positions_mm(in_file.reshape(-1, 3)).T.reshape(image.shape)
    # Cubic kernels keep ramps but for the border, where the outermost voxel goes on.
    reach = [3 if s != c else 0 for s, c in zip(placement.size, placement.cropped, strict=True)]
    reach = [r and r * int(np.ceil(f / e)) for r, f, e in zip(reach, faces, edges, strict=True)]
    inner = (slice(None), *(slice(r, n - r) for r, n in zip(reach, placement.size, strict=True)))
    np.testing.assert_allclose(image[inner], expected[inner], atol=2e-3)


@QUICK
@given(grid=placed())
def test_the_box_of_a_placement_is_the_canonical_volume(grid):
    values = np.arange(2 * np.prod(grid.size)).reshape(2, *grid.size)
    volume, turn = to_canonical(Volume(values, grid, "a"))
    placement = place_image(Volume(values, grid, "a"), PreprocessConfig(2))
    assert placement.turn == turn
    np.testing.assert_array_equal(placement.box(values), volume.values)
    assert placement.box(values).base is not None, "a view"
    assert placement.is_identity == turn.is_identity


def halves(grid, seed):
    """Make a ball as large as the volume allows, of two classes that meet on a tilted plane."""
    rng = np.random.default_rng(seed)
    axes = [np.linspace(-1.1, 1.1, edge) for edge in grid.size]
    places = np.stack(np.meshgrid(*axes, indexing="ij"), -1) + rng.uniform(-0.05, 0.05, 3)
    ball = (places**2).sum(-1) < 1
    return np.where(ball, np.where(places @ rng.normal(size=3) > 0, 2, 1), 0).astype(np.uint8)


@settings(deadline=None, max_examples=8)
@given(data=st.data(), factor=st.sampled_from([0.6, 0.8, 1.1, 1.2]))
def test_smooth_bodies_survive_another_spacing(data, factor):
    grid = data.draw(placed(low=44, high=50))
    label = halves(grid, data.draw(st.integers(0, 99)))
    canonical = [grid.spacing_mm[axis] for axis in place_of(grid).turn.order]
    wanted = tuple(edge * factor for edge in canonical)
    config = PreprocessConfig(1, "none", spacing_mm=wanted)
    placement = place_image(Volume(label[np.newaxis], grid, "a"), config)
    assert placement.is_resampled
    back = restored(place_target(label, placement, EXCLUSIVE), placement, EXCLUSIVE).classes()
    for index in (1, 2):
        both = np.sum((back == index) & (label == index))
        dice = 2 * both / (np.sum(back == index) + np.sum(label == index))
        assert dice > 0.98


def place_of(grid):
    return place_image(Volume(np.zeros((1, *grid.size), np.uint8), grid, "a"), PreprocessConfig(1))


@pytest.mark.parametrize("table", [EXCLUSIVE, OVERLAPPING, BINARY])
def test_outside_of_the_crop_there_is_only_background(table):
    values = np.zeros((1, 6, 7, 8), np.uint8)
    values[0, 1:4, 2:6, 3:7] = 5
    volume = Volume(values, Grid.of(values.shape[1:], (1, 1, 1)), "a")
    config = PreprocessConfig(1, crop="nonzero", spacing_mm=(0.5, 1, 0.7))
    _, placement = prepare_image(volume, config)
    assert (placement.start, placement.cropped, placement.size) == ((1, 2, 3), (3, 4, 4), (6, 4, 6))
    sure = np.ones((table.num_logits, *placement.size), np.float32)
    if table.target == "multiclass":
        sure[[0, 2]] = 0
    restorer = Restorer(placement, table)
    restorer.put(0, sure)
    np.testing.assert_array_equal(restorer.masks()[0], values[0] > 0)
    found = restore_probabilities(sure, placement, table)
    has_background = table.target == "multiclass"
    np.testing.assert_allclose(found[1 if has_background else 0], values[0] > 0, atol=1e-6)
    if has_background:
        np.testing.assert_allclose(found.sum(0), 1, atol=1e-6)


def test_bands_come_in_order_and_all_of_them():
    placement = place_of(Grid.of((6, 5, 4), (1, 1, 1)))
    restorer = Restorer(placement, EXCLUSIVE)
    sure = np.ones((3, 6, 5, 4), np.float32)
    restorer.put(0, sure[:, :2])
    for first, band in ((3, sure[:, :2]), (2, sure[:, :2, :4])):
        with pytest.raises(ValueError, match="does not go on at 2"):
            restorer.put(first, band)
    with pytest.raises(ValueError, match="2 of 6 planes"):
        restorer.classes()
    with pytest.raises(ValueError, match="2 of 6 planes"):
        restorer.masks()


def test_thresholds_hold_on_the_grid_of_the_file():
    placement = place_image(
        Volume(np.ones((1, 4, 4, 4), np.uint8), Grid.of((4, 4, 4), (1, 1, 1)), "a"),
        PreprocessConfig(1, spacing_mm=(0.5, 0.5, 0.5)),
    )
    for limit, expected in ((0.35, 1), (0.45, 0)):
        restorer = Restorer(placement, BINARY, {"a": limit})
        restorer.put(0, np.full((1, 8, 8, 8), 0.4, np.float32))
        assert (restorer.classes() == expected).all()
