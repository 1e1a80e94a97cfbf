"""Which node tells a class: on a network made by hand, where that is known."""

import numpy as np
import pytest

import ushape
from ushape.errors import DataError
from ushape.explain import Case, Origin, advise, respond, tables
from ushape.labels import LabelClass, LabelTable

NODES = ("x_0_0", "x_1_0", "x_2_0", "x_1_1", "x_0_2")


def dice_of(response, name):
    found = next(one for one in response.classes if one.name == name)
    return {node.name: node.probe.dice for node in found.nodes}


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("knowing", ["x_0_0", "x_1_0", "x_2_0", "x_1_1"])
def test_the_node_that_knows_a_class_is_named(hand_made, make_case, table, knowing, count):
    network = hand_made([knowing])
    response = respond(network, [make_case(seed) for seed in range(count)], table)
    advice = advise(response, network.spec, Origin())

    middle = dice_of(response, "middle")
    assert tuple(middle) == NODES
    assert middle.pop(knowing) > 0.63
    assert max(middle.values()) < 0.53  # grey above 0.5, which a line can tell
    assert min(dice_of(response, "blob").values()) > 0.8
    assert (advice.node, advice.classes) == (knowing, ("middle",))
    assert f"model.options.node={knowing}" in advice.command
    assert "branch_classes=[1]" in advice.command
    level = knowing.split("_")[1]
    assert f"class middle responds at level {level}, {knowing}" in " ".join(advice.sentences)
    assert "class blob does not fade" in advice.sentences[0]


def test_no_branch_is_needed_where_the_output_knows_it_too(hand_made, make_case, table):
    network = hand_made(["x_1_0", "x_0_2"])
    response = respond(network, [make_case()], table)
    advice = advise(response, network.spec, Origin())
    assert dice_of(response, "middle")["x_0_2"] > 0.9
    assert (advice.node, advice.classes, advice.command) == (None, (), "")
    assert len(advice.sentences) == 2
    assert all("no branch is needed" in sentence for sentence in advice.sentences)


def test_a_class_that_no_node_knows_is_not_branched_for(hand_made, make_case, table):
    network = hand_made(["x_1_0"])
    cases = [make_case(seed) for seed in range(4)]
    strange = [make_case(seed + 10).masks[1] for seed in range(4)]
    cases = [
        c._replace(masks=np.stack([c.masks[0], s])) for c, s in zip(cases, strange, strict=True)
    ]
    response = respond(network, cases, table)
    advice = advise(response, network.spec, Origin())
    assert (advice.node, advice.command) == (None, "")
    assert "class middle responds nowhere" in advice.sentences[1]


def test_the_networks_own_dice(hand_made, make_case, table):
    knowing, blind = hand_made(["x_0_2"]), hand_made([])
    case = make_case(noise=0.0)
    dice = [respond(n, [case], table).classes[1].network_dice for n in (knowing, blind)]
    assert dice[0] > 0.9
    assert dice[1] < 0.5


def test_thresholds_of_the_model_decide_what_is_predicted(hand_made, make_case, table):
    case = make_case(noise=0.0)._replace(masks=None)
    network = hand_made(["x_0_2"])
    usual = respond(network, [case], table)
    strict = respond(network, [case], table, thresholds={"blob": 0.9999})
    assert usual.classes[0].name == "blob"
    assert usual.classes[0].area > 0.1
    assert "blob" in strict.absent


def test_without_truth_the_prediction_is_explained_and_nothing_advised(hand_made, make_case, table):
    network = hand_made(["x_1_0"])
    response = respond(network, [make_case()._replace(masks=None)], table)
    advice = advise(response, network.spec, Origin())
    assert not response.has_truth
    assert dice_of(response, "blob")["x_0_2"] > 0.95
    assert advice.command == ""
    assert all("as predicted" in text and "--label TRUTH" in text for text in advice.sentences)
    assert "masks that the network itself predicts" in tables.lines(response, advice)[0]
    assert all(np.isnan(found.network_dice) for found in response.classes)


def test_gradient_lies_where_the_class_is(hand_made, make_case, table):
    response = respond(hand_made(["x_0_2"]), [make_case(noise=0.0)], table)
    blob = {node.name: node.gradient_inside for node in response.classes[0].nodes}
    assert blob["x_0_0"] == pytest.approx(1.0, abs=1e-6)  # a map of the blob and of nothing else
    assert 0.5 < blob["x_2_0"] < blob["x_1_0"] < 1
    heat = response.pictures["blob"].gradient["x_0_0"]
    assert (heat[~response.pictures["blob"].mask] < 1e-6).all()


def test_pictures_show_the_image_with_most_of_the_class(hand_made, make_case, table):
    cases = [make_case(seed) for seed in range(3)]
    response = respond(hand_made(["x_0_2"]), cases, table)
    for k, found in enumerate(response.classes):
        richest = max(cases, key=lambda case: case.masks[k].sum())
        picture = response.pictures[found.name]
        assert picture.case.name == richest.name
        shown = picture.probe["x_0_2"] >= picture.limits["x_0_2"]
        overlap = 2 * (shown & picture.mask).sum() / (shown.sum() + picture.mask.sum())
        assert overlap > 0.8


def test_void_pixels_count_nowhere(hand_made, make_case, table):
    case = make_case()
    void = np.zeros((64, 64), dtype=bool)
    void[:20] = True
    wrong = case.masks.copy()
    wrong[:, :20] = ~wrong[:, :20]
    network = hand_made(["x_0_2"])
    first = respond(network, [case._replace(void=void)], table)
    second = respond(network, [case._replace(void=void, masks=wrong)], table)
    advice = [advise(one, network.spec, Origin()) for one in (first, second)]
    assert tables.to_json(first, advice[0]) == tables.to_json(second, advice[1])
    assert first.classes[0].area == pytest.approx(case.masks[0, 20:].mean())


def test_large_images_are_cut_to_the_classes_and_that_is_said(hand_made, make_case, table):
    image = np.zeros((2, 300, 200), np.float32)
    masks = np.zeros((2, 300, 200), dtype=bool)
    case = make_case()
    image[:, 220:284, 130:194], masks[:, 220:284, 130:194] = case.image, case.masks
    network = hand_made(["x_1_0"])
    response = respond(network, [Case("big", image, masks)], table, most=100 * 100)
    picture = response.pictures["blob"]
    assert picture.mask.shape == (100, 100)
    assert picture.mask.sum() == case.masks[0].sum()
    assert "big: 100 x 100 of 300 x 200 pixels were looked at" in response.notes[0]
    assert advise(response, network.spec, Origin()).node == "x_1_0"


def test_same_input_same_answer_and_the_network_is_left_as_it_was(hand_made, make_case, table):
    network = hand_made(["x_1_0"]).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    first, second = (respond(network, [make_case()], table) for _ in range(2))
    assert [found.nodes for found in first.classes] == [found.nodes for found in second.classes]
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert all((before[name] == value).all() for name, value in network.state_dict().items())


def test_absent_classes_are_listed(hand_made, make_case, table):
    case = make_case()
    masks = case.masks.copy()
    masks[1] = False
    response = respond(hand_made(), [case._replace(masks=masks)], table)
    assert [found.name for found in response.classes] == ["blob"]
    assert response.absent == ("middle",)


def test_refusals(hand_made, make_case, table):
    case, network = make_case(), hand_made()
    with pytest.raises(DataError, match="none of the classes blob, middle"):
        respond(network, [case._replace(masks=np.zeros_like(case.masks))], table)
    with pytest.raises(DataError, match="all have true masks, or none"):
        respond(network, [case, case._replace(masks=None)], table)
    with pytest.raises(DataError, match="no image"):
        respond(network, [], table)


@pytest.mark.parametrize(
    ("name", "size", "options"),
    [
        ("unet_original", (70, 61), {"widths": [4, 4, 4]}),
        ("unet_plusplus", (33, 40), {"widths": [4, 4, 4], "deep_supervision": True}),
        ("unet_attention", (32, 32), {"widths": [4, 4, 4]}),
        ("unet_branch", (32, 32), {"widths": [4, 4, 4], "node": "x_1_1"}),
        ("unet_padding", (8, 16, 12), {"widths": [4, 4, 4], "spatial_dims": 3}),
        ("unet_25d", (5, 32, 32), {"width": 4}),
    ],
)
def test_other_networks_of_the_family_in_2d_and_3d(name, size, options):
    classes = (LabelClass("background", 0), LabelClass("a", 1), LabelClass("b", 2))
    network = ushape.build(name, in_channels=1, classes=3, **options)
    generator = np.random.default_rng(0)
    image = generator.normal(size=(1, *size)).astype(np.float32)
    masks = np.stack([image[0] > 0.3, image[0] < -0.3])
    response = respond(network, [Case("x", image, masks)], LabelTable(classes))
    assert [node.name for node in response.classes[0].nodes] == [n.name for n in network.spec.nodes]
    for picture in response.pictures.values():
        assert all(heat.shape == size for heat in picture.gradient.values())
        assert all(scores.shape == size for scores in picture.probe.values())
    advice = advise(response, network.spec, Origin())
    assert tables.lines(response, advice)
    rows = tables.to_csv(response).splitlines()
    assert len(rows) == 1 + 2 * len(network.spec.nodes)
