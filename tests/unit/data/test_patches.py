"""Which pixels a training step sees: decided by (seed, step, rank) and nothing else."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ushape.data.patches import cut, cut_windows, mirrored_indices
from ushape.data.sample import Sample

QUICK = settings(deadline=None, max_examples=80)


def numbered(size, start=0.0):
    """A case whose pixels say where they are; target = the pixel's number modulo 5."""
    pixels = np.arange(np.prod(size), dtype=np.float32).reshape(size) + start
    image = np.stack([pixels, -pixels])
    return Sample("a", image, (pixels % 5).astype(np.uint8))


def windows(samples, patch=(6, 8), window=(10, 12), batch=4, seed=1, step=0, rank=0):
    return cut_windows(
        samples,
        patch_size=patch,
        window_size=window,
        batch_size=batch,
        seed=seed,
        step=step,
        rank=rank,
    )


def same(first, second):
    return torch.equal(first.images, second.images) and torch.equal(first.targets, second.targets)


def test_a_pure_function_of_seed_step_and_rank():
    samples = [numbered((40, 50)), numbered((30, 30), 5000)]
    first = windows(samples, step=7)
    np.random.seed(5)  # noqa: NPY002 - global chance must not matter
    assert same(first, windows(samples, step=7))
    for change in ({"step": 8}, {"seed": 2, "step": 7}, {"rank": 1, "step": 7}):
        assert not same(first, windows(samples, **{"step": 7, **change}))


def test_shapes_and_types_in_three_dimensions_too():
    cut_out = windows([numbered((9, 20, 20))], patch=(4, 8, 8), window=(6, 10, 12), batch=3)
    assert cut_out.images.shape == (3, 2, 6, 10, 12)
    assert cut_out.images.dtype == torch.float32
    assert cut_out.targets.shape == (3, 6, 10, 12)
    assert cut_out.targets.dtype == torch.uint8


def test_image_and_target_are_cut_at_one_place():
    cut_out = windows([numbered((40, 50))], batch=16)
    assert torch.equal(cut_out.images[:, 0] % 5, cut_out.targets.float())
    assert torch.equal(cut_out.images[:, 0], -cut_out.images[:, 1])


def test_patches_lie_inside_the_image_up_to_an_eighth_and_everywhere_in_it():
    length, patch = 40, 16
    sample = Sample("a", np.zeros((1, 4, length), np.float32), np.zeros((4, length), np.uint8))
    sample.target[:] = np.arange(length)
    starts = set()
    for step in range(300):
        out = windows([sample], patch=(4, patch), window=(4, patch), batch=4, step=step)
        for row in out.targets[:, 0].tolist():
            bend = next((i for i in range(1, patch) if row[i] < row[i - 1] and row[i] == 0), 0)
            starts.add(-bend if bend else row[0])
    assert min(starts) == -2
    assert max(starts) == length - patch + 2
    assert starts == set(range(-2, length - patch + 3))


def test_the_window_surrounds_the_patch_evenly():
    """The same draw with a larger window shows the same patch in its middle."""
    samples = [numbered((60, 60))]
    small = windows(samples, window=(6, 8), batch=8)
    large = windows(samples, window=(16, 14), batch=8)
    assert torch.equal(large.images[:, :, 5:11, 3:11], small.images)
    assert torch.equal(large.targets[:, 5:11, 3:11], small.targets)


def test_a_case_is_drawn_in_proportion_to_its_pixels():
    samples = [numbered((30, 30)), numbered((30, 10), 10_000)]
    drawn = [windows(samples, batch=50, step=s).images[:, 0, 0, 0] >= 10_000 for s in range(20)]
    assert float(torch.cat(drawn).float().mean()) == pytest.approx(0.25, abs=0.05)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 7)])
def test_an_image_smaller_than_the_window_is_mirrored(size):
    sample = numbered(size)
    out = windows([sample], patch=(16, 16), window=(24, 24), batch=4)
    assert set(out.images[:, 0].unique().tolist()) == set(sample.image[0].ravel().tolist())
    assert torch.equal(out.images[:, 0] % 5, out.targets.float())


@QUICK
@given(length=st.integers(1, 9), before=st.integers(0, 30), after=st.integers(0, 30))
def test_mirroring_is_that_of_numpy(length, before, after):
    """numpy calls it reflect; for one pixel it has no reflection and repeats the pixel."""
    indices = mirrored_indices(-before, before + length + after, length)
    assert indices.tolist() == np.pad(np.arange(length), (before, after), "reflect").tolist()


@QUICK
@given(start=st.integers(-40, 40), count=st.integers(1, 30), length=st.integers(1, 9))
def test_mirroring_of_any_stretch(start, count, length):
    padded = np.pad(np.arange(length), 80, "reflect")
    expected = padded[80 + start : 80 + start + count]
    assert mirrored_indices(start, count, length).tolist() == expected.tolist()


@QUICK
@given(data=st.data(), channels=st.sampled_from([(), (2,)]), dims=st.integers(2, 3))
def test_cut_is_indexing(data, channels, dims):
    size = tuple(data.draw(st.integers(1, 6)) for _ in range(dims))
    array = np.arange(np.prod(channels + size)).reshape(channels + size)
    starts = [data.draw(st.integers(-4, 4)) for _ in size]
    indices = [mirrored_indices(s, 5, length) for s, length in zip(starts, size, strict=True)]
    expected = array[(..., *np.ix_(*indices))]
    assert np.array_equal(cut(array, indices), expected)


def test_what_is_cut_from_a_memory_map_is_a_copy_in_memory(tmp_path):
    sample = numbered((20, 20))
    np.save(tmp_path / "a.npy", sample.image)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    for start in (3, -3):
        indices = [mirrored_indices(start, 5, 20)] * 2
        piece = cut(mapped, indices)
        assert np.array_equal(piece, cut(sample.image, indices))
        assert not np.shares_memory(piece, mapped)
        piece[:] = 0  # not read-only, and not the file
    assert np.array_equal(np.load(tmp_path / "a.npy"), sample.image)


def test_memory_maps_give_the_windows_of_arrays(tmp_path):
    sample = numbered((20, 30))
    np.save(tmp_path / "image.npy", sample.image)
    np.save(tmp_path / "target.npy", sample.target)
    mapped = Sample(
        "a",
        np.load(tmp_path / "image.npy", mmap_mode="r"),
        np.load(tmp_path / "target.npy", mmap_mode="r"),
    )
    assert same(windows([sample]), windows([mapped]))
