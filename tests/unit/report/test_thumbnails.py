"""Thumbnails and sheets: shape, scale, outlines, window."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from ushape.errors import ConfigError
from ushape.report.pictures import class_color
from ushape.report.sheet import Sheet, draw_sheet, stack_views, write_sheet
from ushape.report.thumbnails import draw_thumbnail, jpeg_uri, outline

NOTHING = np.zeros((0, 20, 30), bool)


def color(index):
    return tuple(bytes.fromhex(class_color(index)[1:]))


def test_the_picture_has_the_shape_of_what_it_shows():
    image = np.zeros((1, 20, 30), np.uint8)
    assert draw_thumbnail(image, NOTHING, longest=120).shape == (80, 120, 3)
    thick = draw_thumbnail(image, NOTHING, longest=120, edges=(3.0, 1.0))
    assert thick.shape == (120, 60, 3)  # catches edges taken in the order x y


def test_bytes_are_shown_as_they_are_and_other_numbers_by_their_percentiles():
    image = np.linspace(10, 60, 600).reshape(1, 20, 30)
    as_bytes = draw_thumbnail(image.astype(np.uint8), NOTHING, longest=30)
    assert (as_bytes.min(), as_bytes.max()) == (10, 60)
    as_floats = draw_thumbnail(image, NOTHING, longest=30)
    assert (as_floats.min(), as_floats.max()) == (0, 255)
    wild = image.copy()
    wild[0, 5, 5] = 1e9  # catches a window from the smallest to the largest value
    assert np.abs(draw_thumbnail(wild, NOTHING, longest=30).astype(int) - as_floats).mean() < 5
    dark = draw_thumbnail(image, NOTHING, longest=30, window=(60.0, 70.0))
    assert dark.max() == 0


def test_three_channels_are_colours_and_two_are_not():
    image = np.zeros((3, 20, 30), np.uint8)
    image[0] = 200
    assert draw_thumbnail(image, NOTHING, longest=30)[3, 3].tolist() == [200, 0, 0]
    assert draw_thumbnail(image[:2], NOTHING, longest=30)[3, 3].tolist() == [200, 200, 200]


def test_every_class_has_its_outline_and_the_inside_stays_visible():
    masks = np.zeros((2, 20, 30), bool)
    masks[0, 2:10, 2:10] = True
    masks[1, 12:20, 20:30] = True  # touches the border of the picture
    drawn = draw_thumbnail(np.zeros((1, 20, 30), np.uint8), masks, longest=30)
    for index, mask in enumerate(masks, start=1):
        assert np.array_equal((drawn == color(index)).all(-1), outline(mask))
    assert outline(masks[0]).sum() == 64 - 36
    assert outline(masks[1]).sum() == 8 + 10 - 1


def test_outlines_are_one_pixel_wide_at_any_scale():
    mask = np.zeros((1, 10, 10), bool)
    mask[0, 3:7, 3:7] = True
    drawn = draw_thumbnail(np.zeros((1, 10, 10), np.uint8), mask, longest=100)
    assert (drawn == color(1)).all(-1).sum() == 40 * 40 - 38 * 38


def test_a_jpeg_keeps_the_colour_of_outlines():
    mask = np.zeros((1, 40, 40), bool)
    mask[0, 10:30, 10:30] = True
    drawn = draw_thumbnail(np.full((1, 40, 40), 90, np.uint8), mask, longest=40)
    uri = jpeg_uri(drawn)
    picture = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
    assert picture.format == "JPEG"
    on_line = np.asarray(picture)[outline(mask[0])].astype(int)
    assert np.abs(on_line - color(1)).mean() < 40  # half the colours would be grey


def make_sheet(num_rows=2, num_columns=3):
    rows = tuple(
        (f"patch {row}", tuple(np.full((30, 40, 3), 40 * (row + 1) + col, np.uint8)
                               for col in range(num_columns)))
        for row in range(num_rows)
    )  # fmt: skip
    names = tuple(f"draw {col}" for col in range(num_columns))
    return Sheet("A set", ("one line",), names, rows, ("background", "disc"))


def test_a_sheet_shows_every_picture_once(tmp_path):
    path = tmp_path / "sub" / "sheet.png"
    write_sheet(path, make_sheet())
    pixels = np.asarray(Image.open(path).convert("RGB"))
    for row in range(2):
        for col in range(3):
            assert (pixels == 40 * (row + 1) + col).all(-1).sum() >= 1200
    assert (pixels == color(1)).all(-1).any()  # the legend


def test_a_long_note_is_not_cut_off():
    sheet = make_sheet(1, 1)
    wide = Sheet(sheet.title, ("word " * 60,), sheet.columns, sheet.rows, sheet.class_names)
    assert draw_sheet(wide).width > draw_sheet(sheet).width + 500


def test_a_sheet_is_a_png(tmp_path):
    with pytest.raises(ConfigError, match=r"end its name in \.png"):
        write_sheet(tmp_path / "sheet.jpg", make_sheet())
    assert not list(tmp_path.iterdir())


def test_views_of_unequal_width_are_stacked():
    stacked = stack_views([np.full((5, 9, 3), 7, np.uint8), np.full((3, 4, 3), 8, np.uint8)])
    assert stacked.shape == (10, 9, 3)
    assert (stacked == 7).all(-1).sum() == 45
    assert (stacked == 8).all(-1).sum() == 12
