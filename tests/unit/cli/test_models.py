"""`ushape models`: the list, one network, its picture."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from importlib.util import find_spec

import pytest
import typer
from typer.testing import CliRunner

from ushape.cli.models import models
from ushape.errors import ConfigError
from ushape.nets import entries
from ushape.nets.costs import costs_of

app = typer.Typer()
app.command()(models)


def run(*arguments: object):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_the_list_has_every_network_with_its_parameters() -> None:
    lines = run().stdout.split("\n")
    listed = {line.split()[0]: line for line in lines if line}

    assert all(entry.name in listed for entry in entries())
    assert "31,030,593" in listed["unet_original"]
    assert "7,684,918" in listed["unet_25d"]
    if find_spec("timm") is None:
        assert "needs timm" in listed["unet_backbone"]


def test_the_list_as_data() -> None:
    read = json.loads(run("--json").stdout)

    assert read["vnet_2d"]["parameters"] == 13_282_225
    assert read["unet_padding"]["spatial_dims"] == [2, 3]
    if find_spec("timm") is None:
        assert read["unet_backbone"]["parameters"] is None


@pytest.mark.skipif(find_spec("timm") is not None, reason="timm imports torch")
def test_the_list_needs_no_torch() -> None:
    """Importing it would take seconds."""
    code = (
        "import sys; from ushape.cli.catalog import list_lines; list_lines();"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_one_network_is_shown_with_its_costs_and_options() -> None:
    arguments = ("unet_padding", "--set", "width=4", "--set", "levels=3", "--size", "32x64")
    text = run(*arguments, "--batch", 2).stdout

    assert "image 1 @ 32 x 64" in text
    assert "maps of 2 images kept for the backward pass" in text
    assert "Source: Ronneberger" in text
    assert "  num_convs " in text
    assert "maps of an image kept" in run(*arguments).stdout


def test_one_network_as_data() -> None:
    arguments = ("vnet_2d", "--set", "width=2", "--size", "32x32", "--batch", 3, "--json")
    read = json.loads(run(*arguments).stdout)

    from ushape.nets import make_spec

    costs = costs_of(make_spec("vnet_2d", width=2), (32, 32), batch=3)
    assert read["costs"]["batch"] == 3
    assert read["costs"]["multiply_adds"] == costs.multiply_adds
    assert read["costs"]["prediction"]["bf16"] == costs.prediction.bf16
    assert read["rows"][-1]["node"] == "head"


def test_the_picture_is_written(tmp_path) -> None:
    file = tmp_path / "pictures" / "net.svg"

    text = run("unet_original", "--size", "572x572", "--set", "width=2", "--svg", file).stdout

    assert "388 x 388" in text
    root = ElementTree.parse(file).getroot()
    assert "388²" in [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]


def test_a_picture_of_all_networks_is_refused(tmp_path) -> None:
    with pytest.raises(ConfigError, match="say which network"):
        run("--svg", tmp_path / "x.svg")
    assert not list(tmp_path.iterdir())
