"""Counting by arithmetic against the parameters of the built modules."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from ushape.nets import entries, make_spec
from ushape.nets.network import SegmentationNetwork
from ushape.nets.parameters import count_parameters
from ushape.nets.parts import (
    BlockDown,
    InceptionBlock,
    LinkUp,
    NodeHead,
    ResidualBlock,
    Step,
)

CHOICES = [
    (entry.name, option.name, choice)
    for entry in entries()
    for option in entry.options
    for choice in option.choices or ((True, False) if option.allowed == "true or false" else ())
    if entry.name != "unet_backbone" and option.name not in ("align_corners", "levels")
]


def counted_on_the_module(spec) -> dict[str, int]:
    with torch.device("meta"):
        network = SegmentationNetwork(spec)
    heads = {
        "head" if key == network.heads.output else f"head {key}": head
        for key, head in network.heads.items()
    }
    parts = {**network.encoder, **network.decoder, **heads}
    if network.branch is not None:
        parts["branch"] = network.branch
    return {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}


def check(spec) -> None:
    with torch.device("meta"):
        network = SegmentationNetwork(spec)
    counts = count_parameters(spec)
    trainable = sum(p.numel() for p in network.parameters() if p.requires_grad)
    running = [b.numel() for name, b in network.named_buffers() if "running_" in name]

    assert counts.by_part == counted_on_the_module(spec)
    assert counts.trainable == trainable
    assert counts.frozen == sum(p.numel() for p in network.parameters()) - trainable
    assert counts.running == sum(running)
    assert counts.all == counts.trainable + counts.frozen + counts.running


def test_small_networks_of_every_kind(case, small_spec) -> None:
    check(small_spec(case, in_channels=3, classes=4))


@pytest.mark.parametrize(("name", "option", "choice"), CHOICES)
def test_every_choice_of_every_option(name, option, choice) -> None:
    known = {option.name for option in next(e for e in entries() if e.name == name).options}
    small = {"width": 8, "levels": 4} if known >= {"width", "levels"} else {}
    check(make_spec(name, **small, **{option: choice}))


def test_networks_of_unequal_parts() -> None:
    """What no entry has: unequal inner widths, link ways up, a head on the encoder."""
    spec = make_spec("unet_padding", levels=3, width=8)
    residual = ResidualBlock((12, 8), (3, 3), repeats=2, stem=6, shortcut="project_norm")
    inception = InceptionBlock((8, 16), (3, 5))
    top = replace(spec.levels[0], encoder=residual, decoder=inception)
    middle = replace(spec.levels[1], step=Step((2, 1), BlockDown(), LinkUp(5)))

    check(replace(spec, levels=(top, middle, spec.levels[2]), auxiliary=(NodeHead("x_1_0"),)))


def test_a_branch_of_one_class_has_a_bias_and_one_of_more_has_none() -> None:
    for classes in (1, 2):
        check(make_spec("unet_branch", classes=classes, levels=3, width=4, node="x_2_0"))
    check(make_spec("unet_branch", levels=3, width=4, node="x_0_2"))


def test_frozen_nodes_are_not_trainable() -> None:
    spec = make_spec("unet_branch", levels=3, width=4, freeze_until="x_1_1")

    check(spec)
    assert count_parameters(spec).frozen == sum(
        count_parameters(spec).by_part[name] for name in ("x_0_0", "x_1_0", "x_2_0", "x_1_1")
    )


def test_counting_needs_no_torch() -> None:
    code = (
        "import sys; from ushape.nets import make_spec;"
        "from ushape.nets.parameters import count_parameters;"
        "count_parameters(make_spec('unet_25d')); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
