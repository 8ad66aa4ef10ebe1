"""Strings of a form: what is said of those that are of another."""

import pytest

from llmdecl.spec.load import load_text
from llmdecl.spec.readers.table import READERS
from llmdecl.spec.rules import MALFORMED

SPEC = """version = 1
[engines.llama]
kind = "llama.cpp"
provider = "source"
{}
[models.a]
source = "file:a.gguf"
[endpoints.main]
listen = "127.0.0.1:8080"
"""


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('version = "10434"', "`b10434`"),
        ('version = "v1"', "`v0.1.0`"),
        ('commit = "0c1e570"', "40 digits"),
    ],
)
def test_the_form_is_said_once(line: str, told: str) -> None:
    """A version or commit of another form is one error, which says what is asked for."""
    (problem,) = load_text(SPEC.format(line).encode(), "llmdecl.toml", READERS[".toml"]).diagnostics
    assert problem.code == MALFORMED.code
    assert told in problem.notes[0]


@pytest.mark.parametrize("line", ['version = "b1"', 'version = "v0.1.0"', 'version = "v12.3"'])
def test_tags_of_releases(line: str) -> None:
    """llama.cpp's tags are build numbers, and since 2026 versions as well."""
    assert load_text(SPEC.format(line).encode(), "llmdecl.toml", READERS[".toml"]).spec is not None
