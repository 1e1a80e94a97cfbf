"""One training step: cut, augment, forward, loss, backward, update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer
from torch import Tensor

from ushape.config.schema import RunConfig
from ushape.data.augment import apply_augmentation, draw_augmentation, window_size
from ushape.data.patches import cut_windows
from ushape.data.sample import Sample
from ushape.data.targets import one_hot
from ushape.losses import AuxiliaryOutput, LossValue, Mixture, auxiliary_loss
from ushape.nets import Geometry, NetworkSpec
from ushape.nets.network import Output
from ushape.nets.parts import AttentionMap, NodeHead

AUGMENT_STREAM, NETWORK_STREAM = 2, 3
"""Keep the draws of augmentation and of dropout apart from each other and from those of patches."""


def stream_seed(seed: int, step: int, rank: int, stream: int) -> int:
    """Derive the seed of one stream of chance at one step."""
    state = np.random.SeedSequence([seed, step, rank, stream]).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


@dataclass(frozen=True)
class Batch:
    """What a network is trained on at one step.

    Attributes:
        images: (batch, channel, *patch size).
        target: (batch, logit channel, *output size), 0 or 1.
    """

    images: Tensor
    target: Tensor


def make_batch(
    samples: Sequence[Sample],
    config: RunConfig,
    geometry: Geometry,
    *,
    num_classes: int,
    step: int,
    rank: int,
    device: torch.device,
) -> Batch:
    """Cut and augment the patches of one step; a pure function of (seed, step, rank)."""
    patch = tuple(config.patch.size)
    windows = cut_windows(
        samples,
        patch_size=patch,
        window_size=window_size(patch, config.augment),
        batch_size=config.patch.batch,
        seed=config.train.seed,
        step=step,
        rank=rank,
    )
    generator = torch.Generator(device=device)
    generator.manual_seed(stream_seed(config.train.seed, step, rank, AUGMENT_STREAM))
    augmentation = draw_augmentation(
        generator,
        config.augment,
        batch=config.patch.batch,
        channels=config.model.in_channels,
        patch_size=patch,
    )
    images, targets = apply_augmentation(
        windows.images.to(device, non_blocking=True),
        windows.targets.to(device, non_blocking=True),
        augmentation,
        patch_size=patch,
        num_classes=num_classes,
    )
    if config.train.channels_last and images.ndim == 4:
        images = images.contiguous(memory_format=torch.channels_last)
    targets = crop_to_output(targets, geometry, patch)
    return Batch(images, one_hot(targets, config.model.classes))


def crop_to_output(targets: Tensor, geometry: Geometry, patch: tuple[int, ...]) -> Tensor:
    """Keep the part of the target that an unpadded network's output covers."""
    kept = zip(
        patch, geometry.used_size(patch), geometry.margin, geometry.output_size(patch), strict=True
    )
    for axis, (given, used, (before, _), length) in enumerate(kept, start=1):
        targets = targets.narrow(axis, (given - used) // 2 + before, length)
    return targets


def total_loss(loss: Mixture, output: Output, spec: NetworkSpec, target: Tensor) -> LossValue:
    """Add the losses of a network's inner outputs to that of its logits.

    Logits of an inner node count by the size of its pixels, 2^-level, and the weights of all
    logits add up to 1: the mean over the heads of a U-Net++ (Zhou et al. 2018, Eq. 1), halving
    from level to level in others (Isensee et al. 2021). Attention maps add the mean of their
    losses (Wang et al. 2019, Eq. 2).

    Args:
        output: The network's, for a batch.
        target: (batch, logit channel, *output size).
    """
    value = loss(output.logits, target)
    inner = list(zip(spec.auxiliary, output.auxiliary, strict=True))
    heads = [(0.5 ** spec.node(kind.node).level, x) for kind, x in inner if type(kind) is NodeHead]
    maps = [x for kind, x in inner if type(kind) is AttentionMap]
    if not heads and not maps:
        return value
    share = 1 / (1 + sum(weight for weight, _ in heads))
    auxiliary = [AuxiliaryOutput(x, "logits", weight * share) for weight, x in heads]
    auxiliary += [
        AuxiliaryOutput(torch.sigmoid(x.float()), "attention", 1 / len(maps)) for x in maps
    ]
    extra = auxiliary_loss(loss, auxiliary, target)
    return LossValue(
        share * value.total + extra.total,
        {**value.parts, **extra.parts},
        {**value.factors, **extra.factors},
    )


def train_step(
    fabric: Fabric,
    network: _FabricModule,
    optimizer: _FabricOptimizer,
    loss: Mixture,
    spec: NetworkSpec,
    batch: Batch,
    *,
    clip_norm: float,
) -> LossValue:
    """Update the weights once and return the loss before the update."""
    value = total_loss(loss, network(batch.images), spec, batch.target)
    optimizer.zero_grad(set_to_none=True)
    fabric.backward(value.total)
    fabric.clip_gradients(network, optimizer, max_norm=clip_norm, error_if_nonfinite=False)
    optimizer.step()
    return value
