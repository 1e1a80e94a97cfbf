"""Image segmentation with U-shaped networks.

The public surface is three functions, imported on first use so that `import ushape` stays light:

* `ushape.build(name, ...)`: a network of the family as a `torch.nn.Module`;
* `ushape.train(data, ...)`: train on a folder of images and label pictures;
* `ushape.load(path)`: open a trained model and predict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ushape.nets import build as build
    from ushape.predict import load as load
    from ushape.workflow import train as train

__version__ = "0.1.0"
__all__ = ["__version__", "build", "load", "train"]

_HOMES = {"build": "ushape.nets", "load": "ushape.predict", "train": "ushape.workflow"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'ushape' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
