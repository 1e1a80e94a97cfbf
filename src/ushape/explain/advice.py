"""Whether a branch would help, and the command line that adds it."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ushape.errors import ConfigError
from ushape.explain.response import ClassResponse, NodeResponse, Response
from ushape.nets import NetworkSpec, make_spec
from ushape.nets.parts import Branch, FineHead

FADES_BY = 0.05
"""Dice that a class must lose between a node and the output; and twice the standard error of the
difference over the folds."""

READABLE_FROM = 0.2
"""Below this Dice, or near that of a mask of all pixels, a node does not read a class."""

BRANCHED = "unet_branch"
_OF_BRANCH = ("network", "node", "branch_classes", "freeze_until")


@dataclass(frozen=True)
class Origin:
    """Where a model comes from: what its command line needs.

    Attributes:
        options: Of the network, as it was trained; None where they are not known.
        data: The data folder.
        config: The run's settings file.
        note: Why something is not known.
    """

    options: Mapping[str, Any] | None = None
    data: str | None = None
    config: Path | None = None
    note: str = ""


@dataclass(frozen=True)
class Advice:
    """What to do.

    Attributes:
        sentences: One a class, and one for the branch.
        node: Where to branch; None where no branch is needed, or none can be judged.
        classes: Names of the classes to branch for.
        command: Trains the network with the branch; "" where there is none.
        note: What is uncertain about the command.
    """

    sentences: tuple[str, ...]
    node: str | None = None
    classes: tuple[str, ...] = ()
    command: str = ""
    note: str = ""


def advise(response: Response, spec: NetworkSpec, origin: Origin) -> Advice:
    """Say for every class where it responds and whether it fades, and how to branch.

    A network takes one branch. It is put where the classes that fade gain most together.

    Args:
        response: Of the network.
        spec: Of the network.
        origin: Of the model.
    """
    if not response.has_truth:
        return Advice(tuple(_without_truth(found) for found in response.classes))
    inner = [node.name for node in response.classes[0].nodes[:-1]]
    places = [name for name in inner if _takes_branch(spec, name)]
    best = [_best(found, places) for found in response.classes]
    sentences, fading = [], []
    for found, top in zip(response.classes, best, strict=True):
        is_fading = top is not None and _fades(found, top)
        sentences.append(_sentence(found, top, is_fading=is_fading))
        if is_fading:
            fading.append(found)
    if not fading:
        return Advice(tuple(sentences))
    node = max(places, key=lambda name: sum(max(0.0, _gain(found, name)) for found in fading))
    chosen = [found for found in fading if _fades(found, _node(found, node))]
    names = tuple(found.name for found in chosen)
    sentences.append(f"a branch at {node} for {' and '.join(names)} may help:")
    command, note = _command(spec, node, tuple(sorted(c.channel for c in chosen)), origin)
    return Advice(tuple(sentences), node, names, command, note)


def _node(found: ClassResponse, name: str) -> NodeResponse:
    return next(node for node in found.nodes if node.name == name)


def _gain(found: ClassResponse, name: str) -> float:
    """Say how much better a class is read from a node than from the output; 0 where unknown."""
    change = _node(found, name).probe.dice - found.nodes[-1].probe.dice
    return 0.0 if math.isnan(change) else change


def _takes_branch(spec: NetworkSpec, node: str) -> bool:
    if any(isinstance(output, FineHead) for output in spec.auxiliary):
        return False
    try:
        replace(spec, branch=Branch(node, (0,)))
    except ConfigError:
        return False
    return True


def _best(found: ClassResponse, places: Sequence[str]) -> NodeResponse | None:
    nodes = [n for n in found.nodes if n.name in places and not math.isnan(n.probe.dice)]
    return max(nodes, key=lambda node: node.probe.dice, default=None)


def _is_readable(found: ClassResponse, node: NodeResponse) -> bool:
    everywhere = 2 * found.area / (1 + found.area)
    return node.probe.dice >= max(READABLE_FROM, everywhere + FADES_BY)


def _fades(found: ClassResponse, node: NodeResponse) -> bool:
    """Say whether the output reads a class worse than a node, by more than chance."""
    if not _is_readable(found, node):
        return False
    pairs = zip(node.probe.fold_dice, found.nodes[-1].probe.fold_dice, strict=True)
    changes = [a - b for a, b in pairs if not math.isnan(a) and not math.isnan(b)]
    error = 0.0
    if len(changes) > 1:
        mean = sum(changes) / len(changes)
        variance = sum((change - mean) ** 2 for change in changes) / (len(changes) - 1)
        error = math.sqrt(variance / len(changes))
    return _gain(found, node.name) >= max(FADES_BY, 2 * error)


def _sentence(found: ClassResponse, best: NodeResponse | None, *, is_fading: bool) -> str:
    output = found.nodes[-1]
    at_output = f"at the output {output.name} (probe Dice {output.probe.dice:.2f})"
    if best is None:
        return f"class {found.name} responds {at_output}; this network takes no branch"
    at_best = f"{best.name} ({best.part}, probe Dice {best.probe.dice:.2f})"
    if is_fading:
        return (
            f"class {found.name} responds at level {best.level}, {at_best}, and fades after: "
            f"{output.probe.dice:.2f} at the output {output.name}"
        )
    if not _is_readable(found, best) and not _is_readable(found, output):
        return (
            f"class {found.name} responds nowhere (at best {at_best}): there is nothing that a "
            "branch could pass on"
        )
    if _is_readable(found, best) and _gain(found, best.name) >= FADES_BY:
        return (
            f"class {found.name} may fade, from {at_best} to {output.probe.dice:.2f} at the output "
            f"{output.name}, but the folds differ too much to tell: give more images"
        )
    return (
        f"class {found.name} does not fade: it responds {at_output}, and no inner node is clearly "
        f"better (best: {at_best}); no branch is needed"
    )


def _without_truth(found: ClassResponse) -> str:
    output = found.nodes[-1].probe.dice
    early = next(
        node for node in found.nodes if node.probe.dice >= 0.9 * output or node is found.nodes[-1]
    )
    return (
        f"class {found.name}, as predicted, is readable from {early.name} on (level {early.level}, "
        f"{early.part}); whether it is lost on the way, only true masks can tell: --label TRUTH"
    )


def _command(
    spec: NetworkSpec, node: str, channels: tuple[int, ...], origin: Origin
) -> tuple[str, str]:
    """Write the command line, and check that it makes the present network with a branch."""
    options = dict(origin.options or {})
    network = options.get("network", "unet_padding") if spec.name == BRANCHED else spec.name
    kept = {key: value for key, value in options.items() if key not in _OF_BRANCH}
    if spec.kit.spatial_dims != 2:
        kept.setdefault("spatial_dims", spec.kit.spatial_dims)
    given: dict[str, Any] = {"network": network, "node": node}
    if channels != tuple(range(spec.classes)):
        given["branch_classes"] = list(channels)
    note = origin.note
    try:
        made = make_spec(
            BRANCHED, in_channels=spec.in_channels, classes=spec.classes, **given, **kept
        )
        wanted = replace(spec, name=BRANCHED, branch=Branch(node, channels), frozen=made.frozen)
        is_exact, reason = made == wanted, "its network is not the one of the catalogue's defaults"
    except ConfigError as error:
        is_exact, reason = False, str(error)
    if not is_exact:
        missing = f"add the options that the model was trained with ({reason})"
        note = f"{note}; {missing}" if note else missing
    words = ["ushape", "train", origin.data or "DATA"]
    if origin.config is None:
        words += ["--model", BRANCHED]
    else:
        # As a setting like the others: it replaces the file's network and options, not theirs.
        words += ["--config", str(origin.config), "--set", f"model.name={BRANCHED}"]
    for key, value in {**given, **kept}.items():
        text = value if isinstance(value, str) else json.dumps(value)
        words += ["--set", f"model.options.{key}={text}"]
    return shlex.join(words), note
