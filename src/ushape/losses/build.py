"""From the text of a loss to the mixture, and whether its terms fit the target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast, get_args

from ushape.errors import ConfigError, unknown_name
from ushape.losses.groups import Group, LossText, parse_groups
from ushape.losses.language import WeightedTerm
from ushape.losses.mixture import Mixture, MixtureTerm, TargetKind
from ushape.losses.terms import TERMS

BALANCES = ("none", "auto")


def build_loss(
    loss: LossText,
    *,
    num_logits: int,
    class_fractions: Sequence[float],
    target: TargetKind | None = None,
    class_names: Sequence[str] | None = None,
    balance: str = "none",
    place: str = "loss",
) -> Mixture:
    """Make the loss that a line of text, or a mapping from classes to lines, describes.

    Args:
        loss: The mixture (`ushape.losses.language`, `ushape.losses.groups`).
        num_logits: Channels of the network's output.
        class_fractions: Share of the pixels of each logit channel's class in the training
            data, for `auto`.
        target: `binary` (one channel, sigmoid), `multiclass` (softmax) or `multilabel` (sigmoid);
            by default binary for one channel, else multiclass.
        class_names: The class of each logit channel; a mapping needs them.
        balance: `auto` brings the terms to one magnitude from running means.
        place: What to call the setting in errors.

    Raises:
        ConfigError: The text is wrong (the place is named), or a term does not fit the target.
    """
    if len(class_fractions) != num_logits:
        raise ConfigError(f"{num_logits} logit channels but {len(class_fractions)} class fractions")
    if class_names is not None and len(class_names) != num_logits:
        raise ConfigError(f"{num_logits} logit channels but {len(class_names)} class names")
    if class_names is None and not isinstance(loss, str):
        raise ConfigError(f"{place}: a loss by class needs the names of the classes")
    if balance not in BALANCES:
        raise ConfigError(unknown_name("balance", balance, BALANCES))
    names = class_names or [str(channel) for channel in range(num_logits)]
    kind = _target_kind(target, num_logits)
    terms = [
        _build_term(term, group, names, kind, class_fractions)
        for group in parse_groups(loss, class_names=names, place=place)
        for term in group.terms
    ]
    return Mixture(terms, target=kind, is_balanced=balance == "auto")


def check_loss(
    loss: LossText,
    *,
    class_names: Sequence[str] | None = None,
    target: TargetKind | None = None,
    place: str = "loss",
) -> None:
    """Refuse a loss that is wrong, before there is data or a network.

    Args:
        loss: A line or a mapping.
        class_names: The class of each logit channel; without them only the language is checked.
        target: See `build_loss`.
        place: What to call the setting in errors.

    Raises:
        ConfigError: With the place of the mistake, and the nearest right name.
    """
    if class_names is None:
        parse_groups(loss, class_names=None, place=place)
        return
    build_loss(
        loss,
        num_logits=len(class_names),
        class_fractions=[1 / len(class_names)] * len(class_names),
        target=target,
        class_names=class_names,
        place=place,
    )


def _target_kind(target: str | None, num_logits: int) -> TargetKind:
    if target is None:
        return "binary" if num_logits == 1 else "multiclass"
    if target not in get_args(TargetKind):
        raise ConfigError(unknown_name("kind of target", target, get_args(TargetKind)))
    if (target == "binary" and num_logits != 1) or (target == "multiclass" and num_logits == 1):
        need = "one logit channel" if target == "binary" else "two logit channels or more"
        raise ConfigError(f"a {target} target needs {need}, the network has {num_logits}")
    return cast("TargetKind", target)


def _build_term(
    term: WeightedTerm,
    group: Group,
    class_names: Sequence[str],
    target: TargetKind,
    fractions: Sequence[float],
) -> MixtureTerm:
    assert group.channels is not None, "names were given"
    channels = group.channels
    is_whole = len(channels) == len(class_names)
    _check_fit(term, group, target, is_whole=is_whole)
    if target == "multiclass" and is_whole and term.options.get("background") is False:
        channels = tuple(channel for channel in channels if channel > 0)
    _check_lists(term, group, [class_names[channel] for channel in channels])
    return MixtureTerm(
        name=f"{group.name}.{term.name}" if group.name else term.name,
        factor=term.factor * group.weight,
        channels=channels,
        function=TERMS[term.name].build(term.options, [fractions[c] for c in channels]),
    )


def _check_fit(term: WeightedTerm, group: Group, target: TargetKind, *, is_whole: bool) -> None:
    if TERMS[term.name].is_exclusive:
        if target == "binary":
            why = "is for several classes, the target is binary; use bce"
        elif target == "multilabel":
            why = "is for classes that exclude each other, these overlap; use bce"
        else:
            why = (
                "compares all classes at once and has no meaning for some of them; use bce here, "
                "or write ce for every class: 'all: ce'"
            )
        if target != "multiclass" or not is_whole:
            group.line.fail(term.column, f"{term.name} {why}")
    if "background" in term.columns and (target != "multiclass" or not is_whole):
        why = f"the target is {target}" if target != "multiclass" else "the group names its classes"
        group.line.fail(
            term.columns["background"], f"there is no background to choose, {why}; leave it out"
        )


def _check_lists(term: WeightedTerm, group: Group, class_names: Sequence[str]) -> None:
    for name, value in term.options.items():
        if not isinstance(value, tuple):
            continue
        place = f"{term.name}({name}=...)"
        if len(value) != len(class_names):
            group.line.fail(
                term.columns[name],
                f"{place} has {len(value)} numbers for {len(class_names)} classes "
                f"({', '.join(class_names)}); give one for each",
            )
        if not any(value) and name != "alpha":
            group.line.fail(term.columns[name], f"{place}: all numbers are 0")
