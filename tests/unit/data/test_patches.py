"""Which pixels a training step sees: decided by (seed, step, rank) and nothing else."""

import copy
import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ushape.config.schema import SamplingConfig
from ushape.data import sampling
from ushape.data.patches import ANYWHERE, clip_window, cut, cut_windows
from ushape.data.sample import Sample
from ushape.data.sampling import (
    MAX_PLACES,
    draw_places,
    index_places,
    num_centred,
    pack_places,
    unpack_places,
)
from ushape.data.targets import VOID, VOID_BIT, class_masks
from ushape.labels import LabelClass, LabelTable
from ushape.tiling.windows import reflect_indices

QUICK = settings(deadline=None, max_examples=80)


def numbered(size, start=0.0):
    """A case whose pixels say where they are; target = the pixel's number modulo 5."""
    pixels = np.arange(np.prod(size), dtype=np.float32).reshape(size) + start
    image = np.stack([pixels, -pixels])
    return Sample("a", image, (pixels % 5).astype(np.uint8))


def windows(
    samples, patch=(6, 8), window=(10, 12), batch=4, seed=1, step=0, rank=0, sampling=ANYWHERE
):
    return cut_windows(
        samples,
        patch_size=patch,
        window_size=window,
        batch_size=batch,
        seed=seed,
        step=step,
        rank=rank,
        sampling=sampling,
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
    indices = reflect_indices(-before, before + length + after, length)
    assert indices.tolist() == np.pad(np.arange(length), (before, after), "reflect").tolist()


@QUICK
@given(start=st.integers(-40, 40), count=st.integers(1, 30), length=st.integers(1, 9))
def test_mirroring_of_any_stretch(start, count, length):
    padded = np.pad(np.arange(length), 80, "reflect")
    expected = padded[80 + start : 80 + start + count]
    assert reflect_indices(start, count, length).tolist() == expected.tolist()


@QUICK
@given(data=st.data(), channels=st.sampled_from([(), (2,)]), dims=st.integers(2, 3))
def test_cut_is_indexing(data, channels, dims):
    size = tuple(data.draw(st.integers(1, 6)) for _ in range(dims))
    array = np.arange(np.prod(channels + size)).reshape(channels + size)
    starts = [data.draw(st.integers(-4, 4)) for _ in size]
    indices = [reflect_indices(s, 5, length) for s, length in zip(starts, size, strict=True)]
    expected = array[(..., *np.ix_(*indices))]
    assert np.array_equal(cut(array, indices), expected)


def test_what_is_cut_from_a_memory_map_is_a_copy_in_memory(tmp_path):
    sample = numbered((20, 20))
    np.save(tmp_path / "a.npy", sample.image)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    for start in (3, -3):
        indices = [reflect_indices(start, 5, 20)] * 2
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


def test_draws_by_default_are_those_of_the_first_release():
    """A recorded run that is resumed, or repeated from its seed, must see the same patches."""
    samples = [numbered((40, 50)), numbered((30, 30), 5000), numbered((3, 9), 7000)]
    digest = hashlib.sha256()
    for step in range(20):
        for rank in range(2):
            out = windows(samples, step=step, rank=rank)
            digest.update(out.images.numpy().tobytes())
            digest.update(out.targets.numpy().tobytes())
    assert digest.hexdigest() == "a9479dab4a8edae13693508cdd30920d4418ee824abe408f079d04c67c5cfd04"


TWO = LabelTable(tuple(LabelClass(f"c{n}", n) for n in range(3)))
SETS = LabelTable(TWO.classes, kind="multilabel")


def labelled(target, table=TWO):
    """A case with its places, whose image says how many voxels stand before each."""
    image = np.arange(target.size, dtype=np.float32).reshape(1, *target.shape)
    return Sample("a", image, target, places=index_places(target, table, 3))


def rare_cases():
    """Ten cases with a class of half of all voxels; five voxels of another in one of them."""
    cases = []
    for number in range(10):
        target = np.zeros((64, 64), np.uint8)
        target[:32] = 1
        if number == 6:
            target[50, 3:8] = 2
        cases.append(labelled(target))
    return cases


def aimed(samples, **changes):
    fraction = changes.pop("fraction", 1.0)
    kinds = {key: changes.pop(key) for key in ("classes", "cases") if key in changes}
    given = {"patch": (16, 16), "window": (16, 16), "batch": 10, **changes}
    return windows(samples, sampling=SamplingConfig(fraction, **kinds), **given)


def test_a_rare_class_is_in_every_batch():
    samples = rare_cases()
    plain = by_size = 0
    for step in range(60):
        assert (aimed(samples, fraction=0.3, step=step).targets == 2).any()
        plain += bool((windows(samples, (16, 16), (16, 16), 10, step=step).targets == 2).any())
        sized = aimed(samples, fraction=0.3, classes="size", step=step)
        by_size += bool((sized.targets == 2).any())
    assert max(plain, by_size) < 60, "otherwise the class is not rare enough to show anything"


def test_classes_of_equal_chance_against_classes_by_size():
    target = np.zeros((60, 60), np.uint8)
    target[:30], target[40:42, :15] = 1, 2  # 1800 and 30 voxels
    target[50:52, 50:52] = 3
    table = LabelTable((*TWO.classes, LabelClass("c3", 3)))
    shares = {}
    for classes in ("equal", "size"):
        drawn = [
            target[tuple(voxel)]
            for step in range(300)
            for _, voxel in draw_places(
                np.random.default_rng(step),
                [labelled(target, table)],
                SamplingConfig(1.0, classes),
                4,
            )
        ]
        shares[classes] = np.bincount(drawn, minlength=4)[1:] / len(drawn)
    assert shares["equal"] == pytest.approx(np.full(3, 1 / 3), abs=0.04)
    assert shares["size"] == pytest.approx(np.array([1800, 30, 4]) / 1834, abs=0.015)


def test_sizes_of_classes_are_those_of_all_voxels_not_of_the_kept_ones():
    target = np.ones((300, 400), np.uint8)
    target[:75] = 2  # one to three, both above the limit
    found = index_places(target, TWO, 0)
    assert found.counts == (90_000, 30_000)
    assert [len(indices) for indices in found] == [MAX_PLACES, MAX_PLACES]
    drawn = draw_places(
        np.random.default_rng(0), [labelled(target)], SamplingConfig(1.0, "size"), 4000
    )
    rare = np.mean([target[tuple(voxel)] == 2 for _, voxel in drawn])
    assert rare == pytest.approx(0.25, abs=0.03)


def test_a_class_by_its_size_counts_what_its_cases_weigh():
    ones, twos = np.ones((20, 20), np.uint8), np.full((20, 20), 2, np.uint8)
    samples = [labelled(ones), replace(labelled(twos), sampling_weight=4.0)]
    drawn = draw_places(np.random.default_rng(0), samples, SamplingConfig(1.0, "size"), 2000)
    assert np.mean([case for case, _ in drawn]) == pytest.approx(0.8, abs=0.04)


@pytest.mark.parametrize(
    ("cases", "weight", "share"),
    [("size", 1, 0.9), ("equal", 1, 0.5), ("size", 9, 0.5), ("equal", 3, 0.25)],
)
def test_a_case_by_its_size_or_with_equal_chance_times_its_weight(cases, weight, share):
    large, small = np.ones((90, 20), np.uint8), np.ones((10, 20), np.uint8)
    samples = [labelled(large), replace(labelled(small), sampling_weight=weight)]
    drawn = draw_places(np.random.default_rng(1), samples, SamplingConfig(1.0, cases=cases), 2000)
    assert np.mean([case == 0 for case, _ in drawn]) == pytest.approx(share, abs=0.04)
    # The same of patches that lie anywhere.
    few = replace(numbered((10, 20), 10_000), sampling_weight=weight)
    samples = [numbered((90, 20)), few]
    out = windows(samples, batch=2000, sampling=SamplingConfig(cases=cases))
    first = (out.images[:, 0, 5, 5] < 10_000).float().mean()
    assert float(first) == pytest.approx(share, abs=0.04)


def test_a_void_case_has_no_chance_among_equals():
    samples = [numbered((30, 30)), replace(numbered((30, 30), 10_000), num_valid=0)]
    out = windows(samples, batch=200, sampling=SamplingConfig(cases="equal"))
    assert out.images[:, 0].max() < 10_000


@QUICK
@given(data=st.data(), dims=st.integers(2, 3))
def test_a_centred_voxel_lies_inside_its_patch(data, dims):
    """Wherever it is, and however small the image; its centre where there is room."""
    size = tuple(data.draw(st.integers(1, 40)) for _ in range(dims))
    voxel = tuple(data.draw(st.integers(0, length - 1)) for length in size)
    patch = tuple(data.draw(st.integers(1, 24)) for _ in range(dims))
    target = np.zeros(size, np.uint8)
    target[voxel] = 2
    out = aimed([labelled(target)], patch=patch, window=patch, batch=2)
    for picture in out.targets:
        assert (picture == 2).any()
        rooms = zip(voxel, size, patch, strict=True)
        if all(p // 2 <= v < n - p + p // 2 for v, n, p in rooms):
            assert picture[tuple(p // 2 for p in patch)] == 2


def test_centred_patches_keep_to_the_range_of_others():
    """By an eighth of the patch across the border and no further."""
    target = np.zeros((40, 40), np.uint8)
    target[0, 0] = 2
    out = aimed([labelled(target)], batch=1)
    assert out.targets[0, 2, 2] == 2
    target = np.zeros((40, 40), np.uint8)
    target[39, 39] = 2
    assert aimed([labelled(target)], batch=1).targets[0, 13, 13] == 2


@pytest.mark.parametrize(
    ("fraction", "count"), [(0.0, 0), (0.01, 1), (0.3, 3), (0.25, 3), (0.24, 2), (1.0, 10)]
)
def test_how_many_patches_of_a_batch_are_centred(fraction, count):
    assert num_centred(SamplingConfig(fraction), 10) == count
    target = np.zeros((400, 400), np.uint8)
    target[200, 200] = 1
    out = aimed([labelled(target)], fraction=fraction)
    assert (out.targets[:, 8, 8] == 1).sum() == count


def test_centred_patches_are_a_pure_function_too():
    samples = rare_cases()
    first = aimed(samples, step=7, fraction=0.5)
    assert same(first, aimed(samples, step=7, fraction=0.5))
    for change in ({"step": 8}, {"seed": 2, "step": 7}, {"rank": 1, "step": 7}):
        assert not same(first, aimed(samples, fraction=0.5, **{"step": 7, **change}))


def test_without_any_foreground_patches_lie_anywhere():
    empty = [labelled(np.zeros((40, 40), np.uint8)) for _ in range(2)]
    out = aimed(empty)
    assert same(out, windows(empty, (16, 16), (16, 16), 10))
    full = labelled(np.full((40, 40), 2, np.uint8))
    assert (aimed([*empty, full]).targets == 2).all(), "one case that holds some is enough"


def test_cases_that_were_not_indexed_are_refused():
    with pytest.raises(ValueError, match=r"case a: .*needs the places of classes"):
        aimed([numbered((40, 40))])


@pytest.mark.parametrize("size", [(11, 13), (7, 5, 6)])
@pytest.mark.parametrize("slab", [1, 40, 10_000])
def test_places_are_all_voxels_of_a_class(size, slab, monkeypatch):
    """Also of overlapping classes, and whatever part of a volume is looked at at once."""
    monkeypatch.setattr(sampling, "SLAB", slab)
    chance = np.random.default_rng(4)
    single = chance.integers(0, 3, size).astype(np.uint8)
    single[0, 0] = VOID
    several = (chance.integers(0, 4, size) << 1).astype(np.uint8)
    several[0, 0] = VOID_BIT
    for target, table in ((single, TWO), (several, SETS)):
        found = unpack_places(pack_places(index_places(target, table, 0)), target.ndim)
        for mask, indices, count in zip(
            class_masks(target, table), found, found.counts, strict=True
        ):
            assert np.array_equal(indices, np.argwhere(mask))
            assert count == len(indices) > 0


def test_kept_places_are_spread_evenly_and_depend_on_the_seed_only(monkeypatch):
    target = np.ones((200, 200), np.uint8)
    first = index_places(target, TWO, 5)
    monkeypatch.setattr(sampling, "SLAB", 1000)
    assert np.array_equal(index_places(target, TWO, 5)[0], first[0])
    assert not np.array_equal(index_places(target, TWO, 6)[0], first[0])
    assert len(np.unique(first[0], axis=0)) == MAX_PLACES
    assert first[0].mean(axis=0) == pytest.approx(np.full(2, 99.5), abs=3)


def test_places_survive_a_copy():
    places = index_places(np.ones((200, 200), np.uint8), TWO, 5)
    again = copy.deepcopy(places)
    assert again.counts == places.counts == (40_000, 0)
    assert np.array_equal(again[0], places[0])


@pytest.mark.parametrize("length", [20, 47, 90])
def test_a_clipped_window_holds_all_of_a_case_wherever_the_patch_lies(length: int) -> None:
    patch, wanted = 40, 96
    image = np.arange(1, length + 1, dtype=np.float32)[None]
    sample = Sample("a", image, np.zeros(length, np.uint8))

    (window,) = clip_window((wanted,), (patch,), [sample])

    assert window <= wanted
    assert (window - patch) % 2 == 0
    slack = patch // 8
    for start in range(-slack, max(length - patch + slack, -slack) + 1):
        first = start - (window - patch) // 2
        assert window == wanted or (first <= 0 and first + window >= length)
