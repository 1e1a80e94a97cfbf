"""Start from the weights of a trained model: a branch added to it, other classes, more data."""

from __future__ import annotations

from collections.abc import Sequence

from ushape.bundle import load_bundle
from ushape.config.schema import PreprocessConfig
from ushape.errors import ConfigError
from ushape.nets.network import SegmentationNetwork
from ushape.nets.second_pass import (
    fine_head,
    has_separate_statistics,
    is_second,
    separate_statistics,
)

MAY_DIFFER = ("heads.", "branch.")
"""Parts that a network may have in another form, or beyond those of the model it starts from."""

_MAX_NAMED = 3


def take_weights(
    network: SegmentationNetwork,
    model: str,
    preprocess: PreprocessConfig,
    class_names: Sequence[str],
) -> tuple[str, ...]:
    """Give a network the weights of a trained model wherever both have the same part.

    Only heads and branches may differ: they are as many as there are classes, and a branch may be
    what is new.

    Args:
        network: To start.
        model: A run folder or a model file.
        preprocess: How the new run prepares its images.
        class_names: Of the new run, the background first.

    Returns:
        What to tell the person: what was taken, what starts anew, what is prepared differently.

    Raises:
        BundleError: There is no such model, or it is damaged.
        ConfigError: It is another network.
    """
    bundle = load_bundle(model)
    given = bundle.network.state_dict()
    if fine_head(network.spec) is None:
        given = {key: value for key, value in given.items() if not is_second(key)}
    elif has_separate_statistics(bundle.network):
        separate_statistics(network)
    own = network.state_dict()
    fitting = {
        key: value for key, value in given.items() if key in own and own[key].shape == value.shape
    }
    odd = [key for key in {**given, **own} if key not in fitting and not _may_differ(key)]
    if odd:
        listed = ", ".join(odd[:_MAX_NAMED]) + (", ..." if len(odd) > _MAX_NAMED else "")
        raise ConfigError(
            f"train.start_from = {model}: {len(odd)} of its weights do not fit {network.spec.name} "
            f"as it is set here ({listed}): take over that run's settings too, with --config "
            "RUN/config.yaml"
        )
    network.load_state_dict({**own, **fitting})
    new = sorted({key.split(".")[0] for key in own if key not in fitting})
    fresh = f"; new: {', '.join(new)}" if new else ""
    notes = [f"started from the weights of {bundle.path}{fresh}"]
    known = bundle.header.labels.names
    if known != tuple(class_names) and not any(name.startswith("heads") for name in new):
        notes.append(
            f"its outputs told {', '.join(known)}, and now begin as {', '.join(class_names)}"
        )
    if bundle.header.preprocess != preprocess:
        notes.append(
            f"images are prepared otherwise than for {bundle.path}: its weights suit them less"
        )
    return tuple(notes)


def _may_differ(key: str) -> bool:
    return key.startswith(MAY_DIFFER)
