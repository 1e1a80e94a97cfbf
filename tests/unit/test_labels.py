"""Which values become which classes, and why."""

import pytest

from ushape.errors import ConfigError
from ushape.labels import (
    LabelClass,
    LabelTable,
    choose_labels,
    parse_names,
    parse_value,
    pool_palettes,
)

RED, GREEN = 0xFF0000, 0x00FF00


@pytest.mark.parametrize(
    ("counts", "values", "reason"),
    [
        ({0: 80, 255: 20}, (0, 255), "0 is the background (80.0%"),
        ({0: 20, 255: 80}, (255, 0), "the thin one is 0 (20.0%"),
        ({0: 34, 255: 66}, (0, 255), "background (34.0%"),
        ({0: 33, 255: 67}, (255, 0), "thin one is 0 (33.0%"),
        ({1: 90, 2: 10}, (1, 2), "the more frequent, 1"),
        ({1: 10, 2: 90}, (2, 1), "the more frequent, 2"),
        ({0: 1, 3: 50, 7: 49}, (0, 3, 7), "3 values; the background has the value 0"),
        ({5: 10, 3: 80, 9: 10}, (3, 5, 9), "the background is the most frequent value"),
        ({0: 10, 4: 0, 6: 5}, (0, 6), "two values"),
    ],
)
def test_numbers(counts, values, reason):
    table = choose_labels(counts)
    assert table.values == values
    assert reason in table.reason
    assert table.target == ("binary" if len(values) == 2 else "multiclass")
    assert table.num_logits == (1 if len(values) == 2 else len(values))


def test_the_reason_says_how_to_invert_a_thin_zero_and_that_works():
    counts = {0: 20, 255: 80}
    assert "--foreground 255 inverts" in choose_labels(counts).reason
    assert choose_labels(counts, foreground="255").values == (0, 255)


def test_colours():
    table = choose_labels({0: 50, RED: 30, GREEN: 20}, is_color=True)
    assert table.values == (0, GREEN, RED)
    assert table.names == ("background", "class_00ff00", "class_ff0000")
    assert (
        table.describe() == "#000000 = background, #00ff00 = class_00ff00, #ff0000 = class_ff0000"
    )
    assert choose_labels({RED: 1, GREEN: 9}, is_color=True, foreground="#FF0000").values == (
        GREEN,
        RED,
    )


def test_names_give_the_order_and_the_background():
    table = choose_labels({0: 5, 1: 3, 2: 2}, names={"bone": 2, "air": 0, "disc": 1})
    assert [(c.name, c.value) for c in table.classes] == [("bone", 2), ("air", 0), ("disc", 1)]
    assert [c.name for c in table.foreground] == ["air", "disc"]


def test_foreground_by_name():
    names = {"cell": 0, "wall": 255}
    table = choose_labels({0: 20, 255: 80}, names=names, foreground="cell")
    assert table.classes == (LabelClass("wall", 255), LabelClass("cell", 0))
    assert choose_labels({0: 2, 255: 8}, names=names, foreground="0").classes == table.classes


@pytest.mark.parametrize(
    ("counts", "options", "says"),
    [
        ({0: 5, 255: 5}, {"foreground": "1"}, "no label has the value 1 (found: 0, 255)"),
        ({0: 5, 255: 5}, {"foreground": "cell"}, "label value 'cell' is not understood"),
        ({0: 5, 1: 5, 2: 5}, {"foreground": "1"}, "3 values (0, 1, 2); one foreground needs two"),
        ({0: 5, 1: 5}, {"names": {"a": 0, "b": 7}}, "--labels b=7: no label has that value"),
        ({0: 5, 1: 5, 2: 5}, {"names": {"a": 0, "b": 1}}, "names 2 of 3 values: also name 2"),
        ({0: 5, 1: 5}, {"names": {"cell": 1, "rest": 0}, "foreground": "cels"}, "'cell'"),
        ({0: 5, 1: 5}, {"names": {"a": 0, "b": 1, "c": 1}}, "value 1 is given to two classes"),
        ({RED: 5, 0: 5}, {"is_color": True, "names": {"a": 0, "b": GREEN}}, "b=#00ff00"),
        ({RED: 5, 0: 5}, {"is_color": True, "foreground": "#00ff00"}, "value #00ff00 (found: #0"),
        ({0: 5}, {}, "two different values at least, found [0]"),
        ({}, {}, "two different values"),
        (dict.fromkeys(range(256), 3), {}, "256 different label values: more than 255"),
    ],
)
def test_what_makes_no_classes(counts, options, says):
    with pytest.raises(ConfigError) as caught:
        choose_labels(counts, **options)
    assert says in str(caught.value)


def test_255_classes_are_allowed():
    assert choose_labels(dict.fromkeys(range(255), 3)).num_logits == 255


def test_names_must_differ():
    with pytest.raises(ConfigError, match="name cell is given to two"):
        LabelTable((LabelClass("cell", 0), LabelClass("cell", 1)))


@pytest.mark.parametrize(
    ("text", "value"), [("255", 255), (" 7 ", 7), ("#00fF00", GREEN), ("000", 0)]
)
def test_a_value(text, value):
    assert parse_value(text) == value


@pytest.mark.parametrize("text", ["", "-1", "1.0", "#ff00", "red", "0x10", "9999999999"])
def test_what_is_no_value(text):
    with pytest.raises(ConfigError, match="whole number or a colour #rrggbb"):
        parse_value(text)


def test_named_values_are_read_in_order():
    assert list(parse_names(" air = 0,disc=#0000ff").items()) == [("air", 0), ("disc", 255)]


@pytest.mark.parametrize(
    ("text", "says"),
    [("a", "'a' is not name=value"), ("=3", "'=3' is not"), ("a=1,a=2", "'a' stands twice"),
     ("a=1,,b=2", "'' is not"), ("a=x", "'x' is not understood")],
)  # fmt: skip
def test_what_is_no_naming(text, says):
    with pytest.raises(ConfigError, match=says):
        parse_names(text)


def test_a_table_survives_json():
    table = choose_labels({0: 50, RED: 30, GREEN: 20}, is_color=True)
    assert LabelTable.from_json(table.to_json()) == table


# ---------------------------------------------------------------- palettes

BLUE = 0x0000FF
FOUR = (0, RED, GREEN, BLUE)


def palette_of(*tables, used=(0, 1, 2)):
    return pool_palettes((f"{n}.png", table, used) for n, table in enumerate(tables))


def test_colours_name_the_indices_of_a_palette():
    counts = {0: 50, 1: 20, 2: 30}
    names = parse_names("sky=#000000,grass=#00ff00,roof=1")
    table = choose_labels(counts, names=names, palette=palette_of(FOUR, FOUR))
    assert [(c.name, c.value) for c in table.classes] == [("sky", 0), ("grass", 2), ("roof", 1)]
    assert table.palette == (0, RED, GREEN)
    two = choose_labels({0: 5, 1: 5}, foreground="#000000", palette=palette_of(FOUR, used=(0, 1)))
    assert two.values == (1, 0)


def test_a_table_keeps_its_palette_in_json_and_reads_those_without():
    table = choose_labels({0: 5, 1: 2, 2: 3}, palette=palette_of(FOUR))
    plain = table.to_json()
    assert plain["palette"] == "#000000 #ff0000 #00ff00"
    assert LabelTable.from_json(plain) == table
    del plain["palette"]
    assert LabelTable.from_json(plain).palette == ()
    assert "palette" not in choose_labels({0: 5, 1: 2}).to_json()


def test_what_fills_a_palette_up_is_no_clash():
    """Tools write tables of the colours in use, cut off or filled up with black."""
    filled = (0, RED, *[0] * 254)
    found = pool_palettes([("a", filled, (0, 1)), ("b", FOUR, (0, 2, 3)), ("c", (0,), (0,))])
    assert found.clashes == ()
    assert found.table(4) == FOUR
    assert found.index_of(0, [0, 1, 2, 3], "black") == 0


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        ((FOUR, (0, GREEN, RED)), "--labels a=#ff0000: index 1 is #ff0000 in 0.png and #00ff00"),
        ((FOUR, ()), "--labels a=#ff0000: 1.png has no palette, others have"),
        (((0, BLUE, GREEN),), "--labels a=#ff0000: no label has that colour (found: 0 = #000000"),
        (((0, RED, RED),), "--labels a=#ff0000: the indices 1 and 2 have this colour"),
    ],
)
def test_colours_that_are_no_index(tables, says):
    names = parse_names("sky=0,a=#ff0000,b=2")
    with pytest.raises(ConfigError) as caught:
        choose_labels({0: 5, 1: 2, 2: 3}, names=names, palette=palette_of(*tables))
    assert says in str(caught.value)


def test_palettes_that_differ_colour_no_predictions():
    counts = {0: 5, 1: 2, 2: 3}
    assert choose_labels(counts, palette=palette_of(FOUR, (0, RED, BLUE))).palette == ()
    assert choose_labels(counts, palette=palette_of(FOUR, ())).palette == ()


def test_a_colour_is_named_as_it_was_written():
    with pytest.raises(ConfigError, match="--labels a=#ff0000: no label has that value"):
        choose_labels({0: 5, 1: 5}, names=parse_names("sky=0,a=#ff0000"))


def test_void_pixels_of_palettes_are_given_by_index():
    with pytest.raises(ConfigError, match="this is index 2; say --ignore 2"):
        choose_labels({0: 5, 1: 2, 2: 3}, ignore=parse_value("#00ff00"), palette=palette_of(FOUR))
