"""The same data in every layout and format: the same fingerprint and the same first batch.

Formats that keep no spacing get it from the manifest. Files that keep no direction count as lying
in the canonical order, so the volumes here do, with their first voxel at the origin.
"""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import torch

from ushape.config.schema import (
    AugmentConfig,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    PatchConfig,
    PreprocessConfig,
    RunConfig,
    SamplingConfig,
    ScheduleConfig,
    TilingConfig,
    TrainConfig,
)
from ushape.data.io import Grid, write_label_volume, write_volume
from ushape.data.layouts import find_cases
from ushape.data.preprocess import prepare_cases
from ushape.data.scan import scan_cases
from ushape.data.stacks import join_slices
from ushape.labels import LabelWish
from ushape.nets import geometry_of, make_spec
from ushape.plan import settle_wish, take_fingerprint
from ushape.training.batch import make_batch

IDS = ("case_2", "case_10", "case_11")
SPACING = (3.0, 1.0, 1.5)
SIZES = {2: (40, 48), 3: (9, 24, 20)}
CHANNELS = {2: ("R", "G", "B"), 3: ("CT", "PET")}
NAMES = {"background": 0, "disc": 1, "rare": 2}


def draw(dims):
    """Draw images of whole numbers and labels of all classes, by case."""
    rng = np.random.default_rng(dims)
    size, dtype = SIZES[dims], np.uint8 if dims == 2 else np.uint16
    cases = {}
    for name in IDS:
        values = rng.integers(1, 200, (len(CHANNELS[dims]), *size)).astype(dtype)
        label = np.zeros(size, np.uint8)
        label[..., 4:14, 4:14] = 1
        label[..., 6:9, 6:9] = 2
        values[0] += label * 20
        cases[name] = values, label
    return cases


def grid_of(size):
    return Grid.of(size, SPACING if len(size) == 3 else None)


class Format:
    """Writes images and labels with one ending, or as DICOM series."""

    def __init__(self, ending):
        self.ending = ending

    def image(self, path, values):
        if self.ending == "dicom":
            (channel,) = values
            return write_series(path, channel)
        path = path.with_name(path.name + self.ending)
        write_volume(path, values, grid_of(values.shape[1:]), keep_place=self.ending != ".npy")
        return path

    def label(self, path, values):
        if self.ending == "dicom":
            return write_series(path, values)
        path = path.with_name(path.name + self.ending)
        write_label_volume(path, values, grid_of(values.shape), keep_place=self.ending != ".npy")
        return path


def write_series(folder, values):
    """Write a volume as a DICOM series, as another program would."""
    folder.mkdir(parents=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for number, plane in enumerate(values):
        image = sitk.GetImageFromArray(plane)
        image.SetSpacing((SPACING[2], SPACING[1]))
        for tag, text in (
            ("0020|000e", "1.2.826.0.1.3680043.2.1125.1"),
            ("0020|0032", f"0\\0\\{number * SPACING[0]}"),
            ("0020|0037", "1\\0\\0\\0\\1\\0"),
            ("0008|0060", "CT"),
        ):
            image.SetMetaData(tag, text)
        writer.SetFileName(str(folder / f"IM{len(values) - number:04d}.dcm"))
        writer.Execute(image)
    return folder


def describe(root, dims, **more):
    """Say what classes and channels are called, which layouts cannot say by themselves."""
    channels = {str(number): name for number, name in enumerate(CHANNELS[dims])}
    content = {"labels": NAMES, "channel_names": channels, **more}
    (root / "dataset.json").write_text(json.dumps(content))


def folders(root, cases, form, *, images="images", labels="labels"):
    for name, (values, label) in cases.items():
        form.image(root / images / name, values)
        form.label(root / labels / name, label)


def in_train(root, cases, form):
    folders(root, cases, form, images="train/image", labels="train/label")


def numbered(root, cases, form, *, images="images", labels="labels"):
    for name, (values, label) in cases.items():
        for number, channel in enumerate(values):
            form.image(root / images / f"{name}_{number:04d}", channel[None])
        form.label(root / labels / name, label)


def nnunet(root, cases, form):
    numbered(root, cases, form, images="imagesTr", labels="labelsTr")


def channel_folders(root, cases, form):
    for name, (values, label) in cases.items():
        for number, channel in enumerate(values):
            form.image(root / "images" / f"channel{number}" / name, channel[None])
        form.label(root / "labels" / name, label)


def case_folders(root, cases, form):
    for name, (values, label) in cases.items():
        for number, channel in enumerate(values):
            form.image(root / name / f"{name}_{'abc'[number]}", channel[None])
        form.label(root / name / f"{name}_seg", label)


def in_manifest(root, cases, form):
    """Write files of meaningless names and the table that tells them."""
    rows = []
    for number, (name, (values, label)) in enumerate(cases.items()):
        paths = [
            form.image(root / f"z{k}" / f"{9 - number}", channel[None])
            for k, channel in enumerate(values)
        ]
        row = {f"image_{k}": path.relative_to(root) for k, path in enumerate(paths)}
        row["label"] = form.label(root / "y" / f"{number}", label).relative_to(root)
        spacing = {"spacing_mm": "x".join(map(str, SPACING))} if label.ndim == 3 else {}
        rows.append({"id": name, **row, **spacing})
    with (root / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def in_json(root, cases, form):
    in_manifest(root, cases, form)
    table = root / "manifest.csv"
    with table.open() as file:
        rows = list(csv.DictReader(file))
    listed = [
        {
            "id": row["id"],
            "image": [row[key] for key in row if key.startswith("image")],
            "label": row["label"],
            **({"spacing_mm": list(SPACING)} if "spacing_mm" in row else {}),
        }
        for row in rows
    ]
    table.unlink()
    (root / "manifest.json").write_text(json.dumps({"cases": listed}))


def decathlon(root, cases, form):
    """Write channels as the images of a 4D file."""
    for name, (values, label) in cases.items():
        stack = [sitk.GetImageFromArray(channel) for channel in values]
        for image in stack:
            image.SetSpacing(SPACING[::-1])
            image.SetDirection((1, 0, 0, 0, 1, 0, 0, 0, 1))
        path = root / "imagesTr" / f"{name}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(sitk.JoinSeries(stack), str(path))
        form.label(root / "labelsTr" / name, label)
    channels = {str(number): name for number, name in enumerate(CHANNELS[3])}
    values = {str(value): name for name, value in NAMES.items()}
    content = {"labels": values, "modality": channels, "tensorImageSize": "4D"}
    (root / "dataset.json").write_text(json.dumps(content))


JOINT = (folders, in_train)
APART = (numbered, nnunet, channel_folders, case_folders, in_manifest, in_json)
PLACED = (".nii.gz", ".nii", ".nrrd", ".mha", ".npz", ".tif", ".zarr")

# Every layout with one format, and every format in a layout or two: layouts do not open files.
VOLUMES = [
    *((layout, ".nii.gz") for layout in (*JOINT, *APART, decathlon)),
    *((folders, ending) for ending in PLACED[1:]),
    *((case_folders, ending) for ending in (".npz", ".tif", ".zarr")),
    *((layout, "dicom") for layout in (numbered, case_folders, in_manifest)),
    *((layout, ".npy") for layout in (in_manifest, in_json)),
]
PICTURES = [
    *((layout, ".png") for layout in (*JOINT, *APART)),
    *((folders, ending) for ending in (".tif", ".npz")),
    *((case_folders, ending) for ending in (".tif", ".npz", ".npy", ".nrrd", ".mha")),
]


def understood(root, stack_mm=None):
    """Return the fingerprint without what names the layout, and the cases."""
    layout = find_cases(root, stack_mm=stack_mm)
    scan = scan_cases(layout, wish=layout.wish)
    found = take_fingerprint(scan, settle_wish(scan, LabelWish(), layout.wish))
    assert [problem for problem in scan.problems if problem.severity == "error"] == []
    return replace(found, name="", root=Path(), layout=""), layout


def first_batch(cases, found, cache):
    """Prepare the cases and cut the first batch, augmented."""
    dims = found.spatial_dims
    options = {"spatial_dims": dims, "levels": 3, "width": 4}
    config = RunConfig(
        data=DataConfig("d", "none", {}),
        model=ModelConfig("unet_padding", found.channels, 3, options),
        preprocess=PreprocessConfig(
            found.channels,
            crop="nonzero",
            spacing_mm=(3.0, 1.2, 1.2) if dims == 3 else None,
        ),
        patch=PatchConfig((8, 16, 16)[-dims:], 2),
        augment=AugmentConfig(),
        loss="dice + ce",
        optimizer=OptimizerConfig(),
        schedule=ScheduleConfig(steps=1),
        train=TrainConfig(),
        tiling=TilingConfig((8, 16, 16)[-dims:]),
        sampling=SamplingConfig(foreground_fraction=0.5),
    )
    prepared = prepare_cases(
        cases, found.labels, config.preprocess, cache, sampling=config.sampling
    )
    spec = make_spec("unet_padding", in_channels=found.channels, classes=3, **options)
    return make_batch(
        [case.open() for case in prepared],
        config,
        geometry_of(spec),
        labels=found.labels,
        step=0,
        rank=0,
        device=torch.device("cpu"),
    )


@pytest.fixture(scope="module", params=[2, 3])
def reference(request, tmp_path_factory):
    """The plainest form: folders of files with all channels."""
    root = tmp_path_factory.mktemp(f"plain{request.param}")
    cases = draw(request.param)
    folders(root, cases, Format(".npz"))
    describe(root, request.param)
    found, layout = understood(root)
    return cases, found, first_batch(layout.cases, found, tmp_path_factory.mktemp("cache"))


def check(reference, write, ending, tmp_path):
    cases, expected, batch = reference
    dims = expected.spatial_dims
    root = tmp_path / "data"
    root.mkdir()
    describe(root, dims)
    write(root, cases, Format(ending))
    found, layout = understood(root)
    assert found == expected
    mine = first_batch(layout.cases, found, tmp_path / "cache")
    torch.testing.assert_close(mine.images, batch.images, rtol=0, atol=0)
    torch.testing.assert_close(mine.target, batch.target, rtol=0, atol=0)


def named(pairs):
    return [f"{write.__name__}{'-' * (ending[0] != '.')}{ending}" for write, ending in pairs]


@pytest.mark.parametrize("reference", [3], indirect=True)
@pytest.mark.parametrize(("write", "ending"), VOLUMES, ids=named(VOLUMES))
def test_the_same_volumes(reference, write, ending, tmp_path):
    check(reference, write, ending, tmp_path)


@pytest.mark.parametrize("reference", [2], indirect=True)
@pytest.mark.parametrize(("write", "ending"), PICTURES, ids=named(PICTURES))
def test_the_same_pictures(reference, write, ending, tmp_path):
    check(reference, write, ending, tmp_path)


def slices_in_folders(root, values, label):
    for number, (plane, marks) in enumerate(zip(values[0], label, strict=True)):
        Format(".png").image(root / "images" / f"{number:02d}", plane[None])
        Format(".png").label(root / "labels" / f"{number:02d}", marks)


def slices_by_stack(root, values, label):
    for number, (plane, marks) in enumerate(zip(values[0], label, strict=True)):
        Format(".tif").image(root / "train" / "image" / "stack" / f"{number:02d}", plane[None])
        Format(".npz").label(root / "train" / "label" / "stack" / f"{number:02d}", marks)


def slices_in_nnunet(root, values, label):
    for number, (plane, marks) in enumerate(zip(values[0], label, strict=True)):
        Format(".tif").image(root / "imagesTr" / f"{number:02d}_0000", plane[None])
        Format(".png").label(root / "labelsTr" / f"{number:02d}", marks)


def slices_in_manifest(root, values, label):
    rows = ["image,label,id,subject,slice"]
    for number, (plane, marks) in enumerate(zip(values[0], label, strict=True)):
        image = Format(".npy").image(root / f"a{len(label) - number}", plane[None])
        mask = Format(".png").label(root / f"b{number}", marks)
        rows.append(f"{image.name},{mask.name},{number:02d},stack,{number}")
    (root / "manifest.csv").write_text("\n".join(rows))


def test_the_same_stack(tmp_path):
    """Slices in every layout are the same stack, and train as the volume that they make."""
    values, label = draw(3)[IDS[0]]
    whole = tmp_path / "whole"
    folders(whole, {"v": (values[:1], label)}, Format(".nrrd"))
    found, layout = understood(whole)
    expected = first_batch(layout.cases, found, tmp_path / "cache")
    stacks = []
    for write in (slices_in_folders, slices_by_stack, slices_in_nnunet, slices_in_manifest):
        root = tmp_path / write.__name__
        root.mkdir()
        write(root, values, label)
        found, layout = understood(root, stack_mm=SPACING)
        stacks.append(found)
        joined = join_slices(layout.cases, found.case_ids, SPACING)
        batch = first_batch(joined, found, tmp_path / f"cache_{write.__name__}")
        assert torch.equal(batch.images, expected.images)
        assert torch.equal(batch.target, expected.target)
    assert all(found == stacks[0] for found in stacks)
    assert stacks[0].median_size == SIZES[3]
    assert stacks[0].spacing_mm == SPACING


def test_what_is_compared_tells_data_apart(tmp_path):
    """One changed voxel, or spacing, is seen: else equality would mean little."""
    cases = draw(3)
    folders(tmp_path / "a", cases, Format(".npz"))
    describe(tmp_path / "a", 3)
    cases[IDS[0]][0][1, 4, 7, 7] = 199
    folders(tmp_path / "b", cases, Format(".npz"))
    describe(tmp_path / "b", 3)
    (mine, layout), (other, changed) = (understood(tmp_path / name) for name in "ab")
    assert mine != other
    batches = [
        first_batch(each.cases, mine, tmp_path / f"cache{number}")
        for number, each in enumerate((layout, changed))
    ]
    assert not torch.equal(batches[0].images, batches[1].images)
