"""Drawing: every parameter has its range, its probability and its distribution."""

import math
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from scipy import stats

from ushape.config.schema import AugmentConfig
from ushape.data.augment import PRESETS, augment_preset, draw_augmentation, window_size
from ushape.data.augment.dice import Dice
from ushape.errors import ConfigError, ShapeError

NOTHING = AugmentConfig(
    flip=False,
    right_angles=False,
    **{f.name: 0.0 for f in fields(AugmentConfig) if f.name.endswith("_probability")},
)


def draw(config, *, batch=4, channels=1, patch=(16, 16), spacing=None):
    generator = torch.Generator().manual_seed(0)
    return draw_augmentation(
        generator, config, batch=batch, channels=channels, patch_size=patch, spacing=spacing
    )


def test_the_dice_are_even_and_independent():
    dice = Dice(torch.Generator().manual_seed(1), 500)
    values = dice.uniform(0, 1, 700)
    assert stats.kstest(values.ravel(), "uniform").pvalue > 1e-3
    for moved in (np.roll(values, 1, 1), np.roll(values, 1, 0)):
        assert abs(np.corrcoef(values.ravel(), moved.ravel())[0, 1]) < 0.01
    assert stats.kstest(dice.normal(100).ravel(), "norm").pvalue > 1e-3
    assert not np.isin(dice.uniform(0, 1, 100), values).any(), "nothing is handed out twice"


def split_mix(seed, position):
    """SplitMix64 as its authors wrote it, in whole numbers."""
    bits = (seed + position * 0x9E3779B97F4A7C15) % 2**64
    bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB % 2**64
    return (((bits ^ (bits >> 31)) >> 12) + 0.5) / 2**52


def test_the_dice_are_those_of_split_mix_however_they_are_cast():
    seeds = torch.randint(-(2**63), 2**63 - 1, (2,), generator=torch.Generator().manual_seed(7))
    dice = Dice(torch.Generator().manual_seed(7), 2)
    cast = []
    for count in (1, 62, 0, 3, 200, 5):
        cast.append(dice.uniform(0, 1, count))
        dice.skip(2)
        assert not dice.chance(0.0, 1).any()
    found = np.concatenate(cast, 1)
    places = [1, *range(5, 67), *range(73, 76), *range(79, 279), *range(282, 287)]
    expected = [[split_mix(seed % 2**64, place) for place in places] for seed in seeds.tolist()]
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("name", ["rotation", "noise"])
@pytest.mark.parametrize("patch", [(16, 16), (8, 8, 8)])
def test_numbers_that_are_not_needed_are_passed_over(name, patch):
    """Chances of 0 and nearly 0 draw the same: a seed keeps its meaning."""
    others = ["shift", "elastic", "gamma", "blur", "cutout"]
    config = replace(NOTHING, flip=True, **{f"{other}_probability": 1.0 for other in others})
    never, hardly = (
        draw(replace(config, **{f"{name}_probability": chance}), patch=patch)
        for chance in (0.0, 1e-9)
    )
    for parameter in ("matrix", "shift", "displacement", "gamma", "blur", "noise_seed", "cutout"):
        assert torch.equal(getattr(never, parameter), getattr(hardly, parameter)), parameter


@pytest.mark.parametrize(
    ("changes", "name", "low", "high"),
    [
        ({"brightness_probability": 1, "brightness": 0.2}, "brightness", -0.2, 0.2),
        (
            {"brightness_factor_probability": 1, "brightness_factor": 2.0},
            "brightness_factor",
            0.5,
            2,
        ),
        ({"contrast_probability": 1, "contrast": 2.0}, "contrast", 0.5, 2.0),
        ({"gamma_probability": 1, "gamma": 4.0}, "gamma", 0.25, 4.0),
        ({"inverted_gamma_probability": 1, "gamma": 4.0}, "inverted_gamma", 0.25, 4.0),
        ({"blur_probability": 1, "blur_pixels": 2.0}, "blur", 0.3, 2.0),
        ({"blur_probability": 1, "blur_pixels": 0.0}, "blur", 0.0, 0.0),
        ({"noise_probability": 1, "noise": 0.4}, "noise", 0.0, 0.4),
        ({"low_resolution_probability": 1, "low_resolution": 4.0}, "low_resolution", 0.25, 1.0),
        ({"shift_probability": 1, "shift_pixels": 5.0}, "shift", -5.0, 5.0),
    ],
)
def test_parameters_fill_their_range(changes, name, low, high):
    drawn = getattr(draw(replace(NOTHING, **changes), batch=2000), name)
    assert low - 1e-6 <= float(drawn.min()) <= low + 0.05 * (high - low)
    assert high - 0.05 * (high - low) <= float(drawn.max()) <= high + 1e-6


@pytest.mark.parametrize(
    ("name", "parameter", "plain"),
    [
        ("rotation", "matrix", torch.eye(3)),
        ("scale", "matrix", torch.eye(3)),
        ("scale_axis", "matrix", torch.eye(3)),
        ("shear", "matrix", torch.eye(3)),
        ("shift", "shift", 0),
        ("elastic", "displacement", 0),
        ("slice_shift", "slice_shift", 0),
        ("brightness", "brightness", 0),
        ("brightness_factor", "brightness_factor", 1),
        ("contrast", "contrast", 1),
        ("gamma", "gamma", 1),
        ("inverted_gamma", "inverted_gamma", 1),
        ("noise", "noise", 0),
        ("blur", "blur", 0),
        ("low_resolution", "low_resolution", 1),
        ("bias_field", "bias", 0),
        ("spikes", "spikes", None),
        ("cutout", "cutout", None),
        ("slice_dropout", "slice_dropout", 0),
    ],
)
def test_probabilities_are_kept_and_nothing_else_is_drawn(name, parameter, plain):
    config = replace(NOTHING, **{f"{name}_probability": 0.3}, slice_dropout_fraction=1.0)
    drawn = draw(config, batch=1500, patch=(8, 8, 8))
    value = getattr(drawn, parameter)
    if name == "spikes":
        chosen = (value[:, :, 0] != 0).any(1)
    elif name == "cutout":
        chosen = (value[..., 1] > value[..., 0]).all(2).any(1)
    else:
        chosen = (value != plain).reshape(len(value), -1).any(1)
    assert float(chosen.float().mean()) == pytest.approx(0.3, abs=0.04)
    nothing = draw(NOTHING, batch=1500, patch=(8, 8, 8))
    for field in fields(drawn):
        if field.name not in (parameter, "noise_seed"):
            now, then = getattr(drawn, field.name), getattr(nothing, field.name)
            same = torch.equal(now, then) if isinstance(now, torch.Tensor) else now == then
            assert same, field.name


def test_the_transforms_are_drawn_independently():
    """A shared chance would make two transforms come and go together."""
    config = replace(NOTHING, gamma_probability=0.5, blur_probability=0.5, noise_probability=0.5)
    drawn = draw(config, batch=4000)
    both = [drawn.gamma[:, 0] != 1, drawn.blur[:, 0] > 0, drawn.noise > 0]
    assert (torch.corrcoef(torch.stack(both).float()) - torch.eye(3)).abs().max() < 0.06


@pytest.mark.parametrize("per_channel", [False, True])
def test_channels_share_their_strengths_or_draw_their_own(per_channel):
    config = replace(
        NOTHING, contrast_probability=0.5, brightness_probability=0.5, per_channel=per_channel
    )
    drawn = draw(config, batch=50, channels=3)
    for values, plain in ((drawn.contrast, 1), (drawn.brightness, 0)):
        assert values.shape == (50, 3)
        chosen = values != plain
        assert torch.equal(chosen.any(1), chosen.all(1)), "chance decides for the whole patch"
        differ = values[chosen[:, 0], 0] != values[chosen[:, 0], 1]
        assert bool(differ.all()) == per_channel
        assert bool(differ.any()) == per_channel


# ---------------------------------------------------------------- the matrix


def test_scale_is_even_in_the_logarithm_and_keeps_shapes():
    config = replace(NOTHING, scale_probability=1, scale_range=2.0)
    matrix = draw(config, batch=3000).matrix
    assert torch.equal(matrix[:, 0, 1], torch.zeros(3000))
    assert torch.equal(matrix[:, 0, 0], matrix[:, 1, 1])
    logs = matrix[:, 0, 0].log2()
    assert -1 <= float(logs.min()) < -0.95
    assert 0.95 < float(logs.max()) <= 1
    assert float(logs.mean()) == pytest.approx(0, abs=0.04)


def test_each_axis_may_have_a_scale_of_its_own():
    config = replace(NOTHING, scale_axis_probability=1, scale_axis_range=1.5)
    matrix = draw(config, batch=500, patch=(8, 8, 8)).matrix
    assert torch.equal(matrix, torch.diag_embed(matrix.diagonal(dim1=1, dim2=2)))
    logs = matrix.diagonal(dim1=1, dim2=2).log()
    assert logs.abs().max() <= math.log(1.5) + 1e-6
    assert (torch.corrcoef(logs.T) - torch.eye(3)).abs().max() < 0.15


@pytest.mark.parametrize("patch", [(8, 8), (8, 8, 8)])
def test_shear_keeps_the_volume_and_slants_one_axis(patch):
    config = replace(NOTHING, shear_probability=1, shear_degrees=20.0)
    matrix = draw(config, batch=400, patch=patch).matrix
    assert (torch.linalg.det(matrix) - 1).abs().max() < 1e-5
    slant = matrix - torch.eye(len(patch))
    assert torch.equal((slant != 0).sum((1, 2)), torch.ones(400, dtype=torch.long))
    largest = math.tan(math.radians(20))
    assert 0.97 * largest < float(slant.abs().max()) <= largest
    assert int((slant != 0).any(0).sum()) == len(patch) * (len(patch) - 1), "every pair is drawn"


def test_free_rotations_turn_and_do_nothing_else():
    config = replace(NOTHING, rotation_probability=1, rotation_degrees=30.0)
    for patch in ((16, 12), (8, 8, 8)):
        matrix = draw(config, batch=500, patch=patch).matrix
        dims = len(patch)
        assert (matrix @ matrix.mT - torch.eye(dims)).abs().max() < 1e-5
        assert (torch.linalg.det(matrix) - 1).abs().max() < 1e-5
    angle = torch.rad2deg(torch.atan2(*draw(config, batch=500).matrix[:, [1, 0], 0].T))
    assert 28 < float(angle.abs().max()) <= 30.001


# ---------------------------------------------------------------- spacing


def test_turns_are_turns_in_space():
    """In micrometres the matrix is orthogonal; in pixels it is not."""
    spacing = (2.0, 1.0, 0.8)
    config = replace(NOTHING, rotation_probability=1)
    matrix = draw(config, batch=50, patch=(8, 16, 16), spacing=spacing).matrix.double()
    space = torch.tensor(spacing, dtype=torch.float64)
    true = space[:, None] * matrix / space[None, :]
    assert (true @ true.mT - torch.eye(3)).abs().max() < 1e-5
    assert (matrix @ matrix.mT - torch.eye(3)).abs().max() > 0.5


def test_lengths_are_equal_in_space():
    config = replace(
        NOTHING,
        shift_probability=1,
        shift_pixels=6.0,
        elastic_probability=1,
        blur_probability=1,
        elastic_spacing_pixels=4,
    )
    drawn = draw(config, batch=2000, patch=(16, 16, 32), spacing=(3.0, 1.5, 1.5))
    reach = drawn.shift.abs().amax(0)
    assert reach.tolist() == pytest.approx([3, 6, 6], rel=0.02)
    spread = drawn.displacement.flatten(2).std((0, 2))
    assert spread.tolist() == pytest.approx([2, 4, 4], rel=0.05)
    assert drawn.displacement.shape[2:] == (11, 7, 11)
    assert torch.allclose(drawn.blur * torch.tensor([2.0, 1, 1]), drawn.blur[:, 1:2])


def test_only_the_ratio_of_spacings_counts():
    config = augment_preset("strong", spatial_dims=3)
    millimetres = draw(config, patch=(8, 16, 16), spacing=(1.0, 0.5, 0.5))
    micrometres = draw(config, patch=(8, 16, 16), spacing=(1000.0, 500.0, 500.0))
    assert torch.equal(millimetres.matrix, micrometres.matrix)
    assert torch.equal(millimetres.displacement, micrometres.displacement)
    assert torch.equal(millimetres.slice_shift, micrometres.slice_shift)


@pytest.mark.parametrize(("spacing", "axis"), [((50, 4, 4), 0), ((1, 1, 4), 2)])
def test_thick_slices_are_varied_within_their_plane(spacing, axis):
    config = replace(
        augment_preset("strong", spatial_dims=3),
        rotation_probability=1,
        scale_probability=1,
        shear_probability=1,
        elastic_probability=1,
        shift_probability=1,
        shift_pixels=40.0,
        low_resolution_probability=1,
    )
    drawn = draw(config, batch=200, patch=(16, 16, 16), spacing=spacing)
    others = [a for a in range(3) if a != axis]
    assert torch.equal(drawn.matrix[:, axis, axis].abs(), torch.ones(200))
    assert not drawn.matrix[:, axis][:, others].any()
    assert not drawn.matrix[:, others, axis].any()
    assert drawn.matrix[:, others][:, :, others].unique().numel() > 500
    assert not drawn.displacement[:, axis].any()
    assert torch.equal(drawn.shift[:, axis], drawn.shift[:, axis].round())
    assert drawn.shift[:, axis].any()
    assert torch.equal(drawn.low_resolution[:, axis], torch.ones(200))
    assert drawn.slice_axis == axis


def test_axes_of_unequal_spacing_are_not_turned_into_each_other():
    config = replace(NOTHING, right_angles=True)
    matrix = draw(config, batch=60, patch=(8, 8, 8), spacing=(2.0, 1, 1)).matrix
    assert torch.equal(matrix[:, 0], torch.tensor([[1.0, 0, 0]]).expand(60, 3))
    assert len(matrix.view(60, 9).unique(dim=0)) == 4


def test_slices_move_in_their_plane_only():
    config = replace(NOTHING, slice_shift_probability=1, slice_shift_pixels=2.0)
    drawn = draw(config, batch=300, patch=(5, 8, 8), spacing=(4, 1, 1))
    assert drawn.slice_shift.shape == (300, 3, 5, 1, 1)
    assert not drawn.slice_shift[:, 0].any()
    assert 1.95 < float(drawn.slice_shift[:, 1:].abs().max()) <= 2
    assert not draw(config, patch=(8, 8)).slice_shift.any()


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (1.0, 0.0, 1.0), (1.0, math.nan, 1.0)])
def test_a_spacing_that_is_none_is_refused(spacing):
    with pytest.raises(ShapeError, match="one positive distance for each axis"):
        draw(NOTHING, patch=(8, 8, 8), spacing=spacing)


def test_the_window_knows_the_spacing():
    config = replace(NOTHING, rotation_probability=1, rotation_degrees=180.0)
    assert window_size((20, 20, 20), config) == (36, 36, 36)
    assert window_size((4, 20, 20), config, spacing=(12, 1, 1)) == (4, 30, 30)
    assert window_size((10, 20, 20), config, spacing=(2, 1, 1)) == (18, 36, 36)
    shifted = replace(NOTHING, shift_probability=1, shift_pixels=8.0)
    assert window_size((10, 20, 20), shifted, spacing=(4, 1, 1)) == (14, 36, 36)


# ---------------------------------------------------------------- presets


def test_the_default_preset_in_2d_is_the_default():
    assert augment_preset("default") == AugmentConfig()


@pytest.mark.parametrize("name", sorted(PRESETS))
@pytest.mark.parametrize(("dims", "anisotropy"), [(2, 1.0), (3, 1.0), (3, 12.5)])
def test_presets_can_be_drawn(name, dims, anisotropy):
    config = augment_preset(name, spatial_dims=dims, anisotropy=anisotropy)
    spacing = (anisotropy, 1, 1)[-dims:]
    drawn = draw(config, batch=100, channels=2, patch=(8, 12, 12)[-dims:], spacing=spacing)
    for field in fields(drawn):
        value = getattr(drawn, field.name)
        assert not isinstance(value, torch.Tensor) or value.isfinite().all()


def test_presets_grow_in_strength():
    chances = {}
    for name in ("light", "default", "strong"):
        config = augment_preset(name, spatial_dims=3)
        chances[name] = sum(
            getattr(config, f.name)
            for f in fields(config)
            if f.name.endswith("_probability") and not f.name.startswith("brightness_p")
        )
    assert chances["light"] < chances["default"] < chances["strong"]


def test_a_misspelt_preset_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match=r"unknown preset of augmentation 'stong'.*'strong'"):
        augment_preset("stong")
