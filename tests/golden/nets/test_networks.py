"""Numbers and texts that must not change unnoticed.

After an intended change, write the files anew and read the difference:

    python tests/golden/nets/test_networks.py
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import ushape
from ushape.nets import describe, figure_text, make_spec, spec_from_json, spec_to_json

HERE = Path(__file__).parent
REGENERATE = "if this change is meant: python tests/golden/nets/test_networks.py"

FIGURES = {
    "unet_original_572.txt": (make_spec("unet_original"), (572, 572)),
    "unet_padding_256.txt": (make_spec("unet_padding"), (256, 256)),
    "unet_padding_3d_residual.txt": (
        make_spec(
            "unet_padding",
            in_channels=2,
            classes=3,
            spatial_dims=3,
            levels=4,
            width=16,
            kernel_size=(1, 3, 3),
            stride=(1, 2, 2),
            up="linear",
            residual=True,
            dropout=0.1,
        ),
        (12, 96, 96),
    ),
}
STORED = {
    "stored_unet_original": make_spec("unet_original", levels=3, width=2),
    "stored_unet_padding_residual": make_spec("unet_padding", levels=3, width=2, residual=True),
    "stored_unet_padding_3d_linear": make_spec(
        "unet_padding", levels=3, width=2, spatial_dims=3, up="linear", norm="instance"
    ),
    "stored_unet_padding_transposed": make_spec("unet_padding", levels=3, width=2, up="transposed"),
}


def figure(name: str) -> str:
    return figure_text(describe(*FIGURES[name]))


def key_listing(name: str) -> str:
    from ushape.nets import build_network

    state = build_network(STORED[name]).state_dict()
    return "".join(f"{key} {list(value.shape)}\n" for key, value in state.items())


def spec_listing(name: str) -> str:
    return json.dumps(spec_to_json(STORED[name]), indent=1) + "\n"


@pytest.mark.parametrize("name", FIGURES)
def test_figures(name) -> None:
    assert figure(name) == (HERE / name).read_text(encoding="utf-8"), REGENERATE


@pytest.mark.parametrize("name", STORED)
def test_names_and_shapes_in_model_files(name) -> None:
    """Models on people's disks have these: a change needs a migration."""
    assert key_listing(name) == (HERE / f"{name}.keys").read_text(encoding="utf-8"), REGENERATE


@pytest.mark.parametrize("name", STORED)
def test_descriptions_in_model_files(name) -> None:
    """Models on people's disks have these: a change needs a migration."""
    stored = json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))

    assert spec_from_json(stored) == STORED[name]
    assert spec_to_json(STORED[name]) == stored, REGENERATE


@pytest.mark.parametrize(
    ("spec", "trainable", "everything"),
    [
        (make_spec("unet_original"), 31_030_593, 31_030_593),
        (make_spec("unet_original", classes=2), 31_030_658, 31_030_658),
        (make_spec("unet_original", up="transposed"), 31_030_593, 31_030_593),
        (make_spec("unet_padding"), 31_042_369, 31_054_145),
        (make_spec("unet_padding", norm="none"), 31_030_593, 31_030_593),
        # The plain U-Net that the U-Net++ paper compares with, and the nested one.
        (make_spec("unet_padding", in_channels=3, width=32, norm="none"), 7_760_097, 7_760_097),
        (
            replace(
                make_spec("unet_padding", in_channels=3, width=32, norm="none"), nesting="dense"
            ),
            9_042_177,
            9_042_177,
        ),
    ],
)
def test_parameter_counts(spec, trainable, everything) -> None:
    drawn = describe(spec, (572 if spec.name == "unet_original" else 256,) * 2)

    assert (drawn.trainable_parameters, drawn.all_parameters) == (trainable, everything)


@pytest.mark.parametrize(("edge", "output"), [(572, 388), (448, 260)])
def test_published_sizes_of_the_real_network(edge, output) -> None:
    network = ushape.build("unet_original", width=1).eval()

    with torch.no_grad():
        assert network(torch.zeros(1, 1, edge, edge)).logits.shape == (1, 1, output, output)


def test_counts_of_the_built_module_are_those_of_the_figure() -> None:
    network = ushape.build("unet_padding")

    assert sum(p.numel() for p in network.parameters() if p.requires_grad) == 31_042_369


@pytest.mark.parametrize(
    ("name", "mean", "deviation"),
    [
        ("stored_unet_original", -0.1325713114049056, 0.3529522328343634),
        ("stored_unet_padding_residual", -0.9237452798505181, 0.12463189927020889),
        ("stored_unet_padding_3d_linear", 0.5904012555219016, 0.06168537835821885),
        ("stored_unet_padding_transposed", 0.6132442788703228, 0.010205108987049672),
    ],
)
def test_computed_values(name, mean, deviation) -> None:
    """A difference here is a change of numerics: say so in the changelog."""
    found = fingerprint(name)

    assert found == pytest.approx((mean, deviation), rel=1e-6)


def fingerprint(name: str) -> tuple[float, float]:
    """Run a network whose weights and image follow a formula, without any random numbers."""
    from ushape.nets import build_network

    network = build_network(STORED[name]).double().eval()
    with torch.no_grad():
        for number, parameter in enumerate(network.parameters()):
            wave = torch.sin(torch.arange(parameter.numel()).double() * 1.7 + number)
            parameter.copy_(wave.reshape(parameter.shape) * 0.5)
        geometry = network.geometry
        size = geometry.nearest_sizes(tuple(edge + 9 for edge in geometry.smallest))[1]
        image = torch.cos(torch.arange(torch.Size(size).numel()).double() * 0.3).reshape(size)
        logits = network(image[None, None]).logits
    return logits.mean().item(), logits.std().item()


def write_anew() -> None:
    for name in FIGURES:
        (HERE / name).write_text(figure(name), encoding="utf-8")
    for name in STORED:
        (HERE / f"{name}.keys").write_text(key_listing(name), encoding="utf-8")
        (HERE / f"{name}.json").write_text(spec_listing(name), encoding="utf-8")


if __name__ == "__main__":
    write_anew()
    for stored in STORED:
        print(stored, fingerprint(stored))
