"""The second half of a joint step: enlarged regions through the same weights, to the fine head.

One step of a fine-grained network sees patches, whose loss is that of the coarse classes, and
regions cut from the true mask of the class that is looked into, whose loss is that of the small
classes. Both losses are added, and one backward pass follows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ushape.config.schema import FineConfig, RunConfig
from ushape.data.augment import draw_augmentation, window_size
from ushape.data.fine import fine_table
from ushape.data.regions import TrueObject, cut_regions, list_objects, small_fractions
from ushape.data.sample import Sample
from ushape.device import channels_last
from ushape.labels import LabelTable
from ushape.losses import LossValue, Mixture, build_loss
from ushape.losses.pixels import Reduce
from ushape.nets import Geometry
from ushape.nets.network import Output, SegmentationNetwork
from ushape.nets.second_pass import fine_head, second_pass
from ushape.serial import cut_size, input_size
from ushape.sizes import Size, format_count
from ushape.tiling.windows import reflect_indices
from ushape.training.batch import Batch, patch_spacing, stream_seed, vary_windows

FINE = "fine"
"""Begins the names of the parts that the second pass adds to a loss."""

FINE_AUGMENT_STREAM = 5
"""Keeps the draws of how cuts are varied apart from all others."""


class SecondPass:
    """What training needs besides, where a network makes two passes.

    Attributes:
        objects: What is looked into, in all training cases.
        loss: Of the fine head's logits.
        notes: What a person should know.
    """

    def __init__(self, config: RunConfig, labels: LabelTable, samples: Sequence[Sample]) -> None:
        """List the objects of the training cases and make the loss.

        Raises:
            ConfigError: The loss does not fit the classes.
        """
        self._config, self._labels, self._samples = config, labels, samples
        self.objects: tuple[TrueObject, ...] = list_objects(samples, labels, config.fine)
        self.loss = build_fine_loss(config, small_fractions(self.objects, config.fine))
        self.notes: tuple[str, ...] = _notes(self.objects, config.fine)

    def __call__(
        self,
        network: Callable[[Tensor], Output],
        plain: SegmentationNetwork,
        first: Output,
        *,
        step: int,
        rank: int,
        device: torch.device,
        reduce: Reduce | None = None,
    ) -> LossValue:
        """Compute the weighted loss of the second pass of one step.

        Args:
            network: In training mode.
            plain: The module inside it, whose statistics are exchanged.
            first: What the first pass gave.
            step: Number of the step, from 0.
            rank: Number of the process in a group.
            device: Where to compute.
            reduce: Adds sums over all processes (`Mixture` says how).
        """
        place = fine_head(plain.spec)
        assert place is not None, "the planner checks it"
        batch = make_fine_batch(
            self._samples,
            self.objects,
            self._config,
            plain.geometry,
            labels=self._labels,
            step=step,
            rank=rank,
            device=device,
        )
        if batch is None:  # so that every weight has a gradient, as several processes need it
            return LossValue(0 * first.auxiliary[place].sum(), {}, {})
        with second_pass(plain):
            output = network(batch.images)
        value = self.loss(
            output.auxiliary[place],
            batch.target,
            mask=batch.mask,
            pixel_weight=batch.weight,
            reduce=reduce,
        )
        weight = self._config.fine.weight
        return LossValue(
            weight * value.total,
            _named(value.parts),
            {name: weight * factor for name, factor in _named(value.factors).items()},
        )

    def state(self) -> dict[str, Tensor]:
        """Return what the loss's balance has learnt, to save."""
        return _named(self.loss.state())

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` returned.

        Raises:
            ConfigError: It is the state of another loss.
        """
        self.loss.load_state({k.removeprefix(f"{FINE}."): v for k, v in state.items()})


def split_state(
    state: Mapping[str, Tensor],
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Part the saved states of the two passes' losses: the first pass's, the second's."""
    fine = {key: value for key, value in state.items() if key.startswith(f"{FINE}.")}
    return {key: value for key, value in state.items() if key not in fine}, fine


def join_losses(first: LossValue, second: LossValue) -> LossValue:
    """Add the losses of both passes."""
    return LossValue(
        first.total + second.total,
        {**first.parts, **second.parts},
        {**first.factors, **second.factors},
    )


def build_fine_loss(config: RunConfig, fractions: Sequence[float]) -> Mixture:
    """Make the loss of the small classes.

    Args:
        config: All settings.
        fractions: Share of each small class in the pixels of the cuts, for `weight=auto`.

    Raises:
        ConfigError: The loss does not fit the classes.
    """
    fine: FineConfig = config.fine
    return build_loss(
        fine.loss,
        num_logits=len(fine.classes),
        class_fractions=fractions,
        class_names=fine.classes,
        target="multilabel",
        balance=config.balance,
        place="fine.loss",
    )


def make_fine_batch(
    samples: Sequence[Sample],
    objects: Sequence[TrueObject],
    config: RunConfig,
    geometry: Geometry,
    *,
    labels: LabelTable,
    step: int,
    rank: int,
    device: torch.device,
) -> Batch | None:
    """Cut and augment the regions of one step; a pure function of (seed, step, rank).

    Args:
        samples: Training cases.
        objects: What is looked into in them.
        config: All settings.
        geometry: The network's. Where it does not pad, cuts are mirrored at their border, as
            prediction does, so that its output covers them.
        labels: All classes.

    Returns:
        Cuts and the masks of the small classes in them, with the pixel weights of the cases; None
        where there is nothing to cut.
    """
    fine = config.fine
    size = cut_size(fine)
    spacing = patch_spacing(samples, config)
    windows = cut_regions(
        samples,
        objects,
        labels,
        fine,
        cut_size=size,
        window_size=window_size(size, config.augment, spacing=spacing),
        seed=config.train.seed,
        step=step,
        rank=rank,
    )
    if windows is None:
        return None
    generator = torch.Generator(device=device)
    generator.manual_seed(stream_seed(config.train.seed, step, rank, FINE_AUGMENT_STREAM))
    augmentation = draw_augmentation(
        generator,
        config.augment,
        batch=fine.cuts,
        channels=config.model.in_channels,
        patch_size=size,
        spacing=spacing,
    )
    batch = vary_windows(windows, augmentation, fine_table(labels, fine), size, device)
    images = with_border(batch.images, input_size(geometry, size), geometry)
    if config.train.channels_last:
        images = images.contiguous(memory_format=channels_last(images.ndim - 2))
    return replace(batch, images=images)


def with_border(images: Tensor, wanted: Size, geometry: Geometry) -> Tensor:
    """Mirror images at their border up to the size whose output covers them.

    Args:
        images: (batch, channel, *size).
        wanted: The size of the result, larger by the network's margin.
        geometry: The network's.
    """
    for axis, (length, (before, _)) in enumerate(zip(wanted, geometry.margin, strict=True), 2):
        given = images.shape[axis]
        if length != given:
            indices = torch.from_numpy(reflect_indices(-before, length, given))
            images = images.index_select(axis, indices.to(images.device))
    return images


def _notes(objects: Sequence[TrueObject], fine: FineConfig) -> tuple[str, ...]:
    """Say what of the training cases the second pass does not see."""
    if not objects:
        return (
            f"no training case holds {fine.within}: the second pass learns nothing, and finds no "
            f"{', '.join(fine.classes)}",
        )
    counts = Counter(entry.case for entry in objects)
    full = sum(count == fine.most_regions for count in counts.values())
    if fine.regions == "largest" or not full:
        return ()
    return (
        f"{format_count(full, 'training case')} with {fine.most_regions} or more objects of "
        f"{fine.within}; smaller ones are not looked into: fine.most_regions says how many "
        "are",
    )


def _named(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{FINE}.{name}": value for name, value in values.items()}
