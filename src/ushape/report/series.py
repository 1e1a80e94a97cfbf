"""Smooth and thin out long curves. Numbers in, numbers out; no drawing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Series = npt.NDArray[np.float64]


def smooth(values: npt.ArrayLike, *, window: int) -> Series:
    """Average over a centred window, leaving out values that are not finite.

    At the ends the window shrinks, so a constant stays that constant; where it holds no finite
    value at all, the result is nan.

    >>> smooth([1.0, 1.0, 4.0], window=3).tolist()
    [1.0, 2.0, 2.5]
    """
    raw = np.asarray(values, dtype=np.float64)
    finite = np.isfinite(raw)
    # Sums of a sliding window as differences of one running sum: linear in the number of steps.
    total = np.concatenate([[0.0], np.cumsum(np.where(finite, raw, 0.0))])
    count = np.concatenate([[0], np.cumsum(finite)])
    reach = max(window, 1) // 2
    index = np.arange(len(raw))
    first, end = np.maximum(index - reach, 0), np.minimum(index + reach + 1, len(raw))
    number = count[end] - count[first]
    return np.where(number > 0, (total[end] - total[first]) / np.maximum(number, 1), np.nan)


def envelope(x: Series, y: Series, *, max_points: int) -> tuple[Series, Series]:
    """Thin out a long curve, keeping the lowest and the highest value of every stretch.

    Args:
        x: Positions, rising, shape (n,).
        y: Values, shape (n,); nan where there is none.
        max_points: A curve with at most this many points comes back unchanged.

    Returns:
        The points kept, at most `max_points`, in their order. A stretch without any finite
        value keeps one nan, so that a gap stays a gap.
    """
    if len(x) <= max_points:
        return x, y
    kept: set[int] = set()
    for stretch in np.array_split(np.arange(len(x)), max_points // 2):
        finite = stretch[np.isfinite(y[stretch])]
        if len(finite):
            kept.update((int(finite[np.argmin(y[finite])]), int(finite[np.argmax(y[finite])])))
        else:
            kept.add(int(stretch[0]))
    order = sorted(kept)
    return x[order], y[order]
