"""How targets follow the image: no value that was not there is ever made.

- Index maps (integers, one a pixel): every class votes with its linear weight, the strongest wins,
  of equals the lowest; with many classes the nearest pixel decides.
- Stacks of masks (integers or bool, a channel a class): every channel by itself, more than one
  half.
- Graded targets and weights (floating): linear, as images.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ushape.data.augment.resample import Sampler, prepare, prepare_mask

MOST_VOTING_CLASSES = 8
"""Up to this many classes vote with their linear weights; more are sampled at the nearest pixel."""


class VotingReader:
    """Reads an index map by the votes of its classes.

    Args:
        target: (*window), integer.
        values: Values that vote besides the background 0.
    """

    def __init__(self, target: Tensor, values: Sequence[int]) -> None:
        self._dtype = target.dtype
        masks = ((value, prepare_mask(target, value)) for value in values)
        # Looking whether a class occurs would make a GPU wait.
        is_cheap = target.device.type == "cpu"
        self._masks = [(v, mask) for v, mask in masks if not is_cheap or float(mask.amax()) > 0]

    def read(self, sampler: Sampler) -> Tensor | None:
        """Decide for one block; returns (*block size), float32, or None for background only.

        Everything stays floating until the end: torch is slow with bool and with bytes.
        """
        if not self._masks:
            return None
        votes = [(value, sampler.read(mask)) for value, mask in self._masks]
        if len(votes) == 1:
            value, vote = votes[0]
            return torch.gt(vote, 0.5, out=vote).mul_(value)
        best = 1 - votes[0][1]
        for _, vote in votes[1:]:
            best.sub_(vote)
        winner, wins = torch.zeros_like(best), torch.empty_like(best)
        for value, vote in votes:
            torch.gt(vote, best, out=wins)
            winner.lerp_(winner.new_tensor(float(value)), wins)
            torch.maximum(best, vote, out=best)
        return winner


def voting_values(num_classes: int, ignore_index: int | None) -> list[int]:
    """List the values that vote in an index map."""
    values = [*range(1, num_classes)]
    if ignore_index is not None and ignore_index not in values:
        values.append(ignore_index)
    return values


class TargetReader:
    """Reads the target of one patch, whatever its kind, block by block.

    Args:
        target: (*window) integer; or (channel, *window), floating or integer.
        dims: Number of spatial axes.
        num_classes: Classes with the background, for index maps.
        ignore_index: Value of an index map that says "do not train here".
    """

    def __init__(
        self, target: Tensor, dims: int, *, num_classes: int, ignore_index: int | None
    ) -> None:
        self._target = target
        self._voting: VotingReader | None = None
        self._channels: list[Tensor] = []
        is_map = target.ndim == dims
        self.is_nearest = is_map and num_classes > MOST_VOTING_CLASSES
        if is_map and not self.is_nearest:
            self._voting = VotingReader(target, voting_values(num_classes, ignore_index))
        elif not is_map:
            self._channels = [prepare(channel) for channel in target]

    def read(self, sampler: Sampler, block: Tensor) -> None:
        """Write one block: (*block size), or (channel, *block size) for stacks."""
        if self.is_nearest:
            block.copy_(sampler.read_nearest(self._target))
        elif self._voting is not None:
            winner = self._voting.read(sampler)
            block.fill_(0) if winner is None else block.copy_(winner)
        else:
            for channel, part in zip(self._channels, block, strict=True):
                values = sampler.read(channel)
                is_graded = self._target.is_floating_point()
                part.copy_(values if is_graded else torch.gt(values, 0.5, out=values))
