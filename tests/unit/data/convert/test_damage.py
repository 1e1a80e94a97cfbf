"""Whatever is wrong with an annotation file: an error of one line, or a case left out."""

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ushape.data.convert import Conversion, ConvertWish, convert_dataset
from ushape.errors import UshapeError

from .conftest import SIZE, grey, save, write

JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(["../x.png", "/a.png", "a\0b", "", ".", "..", "/", "nan", "1,2;3", "\ud800"]),
    st.lists(st.one_of(st.none(), st.integers(-5, 50), st.text(max_size=3)), max_size=4),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)

RUNS = {"counts": [SIZE[0] * SIZE[1]], "size": list(SIZE)}
COCO = {
    "images": [{"id": 1, "file_name": "a.png", "height": SIZE[0], "width": SIZE[1]}],
    "annotations": [
        {
            "id": 1,
            "image_id": 1,
            "category_id": 1,
            "iscrowd": 0,
            "segmentation": [[1, 1, 9, 1, 9, 9]],
        },
        {"id": 2, "image_id": 1, "category_id": 1, "iscrowd": 1, "segmentation": RUNS},
    ],
    "categories": [{"id": 1, "name": "cell"}],
}
LABELME = {
    "shapes": [
        {"label": "a", "shape_type": "polygon", "points": [[1, 1], [9, 1], [9, 9]]},
        {"label": "b", "shape_type": "circle", "points": [[5, 5], [9, 5]]},
        {"label": "b", "shape_type": "mask", "points": [[5, 5]], "mask": "iVBORw0KGgo="},
    ],
    "imagePath": "a.png",
    "imageData": None,
    "imageHeight": SIZE[0],
    "imageWidth": SIZE[1],
}


def places(data, path=()):
    """List the places in nested lists and objects."""
    if path:
        yield path
    items = (
        data.items()
        if isinstance(data, dict)
        else enumerate(data)
        if isinstance(data, list)
        else ()
    )
    for key, value in items:
        yield from places(value, (*path, key))


def damaged(data, path, value):
    data = copy.deepcopy(data)
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return data


def attempt(source, out, kind):
    """Convert; what goes wrong has to be told, in one line."""
    wish = ConvertWish(line_width=2, point_radius=2)
    try:
        done = convert_dataset(source, out, kind=kind, wish=wish)
    except UshapeError as error:
        lines = [str(error)]
    else:
        assert isinstance(done, Conversion)
        json.dumps(done.to_json(), allow_nan=False)
        lines = [str(problem) for problem in done.problems]
    assert [line for line in lines if not line.isprintable()] == []


@pytest.mark.parametrize(("kind", "data"), [("coco", COCO), ("labelme", LABELME)])
def test_json_with_anything_anywhere(kind, data, tmp_path_factory):
    @settings(deadline=None, max_examples=120, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(list(places(data))), JUNK)
    def check(path, value):
        root = tmp_path_factory.mktemp("x")
        save(root / "a.png", grey())
        text = json.dumps(damaged(data, path, value))
        attempt(write(root / "a.json", text), root / "out", kind)

    check()


ATTRIBUTES = [
    ("image", "name"),
    ("image", "width"),
    *[("polygon", key) for key in ("label", "points", "z_order")],
    *[("box", key) for key in ("xtl", "ybr", "rotation")],
    *[("ellipse", key) for key in ("cx", "rx", "rotation")],
    *[("mask", key) for key in ("rle", "left", "width", "height")],
]
SHAPES = {
    "polygon": {"label": "a", "points": "1,1;9,1;9,9", "z_order": "0"},
    "box": {"label": "b", "xtl": "1", "ytl": "1", "xbr": "5", "ybr": "5", "rotation": "5"},
    "ellipse": {"label": "b", "cx": "8", "cy": "8", "rx": "3", "ry": "4", "rotation": "0"},
    "mask": {"label": "b", "rle": "1,3", "left": "1", "top": "1", "width": "2", "height": "2"},
}


@settings(deadline=None, max_examples=120, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(ATTRIBUTES),
    st.one_of(
        st.sampled_from(
            ["", "nan", "inf", "-1", "1e99", "99999999999", "a", "1;2", ",", "../a.png"]
        ),
        st.text("0123456789.,;-", max_size=9),
    ),
)
def test_xml_with_anything_in_its_attributes(tmp_path_factory, place, value):
    root = tmp_path_factory.mktemp("x")
    save(root / "a.png", grey())
    image = {"id": "0", "name": "a.png", "width": str(SIZE[1]), "height": str(SIZE[0])}
    parts = {"image": image, **{name: dict(shape) for name, shape in SHAPES.items()}}
    parts[place[0]][place[1]] = value

    def tag(name):
        return " ".join([name, *(f'{key}="{text}"' for key, text in parts[name].items())])

    shapes = "".join(f"<{tag(name)}/>" for name in SHAPES)
    text = f"<annotations><{tag('image')}>{shapes}</image></annotations>"
    attempt(write(root / "a.xml", text), root / "out", "cvat")
