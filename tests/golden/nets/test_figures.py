"""Figures as text: one for every entry of the catalogue, and one of every kind of part.

After an intended change, write the files anew and read the difference:

    python tests/golden/nets/test_figures.py
"""

import json
from pathlib import Path

import pytest

from ushape.nets import NetworkSpec, describe, figure_text, make_spec, spec_from_json

HERE = Path(__file__).parent
BACKBONE = HERE.parents[2] / "docs" / "family" / "unet_backbone.json"
REGENERATE = "if this change is meant: python tests/golden/nets/test_figures.py"

PAPER_3D = {"in_channels": 3, "classes": 3, "padding": "valid", "norm": "none", "up_bias": False}
FIGURES: dict[str, tuple[NetworkSpec, tuple[int, ...]]] = {
    "unet_original_572": (make_spec("unet_original"), (572, 572)),
    "unet_padding_256": (make_spec("unet_padding"), (256, 256)),
    "unet_padding_3d_residual": (
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
    "unet_padding_inception": (
        make_spec("unet_padding", levels=3, block="inception", norm="none", activation="elu"),
        (64, 64),
    ),
    "unet_residual_256": (make_spec("unet_residual"), (256, 256)),
    "unet_plusplus_256": (make_spec("unet_plusplus"), (256, 256)),
    "unet_attention_256": (make_spec("unet_attention"), (256, 256)),
    "unet_backbone_plain": (make_spec("unet_backbone", encoder="unet", freeze=2), (250, 256)),
    "unet_backbone_plain_add": (
        make_spec("unet_backbone", encoder="unet", decoder="add"),
        (256, 256),
    ),
    "unet_3d_paper": (make_spec("unet_3d", **PAPER_3D), (116, 132, 132)),
    "unet_25d_11_slices": (make_spec("unet_25d"), (11, 128, 128)),
    "vnet_2d_256": (make_spec("vnet_2d"), (256, 256)),
    "vnet_3d_light": (
        make_spec("vnet_3d", kernel_size=3, up="linear", align_corners=True),
        (64, 64, 64),
    ),
    "vnet_3d_depthwise": (make_spec("vnet_3d_depthwise"), (64, 64, 64)),
    "vnet_3d_depthwise_alone": (
        make_spec("vnet_3d_depthwise", pointwise=False, padding="pad-then-valid"),
        (64, 64, 64),
    ),
    "vnet_3d_bottleneck": (
        make_spec("vnet_3d_bottleneck", reduction_padding="after"),
        (64, 64, 64),
    ),
    "unet_fine_grained_3d": (
        make_spec("unet_fine_grained", classes=2, fine_classes=3, spatial_dims=3, levels=3),
        (32, 64, 64),
    ),
    "unet_branch_frozen": (
        make_spec("unet_branch", classes=3, branch_classes=(0, 2), freeze_until="x_1_0"),
        (256, 256),
    ),
}


def figure(name: str) -> str:
    return figure_text(describe(*FIGURES[name]))


@pytest.mark.parametrize("name", FIGURES)
def test_figures(name: str) -> None:
    assert figure(name) == (HERE / f"{name}.txt").read_text(encoding="utf-8"), REGENERATE


def test_every_file_is_compared() -> None:
    assert {path.stem for path in HERE.glob("*.txt")} == set(FIGURES)


def test_every_kind_of_part_is_shown() -> None:
    """A new kind needs a figure here, which someone then reads; backbones are in tests/timm."""
    from typing import get_args

    from ushape.nets import parts

    backbone = spec_from_json(json.loads(BACKBONE.read_text(encoding="utf-8"))["spec"])
    specs = [*(spec for spec, _ in FIGURES.values()), backbone]
    shown = {type(auxiliary) for spec in specs for auxiliary in spec.auxiliary}
    shown |= {type(spec.merge) for spec in specs}
    for level in (level for spec in specs for level in spec.levels):
        shown |= {type(block) for block in (level.encoder, level.decoder) if block}
        shown |= {type(level.step.down), type(level.step.up)} if level.step else set()

    unions = (parts.Block, parts.Down, parts.Up, parts.Merge, parts.Auxiliary)
    assert shown == {kind for union in unions for kind in get_args(union)}


if __name__ == "__main__":
    for name in FIGURES:
        (HERE / f"{name}.txt").write_text(figure(name), encoding="utf-8")
