"""The linear probe against direct solutions and brute force."""

import math

import numpy as np
import pytest

from ushape.explain.probe import RIDGE, Tally, draw_points, fit_probes, make_folds


def test_probes_solve_the_ridge_regression():
    generator = np.random.default_rng(0)
    features = generator.normal(3, (1, 20, 0.01), (200, 3)).astype(np.float32)
    targets = (features[:, :1] + features[:, 1:2] / 20 > 6).astype(np.float32)
    targets = np.concatenate([targets, 1 - targets], axis=1)
    weights, folds = generator.random(200), (np.arange(200) % 3).astype(np.int8)

    slopes, offsets = fit_probes(features, targets, weights, folds, 3)

    share = weights / weights.sum()
    mean = share @ features
    deviation = np.sqrt(share @ (features - mean) ** 2)
    scaled = np.c_[(features - mean) / deviation, np.ones(200)]
    for probe in range(4):
        is_in = folds != probe
        root = np.sqrt(share[is_in] / share[is_in].sum())[:, None]
        rows = np.r_[root * scaled[is_in], np.sqrt(RIDGE) * np.eye(4)[:3]]
        wanted = np.r_[root * targets[is_in], np.zeros((3, 2))]
        solution = np.linalg.lstsq(rows, wanted, rcond=None)[0]
        expected = scaled @ solution
        found = features @ slopes[probe].T + offsets[probe]
        np.testing.assert_allclose(found, expected, atol=2e-3)


def test_constant_channels_are_not_read():
    features = np.c_[np.full(50, 1000.0), np.arange(50) % 2].astype(np.float32)
    targets = features[:, 1:].copy()
    slopes, offsets = fit_probes(features, targets, np.ones(50), np.zeros(50, np.int8), 1)
    assert slopes[-1, 0, 0] == 0
    np.testing.assert_allclose(features @ slopes[-1].T + offsets[-1], targets, atol=0.02)


def test_what_is_held_out_is_not_learned_by_heart():
    generator = np.random.default_rng(0)
    features = generator.normal(size=(400, 300)).astype(np.float32)
    masks = generator.random((1, 20, 20)) < 0.3
    folds = make_folds([(20, 20)], (1, 1))[0]
    slopes, offsets = fit_probes(
        features, masks.reshape(1, -1).T.astype(np.float32), np.ones(400), folds.ravel(), 4
    )
    scores = (features @ slopes.transpose(0, 2, 1) + offsets[:, None]).transpose(0, 2, 1)
    tally = Tally(1, 4)
    tally.add(scores.reshape(5, 1, 20, 20), masks, folds, None)
    probe = tally.probe(0)
    assert probe.is_held_out
    assert abs(probe.auc - 0.5) < 0.1
    seen = scores[-1, 0] > tally.limits(0)[-1]
    assert (seen == masks.ravel()).mean() > 0.95, "the probe of all pixels does know them"


def test_dice_and_auc_by_brute_force():
    generator = np.random.default_rng(0)
    masks = generator.random((1, 30, 30)) < 0.2
    scores = np.stack([masks + generator.normal(0, 0.4, (1, 30, 30)) for _ in range(3)])
    scores = np.round(scores, 1) + 0.0005
    folds = (np.arange(900).reshape(30, 30) % 2).astype(np.int8)
    void = generator.random((30, 30)) < 0.1
    tally = Tally(1, 2)
    for rows in (slice(0, 11), slice(11, 30)):  # as of two images
        tally.add(scores[:, :, rows], masks[:, rows], folds[rows], void[rows])
    probe = tally.probe(0)

    def dice(pairs):
        hit = sum((found & true).sum() for found, true in pairs)
        return 2 * hit / sum(found.sum() + true.sum() for found, true in pairs)

    pairs, aucs, counts = [], [], []
    for fold in range(2):
        seen, held = (folds != fold) & ~void, (folds == fold) & ~void
        true, one = masks[0], scores[fold, 0]
        limits = np.arange(-1, 2, 0.1) + 0.05
        limit = max(limits, key=lambda x: dice([(one[seen] > x, true[seen])]))
        pairs.append((one[held] > limit, true[held]))
        own, rest = one[held & true], one[held & ~true]
        order = np.sign(own[:, None] - rest[None])
        aucs.append(((order + 1) / 2).mean())
        counts.append(len(own))
    assert probe.dice == pytest.approx(dice(pairs))
    assert probe.fold_dice == pytest.approx([dice([pair]) for pair in pairs])
    assert probe.auc == pytest.approx(np.average(aucs, weights=counts))


def test_a_class_in_one_place_is_scored_where_it_was_fitted_and_that_is_told():
    masks = np.zeros((1, 16, 16), dtype=bool)
    masks[0, 0, 0] = True
    tally = Tally(1, 4)
    tally.add(
        np.repeat(masks[None], 5, 0).astype(float), masks, make_folds([(16, 16)], (1, 1))[0], None
    )
    probe = tally.probe(0)
    assert not probe.is_held_out
    assert probe.dice == 1
    assert probe.fold_dice == ()


def test_folds_without_the_class_count_false_alarms():
    masks = np.zeros((1, 1, 8), dtype=bool)
    masks[0, 0, [0, 2]] = True
    folds = np.array([[0, 0, 1, 1, 2, 2, 2, 2]], np.int8)
    scores = np.zeros((4, 1, 1, 8))
    scores[..., [0, 2, 5]] = 1  # one false alarm, in the fold without the class
    tally = Tally(1, 3)
    tally.add(scores, masks, folds, None)
    probe = tally.probe(0)
    assert probe.dice == pytest.approx(2 * 2 / (2 * 2 + 1))
    assert probe.fold_dice[:2] == (1.0, 1.0)
    assert math.isnan(probe.fold_dice[2])


def test_folds_are_images_or_blocks():
    several = make_folds([(4, 4)] * 6, (2, 2))
    assert [set(fold.ravel().tolist()) for fold in several] == [{0}, {1}, {2}, {3}, {0}, {1}]
    (single,) = make_folds([(64, 64)], (16, 16))
    assert set(single.ravel().tolist()) == {0, 1, 2, 3}
    blocks = single.reshape(4, 16, 4, 16)
    assert (blocks == blocks[:, :1, :, :1]).all()
    assert (np.diff(blocks[:, 0, :, 0], axis=0) != 0).all()
    assert (np.diff(blocks[:, 0, :, 0], axis=1) != 0).all()


def test_points_are_drawn_from_every_combination_alike():
    masks = np.zeros((2, 40, 40), dtype=bool)
    masks[0, :20] = True
    masks[1, 18:22, :3] = True
    void = np.zeros((40, 40), dtype=bool)
    void[:, 30:] = True
    points, weights = draw_points(masks, void, 80, np.random.default_rng(0))
    codes = masks[0] + 2 * masks[1]
    drawn = codes[tuple(points.T)]
    assert not void[tuple(points.T)].any()
    assert len({tuple(point) for point in points.tolist()}) == len(points)
    assert np.bincount(drawn).tolist() == [20, 20, 6, 6]
    np.testing.assert_allclose(np.bincount(drawn, weights), 1)
