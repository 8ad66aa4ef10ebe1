"""An address finds its place in the text."""

import json

import pytest

from llmdecl.diagnostics import Rule, Severity
from llmdecl.spec.load import load_text, place
from llmdecl.spec.readers.table import READERS

TEXT = """\
version = 1
host.name = "größe"  # dotted
[models.qwen-coder]
source = "file:a"
aliases = [
  "x",  # first
  "ü", "y",
]
sampling = { temperature = 0.2, top-p = 0.9 }
[models."qwen2.5"]
source = "file:b"
environment."A B" = "1"
lora = [{ source = "file:l" }]
[[host.devices]]
id = "gpu0"
[[host.devices]]
id = "gpu1"
[models.only.draft]
source = "file:c"
[endpoints]
main = { listen = "127.0.0.1:1" }
"""


def source():
    return load_text(TEXT.encode(), "llmdecl.toml", READERS[".toml"]).source


def excerpt(span, text=TEXT):
    lines = text.split("\n")
    assert span.line == span.end_line
    return lines[span.line - 1][span.column - 1 : span.end_column - 1]


@pytest.mark.parametrize(
    ("address", "of_key", "line", "text"),
    [
        ("version", False, 1, "1"),
        ("version", True, 1, "version"),
        ("host.name", False, 2, '"größe"'),
        ("models.qwen-coder", False, 3, "[models.qwen-coder]"),
        ("models.qwen-coder", True, 3, "qwen-coder"),
        ("models.qwen-coder.aliases[0]", False, 6, '"x"'),
        ("models.qwen-coder.aliases[2]", False, 7, '"y"'),
        ("models.qwen-coder.sampling.top-p", False, 9, "0.9"),
        ("models.qwen-coder.sampling.top-p", True, 9, "top-p"),
        ('models."qwen2.5".source', False, 11, '"file:b"'),
        ("models.qwen2.5.source", False, 11, '"file:b"'),
        ("models.qwen2.5", True, 10, '"qwen2.5"'),
        ('models."qwen2.5".environment."A B"', True, 12, '"A B"'),
        ('models."qwen2.5".lora[0].source', False, 13, '"file:l"'),
        ('models."qwen2.5".lora.0.source', False, 13, '"file:l"'),
        ("host.devices[1].id", False, 17, '"gpu1"'),
        ("host.devices[1].memory", False, 16, "[[host.devices]]"),
        ("models.only.source", False, 18, "only"),
        ("models.qwen-coder.ctx-size", False, 3, "[models.qwen-coder]"),
        ("models.qwen2.5.ctx-size", False, 10, '[models."qwen2.5"]'),
        ("endpoints.main.listen", False, 21, '"127.0.0.1:1"'),
    ],
)
def test_toml(address, of_key, line, text):
    """Values, keys and headers; what is not there has the place of its table."""
    span = source().span(address, of_key=of_key)
    assert (line, text) == (span.line, excerpt(span))


@pytest.mark.parametrize(
    "address", ["router", "/srv/x.gguf", "gpu0", "", "llmdecl.lock", "a[", '"']
)
def test_what_is_not_in_the_spec_has_no_place(address):
    """Other rooms speak of other things, too."""
    assert source().span(address) is None


def test_json():
    """JSON has places as well; a table's is its key."""
    text = '{\n "models": {\n  "q.1": {"source": "é", "aliases": ["a",\n "b"]}}}'
    found = load_text(text.encode(), "a.json", READERS[".json"]).source
    assert '"é"' == excerpt(found.span('models."q.1".source'), text)
    assert (4, '"b"') == (
        found.span("models.q.1.aliases[1]").line,
        excerpt(found.span("models.q.1.aliases[1]"), text),
    )
    assert '"q.1"' == excerpt(found.span("models.q.1.ttl"), text)


def test_place_sorts_and_spells():
    """Problems of other rooms get a place, the address as TOML writes it, and the text's order."""
    rule = Rule("LD999", "x", Severity.ERROR, "")
    found = [
        rule.at("elsewhere", "c"),
        rule.at("models.qwen2.5.source", "b"),
        rule.at("models.qwen-coder.source", "a"),
    ]
    placed = place(found, source())
    assert ["models.qwen-coder.source", 'models."qwen2.5".source', "elsewhere"] == [
        each.address for each in placed
    ]
    assert [4, 11, None] == [each.span and each.span.line for each in placed]


def test_every_value_of_both_languages_has_a_place():
    """Whatever has an address has a place, and the place holds its text."""
    import tomllib

    tree = tomllib.loads(TEXT)
    for suffix, text in ((".toml", TEXT), (".json", json.dumps(tree))):
        found = load_text(text.encode(), f"a{suffix}", READERS[suffix]).source
        for address, value in leaves(tree):
            assert json.dumps(value, ensure_ascii=suffix == ".json") == excerpt(
                found.span(address), text
            )


def leaves(tree, at=""):
    from llmdecl.spec.address import quote_key

    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, f"{at}.{quote_key(key)}" if at else quote_key(key))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from leaves(value, f"{at}[{index}]")
    else:
        yield at, tree
