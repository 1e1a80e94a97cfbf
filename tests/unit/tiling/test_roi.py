"""Regions of interest: where the box lies, what a cut holds, and the way back."""

from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ushape.errors import ConfigError, ShapeError
from ushape.tiling.resize import resize
from ushape.tiling.roi import (
    Region,
    blank,
    cut,
    cut_labels,
    find_region,
    jitter,
    largest_component,
    paste,
)
from ushape.tiling.serial import foreground, serial_predict


def mask_of(size, *boxes):
    mask = np.zeros(size, dtype=bool)
    for box in boxes:
        mask[tuple(slice(first, last) for first, last in box)] = True
    return mask


class TestResize:
    @pytest.mark.parametrize("size", [(7, 5), (13, 20), (14, 10), (9, 31)])
    def test_enlarging_equals_torchs_half_pixel_interpolation(self, size):
        image = np.random.default_rng(0).normal(size=(2, 7, 5))
        expected = F.interpolate(torch.from_numpy(image)[None], size, mode="bilinear")[0].numpy()
        np.testing.assert_allclose(resize(image, size), expected, atol=1e-12)

    def test_enlarging_volumes_too(self):
        image = np.random.default_rng(0).normal(size=(1, 3, 4, 5))
        expected = F.interpolate(torch.from_numpy(image)[None], (6, 4, 9), mode="trilinear")[0]
        np.testing.assert_allclose(resize(image, (6, 4, 9)), expected.numpy(), atol=1e-12)

    @pytest.mark.parametrize("wanted", [3, 10, 17, 29, 30, 41, 120])
    def test_a_ramp_stays_the_same_ramp(self, wanted):
        ramp = np.arange(30)[None] + 0.5
        expected = (np.arange(wanted) + 0.5) * 30 / wanted
        result = resize(ramp, (wanted,))[0]
        reach = 1.5 + 15 / wanted
        is_inner = (expected > reach) & (expected < 30 - reach)
        np.testing.assert_allclose(result[is_inner], expected[is_inner], atol=1e-9)
        assert is_inner.sum() >= wanted / 3

    def test_shrinking_averages_and_leaves_no_pixel_out(self):
        stripes = np.tile([0.0, 1.0], 30)[None]
        np.testing.assert_allclose(resize(stripes, (30,))[0, 1:-1], 0.5)
        np.testing.assert_allclose(resize(stripes, (12,))[0, 1:-1], 0.5, atol=0.06)
        for place in range(60):
            point = np.zeros((1, 60))
            point[0, place] = 1
            assert resize(point, (11,)).sum() > 0.1

    def test_types(self):
        assert resize(np.ones((1, 4), np.uint8), (3,)).dtype == np.float32
        assert resize(np.ones((1, 4), np.float64), (3,)).dtype == np.float64
        array = np.ones((1, 4), np.float32)
        resize(array, (4,))[...] = 7
        assert (array == 1).all(), "the result is the caller's own"

    def test_refusals(self):
        with pytest.raises(ShapeError, match="give 1 edges of 1 or more"):
            resize(np.ones((1, 4)), (0,))
        with pytest.raises(ShapeError, match="give 2 edges"):
            resize(np.ones((1, 4, 4)), (3,))


class TestFindRegion:
    def test_the_box_is_square_around_the_middle_with_its_margin(self):
        region = find_region(mask_of((40, 60), [(10, 14), (20, 40)]), margin_fraction=0.1)
        assert region == Region(start=(0, 18), size=(24, 24), image_size=(40, 60))

    def test_largest_object_wins_over_the_sum_of_others(self):
        mask = mask_of((30, 30), [(2, 7), (2, 7)], [(15, 19), (15, 19)], [(25, 29), (2, 6)])
        assert find_region(mask, margin_fraction=0).start == (2, 2)

    def test_corners_connect(self):
        mask = mask_of((20, 20), [(2, 4), (2, 4)], [(4, 6), (4, 6)], [(10, 12), (10, 13)])
        assert find_region(mask, margin_fraction=0).size == (4, 4)

    def test_box_at_the_rim_is_shifted_inside(self):
        region = find_region(mask_of((30, 30), [(0, 3), (21, 30)]), margin_fraction=0.5)
        assert (region.start, region.size) == ((0, 12), (18, 18))

    def test_where_the_image_is_smaller_the_box_reaches_out_on_both_sides(self):
        region = find_region(mask_of((8, 40), [(0, 8), (10, 30)]), margin_fraction=0)
        assert (region.start, region.size) == ((-6, 10), (20, 20))
        assert region.inside == (slice(0, 8), slice(10, 30))

    def test_cubes_in_millimetres(self):
        mask = mask_of((20, 64, 64), [(8, 12), (20, 40), (20, 32)])
        region = find_region(mask, margin_fraction=0, spacing_mm=(4, 1, 0.5))
        # 4 x 4 mm, 20 x 1 mm, 12 x 0.5 mm: a cube of 20 mm
        assert region.size == (5, 20, 40)
        assert region.start == (7, 20, 6)

    def test_proportions_keep_the_form_of_the_image(self):
        region = find_region(
            mask_of((100, 200), [(40, 60), (90, 110)]), margin_fraction=0, proportions=(100, 200)
        )
        assert region.size == (20, 40)

    def test_least_edge(self):
        region = find_region(mask_of((50, 50), [(9, 10), (30, 31)]), least_edge=16)
        assert region.size == (16, 16)
        assert region.inside[0].start <= 9 < region.inside[0].stop

    def test_empty_mask_has_no_region(self):
        assert find_region(np.zeros((5, 5), dtype=bool)) is None
        assert largest_component(np.zeros((5, 5), dtype=bool)) is None

    @pytest.mark.parametrize(
        ("options", "text"),
        [
            ({"kind": "sqare"}, "did you mean 'square'"),
            ({"margin_fraction": -0.1}, "margin_fraction=-0.1: give 0 or more"),
            ({"spacing_mm": (1,)}, "give 2 positive numbers"),
            ({"spacing_mm": (1, 0)}, "give 2 positive numbers"),
            ({"least_edge": 0}, "give 1 or more"),
            ({"softness_pixels": float("nan")}, "give 0 or more"),
        ],
    )
    def test_refusals(self, options, text):
        with pytest.raises(ConfigError, match=text):
            find_region(np.ones((4, 4), dtype=bool), **options)


class TestCut:
    def test_a_cut_of_the_boxs_own_size_is_the_box(self):
        image = np.random.default_rng(0).normal(size=(3, 20, 30))
        region = Region((4, 5), (9, 11), (20, 30))
        np.testing.assert_array_equal(cut(image, region, (9, 11)), image[:, 4:13, 5:16])

    def test_outermost_pixels_are_repeated_beyond_the_image(self):
        image = np.array([[[1.0, 2.0, 3.0]]])
        region = Region((-1, -2), (3, 7), (1, 3))
        assert cut(image, region, (3, 7))[0, 2].tolist() == [1, 1, 1, 2, 3, 3, 3]

    def test_nothing_shifts(self):
        y, x = np.mgrid[0.5:40, 0.5:60]
        region = Region((6, 13), (20, 24), (40, 60))
        result = cut(np.stack([y, x]), region, (80, 60))
        np.testing.assert_allclose(result[0, 2:-2, 0], 6 + (np.arange(80) + 0.5)[2:-2] / 4)
        np.testing.assert_allclose(result[1, 0, 2:-2], 13 + (np.arange(60) + 0.5)[2:-2] * 0.4)

    def test_kind_mask_blanks_what_is_outside(self):
        mask = mask_of((20, 20), [(5, 9), (5, 15)], [(9, 15), (5, 9)], [(13, 15), (13, 15)])
        region = find_region(mask, kind="mask", margin_fraction=0)
        result = cut(np.ones((1, 20, 20)), region, (10, 10))
        assert region.kind == "mask"
        np.testing.assert_array_equal(result[0], largest_component(mask)[5:15, 5:15])

    def test_hard_edges_stay_hard_when_enlarged_and_soft_ones_fade(self):
        mask = mask_of((24, 24), [(8, 16), (8, 16)])
        hard = find_region(mask, kind="mask", margin_fraction=0.5)
        soft = find_region(mask, kind="mask", margin_fraction=0.5, softness_pixels=3)
        size = (48, 48)
        assert set(np.unique(cut(np.ones((1, 24, 24)), hard, size))) == {0.0, 1.0}
        line = cut(np.ones((1, 24, 24)), soft, (16, 16))[0, 8]
        np.testing.assert_allclose(line, [0, 0.25, 0.5, 0.75, *[1] * 8, 0.75, 0.5, 0.25, 0])

    def test_image_of_another_size_is_refused(self):
        with pytest.raises(ShapeError, match="5 x 6 and a region found in one of 5 x 5"):
            cut(np.ones((1, 5, 6)), Region((0, 0), (2, 2), (5, 5)), (4, 4))


class TestCutLabels:
    def test_nearest_takes_the_pixel_under_the_middle(self):
        label = np.arange(6, dtype=np.uint8)[None]
        region = Region((0, 1), (1, 4), (1, 6))
        assert cut_labels(label, region, (1, 8)).tolist() == [[1, 1, 2, 2, 3, 3, 4, 4]]
        assert cut_labels(label, region, (1, 2)).tolist() == [[2, 4]]
        assert cut_labels(label, region, (1, 3)).tolist() == [[1, 3, 4]]

    def test_vote_takes_what_covers_most(self):
        label = np.array([[7, 7, 3, 3, 3, 7, 9, 9, 9]], dtype=np.uint8)
        region = Region((0, 0), (1, 9), (1, 9))
        assert cut_labels(label, region, (1, 3), method="vote").tolist() == [[7, 3, 9]]

    def test_beyond_the_image(self):
        label = np.full((2, 4), 5, dtype=np.uint8)
        region = Region((-1, 0), (4, 4), (2, 4))
        expected = [255, 5, 5, 255]
        for method in ("nearest", "vote"):
            found = cut_labels(label, region, (4, 4), method=method, beyond=255)
            assert found[:, 0].tolist() == expected

    def test_outside_of_a_mask(self):
        mask = mask_of((6, 6), [(1, 5), (1, 5)])
        mask[1, 1] = False
        region = find_region(mask, kind="mask", margin_fraction=0)
        label = np.full((6, 6), 2, dtype=np.uint8)
        kept = cut_labels(label, region, (4, 4))
        void = cut_labels(label, region, (4, 4), outside=255)
        assert (kept == 2).all()
        assert void[0, 0] == 255
        assert (void == 255).sum() == 1

    def test_method_is_checked(self):
        with pytest.raises(ConfigError, match="did you mean 'vote'"):
            cut_labels(np.ones((2, 2), int), Region((0, 0), (2, 2), (2, 2)), (2, 2), method="votes")


class TestPaste:
    def test_place_scale_and_fill(self):
        region = Region((2, 3), (4, 5), (10, 12))
        result = paste(np.ones((2, 8, 20)), region, (10, 12), fill=(0.75, 0.25))
        expected = np.empty((2, 10, 12))
        expected[0], expected[1] = 0.75, 0.25
        expected[:, 2:6, 3:8] = 1
        np.testing.assert_array_equal(result, expected)

    def test_what_lies_beyond_the_image_is_dropped(self):
        region = Region((-2, 0), (6, 2), (2, 2))
        rows = np.arange(6.0)[None, :, None].repeat(2, axis=2)
        assert paste(rows, region, (2, 2))[0].tolist() == [[2, 2], [3, 3]]

    def test_thin_lines_fade_and_do_not_vanish(self):
        region = Region((0, 0), (10, 10), (10, 10))
        for place in range(40):
            fine = np.zeros((1, 40, 40))
            fine[0, :, place] = 1
            assert paste(fine, region, (10, 10))[0].max() > 0.1

    def test_outside_of_the_mask_is_filled(self):
        mask = mask_of((9, 9), [(2, 7), (2, 7)])
        mask[2, 2] = False
        region = find_region(mask, kind="mask", margin_fraction=0.2)
        result = paste(np.ones((1, 20, 20)), region, (9, 9))
        np.testing.assert_allclose(result[0], mask, atol=1e-12)

    def test_refusals(self):
        region = Region((0, 0), (2, 2), (4, 4))
        with pytest.raises(ShapeError, match="found in an image of 4 x 4"):
            paste(np.ones((1, 2, 2)), region, (5, 4))
        with pytest.raises(ShapeError, match="fill has 2 numbers for 3 channels"):
            paste(np.ones((3, 2, 2)), region, (4, 4), fill=(0, 1))


class TestJitter:
    region = Region((20, 30), (24, 16), (80, 90))

    def test_nothing_changes_without_an_amount(self):
        assert jitter(self.region, np.random.default_rng(0), 0) == self.region

    def test_boxes_vary_around_the_given_one_within_the_amount(self):
        generator = np.random.default_rng(0)
        boxes = [jitter(self.region, generator, 0.25) for _ in range(400)]
        middles = np.array([np.add(b.start, np.divide(b.size, 2)) for b in boxes])
        edges = np.array([b.size for b in boxes])
        np.testing.assert_allclose(middles.mean(axis=0), (32, 38), atol=0.7)
        assert (np.abs(middles - (32, 38)) <= np.array((6.5, 4.5))).all()
        assert np.ptp(middles, axis=0).min() > 6
        assert edges[:, 0].min() == 19  # 24 / 1.25
        assert edges[:, 0].max() == 30
        np.testing.assert_allclose(edges[:, 0] / edges[:, 1], 1.5, atol=0.08)

    def test_boxes_stay_inside_and_keep_the_mask(self):
        mask = mask_of((30, 30), [(0, 12), (18, 30)])
        region = find_region(mask, kind="mask")
        for seed in range(50):
            moved = jitter(region, np.random.default_rng(seed), 0.5)
            assert moved.weights is region.weights
            if moved.size[0] <= 30:
                assert min(moved.start) >= 0
                assert max(np.add(moved.start, moved.size)) <= 30

    def test_same_state_same_box(self):
        first, second = (jitter(self.region, np.random.default_rng(5), 0.3) for _ in range(2))
        assert first == second


class TestSerialPrediction:
    image = np.zeros((1, 40, 60), np.float32)
    image[0, 10:22, 30:42] = 1
    image[0, 14:16, 34:36] = 3  # the small thing inside

    def test_fine_pass_sees_the_enlarged_region_and_its_result_lies_in_place(self):
        seen = []

        def fine(part):
            seen.append(part)
            return (part > 1.9).astype(np.float32)

        result = serial_predict(lambda x: (x > 0.5).astype(np.float32), fine, self.image)
        assert seen[0].shape == (1, 40, 60)
        assert seen[0].mean() > 3 * self.image.mean()
        np.testing.assert_array_equal(result.fine[0] > 0.5, self.image[0] > 2)
        np.testing.assert_array_equal(result.coarse[0] > 0.5, self.image[0] > 0.5)
        assert result.region == find_region(self.image[0] > 0.5)
        assert result.message == ""

    def test_empty_coarse_mask_is_said_and_fine_is_not_called(self):
        def fine(part):
            raise AssertionError("nothing to look at")

        result = serial_predict(lambda x: x * 0, fine, self.image, fill=(1, 0))
        assert result.region is None
        assert "coarse mask is empty" in result.message
        np.testing.assert_array_equal(result.fine[0], 1)
        np.testing.assert_array_equal(result.fine[1], 0)

    def test_options_reach_the_region_and_the_cut(self):
        result = serial_predict(
            lambda x: (x > 0.5).astype(np.float32),
            lambda x: np.ones_like(x),
            self.image,
            find=partial(find_region, kind="mask", margin_fraction=1.0),
            size=(16, 16),
        )
        np.testing.assert_array_equal(result.fine[0], self.image[0] > 0.5)

    def test_volumes(self):
        volume = np.zeros((1, 8, 20, 20), np.float32)
        volume[0, 2:5, 6:14, 6:14] = 1
        result = serial_predict(lambda x: x, lambda x: x, volume)
        assert result.region.size == (10, 10, 10)
        np.testing.assert_array_equal(result.fine > 0.5, volume > 0.5)

    def test_wrong_passes_are_named(self):
        good = lambda x: (x > 0.5).astype(np.float32)  # noqa: E731
        with pytest.raises(ShapeError, match="coarse gave shape"):
            serial_predict(lambda x: x[:, 1:], good, self.image)
        with pytest.raises(ShapeError, match="fine gave 1 channels and fill has 2"):
            serial_predict(good, good, self.image, fill=(1, 0))

    def test_foreground(self):
        assert foreground(np.array([[[0.5, 0.51]]])).tolist() == [[False, True]]
        three = np.array([[0.4, 0.2], [0.3, 0.5], [0.3, 0.3]])
        assert foreground(three).tolist() == [False, True]


def test_blank_has_the_fill():
    assert blank(2, (1, 2), (0.5, 0.25)).tolist() == [[[0.5, 0.5]], [[0.25, 0.25]]]
