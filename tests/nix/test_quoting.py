"""Text in Nix: what is written comes back."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmdecl.emit.dialects import nix as dialect

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
TRICKY = st.lists(
    st.sampled_from(
        ["$", "{", "}", "'", '"', "\\", "\n", "\r", "\t", "a", "''", "${", "é", "\u2028"]
    )
).map("".join)
VALUES = st.recursive(
    st.one_of(TEXTS, TRICKY, st.booleans(), st.none(), st.integers(-(2**40), 2**40)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(TEXTS, TRICKY, st.sampled_from(["a", "or", "null", "if"])), inner
        ),
    ),
    max_leaves=30,
)


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts=st.lists(st.one_of(TEXTS, TRICKY), min_size=30, max_size=60), value=VALUES)
def test_every_text_comes_back(nix, texts, value):
    """2,000 random texts and trees of values are, evaluated by Nix, what they were."""
    assert nix.value(dialect.render([*texts, value])) == [*texts, value]


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("plain", '"plain"'),
        ("${a}", r'"\${a}"'),
        ("$${a}", r'"\$\${a}"'),
        ("say \"hi\" \\ ''", r'''"say \"hi\" \\ ''"'''),
        ("a\r\nb\tc", r'"a\r\nb\tc"'),
    ],
)
def test_literals(text, literal):
    """The escapes, spelled out."""
    assert dialect.string(text) == literal


@pytest.mark.parametrize(("text", "what"), [("a\0b", "a NUL"), ("\ud800", "half of a surrogate")])
def test_what_nix_cannot_carry(text, what):
    """It is named by `refused`, and never written."""
    assert dialect.refused(text).startswith(what)
    with pytest.raises(ValueError, match="can't carry"):
        dialect.string(text)


def test_comment_stays_in_its_line():
    """Line ends of any kind in a comment do not end it."""
    assert dialect.comment("a\nb\rc\u2028d") == "# a b c d"
