"""Random numbers for a batch in which every patch has a stream of its own."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import ndtri

Array = npt.NDArray[np.float64]


class Dice:
    """Numbers that depend on the patch's seed and on what was asked for before, nothing else.

    The seeds come from the generator, on whatever device it lives; the numbers are hashes of seed
    and position (SplitMix64: Steele, Lea and Flood 2014). So the first patches of a batch draw the
    same however many follow, and the same on every device that yields the same seeds.

    Args:
        generator: Source of the seeds.
        batch: Patches.
    """

    def __init__(self, generator: torch.Generator, batch: int) -> None:
        drawn = torch.randint(
            -(2**63), 2**63 - 1, (batch,), generator=generator, device=generator.device
        )
        self._seeds = drawn.cpu().numpy().view(np.uint64)
        self._used = 0
        self._block = np.empty((batch, 0))
        self.batch = batch

    def uniform(self, low: float, high: float, *shape: int) -> Array:
        """Draw evenly between two numbers; shape (batch, *shape)."""
        count = math.prod(shape)
        if self._used + count > self._block.shape[1]:
            # Few settings need more than 64 numbers; then the block at least doubles.
            start = self._block.shape[1]
            more = _hash(self._seeds, start, max(64, start, self._used + count - start))
            self._block = np.concatenate([self._block, more], 1) if start else more
        raw = self._block[:, self._used : self._used + count].reshape(self.batch, *shape)
        self._used += count
        return np.asarray(raw if (low, high) == (0, 1) else low + (high - low) * raw)

    def normal(self, *shape: int) -> Array:
        """Draw from the standard normal distribution."""
        return np.asarray(ndtri(self.uniform(0, 1, *shape)))

    def skip(self, count: int) -> None:
        """Pass over numbers of every patch, as if they had been drawn; costs nothing."""
        self._used += count

    def chance(self, probability: float, *shape: int) -> Array:
        """Draw 1 with the given probability, else 0."""
        if probability == 0:
            self.skip(math.prod(shape))
            return np.zeros((self.batch, *shape))
        return (self.uniform(0, 1, *shape) < probability).astype(np.float64)

    def integer(self, high: int, *shape: int) -> Array:
        """Draw whole numbers from 0 to high - 1."""
        return np.floor(self.uniform(0, high, *shape))

    def log_range(self, factor: float, probability: float, *shape: int) -> Array:
        """Draw between 1/factor and factor, evenly in the logarithm; 1 where chance says no."""
        reach = math.log(factor)
        return np.exp(self.chance(probability, *shape) * self.uniform(-reach, reach, *shape))

    def seeds(self) -> npt.NDArray[np.int64]:
        """Draw a seed for a generator of another kind; shape (batch,)."""
        return self.uniform(0, 2**53, 1)[:, 0].astype(np.int64)


def _hash(seeds: npt.NDArray[np.uint64], start: int, count: int) -> Array:
    """Hash (seed, position) to numbers inside (0, 1); shape (batch, count)."""
    position = np.arange(start + 1, start + count + 1, dtype=np.uint64)
    bits = seeds[:, None] + position * np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    bits ^= bits >> np.uint64(31)
    return np.asarray(((bits >> np.uint64(12)).astype(np.float64) + 0.5) / 2**52)
