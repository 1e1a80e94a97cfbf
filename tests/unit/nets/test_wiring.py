"""The wiring table against the published figures."""

import pytest

from ushape.nets.wiring import nodes


def test_unet_is_the_figure_of_2015() -> None:
    table = [(node.name, node.source, node.skips) for node in nodes(5)]

    assert table == [
        ("x_0_0", None, ()),
        ("x_1_0", "x_0_0", ()),
        ("x_2_0", "x_1_0", ()),
        ("x_3_0", "x_2_0", ()),
        ("x_4_0", "x_3_0", ()),
        ("x_3_1", "x_4_0", ("x_3_0",)),
        ("x_2_2", "x_3_1", ("x_2_0",)),
        ("x_1_3", "x_2_2", ("x_1_0",)),
        ("x_0_4", "x_1_3", ("x_0_0",)),
    ]


def test_dense_is_the_figure_of_unet_plusplus() -> None:
    table = {node.name: node for node in nodes(5, "dense")}

    assert len(table) == 15
    assert table["x_0_1"].source == "x_1_0"
    assert table["x_1_2"].source == "x_2_1"
    assert table["x_1_2"].skips == ("x_1_0", "x_1_1")
    assert table["x_0_4"].skips == ("x_0_0", "x_0_1", "x_0_2", "x_0_3")
    assert list(table)[-1] == "x_0_4"


@pytest.mark.parametrize("nesting", ["none", "dense"])
@pytest.mark.parametrize("depth", [2, 3, 6])
def test_every_node_reads_only_what_was_computed_before(nesting, depth) -> None:
    known: set[str] = set()
    for node in nodes(depth, nesting):
        assert {node.source, *node.skips} - {None} <= known
        known.add(node.name)
    assert len(known) == len(nodes(depth, nesting))
