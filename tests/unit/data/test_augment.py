"""Augmentation: what each parameter does, and that image and target stay together."""

from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from ushape.config.schema import AugmentConfig
from ushape.data.augment import (
    Augmentation,
    apply_augmentation,
    apply_spatial,
    draw_augmentation,
    window_size,
)

NOTHING = AugmentConfig(
    flip=False,
    right_angles=False,
    rotation_probability=0,
    scale_probability=0,
    shift_probability=0,
    elastic_probability=0,
    brightness_probability=0,
    contrast_probability=0,
    gamma_probability=0,
    noise_probability=0,
    blur_probability=0,
)
EVERYTHING = AugmentConfig(
    rotation_probability=1,
    scale_probability=1,
    shift_probability=1,
    elastic_probability=1,
    brightness_probability=1,
    contrast_probability=1,
    gamma_probability=1,
    noise_probability=1,
    blur_probability=1,
)
SPATIAL = replace(
    NOTHING, flip=True, right_angles=True, rotation_probability=1, scale_probability=1
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def draw(config, *, batch=4, channels=1, patch=(16, 16), seed=0):
    return draw_augmentation(seeded(seed), config, batch=batch, channels=channels, patch_size=patch)


def windows(size, *, batch=4, channels=1, classes=2, seed=0):
    """Random pixels, where every misplaced pixel shows."""
    generator = seeded(seed)
    images = torch.randn((batch, channels, *size), generator=generator)
    targets = torch.randint(0, classes, (batch, *size), generator=generator).to(torch.uint8)
    return images, targets


def blobs(size, *, batch=4, classes=2, seed=0):
    """Smooth class maps: objects of many pixels, as labels have."""
    noise = torch.randn((batch, 1, *size), generator=seeded(seed))
    kernel = torch.ones(1, 1, *(9,) * len(size)) / 9 ** len(size)
    convolve = torch.nn.functional.conv2d if len(size) == 2 else torch.nn.functional.conv3d
    smooth = convolve(noise, kernel, padding=4)
    smooth = convolve(smooth, kernel, padding=4)[:, 0]
    cuts = torch.quantile(smooth.flatten()[:100_000], torch.linspace(0, 1, classes + 1)[1:-1])
    return torch.bucketize(smooth, cuts).to(torch.uint8)


def centre(values: Tensor, patch) -> Tensor:
    for axis, edge in enumerate(reversed(patch), start=1):
        surplus = values.shape[-axis] - edge
        values = values.narrow(values.ndim - axis, surplus // 2, edge)
    return values


def apply(images, targets, augmentation, *, patch=(16, 16), classes=2):
    return apply_augmentation(images, targets, augmentation, patch_size=patch, num_classes=classes)


@pytest.mark.parametrize(
    ("window", "patch"),
    [
        ((16, 16), (16, 16)),
        ((25, 31), (15, 21)),
        ((470, 470), (256, 256)),
        ((9, 12, 16), (5, 8, 10)),
    ],
)
def test_no_change_changes_nothing(window, patch):
    """Targets are kept to the bit; the sampling grid rounds images, in units of 1e-4 pixels."""
    images, targets = windows(window, batch=1, channels=2, classes=5)
    same, kept = apply(
        images, targets, draw(NOTHING, batch=1, channels=2, patch=patch), patch=patch, classes=5
    )
    assert torch.equal(kept, centre(targets, patch))
    assert (same - centre(images, patch)).abs().max() < 5e-4


def test_no_change_of_intensity_is_exact():
    images, _ = windows((16, 16), channels=3)
    changed = apply(*windows((16, 16), channels=3), draw(NOTHING, channels=3))[0]
    spatial = apply_spatial(
        *windows((16, 16), channels=3),
        draw(NOTHING, channels=3),
        patch_size=(16, 16),
        num_classes=2,
    )[0]
    assert torch.equal(changed, spatial)
    assert (changed - images).abs().max() < 1e-5


def with_matrix(matrix, *, patch, batch=1):
    plain = draw(NOTHING, batch=batch, patch=patch)
    return replace(plain, matrix=torch.tensor(matrix, dtype=torch.float32).expand(batch, -1, -1))


EXACT = [
    ([[-1, 0], [0, 1]], lambda x: x.flip(-2)),
    ([[1, 0], [0, -1]], lambda x: x.flip(-1)),
    ([[0, -1], [1, 0]], lambda x: x.rot90(-1, (-2, -1))),
    ([[0, 1], [-1, 0]], lambda x: x.rot90(1, (-2, -1))),
    ([[-1, 0], [0, -1]], lambda x: x.rot90(2, (-2, -1))),
    ([[0, 1], [1, 0]], lambda x: x.transpose(-2, -1)),
]


@pytest.mark.parametrize("classes", [2, 5, 12])
@pytest.mark.parametrize("edge", [(20, 10), (21, 11), (16, 16)])
@pytest.mark.parametrize("number", range(len(EXACT)))
def test_flips_and_right_angles_fall_on_pixels(number, edge, classes):
    matrix, expected = EXACT[number]
    (window, patch) = (edge[0],) * 2, (edge[1],) * 2
    images, targets = windows(window, batch=2, classes=classes)
    out, kept = apply(
        images, targets, with_matrix(matrix, patch=patch, batch=2), patch=patch, classes=classes
    )
    assert torch.equal(kept, expected(centre(targets, patch)))
    assert (out - expected(centre(images, patch))).abs().max() < 1e-4


def test_every_drawn_flip_and_turn_is_one_of_the_eight_symmetries():
    """And all eight are drawn, about equally often."""
    config = replace(NOTHING, flip=True, right_angles=True)
    matrix = draw(config, batch=800).matrix
    assert torch.equal(matrix, matrix.round())
    assert torch.equal(matrix.abs().sum(1), torch.ones(800, 2))
    found, counts = matrix.view(800, 4).unique(dim=0, return_counts=True)
    assert len(found) == 8
    assert counts.min() > 60


def test_only_equal_edges_are_turned_into_each_other():
    config = replace(NOTHING, right_angles=True)
    matrix = draw(config, batch=50, patch=(8, 16, 16)).matrix
    assert torch.equal(matrix[:, 0], torch.tensor([[1.0, 0, 0]]).expand(50, 3))
    assert len(matrix.view(50, 9).unique(dim=0)) == 4
    assert torch.equal(draw(config, batch=50, patch=(8, 16)).matrix, torch.eye(2).expand(50, 2, 2))
    cube = draw(replace(config, flip=True), batch=600, patch=(8, 8, 8)).matrix
    assert len(cube.view(600, 9).unique(dim=0)) == 48


def test_a_flip_twice_is_the_original():
    images, targets = windows((16, 16))
    flips = draw(replace(NOTHING, flip=True))
    assert not torch.equal(flips.matrix, torch.eye(2).expand(4, 2, 2))
    once = apply(images, targets, flips)
    twice = apply(*once, flips)
    assert torch.equal(twice[1], targets)
    assert (twice[0] - images).abs().max() < 1e-5


@pytest.mark.parametrize("axis", [0, 1])
def test_a_shift_moves_by_its_pixels(axis):
    images, targets = windows((24, 24), batch=1, classes=4)
    shift = torch.zeros(1, 2)
    shift[0, axis] = 3
    moved = replace(draw(NOTHING, batch=1), shift=shift)
    out, kept = apply(images, targets, moved, classes=4)
    inside = targets.roll(-3, axis + 1)
    assert torch.equal(kept, centre(inside, (16, 16)))
    assert (out - centre(images.roll(-3, axis + 2), (16, 16))).abs().max() < 1e-4


def test_a_scale_above_one_shows_more_of_the_window():
    ramp = torch.arange(32.0).expand(1, 1, 32, 32).contiguous()
    targets = torch.zeros(1, 32, 32, dtype=torch.uint8)
    out, _ = apply(ramp, targets, with_matrix([[2, 0], [0, 2]], patch=(16, 16)))
    assert out[0, 0, 0].tolist() == pytest.approx([2 * i + 0.5 for i in range(16)], abs=1e-3)


@pytest.mark.parametrize(("size", "patch"), [((60, 60), (40, 40)), ((30, 30, 30), (20, 20, 20))])
@pytest.mark.parametrize("classes", [2, 12])
def test_image_and_target_stay_together(size, patch, classes):
    """Where the image is the target, the image's half-way line is the target's border."""
    config = replace(EVERYTHING, elastic_pixels=2.0, noise=0, blur_pixels=0, gamma=1, contrast=1)
    config = replace(config, brightness=0)
    targets = blobs(size)
    augmentation = draw(config, patch=patch)
    out, kept = apply(targets[:, None].float(), targets, augmentation, patch=patch, classes=classes)
    assert torch.equal(kept.unique(), torch.tensor([0, 1], dtype=torch.uint8))
    clear = (out[:, 0] - 0.5).abs() > 1e-4 if classes == 2 else (out[:, 0] - 0.5).abs() > 0.499
    assert clear.float().mean() > (0.99 if classes == 2 else 0.5)
    assert torch.equal((out[:, 0] > 0.5)[clear], kept.bool()[clear])


def test_targets_are_not_merely_cropped():
    """The alignment test is worth something only if things move."""
    targets = blobs((60, 60))
    out, kept = apply(
        targets[:, None].float(), targets, draw(SPATIAL, patch=(40, 40)), patch=(40, 40)
    )
    assert (kept != centre(targets, (40, 40))).float().mean() > 0.1
    assert out.shape == (4, 1, 40, 40)


@pytest.mark.parametrize("classes", [2, 5, 8, 9, 40])
def test_no_label_value_is_invented(classes):
    """Neighbouring classes must not be averaged to a third: 0 and 4 give no 2."""
    present = [0, 1] if classes == 2 else [0, classes - 1, classes // 2 + 1]
    _, targets = windows((60, 60), classes=len(present))
    targets = torch.tensor(present, dtype=torch.uint8)[targets.long()]
    targets[0] = present[-1]
    images = torch.zeros(4, 1, 60, 60)
    _, kept = apply(
        images, targets, draw(EVERYTHING, patch=(40, 40)), patch=(40, 40), classes=classes
    )
    assert kept.dtype == torch.uint8
    assert set(kept.unique().tolist()) <= set(present)
    assert set(kept[0].unique().tolist()) == {present[-1]}


@pytest.mark.parametrize("classes", [3, 12])
def test_borders_between_classes_are_those_of_the_geometry(classes):
    """Two half-planes under a free rotation meet in the line through the centre."""
    targets = torch.full((1, 80, 80), 1, dtype=torch.uint8)
    targets[:, :, 40:] = 2
    angle = torch.tensor(0.7)
    turn = [[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]]
    _, kept = apply(
        torch.zeros(1, 1, 80, 80),
        targets,
        with_matrix(turn, patch=(40, 40)),
        patch=(40, 40),
        classes=classes,
    )
    offset = torch.arange(40) - 19.5
    distance = angle.sin() * offset[:, None] + angle.cos() * offset
    sure = distance.abs() > (1e-3 if classes == 3 else 0.51)
    assert torch.equal((kept[0] == 2)[sure], (distance > 0)[sure])


@pytest.mark.parametrize("patch", [(20, 20), (9, 14), (8, 10, 12)])
def test_a_batch_gives_what_its_patches_give_one_by_one(patch):
    config = replace(
        EVERYTHING,
        elastic_probability=0.5,
        blur_probability=0.5,
        gamma_probability=0.5,
        blur_pixels=3.0,
    )
    augmentation = draw(config, batch=8, channels=2, patch=patch)
    window = tuple(edge + 6 for edge in patch)
    images, targets = windows(window, batch=8, channels=2, classes=5)
    together, kept = apply(images, targets, augmentation, patch=patch, classes=5)
    assert 0 < int((augmentation.blur > 0).sum()) < 8
    for i in range(8):
        one, one_kept = apply(
            images[i : i + 1],
            targets[i : i + 1],
            augmentation.one(i),
            patch=patch,
            classes=5,
        )
        assert torch.equal(one_kept[0], kept[i])
        assert (one[0] - together[i]).abs().max() < 1e-5


def test_a_seed_fixes_everything():
    first, again, other = (draw(EVERYTHING, seed=seed) for seed in (3, 3, 4))
    for field in fields(Augmentation):
        values = [getattr(each, field.name) for each in (first, again, other)]
        assert torch.equal(values[0], values[1]), field.name
        assert not torch.equal(values[0], values[2]), field.name


def test_patches_of_a_batch_draw_their_own_parameters():
    augmentation = draw(EVERYTHING)
    for field in fields(Augmentation):
        value = getattr(augmentation, field.name)
        assert len(value) == 4
        assert not torch.equal(value[0], value[1]), field.name


CAUTIOUS = replace(EVERYTHING, elastic_probability=0, blur_probability=0, noise_probability=0)


@pytest.mark.parametrize(
    "config",
    [
        CAUTIOUS,
        replace(CAUTIOUS, scale_range=2.5, shift_pixels=20.0),
        replace(CAUTIOUS, rotation_probability=0),
        replace(CAUTIOUS, scale_probability=0, rotation_degrees=20.0),
    ],
)
@pytest.mark.parametrize("patch", [(16, 16), (15, 31), (6, 8, 8)])
def test_the_window_suffices(config, patch):
    """Paint all that lies outside the window: no patch may see the paint."""
    config = replace(config, brightness=0, contrast=1, gamma=1)
    window = window_size(patch, config)
    painted = tuple(edge + 8 for edge in window)
    images = torch.full((64, 1, *painted), 1000.0)
    centre(images, window)[:] = 0
    targets = torch.zeros(64, *painted, dtype=torch.uint8)
    out, _ = apply(images, targets, draw(config, batch=64, patch=patch), patch=patch)
    assert out.abs().max() < 1e-2
    assert all((w - p) % 2 == 0 for w, p in zip(window, patch, strict=True))


def test_the_window_is_no_larger_than_needed():
    """A full turn at the largest scale comes within three pixels of the window's edge."""
    config = replace(CAUTIOUS, shift_probability=0, brightness=0, contrast=1, gamma=1)
    patch = (32, 32)
    window = window_size(patch, config)
    inner = tuple(edge - 6 for edge in window)
    images = torch.full((400, 1, *window), 1000.0)
    centre(images, inner)[:] = 0
    targets = torch.zeros(400, *window, dtype=torch.uint8)
    out, _ = apply(images, targets, draw(config, batch=400, patch=patch), patch=patch)
    assert out.max() > 100
    assert window_size((32, 40), NOTHING) == (32, 40)


def test_elastic_offsets_are_smooth_and_of_the_asked_size():
    config = replace(NOTHING, elastic_probability=1, elastic_pixels=3.0)
    patch = (96, 96)
    size = window_size(patch, config)
    rows = torch.arange(float(size[0]))[:, None].expand(size)
    images = rows.expand(20, 1, *size).contiguous()
    out, _ = apply(
        images,
        torch.zeros(20, *size, dtype=torch.uint8),
        draw(config, batch=20, patch=patch),
        patch=patch,
    )
    offset = out[:, 0] - centre(rows, patch)
    assert 1.0 < float(offset.std()) < 3.5
    assert float(offset.diff(dim=2).abs().max()) < 1.5


# ---------------------------------------------------------------- intensities


def changed_only(**parameters):
    images, targets = windows((16, 16), batch=2, channels=2)
    plain = draw(NOTHING, batch=2, channels=2)
    values = {
        name: torch.tensor([value, 0.0 if value == 0 else plain_value(name)])
        for name, value in parameters.items()
    }
    out, _ = apply(images, targets, replace(plain, **values))
    base, _ = apply(images, targets, plain)
    assert torch.equal(out[1], base[1]), "the other patch is left alone"
    return base[0], out[0]


def plain_value(name):
    return {"contrast": 1.0, "gamma": 1.0}.get(name, 0.0)


def test_brightness_is_added():
    before, after = changed_only(brightness=0.3)
    assert (after - before - 0.3).abs().max() < 1e-6


def test_contrast_keeps_the_mean():
    before, after = changed_only(contrast=1.5)
    assert float(after.mean()) == pytest.approx(float(before.mean()), abs=1e-6)
    assert float(after.std()) == pytest.approx(1.5 * float(before.std()), rel=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_gamma_keeps_the_range_and_the_order(gamma):
    before, after = changed_only(gamma=gamma)
    low, high = before.min(), before.max()
    expected = ((before - low) / (high - low)) ** gamma * (high - low) + low
    assert (after - expected).abs().max() < 1e-5
    assert (after.min(), after.max()) == (pytest.approx(low), pytest.approx(high))


def test_gamma_of_a_constant_patch_is_that_constant():
    images = torch.full((1, 1, 8, 8), 3.0)
    bent = replace(draw(NOTHING, batch=1, patch=(8, 8)), gamma=torch.tensor([0.5]))
    out, _ = apply(images, torch.zeros(1, 8, 8, dtype=torch.uint8), bent, patch=(8, 8))
    assert (out - 3).abs().max() < 1e-5


@pytest.mark.parametrize("sigma", [0.4, 1.0, 2.5])
def test_blur_is_a_gaussian_of_that_width(sigma):
    images = torch.zeros(1, 1, 33, 33)
    images[..., 16, 16] = 1
    plain = draw(NOTHING, batch=1, patch=(33, 33))
    targets = torch.zeros(1, 33, 33, dtype=torch.uint8)
    out, _ = apply(images, targets, replace(plain, blur=torch.tensor([sigma])), patch=(33, 33))
    offset = torch.arange(33.0) - 16
    curve = torch.exp(-0.5 * (offset / sigma) ** 2)
    expected = torch.outer(curve, curve) / curve.sum() ** 2
    assert (out[0, 0] - expected).abs().max() < 2e-3 * float(expected.max()) + 1e-4
    assert float(out.sum()) == pytest.approx(1, abs=1e-4)


def test_blur_keeps_constants_up_to_the_border():
    images = torch.full((1, 2, 12, 5), 2.0)
    plain = draw(NOTHING, batch=1, channels=2, patch=(12, 5))
    targets = torch.zeros(1, 12, 5, dtype=torch.uint8)
    out, _ = apply(images, targets, replace(plain, blur=torch.tensor([8.0])), patch=(12, 5))
    assert (out - 2).abs().max() < 1e-5


def test_noise_is_white_and_of_the_drawn_strength():
    config = replace(NOTHING, noise_probability=1, noise=0.4)
    noise = draw(config, batch=200, channels=2, patch=(24, 24)).noise
    strength = noise.flatten(1).std(1)
    assert float(strength.max()) < 0.43
    assert float(strength.mean()) == pytest.approx(0.2, abs=0.03)
    neighbours = (noise[..., 1:] * noise[..., :-1]).mean() / noise.square().mean()
    assert abs(float(neighbours)) < 0.02


@pytest.mark.parametrize(
    ("changes", "name", "low", "high"),
    [
        ({"brightness_probability": 1, "brightness": 0.2}, "brightness", -0.2, 0.2),
        ({"contrast_probability": 1, "contrast": 2.0}, "contrast", 0.5, 2.0),
        ({"gamma_probability": 1, "gamma": 4.0}, "gamma", 0.25, 4.0),
        ({"blur_probability": 1, "blur_pixels": 2.0}, "blur", 0.3, 2.0),
        ({"blur_probability": 1, "blur_pixels": 0.0}, "blur", 0.0, 0.0),
        ({"shift_probability": 1, "shift_pixels": 5.0}, "shift", -5.0, 5.0),
    ],
)
def test_parameters_fill_their_range(changes, name, low, high):
    drawn = getattr(draw(replace(NOTHING, **changes), batch=2000), name)
    assert low - 1e-6 <= float(drawn.min()) <= low + 0.05 * (high - low)
    assert high - 0.05 * (high - low) <= float(drawn.max()) <= high + 1e-6


def test_probabilities_are_kept():
    config = replace(NOTHING, gamma_probability=0.3, blur_probability=0.6, rotation_probability=0.4)
    drawn = draw(config, batch=4000)
    assert float((drawn.gamma != 1).float().mean()) == pytest.approx(0.3, abs=0.03)
    assert float((drawn.blur > 0).float().mean()) == pytest.approx(0.6, abs=0.03)
    turned = (drawn.matrix != torch.eye(2)).flatten(1).any(1)
    assert float(turned.float().mean()) == pytest.approx(0.4, abs=0.03)


def test_scale_is_even_in_the_logarithm_and_keeps_shapes():
    config = replace(NOTHING, scale_probability=1, scale_range=2.0)
    matrix = draw(config, batch=3000).matrix
    assert torch.equal(matrix[:, 0, 1], torch.zeros(3000))
    assert torch.equal(matrix[:, 0, 0], matrix[:, 1, 1])
    logs = matrix[:, 0, 0].log2()
    assert -1 <= float(logs.min()) < -0.95
    assert 0.95 < float(logs.max()) <= 1
    assert float(logs.mean()) == pytest.approx(0, abs=0.04)


def test_free_rotations_turn_and_do_nothing_else():
    config = replace(NOTHING, rotation_probability=1, rotation_degrees=30.0)
    for patch in ((16, 12), (8, 8, 8)):
        matrix = draw(config, batch=500, patch=patch).matrix
        dims = len(patch)
        assert (matrix @ matrix.mT - torch.eye(dims)).abs().max() < 1e-5
        assert (torch.linalg.det(matrix) - 1).abs().max() < 1e-5
    angle = torch.rad2deg(torch.atan2(*draw(config, batch=500).matrix[:, [1, 0], 0].T))
    assert 28 < float(angle.abs().max()) <= 30.001
