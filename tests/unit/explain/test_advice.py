"""When a branch is advised, where, and that the command line makes the network that it says."""

import math
import shlex
from pathlib import Path

import pytest

from ushape.config.load import read_assignments
from ushape.explain import Origin, advise
from ushape.explain.probe import Probe
from ushape.explain.response import ClassResponse, NodeResponse, Response
from ushape.nets import make_spec
from ushape.nets.parts import Branch

NAMES = ("x_0_0", "x_1_0", "x_2_0", "x_1_1", "x_0_2")


def a_class(name, channel, dice, folds=None, area=0.01):
    nodes = []
    for number, (node, value) in enumerate(zip(NAMES, dice, strict=True)):
        by_fold = (value,) * 4 if folds is None else folds[number]
        level, column = int(node[2]), int(node[4])
        nodes.append(NodeResponse(node, level, column, Probe(value, 0.9, by_fold, True), 0.5))
    return ClassResponse(name, channel, tuple(nodes), area, 4, 0.5)


def response(*classes, has_truth=True):
    return Response(classes, (), has_truth, {}, (), 4)


def spec_of(**options):
    options = {"levels": 3, "width": 8} | options
    return make_spec("unet_padding", in_channels=1, classes=3, **options)


def options_in(command):
    words = shlex.split(command)
    return read_assignments(words[i + 1] for i, word in enumerate(words) if word == "--set")


FADING = a_class("jaw", 2, [0.1, 0.4, 0.8, 0.6, 0.5])
STEADY = a_class("disc", 1, [0.1, 0.4, 0.81, 0.6, 0.8])


def test_the_sentence_names_level_node_and_output():
    advice = advise(response(FADING, STEADY), spec_of(), Origin())
    assert advice.sentences == (
        "class jaw responds at level 2, x_2_0 (encoder, probe Dice 0.80), and fades after: 0.50 at "
        "the output x_0_2",
        "class disc does not fade: it responds at the output x_0_2 (probe Dice 0.80), and no inner "
        "node is clearly better (best: x_2_0 (encoder, probe Dice 0.81)); no branch is needed",
        "a branch at x_2_0 for jaw may help:",
    )


@pytest.mark.parametrize(
    "options",
    [{}, {"levels": 3, "width": 8}, {"widths": [4, 6, 8], "norm": "instance", "up": "linear"}],
)
def test_the_command_line_makes_the_present_network_with_a_branch(options):
    spec = make_spec("unet_padding", in_channels=1, classes=3, **options)
    origin = Origin(options, data="my data", config=Path("runs/a b/config.yaml"))
    advice = advise(response(FADING, STEADY), spec, origin)
    words = shlex.split(advice.command)
    assert words[:7] == [
        *("ushape", "train", "my data", "--config", "runs/a b/config.yaml"),
        *("--set", "model.name=unet_branch"),
    ]
    given = {k.removeprefix("model.options."): v for k, v in options_in(advice.command).items()}
    made = make_spec(given.pop("model.name"), in_channels=1, classes=3, **given)
    assert made.branch == Branch("x_2_0", (2,))
    assert made.levels == spec.levels
    assert made.kit == spec.kit
    assert advice.note == ""


def test_unknown_options_are_said():
    advice = advise(response(FADING), spec_of(), Origin(note="no settings"))
    assert advice.note.startswith("no settings; add the options that the model was trained with")
    assert advice.command.startswith("ushape train DATA --model unet_branch --set")


def test_a_network_that_has_a_branch_gets_another_one():
    options = {"network": "unet_padding", "node": "x_1_0", "levels": 3, "width": 8}
    spec = make_spec("unet_branch", in_channels=1, classes=3, **options)
    advice = advise(response(FADING), spec, Origin(options))
    given = options_in(advice.command)
    assert given["model.options.node"] == "x_2_0"
    assert given["model.options.network"] == "unet_padding"
    assert advice.note == ""


def test_fine_grained_networks_take_no_branch():
    spec = make_spec("unet_fine_grained", in_channels=1, classes=3, levels=3, width=8)
    advice = advise(response(FADING), spec, Origin())
    assert advice.command == ""
    assert "takes no branch" in advice.sentences[0]


def test_one_branch_serves_the_classes_that_gain_together():
    first = a_class("a", 0, [0.1, 0.1, 0.62, 0.7, 0.4])
    second = a_class("b", 1, [0.1, 0.1, 0.60, 0.41, 0.4])
    advice = advise(response(first, second, STEADY), spec_of(), Origin())
    assert (advice.node, advice.classes) == ("x_2_0", ("a", "b"))
    assert options_in(advice.command)["model.options.branch_classes"] == [0, 1]


def test_all_classes_need_no_list():
    classes = [a_class(name, k, [0.1, 0.4, 0.8, 0.6, 0.5]) for k, name in enumerate("abc")]
    advice = advise(response(*classes), spec_of(), Origin())
    assert "model.options.branch_classes" not in options_in(advice.command)


@pytest.mark.parametrize(
    ("dice", "folds", "words"),
    [
        ([0.1, 0.1, 0.84, 0.1, 0.80], None, "no branch is needed"),
        (
            [0.1, 0.1, 0.70, 0.1, 0.60],
            [(0.7,) * 4] * 4 + [(0.9, 0.2, 0.9, 0.4)],
            "may fade, from x_2_0 (encoder, probe Dice 0.70) to 0.60 at the output x_0_2, but",
        ),
        ([0.1, 0.1, 0.15, 0.1, 0.05], None, "nothing that a branch could pass on"),
    ],
)
def test_small_uncertain_and_useless_differences_give_no_branch(dice, folds, words):
    advice = advise(response(a_class("a", 0, dice, folds)), spec_of(), Origin())
    assert (advice.node, advice.command) == (None, "")
    assert words in advice.sentences[0]


def test_large_classes_must_beat_a_mask_of_all_pixels():
    large = a_class("a", 0, [0.5, 0.5, 0.5, 0.5, 0.4], area=0.33)
    small = a_class("a", 0, [0.5, 0.5, 0.5, 0.5, 0.4], area=0.05)
    assert "responds nowhere" in advise(response(large), spec_of(), Origin()).sentences[0]
    assert "fades after" in advise(response(small), spec_of(), Origin()).sentences[0]


def test_undefined_scores_are_passed_over():
    odd = a_class("a", 0, [math.nan, 0.1, 0.8, math.nan, 0.5])
    assert advise(response(odd), spec_of(), Origin()).node == "x_2_0"


def test_without_truth_nothing_is_advised():
    advice = advise(response(FADING, has_truth=False), spec_of(), Origin())
    assert advice.command == ""
    assert "readable from x_2_0 on (level 2, encoder)" in advice.sentences[0]
