"""Silence decoders. What they change holds for the whole process, so threads take turns."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_TURN = threading.RLock()


@contextmanager
def quietly() -> Iterator[None]:
    """Hold back warnings while a decoder works; no other thread is inside meanwhile."""
    with _TURN, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
