"""Spatial augmentation: what each parameter does, and that image and target stay together."""

import itertools
from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from ushape.config.schema import AugmentConfig
from ushape.data.augment import (
    Augmentation,
    apply_augmentation,
    apply_spatial,
    coordinates,
    draw_augmentation,
    lattice,
    resample,
    spatial,
    window_size,
)
from ushape.errors import ShapeError

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
    **{f.name: 1.0 for f in fields(AugmentConfig) if f.name.endswith("_probability")}
)
GEOMETRY = replace(
    NOTHING,
    flip=True,
    right_angles=True,
    **{
        f"{name}_probability": 1.0
        for name in ("rotation", "scale", "scale_axis", "shear", "shift", "elastic", "slice_shift")
    },
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
    """To the bit, images too: what drew nothing is not resampled."""
    images, targets = windows(window, batch=1, channels=2, classes=5)
    same, kept = apply(
        images, targets, draw(NOTHING, batch=1, channels=2, patch=patch), patch=patch, classes=5
    )
    assert torch.equal(kept, centre(targets, patch))
    assert torch.equal(same, centre(images, patch))


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
    assert torch.equal(changed, images)
    assert changed.data_ptr() != images.data_ptr()


@pytest.mark.parametrize("patch", [(12, 12), (8, 12, 12)])
@pytest.mark.parametrize("classes", [3, 12])
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("is_free", [False, True])
def test_overwriting_gives_the_same(patch, classes, seed, is_free):
    """Transposed views and patches that are read while they are written would differ."""
    config = EVERYTHING if is_free else replace(NOTHING, flip=seed > 0, right_angles=True)
    augmentation = draw(config, batch=16, channels=2, patch=patch, seed=seed)
    images, targets = windows(patch, batch=16, channels=2, classes=classes)
    expected = apply(images, targets, augmentation, patch=patch, classes=classes)
    found = apply_augmentation(
        images, targets, augmentation, patch_size=patch, num_classes=classes, overwrite=True
    )
    assert found[0] is images
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])


@pytest.mark.parametrize("size", [(9, 6), (8, 5, 7), (7, 4, 6)])
@pytest.mark.parametrize("rows", [1, 2, 3, 100])
def test_flips_are_the_same_in_pieces(monkeypatch, size, rows):
    """Odd sizes have a middle row of their own; the last piece may be smaller than the others."""
    images, targets = windows(size, batch=1, channels=2, classes=3)
    monkeypatch.setattr(lattice, "CPU_CHUNK_BYTES", rows * images[0].numel() * 4 // size[0])
    for signs in itertools.product([1.0, -1.0], repeat=len(size)):
        axes = [axis - len(size) for axis, sign in enumerate(signs) if sign < 0]
        augmentation = with_matrix(torch.diag(torch.tensor(signs)).tolist(), patch=size)
        copies = images.clone(), targets.clone()
        for overwrite in (False, True):
            image, target = apply_spatial(
                *copies, augmentation, patch_size=size, num_classes=3, overwrite=overwrite
            )
            assert torch.equal(image, images.flip(axes))
            assert torch.equal(target, targets.flip(axes))
            assert (image is copies[0]) == overwrite


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
    assert torch.equal(out, expected(centre(images, patch)))


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
    assert torch.equal(twice[0], images)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_shift_moves_by_its_pixels(axis):
    images, targets = windows((24, 24), batch=1, classes=4)
    shift = torch.zeros(1, 2)
    shift[0, axis] = 3
    moved = replace(draw(NOTHING, batch=1), shift=shift)
    out, kept = apply(images, targets, moved, classes=4)
    inside = targets.roll(-3, axis + 1)
    assert torch.equal(kept, centre(inside, (16, 16)))
    assert torch.equal(out, centre(images.roll(-3, axis + 2), (16, 16)))


def test_a_scale_above_one_shows_more_of_the_window():
    ramp = torch.arange(32.0).expand(1, 1, 32, 32).contiguous()
    targets = torch.zeros(1, 32, 32, dtype=torch.uint8)
    out, _ = apply(ramp, targets, with_matrix([[2, 0], [0, 2]], patch=(16, 16)))
    assert out[0, 0, 0].tolist() == pytest.approx([2 * i + 0.5 for i in range(16)], abs=1e-3)


@pytest.mark.parametrize(("size", "patch"), [((60, 60), (40, 40)), ((30, 30, 30), (20, 20, 20))])
@pytest.mark.parametrize("classes", [2, 12])
def test_image_and_target_stay_together(size, patch, classes):
    """Where the image is the target, the image's half-way line is the target's border."""
    config = replace(GEOMETRY, elastic_pixels=2.0)
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
    assert 0 < int((augmentation.blur[:, 0] > 0).sum()) < 8
    for i in range(8):
        one, one_kept = apply(
            images[i : i + 1],
            targets[i : i + 1],
            augmentation.one(i),
            patch=patch,
            classes=5,
        )
        assert torch.equal(one_kept[0], kept[i])
        assert torch.equal(one[0], together[i])


def drawn_tensors(augmentation):
    named = {field.name: getattr(augmentation, field.name) for field in fields(Augmentation)}
    return {name: value for name, value in named.items() if isinstance(value, Tensor)}


def test_a_seed_fixes_everything():
    first, again, other = (
        drawn_tensors(draw(EVERYTHING, seed=seed, patch=(8, 16, 16))) for seed in (3, 3, 4)
    )
    assert len(first) == 17
    for name, value in first.items():
        assert torch.equal(value, again[name]), name
        assert not torch.equal(value, other[name]), name


def test_patches_of_a_batch_draw_their_own_parameters():
    for name, value in drawn_tensors(draw(EVERYTHING, patch=(8, 16, 16))).items():
        assert len(value) == 4
        assert not torch.equal(value[0], value[1]), name


@pytest.mark.parametrize("patch", [(16, 16), (8, 16, 16)])
def test_what_a_patch_draws_does_not_depend_on_the_others(patch):
    few = drawn_tensors(draw(EVERYTHING, batch=2, patch=patch))
    many = drawn_tensors(draw(EVERYTHING, batch=5, patch=patch))
    for name, value in few.items():
        assert torch.equal(value, many[name][:2]), name


CAUTIOUS = replace(GEOMETRY, elastic_probability=0)


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
    config = replace(SPATIAL, flip=False)
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


@pytest.mark.parametrize("size", [(9, 12, 14), (2, 12, 14), (70, 20, 80), (5, 6, 1)])
@pytest.mark.parametrize("classes", [2, 4, 12])
def test_volumes_read_as_tall_pictures_are_what_torch_reads(monkeypatch, size, classes):
    """The route of other devices is torch's own sampling of volumes, in one block."""
    config = replace(GEOMETRY, elastic_pixels=2.0, elastic_spacing_pixels=8)
    augmentation = draw(config, batch=2, channels=2, patch=size)
    images, _ = windows(size, batch=2, channels=2)
    targets = blobs(size, batch=2, classes=classes)
    options = {"patch": size, "classes": classes}
    out, kept = apply(images, targets, augmentation, **options)
    for module in (resample, spatial):
        monkeypatch.setattr(module, "is_tall", lambda *_: False)
    monkeypatch.setattr(coordinates, "CPU_BLOCK_PIXELS", 10**9)
    monkeypatch.setattr(coordinates, "CPU_BLOCK_EDGE", 10**9)
    expected, voted = apply(images, targets, augmentation, **options)
    assert (out - expected).abs().max() < 2e-3
    assert (kept != voted).float().mean() < 1e-3


def test_elastic_offsets_are_those_of_torch():
    """Elastic offsets against torch's own cubic interpolation of the control points."""
    controls = torch.randn(1, 2, 5, 7, generator=seeded())
    plain = replace(draw(NOTHING, batch=1, patch=(20, 31)), displacement=controls)
    rows = torch.arange(200.0)[:, None].expand(200, 200)
    ramps = torch.stack([rows, rows.T]).unsqueeze(0).contiguous()
    ramps = centre(ramps, (60, 61))
    out, _ = apply(ramps, torch.zeros(1, 60, 61).byte(), plain, patch=(20, 31))
    offset = out - centre(ramps, (20, 31))
    expected = torch.nn.functional.interpolate(
        controls, size=(20, 31), mode="bicubic", align_corners=True
    )
    assert (offset - expected).abs().max() < 1e-4


@pytest.mark.parametrize(
    ("images", "targets", "options", "message"),
    [
        ((4, 1, 16, 16), (4, 16, 15), {}, "targets of shape .* do not fit images"),
        ((4, 1, 16, 16), (3, 16, 16), {}, "targets of shape .* do not fit images"),
        ((3, 1, 16, 16), (3, 16, 16), {}, "parameters for 4 patches do not fit a batch of 3"),
        ((4, 1, 16, 16, 16), (4, 16, 16, 16), {}, "cannot be cut to patches of"),
        ((4, 1, 16, 16), (4, 16, 16), {"outside": "ignore"}, "give such targets, and ignore_index"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_sizes(images, targets, options, message):
    target = torch.zeros(targets, dtype=torch.uint8)
    with pytest.raises(ShapeError, match=message):
        apply_augmentation(
            torch.zeros(images),
            target,
            draw(NOTHING),
            patch_size=(16, 16),
            num_classes=2,
            **options,
        )


def test_an_index_map_must_not_be_floating():
    with pytest.raises(ShapeError, match="float32 is no map of classes"):
        apply(torch.zeros(4, 1, 16, 16), torch.zeros(4, 16, 16), draw(NOTHING))
