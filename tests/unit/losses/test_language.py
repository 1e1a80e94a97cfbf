"""The language of mixtures: what it means, and where it finds mistakes."""

import pytest

from ushape.errors import ConfigError
from ushape.losses import TERMS, check_loss, loss_to_data, parse_mixture
from ushape.losses.groups import parse_groups

NAMES = ["background", "jaw", "palate", "spine"]


def test_spaces_order_and_defaults():
    first, second = parse_mixture("  2.5e-1 *bce ( weight = auto )+dice(smooth=1.,squared=true)")
    assert (first.factor, first.name) == (0.25, "bce")
    assert first.options == {"weight": "auto", "class_weight": None, "background": True}
    assert (second.factor, second.name) == (1.0, "dice")
    assert second.options == {
        "smooth": 1.0, "squared": True, "per_image": False, "background": True,
        "class_weight": None,
    }  # fmt: skip
    assert parse_mixture("dice()") == parse_mixture("dice")


def test_the_lines_of_the_family_are_read():
    terms = parse_mixture("dice + 10*bce(weight=auto) + 100*focal(alpha=0.99)")
    assert [(term.factor, term.name) for term in terms] == [
        (1, "dice"),
        (10, "bce"),
        (100, "focal"),
    ]
    assert terms[2].options == {
        "alpha": 0.99, "gamma": 2.0, "class_weight": None, "background": True,
    }  # fmt: skip
    (term,) = parse_mixture("bce(weight=[1, 2.5,0], class_weight = [ 3 ])")
    assert (term.options["weight"], term.options["class_weight"]) == ((1.0, 2.5, 0.0), (3.0,))
    assert parse_mixture("hardness_dice(lambda=.5)")[0].options["lambda"] == 0.5
    assert parse_mixture("cldice(iterations=7)")[0].options["iterations"] == 7


ALL = "dice, bce, ce, focal, border_dice, hardness_dice, tversky, cldice"
MISTAKES = [
    ("dise + bce", 1, "did you mean 'dice'"),
    ("dice + 3*bec", 10, "did you mean 'bce'"),
    ("dice + foccal", 8, "did you mean 'focal'"),
    ("boarder_dice", 1, "did you mean 'border_dice'"),
    ("dice(smoth=1)", 6, "did you mean 'smooth'"),
    ("focal(alhpa=1)", 7, "did you mean 'alpha'"),
    ("bce(weight=1, wieght=2)", 15, "did you mean 'weight'"),
    ("dice(weight=[1, 2])", 6, "did you mean 'class_weight'"),
    ("bce(weight=many)", 12, "takes a number that is not negative or a list of numbers such as"),
    ("bce(weight=many)", 12, "or auto, found 'many'"),
    ("bce(weight=-1)", 12, "a number that is not negative"),
    ("ce(weight=2)", 11, "takes a list of numbers such as [1, 2] or auto, found '2'"),
    ("dice(squared=1)", 14, "true or false, found '1'"),
    ("dice(smooth=auto)", 13, "a number that is not negative, found 'auto'"),
    ("dice + focal(alpha=1.5)", 20, "a number from 0 to 1 or a list of numbers"),
    ("dice + focal(alpha=1.5)", 20, "found '1.5'"),
    ("focal(alpha=[0.5, 2])", 19, "a number from 0 to 1"),
    ("hardness_dice(lambda=2)", 22, "a number from 0 to 1, found '2'"),
    ("cldice(iterations=2.5)", 19, "a whole number from 1 to 100, found '2.5'"),
    ("cldice(iterations=0)", 19, "a whole number from 1 to 100, found '0'"),
    ("bce(weight=[])", 13, "found ']'"),
    ("bce(weight=[1 2])", 15, "expected , or ], found '2'"),
    ("bce(weight=[1,", 15, "found the end"),
    ("bce(weight=[1,auto])", 15, "found 'auto'"),
    ("bce(weight=1,weight=2)", 14, "weight stands twice"),
    ("dice + bce + dice", 14, "dice stands twice"),
    ("", 1, f"expected the name of a loss ({ALL}), found the end"),
    ("dice +", 7, "expected the name of a loss"),
    ("dice bce", 6, "expected + or the end, found 'bce'"),
    ("dice)", 5, "expected + or the end"),
    ("10", 3, "expected * after the factor, found the end"),
    ("10 bce", 4, "expected * after the factor, found 'bce'"),
    ("dice + 0*bce", 8, "a factor of 0"),
    ("-1*dice", 1, "expected the name of a loss"),
    ("1e999*dice", 1, "too large"),
    ("bce(weight=1e999)", 12, "too large"),
    ("bce(weight", 11, "expected = after weight, found the end"),
    ("bce(weight=", 12, "found the end"),
    ("bce(weight=1", 13, "expected , or )"),
    (
        "bce(weight=1,)",
        14,
        "expected an option of bce (weight, class_weight, background), found ')'",
    ),
    ("bce(", 5, "expected an option of bce (weight, class_weight, background), found the end"),
    ("dice +  ? ", 9, "'?' has no meaning"),
]


@pytest.mark.parametrize(("text", "column", "says"), MISTAKES)
def test_a_mistake_is_named_with_its_column(text, column, says):
    with pytest.raises(ConfigError) as caught:
        parse_mixture(text)
    assert str(caught.value).startswith(f"loss {text!r}, column {column}: ")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "target", "names", "column", "says"),
    [
        ("dice + ce", "binary", ["line"], 8, "ce is for several classes, the target is binary"),
        ("ce", "multilabel", NAMES, 1, "ce is for classes that exclude each other"),
        ("dice + cldice(background=true)", "multilabel", NAMES, 26, "no background to choose"),
        ("dice(background=false)", "binary", ["line"], 17, "the target is binary; leave it out"),
        ("dice(class_weight=[1, 2])", "multiclass", NAMES, 19, "has 2 numbers for 4 classes"),
        ("bce(weight=[1, 2, 3])", "multilabel", NAMES, 12, "(background, jaw, palate, spine)"),
        (
            "dice(background=false, class_weight=[1,2,3,4])", "multiclass", NAMES, 37,
            "4 numbers for 3 classes (jaw, palate, spine)",
        ),
        ("dice(class_weight=[0,0,0,0])", "multiclass", NAMES, 19, "all numbers are 0"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_target_is_named_with_its_column(text, target, names, column, says):
    with pytest.raises(ConfigError) as caught:
        check_loss(text, class_names=names, target=target)
    assert str(caught.value).startswith(f"loss {text!r}, column {column}: ")
    assert says in str(caught.value)


MAPPING = {
    "background": "dice",
    "lines": {
        "terms": "dice + 10*bce(weight=auto) + 100*focal",
        "classes": ["jaw", "palate"],
        "weight": 2,
    },
    "spine": {"terms": "dice + 100*focal", "weight": 4},
}


def test_the_mapping_of_the_family_is_read():
    check_loss(MAPPING, class_names=NAMES)
    check_loss(MAPPING)  # the classes are not known yet
    groups = parse_groups(MAPPING, class_names=NAMES)
    assert [(g.name, g.channels, g.weight) for g in groups] == [
        ("background", (0,), 1.0),
        ("lines", (1, 2), 2.0),
        ("spine", (3,), 4.0),
    ]
    assert [term.name for term in groups[1].terms] == ["dice", "bce", "focal"]


def changed(**groups):
    mapping = {**MAPPING, **groups}
    return {key: value for key, value in mapping.items() if value != "left out"}


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        (changed(background="dise"), "loss.background 'dise', column 1: unknown loss 'dise'"),
        (
            changed(spine={"terms": "dice + 3*bec"}),
            "loss.spine.terms 'dice + 3*bec', column 10: unknown loss 'bec': did you mean 'bce'",
        ),
        (changed(spine={"term": "dice"}), "loss.spine: unknown field 'term': did you mean 'terms'"),
        (changed(spine={"weight": 3}), "loss.spine: terms is missing"),
        (changed(spine={"terms": 3}), "loss.spine.terms = 3: give a line"),
        (changed(spine=3), "loss.spine = 3: give a line"),
        (changed(spine={"terms": "dice", "weight": 0}), "loss.spine.weight = 0: give a number"),
        (changed(spine={"terms": "dice", "weight": True}), "loss.spine.weight = True"),
        (changed(spine={"terms": "dice", "weight": "2"}), "loss.spine.weight = '2'"),
        (
            changed(spine="left out", spin="dice"),
            "loss.spin: unknown class 'spin': did you mean 'spine'? (known: background, jaw, "
            "palate, spine); a group of several needs classes: [...]",
        ),
        (
            changed(lines={"terms": "dice", "classes": ["jaw", "pallate"]}),
            "loss.lines.classes: unknown class 'pallate': did you mean 'palate'",
        ),
        (
            changed(lines={"terms": "dice", "classes": "jaw"}),
            "give a list of classes, such as [jaw]",
        ),
        (changed(lines={"terms": "dice", "classes": []}), "loss.lines.classes = []: name at least"),
        (
            changed(lines={"terms": "dice", "classes": ["jaw", "jaw"]}),
            "loss.lines.classes: jaw stands twice",
        ),
        (
            changed(spine={"terms": "dice", "classes": ["spine"]}),
            "loss.spine: spine stands for a class; leave classes out",
        ),
        (changed(jaw="dice"), "loss: class jaw is in lines and in jaw; leave it out of one"),
        (
            changed(lines="left out"),
            "loss: no loss for jaw, palate; give a line, or write 'jaw: none' to leave it",
        ),
        (
            changed(spine="dice + ce"),
            "loss.spine 'dice + ce', column 8: ce compares all classes at once and has no meaning "
            "for some of them; use bce here, or write ce for every class: 'all: ce'",
        ),
        (
            changed(lines={"terms": "dice(class_weight=[1,2,3])", "classes": ["jaw", "palate"]}),
            "loss.lines.terms 'dice(class_weight=[1,2,3])', column 19: dice(class_weight=...) has "
            "3 numbers for 2 classes (jaw, palate)",
        ),
        (
            changed(lines={"terms": "dice(background=false)", "classes": ["jaw", "palate"]}),
            "column 17: there is no background to choose, the group names its classes",
        ),
        (dict.fromkeys(NAMES, "none"), "loss: no class has a loss"),
        ({}, "loss = {}: give a line"),
        (["dice"], "loss = ['dice']: give a line such as 'dice + bce', or a mapping"),
    ],
)
def test_a_mistake_in_a_mapping_is_named_with_its_place(mapping, says):
    with pytest.raises(ConfigError) as caught:
        check_loss(mapping, class_names=NAMES)
    assert says in str(caught.value)


def test_the_language_is_checked_before_the_classes_are_known():
    with pytest.raises(ConfigError, match=r"train\.loss\.spine 'dise', column 1"):
        check_loss({"spine": "dise"}, place="train.loss")
    with pytest.raises(ConfigError, match="unknown field 'weigth'"):
        check_loss({"spine": {"terms": "dice", "weigth": 2}})


def test_every_class_may_be_named_none_or_covered_by_all():
    check_loss(changed(background="none"), class_names=NAMES)
    check_loss(changed(background=None), class_names=NAMES)
    check_loss({"all": "ce", "spine": "dice"}, class_names=NAMES)
    check_loss({"all": "dice", "other": "bce"}, class_names=["all", "other"])
    with pytest.raises(ConfigError, match="no loss for other"):
        check_loss({"all": "dice"}, class_names=["all", "other"])
    with pytest.raises(ConfigError, match="all stands for all classes"):
        check_loss({"all": {"terms": "ce", "classes": ["jaw"]}}, class_names=NAMES)


def test_settings_are_written_completely_and_read_as_the_same():
    mapping = changed(background=None)
    data = loss_to_data(mapping)
    assert data == {
        "background": "none",
        "lines": {
            "terms": "dice + 10*bce(weight=auto) + 100*focal",
            "classes": ["jaw", "palate"],
            "weight": 2.0,
        },
        "spine": {"terms": "dice + 100*focal", "weight": 4.0},
    }
    assert loss_to_data(data) == data
    read = [
        [(g.name, g.terms, g.channels, g.weight) for g in parse_groups(m, class_names=NAMES)]
        for m in (mapping, data)
    ]
    assert read[0] == read[1]
    assert loss_to_data("dice + bce") == "dice + bce"


def test_every_term_and_option_is_documented():
    for term in TERMS.values():
        assert term.doc
        assert all(option.doc for option in term.options.values())
