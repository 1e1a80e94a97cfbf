"""The training loop, from the first step to the last, in one place.

Nothing here is random but by (seed, step), and the state is complete: a run that is killed and
resumed ends with the weights of one that was not (with a budget in steps, on the same machine).
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from lightning_fabric import Fabric

from ushape.bundle import BundleHeader, save_bundle
from ushape.config.schema import RunConfig
from ushape.data.fine import coarse_table
from ushape.data.sample import Sample
from ushape.device import DeviceFacts, channels_last
from ushape.errors import ConfigError, Stopped
from ushape.labels import LabelTable
from ushape.losses import LossValue
from ushape.nets import build_network, load_initial_weights, make_spec
from ushape.nets.network import Output, SegmentationNetwork
from ushape.nets.second_pass import separate_statistics
from ushape.training.average import AveragedWeights
from ushape.training.batch import NETWORK_STREAM, make_batch, stream_seed
from ushape.training.checkpoint import TrainState, load_state, save_state
from ushape.training.fine import SecondPass, split_state
from ushape.training.objective import build_objective
from ushape.training.observe import Observer, RunLog, StepReport, ValidationReport
from ushape.training.optimizer import build_optimizer
from ushape.training.schedule import Clock, learning_rate_factor
from ushape.training.signals import StopRequest
from ushape.training.start import take_weights
from ushape.training.step import train_step
from ushape.training.validate import choose_cases, validate

logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces the precision

LOG_EVERY_S = 1.0
VALIDATION_SHARE = 0.15
"""With a time budget, validations between the first and the last stop at this part of it. All of
them are planned to cost no more, whatever the schedule."""
LEAST_VALIDATION = 2.0**22
"""Voxels that every validation may predict, however short the training is."""


@dataclass(frozen=True)
class FitResult:
    """What training left behind; `best_score` is None when there were no validation cases."""

    steps: int
    seconds: float
    best_score: float | None
    best_step: int


def fit(
    config: RunConfig,
    labels: LabelTable,
    train_samples: Sequence[Sample],
    val_samples: Sequence[Sample],
    fold: Path,
    *,
    class_fractions: Sequence[float],
    device: DeviceFacts,
    header: BundleHeader,
    is_resumed: bool,
    observer: Observer,
) -> FitResult:
    """Train a network and keep its best and last weights.

    Args:
        config: All settings.
        labels: The classes.
        train_samples: Cases to cut patches from.
        val_samples: Cases to measure on.
        fold: Folder for `best.safetensors`, `last.safetensors`, `state.pt` and `metrics.jsonl`.
        class_fractions: Share of pixels of each logit channel's class, for `weight=auto`.
        device: Where to train.
        header: What the model files say besides the weights.
        is_resumed: Go on from `state.pt` when it is there.
        observer: Is told of every step and validation.

    Raises:
        ConfigError: The weights became nan or infinite; what was saved before is kept.
        Stopped: SIGINT or SIGTERM came; the state is saved.
    """
    run = _Run(
        config,
        labels,
        train_samples,
        val_samples,
        fold,
        class_fractions,
        device,
        header,
        is_resumed=is_resumed,
    )
    run.observer = observer
    run.restore(is_resumed=is_resumed)
    with StopRequest() as stop:
        run.stop = stop
        while True:
            if run.is_validation_due():
                run.validate_and_keep()
            if run.clock.is_over(run.state.step):
                break
            run.advance()
            if stop.is_set:
                run.save()
                raise Stopped
            if time.monotonic() - run.last_save >= config.train.save_every_s:
                run.save()
        if run.state.validated_step != run.state.step:
            run.validate_and_keep()
    state = run.state
    return FitResult(state.step, state.spent_s, state.best_score, state.best_step)


class _Run:
    """The moving parts of one run."""

    observer: Observer
    stop: StopRequest

    def __init__(
        self,
        config: RunConfig,
        labels: LabelTable,
        train_samples: Sequence[Sample],
        val_samples: Sequence[Sample],
        fold: Path,
        class_fractions: Sequence[float],
        device: DeviceFacts,
        header: BundleHeader,
        *,
        is_resumed: bool,
    ) -> None:
        self.state_path = fold / "state.pt"
        self.config, self.labels, self.fold, self.header = config, labels, fold, header
        self.train_samples, self.val_samples = train_samples, val_samples
        self.judged: tuple[Sample, ...] = ()
        self.notes: tuple[str, ...] = ()
        self.fabric = Fabric(accelerator=device.kind, devices=1, precision=config.train.precision)
        self.device = self.fabric.device
        torch.manual_seed(config.train.seed)
        model = config.model
        spec = make_spec(
            model.name, in_channels=model.in_channels, classes=model.classes, **model.options
        )
        self.plain = build_network(spec)
        if not (is_resumed and self.state_path.exists()):
            load_initial_weights(self.plain)
            if config.train.start_from is not None:
                self.notes = take_weights(
                    self.plain, config.train.start_from, config.preprocess, labels.names
                )
        if config.fine.classes:
            separate_statistics(self.plain)
        if config.train.channels_last:
            self.plain = self.plain.to(  # type: ignore[call-overload]
                memory_format=channels_last(spec.kit.spatial_dims)
            )
        self.network, self.optimizer = self.fabric.setup(
            self.plain, build_optimizer(self.plain, config.optimizer)
        )
        self.average = AveragedWeights(self.plain, config.train.ema_decay)
        self.judge: SegmentationNetwork = build_network(spec)
        if config.fine.classes:
            separate_statistics(self.judge)
        self.judge.to(self.device).eval()
        learnt = coarse_table(labels, config.fine) if config.fine.classes else labels
        self.objective = build_objective(config, learnt, class_fractions)
        self.second = SecondPass(config, labels, train_samples) if config.fine.classes else None
        self.notes += () if self.second is None else self.second.notes
        self.state = TrainState()
        self.last_save = self.last_log = time.monotonic()

    def restore(self, *, is_resumed: bool) -> None:
        """Start the clock and the log, after loading the saved state if there is one."""
        if is_resumed and self.state_path.exists():
            self.state, parts = load_state(self.state_path)
            self.plain.load_state_dict(parts["network"])
            self.average.load(parts["average"])
            self.optimizer.load_state_dict(parts["optimizer"])
            first, second = split_state(parts.get("loss", {}))
            self.objective.load_state(first)
            if self.second is not None:
                self.second.load_state(second)
            self.observer.note(f"resumed at step {self.state.step}")
        for note in self.notes:
            self.observer.note(note)
        self.clock = Clock(self.config.schedule, spent_s=self.state.spent_s)
        self.clock.reserve_s = self.state.validation_s
        self.log = RunLog(
            self.fold / "metrics.jsonl",
            resume_step=self.state.step,
            validated_step=self.state.validated_step,
        )

    def advance(self) -> None:
        """Take one training step."""
        began = time.monotonic()
        step, config = self.state.step, self.config
        factor = learning_rate_factor(self.clock.fraction(step), config.schedule)
        rate = config.optimizer.learning_rate * factor
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        torch.manual_seed(
            stream_seed(config.train.seed, step, self.fabric.global_rank, NETWORK_STREAM)
        )
        batch = make_batch(
            self.train_samples,
            config,
            self.plain.geometry,
            labels=self.labels,
            step=step,
            rank=self.fabric.global_rank,
            device=self.device,
        )
        self.network.train()
        second = None if self.second is None else partial(self._second_loss, self.second, step)
        value = train_step(
            self.fabric,
            self.network,
            self.optimizer,
            self.objective,
            self.plain.spec,
            batch,
            clip_norm=config.optimizer.clip_norm,
            second=second,
        )
        self.state.step += 1
        self.average.update(self.plain, self.state.step)
        self.state.spent_s = self.clock.spent_s
        self.clock.step_done(time.monotonic() - began)
        self._report(value, rate, time.monotonic() - began)

    def _second_loss(self, second: SecondPass, step: int, first: Output) -> LossValue:
        return second(
            self.network,
            self.plain,
            first,
            step=step,
            rank=self.fabric.global_rank,
            device=self.device,
        )

    def _report(self, value: LossValue, rate: float, seconds: float) -> None:
        is_due = time.monotonic() - self.last_log >= LOG_EVERY_S
        if not (is_due or self.state.step == 1 or self.clock.is_over(self.state.step)):
            return
        self.last_log = time.monotonic()
        if not math.isfinite(float(value.total.detach())):
            self._check_weights()
        report = StepReport(
            step=self.state.step,
            loss=float(value.total.detach()),
            parts={name: float(part) for name, part in value.parts.items()},
            learning_rate=rate,
            samples_per_s=self.config.patch.batch / max(seconds, 1e-9),
            fraction=self.clock.fraction(self.state.step),
            spent_s=self.state.spent_s,
            remaining_s=self.clock.remaining_s(self.state.step),
            factors={name: float(factor) for name, factor in value.factors.items()},
        )
        self.log.write("step", report)
        self.observer.stepped(report)

    def is_validation_due(self) -> bool:
        """Say whether the next validation's place in the schedule has come.

        The last one is not scheduled here: it comes after the last step.
        """
        if not self.val_samples:
            return False
        wanted = self.config.train.validations
        place = (self.state.validations + 1) / wanted
        schedule = self.config.schedule
        if schedule.steps is not None:
            return self.state.step >= place * schedule.steps
        assert schedule.budget_s is not None
        spent_validating = self.state.validations * self.state.validation_s
        is_affordable = spent_validating <= VALIDATION_SHARE * schedule.budget_s
        return place < 1 and is_affordable and self.clock.fraction(self.state.step) >= place

    def validate_and_keep(self) -> None:
        """Measure the averaged weights; keep them as `last`, and as `best` if they are."""
        self._check_weights()
        began = time.monotonic()
        self.judge.load_state_dict(self.average.weights)
        scores = None
        if self.val_samples:
            scores = validate(
                self.judge,
                self._affordable_cases(),
                self.config,
                self.labels,
                device=self.device,
                progress=self.observer.validating,
                is_stopped=lambda: self.stop.is_set,
            )
            if scores is None:
                self.save()
                raise Stopped
        state = self.state
        # No score at all (nan) where neither truth nor prediction holds any class.
        score = scores.score if scores and math.isfinite(scores.score) else None
        is_best = state.best_score is None or (score is not None and score > state.best_score)
        state.validations += 1
        state.validated_step = state.step
        if is_best:
            state.best_score = score
            state.best_step = state.step
        self._keep(is_best=is_best, score=score, thresholds=scores.thresholds if scores else {})
        seconds = time.monotonic() - began
        state.validation_s = max(state.validation_s, seconds)
        self.clock.reserve_s = state.validation_s
        state.spent_s = self.clock.spent_s
        if scores:
            report = ValidationReport(
                state.step, scores.score, scores.class_dice, is_best, seconds, state.spent_s
            )
            self.log.write("validation", report)
            self.observer.validated(report)
        self.save()

    def _affordable_cases(self) -> Sequence[Sample]:
        """Choose the cases to validate on, the same at every validation of a run.

        All together shall cost no more than `VALIDATION_SHARE` of the training that the schedule
        is good for; a step's forward and backward pass cost about three predictions.
        """
        if self.judged:
            return self.judged
        state, config = self.state, self.config
        if not state.validation_voxels:
            steps = state.step / max(self.clock.fraction(state.step), 1e-9)
            trained = steps * config.patch.batch * math.prod(config.patch.size)
            share = 3 * VALIDATION_SHARE / config.train.validations
            state.validation_voxels = max(share * trained, LEAST_VALIDATION)
        self.judged = choose_cases(
            self.val_samples, self.plain.geometry, config.tiling, state.validation_voxels
        )
        if len(self.judged) < len(self.val_samples):
            self.observer.note(
                f"validating on {len(self.judged)} of {len(self.val_samples)} cases while "
                "training, which is what the schedule can afford"
            )
        return self.judged

    def _keep(self, *, is_best: bool, score: float | None, thresholds: Mapping[str, float]) -> None:
        facts = {
            **self.header.provenance,
            "step": self.state.step,
            "validation_dice": score,
            "training_s": round(self.state.spent_s, 1),
        }
        header = replace(
            self.header, provenance=facts, thresholds={**self.header.thresholds, **thresholds}
        )
        for name in ("last", "best") if is_best else ("last",):
            save_bundle(
                self.fold / f"{name}.safetensors",
                self.plain,
                header,
                weights=self.average.weights,
            )

    def _check_weights(self) -> None:
        """Stop before weights that are ruined take the place of good ones.

        Raises:
            ConfigError: A weight is nan or infinite.
        """
        weights = self.average.weights.values()
        if all(bool(torch.isfinite(weight).all()) for weight in weights):
            return
        config = self.config
        raise ConfigError(
            f"at step {self.state.step} weights are nan or infinite; what was saved before is kept "
            f"in {self.fold}. Start a new run with a smaller optimizer.learning_rate (it was "
            f"{config.optimizer.learning_rate:g}), another loss, or train.precision=32-true (it "
            f"was {config.train.precision})"
        )

    def save(self) -> None:
        """Write the resume state."""
        self._check_weights()
        self.state.spent_s = self.clock.spent_s
        save_state(
            self.state_path,
            self.state,
            network=self.plain.state_dict(),
            average=self.average.weights,
            optimizer=self.optimizer.state_dict(),
            loss={**self.objective.state(), **(self.second.state() if self.second else {})},
        )
        self.last_save = time.monotonic()
