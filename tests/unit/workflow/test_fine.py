"""What the plan of a fine-grained network asks of the labels."""

from __future__ import annotations

import numpy as np

from ushape.data.io import Grid, write_label_volume, write_volume
from ushape.data.layouts import find_cases
from ushape.data.scan import scan_cases
from ushape.labels import LabelWish
from ushape.plan import Request, take_fingerprint
from ushape.workflow.fine import with_contacts

NAMES = {"background": 0, "large": 1, "other": 2, "small": 3}


def test_contacts_are_counted_on_labels_of_another_grid_too(tmp_path):
    """With `--align`, as everywhere: here the labels have twice as many rows as the image."""
    label = np.zeros((4, 16, 8), np.uint8)
    label[:, :8] = 1
    label[:, 2:6, 2:6] = 3
    label[:, 12:] = 2
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    image = np.zeros((1, 4, 8, 8), np.float32)
    image[0, 0] = 1
    grid, fine = Grid.of((4, 8, 8), (1, 2, 1)), Grid.of((4, 16, 8), (1, 1, 1), (0, -0.5, 0))
    write_volume(tmp_path / "images" / "a.nii.gz", image, grid)
    write_label_volume(tmp_path / "labels" / "a.nii.gz", label, fine, keep_place=True)
    layout = find_cases(tmp_path)
    found = take_fingerprint(scan_cases(layout, align=True), LabelWish(names=NAMES))

    request = Request(model="unet_fine_grained", align=True)
    counted = with_contacts(found, request, layout.cases).contacts

    assert counted == {"large": 4 * (4 * 6 - 2 * 4), "other": 0}
