"""Weights from files and from timm's hub, as names and tensors.

Files are data here, never programs: `.safetensors`, or a state dict that torch reads with
`weights_only=True`.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ushape.errors import ConfigError, DataError, unknown_name
from ushape.nets.timm_survey import import_timm

State = dict[str, Tensor]

_SUFFIXES = (".safetensors", ".pth", ".pt")
_CONTAINERS = ("state_dict_ema", "model_ema", "state_dict", "model")
"""Where training checkpoints keep their weights; averaged ones first, as in timm."""
_TIMEOUT_S = 10.0


def find_weights(model: str, weights: str) -> tuple[str, State]:
    """Read a file of weights, or get those of a tag.

    Args:
        model: The timm name that a tag belongs to.
        weights: A path that ends in `.safetensors`, `.pth` or `.pt`; or a tag; "" or `default`
            for the model's default tag.

    Returns:
        Where they are from, to be named in errors, and names with tensors.

    Raises:
        ConfigError: The tag is unknown, or the hub cannot be reached.
        DataError: The file is missing or damaged, or reading it could execute something.
    """
    path = Path(weights)
    if path.suffix in _SUFFIXES:
        return weights, _read(path)
    if os.sep in weights or "/" in weights or path.is_file():
        raise ConfigError(
            f"weights={weights} is neither a tag of timm nor a file of a known kind: give a file "
            f"that ends in {', '.join(_SUFFIXES)}, or a tag such as a1_in1k"
        )
    return _fetch(model, "" if weights == "default" else weights)


def _read(path: Path) -> State:
    """Read a state dict, and execute nothing of it."""
    if not path.is_file():
        raise DataError(f"there is no file of weights {path}: check the path")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise DataError(
            f"{path} is damaged, or holds more than tensors and would have to be unpickled, which "
            "can run any program hidden in it. Where you trust it, save its state dict anew: "
            "safetensors.torch.save_file(state_dict, 'weights.safetensors'), and give that file"
        ) from error
    except (SafetensorError, RuntimeError, OSError, EOFError, KeyError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read as weights ({error}): get the file again"
        ) from error
    return _state_of(content, str(path))


def _state_of(content: object, source: str) -> State:
    """Find the one state dict in what a training script saved."""
    if isinstance(content, Mapping):
        for name in _CONTAINERS:
            if isinstance(content.get(name), Mapping):
                return _state_of(content[name], source)
        if content and all(isinstance(value, Tensor) for value in content.values()):
            return {str(name): value for name, value in content.items()}
    raise DataError(
        f"{source} holds no state dict (names and tensors), neither at its top nor under "
        f"{', '.join(_CONTAINERS)}: save the encoder's state_dict() alone"
    )


def _fetch(model: str, tag: str) -> tuple[str, State]:
    """Get the weights of a tag from the hub, or from the cache of earlier downloads."""
    timm = import_timm()
    tags = [name.partition(".")[2] for name in timm.list_pretrained(f"{model}.*")]
    if not tags:
        raise ConfigError(
            f"timm publishes no weights of {model}: give a file, or leave weights out to train "
            "from scratch"
        )
    if tag and tag not in tags:
        raise ConfigError(unknown_name(f"weights of {model}", tag, tags))
    config = timm.get_pretrained_cfg(f"{model}.{tag}" if tag else model)
    source = f"{model}.{config.tag or tag}"
    if not config.hf_hub_id or config.custom_load:
        raise ConfigError(
            f"the weights {source} are not on the hub as a state dict: download {config.url} and "
            "give the file, weights=PATH"
        )
    path = _download(source, config.hf_hub_id, config.hf_hub_filename or "model.safetensors")
    return source, _read(path)


def _download(source: str, repository: str, name: str) -> Path:
    hub = importlib.import_module("huggingface_hub")
    repository, _, revision = repository.partition("@")
    where = {"repo_id": repository, "filename": name, "revision": revision or None}
    try:
        return Path(hub.hf_hub_download(**where, local_files_only=True))
    except hub.errors.LocalEntryNotFoundError:
        url = hub.hf_hub_url(**where)
    try:
        # Asked once before the download, which would try again and again where nothing answers.
        hub.get_hf_file_metadata(url, timeout=_TIMEOUT_S)
        return Path(hub.hf_hub_download(**where, etag_timeout=_TIMEOUT_S))
    except Exception as error:
        # The hub's client raises the errors of whichever transport it uses.
        raise ConfigError(
            f"the weights {source} cannot be fetched ({type(error).__name__}: {error}): download "
            f"{url} where there is a connection, and give the file, weights=PATH.safetensors"
        ) from error
