"""Regions cut for the second pass: what they hold, and that image and target lie on each other."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ushape.config.schema import FineConfig
from ushape.data.regions import cut_regions, cut_window, list_objects, small_fractions
from ushape.data.sample import Sample
from ushape.labels import LabelClass, LabelTable
from ushape.tiling.roi import box_region, jitter

TABLE = LabelTable(
    tuple(LabelClass(name, n) for n, name in enumerate(["background", "disc", "knob"]))
)
FINE = FineConfig(classes=("knob",), within="disc", cuts=6)


def case(size, *discs, knobs=(), name="case"):
    """Draw boxes; the image is 1 where the knob is, and its second channel is 1 in discs."""
    target = np.zeros(size, np.uint8)
    for value, boxes in ((1, discs), (2, knobs)):
        for box in boxes:
            target[tuple(slice(first, last) for first, last in box)] = value
    image = np.stack([target == 2, target > 0]).astype(np.float32)
    return Sample(name, image, target)


SAMPLES = (
    case((40, 50), [(5, 11), (4, 20)], [(24, 32), (20, 40)], knobs=[[(26, 30), (38, 42)]]),
    case((30, 30), name="empty"),
    case((36, 36), [(10, 20), (8, 24)], name="no knob"),
)
VOLUME = case((12, 30, 32), [(3, 8), (6, 14), (5, 21)], knobs=[[(4, 6), (9, 12), (19, 23)]])


def test_objects_are_listed_with_what_they_hold():
    listed = list_objects(SAMPLES, TABLE, FINE)
    assert [(entry.case, entry.small_pixels) for entry in listed] == [
        (0, (16,)),
        (0, (0,)),
        (2, (0,)),
    ]
    # The knob reaches beyond the disc: the box is that of both.
    assert listed[0].found.box == (slice(24, 32), slice(20, 42))
    largest = list_objects(SAMPLES, TABLE, replace(FINE, regions="largest"))
    assert [entry.case for entry in largest] == [0, 2]
    share = small_fractions(listed, replace(FINE, margin_fraction=0.0))
    assert share == pytest.approx((16 / (8 * 22 + 6 * 16 + 10 * 16),))


@given(seed=st.integers(0, 2**20), dims=st.sampled_from([2, 3]))
@settings(deadline=None, max_examples=40)
def test_with_the_usual_margin_jitter_keeps_the_object_in_the_box(seed, dims):
    rng = np.random.default_rng(seed)
    edges = rng.integers(4, 40, dims).tolist()
    box = tuple(slice(80, 80 + edge) for edge in edges)  # far from the border, which shifts boxes
    region = box_region(box, (200,) * dims, margin_fraction=FINE.margin_fraction)
    moved = jitter(region, rng, FINE.jitter)
    for side, place, edge in zip(box, moved.start, moved.size, strict=True):
        assert place <= side.start + 1  # but for the rounding of the box
        assert place + edge >= side.stop - 1


@pytest.mark.parametrize(("sample", "cut_size"), [(SAMPLES[0], (24, 32)), (VOLUME, (12, 16, 20))])
@pytest.mark.parametrize("extra", [0, 6])
def test_image_and_target_are_cut_at_the_same_place(sample, cut_size, extra):
    """The image shows the mask itself: where it is above one half, the target must be set."""
    entry = list_objects([sample], TABLE, FINE)[0]
    size = tuple(edge + extra for edge in cut_size)
    region = box_region(entry.found.box, sample.size, margin_fraction=0.3, proportions=cut_size)
    for seed in range(8):
        moved = jitter(region, np.random.default_rng(seed), 0.1)
        image, sets, _ = cut_window(
            sample, entry.found, moved, TABLE, FINE, cut_size=cut_size, window_size=size
        )
        assert image.shape[1:] == sets.shape == size
        inside, known = sets >> 1 & 1 == 1, sets & 1 == 0
        assert inside.any()
        assert (image[0][inside & known] >= 0.25).all()
        assert (image[0][~inside & known] <= 0.75).all()
        agree = (image[0] > 0.5) == inside
        assert agree[known].mean() > 0.99


def test_a_window_shows_the_cut_in_its_middle_at_the_same_scale():
    sample = SAMPLES[0]
    entry = list_objects([sample], TABLE, FINE)[0]
    region = replace(
        box_region(entry.found.box, sample.size), start=(16, 18), size=(20, 24)
    )  # whole multiples: nothing is rounded
    narrow, _, _ = cut_window(
        sample, entry.found, region, TABLE, FINE, cut_size=(20, 24), window_size=(20, 24)
    )
    wide, _, _ = cut_window(
        sample, entry.found, region, TABLE, FINE, cut_size=(20, 24), window_size=(28, 32)
    )
    np.testing.assert_array_equal(narrow, wide[:, 4:-4, 4:-4])
    np.testing.assert_array_equal(narrow, sample.image[:, 16:36, 18:42])


def test_beyond_the_image_nothing_is_learnt():
    sample = case((10, 30), [(1, 9), (4, 24)])
    entry = list_objects([sample], TABLE, FINE)[0]
    region = box_region(entry.found.box, sample.size, margin_fraction=0)
    assert region.start[0] < 0
    _, sets, _ = cut_window(
        sample, entry.found, region, TABLE, FINE, cut_size=(20, 20), window_size=(20, 20)
    )
    rows = (sets == 1).all(axis=1)
    assert rows.tolist() == [True] * 5 + [False] * 10 + [True] * 5


def test_kind_mask_blanks_other_objects_and_learns_nothing_there():
    sample = case((60, 60), [(20, 30), (15, 45)], [(33, 36), (15, 22)])
    fine = replace(FINE, kind="mask", margin_fraction=0.2)
    entry = list_objects([sample], TABLE, fine)[0]
    region = box_region(entry.found.box, sample.size, margin_fraction=0.2)
    image, sets, _ = cut_window(
        sample, entry.found, region, TABLE, fine, cut_size=region.size, window_size=region.size
    )
    inside = tuple(slice(s.start, s.stop) for s in region.inside)
    own = np.zeros((60, 60), bool)
    own[20:30, 15:45] = True
    assert (image[1] == own[inside]).all(), "the second object is blanked"
    assert ((sets == 1) == ~own[inside]).all()


class TestStep:
    def cut(self, samples=SAMPLES, fine=FINE, **changes):
        asked = {"cut_size": (16, 16), "window_size": (20, 20), "seed": 3, "step": 5, **changes}
        return cut_regions(samples, list_objects(samples, TABLE, fine), TABLE, fine, **asked)

    def test_a_pure_function_of_seed_step_and_rank(self):
        first, again = self.cut(), self.cut()
        assert (first.images == again.images).all()
        assert (first.targets == again.targets).all()
        for change in ({"seed": 4}, {"step": 6}, {"rank": 1}):
            assert (first.images != self.cut(**change).images).any()

    def test_as_many_cuts_as_asked_some_with_the_small_class(self):
        fine = replace(FINE, cuts=8, present_fraction=1.0)
        windows = self.cut(fine=fine)
        assert windows.images.shape == (8, 2, 20, 20)
        assert windows.targets.shape == (8, 20, 20)
        assert ((windows.targets >> 1) & 1).flatten(1).any(1).all()
        never = self.cut(samples=SAMPLES[1:], fine=fine)
        assert not (never.targets & 2).any(), "no case holds it: all are drawn from all objects"

    def test_nothing_to_look_into(self):
        assert self.cut(samples=SAMPLES[1:2]) is None

    def test_volumes(self):
        windows = self.cut(samples=[VOLUME], cut_size=(6, 12, 12), window_size=(8, 14, 14))
        assert windows.images.shape == (6, 2, 8, 14, 14)
