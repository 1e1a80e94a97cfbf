"""Intensity augmentation: each transform against a plain way to compute the same."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from scipy import ndimage, stats

from ushape.config.schema import AugmentConfig
from ushape.data.augment import apply_augmentation, draw_augmentation

NOTHING = AugmentConfig(
    flip=False,
    right_angles=False,
    **{f.name: 0.0 for f in fields(AugmentConfig) if f.name.endswith("_probability")},
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def draw(config=NOTHING, *, batch=1, channels=1, patch=(16, 16), seed=0):
    return draw_augmentation(seeded(seed), config, batch=batch, channels=channels, patch_size=patch)


def apply(images, augmentation):
    targets = torch.zeros(images[:, 0].shape, dtype=torch.uint8)
    size = tuple(images.shape[2:])
    return apply_augmentation(images, targets, augmentation, patch_size=size, num_classes=2)[0]


def change(images, **parameters):
    """Apply to the first patch of two; the other must be left alone, and so the images given."""
    pair = torch.cat([images, images + 1])
    before = pair.clone()
    plain = draw(batch=2, channels=images.shape[1], patch=tuple(images.shape[2:]))
    values = {}
    for name, value in parameters.items():
        nothing = getattr(plain, name)
        if not isinstance(nothing, torch.Tensor):
            values[name] = value
            continue
        value = torch.as_tensor(value, dtype=nothing.dtype)
        empty = torch.zeros_like(value) if nothing.ndim > 2 or nothing.shape[1:] == (0,) else None
        rest = nothing[1] if empty is None else empty
        values[name] = torch.stack([value.expand(rest.shape), rest])
    out = apply(pair, replace(plain, **values))
    assert torch.equal(out[1], before[1])
    assert torch.equal(pair, before)
    return out[:1]


def pixels(*shape, seed=0):
    return torch.randn((1, *shape), generator=seeded(seed))


def test_brightness_is_added():
    images = pixels(2, 16, 16)
    assert torch.allclose(change(images, brightness=0.3), images + 0.3)
    assert torch.allclose(change(images, brightness_factor=1.3), images * 1.3)


def test_contrast_keeps_the_mean():
    images = pixels(2, 16, 16) + 2
    after = change(images, contrast=1.5)
    assert torch.allclose(after, (images - images.mean()) * 1.5 + images.mean(), atol=1e-5)
    clipped = change(images, contrast=1.5, contrast_keeps_range=True)
    assert torch.equal(clipped, after.clamp(images.min(), images.max()))
    assert not torch.equal(clipped, after)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_gamma_keeps_the_range_and_bends_between(gamma):
    images = pixels(2, 16, 16)
    low, high = images.min(), images.max()
    expected = ((images - low) / (high - low)) ** gamma * (high - low) + low
    assert torch.allclose(change(images, gamma=gamma), expected, atol=1e-5)
    upside_down = -(((high - images) / (high - low)) ** gamma) * (high - low) + high
    assert torch.allclose(change(images, inverted_gamma=gamma), upside_down, atol=1e-5)
    kept = change(images, gamma=gamma, gamma_keeps_statistics=True)
    standard = (expected - expected.mean()) / expected.std(correction=0)
    standard = standard * images.std(correction=0) + images.mean()
    assert torch.allclose(kept, standard, atol=1e-4)


def test_channels_can_have_curves_of_their_own():
    images = pixels(2, 16, 16)
    images[:, 1] *= 5
    both = {"contrast": [1.5, 1.0], "gamma": [1.0, 2.0], "brightness": [0.0, 0.1]}
    after = change(images, **both, per_channel=True)
    first = change(images[:, :1], contrast=1.5)
    second = change(images[:, 1:], brightness=0.1, gamma=2.0)
    assert torch.allclose(after, torch.cat([first, second], 1), atol=1e-5)


@pytest.mark.parametrize("invert", [False, True])
def test_gamma_of_a_constant_patch_is_that_constant(invert):
    images = torch.full((1, 1, 8, 8), 3.0)
    name = "inverted_gamma" if invert else "gamma"
    for kept in (False, True):
        assert torch.equal(change(images, **{name: 0.5}, gamma_keeps_statistics=kept), images)


@pytest.mark.parametrize("size", [(17, 33), (9, 12, 21)])
@pytest.mark.parametrize("sigma", [0.4, 1.0, 2.5])
def test_blur_is_a_gaussian_of_that_width(sigma, size):
    """Against scipy, with the border mirrored as there ('mirror': the edge is not repeated)."""
    images = pixels(2, *size)
    sigmas = [sigma * (1 + axis / 4) for axis in range(len(size))]
    expected = images.numpy()
    for axis, width in enumerate(sigmas):
        radius = min(int(np.ceil(3 * width)), size[axis] - 1)
        expected = ndimage.gaussian_filter1d(
            expected, width, axis=axis + 2, mode="mirror", radius=radius
        )
    assert (change(images, blur=sigmas) - torch.from_numpy(expected)).abs().max() < 1e-5


def test_blur_keeps_constants_up_to_the_border():
    images = torch.full((1, 2, 12, 5), 2.0)
    assert (change(images, blur=8.0) - 2).abs().max() < 1e-5
    thin = pixels(1, 1, 6)
    assert torch.equal(change(thin, blur=[2.0, 0.0]), thin), "one pixel has no neighbours"


@pytest.mark.parametrize("size", [(12, 21), (9, 12, 20)])
def test_low_resolution_is_nearest_down_and_linear_up(size):
    images = pixels(2, *size)
    kept = [0.5, 0.7, 0.9][: len(size)]
    coarse = [round(edge * part) for edge, part in zip(size, kept, strict=True)]
    interpolate = torch.nn.functional.interpolate
    down = interpolate(images, size=coarse, mode="nearest-exact")
    expected = interpolate(down, size=size, mode="bilinear" if len(size) == 2 else "trilinear")
    assert torch.allclose(change(images, low_resolution=kept), expected, atol=1e-5)
    first = change(images, low_resolution=[0.5, *[1.0] * (len(size) - 1)])
    assert torch.equal(
        first[..., 3],
        change(images[..., 3:4], low_resolution=[0.5, *[1.0] * (len(size) - 1)])[..., 0],
    ), "the other axes are left alone"


@pytest.mark.parametrize("size", [(40, 60), (20, 24, 28)])
def test_a_bias_field_is_smooth_and_within_its_bound(size):
    config = replace(NOTHING, bias_field_probability=1, bias_field=0.5)
    images = torch.ones(8, 1, *size)
    images.view(8, -1)[:, 0] = 0
    field = apply(images, draw(config, batch=8, patch=size)).log()[..., 1:]
    assert 0.1 < float(field.abs().max()) <= 0.5 + 1e-5
    assert float(field.diff(dim=-1).abs().max()) < 0.15
    assert field.flatten(1).std(1).min() > 0.01
    black = apply(images, draw(config, batch=8, patch=size)).view(8, -1)[:, 0]
    assert torch.equal(black, torch.zeros(8)), "the darkest value stays"


@pytest.mark.parametrize("size", [(16, 24), (8, 10, 12)])
def test_a_spike_is_one_point_of_k_space_and_its_mirror_point(size):
    config = replace(NOTHING, spikes_probability=1, spikes=1, spike_strength=2.0)
    augmentation = draw(config, patch=size, seed=2)
    amplitude, _, *periods = augmentation.spikes[0, 0].tolist()
    wave = apply(torch.zeros(1, 1, *size), augmentation)[0, 0]
    spectrum = torch.fft.fftn(wave.double()).abs() / wave.numel()
    places = {tuple(int(s * p) % n for p, n in zip(periods, size, strict=True)) for s in (1, -1)}
    found = {tuple(place) for place in (spectrum > 1e-3 * amplitude).nonzero().tolist()}
    assert found == places
    assert float(spectrum.max()) == pytest.approx(amplitude / 2, rel=1e-3)
    assert float(wave.abs().max()) <= amplitude + 1e-5


def test_the_noise_is_normal_white_and_of_the_drawn_strength():
    config = replace(NOTHING, noise_probability=1, noise=0.4)
    augmentation = draw(config, batch=6, channels=2, patch=(150, 150))
    images = torch.zeros(6, 2, 150, 150)
    noise = apply(images, augmentation)
    assert torch.allclose(noise.flatten(1).std(1), augmentation.noise, rtol=0.02)
    normal = noise / augmentation.noise.view(-1, 1, 1, 1)
    assert stats.kstest(normal[0].flatten().numpy(), "norm").pvalue > 1e-3
    assert stats.kurtosis(normal.flatten().numpy()) == pytest.approx(0, abs=0.05)
    for axis in (1, 2, 3):
        moved = normal.roll(1, axis)
        assert abs(float((normal * moved).mean())) < 0.02, axis
    assert abs(float((normal[0] * normal[1]).mean())) < 0.02, "patches have noise of their own"


def test_noise_of_large_images_does_not_repeat():
    """The noise is made in parts; each must go on where the last one ended."""
    images = torch.zeros(1, 1, 600, 601)
    noise = change(images, noise=1.0, noise_seed=5)[0, 0].flatten()
    part = 2**18
    rest = noise[part:]
    assert abs(float((noise[: len(rest)] * rest).mean())) < 0.01
    assert float(noise.std()) == pytest.approx(1, abs=0.01)
    again = change(images, noise=2.0, noise_seed=5)[0, 0].flatten()
    assert torch.allclose(again, 2 * noise)


@pytest.mark.parametrize("size", [(20, 30), (8, 20, 30)])
def test_cutout_blanks_boxes_of_the_asked_size(size):
    config = replace(NOTHING, cutout_probability=1, cutout_boxes=1, cutout_fraction=0.5)
    images = pixels(2, *size).expand(20, 2, *size).contiguous()
    after = apply(images, draw(config, batch=20, channels=2, patch=size))
    for patch in range(20):
        blank = (after[patch] != images[patch]).all(0)
        where = blank.nonzero()
        box = where.max(0).values - where.min(0).values + 1
        assert int(blank.sum()) == int(box.prod()), "one full box"
        assert all(0.1 * n <= edge <= 0.5 * n for edge, n in zip(box.tolist(), size, strict=True))
        mean = images[patch].flatten(1).mean(1)
        assert torch.allclose(after[patch][:, blank], mean[:, None], atol=1e-5)
        assert torch.equal(after[patch][:, ~blank], images[patch][:, ~blank])


def test_slices_are_dropped_whole():
    config = replace(NOTHING, slice_dropout_probability=1, slice_dropout_fraction=0.3)
    images = pixels(1, 40, 6, 6)
    after = apply(images, draw(config, patch=(40, 6, 6)))
    dropped = (after != images).all(4).all(3)[0, 0]
    assert 4 <= int(dropped.sum()) <= 20
    assert torch.equal(after[:, :, ~dropped], images[:, :, ~dropped])
    assert torch.allclose(after[:, :, dropped], images.mean(), atol=1e-6)


def test_targets_are_left_alone():
    everything = replace(
        NOTHING,
        **{
            f"{name}_probability": 1.0
            for name in ("cutout", "slice_dropout", "noise", "blur", "low_resolution", "bias_field")
        },
    )
    targets = torch.randint(0, 3, (2, 8, 9, 10), generator=seeded()).to(torch.uint8)
    out, kept = apply_augmentation(
        pixels(1, 8, 9, 10).repeat(2, 1, 1, 1, 1),
        targets,
        draw(everything, batch=2, patch=(8, 9, 10)),
        patch_size=(8, 9, 10),
        num_classes=3,
    )
    assert torch.equal(kept, targets)
    assert out.isfinite().all()
