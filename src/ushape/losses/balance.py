"""Terms of a mixture brought to one magnitude, from running means of their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ushape.errors import ConfigError, unknown_name

DECAY = 0.98
"""Of the running means, at each step: they look back about fifty steps."""

LARGEST_FACTOR = 1e3
"""Bounds the correction of a term on either side, for one that is almost zero."""

SMALLEST_MEAN = 1e-12


class Balance:
    """Running means of the terms' values, and the factors that follow from them.

    A term of mean m is multiplied by M / m, where M is the mean of all m weighted by the written
    factors: the magnitude of the whole stays what it was, and a written factor becomes the share
    of its term. Nothing here waits for the device.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.means = torch.zeros(len(self.names))
        self.mass = torch.zeros(())

    def factors(self, values: Tensor, written: Tensor, *, is_learning: bool) -> Tensor:
        """Compute the factor of each term at this step, in place of the written one.

        Args:
            values: Each term's value, detached, shape (term,).
            written: The factors of the mixture, same shape.
            is_learning: Whether the values enter the means, before these are used. Values that
                are not finite never do.
        """
        self.means, self.mass = self.means.to(values), self.mass.to(values)
        if is_learning:
            is_sound = values.isfinite().all()
            means = DECAY * self.means + (1 - DECAY) * values
            self.means = torch.where(is_sound, means, self.means)
            self.mass = torch.where(is_sound, DECAY * self.mass + (1 - DECAY), self.mass)
        # The mass corrects for the start at zero; before the first step the values stand in.
        means = torch.where(self.mass > 0, self.means / self.mass.clamp_min(1 - DECAY), values)
        middle = (means * written).sum() / written.sum()
        correction = middle / means.clamp_min(SMALLEST_MEAN)
        return written * correction.clamp(1 / LARGEST_FACTOR, LARGEST_FACTOR)

    def state(self) -> dict[str, Tensor]:
        """Return the running means as a flat mapping, to save."""
        means = {f"mean.{k}": v.clone() for k, v in zip(self.names, self.means, strict=True)}
        return {**means, "mass": self.mass.clone()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over saved running means.

        Raises:
            ConfigError: They are those of another mixture.
        """
        wanted = self.state()
        for key in [*state, *wanted]:
            if key not in wanted or key not in state:
                held = unknown_name("term", key.removeprefix("mean."), self.names)
                raise ConfigError(
                    f"saved balance of the loss: {held}; resume with the loss of the saved run"
                )
        self.means = torch.stack([torch.as_tensor(state[f"mean.{name}"]) for name in self.names])
        self.mass = torch.as_tensor(state["mass"]).clone()
