"""Scores on whole images, as they are defined."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ushape.config.schema import (
    AugmentConfig,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    PatchConfig,
    PreprocessConfig,
    RunConfig,
    ScheduleConfig,
    TilingConfig,
    TrainConfig,
)
from ushape.data.sample import Sample
from ushape.labels import LabelClass, LabelTable
from ushape.nets import geometry_of, make_spec
from ushape.nets.network import Output
from ushape.training.validate import choose_cases, mean_defined, searched_classes, validate

SPEC = make_spec("unet_padding", levels=3, width=2)
BINARY = LabelTable((LabelClass("rest", 0), LabelClass("cell", 255)))
THREE = LabelTable(tuple(LabelClass(name, value) for value, name in enumerate("xyz")))


class Oracle(torch.nn.Module):
    """Predicts the class that the image's value names; the geometry is a real network's."""

    def __init__(self, classes):
        super().__init__()
        self.classes, self.geometry, self.spec = classes, geometry_of(SPEC), SPEC

    def forward(self, image):
        if self.classes == 1:
            return Output((image - 0.5) * 20, ())
        kinds = torch.arange(self.classes).view(1, -1, 1, 1)
        return Output(20.0 * (image.round() == kinds), ())


@pytest.fixture
def settings():
    return RunConfig(
        data=DataConfig("d", "none", {}),
        model=ModelConfig("unet_padding", 1, 1),
        preprocess=PreprocessConfig(1),
        patch=PatchConfig((16, 16), 1),
        augment=AugmentConfig(),
        loss="dice",
        optimizer=OptimizerConfig(),
        schedule=ScheduleConfig(steps=1),
        train=TrainConfig(),
        tiling=TilingConfig((16, 16), mirror=True),
    )


def sample(predicted, true):
    return Sample("a", np.array(predicted, np.float32)[None], np.array(true, np.uint8))


def rows(*counts, width=30):
    """A picture of rows: counts[k] rows of class k."""
    return np.repeat(np.arange(len(counts)), counts)[:, None] * np.ones((1, width), int)


def score(settings, table, *pairs, **options):
    return validate(
        Oracle(table.num_logits),
        [sample(*pair) for pair in pairs],
        settings,
        table,
        device=torch.device("cpu"),
        **options,
    )


def dice(hits, predicted, true):
    return 2 * hits / (predicted + true)


def test_a_perfect_prediction(settings):
    picture = rows(12, 11)
    scores = score(settings, BINARY, (picture, picture))
    assert scores.score == 1
    assert scores.class_dice == {"cell": 1}


def test_the_mean_is_over_cases_not_over_pixels(settings):
    small, large = rows(5, 2), rows(10, 30)
    empty = np.zeros_like(large)
    scores = score(settings, BINARY, (small, small), (empty, large))
    assert scores.score == pytest.approx(0.5)


def test_classes_count_alike_and_the_background_does_not(settings):
    true, predicted = rows(20, 10, 2), rows(20, 12, 0)
    scores = score(settings, THREE, (predicted, true))
    expected = dice(10, 12, 10)
    assert scores.class_dice == pytest.approx({"y": expected, "z": 0})
    assert scores.score == pytest.approx(expected / 2)


def test_where_nothing_is_and_nothing_is_said_there_is_no_score(settings):
    nothing, some = rows(20, 0), rows(10, 10)
    scores = score(settings, BINARY, (nothing, nothing), (some, some))
    assert scores.score == 1
    only = score(settings, BINARY, (nothing, nothing))
    assert np.isnan(only.score)
    wrong = score(settings, BINARY, (some, nothing), (some, some))
    assert wrong.score == 0.5


def test_a_class_that_no_case_holds_is_left_out(settings):
    picture = rows(20, 10, 0)
    scores = score(settings, THREE, (picture, picture))
    assert scores.score == 1
    assert np.isnan(scores.class_dice["z"])


def test_progress_and_stop(settings):
    picture, seen = rows(12, 11), []
    score(settings, BINARY, *[(picture, picture)] * 3, progress=lambda *p: seen.append(p))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    answers = iter([False, True])
    stopped = score(settings, BINARY, *[(picture, picture)] * 3, is_stopped=lambda: next(answers))
    assert stopped is None


def test_validation_does_not_mirror(settings, monkeypatch):
    """Eight views would make every validation eight times as long."""
    calls = []
    original = Oracle.forward

    def counted(self, image):
        calls.append(len(image))
        return original(self, image)

    monkeypatch.setattr(Oracle, "forward", counted)
    picture = rows(8, 8, width=16)
    score(settings, BINARY, (picture, picture))
    assert sum(calls) == 1


def test_bands_of_a_tall_image_count_as_the_whole(settings):
    """Tiles of 16 rows: the counts of a case come in several bands."""
    generator = np.random.default_rng(3)
    true, predicted = generator.integers(0, 3, (2, 90, 20))
    scores = score(settings, THREE, (predicted, true))
    expected = [
        2 * np.sum((true == k) & (predicted == k)) / (np.sum(true == k) + np.sum(predicted == k))
        for k in (1, 2)
    ]
    assert list(scores.class_dice.values()) == pytest.approx(expected)


def test_what_a_schedule_cannot_afford_is_left_out_evenly():
    geometry, tiling = geometry_of(SPEC), TilingConfig((16, 16), overlap_fraction=0)
    cases = [Sample(str(n), np.zeros((1, 16, 16), np.float32)) for n in range(10)]
    large = Sample("large", np.zeros((1, 64, 64), np.float32))

    def names(samples, tiles):
        return [case.id for case in choose_cases(samples, geometry, tiling, tiles * 256)]

    assert names(cases, 10) == list("0123456789")
    assert names(cases, 9.9)[0] in "01"
    assert names(cases, 5) == ["1", "3", "5", "7", "9"]
    assert len(names(cases, 1)) == len(names(cases, 0.1)) == 1
    assert names([large, *cases], 12) == ["0", "2", "4", "6", "8"], "the large one costs sixteen"


def test_means_without_nan():
    values = np.array([[1.0, np.nan], [2.0, np.nan], [np.nan, np.nan]])
    means = mean_defined(values)
    assert means[0] == 1.5
    assert np.isnan(means[1])


def test_the_best_threshold_is_that_of_the_best_mean_dice():
    from ushape.training.validate import NUM_THRESHOLDS, ThresholdSearch

    rng = np.random.default_rng(4)
    search, cases = ThresholdSearch(), []
    for share in (0.02, 0.3):
        truth = rng.random(4000) < share
        probabilities = np.clip(0.25 + 0.2 * truth + rng.normal(0, 0.1, 4000), 0, 1)
        cases.append((probabilities.astype(np.float32), truth))
        search.begin_case()
        search.add(*(part[:1500] for part in cases[-1]))
        search.add(*(part[1500:] for part in cases[-1]))
    limits = np.arange(1, NUM_THRESHOLDS) / NUM_THRESHOLDS
    dice = [
        np.mean([2 * np.sum((p >= t) & y) / (np.sum(p >= t) + np.sum(y)) for p, y in cases])
        for t in limits.astype(np.float32)
    ]
    threshold, score = search.best()
    assert threshold == pytest.approx(limits[int(np.argmax(dice))])
    assert score == pytest.approx(max(dice))
    assert threshold < 0.45


def test_cases_without_the_class_do_not_choose_a_threshold():
    from ushape.training.validate import ThresholdSearch

    empty = np.zeros(10, bool)
    search = ThresholdSearch()
    assert search.best()[0] == 0.5
    search.begin_case()
    search.add(np.full(10, 0.01, np.float32), empty)
    search.begin_case()
    search.add(np.array([0.9] * 5 + [0.1] * 5, np.float32), np.arange(10) < 5)
    threshold, score = search.best()
    assert threshold == 0.5
    assert score == 1


def test_thresholds_of_all_classes_are_searched_where_asked(settings):
    asked = replace(settings, train=TrainConfig(thresholds="all"))
    assert searched_classes(settings, BINARY) == ()
    assert searched_classes(asked, BINARY) == ("cell",)
    assert searched_classes(asked, THREE) == (), "softmax: the largest wins"


def test_a_searched_threshold_mends_a_shifted_score(settings):
    """Truth from 0.9 on, other pixels at 0.6: one half takes all of them, a threshold none."""

    class Shifted(Oracle):
        def forward(self, image):
            return Output(torch.logit(image), ())

    image = np.full((1, 16, 16), 0.6, np.float32)
    image[:, :8] = 0.9
    truth = np.zeros((16, 16), np.uint8)
    truth[:8] = 1
    cases = [Sample("a", image, truth)]
    at_half = validate(Shifted(1), cases, settings, BINARY, device=torch.device("cpu"))
    asked = replace(settings, train=TrainConfig(thresholds="all"))
    found = validate(Shifted(1), cases, asked, BINARY, device=torch.device("cpu"))
    assert at_half.score == pytest.approx(2 / 3)
    assert found.score == pytest.approx(1)
    assert 0.6 < found.thresholds["cell"] < 0.9
