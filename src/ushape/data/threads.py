"""Do one thing to many cases in threads, with a bound on the memory that all of them take."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import TypeVar

from ushape.data.io.claims import memory_bytes

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_THREADS = 8
"""Disks and decoders gain little from more."""

MEMORY_FRACTION = 0.25
"""Of the machine's memory, for all cases in work together."""


class MemoryBudget:
    """Lets threads in only while what they need fits; a single one always."""

    def __init__(self, num_bytes: int) -> None:
        self._total = num_bytes
        self._held = 0
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, num_bytes: int) -> Iterator[None]:
        """Wait until there is room, and take it while the block runs."""
        with self._changed:
            self._changed.wait_for(lambda: not self._held or self._held + num_bytes <= self._total)
            self._held += num_bytes
        try:
            yield
        finally:
            with self._changed:
                self._held -= num_bytes
                self._changed.notify_all()


def machine_budget() -> MemoryBudget:
    """Return a budget of a quarter of the machine's memory; of 1 GiB where that is not known."""
    return MemoryBudget(int(memory_bytes() * MEMORY_FRACTION) or 1 << 30)


def num_threads(num_items: int) -> int:
    """Choose how many threads work: as many as there are cores for this process, up to eight."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        cores = os.cpu_count() or 1
    return max(1, min(cores, MOST_THREADS, num_items))


def map_in_threads(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    progress: Callable[[int, int], None] | None = None,
) -> list[Result]:
    """Call `work` on every item.

    Args:
        work: Must bear to be called from several threads.
        items: In any number.
        progress: Called from this thread after every item, with the number done and of all.

    Returns:
        The results in the order of the items.

    Raises:
        Exception: What `work` or `progress` raised first; items not begun are dropped.
    """
    with ThreadPoolExecutor(num_threads(len(items)), "ushape") as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                future.result()
                if progress is not None:
                    progress(done, len(items))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        return [future.result() for future in futures]
