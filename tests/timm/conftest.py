"""The environment of these tests: timm is there, and perhaps a torchvision of another torch.

Run them with `make test-timm`. Where timm is not installed they are not even collected.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

import pytest
import torch

if find_spec("timm") is None:
    collect_ignore_glob = ["test_*.py"]


def _declare_missing_operators() -> list[torch.library.Library]:
    """Let a torchvision that was built for another torch be imported, without its operators.

    Such a torchvision declares shapes for two operators that its compiled part did not bring.
    timm uses neither. Nothing is done where torchvision works, and nothing outside these tests:
    users get an error that explains it.
    """
    try:
        import torchvision  # noqa: F401
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    else:
        return []
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return [library]


KEPT_ALIVE = _declare_missing_operators() if find_spec("timm") else []


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
