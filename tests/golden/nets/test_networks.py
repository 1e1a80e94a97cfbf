"""Descriptions, names and values of stored networks, which must not change unnoticed.

After an intended change, write the files anew and read the difference:

    python tests/golden/nets/test_networks.py

`stored_old_*` were written before the whole family existed, and are never written anew.
"""

import json
from pathlib import Path

import pytest
import torch

from ushape.nets import build_network, make_spec, spec_from_json, spec_to_json

HERE = Path(__file__).parent
VALUES = HERE / "stored_values.json"
REGENERATE = "if this change is meant: python tests/golden/nets/test_networks.py"

OLD = {
    "unet_original": make_spec("unet_original", levels=3, width=2),
    "unet_padding_residual": make_spec("unet_padding", levels=3, width=2, residual=True),
    "unet_padding_3d_linear": make_spec(
        "unet_padding", levels=3, width=2, spatial_dims=3, up="linear", norm="instance"
    ),
    "unet_padding_transposed": make_spec("unet_padding", levels=3, width=2, up="transposed"),
}
SMALL = {"levels": 3, "width": 2}
STORED = OLD | {
    "unet_padding_inception": make_spec("unet_padding", levels=3, width=4, block="inception"),
    "unet_residual": make_spec("unet_residual", levels=4, width=2, blocks=(1, 2, 1, 1)),
    "unet_plusplus": make_spec("unet_plusplus", **SMALL),
    "unet_attention_3d": make_spec("unet_attention", spatial_dims=3, **SMALL),
    "unet_3d": make_spec("unet_3d", padding="valid", norm="none", up_bias=False, **SMALL),
    "unet_25d": make_spec("unet_25d", levels=4, width=2),
    "vnet_2d": make_spec("vnet_2d", **SMALL),
    "vnet_3d_linear": make_spec("vnet_3d", kernel_size=3, up="linear", **SMALL),
    "vnet_3d_depthwise": make_spec("vnet_3d_depthwise", levels=4, width=2),
    "vnet_3d_bottleneck": make_spec("vnet_3d_bottleneck", width=4, reduction_padding="after"),
    "unet_backbone_add": make_spec("unet_backbone", encoder="unet", decoder="add", freeze=2),
    "unet_fine_grained": make_spec("unet_fine_grained", network="unet_25d", **SMALL),
    "unet_branch": make_spec(
        "unet_branch", classes=3, node="x_1_1", branch_classes=(2,), freeze_until="x_1_0", **SMALL
    ),
}
COMPUTED = [name for name in STORED if name != "unet_backbone_add"]  # 31 M weights


def key_listing(name: str) -> str:
    with torch.device("meta"):
        state = build_network(STORED[name]).state_dict()
    return "".join(f"{key} {list(value.shape)}\n" for key, value in state.items())


def spec_listing(name: str) -> str:
    return json.dumps(spec_to_json(STORED[name]), indent=1) + "\n"


def read_json(name: str):
    return json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", STORED)
def test_names_and_shapes_in_model_files(name) -> None:
    """Models on people's disks have these: a change needs a migration."""
    stored = (HERE / f"stored_{name}.keys").read_text(encoding="utf-8")

    assert key_listing(name) == stored, REGENERATE


@pytest.mark.parametrize("name", STORED)
def test_descriptions_in_model_files(name) -> None:
    """Models on people's disks have these: a change needs a migration."""
    stored = read_json(f"stored_{name}")

    assert spec_from_json(stored) == STORED[name]
    assert spec_to_json(STORED[name]) == stored, REGENERATE


@pytest.mark.parametrize("name", OLD)
def test_descriptions_written_before_the_whole_family_are_read(name) -> None:
    assert spec_from_json(read_json(f"stored_old_{name}")) == OLD[name]


@pytest.mark.parametrize("name", COMPUTED)
def test_computed_values(name) -> None:
    """A difference here is a change of numerics: say so in the changelog."""
    stored = json.loads(VALUES.read_text(encoding="utf-8"))[name]

    assert fingerprint(name) == pytest.approx(stored, rel=1e-6), REGENERATE


def fingerprint(name: str) -> list[float]:
    """Run a network whose weights and image follow a formula, without any random numbers.

    Mean and deviation of the logits and of every auxiliary output, in a row.
    """
    network = build_network(STORED[name]).double().eval()
    with torch.no_grad():
        for number, parameter in enumerate(network.parameters()):
            wave = torch.sin(torch.arange(parameter.numel()).double() * 1.7 + number)
            parameter.copy_(wave.reshape(parameter.shape) * 0.5)
        geometry = network.geometry
        size = geometry.nearest_sizes(tuple(edge + 9 for edge in geometry.smallest))[1]
        image = torch.cos(torch.arange(torch.Size(size).numel()).double() * 0.3).reshape(size)
        output = network(image[None, None])
    maps = (output.logits, *output.auxiliary)
    return [value for y in maps for value in (y.mean().item(), y.std().item())]


def write_anew() -> None:
    for name in STORED:
        (HERE / f"stored_{name}.keys").write_text(key_listing(name), encoding="utf-8")
        (HERE / f"stored_{name}.json").write_text(spec_listing(name), encoding="utf-8")
    values = {name: fingerprint(name) for name in COMPUTED}
    VALUES.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_anew()
