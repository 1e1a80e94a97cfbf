"""Annotations of COCO, LabelMe and CVAT become the labels that they outline."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from ushape.data.convert.cvat import parse_xml
from ushape.errors import ConfigError, DataError

from .conftest import SIZE, grey, messages, pixels, save, write


def box(left, top, right, bottom):
    return [left, top, right, top, right, bottom, left, bottom]


def area(left, top, right, bottom, value=1):
    values = np.zeros(SIZE, int)
    values[top:bottom, left:right] = value
    return values


def coco(root, annotations, *, images=None, categories=((3, "disc"), (7, "cell"))):
    """Write a COCO set of pictures a, b, ... and their annotations."""
    images = images or [{"id": 1, "file_name": "a.png", "height": SIZE[0], "width": SIZE[1]}]
    for number, image in enumerate(images):
        if "/" not in image["file_name"] and not (root / image["file_name"]).exists():
            save(root / image["file_name"], grey(number))
    data = {
        "images": images,
        "annotations": [
            {"id": number, "image_id": 1, "iscrowd": 0, **annotation}
            for number, annotation in enumerate(annotations, start=1)
        ],
        "categories": [{"id": number, "name": name} for number, name in categories],
    }
    return write(root / "boxes.json", data)


DISC = {"category_id": 3, "segmentation": [box(2, 3, 10, 8)]}
CELL = {"category_id": 7, "segmentation": [box(6, 5, 14, 12)]}


class TestCoco:
    def test_later_annotations_cover_earlier_ones_and_the_image_is_kept(self, convert, tmp_path):
        done = convert(coco(tmp_path, [DISC, CELL]))
        expected = area(2, 3, 10, 8)
        expected[5:12, 6:14] = 2
        np.testing.assert_array_equal(pixels(done.out / "labels" / "a.png"), expected)
        assert (done.out / "images" / "a.png").read_bytes() == (tmp_path / "a.png").read_bytes()
        assert done.labels == {"background": 0, "disc": 1, "cell": 2}
        assert json.loads((done.out / "dataset.json").read_text()) == {
            "channel_names": {"0": "image"},
            "labels": done.labels,
            "numTraining": 1,
        }
        assert done.problems == ()
        assert done.next_command == f"ushape plan {done.out}"

    def test_numbers_follow_the_category_ids_or_what_is_said(self, convert, tmp_path):
        path = coco(tmp_path, [DISC, CELL], categories=((7, "cell"), (3, "disc")))
        assert convert(path).labels == {"background": 0, "disc": 1, "cell": 2}
        said = {"background": 0, "cell": 1, "rare": 2, "disc": 3}
        done = convert(path, labels=said, out="B")
        assert done.labels == said
        assert set(np.unique(pixels(done.out / "labels" / "a.png"))) == {0, 1, 3}
        for wrong, pattern in (
            ({"background": 0, "cell": 1}, "does not name disc"),
            ({"background": 0, "cell": 1, "disc": 3}, "count from 0"),
        ):
            with pytest.raises(ConfigError, match=pattern):
                convert(path, labels=wrong, out="C")

    def test_run_lengths_and_parts(self, convert, tmp_path):
        # columns first: 30 columns of 20; one pixel high runs in columns 0 and 1
        runs = {"counts": [3, 2, 18, 2, 20 * 28 + 15], "size": list(SIZE)}
        parts = {"category_id": 7, "segmentation": [box(20, 0, 22, 2), box(25, 0, 27, 2)]}
        done = convert(coco(tmp_path, [{"category_id": 3, "segmentation": runs}, parts]))
        expected = area(0, 3, 2, 5) + area(20, 0, 22, 2, 2) + area(25, 0, 27, 2, 2)
        np.testing.assert_array_equal(pixels(done.out / "labels" / "a.png"), expected)

    def test_crowds_are_void_but_never_cover_an_outlined_object(self, convert, tmp_path):
        runs = {"counts": [0, SIZE[0] * 10, SIZE[0] * 20], "size": list(SIZE)}
        crowd = {"category_id": 7, "segmentation": runs, "iscrowd": 1}
        done = convert(coco(tmp_path, [DISC, CELL, crowd]))
        label = pixels(done.out / "labels" / "a.png")
        assert done.ignore == 3
        assert done.labels["ignore"] == 3
        assert (label[:, 10:] != 3).all()
        assert (label[:, :6] == np.where(area(2, 3, 10, 8)[:, :6] == 1, 1, 3)).all()

    def test_multilabel_writes_a_folder_a_class_with_all_of_each(self, convert, tmp_path):
        crowd = {"category_id": 7, "segmentation": [box(0, 18, 30, 20)], "iscrowd": 1}
        done = convert(coco(tmp_path, [DISC, CELL, crowd]), form="multilabel")
        disc = pixels(done.out / "labels" / "disc" / "a.png")
        cell = pixels(done.out / "labels" / "cell" / "a.png")
        np.testing.assert_array_equal(disc == 255, area(2, 3, 10, 8) == 1)
        np.testing.assert_array_equal(cell == 255, area(6, 5, 14, 12) == 1)
        assert (disc[18:] == 128).all()
        # Numbers of masks follow the order of their folders: cell, disc.
        assert done.labels == {"background": 0, "cell": 1, "disc": 2, "ignore": 128}
        assert done.next_command.endswith("--target multilabel")

    def test_instances_number_the_objects(self, convert, tmp_path):
        parts = {"category_id": 7, "segmentation": [box(20, 0, 22, 2), box(25, 0, 27, 2)]}
        done = convert(coco(tmp_path, [DISC, CELL, parts]), form="instances")
        label = pixels(done.out / "labels" / "a.png")
        assert set(np.unique(label)) == {0, 1, 2, 3}
        assert (label == 3).sum() == 8  # both parts are one object
        assert done.labels == {}
        assert done.next_command.endswith("--target instances")

    def test_pictures_without_annotations_are_all_background(self, convert, tmp_path):
        images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}]
        done = convert(coco(tmp_path, [DISC], images=images))
        assert not pixels(done.out / "labels" / "b.png").any()
        assert messages(done) == [
            "warning: boxes.json: the class 'cell' has no annotations: left out"
        ]
        assert done.labels == {"background": 0, "disc": 1}

    @pytest.mark.parametrize(
        ("image", "annotation", "pattern"),
        [
            ({"file_name": "../../etc/passwd"}, DISC, "leads out of"),
            ({"file_name": "/etc/passwd"}, DISC, "leads out of"),
            ({"file_name": "sub/none.png"}, DISC, "is not there"),
            ({"height": 30, "width": 20}, DISC, "20 x 30 pixels.*for 30 x 20; it looks turned"),
            ({"height": "x"}, DISC, "is no size"),
            ({"file_name": None}, DISC, "no text"),
            ({}, {"category_id": 99, "segmentation": [box(0, 0, 5, 5)]}, "category 99"),
            ({}, {"category_id": 3, "segmentation": []}, "only a box"),
            ({}, {"category_id": 3, "segmentation": [[1, 2, 3]]}, "no pairs"),
            ({}, {"category_id": 3, "segmentation": [[1, 2, 1e300, 2, 3, 3]]}, "beyond reach"),
            (
                {},
                {"category_id": 3, "segmentation": {"counts": [7], "size": list(SIZE)}},
                "fill 7 pixels, 600 are there",
            ),
            (
                {},
                {"category_id": 3, "segmentation": {"counts": [7], "size": [9, 9]}},
                "are for 9 x 9 pixels",
            ),
            ({}, {"category_id": 3, "segmentation": {"counts": 7}}, "no counts"),
        ],
    )
    def test_what_cannot_be_used_leaves_its_picture_out(
        self, convert, tmp_path, image, annotation, pattern
    ):
        good = {"id": 2, "file_name": "b.png", "height": SIZE[0], "width": SIZE[1]}
        bad = {"id": 1, "file_name": "a.png", "height": SIZE[0], "width": SIZE[1], **image}
        save(tmp_path / "a.png", grey())
        save(tmp_path / "b.png", grey(1))
        data = json.loads(coco(tmp_path, [annotation, DISC | {"image_id": 2}]).read_text())
        done = convert(write(tmp_path / "boxes.json", data | {"images": [bad, good]}))
        assert done.cases == ("b",)
        (problem,) = done.errors
        assert problem.path == tmp_path / "boxes.json"
        assert re.search(pattern, problem.message), problem.message
        assert sorted(path.name for path in done.out.rglob("*.png")) == ["b.png", "b.png"]

    def test_what_matters_little_is_a_warning(self, convert, tmp_path):
        thin = {"category_id": 3, "segmentation": [[1, 1, 5, 5]]}
        outside = {"category_id": 3, "segmentation": [box(50, 50, 60, 60)]}
        over = {"category_id": 7, "segmentation": [box(25, 15, 40, 40)]}
        elsewhere = DISC | {"image_id": 12}
        done = convert(coco(tmp_path, [DISC, thin, outside, over, elsewhere]))
        assert done.cases == ("a",)
        assert done.errors == ()
        text = "\n".join(messages(done))
        for part in (
            "annotation 5 is of an image 12 that is not listed",
            "annotation 2 (disc) has 2 points",
            "annotation 3 (disc) covers no pixel",
            "annotation 4 (cell) sticks out of the picture by 20 pixels: cut off there",
        ):
            assert part in text
        expected = area(2, 3, 10, 8) + area(25, 15, 30, 20, 2)
        np.testing.assert_array_equal(pixels(done.out / "labels" / "a.png"), expected)

    def test_names_that_stand_twice(self, convert, tmp_path):
        for folder in ("x", "y"):
            save(tmp_path / folder / "a.png", grey())
        images = [{"id": 1, "file_name": "x/a.png"}, {"id": 2, "file_name": "y/a.png"}]
        done = convert(coco(tmp_path, [DISC], images=images))
        assert done.cases == ("x_a", "y_a")
        done = convert(coco(tmp_path, [DISC], images=[images[0], images[0] | {"id": 3}]), out="B")
        assert done.cases == ("x_a",)
        assert "stands twice" in done.errors[0].message

    def test_pictures_elsewhere(self, convert, tmp_path):
        path = coco(tmp_path / "annotations", [DISC, CELL])
        (tmp_path / "annotations" / "a.png").rename(tmp_path / "annotations" / "moved.png")
        with pytest.raises(DataError, match=r"'a\.png' is not there .*--images DIR"):
            convert(path)
        save(tmp_path / "images" / "a.png", grey())
        assert convert(path).cases == ("a",)
        save(tmp_path / "other" / "a.png", grey(5))
        done = convert(tmp_path, images=tmp_path / "other", out="B")
        np.testing.assert_array_equal(pixels(done.out / "images" / "a.png"), grey(5))

    def test_several_files_in_a_folder_are_listed(self, convert, tmp_path):
        for part in ("train", "valid"):
            coco(tmp_path / part, [DISC])
        with pytest.raises(DataError, match=r"2 \.json files of COCO \(train/boxes\.json, valid"):
            convert(tmp_path)
        assert convert(tmp_path / "train").cases == ("a",)

    @pytest.mark.parametrize("text", ["{", '{"images": 3, "annotations": [], "categories": []}'])
    def test_a_file_that_is_no_use_is_named(self, convert, tmp_path, text):
        with pytest.raises(DataError, match=r"x\.json"):
            convert(write(tmp_path / "x.json", text), kind="coco")


def labelme(root, name, shapes, *, picture="a.png", size=SIZE, **more):
    data = {"version": "5", "shapes": shapes, "imagePath": picture, "imageData": None}
    return write(root / name, data | {"imageHeight": size[0], "imageWidth": size[1]} | more)


def shape(label, kind, points, **more):
    return {"label": label, "shape_type": kind, "points": points, **more}


def as_text(array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


class TestLabelMe:
    def test_all_kinds_of_shapes(self, convert, tmp_path):
        save(tmp_path / "a.png", grey())
        mask = np.zeros((3, 4), bool)
        mask[1:, 1:] = True
        shapes = [
            shape("b", "polygon", [[0, 0], [4, 0], [4, 3], [0, 3]]),
            shape("a", "rectangle", [[10, 6], [6, 2]]),
            shape("circle", "circle", [[20.5, 10.5], [23.5, 10.5]]),
            shape("line", "line", [[2.5, 15.5], [8.5, 15.5]]),
            shape("dot", "point", [[27.5, 3.5]]),
            shape("mask", "mask", [[12, 14], [15, 16]], mask=as_text(mask)),
        ]
        labelme(tmp_path, "a.json", shapes)
        done = convert(tmp_path, line_width=3, point_radius=2)
        label = pixels(done.out / "labels" / "a.png")
        assert list(done.labels) == ["background", "a", "b", "circle", "dot", "line", "mask"]
        np.testing.assert_array_equal(label == 1, area(6, 2, 10, 6) == 1)
        np.testing.assert_array_equal(label == 2, area(0, 0, 4, 3) == 1)
        y, x = np.mgrid[: SIZE[0], : SIZE[1]]
        np.testing.assert_array_equal(label == 3, np.hypot(y - 10, x - 20) <= 3)
        np.testing.assert_array_equal(label == 4, np.hypot(y - 3, x - 27) <= 2)
        assert (label[14:17, 2:9] == 5).all()
        np.testing.assert_array_equal(label == 6, area(13, 15, 16, 17) == 1)

    @pytest.mark.parametrize(
        ("bad", "pattern"),
        [
            (shape("x", "line", [[1, 1], [5, 5]]), "--line-width"),
            (shape("x", "point", [[1, 1]]), "--point-radius"),
            (shape("x", "star", [[1, 1]]), "'star' is not known"),
            (shape("x", "mask", [[1, 1]], mask="%%"), "damaged"),
            (shape("", "polygon", [[1, 1]]), "'label'"),
            (shape("x", "circle", [[1, 1]]), "a circle has"),
        ],
    )
    def test_shapes_that_cannot_be_drawn_leave_the_picture_out(
        self, convert, tmp_path, bad, pattern
    ):
        for name in ("a", "b"):
            save(tmp_path / f"{name}.png", grey())
        good = shape("x", "rectangle", [[1, 1], [5, 5]])
        labelme(tmp_path, "a.json", [good, bad])
        labelme(tmp_path, "b.json", [good], picture="b.png")
        done = convert(tmp_path)
        assert done.cases == ("b",)
        assert done.errors[0].path.name == "a.json"
        assert pattern in done.errors[0].message

    def test_the_picture_inside_the_file_serves_when_there_is_no_other(self, convert, tmp_path):
        inside = grey(7)
        good = shape("x", "rectangle", [[1, 1], [5, 5]])
        labelme(tmp_path, "a.json", [good], picture="..\\gone\\a.png", imageData=as_text(inside))
        labelme(tmp_path, "b.json", [good], picture="..\\gone\\b.png")
        done = convert(tmp_path)
        np.testing.assert_array_equal(pixels(done.out / "images" / "a.png"), inside)
        assert "leads out of" in done.errors[0].message
        assert "--images DIR" in done.errors[0].message
        save(tmp_path / "found" / "b.png", grey())
        done = convert(tmp_path, images=tmp_path / "found", out="B")
        assert done.cases == ("a", "b")

    def test_background_erases_and_ignore_is_void(self, convert, tmp_path):
        save(tmp_path / "a.png", grey())
        shapes = [
            shape("cell", "rectangle", [[0, 0], [10, 10]]),
            shape("_background_", "rectangle", [[2, 2], [5, 5]]),
            shape("__ignore__", "rectangle", [[20, 0], [30, 20]]),
        ]
        done = convert(labelme(tmp_path, "a.json", shapes))
        expected = area(0, 0, 10, 10) - area(2, 2, 5, 5) + area(20, 0, 30, 20, 2)
        np.testing.assert_array_equal(pixels(done.out / "labels" / "a.png"), expected)
        assert done.labels == {"background": 0, "cell": 1, "ignore": 2}

    def test_equal_names_in_several_folders_stay_with_their_pictures(self, convert, tmp_path):
        for number, folder in enumerate(("x", "y")):
            save(tmp_path / folder / "a.png", grey(number))
            corner = [[number, 0], [5, 5]]
            labelme(tmp_path / folder, "a.json", [shape("c", "rectangle", corner)])
        done = convert(tmp_path)
        assert done.cases == ("x_a", "y_a")
        np.testing.assert_array_equal(pixels(done.out / "images" / "y_a.png"), grey(1))
        assert (pixels(done.out / "labels" / "y_a.png") > 0).sum() == 20

    def test_other_json_files_are_told(self, convert, tmp_path):
        save(tmp_path / "a.png", grey())
        labelme(tmp_path, "a.json", [shape("c", "rectangle", [[0, 0], [5, 5]])])
        write(tmp_path / "z.json", {"settings": 1})
        write(tmp_path / "broken.json", "{")
        done = convert(tmp_path)
        assert [p.path.name for p in done.problems] == ["broken.json", "z.json"]
        assert [p.severity for p in done.problems] == ["error", "warning"]


CVAT_HEAD = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><labels>
<label><name>disc</name></label><label><name>cell</name></label><label><name>none</name></label>
</labels></task></meta>
"""


def cvat(root, shapes, *, name="a.png", size=SIZE, head=CVAT_HEAD):
    image = f'<image id="0" name="{name}" width="{size[1]}" height="{size[0]}">{shapes}</image>'
    return write(root / "annotations.xml", f"{head}{image}</annotations>")


class TestCvat:
    def test_all_kinds_of_shapes_in_z_order(self, convert, tmp_path):
        save(tmp_path / "images" / "a.png", grey())
        shapes = """
        <box label="cell" xtl="6" ytl="5" xbr="14" ybr="12" z_order="2"/>
        <polygon label="disc" points="2,3;10,3;10,8;2,8" z_order="1"/>
        <mask label="disc" rle="1, 2, 3, 1, 1" left="20" top="1" width="4" height="2" z_order="0"/>
        <ellipse label="cell" cx="20.5" cy="14.5" rx="4" ry="2" rotation="90"/>
        <polyline label="disc" points="24.5,18.5;28.5,18.5"/>
        <points label="cell" points="27.5,3.5;27.5,9.5"/>
        <tag label="cell"/>
        """
        cvat(tmp_path, shapes)
        done = convert(tmp_path, line_width=1, point_radius=0.6)
        expected = area(2, 3, 10, 8)
        expected[5:12, 6:14] = 2
        expected[1, 21:23] = expected[2, 22] = 1
        y, x = np.mgrid[: SIZE[0], : SIZE[1]]
        expected[((y - 14) / 4) ** 2 + ((x - 20) / 2) ** 2 <= 1] = 2
        expected[18, 24:29] = 1
        expected[3, 27] = expected[9, 27] = 2
        np.testing.assert_array_equal(pixels(done.out / "labels" / "a.png"), expected)
        assert done.labels == {"background": 0, "disc": 1, "cell": 2}
        assert messages(done) == [
            "warning: annotations.xml: the class 'none' has no annotations: left out"
        ]

    @pytest.mark.parametrize(
        ("shapes", "pattern"),
        [
            ('<polyline label="disc" points="1,1;5,5"/>', "--line-width"),
            ('<polygon label="disc" points="1,1;5"/>', "no numbers"),
            ('<polygon points="1,1;5,5;1,5"/>', "no label"),
            ('<box label="disc" xtl="1" ytl="x" xbr="4" ybr="5"/>', "'ytl'"),
            ('<cuboid label="disc"/>', "of this kind"),
            ('<mask label="disc" rle="5" left="0" top="0" width="4" height="2"/>', "fill 5 pixels"),
            ('<mask label="d" rle="5" left="0" top="0" width="90" height="90000"/>', "not fit"),
        ],
    )
    def test_shapes_that_cannot_be_drawn(self, convert, tmp_path, shapes, pattern):
        save(tmp_path / "a.png", grey())
        good = '<box label="disc" xtl="1" ytl="1" xbr="4" ybr="5"/>'
        with pytest.raises(DataError, match=pattern):
            convert(cvat(tmp_path, good + shapes))

    @pytest.mark.parametrize(
        "document",
        [
            '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><annotations>&e;</annotations>',
            '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><annotations>&b;</annotations>',
            '<!DOCTYPE annotations SYSTEM "http://example.org/a.dtd"><annotations/>',
        ],
    )
    def test_document_types_are_refused(self, tmp_path, document):
        with pytest.raises(DataError, match="declares a document type"):
            parse_xml(write(tmp_path / "x.xml", document))

    @pytest.mark.parametrize(
        ("text", "pattern"),
        [
            ("<annotations><image>", "no XML"),
            ("<other/>", "its root is <other>"),
            ("<annotations><track/></annotations>", "CVAT for images"),
        ],
    )
    def test_files_of_no_use(self, convert, tmp_path, text, pattern):
        with pytest.raises(DataError, match=pattern):
            convert(write(tmp_path / "x.xml", text))


class TestCvatMasks:
    COLORS = "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:128,0,0::\ndog:0,9,0::\n"

    def make(self, root, masks, colors=COLORS):
        write(root / "labelmap.txt", colors)
        for name, mask in masks.items():
            save(root / "SegmentationClass" / f"{name}.png", mask)
            Image.fromarray(grey()).save(self.folder(root) / f"{name}.jpg")
        return root

    def folder(self, root):
        folder = root / "JPEGImages"
        folder.mkdir(exist_ok=True)
        return folder

    def colored(self):
        mask = np.zeros((*SIZE, 3), np.uint8)
        mask[2:5, 3:9] = (128, 0, 0)
        mask[10:12, :4] = (224, 224, 192)
        return mask

    def test_colours_become_classes(self, convert, tmp_path):
        empty = np.zeros(SIZE, np.uint8)
        done = convert(self.make(tmp_path, {"a": self.colored(), "b": empty}))
        expected = area(3, 2, 9, 5) + area(0, 10, 4, 12, 2)
        np.testing.assert_array_equal(pixels(done.out / "labels" / "a.png"), expected)
        assert not pixels(done.out / "labels" / "b.png").any()
        assert done.labels == {"background": 0, "cat": 1, "ignore": 2}
        assert messages(done) == ["warning: labelmap.txt: the class 'dog' has no pixels: left out"]
        assert (done.out / "images" / "a.jpg").is_file()

    def test_palette_pictures_are_read_by_their_colours(self, convert, tmp_path):
        palette = Image.fromarray(self.colored()).quantize(8)
        root = self.make(tmp_path, {"a": self.colored()})
        palette.save(root / "SegmentationClass" / "a.png")
        done = convert(root)
        assert (pixels(done.out / "labels" / "a.png") == 1).sum() == 18

    def test_masks_in_folders_belong_to_images_in_folders(self, convert, tmp_path):
        root = self.make(tmp_path / "in", {"a": self.colored()})
        for number, name in enumerate(("x", "y")):
            save(root / "SegmentationClass" / name / "b.png", self.colored())
            save(root / "images" / name / "b.png", grey(number))
        done = convert(root)
        assert done.cases == ("a", "x_b", "y_b")
        np.testing.assert_array_equal(pixels(done.out / "images" / "y_b.png"), grey(1))

    def test_unknown_colours_and_missing_images_leave_cases_out(self, convert, tmp_path):
        strange = self.colored()
        strange[0, 0] = (1, 2, 3)
        root = self.make(tmp_path, {"a": self.colored(), "b": strange, "c": self.colored()})
        (root / "JPEGImages" / "c.jpg").unlink()
        done = convert(root)
        assert done.cases == ("a",)
        assert {p.path.name: p.message[:22] for p in done.errors} == {
            "b.png": "the colour 1,2,3 is no",
            "c.png": "no image of this name ",
        }

    @pytest.mark.parametrize("line", ["cat", "cat:1,2", "cat:1,2,300::", "x:0,0,0::"])
    def test_damaged_maps_are_refused_with_the_line(self, convert, tmp_path, line):
        root = self.make(tmp_path, {"a": self.colored()}, "background:0,0,0::\n" + line)
        with pytest.raises(DataError, match="line 2"):
            convert(root)
