"""Names of metrics, and of the columns that hold them."""

from __future__ import annotations

import pytest

from ushape.errors import ConfigError
from ushape.metrics import METRICS, metric_of_column, parse_metrics


def test_lists_groups_and_order():
    assert parse_metrics("nsd, dice,nsd") == ("dice", "nsd")
    assert parse_metrics("surface") == ("hd", "hd95", "assd", "nsd", "boundary_f")
    assert parse_metrics(["objects", "hd"])[0] == "hd"
    assert parse_metrics("all") == tuple(METRICS)


def test_a_misspelt_metric_gets_the_nearest_name():
    with pytest.raises(ConfigError, match="unknown metric 'hd59': did you mean 'hd95'"):
        parse_metrics("dice,hd59")
    with pytest.raises(ConfigError, match="unknown metric ''"):
        parse_metrics("dice,")


@pytest.mark.parametrize("unit", ["mm", "pixels"])
@pytest.mark.parametrize("name", ["", "cell", "left_kidney", "hd", "v"])
def test_columns_are_read_back(name, unit):
    for metric in METRICS.values():
        column = metric.column(unit)
        title = f"{name}_{column}" if name else column
        assert metric_of_column(title) == (name, metric)


def test_other_columns_are_no_metric():
    assert metric_of_column("group") is None
    assert metric_of_column("cell_hd95") is None  # a distance without its unit


def test_distances_and_errors_are_better_when_low():
    low = {name for name, metric in METRICS.items() if metric.better == "low"}
    assert low == {"hd", "hd95", "assd", "warping_error", "topology_errors"}
    zero = {name for name, metric in METRICS.items() if metric.better == "zero"}
    assert zero == {"volume_error", "component_error"}
