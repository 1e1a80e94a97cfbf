"""The resume state: everything that the rest of a run depends on, in one file.

All chance in training is a function of (seed, step), so there is no random state to keep. The
file is written atomically and read with `weights_only=True`: it can hold tensors and plain
numbers only, and reading it executes nothing.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ushape.errors import DataError
from ushape.files import atomic_path

FORMAT = 1


@dataclass
class TrainState:
    """Where a run stands.

    Attributes:
        step: Steps done.
        spent_s: Seconds spent, over all resumed parts.
        best_score: Best validation score so far, or None.
        best_step: Step of that score.
        validations: Validations done.
        validated_step: Step of the last one.
        validation_s: Seconds of the longest validation.
        validation_voxels: What every validation may predict; 0 before the first.
    """

    step: int = 0
    spent_s: float = 0.0
    best_score: float | None = None
    best_step: int = 0
    validations: int = 0
    validated_step: int = -1
    validation_s: float = 0.0
    validation_voxels: float = 0.0


def save_state(path: Path, state: TrainState, **parts: dict[str, Any]) -> None:
    """Write the resume state.

    Args:
        path: The file, `state.pt` in the fold's folder.
        state: Where the run stands.
        parts: State dicts by name (model, optimiser, averaged weights).
    """
    # Encoded in memory first: torch's own writer hides why a disk refuses.
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "state": vars(state), **parts}, buffer)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def load_state(path: Path) -> tuple[TrainState, dict[str, Any]]:
    """Read the resume state.

    Raises:
        DataError: The file is damaged or of another format; it names the remedy.
    """
    remedy = "delete it to train from the start, or start another run"
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(content, dict):
            raise TypeError("not a resume state")
        if content.pop("format") != FORMAT:
            raise DataError(f"{path}: written by another release; {remedy}")
        return TrainState(**content.pop("state")), content
    except DataError:
        raise
    except Exception as error:  # unpicklers fail in dozens of ways, all meaning: not readable
        raise DataError(f"{path}: the resume state cannot be read; {remedy}") from error
