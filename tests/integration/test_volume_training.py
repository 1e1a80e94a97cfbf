"""Training on volumes, from samples in memory: it learns, resumes, and knows thick slices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ushape.bundle import BundleHeader
from ushape.config.schema import (
    AugmentConfig,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    PatchConfig,
    PreprocessConfig,
    RunConfig,
    SamplingConfig,
    ScheduleConfig,
    TilingConfig,
    TrainConfig,
)
from ushape.data.sample import Sample
from ushape.data.sampling import index_places
from ushape.device import find_device
from ushape.errors import Stopped
from ushape.labels import LabelClass, LabelTable
from ushape.training.checkpoint import load_state
from ushape.training.loop import fit
from ushape.training.observe import Silence, read_log

TABLE = LabelTable((LabelClass("rest", 0), LabelClass("ball", 1)))
STEPS = 40


def ball(seed, size=(24, 24, 24), spacing=(1.0, 1.0, 1.0)):
    """A bright ball, round in millimetres, in noise."""
    generator = np.random.default_rng(seed)
    lengths = np.multiply(size, spacing)
    radius = generator.uniform(0.2, 0.3) * lengths.min()
    centre = [generator.uniform(radius, length - radius) for length in lengths]
    place = [(np.arange(n) + 0.5) * edge for n, edge in zip(size, spacing, strict=True)]
    away = sum((p - c) ** 2 for p, c in zip(np.ix_(*place), centre, strict=True))
    target = (away < radius**2).astype(np.uint8)
    image = generator.normal(0, 0.5, size) + 1.5 * target
    return Sample(
        f"ball{seed}",
        image[None].astype(np.float32),
        target,
        places=index_places(target, TABLE, seed),
        spacing_mm=spacing,
    )


def settings(**changes):
    config = RunConfig(
        data=DataConfig("d", "none", {}),
        model=ModelConfig("unet_padding", 1, 1, {"spatial_dims": 3, "levels": 3, "width": 4}),
        preprocess=PreprocessConfig(1),
        patch=PatchConfig((16, 16, 16), 2),
        augment=AugmentConfig(),
        loss="dice + bce",
        optimizer=OptimizerConfig(learning_rate=0.02),
        schedule=ScheduleConfig(steps=STEPS),
        train=TrainConfig(ema_decay=0.8, validations=2, channels_last=True),
        tiling=TilingConfig((24, 24, 24)),
        sampling=SamplingConfig(foreground_fraction=0.5),
    )
    return replace(config, **changes)


def train(config, folder, *, samples=None, is_resumed=False, observer=None):
    cases = samples or [ball(seed) for seed in range(8)]
    return fit(
        config,
        TABLE,
        cases[:6],
        cases[6:],
        folder,
        class_fractions=(0.05,),
        device=find_device("cpu"),
        header=BundleHeader(TABLE, config.preprocess, config.tiling),
        is_resumed=is_resumed,
        observer=observer or Silence(),
    )


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("balls")
    return folder, train(settings(), folder)


def test_it_learns_to_find_balls(uninterrupted):
    _, result = uninterrupted
    assert result.steps == STEPS
    assert result.best_score is not None
    assert result.best_score > 0.8


def test_a_resumed_run_ends_with_the_weights_of_one_that_was_not(
    uninterrupted, tmp_path, monkeypatch
):
    folder, whole = uninterrupted
    monkeypatch.setattr("ushape.training.loop.LOG_EVERY_S", 0.0)

    class Breaks(Silence):
        """Breaks off in the middle."""

        def stepped(self, report):
            if report.step == 26:
                raise Stopped

    config = settings(train=replace(settings().train, save_every_s=0.0))
    with pytest.raises(Stopped):
        train(config, tmp_path, observer=Breaks())
    assert load_state(tmp_path / "state.pt")[0].step == 25
    result = train(config, tmp_path, is_resumed=True)
    assert result.best_score == whole.best_score
    for name in ("best", "last"):
        first, second = (load_file(f / f"{name}.safetensors") for f in (folder, tmp_path))
        assert first.keys() == second.keys()
        assert all(torch.equal(first[key], second[key]) for key in first)


def test_thick_slices_are_never_tilted(tmp_path, monkeypatch):
    """At 5 x 1 x 1 mm a turn within the plane alone is drawn; at 1 x 1 x 1 mm any."""
    import ushape.training.batch as module

    drawn = []
    original = module.draw_augmentation
    monkeypatch.setattr(
        module,
        "draw_augmentation",
        lambda *args, **options: drawn.append(original(*args, **options)) or drawn[-1],
    )
    config = settings(
        model=ModelConfig("unet_25d", 1, 1, {"width": 4, "levels": 3}),
        patch=PatchConfig((8, 16, 16), 2),
        tiling=TilingConfig((8, 32, 32)),
        schedule=ScheduleConfig(steps=6),
        augment=AugmentConfig(rotation_probability=1),
    )
    for spacing in ((5.0, 1.0, 1.0), (1.0, 1.0, 1.0)):
        drawn.clear()
        samples = [ball(seed, (9, 30, 26), spacing) for seed in range(4)]
        train(config, tmp_path / str(spacing[0]), samples=[*samples, *samples])
        matrices = torch.cat([each.matrix for each in drawn])
        is_tilted = bool((matrices[:, 0, 1:].abs() > 1e-6).any())
        assert is_tilted == (spacing[0] == 1)
    # What all volumes were resampled to wins over what a sample says.
    drawn.clear()
    prepared = replace(config, preprocess=PreprocessConfig(1, spacing_mm=(5.0, 1.0, 1.0)))
    train(prepared, tmp_path / "set", samples=[*samples, *samples])
    assert not (torch.cat([each.matrix for each in drawn])[:, 0, 1:].abs() > 1e-6).any()


def test_validation_takes_what_the_schedule_can_afford(tmp_path, monkeypatch):
    monkeypatch.setattr("ushape.training.loop.LEAST_VALIDATION", 3.0 * 24**3)

    class Listener(Silence):
        """Keeps what is said."""

        def __init__(self):
            self.notes, self.counts = [], set()

        def note(self, text):
            self.notes.append(text)

        def validating(self, done, total):
            self.counts.add(total)

    listener = Listener()
    config = settings(schedule=ScheduleConfig(steps=2))
    samples = [ball(0) for _ in range(6)] + [ball(seed) for seed in range(5)]
    train(config, tmp_path, samples=samples, observer=listener)
    assert listener.counts == {3}
    assert listener.notes == [
        "validating on 3 of 5 cases while training, which is what the schedule can afford"
    ]
    assert len([e for e in read_log(tmp_path / "metrics.jsonl") if e["event"] == "validation"]) == 2
