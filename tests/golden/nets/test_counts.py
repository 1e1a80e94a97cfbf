"""Parameter counts and sizes that papers publish, or that were counted independently.

The figures are in `docs/family/paper_counts.json`, where the family's page reads them too; the
list here holds those that must never go missing from it.
"""

import json
from pathlib import Path

import pytest
import torch

from ushape.nets import build_network, describe, geometry_of, make_spec

FIGURES = json.loads(
    (Path(__file__).parents[3] / "docs" / "family" / "paper_counts.json").read_text("utf-8")
)
GOLDEN = {
    "unet_original": [(31_030_593, 31_030_593), (31_030_658, 31_030_658)],
    "unet_padding": [(31_042_369, 31_054_145), (7_760_097, 7_760_097)],
    "unet_plusplus": [(9_042_177, 9_042_177)],
    "vnet_2d": [(13_282_225, 13_289_137)],
    "vnet_3d": [(14_318_769, 14_324_241), (65_177_330, 65_182_802)],
    "vnet_3d_depthwise": [(482_353, 487_601), (1_000_177, 1_010_673)],
    "vnet_3d_bottleneck": [(1_273_329, 1_280_689), (1_352_133, 1_361_061)],
    "unet_3d": [(19_069_955, 19_069_955), (19_073_665, 19_078_337)],
    "unet_25d": [(7_684_918, 7_687_862)],
}


def spec_of(figure):
    return make_spec(
        figure["name"],
        in_channels=figure.get("in_channels", 1),
        classes=figure.get("classes", 1),
        **figure["options"],
    )


def count(spec) -> tuple[int, int]:
    """Count the built module's own tensors, without weights in memory."""
    with torch.device("meta"):
        network = build_network(spec)
    trainable = sum(p.numel() for p in network.parameters() if p.requires_grad)
    running = sum(b.numel() for name, b in network.named_buffers() if "running" in name)
    return trainable, trainable + running


def test_no_golden_figure_is_missing() -> None:
    found: dict[str, list[tuple[int, int]]] = {}
    for figure in FIGURES["counts"]:
        found.setdefault(figure["name"], []).append((figure["trainable"], figure["all"]))

    missing = [
        (name, pair) for name, pairs in GOLDEN.items() for pair in pairs if pair not in found[name]
    ]
    assert missing == []
    sizes = {(f["name"], *map(tuple, (f["input"], f["output"]))) for f in FIGURES["sizes"]}
    assert sizes >= {
        ("unet_original", (572, 572), (388, 388)),
        ("unet_original", (448, 448), (260, 260)),
        ("unet_3d", (116, 132, 132), (28, 44, 44)),
    }


@pytest.mark.parametrize("figure", FIGURES["counts"], ids=lambda f: f"{f['name']}: {f['what']}")
def test_counts_of_the_built_module(figure) -> None:
    assert count(spec_of(figure)) == (figure["trainable"], figure["all"])


@pytest.mark.parametrize("figure", FIGURES["counts"], ids=lambda f: f"{f['name']}: {f['what']}")
def test_counts_of_the_figure(figure) -> None:
    drawn = describe(spec_of(figure))

    assert (drawn.trainable_parameters, drawn.all_parameters) == count(spec_of(figure))
    assert sum(row.parameters for row in drawn.rows) == drawn.trainable_parameters


def test_auxiliary_heads_of_unet_plusplus_are_three_1x1_convolutions() -> None:
    bare = count(make_spec("unet_plusplus", in_channels=3, deep_supervision=False))[0]

    assert count(make_spec("unet_plusplus", in_channels=3))[0] == bare + 3 * (32 + 1)


def test_both_heads_of_the_fine_grained_network_share_one_trunk() -> None:
    plain, fine = make_spec("unet_padding"), make_spec("unet_fine_grained", fine_classes=2)

    assert count(fine)[0] == count(plain)[0] + 2 * (64 + 1)


def test_a_branch_is_a_1x1_convolution_and_an_enlargement_for_its_classes() -> None:
    plain = make_spec("unet_padding", classes=4)
    branch = make_spec("unet_branch", classes=4, node="x_2_0", branch_classes=[1, 3])

    assert count(branch)[0] == count(plain)[0] + 2 * (256 + 1) + 2 * 8 * 8


@pytest.mark.parametrize("figure", FIGURES["sizes"], ids=lambda f: f"{f['name']}: {f['what']}")
def test_published_sizes(figure) -> None:
    assert geometry_of(spec_of(figure)).output_size(figure["input"]) == tuple(figure["output"])


@pytest.mark.parametrize("figure", FIGURES["sizes"], ids=lambda f: f"{f['name']}: {f['what']}")
def test_published_sizes_of_the_real_network(figure) -> None:
    """With one channel, and on the meta device, which computes sizes alone."""
    spec = make_spec(figure["name"], width=1, **figure["options"])
    with torch.device("meta"):
        network = build_network(spec).eval()
        logits = network(torch.empty(1, 1, *figure["input"])).logits

    assert logits.shape == (1, 1, *figure["output"])
