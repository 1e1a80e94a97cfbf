"""What is understood of real data sets, where they are at hand (USHAPE_DATA).

The synthetic twins are in tests/unit/plan and tests/e2e.
"""

from __future__ import annotations

import pytest

from ushape.workflow import plan

pytestmark = pytest.mark.data


@pytest.mark.parametrize(
    ("name", "cases", "channels", "values", "shares"),
    [
        ("isbi2012_membrane", 30, 1, (255, 0), (0.7804, 0.2196)),
        ("chase_db1", 28, 3, (0, 255), (0.9307, 0.0693)),
        ("spine2d_discs", 20, 1, (0, 1, 2), (0.9484, 0.0164, 0.0353)),
        ("vnc_sstem", 20, 1, (0, 1, 2, 3, 4), (0.7406, 0.1716, 0.0285, 0.0538, 0.0056)),
    ],
)
def test_the_classes_and_their_shares_are_those_of_the_source(
    real_data, name, cases, channels, values, shares
):
    found = plan(real_data(name), device="cpu").plan.fingerprint
    assert len(found.case_ids) == cases
    assert found.channels == channels
    assert found.labels.values == values
    assert found.class_fractions == pytest.approx(shares, abs=1.5e-4)


def test_a_stack_is_split_by_a_contiguous_block(real_data):
    split = plan(real_data("isbi2012_membrane"), device="cpu").plan.split
    assert split.val == ("24", "25", "26", "27", "28", "29")
