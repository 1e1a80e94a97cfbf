"""One training step: forward, loss, backward, update."""

from __future__ import annotations

from collections.abc import Callable

from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer

from ushape.losses import LossValue
from ushape.nets import NetworkSpec
from ushape.nets.network import Output
from ushape.training.batch import Batch
from ushape.training.fine import join_losses
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
    second: Callable[[Output], LossValue] | None = None,
) -> LossValue:
    """Update the weights once and return the loss before the update.

    Args:
        fabric: Runs the backward pass.
        network: In training mode.
        optimizer: Of its weights.
        objective: The loss of the batch.
        spec: What the network's outputs are.
        batch: What the network sees.
        clip_norm: Longer gradients are shortened to this norm.
        second: From the network's output, the loss of a second pass, which is added.
    """
    output = network(batch.images)
    value = objective(output, spec, batch)
    if second is not None:
        value = join_losses(value, second(output))
    optimizer.zero_grad(set_to_none=True)
    fabric.backward(value.total)
    fabric.clip_gradients(network, optimizer, max_norm=clip_norm, error_if_nonfinite=False)
    optimizer.step()
    return value
