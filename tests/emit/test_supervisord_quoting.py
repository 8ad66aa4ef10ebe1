"""Words on a supervisord command line, judged by supervisor's own parser and shlex."""

import os
import shlex
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from supervisor.options import UnhosedConfigParser

from llmdecl.emit.dialects.supervisord import command, quote_command, refused
from llmdecl.plan.model import Root, Word

NASTY = st.sampled_from([*"%;#'\"\\ \t\n$`=:(){}[]", "%(", ")s", " ;", "\n;", "\n #", "  "])
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\r\0")
TEXTS = st.lists(st.one_of(NASTY, CHARACTERS), max_size=24).map("".join)


def as_supervisord_reads(value: str, expansions: dict[str, str] | None = None) -> list[str]:
    """The argv that supervisord makes of `command = VALUE` in a file of its own."""
    parser = UnhosedConfigParser()
    parser.expansions = expansions or {}
    parser.read_string(f"[program:x]\ncommand = {value}\nautostart = false\n")
    return shlex.split(parser.saneget("program:x", "command"))


@settings(max_examples=400, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=6))
def test_every_word_comes_through(texts):
    """Per cent signs, quotes, semicolons, newlines, unicode: argv is what the plan says."""
    assert as_supervisord_reads(command(Word(text=text) for text in texts)) == texts


def test_per_cent_sign_is_doubled():
    """Because supervisord expands %(name)s."""
    assert quote_command("100%") == '"100%%"'


def test_folders_are_expanded_inside_quotes():
    """A run folder with a space in it stays one word."""
    word = Word(text="/a b.sock", root=Root.RUN)
    expansions = {"ENV_LLMDECL_RUN": "/run/my folder"}
    assert as_supervisord_reads(command([word]), expansions) == ["/run/my folder/a b.sock"]


@pytest.mark.parametrize("text", ["a\rb", "a\0b", "\ud800"])
def test_what_cannot_be_carried_is_refused(text):
    """Carriage return, NUL and half a surrogate pair have no form at all."""
    assert refused(text)
    with pytest.raises(ValueError, match="can't carry"):
        quote_command(text)


def test_empty_word_is_a_word():
    assert as_supervisord_reads(command([Word(text=""), Word(text="x")])) == ["", "x"]


@settings(max_examples=50, deadline=None)
@given(TEXTS)
def test_a_real_file_says_the_same(tmp_path_factory, text):
    """Also through supervisord's whole option parser, from a file on disk."""
    from tests.emit.supervisord_reader import commands

    folder = tmp_path_factory.mktemp("conf")
    conf = "[supervisord]\nnodaemon = true\n[program:x]\ncommand = " + command([Word(text=text)])
    (folder / "supervisord.conf").write_text(conf + "\n", encoding="utf-8")
    with mock.patch.dict(os.environ, {"LLMDECL_RUN": "/run"}):
        assert commands(folder / "supervisord.conf") == {"x": [text]}
