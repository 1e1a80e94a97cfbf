"""An encoder of the timm package as a module: its maps, and what they depend on.

`timm_survey` says what an encoder publishes, and is where timm is imported; `pretrained` fills it
with weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ushape.errors import ConfigError
from ushape.nets.timm_survey import (
    Published,
    check_channels,
    create,
    import_timm,
    published,
    survey,
)

__all__ = ["Dependence", "Published", "TimmEncoder", "published", "whole_model"]


@dataclass(frozen=True)
class Dependence:
    """What some maps are computed from.

    Attributes:
        parameters: Every parameter that changes them.
        modules: Every module whose running statistics change them.
    """

    parameters: tuple[nn.Parameter, ...]
    modules: tuple[nn.Module, ...]


class TimmEncoder(nn.Module):
    """A timm model that returns its maps; its weights are freshly drawn.

    Attributes:
        model: Its timm name.
        in_channels: Image channels.
        published: Channels and strides of its maps.
    """

    def __init__(self, model: str, *, in_channels: int) -> None:
        """Build the model, also under `torch.device("meta")`.

        Raises:
            ConfigError: As `published`, or the model does not take this number of channels.
        """
        super().__init__()
        found = survey(model)
        self.model = model
        self.in_channels = in_channels
        self.published = found.published
        self._is_channels_last = found.is_channels_last
        check_channels(model, in_channels)
        self.net = create(model, in_chans=in_channels, **found.arguments)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Compute the maps.

        Args:
            image: (N, in_channels, y, x), each edge a multiple of the last stride.

        Returns:
            Maps (N, channels, ceil(y / stride), ceil(x / stride)), from fine to coarse.
        """
        maps: list[Tensor] = self.net(image)
        return [m.permute(0, 3, 1, 2) for m in maps] if self._is_channels_last else maps

    def parameters_of(self, num_levels: int) -> Dependence:
        """Find what the first maps depend on, so that it can be frozen.

        Found by automatic differentiation through a copy without data: names play no part, and
        this encoder is neither run nor changed.

        Args:
            num_levels: How many maps, counted from the finest.

        Raises:
            ConfigError: There are not that many maps.
        """
        if not 0 <= num_levels <= len(self.published.strides):
            raise ConfigError(
                f"{num_levels} levels of {self.model} cannot be frozen: it publishes "
                f"{len(self.published.strides)}, so give 0 to {len(self.published.strides)}"
            )
        # Whoever asks may have switched gradients off.
        with torch.inference_mode(False), torch.enable_grad():
            with torch.device("meta"):
                twin = TimmEncoder(self.model, in_channels=self.in_channels).eval()
            parameters, modules = _reach(twin, num_levels)
        return Dependence(
            tuple(p for name, p in self.named_parameters() if name in parameters),
            tuple(m for name, m in self.named_modules() if name in modules),
        )


def _reach(encoder: TimmEncoder, num_levels: int) -> tuple[set[str], set[str]]:
    """Name the parameters, and the modules with running statistics, behind the first maps."""
    if num_levels == 0:
        return set(), set()
    marks = {
        name: torch.zeros((), device="meta", requires_grad=True)
        for name, module in encoder.named_modules()
        if getattr(module, "running_mean", None) is not None
    }
    for name, module in encoder.named_modules():
        if name in marks:
            module.register_forward_hook(_adding(marks[name]))
    parameters = {name: p for name, p in encoder.named_parameters() if p.requires_grad}
    edge = 2 * encoder.published.strides[-1]
    maps = encoder(torch.zeros((1, encoder.in_channels, edge, edge), device="meta"))
    leaves = [*parameters.values(), *marks.values()]
    total = torch.stack([m.sum() for m in maps[:num_levels]]).sum()
    gradients = torch.autograd.grad(total, leaves, allow_unused=True)
    reached = {
        name for name, g in zip([*parameters, *marks], gradients, strict=True) if g is not None
    }
    return reached & set(parameters), reached & set(marks)


def _adding(mark: Tensor) -> Callable[[nn.Module, Any, Tensor], Tensor]:
    """Make a forward hook that makes a module's result depend on a tensor."""
    return lambda module, inputs, result: result + mark


def whole_model(encoder: TimmEncoder) -> Any:
    """Build the model that an encoder is a part of, without data: its names are those of files."""
    found = survey(encoder.model)
    with torch.device("meta"):
        return import_timm().create_model(
            encoder.model, pretrained=False, in_chans=encoder.in_channels, **found.size_arguments
        )
