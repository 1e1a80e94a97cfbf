"""What a person asks for, joined from files, `--set` and options."""

import pytest

from ushape.errors import ConfigError
from ushape.workflow.wishes import read_wishes


def settings_of(*files, **asks):
    return read_wishes(files, asks).request.settings


def test_options_set_by_hand_stay_with_a_model_that_replaces_that_of_a_file(tmp_path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("model: {name: unet_padding, options: {levels: 4, width: 8}}\n")

    found = settings_of(file, settings={"model.options.width": 4}, model="unet_attention")

    options = {k: v for k, v in found.items() if k.startswith("model.options.")}
    assert options == {"model.options.width": 4}  # those of the file went with its network


def test_the_second_pass_of_a_file_goes_with_its_network(tmp_path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        "model: {name: unet_padding}\nfine: {classes: [], within: null, cut_size: null}\n"
    )

    other = settings_of(file, settings={"fine.cuts": 4}, model="unet_fine_grained")
    same = settings_of(file, model="unet_padding")

    assert {k: v for k, v in other.items() if k.startswith("fine.")} == {"fine.cuts": 4}
    assert {"fine.classes", "fine.within", "fine.cut_size"} <= set(same)


def test_a_branch_may_be_for_any_class_before_the_classes_are_known() -> None:
    found = settings_of(settings={"model.options.branch_classes": [1, 3]}, model="unet_branch")

    assert found["model.options.branch_classes"] == [1, 3]


def test_a_node_that_does_not_exist_is_refused_before_any_data_is_read() -> None:
    with pytest.raises(ConfigError, match="there is no node 'x_2_9'"):
        settings_of(settings={"model.options.node": "x_2_9"}, model="unet_branch")


def test_a_fold_says_which_cases_validate() -> None:
    assert read_wishes([], {"folds": 5, "fold": 2}).request.validation == "fold 2 of 5"


@pytest.mark.parametrize(
    ("asks", "text"),
    [
        ({"folds": 5}, "--fold is missing"),
        ({"fold": 0}, "--folds is missing"),
        ({"folds": 5, "fold": 0, "val": "0.2"}, "give one of them"),
        ({"stack": "50x4"}, "stack '50x4' is not understood"),
        ({"stack": (50, 4, 0)}, "three edges above 0"),
        ({"stak": "50x4x4"}, "did you mean 'stack'"),
    ],
)
def test_half_a_wish_is_refused(asks, text) -> None:
    with pytest.raises(ConfigError, match=text):
        read_wishes([], asks)


def test_a_stack_is_told_in_any_unit(tmp_path) -> None:
    recorded = tmp_path / "config.yaml"
    recorded.write_text("data: {stack_mm: [5.0e-05, 4.0e-06, 4.0e-06], align: true}\n")

    said = read_wishes([], {"stack": "50x4x4nm"}).request
    read = read_wishes([recorded], {}).request

    assert said.stack_mm == pytest.approx((5e-5, 4e-6, 4e-6))
    assert read.stack_mm == pytest.approx((5e-5, 4e-6, 4e-6))
    assert (said.align, read.align) == (False, True)


def test_a_preset_replaces_what_a_file_says_of_augmentation_but_not_what_is_set(tmp_path) -> None:
    recorded = tmp_path / "config.yaml"
    recorded.write_text("augment: {flip: false, noise: 0.5}\npatch: {batch: 3}\n")

    asks = {"augment": "strong", "settings": {"augment.flip": True}}
    request = read_wishes([recorded], asks).request

    assert request.augment == "strong"
    assert {k: v for k, v in request.settings.items() if "." in k} == {
        "patch.batch": 3,
        "augment.flip": True,
    }
