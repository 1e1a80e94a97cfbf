"""Whatever is drawn: image and target stay together, labels stay labels, nothing is lost."""

from dataclasses import fields, replace

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ushape.config.schema import AugmentConfig
from ushape.data.augment import apply_augmentation, draw_augmentation

QUICK = settings(deadline=None, max_examples=20)
SEEDS = st.integers(0, 2**31)
SIZES = st.sampled_from([(24, 24), (20, 28), (14, 16, 18), (16, 16, 16)])
SMALL = st.sampled_from([(24, 24), (20, 28), (8, 9, 10)])
SPACINGS = st.sampled_from([None, (1.0, 1.0, 1.0), (2.0, 1.0, 1.5), (1.0, 1.0, 5.0)])
NOTHING = AugmentConfig(
    flip=False,
    right_angles=False,
    **{f.name: 0.0 for f in fields(AugmentConfig) if f.name.endswith("_probability")},
)
MOVES = ("rotation", "scale", "scale_axis", "shear", "shift", "elastic", "slice_shift")


@st.composite
def moves(draw, *, sure=False):
    """Configurations that move pixels and change none."""
    chance = st.just(1.0) if sure else st.sampled_from([0.0, 0.5, 1.0])
    return replace(
        NOTHING,
        flip=draw(st.booleans()),
        right_angles=draw(st.booleans()),
        shift_pixels=3.0,
        elastic_pixels=1.0,
        elastic_spacing_pixels=8,
        **{f"{name}_probability": draw(chance) for name in MOVES},
    )


def smooth(size, *, seed, batch=2):
    """Draw waves a few pixels long at the shortest, of height about 1."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn((batch, 1, *(max(n // 6, 2) for n in size)), generator=generator)
    mode = "bicubic" if len(size) == 2 else "trilinear"
    return torch.nn.functional.interpolate(coarse, size=size, mode=mode, align_corners=True)


def apply(images, targets, config, *, seed, spacing=None, classes=4, **options):
    size = tuple(images.shape[2:])
    augmentation = draw_augmentation(
        torch.Generator().manual_seed(seed),
        config,
        batch=len(images),
        channels=images.shape[1],
        patch_size=size,
        spacing=None if spacing is None else spacing[: len(size)],
    )
    return apply_augmentation(
        images, targets, augmentation, patch_size=size, num_classes=classes, **options
    )


@QUICK
@given(config=moves(), size=SIZES, spacing=SPACINGS, seed=SEEDS)
def test_image_and_target_are_read_at_the_same_places(config, size, spacing, seed):
    """The positions themselves as images and as graded targets, and as the nearest of many labels.

    A ramp along an axis is its own position, so every pixel tells where it was read. The nearest
    label's position lies within half a pixel of it, whatever was drawn.
    """
    axes = torch.meshgrid(*[torch.arange(float(n)) for n in size], indexing="ij")
    ramps = torch.stack(axes).expand(2, -1, *size).contiguous()
    images, graded = apply(ramps, ramps, config, seed=seed, spacing=spacing)
    assert torch.equal(images, graded)
    assert all(float(images[:, a].min()) >= -1e-3 for a in range(len(size)))
    for axis in range(len(size)):
        labels = ramps[:, axis].to(torch.int64)
        _, nearest = apply(ramps, labels, config, seed=seed, spacing=spacing, classes=max(size) + 1)
        assert (nearest - images[:, axis]).abs().max() <= 0.5 + 2e-3


@QUICK
@given(config=moves(sure=True), size=SIZES, spacing=SPACINGS, seed=SEEDS)
def test_borders_of_labels_lie_on_the_line_of_equal_image(config, size, spacing, seed):
    """The image is the mask's own grey value: one half is where the label begins."""
    target = (smooth(size, seed=seed)[:, 0] > 0).to(torch.uint8)
    image = target.unsqueeze(1).float()
    out, kept = apply(image, target, config, seed=seed, spacing=spacing, classes=2)
    clear = (out[:, 0] - 0.5).abs() > 1e-4
    assert torch.equal(kept.bool()[clear], (out[:, 0] > 0.5)[clear])
    masks = torch.stack([target, 1 - target], 1)
    _, stack = apply(image, masks, config, seed=seed, spacing=spacing)
    assert stack.dtype == torch.uint8
    assert torch.equal(stack[:, 0], kept)
    assert torch.equal(stack[:, 1][clear], 1 - kept[clear])


@QUICK
@given(config=moves(), size=SIZES, seed=SEEDS, classes=st.sampled_from([4, 30]))
def test_the_ignored_stay_ignored_and_nothing_is_invented(config, size, seed, classes):
    field = smooth(size, seed=seed)[:, 0]
    target = torch.bucketize(field, torch.tensor([-0.5, 0.0, 0.5])).to(torch.uint8)
    target[target == 2] = 255
    image = (target == 255).unsqueeze(1).float()
    out, kept = apply(image, target, config, seed=seed, classes=classes, ignore_index=255)
    assert set(kept.unique().tolist()) <= set(target.unique().tolist())
    sure = out[:, 0] > 0.999
    assert (kept[sure] == 255).all()
    assert (kept[out[:, 0] < 1e-3] != 255).all()


@QUICK
@given(
    config=moves(sure=True),
    size=st.sampled_from([(24, 24), (20, 28), (8, 9, 10)]),
    seed=SEEDS,
    pixels=st.integers(6, 20),
)
def test_what_lies_outside_can_be_ignored(config, size, seed, pixels):
    """Just what is read beyond the window is marked; a wider window of positions tells where."""
    config = replace(config, shift_pixels=float(pixels))
    augmentation = draw_augmentation(
        torch.Generator().manual_seed(seed), config, batch=2, channels=1, patch_size=size
    )
    options = {"patch_size": size, "num_classes": 2, "ignore_index": 9}
    images, zeros = torch.zeros(2, 1, *size), torch.zeros(2, *size, dtype=torch.int64)
    _, marked = apply_augmentation(images, zeros, augmentation, **options, outside="ignore")
    _, plain = apply_augmentation(images, zeros, augmentation, **options)
    assert not plain.any()
    room = 130 if len(size) == 2 else 50
    wide = [torch.arange(-float(room), n + room) for n in size]
    positions = torch.stack(torch.meshgrid(*wide, indexing="ij")).unsqueeze(0)
    positions = positions.repeat(2, *[1] * (len(size) + 1))
    zeros = torch.zeros(positions[:, 0].shape, dtype=torch.int64)
    read, _ = apply_augmentation(positions, zeros, augmentation, **options)
    beyond = [torch.maximum(-0.5 - read[:, a], read[:, a] - (n - 0.5)) for a, n in enumerate(size)]
    farthest = torch.stack(beyond).amax(0)
    sure = farthest.abs() > 5e-3
    assert torch.equal((marked == 9)[sure], (farthest > 0)[sure])


@QUICK
@given(config=moves(), size=SIZES, spacing=SPACINGS, seed=SEEDS)
def test_a_constant_image_stays_constant(config, size, spacing, seed):
    images = torch.full((2, 2, *size), 3.7)
    target = torch.full((2, *size), 2, dtype=torch.uint8)
    out, kept = apply(images, target, config, seed=seed, spacing=spacing)
    assert (out - 3.7).abs().max() < 1e-5
    assert torch.equal(kept, target)


@QUICK
@given(size=SIZES, seed=SEEDS, classes=st.sampled_from([4, 30]), angle=st.integers(0, 180))
def test_the_shares_of_labels_are_kept(size, seed, classes, angle):
    """A turn within a wide window keeps areas; lost or doubled rows would change the counts."""
    config = replace(NOTHING, flip=True, rotation_probability=1, rotation_degrees=float(angle))
    field = smooth(size, seed=seed)[:, 0]
    # All that differs lies inside a ball, which every turn maps onto itself.
    axes = torch.meshgrid(*[torch.linspace(-1, 1, n) * n for n in size], indexing="ij")
    ball = sum(axis.square() for axis in axes).sqrt() < 0.8 * min(size)
    target = (torch.bucketize(field, torch.tensor([-0.4, 0.4])) + 1).to(torch.uint8) * ball
    window = torch.nn.functional.pad(target, [max(size)] * (2 * len(size)))
    augmentation = draw_augmentation(
        torch.Generator().manual_seed(seed), config, batch=2, channels=1, patch_size=size
    )
    _, kept = apply_augmentation(
        window.unsqueeze(1).float(), window, augmentation, patch_size=size, num_classes=classes
    )
    for patch in range(2):
        before = np.bincount(target[patch].flatten().numpy(), minlength=4)
        after = np.bincount(kept[patch].flatten().numpy(), minlength=4)
        edge = int((target[patch].diff(dim=0) != 0).sum() + (target[patch].diff(dim=1) != 0).sum())
        assert np.abs(after - before).max() <= 0.1 * edge + 6


@QUICK
@given(size=SIZES, seed=SEEDS, spacing=SPACINGS)
def test_flips_twice_are_the_original_and_nothing_is_nothing(size, seed, spacing):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn((3, 2, *size), generator=generator)
    target = torch.randint(0, 4, (3, *size), generator=generator)
    flips = replace(NOTHING, flip=True)
    once = apply(images, target, flips, seed=seed, spacing=spacing)
    twice = apply(*once, flips, seed=seed, spacing=spacing)
    assert torch.equal(twice[0], images)
    assert torch.equal(twice[1], target)
    same = apply(images, target, NOTHING, seed=seed, spacing=spacing)
    assert torch.equal(same[0], images)
    assert torch.equal(same[1], target)
