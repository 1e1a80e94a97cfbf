"""Real files: 260 hippocampus scans, and two stacks of sections."""

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import tifffile

from ushape.data.io import (
    check_same_grid,
    read_header,
    read_label_volume,
    read_stack,
    read_volume,
    to_canonical,
    write_label_volume,
)

pytestmark = pytest.mark.data


def test_every_eighth_hippocampus(real_data, same_as_itk, tmp_path):
    home = real_data("msd_hippocampus")
    scans = sorted((home / "images").glob("*.nii.gz"))
    assert len(scans) == 260
    for path in scans[::8]:
        volume = read_volume(path)
        same_as_itk(volume, path)
        header = read_header(path)
        assert (header.grid, header.dtype) == (volume.grid, volume.values.dtype)
        assert header.remarks == ()
        label = read_label_volume(home / "labels" / path.name)
        check_same_grid(volume, label)
        assert label.values.dtype == np.uint8
        assert set(np.unique(label.values)) == {0, 1, 2}

    canonical, turn = to_canonical(volume)
    assert canonical.grid.orientation == "SPL"
    write_label_volume(tmp_path / "p.nii.gz", turn.undo(canonical.values[0] > 0), turn.old)
    mask, image = (sitk.ReadImage(str(each)) for each in (tmp_path / "p.nii.gz", path))
    assert mask.GetOrigin() == image.GetOrigin()
    assert mask.GetSpacing() == image.GetSpacing()
    assert mask.GetDirection() == image.GetDirection()


def test_sections_are_the_same_as_files_and_as_a_stack(real_data, tmp_path):
    sections = sorted((real_data("isbi2012_membrane") / "images").iterdir())[:6]
    spacing = (50e-6, 4e-6, 4e-6)
    volume = read_stack(sections, spacing_mm=spacing)
    assert volume.values.shape == (1, 6, 512, 512)
    tifffile.imwrite(
        tmp_path / "stack.tif",
        volume.values[0],
        imagej=True,
        resolution=(1 / 4, 1 / 4),
        metadata={"axes": "ZYX", "spacing": 50, "unit": "nm"},
    )
    stack = read_volume(tmp_path / "stack.tif")
    np.testing.assert_array_equal(stack.values, volume.values)
    np.testing.assert_allclose(stack.grid.spacing_mm, spacing)


def test_labels_of_the_nerve_cord(real_data):
    labels = sorted((real_data("vnc_sstem") / "labels").iterdir())[:3]
    values = np.stack([read_label_volume(path).values for path in labels])
    assert set(np.unique(values)) == {0, 1, 2, 3, 4}
