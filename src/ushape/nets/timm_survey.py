"""What the encoders of the timm package publish: channels and strides of their maps.

timm is an optional extra (`ushape[timm]`); nothing imports it before an encoder is asked for. An
encoder is judged by running it on tensors without data (the meta device), never by its name: what
it says about channels and strides is compared with the maps that it returns.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from ushape.errors import ConfigError
from ushape.sizes import format_size

_OLDEST = (1, 0, 21)
_SIZE_FREEDOMS = ("dynamic_img_size", "strict_img_size")
"""Arguments by which timm models made for one size take any; the first that a model has is used."""


@dataclass(frozen=True)
class Published:
    """The maps that an encoder publishes, from fine to coarse.

    Attributes:
        channels: Channels of each map.
        strides: Pixels of the image per pixel of each map; rising powers of two.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Survey:
    """How to build an encoder, and what it then publishes.

    Attributes:
        size_arguments: Arguments that let it take images of any size.
        out_indices: Which of timm's maps are taken.
        is_channels_last: Whether the model gives (N, y, x, channels).
    """

    published: Published
    size_arguments: Mapping[str, Any]
    out_indices: tuple[int, ...]
    is_channels_last: bool

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of timm's constructor."""
        return {"out_indices": self.out_indices, **self.size_arguments}


def published(model: str) -> Published:
    """Say which maps an encoder publishes. No weights are made or downloaded.

    Where a model has several maps of one stride, the deepest is taken, as in a U-Net.

    Args:
        model: A timm name without a tag, such as `resnet34`.

    Raises:
        ConfigError: timm cannot be used, the name is unknown, or the model has no pyramid of maps
            for images of any size.
    """
    return survey(model).published


def import_timm() -> Any:
    """Import timm.

    Raises:
        ConfigError: It is not installed, too old, or what it needs is broken; the message has the
            remedy.
    """
    try:
        timm = importlib.import_module("timm")
    except ModuleNotFoundError as error:
        if error.name != "timm":
            raise ConfigError(_broken(error)) from error
        raise ConfigError(
            "pretrained encoders come from the package timm, which is not installed: "
            'pip install "ushape[timm]"'
        ) from error
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        raise ConfigError(_broken(error)) from error
    if tuple(int(number) for number in re.findall(r"\d+", timm.__version__)[:3]) < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        raise ConfigError(
            f"timm {timm.__version__} is too old to build models without data: "
            f'pip install "timm>={oldest}"'
        )
    return timm


def _broken(error: Exception) -> str:
    if "torchvision" in str(error):
        return (
            f"timm is installed but cannot be imported ({error}): the installed torchvision was "
            f"built for another torch than {torch.__version__}. Reinstall torchvision from the "
            "same place as torch, in the version made for it: https://pytorch.org/get-started"
        )
    return (
        f"timm is installed but cannot be imported ({error}): reinstall it with what it needs, "
        'pip install --force-reinstall --no-deps timm, or pip install "ushape[timm]"'
    )


@lru_cache(maxsize=64)
def survey(model: str) -> Survey:
    """Build the model without data, choose its maps, and compare them with what it says."""
    _check_name(model)
    with torch.device("meta"):
        first = create(model)
        size_arguments = _free_size(model) if first.pretrained_cfg.get("fixed_input_size") else {}
        infos = first.feature_info.info
        # Of several maps of one stride the last remains.
        chosen = {int(info["reduction"]): index for index, info in enumerate(infos)}
        _check_strides(model, tuple(chosen))
        indices = tuple(chosen.values())
        net = create(model, out_indices=indices, **size_arguments).eval()
    what = Published(tuple(int(infos[i]["num_chs"]) for i in indices), tuple(chosen))
    layout = getattr(getattr(net, "output_fmt", None), "value", "NCHW")
    found = Survey(what, size_arguments, indices, layout == "NHWC")
    for edges in ((2, 3), (5, 4)):
        _compare(model, net, found, edges)
    return found


@lru_cache(maxsize=64)
def check_channels(model: str, in_channels: int) -> None:
    """Refuse a number of input channels with which the model does not run."""
    known = survey(model)
    try:
        with torch.device("meta"), torch.no_grad():
            net = create(model, in_chans=in_channels, **known.arguments).eval()
            net(torch.empty((1, in_channels, *(2 * known.published.strides[-1],) * 2)))
    except Exception as error:
        raise ConfigError(
            f"{model} does not take images of {in_channels} channels ({_first_line(error)}). "
            "Choose another encoder, such as resnet34"
        ) from error


def _check_name(model: str) -> None:
    known = import_timm().list_models()
    if model in known:
        return
    name, _, tag = model.partition(".")
    if tag and name in known:
        raise ConfigError(
            f"{model!r} is an encoder with the tag of its weights: give encoder={name} and "
            f"weights={tag}"
        )
    near = difflib.get_close_matches(model, known, n=5, cutoff=0.4)
    hint = f"did you mean {', '.join(near)}?" if near else "no name comes close."
    raise ConfigError(
        f"unknown encoder {model!r}: {hint} (timm.list_models() lists all {len(known)})"
    )


def create(model: str, **arguments: Any) -> Any:
    """Build a model that returns maps, weights freshly drawn.

    Raises:
        ConfigError: timm cannot build it as an encoder.
    """
    try:
        return import_timm().create_model(model, pretrained=False, features_only=True, **arguments)
    except Exception as error:
        # timm raises whatever the constructor of a model happens to raise.
        raise ConfigError(
            f"{model} cannot be used as an encoder: timm does not build it with "
            f"features_only=True ({_first_line(error)}). Choose another one, such as resnet34"
        ) from error


def _free_size(model: str) -> dict[str, Any]:
    """Give the arguments that let a model made for one image size take others."""
    kind = type(import_timm().create_model(model, pretrained=False))
    accepted = inspect.signature(kind.__init__).parameters
    freedom = next((name for name in _SIZE_FREEDOMS if name in accepted), None)
    return {freedom: freedom == "dynamic_img_size"} if freedom else {}


def _check_strides(model: str, strides: Sequence[int]) -> None:
    if len(strides) < 2:
        raise ConfigError(
            f"{model} has no pyramid: all its maps are at stride {strides[0]}, and a U-shaped "
            "network needs maps of several sizes. Choose a convolutional or hierarchical "
            "encoder, such as resnet34, convnext_tiny or swin_tiny_patch4_window7_224"
        )
    if any(s < 1 or s & (s - 1) for s in strides) or list(strides) != sorted(strides):
        raise ConfigError(
            f"{model} has maps at strides {', '.join(map(str, strides))}: a decoder that doubles "
            "sizes needs rising powers of two. Choose another encoder, such as resnet34"
        )


def _compare(model: str, net: nn.Module, known: Survey, edges: tuple[int, int]) -> None:
    """Check the maps of an image whose edges are these multiples of the last stride.

    Raises:
        ConfigError: The model does not take the image, or its maps are not those that it says.
    """
    what = known.published
    size = tuple(edge * what.strides[-1] for edge in edges)
    try:
        with torch.no_grad():
            maps = net(torch.empty((1, 3, *size), device="meta"))
    except Exception as error:
        raise ConfigError(
            f"{model} does not take images of every size ({format_size(size)} fails: "
            f"{_first_line(error)}). Choose another encoder, such as resnet34"
        ) from error
    if known.is_channels_last:
        maps = [one.permute(0, 3, 1, 2) for one in maps]
    found = [tuple(one.shape) for one in maps]
    expected = [
        (1, channels, *(edge // stride for edge in size))
        for channels, stride in zip(what.channels, what.strides, strict=True)
    ]
    if found != expected:
        raise ConfigError(
            f"{model} does not publish what it says: for an image of {format_size(size)} its maps "
            f"have the shapes {found} in place of {expected}. Choose another encoder, such as "
            "resnet34"
        )


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip()}".splitlines()[0]
