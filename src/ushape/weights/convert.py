"""Load the weights of a Keras network into the corresponding network of the family.

The result computes what the Keras network computes, in eval mode; nothing is fitted or guessed. A
batch norm's epsilon, 0.001 in Keras and 0.00001 here, is carried over exactly: both stand in a sum
with the variance, so the difference is added to the moving variance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ushape.errors import DataError
from ushape.nets.network import SegmentationNetwork
from ushape.weights.keras_file import SPARE_BYTES, KerasFile, open_keras_file
from ushape.weights.keras_layers import KerasLayer, list_layers
from ushape.weights.layout import network_layers, to_torch
from ushape.weights.matching import Match, match_layers

KERAS_EPSILON = 1e-3
"""What Keras's batch norm adds to the variance unless told otherwise."""

_BYTES_A_WEIGHT = 32
"""Eight bytes for a number, three such for an optimiser's state."""

_ROLES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
    "alpha": "weight",
}


@dataclass(frozen=True)
class Conversion:
    """What a conversion did.

    Attributes:
        matches: (Keras layer, our layer), in the order of computation.
        notes: What a person should know before trusting the result.
    """

    matches: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def convert_weights(
    path: str | Path, network: SegmentationNetwork, *, epsilon: float | None = None
) -> Conversion:
    """Load a Keras file into a network, all of it or nothing.

    Args:
        path: `.h5`, `.hdf5`, `.weights.h5` or `.keras`, of the corresponding Keras network.
        network: Receives the weights.
        epsilon: Of Keras's batch norms; None takes what the file says, else Keras's default.

    Returns:
        Which layer went where, and what to know.

    Raises:
        ConfigError: h5py is missing, or the network has layers that Keras files cannot fill.
        DataError: The file is damaged, of another kind, or of another network; the message names
            the Keras layer, our layer, both shapes and the place.
    """
    ours = network_layers(network)
    count = sum(tensor.numel() for tensor in network.state_dict().values())
    with open_keras_file(path, most_bytes=_BYTES_A_WEIGHT * count + SPARE_BYTES) as file:
        layers, order = list_layers(file)
        matches = match_layers(file.path, layers, order, ours)
        for match in matches:
            _check_settings(file.path, match)
        state = dict(network.state_dict())
        for match in matches:
            state |= _weights(file, match, epsilon)
    network.load_state_dict(state)
    return Conversion(
        tuple((match.keras.name, match.ours.name) for match in matches),
        tuple(_notes(matches, epsilon)),
    )


def _weights(file: KerasFile, match: Match, epsilon: float | None) -> dict[str, Tensor]:
    """Read a layer's weights under the names of our state dict."""
    keras, ours = match.keras, match.ours
    values = {role: file.read(keras.places[role], keras.shapes[role]) for role in keras.shapes}
    if keras.kind == "prelu":
        values["alpha"] = values["alpha"].reshape(-1)
    if keras.kind == "depthwise":
        values["kernel"] = np.swapaxes(values["kernel"], -1, -2)
    if keras.kind == "norm":
        values["moving_variance"] += _epsilon(keras, epsilon) - ours.epsilon
    for role, shape in ours.shapes.items():
        if role not in values:  # a layer without bias, centre or scale
            values[role] = _neutral(role, shape)
    return {f"{ours.name}.{_ROLES[role]}": to_torch(array) for role, array in values.items()}


def _neutral(role: str, shape: Sequence[int]) -> npt.NDArray[np.float64]:
    return np.ones(shape) if role == "gamma" else np.zeros(shape)


def _epsilon(keras: KerasLayer, given: float | None) -> float:
    if given is not None:
        return given
    return float(keras.settings.get("epsilon", KERAS_EPSILON))


def _check_settings(path: Path, match: Match) -> None:
    """Refuse what fits in shape and computes something else, where the file tells."""
    settings, ours = match.keras.settings, match.ours
    for name, expected in (("strides", ours.stride), ("dilation_rate", None)):
        if ours.stride is None or name not in settings:
            continue
        given = settings[name]
        edges = tuple(given) if isinstance(given, list | tuple) else (given,) * len(ours.stride)
        wanted = expected or (1,) * len(ours.stride)
        if edges != wanted:
            raise DataError(
                f"{path}: Keras layer {match.keras.name!r} has {name} {edges}, {ours.name} has "
                f"{wanted}: the weights fit, the networks differ"
            )


def _notes(matches: Sequence[Match], epsilon: float | None) -> list[str]:
    notes = []
    for match in matches:
        if match.others:
            names = ", ".join(net.name for net in (match.ours, *match.others))
            notes.append(
                f"ambiguous: Keras layer {match.keras.name!r} could be any of {names}, which have "
                "one shape and stand side by side; taken in the order of computation, so compare "
                "outputs before you trust it"
            )
    norms = [match.keras for match in matches if match.keras.kind == "norm"]
    if norms and epsilon is None and any("epsilon" not in norm.settings for norm in norms):
        notes.append(
            f"the file does not say the epsilon of its batch norms: {KERAS_EPSILON:g} taken, "
            "Keras's default; --epsilon gives another"
        )
    centred = [match.ours.name for match in matches if match.ours.is_centred]
    if centred:
        notes.append(
            f"{len(centred)} convolutions with a stride, {centred[0]} the first, pad on both sides "
            'here; Keras\'s "same" pads after the image: outputs differ unless the Keras network '
            "pads by ZeroPadding (docs/keras.md)"
        )
    bare = [
        m.ours.name for m in matches if "bias" in m.ours.shapes and "bias" not in m.keras.shapes
    ]
    if bare:
        notes.append(f"{len(bare)} layers have no bias in Keras, {bare[0]} the first: zero here")
    return notes
