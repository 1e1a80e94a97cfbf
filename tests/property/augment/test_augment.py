"""Whatever is drawn, for any patch: labels are kept, batches are patches, windows suffice."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ushape.config.schema import AugmentConfig
from ushape.data.augment import apply_augmentation, apply_spatial, draw_augmentation, window_size

QUICK = settings(deadline=None, max_examples=30)
CHANCE = st.sampled_from([0.0, 0.5, 1.0])
PATCHES = st.lists(st.integers(5, 14), min_size=2, max_size=3).map(tuple)


@st.composite
def configs(draw, *, elastic=CHANCE):
    return AugmentConfig(
        flip=draw(st.booleans()),
        right_angles=draw(st.booleans()),
        rotation_probability=draw(CHANCE),
        rotation_degrees=draw(st.sampled_from([0.0, 15.0, 180.0])),
        scale_probability=draw(CHANCE),
        scale_range=draw(st.floats(1, 3)),
        shift_probability=draw(CHANCE),
        shift_pixels=draw(st.floats(0, 9)),
        elastic_probability=draw(elastic),
        elastic_spacing_pixels=4,
        scale_axis_probability=draw(CHANCE),
        shear_probability=draw(CHANCE),
        slice_shift_probability=draw(CHANCE),
        gamma_probability=draw(CHANCE),
        blur_probability=draw(CHANCE),
        blur_pixels=draw(st.floats(0, 4)),
        low_resolution_probability=draw(CHANCE),
        noise_probability=draw(CHANCE),
        bias_field_probability=draw(CHANCE),
        cutout_probability=draw(CHANCE),
        per_channel=draw(st.booleans()),
    )


def drawn(config, patch, *, seed, batch=3):
    generator = torch.Generator().manual_seed(seed)
    return draw_augmentation(generator, config, batch=batch, channels=1, patch_size=patch)


@QUICK
@given(config=configs(), patch=PATCHES, seed=st.integers(0, 2**31), classes=st.integers(2, 12))
def test_labels_are_kept_and_a_batch_is_its_patches(config, patch, seed, classes):
    window = window_size(patch, config)
    rng = np.random.default_rng(seed)
    images = torch.from_numpy(rng.normal(size=(3, 1, *window)).astype(np.float32))
    targets = torch.from_numpy(rng.integers(0, classes, (3, *window)).astype(np.uint8))
    augmentation = drawn(config, patch, seed=seed)
    options = {"patch_size": patch, "num_classes": classes}
    out, kept = apply_augmentation(images, targets, augmentation, **options)
    assert out.shape == (3, 1, *patch)
    assert torch.isfinite(out).all()
    for i in range(3):
        assert set(kept[i].unique().tolist()) <= set(targets[i].unique().tolist())
        one, one_kept = apply_augmentation(
            images[i : i + 1], targets[i : i + 1], augmentation.one(i), **options
        )
        assert torch.equal(one_kept[0], kept[i])
        assert torch.equal(one[0], out[i])


@QUICK
@given(config=configs(elastic=st.just(0.0)), patch=PATCHES, seed=st.integers(0, 2**31))
def test_the_window_suffices(config, patch, seed):
    """Pixels beyond the window are painted; without elastic offsets no patch shows the paint."""
    window = window_size(patch, config)
    images = torch.nn.functional.pad(
        torch.zeros(16, 1, *window), [2] * (2 * len(window)), value=1000.0
    )
    targets = torch.zeros(images[:, 0].shape, dtype=torch.uint8)
    augmentation = drawn(config, patch, seed=seed, batch=16)
    out, _ = apply_spatial(images, targets, augmentation, patch_size=patch, num_classes=2)
    assert float(out.abs().max()) < 1e-2
    assert all(w >= p and (w - p) % 2 == 0 for w, p in zip(window, patch, strict=True))
