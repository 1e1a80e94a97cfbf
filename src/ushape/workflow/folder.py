"""Where everything lies in a run folder.

RUN/
  config.yaml         complete settings, with the reason beside each automatic choice
  split.json          which cases train and which validate
  cache/              prepared cases; may be deleted, it is made anew
  fold_0/
    best.safetensors  the model with the best validation score: all that prediction needs
    last.safetensors  the model as it was last validated
    state.pt          resume state
    metrics.jsonl     one line an event
    predictions/      predicted validation cases
    evaluation.csv .json
  report.html
  .lock               held by the process that trains
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from ushape.errors import ConfigError, DataError
from ushape.files import make_folder, storage_error


@dataclass(frozen=True)
class RunFolder:
    """Paths in the run folder `root`."""

    root: Path

    @property
    def config(self) -> Path:
        """Complete settings."""
        return self.root / "config.yaml"

    @property
    def split(self) -> Path:
        """Training and validation cases."""
        return self.root / "split.json"

    @property
    def cache(self) -> Path:
        """Prepared cases."""
        return self.root / "cache"

    @property
    def fold(self) -> Path:
        """What training writes."""
        return self.root / "fold_0"

    @property
    def state(self) -> Path:
        """What training goes on from; there as soon as it was saved once."""
        return self.fold / "state.pt"

    @property
    def best(self) -> Path:
        """The best model."""
        return self.fold / "best.safetensors"

    @property
    def log(self) -> Path:
        """Events of training."""
        return self.fold / "metrics.jsonl"

    @property
    def predictions(self) -> Path:
        """Predicted validation cases."""
        return self.fold / "predictions"

    @property
    def evaluation(self) -> Path:
        """Scores of them, without the ending (.csv and .json)."""
        return self.fold / "evaluation"

    @property
    def report(self) -> Path:
        """The page."""
        return self.root / "report.html"

    @property
    def lock(self) -> Path:
        """Held while a process trains here; that the file is there says nothing."""
        return self.root / ".lock"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other trainings out of this folder; it is made if it is not there.

        Raises:
            ConfigError: Another process trains here.
            StorageError: The folder cannot be made.
        """
        make_folder(self.root)
        lock = FileLock(self.lock, blocking=False)
        try:
            lock.acquire()
        except Timeout as error:
            raise ConfigError(
                f"another process trains in {self.root}: wait until it ends, or choose another "
                "--out"
            ) from error
        except OSError as error:
            raise storage_error(self.lock, error) from error
        try:
            yield
        finally:
            lock.release()

    def sweep(self) -> None:
        """Remove the half-written files that a killed run left behind."""
        for path in self.root.rglob(".*.part"):
            # Harmless where it cannot be removed: nothing reads such files.
            with suppress(OSError):
                path.unlink()

    def read_reasons(self) -> dict[str, str]:
        """Read the reasons behind the settings in `config.yaml`."""
        reasons, section = {}, ""
        for line in self.config.read_text(encoding="utf-8").splitlines():
            key, _, rest = line.partition(":")
            if not line.startswith(" "):
                section = key
            _, mark, reason = rest.rpartition("  # ")
            if mark:
                reasons[f"{section}.{key.strip()}" if line.startswith(" ") else key] = reason
        return reasons

    def read_split(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Read the training and validation case ids of a run that was begun.

        Raises:
            DataError: The file is missing or damaged.
        """
        try:
            content = json.loads(self.split.read_text(encoding="utf-8"))
            return tuple(content["train"]), tuple(content["val"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{self.split}: cannot be read ({error}); start a new run") from error
