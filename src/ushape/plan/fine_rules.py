"""Rules for networks that make two passes: which classes are small, and how regions are cut."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ushape.config.schema import FineConfig
from ushape.data.fine import check_fine, coarse_table
from ushape.errors import ConfigError
from ushape.nets import NetworkSpec, geometry_of
from ushape.plan.choices import Choices
from ushape.plan.fingerprint import Fingerprint
from ushape.sizes import format_size

FINE_GRAINED = "unet_fine_grained"
"""The network of the catalogue that has a head for the second pass."""

LARGEST_SHARE = 0.5
"""A class is guessed to be small where it has less than this share of the other's pixels."""

MOST_CUTS = 32

_SAY_BOTH = (
    "name them: --set fine.classes=[SMALL] --set fine.within=LARGE, where LARGE is the class that "
    "holds the small ones"
)


def small_classes(settings: Mapping[str, Any], fingerprint: Fingerprint) -> tuple[str, ...]:
    """Take the classes that a person says are small, or guess: the rarest class.

    Args:
        settings: By key.
        fingerprint: The data set.

    Raises:
        ConfigError: There are not two classes to choose from.
    """
    given = tuple(settings.get("fine.classes") or ())
    if given:
        return given
    shares = zip(fingerprint.class_fractions[1:], fingerprint.labels.names[1:], strict=True)
    others = [(s, name) for s, name in shares if s > 0 and name != settings.get("fine.within")]
    if len(fingerprint.labels.foreground) < 2 or not others:
        raise ConfigError(
            f"{FINE_GRAINED} finds small classes within a large one, and there is but one class "
            f"({fingerprint.labels.describe()}): take another network, or tell more classes apart"
        )
    return (min(others)[1],)


def needs_contacts(settings: Mapping[str, Any], model: str | None) -> bool:
    """Say whether it must be measured which class small ones lie beside."""
    return is_fine_grained(settings, model) and not settings.get("fine.within")


def is_fine_grained(settings: Mapping[str, Any], model: str | None) -> bool:
    """Say whether a network makes two passes."""
    return (model or settings.get("model.name")) == FINE_GRAINED


def choose_fine(choices: Choices, fingerprint: Fingerprint, model: str | None) -> Fingerprint:
    """Choose what the second pass looks for and where.

    Args:
        choices: Takes the choice.
        fingerprint: The data set; with `contacts` where the large class must be guessed.
        model: What `--model` said.

    Returns:
        The data set as the first pass sees it: without the small classes.

    Raises:
        ConfigError: A class does not exist, or none can be guessed, or there is no second pass.
    """
    given = choices.given
    if not is_fine_grained(given, model):
        if given.get("fine.classes") or given.get("fine.within"):
            name = model or given.get("model.name")
            raise ConfigError(
                f"fine.classes: {name or 'the default network'} makes one pass only; take --model "
                f"{FINE_GRAINED}, or leave fine.classes and fine.within out"
            )
        return fingerprint
    small = small_classes(given, fingerprint)
    shares = dict(zip(fingerprint.labels.names, fingerprint.class_fractions, strict=True))
    why = f"the rarest class: {shares.get(small[0], 0):.2%} of the pixels"
    small = tuple(choices.choose("fine.classes", small, why))
    within, why = given.get("fine.within"), ""
    if not within:
        within, why = _guess_within(small, fingerprint, shares)
    within = choices.choose("fine.within", within, why)
    fine = FineConfig(classes=small, within=within)
    check_fine(fingerprint.labels, fine)
    return first_pass(fingerprint, fine)


def _guess_within(
    small: tuple[str, ...], fingerprint: Fingerprint, shares: Mapping[str, float]
) -> tuple[str, str]:
    listed = ", ".join(small)
    found = {n: c for n, c in fingerprint.contacts.items() if c and n in shares and n not in small}
    if not found:
        raise ConfigError(
            f"fine.within: no other class lies beside {listed} in the labels; {_SAY_BOTH}"
        )
    within = max(found, key=lambda name: found[name])
    if sum(shares.get(name, 0) for name in small) >= LARGEST_SHARE * shares[within]:
        raise ConfigError(
            f"fine.within: {listed} lies beside {within}, but is not much smaller; {_SAY_BOTH}"
        )
    part = found[within] / sum(found.values())
    return within, f"{part:.0%} of the pixels of other classes beside {listed} are {within}"


def first_pass(fingerprint: Fingerprint, fine: FineConfig) -> Fingerprint:
    """Describe a data set as the first pass sees it; the same where there is but one pass."""
    if not fine.classes:
        return fingerprint
    table = fingerprint.labels
    coarse = coarse_table(table, fine)
    shares = dict(zip(table.names, fingerprint.class_fractions, strict=True))
    cases = dict(zip(table.names, fingerprint.class_cases, strict=True))
    becomes = {number: name for number, name in enumerate(table.names) if name in coarse.names}
    if not table.is_overlapping:
        within = str(fine.within)
        shares[within] += sum(shares[name] for name in fine.classes)
        cases[within] = max(cases[name] for name in (within, *fine.classes))
        becomes |= {table.names.index(name): within for name in fine.classes}
    return replace(
        fingerprint,
        labels=coarse,
        class_fractions=tuple(shares[name] for name in coarse.names),
        class_cases=tuple(cases[name] for name in coarse.names),
        cases_classes={
            case: tuple(sorted({coarse.names.index(becomes[n]) for n in held if n in becomes}))
            for case, held in fingerprint.cases_classes.items()
        },
    )


def with_fine_classes(choices: Choices, options: Mapping[str, Any]) -> dict[str, Any]:
    """Give the network's fine head as many logits as there are small classes."""
    small = choices.values.get("fine.classes", ())
    if not small:
        return dict(options)
    if options.get("fine_classes", len(small)) != len(small):
        raise ConfigError(
            f"model.options.fine_classes = {options['fine_classes']}: fine.classes names "
            f"{len(small)} ({', '.join(small)}); leave the option out"
        )
    return {**options, "fine_classes": len(small)}


def patches_in_memory(choices: Choices, batch: int) -> int:
    """Say how many patches a step holds in memory: cuts have as many pixels as the patches.

    Args:
        choices: Say whether there is a second pass.
        batch: Patches of the first pass.
    """
    return 2 * batch if choices.values.get("fine.classes") else batch


def choose_cuts(choices: Choices, spec: NetworkSpec) -> None:
    """Choose how large cuts are, and how many there are in a step; the patch is chosen."""
    if not choices.values.get("fine.classes"):
        return
    usual = FineConfig()
    regions = choices.choose("fine.regions", usual.regions)
    choices.choose("fine.most_regions", usual.most_regions)
    choices.choose("fine.kind", usual.kind)
    choices.choose("fine.margin_fraction", usual.margin_fraction)
    choices.choose("fine.jitter", usual.jitter)
    geometry = geometry_of(spec)
    patch = geometry.output_size(choices.values["patch.size"])
    part = 1 if regions == "largest" else 2
    wanted = tuple(
        max(-(-edge // part), min(edge, 2 * stride))
        for edge, stride in zip(patch, geometry.total_stride, strict=True)
    )
    margins = [sum(pair) for pair in geometry.margin]
    given = tuple(edge + margin for edge, margin in zip(wanted, margins, strict=True))
    size = geometry.output_size(geometry.nearest_sizes(given)[1])
    why = (
        "as large as a patch: there is one region an image"
        if part == 1
        else "half of a patch's edges: regions are small"
    )
    size = tuple(choices.choose("fine.cut_size", size, why) or size)
    choices.values["fine.cut_size"] = size
    pixels = math.prod(patch) * int(choices.values["patch.batch"])
    cuts = max(min(round(pixels / math.prod(size)), MOST_CUTS), 1)
    why = f"as many pixels as the patches have, in cuts of {format_size(size)}"
    choices.choose("fine.cuts", cuts, why)
    choices.choose("fine.present_fraction", usual.present_fraction)
    choices.choose("fine.loss", usual.loss)
    choices.choose("fine.weight", usual.weight)
