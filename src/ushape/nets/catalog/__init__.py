"""The catalogue: one short function an entry, holding the paper's numbers as its defaults.

One module an entry (V-Nets in 2D and 3D share one, as do the two networks over another network);
`shared` has the options and shapes that several papers have in common.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ushape.errors import ConfigError, unknown_name
from ushape.nets.catalog.over_networks import unet_branch, unet_fine_grained
from ushape.nets.catalog.unet_3d import unet_3d
from ushape.nets.catalog.unet_25d import unet_25d
from ushape.nets.catalog.unet_attention import unet_attention
from ushape.nets.catalog.unet_backbone import unet_backbone
from ushape.nets.catalog.unet_original import unet_original
from ushape.nets.catalog.unet_padding import unet_padding
from ushape.nets.catalog.unet_plusplus import unet_plusplus
from ushape.nets.catalog.unet_residual import unet_residual
from ushape.nets.catalog.vnet import vnet_2d, vnet_3d
from ushape.nets.catalog.vnet_3d_bottleneck import vnet_3d_bottleneck
from ushape.nets.catalog.vnet_3d_depthwise import vnet_3d_depthwise
from ushape.nets.options import OptionInfo, accept_options, inner_option, list_options
from ushape.nets.spec import NetworkSpec


@dataclass(frozen=True)
class CatalogEntry:
    """One network that can be asked for by name.

    Attributes:
        name: What `build` and `--model` take.
        spatial_dims: The numbers of image axes that it is made for.
        summary: One line.
        description: What it is made of.
        source: The paper.
        use: When to take it.
        options: What can be set beside `in_channels` and `classes`.
    """

    name: str
    spatial_dims: tuple[int, ...]
    summary: str
    description: str
    source: str
    use: str
    options: tuple[OptionInfo, ...]


_ENTRIES: dict[str, Callable[..., NetworkSpec]] = {
    entry.__name__: entry
    for entry in (
        unet_original,
        unet_padding,
        unet_residual,
        unet_plusplus,
        unet_attention,
        unet_backbone,
        unet_3d,
        unet_25d,
        vnet_2d,
        vnet_3d,
        vnet_3d_depthwise,
        vnet_3d_bottleneck,
        unet_fine_grained,
        unet_branch,
    )
}


def entries() -> tuple[CatalogEntry, ...]:
    """List the catalogue, the plain U-Nets first.

    >>> [entry.name for entry in entries()][:2]
    ['unet_original', 'unet_padding']
    """
    return tuple(_describe_entry(name, entry) for name, entry in _ENTRIES.items())


def make_spec(name: str, *, in_channels: int = 1, classes: int = 1, **options: Any) -> NetworkSpec:
    """Describe a network of the catalogue, every option checked.

    Args:
        name: A catalogue name.
        in_channels: Image channels, 1 or more.
        classes: Logit channels, 1 or more.
        options: The entry's own; lists are taken as tuples.

    Raises:
        ConfigError: Unknown name or option (the nearest is named), or a value not allowed.
    """
    if name not in _ENTRIES:
        raise ConfigError(unknown_name("network", name, _ENTRIES))
    for what, count in (("in_channels", in_channels), ("classes", classes)):
        if type(count) is not int or count < 1:
            raise ConfigError(f"{what}={count!r} of {name} is not allowed: give 1 or more")
    entry = _ENTRIES[name]
    inner = inner_option(entry)
    if inner is None:
        accepted = accept_options(name, entry, options)
        accepted |= {"in_channels": in_channels, "classes": classes}
    else:
        extended = options.get(inner.name, inner.default)
        known = [n for n, function in _ENTRIES.items() if inner_option(function) is None]
        if extended not in known:
            raise ConfigError(f"{name}: {unknown_name('network', str(extended), known)}")
        accepted = accept_options(name, entry, options, inner=_ENTRIES[extended])
        accepted["make_inner"] = partial(make_spec, in_channels=in_channels, classes=classes)
        if "spatial_dims" not in options:
            dims = next(o for o in list_options(_ENTRIES[extended]) if o.name == "spatial_dims")
            accepted["spatial_dims"] = dims.default
    try:
        return entry(**accepted)
    except ConfigError as error:
        text = str(error)
        raise ConfigError(text if text.startswith(name) else f"{name}: {text}") from error


def _describe_entry(name: str, entry: Callable[..., NetworkSpec]) -> CatalogEntry:
    summary, _, rest = inspect.cleandoc(entry.__doc__ or "").partition("\n")
    before, _, use = rest.partition("Use:")
    description, _, source = before.partition("Source:")
    options = list_options(entry)
    dims = next(option.choices for option in options if option.name == "spatial_dims")
    return CatalogEntry(
        name,
        tuple(map(int, dims)),
        summary,
        description=_one_line(description),
        source=_one_line(source),
        use=_one_line(use),
        options=options,
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())
