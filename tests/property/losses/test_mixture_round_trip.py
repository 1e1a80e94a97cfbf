"""A mixture that is written down is read as what was meant, and only mixtures are read."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ushape.errors import ConfigError
from ushape.losses import TERMS, parse_mixture

QUICK = settings(deadline=None, max_examples=80)
NUMBERS = st.floats(0, 1e9, allow_nan=False)
FACTORS = st.floats(1e-9, 1e9)
SPACES = st.sampled_from(["", " ", "  ", "\t", "\n"])


@st.composite
def options_of(draw, name):
    chosen = {}
    for option, kind in TERMS[name].options.items():
        if draw(st.booleans()):
            values = {float: NUMBERS, bool: st.booleans(), str: st.nothing()}[kind.kind]
            chosen[option] = draw(values | st.just("auto") if kind.allows_auto else values)
    return chosen


@st.composite
def mixtures(draw):
    names = draw(st.lists(st.sampled_from(sorted(TERMS)), min_size=1, max_size=3, unique=True))
    return [(draw(st.none() | FACTORS), name, draw(options_of(name))) for name in names]


def write(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def spell(mixture, space):
    """Write a mixture with `space` between any two tokens."""
    pieces = []
    for factor, name, options in mixture:
        pieces += ["+"] if pieces else []
        pieces += [] if factor is None else [repr(factor), "*"]
        pieces.append(name)
        if options:
            listed = [[key, "=", write(value)] for key, value in options.items()]
            flat = [token for entry in listed for token in (",", *entry)][1:]
            pieces += ["(", *flat, ")"]
    return space + space.join(pieces) + space


@QUICK
@given(mixture=mixtures(), space=SPACES)
def test_what_is_written_is_read(mixture, space):
    terms = parse_mixture(spell(mixture, space))
    assert [(t.factor, t.name) for t in terms] == [(f or 1.0, name) for f, name, _ in mixture]
    for term, (_, name, options) in zip(terms, mixture, strict=True):
        defaults = {key: option.default for key, option in TERMS[name].options.items()}
        assert term.options == {**defaults, **options}


@QUICK
@given(text=st.text("dicebx()=+*,.10 aweght?-", max_size=25))
def test_any_text_is_read_or_refused_with_a_column_inside_it(text):
    try:
        terms = parse_mixture(text)
    except ConfigError as error:
        column = int(str(error).rpartition(", column ")[2].partition(":")[0])
        assert 1 <= column <= len(text) + 1
    else:
        assert terms
