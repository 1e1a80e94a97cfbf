"""What a person asks for, joined from files, `--set` and options."""

import pytest

from ushape.errors import ConfigError
from ushape.workflow.wishes import read_wishes


def settings_of(**given):
    unset = ("budget", "steps", "val", "foreground", "labels", "seed")
    return read_wishes(**dict.fromkeys(unset), **given).request.settings


def test_options_set_by_hand_stay_with_a_model_that_replaces_that_of_a_file(tmp_path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("model: {name: unet_padding, options: {levels: 4, width: 8}}\n")

    found = settings_of(files=[file], settings={"model.options.width": 4}, model="unet_attention")

    options = {k: v for k, v in found.items() if k.startswith("model.options.")}
    assert options == {"model.options.width": 4}  # those of the file went with its network


def test_a_branch_may_be_for_any_class_before_the_classes_are_known() -> None:
    found = settings_of(
        files=[], settings={"model.options.branch_classes": [1, 3]}, model="unet_branch"
    )

    assert found["model.options.branch_classes"] == [1, 3]


def test_a_node_that_does_not_exist_is_refused_before_any_data_is_read() -> None:
    with pytest.raises(ConfigError, match="there is no node 'x_2_9'"):
        settings_of(files=[], settings={"model.options.node": "x_2_9"}, model="unet_branch")
