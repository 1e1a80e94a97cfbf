"""Pictures as the slices of stacks: which stack, which place, and which lie next to each other."""

import numpy as np
import pytest

from ushape.data.io import Grid, write_volume
from ushape.data.layouts import find_cases
from ushape.data.stacks import join_slices
from ushape.errors import DataError

EDGES = (50.0, 4.0, 4.0)


def stack(make, *names):
    root = make(*(f"{folder}/{name}" for folder in ("images", "labels") for name in names))
    return find_cases(root, stack_mm=EDGES)


def joined(layout, ids=None):
    chosen = {case.id for case in layout.cases} if ids is None else ids
    return [case.id for case in join_slices(layout.cases, chosen, EDGES)]


def test_numbers_alone_are_one_stack_in_order(make):
    layout = stack(make, *(f"{number}.png" for number in (10, 9, 8)))
    assert [(c.id, c.group, c.position) for c in layout.cases] == [
        *(("8", "stack", 0), ("9", "stack", 1), ("10", "stack", 2)),
    ]
    assert layout.stack_mm == EDGES
    assert joined(layout) == ["8-10"]


def test_what_stands_before_the_number_is_the_stack(make):
    layout = stack(make, "b_01.png", "b_02.png", "a7_z1.png", "a7_z2.png", "c slice-3.tif")
    assert [(c.group, c.position) for c in layout.cases] == [
        *(("a7", 0), ("a7", 1), ("b", 0), ("b", 1), ("c", 0)),
    ]
    assert joined(layout) == ["a7_z1-a7_z2", "b_01-b_02", "c slice-3"]


def test_folders_are_stacks_whatever_their_slices_are_called(make):
    layout = stack(make, *(f"s{s}/{n}.png" for s in (1, 2) for n in ("first", "last")))
    assert [(c.id, c.group, c.position) for c in layout.cases] == [
        *(("s1_first", "s1", 0), ("s1_last", "s1", 1), ("s2_first", "s2", 0), ("s2_last", "s2", 1)),
    ]


def test_a_missing_slice_divides_the_stack(make):
    layout = stack(make, *(f"{number:02d}.png" for number in (0, 1, 3, 4, 7)))
    assert joined(layout) == ["00-01", "03-04", "07"]
    assert joined(layout, {"00", "01", "04"}) == ["00-01", "04"]
    assert [p.message.partition(":")[0] for p in layout.problems] == [
        "1 slice of 'stack' missing between 01 and 03",
        "2 slices of 'stack' missing between 04 and 07",
    ]


def test_a_slice_without_label_divides_the_stack(make):
    root = make(*(f"images/{n}.png" for n in range(4)), *(f"labels/{n}.png" for n in (0, 2, 3)))
    assert joined(find_cases(root, stack_mm=EDGES)) == ["0", "2-3"]


def test_steps_are_told(make):
    layout = stack(make, "z000.png", "z010.png", "z030.png")
    assert [case.position for case in layout.cases] == [0, 1, 3]
    assert "numbered in steps of 10" in layout.problems[0].message


def test_slices_of_a_manifest(make):
    text = "image,label,group,slice\n" + "".join(
        f"{name}.png,l{name}.png,s,{number}\n" for name, number in (("k", 5), ("b", 6), ("m", 4))
    )
    names = [f"{prefix}{name}.png" for prefix in ("", "l") for name in "kbm"]
    layout = find_cases(make(*names, manifest__csv=text), stack_mm=EDGES)
    assert [case.id for case in layout.cases] == ["m", "k", "b"]
    assert joined(layout) == ["m-b"]


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (("a.nii.gz",), r"a\.nii\.gz is a volume by itself"),
        (("a.zarr/.zattrs",), "is a volume by itself"),
        (("left.png",), "'left' does not end in the number of a slice"),
        (("a_1.png", "a_01.png"), "'a_01' and 'a_1' are both slice 1 of the stack 'a'"),
        (("s/1.png", "s/x.png"), "'x' of the stack 's' has no number"),
    ],
)
def test_what_is_no_stack(make, names, why):
    with pytest.raises(DataError, match=why):
        stack(make, *names)


def test_pages_are_slices_already(make):
    root = make("labels/a_1.tif", "images/.keep")
    pages = np.zeros((1, 3, 16, 16), np.uint8)
    write_volume(root / "images" / "a_1.tif", pages, Grid.of((3, 16, 16)))
    with pytest.raises(DataError, match=r"a_1\.tif is a volume by itself"):
        find_cases(root, stack_mm=EDGES)
    write_volume(root / "images" / "a_1.tif", pages[:, 0], Grid.of((16, 16)))
    assert len(find_cases(root, stack_mm=EDGES).cases) == 1
