"""Words of llama-swap's `cmd`, judged by PyYAML and by its splitter written anew."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from llmdecl.emit.dialects.llama_swap import (
    Line,
    document,
    quote_word,
    refused_value,
    refused_word,
)
from llmdecl.plan.model import Root, Word
from tests.emit.llama_swap_reader import argv, load, split

NASTY = st.sampled_from(
    [
        *"%;#'\"\\ \t\n\r$`=:(){}[]|&*~",
        "${PORT}",
        "${env.HOME}",
        "$",
        "{",
        "\n#",
        "\\\n",
        "\n  #",
        " #",
    ]
)
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXTS = st.lists(st.one_of(NASTY, CHARACTERS), max_size=24).map("".join)


def as_llama_swap_reads(words, environment=None):
    """The argv that llama-swap makes of them, each on a line of its own."""
    lines = tuple(Line(quote_word(word)) for word in words)
    text = document(["a comment"], {"models": {"m": {"cmd": lines}}})
    return argv(load(text, environment or {})["models"]["m"]["cmd"])


@settings(max_examples=500, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=6))
def test_every_word_comes_through(texts):
    """Quotes, backslashes, line breaks before `#`, macros that are none: argv is what the plan
    says."""
    assert as_llama_swap_reads([Word(text="x"), *(Word(text=t) for t in texts)]) == ["x", *texts]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a 'b c' \"d $e\" f\\ g", ["a", "b c", "d $e", "f g"]),
        ("a'b'\"c\" '' x", ["abc", "", "x"]),
        ('"a\\"b\\\\c\\d"', ['a"b\\c\\d']),
        ("'a\\b'", ["a\\b"]),
        ("a\\\nb", ["ab"]),
    ],
)
def test_the_reader_splits_as_golib_does(line, words):
    """Cases worked out from golib's shlex.go by hand."""
    assert split(line) == words


@settings(max_examples=200, deadline=None)
@given(st.text("abc /$'#é", max_size=12), TEXTS)
def test_folders_come_from_the_environment(folder, text):
    """Whatever the folder is called, as long as our own run folder check lets it be."""
    word = Word(text=f"/{text}", root=Root.STORE)
    found = as_llama_swap_reads([Word(text="x"), word], {"LLMDECL_STORE": folder})
    assert found == ["x", f"{folder}/{text}"]


def test_an_unset_folder_fails_the_load():
    with pytest.raises(ValueError, match="LLMDECL_STORE"):
        as_llama_swap_reads([Word(text="/x", root=Root.STORE)])


@settings(max_examples=300, deadline=None)
@given(
    st.recursive(
        st.one_of(
            TEXTS, st.integers(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False)
        ),
        lambda inner: st.one_of(
            st.dictionaries(TEXTS, inner, max_size=4), st.lists(inner, max_size=4)
        ),
    )
)
def test_yaml_is_read_as_it_was_meant(value):
    """Strings stay strings, numbers numbers, whatever they hold."""
    text = document(["# a comment"], {"a": value, "on": 1, "yes": value})
    assert yaml.safe_load(text) == {"a": value, "on": 1, "yes": value}


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_what_cannot_be_carried_is_refused(text):
    """NUL and half a surrogate pair have no form at all."""
    assert refused_word(text)
    with pytest.raises(ValueError, match="can't carry"):
        quote_word(Word(text=text))


def test_a_macro_outside_of_cmd_is_refused():
    """There is no way to write it there; in `cmd` there is."""
    assert refused_value("${PORT}")
    assert refused_value("a${env.HOME}")
    assert refused_value("$PORT {env.HOME}") is None
