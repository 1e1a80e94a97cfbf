"""Fill an encoder with pretrained weights, adapted to its number of input channels.

Every tensor of the encoder must be in the file, under a name and with a shape that fit; all is
checked before anything is changed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ushape.errors import DataError
from ushape.nets.timm_encoder import TimmEncoder, whole_model
from ushape.nets.weight_files import State, find_weights

Layout = dict[str, str]
"""The encoder's names, and a file's names for them."""

_WRAPPERS = frozenset({"_orig_mod", "module", "model", "net", "encoder", "backbone", "body"})
"""First words of names that come from what was wrapped around the network that was saved."""
_COUNTER = ".num_batches_tracked"
"""A counter changes no output, and older files lack it: it keeps its value."""
_NUM_NAMED = 5


def load_pretrained(encoder: TimmEncoder, weights: str) -> None:
    """Fill an encoder with pretrained weights.

    Weights of the classifier and of layers behind the last map are ignored. A first convolution
    of other input channels is adapted by `spread_kernel`.

    Args:
        encoder: The encoder to change.
        weights: A tag of timm such as `a1_in1k`, "" or `default` for the model's default tag; or
            the path of a `.safetensors`, `.pth` or `.pt` file.

    Raises:
        ConfigError: The tag is unknown, or the hub cannot be reached.
        DataError: The file cannot be read safely, or its weights do not fit the encoder.
    """
    source, state = find_weights(encoder.model, weights)
    encoder.load_state_dict(_fit(encoder, state, source), strict=True)


def spread_kernel(kernel: Tensor, in_channels: int, base_channels: int) -> Tensor:
    """Adapt a convolution kernel to another number of input channels.

    Input channel i takes the kernel of channel i modulo the base. A kernel that several channels
    take is divided among them; kernels that none takes are divided among all. So each kernel is
    given out exactly once, and an image with the same values in every channel gives the same
    response as before: for one channel this is the sum.

    Args:
        kernel: (out, groups * base_channels, *kernel_size); groups above 1 come from stems that
            move pixels into channels, the channels running fastest.
        in_channels: Wanted input channels.
        base_channels: Input channels of the kernel.

    Returns:
        (out, groups * in_channels, *kernel_size), of the same dtype.
    """
    mixing = torch.zeros(in_channels, base_channels, dtype=torch.float64)
    for channel in range(base_channels):
        takers = (
            mixing[channel::base_channels, channel] if channel < in_channels else mixing[:, channel]
        )
        takers += 1 / len(takers)
    grouped = kernel.double().reshape(len(kernel), -1, base_channels, *kernel.shape[2:])
    spread = torch.einsum("nb,ogb...->ogn...", mixing, grouped)
    return spread.flatten(1, 2).to(kernel.dtype)


def _fit(encoder: TimmEncoder, state: State, source: str) -> State:
    """Give the file's tensors under the encoder's names, every one checked."""
    whole = whole_model(encoder)
    layouts = _layouts(encoder, set(whole.state_dict()))
    ignored = (
        *(name for name in whole.state_dict() if name not in layouts[0].values()),
        *(f"{name}." for name in _as_names(whole.pretrained_cfg.get("classifier"))),
    )
    known = {name for layout in layouts for name in layout.values()} | set(whole.state_dict())
    state = _strip(state, known)
    fit, problems = _match(encoder, state, layouts, ignored)
    if problems:
        translated = _translate(state, whole)
        fit, still = (
            _match(encoder, translated, layouts, ignored) if translated else (fit, problems)
        )
        if still:
            raise DataError(
                f"the weights {source} do not fit {encoder.model}: {'; '.join(problems)}. Give "
                f"weights of {encoder.model}, named as timm names them"
            )
    return fit


def _match(
    encoder: TimmEncoder, state: State, layouts: Sequence[Layout], ignored: tuple[str, ...]
) -> tuple[State, list[str]]:
    """Give the fitting tensors under the encoder's names, and say what does not fit."""
    layout = next((one for one in layouts if not _missing(one, state)), layouts[0])
    used = set(layout.values())
    unexpected = [
        name
        for name in state
        if name not in used and not name.startswith(ignored) and not name.endswith(_COUNTER)
    ]
    problems = [
        f"{what} {_listed(names)}"
        for what, names in (("missing", _missing(layout, state)), ("unexpected", unexpected))
        if names
    ]
    fit = encoder.state_dict()
    found = {own: state[name] for own, name in layout.items() if name in state}
    odd = [own for own, tensor in found.items() if tensor.shape != fit[own].shape]
    for own in set(odd) & (_input_kernels(encoder) if odd else set()):
        adapted = _adapt(found[own], fit[own].shape, encoder.in_channels)
        if adapted is not None:
            found[own] = adapted
            odd.remove(own)
    if odd:
        shapes = [f"{layout[o]} {tuple(found[o].shape)} for {tuple(fit[o].shape)}" for o in odd]
        problems.append(f"wrong shape {_listed(shapes)}")
    return fit | found, problems


def _missing(layout: Layout, state: State) -> list[str]:
    return [name for name in layout.values() if name not in state and not name.endswith(_COUNTER)]


def _input_kernels(encoder: TimmEncoder) -> set[str]:
    """Name the tensors whose shapes follow the number of input channels."""
    other = 1 if encoder.in_channels == 3 else 3
    with torch.device("meta"):
        twin = TimmEncoder(encoder.model, in_channels=other).state_dict()
    return {name for name, t in encoder.state_dict().items() if t.shape != twin[name].shape}


def _adapt(kernel: Tensor, shape: torch.Size, in_channels: int) -> Tensor | None:
    """Spread a kernel over the input channels, where it differs in nothing else."""
    groups = shape[1] // in_channels if len(shape) > 2 else 0
    if not groups or kernel.ndim != len(shape) or kernel.shape[1] % groups:
        return None
    adapted = spread_kernel(kernel, in_channels, kernel.shape[1] // groups)
    return adapted if adapted.shape == shape else None


def _translate(state: State, whole: Any) -> State | None:
    """Rename a file of the model's authors, where timm knows how; None where it does not."""
    rename = getattr(sys.modules[type(whole).__module__], "checkpoint_filter_fn", None)
    if rename is None:
        return None
    try:
        return dict(rename(dict(state), whole))
    except Exception:
        # Made for one layout of names, it may raise anything on another; the file is then refused.
        return None


def _layouts(encoder: TimmEncoder, whole: set[str]) -> tuple[Layout, Layout]:
    """Map the encoder's names to those of the whole model, and to those of timm's extractor."""
    own = {name: name.removeprefix("net.") for name in encoder.state_dict()}
    return {name: _whole_name(short, whole) for name, short in own.items()}, own


def _whole_name(name: str, whole: set[str]) -> str:
    """Undo what timm's extractors do to names: a word in front, or `a.b` written as `a_b`."""
    first, _, rest = name.partition(".")
    cuts = [i for i, letter in enumerate(first) if letter == "_"]
    spellings = [name, *(f"{first[:i]}.{first[i + 1 :]}.{rest}" for i in cuts)]
    if first in _WRAPPERS:
        spellings.append(rest)
    return next((spelling for spelling in spellings if spelling in whole), name)


def _strip(state: State, known: set[str]) -> State:
    """Take off the words that wrappers put in front of all names, where none is known yet."""
    while known.isdisjoint(state):
        first = {name.partition(".")[0] for name in state}
        if len(first) != 1 or not first <= _WRAPPERS:
            break
        state = {name.partition(".")[2]: tensor for name, tensor in state.items()}
    return state


def _as_names(value: str | Sequence[str] | None) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NUM_NAMED} more" if len(names) > _NUM_NAMED else ""
    return ", ".join(names[:_NUM_NAMED]) + more
