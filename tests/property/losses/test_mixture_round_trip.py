"""A mixture that is written down is read as what was meant, and only mixtures are read."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ushape.errors import ConfigError
from ushape.losses import TERMS, parse_mixture

QUICK = settings(deadline=None, max_examples=80)
FACTORS = st.floats(1e-9, 1e9)
SPACES = st.sampled_from(["", " ", "  ", "\t", "\n"])


def values_of(option):
    """Any value that an option allows."""
    high = min(option.high, 1e9)
    numbers = st.floats(option.low, high, allow_nan=False).map(abs)
    forms = {
        "number": numbers,
        "whole number": st.integers(int(option.low), int(high)),
        "list": st.lists(numbers, min_size=1, max_size=4).map(tuple),
        "true or false": st.booleans(),
        "auto": st.just("auto"),
    }
    return st.one_of([forms[form] for form in option.forms])


@st.composite
def options_of(draw, name):
    known = TERMS[name].options
    return {key: draw(values_of(option)) for key, option in known.items() if draw(st.booleans())}


@st.composite
def mixtures(draw):
    names = draw(st.lists(st.sampled_from(sorted(TERMS)), min_size=1, max_size=3, unique=True))
    return [(draw(st.none() | FACTORS), name, draw(options_of(name))) for name in names]


def write(value):
    """Write a value as tokens."""
    if isinstance(value, tuple):
        return ["[", *[token for number in value for token in (",", repr(number))][1:], "]"]
    return [str(value).lower() if isinstance(value, bool) else str(value)]


def spell(mixture, space):
    """Write a mixture with `space` between any two tokens."""
    pieces = []
    for factor, name, options in mixture:
        pieces += ["+"] if pieces else []
        pieces += [] if factor is None else [repr(factor), "*"]
        pieces.append(name)
        if options:
            listed = [[key, "=", *write(value)] for key, value in options.items()]
            flat = [token for entry in listed for token in (",", *entry)][1:]
            pieces += ["(", *flat, ")"]
    return space + space.join(pieces) + space


@QUICK
@given(mixture=mixtures(), space=SPACES)
def test_what_is_written_is_read(mixture, space):
    text = spell(mixture, space)
    terms = parse_mixture(text)
    assert [(t.factor, t.name) for t in terms] == [(f or 1.0, name) for f, name, _ in mixture]
    for term, (_, name, options) in zip(terms, mixture, strict=True):
        defaults = {key: option.default for key, option in TERMS[name].options.items()}
        assert term.options == {**defaults, **options}
        assert text[term.column - 1 :].startswith(name)
        for key, value in options.items():
            assert text[term.columns[key] - 1 :].startswith(write(value)[0])


@QUICK
@given(text=st.text("dicebx()=+*,.10 aweght?-[]", max_size=25))
def test_any_text_is_read_or_refused_with_a_column_inside_it(text):
    try:
        terms = parse_mixture(text)
    except ConfigError as error:
        column = int(str(error).rpartition(", column ")[2].partition(":")[0])
        assert 1 <= column <= len(text) + 1
    else:
        assert terms
