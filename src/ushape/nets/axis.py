"""What one layer does along one axis: to sizes, to windows of indices, and at the border.

Every layer of the family is a chain of these along each axis; `geometry` runs them through
the wiring table. Integers only, no torch.
"""

# ruff: noqa: D102 (the protocol says what the three methods mean)

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Extent(NamedTuple):
    """The length of a map for an image of n pixels: (n - loss) / stride."""

    stride: int
    loss: int


class Window(NamedTuple):
    """Indices from first to last, both included; may lie outside a map, where padding stands."""

    first: int
    last: int


class Border(NamedTuple):
    """How many elements at each end of a map depend on where the image ends."""

    before: int
    after: int


class AxisLayer(Protocol):
    """One layer along one axis."""

    def extent(self, given: Extent) -> Extent:
        """Return the extent of the output for the extent of the input."""

    def reads(self, wanted: Window) -> Window:
        """Return the window of the input that a window of the output depends on."""

    def border(self, given: Border) -> Border:
        """Return the output's border for the input's."""


@dataclass(frozen=True)
class Convolve:
    """Windows of `kernel` elements move by `stride`; `before` zeros stand in front.

    Behind stand `after` zeros, of which a stride may leave some unread. With a stride, padded
    windows divide a length exactly.
    """

    kernel: int
    before: int
    after: int
    stride: int = 1

    @property
    def _lost(self) -> int:
        return max(0, self.kernel - self.stride - self.before - self.after)

    def extent(self, given: Extent) -> Extent:
        return Extent(given.stride * self.stride, given.loss + given.stride * self._lost)

    def reads(self, wanted: Window) -> Window:
        first = wanted.first * self.stride - self.before
        return Window(first, wanted.last * self.stride - self.before + self.kernel - 1)

    def border(self, given: Border) -> Border:
        # How many zeros the last window reads; below 0 where it ends before the last element.
        read = self.kernel - self.stride - self.before - self._lost
        before = -(-(given.before + self.before) // self.stride)
        return Border(before, max(0, -(-(given.after + read) // self.stride)))


def pool(stride: int) -> Convolve:
    """Make windows of `stride` elements side by side that become one element each."""
    return Convolve(stride, 0, 0, stride)


@dataclass(frozen=True)
class Repeat:
    """Each element gives `stride` ones: nearest-neighbour, or transposed with that kernel."""

    stride: int

    def extent(self, given: Extent) -> Extent:
        return Extent(given.stride // self.stride, given.loss)

    def reads(self, wanted: Window) -> Window:
        return Window(wanted.first // self.stride, wanted.last // self.stride)

    def border(self, given: Border) -> Border:
        return Border(given.before * self.stride, given.after * self.stride)


@dataclass(frozen=True)
class Interpolate:
    """Linear enlargement, half-pixel centres: output i lies at (i + 1/2) / stride - 1/2.

    A transposed convolution of twice the stride's size, centred, reads the same elements.
    """

    stride: int

    def extent(self, given: Extent) -> Extent:
        return Extent(given.stride // self.stride, given.loss)

    def reads(self, wanted: Window) -> Window:
        twice = 2 * self.stride
        first = (2 * wanted.first + 1 - self.stride) // twice
        return Window(first, -(-(2 * wanted.last + 1 - self.stride) // twice))

    def border(self, given: Border) -> Border:
        # Element i is touched when its position lies before element `given.before`.
        before = (2 * self.stride * given.before + self.stride) // 2
        return Border(before, (2 * self.stride * given.after + self.stride) // 2)


@dataclass(frozen=True)
class Crop:
    """`count` elements are cut at each end."""

    count: int

    def extent(self, given: Extent) -> Extent:
        return Extent(given.stride, given.loss + 2 * self.count * given.stride)

    def reads(self, wanted: Window) -> Window:
        return Window(wanted.first + self.count, wanted.last + self.count)

    def border(self, given: Border) -> Border:
        return Border(max(0, given.before - self.count), max(0, given.after - self.count))
