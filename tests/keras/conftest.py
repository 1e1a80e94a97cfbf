"""These tests need Keras, which has an environment of its own: `make test-keras`."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

# JAX computes convolutions by code of its own, so that it shares no mistake with PyTorch.
# KERAS_BACKEND=torch is faster.
os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")  # compiling would take minutes

if find_spec("keras") is None:
    collect_ignore_glob = ["test_*.py"]

sys.path.insert(0, str(Path(__file__).parent))
