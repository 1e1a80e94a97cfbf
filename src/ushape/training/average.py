"""A running average of the weights, which validates better than the last step's weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class AveragedWeights:
    """Exponential moving average of a network's state dict.

    The decay grows with the steps, min(decay, (1 + n) / (10 + n)), so that a short run is not
    held back by its random start. Batch-norm statistics are averaged like weights.

    Source: Tarvainen and Valpola 2017; the warm-up is TensorFlow's.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._decay = decay
        self.weights: dict[str, Tensor] = {
            name: value.detach().clone() for name, value in network.state_dict().items()
        }

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights after step number `step` (from 1)."""
        share = 1 - min(self._decay, (1 + step) / (10 + step))
        averaged, current = [], []
        for name, value in network.state_dict().items():
            if value.dtype.is_floating_point:
                averaged.append(self.weights[name])
                current.append(value)
            else:
                self.weights[name].copy_(value)
        torch._foreach_lerp_(averaged, current, share)

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Go on from saved weights."""
        for name, value in weights.items():
            self.weights[name].copy_(value)
