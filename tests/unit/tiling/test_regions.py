"""Regions around every object of a mask, and two passes that look into each."""

import numpy as np
import pytest

from ushape.errors import ConfigError
from ushape.tiling.components import find_objects, object_mask
from ushape.tiling.roi import find_region, find_regions
from ushape.tiling.serial import predict_regions, serial_predict


def mask_of(size, *boxes):
    mask = np.zeros(size, dtype=bool)
    for box in boxes:
        mask[tuple(slice(first, last) for first, last in box)] = True
    return mask


TWO = mask_of((30, 40), [(2, 6), (3, 9)], [(18, 26), (20, 34)])


class TestFindRegions:
    def test_each_is_what_the_region_of_the_object_alone_would_be(self):
        found = find_regions(TWO, margin_fraction=0.2, proportions=(30, 40))
        alone = [
            find_region(mask, margin_fraction=0.2, proportions=(30, 40))
            for mask in (
                mask_of((30, 40), [(18, 26), (20, 34)]),
                mask_of((30, 40), [(2, 6), (3, 9)]),
            )
        ]
        assert list(found) == alone

    def test_kind_mask_keeps_one_object_each(self):
        first, second = find_regions(TWO, kind="mask")
        assert (first.weights.astype(bool) == mask_of((30, 40), [(18, 26), (20, 34)])).all()
        assert (second.weights.astype(bool) == mask_of((30, 40), [(2, 6), (3, 9)])).all()

    def test_an_object_inside_the_box_of_another_is_not_taken_with_it(self):
        ring = mask_of((20, 20), [(2, 18), (2, 18)]) & ~mask_of((20, 20), [(4, 16), (4, 16)])
        dot = mask_of((20, 20), [(8, 12), (8, 12)])
        outer, inner = find_regions(ring | dot, kind="mask")
        assert (outer.weights.astype(bool) == ring).all()
        assert (inner.weights.astype(bool) == dot).all()

    def test_specks_are_left_out(self):
        speck = TWO | mask_of((30, 40), [(0, 1), (39, 40)])
        assert len(find_regions(speck)) == 2
        assert len(find_regions(speck, least_fraction=0)) == 3
        assert find_regions(speck, most=1) == find_regions(TWO)[:1]

    def test_none_in_an_empty_mask(self):
        assert find_regions(np.zeros((4, 5, 6), bool)) == ()

    def test_volumes(self):
        mask = mask_of((8, 9, 10), [(1, 3), (1, 3), (1, 3)], [(4, 8), (4, 8), (5, 9)])
        assert [region.start for region in find_regions(mask, margin_fraction=0)] == [
            (4, 4, 5),
            (1, 1, 1),
        ]

    def test_refusals(self):
        with pytest.raises(ConfigError, match="square"):
            find_regions(TWO, kind="sqare")
        with pytest.raises(ConfigError, match="least_fraction"):
            find_regions(TWO, least_fraction=-1)


def test_an_object_is_singled_out_by_its_anchor():
    for entry in find_objects(TWO, least_fraction=0):
        inside = object_mask(TWO[entry.box], entry)
        assert inside.sum() == entry.pixels
        assert inside[entry.anchor]


class TestSeveralRegions:
    def test_each_is_predicted_and_put_back(self):
        image = TWO[None].astype(np.float32)
        seen = []

        def fine(part):
            seen.append(part.shape)
            return part

        result = serial_predict(lambda x: x, fine, image, find=find_regions, size=(16, 16))
        assert seen == [(1, 16, 16)] * 2
        assert len(result.regions) == 2
        assert result.region is result.regions[0]
        middle = mask_of((30, 40), [(3, 5), (4, 8)], [(19, 25), (21, 33)])
        assert (result.fine[0][middle] > 0.9).all()
        far = ~mask_of((30, 40), [(1, 7), (2, 10)], [(17, 27), (19, 35)])
        assert (result.fine[0][far] == 0).all()

    def test_where_regions_overlap_the_surer_one_wins(self):
        mask = mask_of((20, 20), [(2, 8), (2, 8)], [(10, 18), (10, 18)])
        regions = find_regions(mask, margin_fraction=0.5)
        values = iter([0.3, 0.8])
        found = predict_regions(
            lambda part: np.full((1, *part.shape[1:]), next(values), np.float32),
            np.zeros((1, 20, 20), np.float32),
            regions,
        )[0]
        first, second = (
            mask_of((20, 20), [(s.start, s.stop) for s in region.inside]) for region in regions
        )
        assert (first & second).any()
        np.testing.assert_allclose(found[second], 0.8, rtol=1e-6)
        np.testing.assert_allclose(found[first & ~second], 0.3, rtol=1e-6)
        assert (found[~(first | second)] == 0).all()

    def test_surest_means_farthest_from_what_lies_outside(self):
        regions = find_regions(mask_of((9, 9), [(1, 8), (1, 8)]), margin_fraction=0)
        pairs = iter([[0.4, 0.6], [0.9, 0.1]])
        found = predict_regions(
            lambda part: np.broadcast_to(
                np.array(next(pairs), np.float32)[:, None, None], (2, *part.shape[1:])
            ),
            np.zeros((1, 9, 9), np.float32),
            regions * 2,
            fill=(1.0, 0.0),
        )
        np.testing.assert_allclose(found[:, 4, 4], [0.4, 0.6], rtol=1e-6)
        np.testing.assert_allclose(found[:, 0, 0], [1, 0])
