"""One training step: forward, loss, backward, update."""

from __future__ import annotations

from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer

from ushape.losses import LossValue
from ushape.nets import NetworkSpec
from ushape.training.batch import Batch
from ushape.training.objective import Objective


def train_step(
    fabric: Fabric,
    network: _FabricModule,
    optimizer: _FabricOptimizer,
    objective: Objective,
    spec: NetworkSpec,
    batch: Batch,
    *,
    clip_norm: float,
) -> LossValue:
    """Update the weights once and return the loss before the update."""
    value = objective(network(batch.images), spec, batch)
    optimizer.zero_grad(set_to_none=True)
    fabric.backward(value.total)
    fabric.clip_gradients(network, optimizer, max_norm=clip_norm, error_if_nonfinite=False)
    optimizer.step()
    return value
