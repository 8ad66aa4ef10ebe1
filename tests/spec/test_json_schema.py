"""The JSON Schema is the spec's: current, closed, described."""

import json
from pathlib import Path

from llmdecl.cli import run
from llmdecl.spec.json_schema import json_schema

COMMITTED = Path(__file__).parent.parent.parent / "docs" / "llmdecl.schema.json"


def test_the_committed_schema_is_current(update_golden):
    """`make schema` was run."""
    if update_golden:
        COMMITTED.write_text(json_schema())
    assert COMMITTED.read_text() == json_schema()


def test_the_verb_prints_it(capsys):
    """`llmdecl schema` is what is committed."""
    assert 0 == run(["schema"])
    assert COMMITTED.read_text() == capsys.readouterr().out


def tables():
    schema = json.loads(json_schema())
    assert "https://json-schema.org/draft/2020-12/schema" == schema["$schema"]
    yield "spec", schema
    yield from schema["$defs"].items()


def test_every_table_is_closed():
    """An editor marks unknown keys, as the compiler does."""
    for name, table in tables():
        assert table["additionalProperties"] is False, name


def test_every_key_is_described():
    """Help while typing."""
    for name, table in tables():
        assert table["description"], name
        for key, value in table["properties"].items():
            assert value.get("description"), f"{name}.{key}"


def test_nothing_is_null_and_nothing_is_filled_in():
    """Keys are left out, and defaults belong to the plan."""
    text = json_schema()
    assert "null" not in text
    assert '"default":' not in text


def test_the_reference_page_is_current():
    """`docs/spec.md` is what `make schema` writes, and has every key of every table."""
    from llmdecl.spec.json_schema import json_schema
    from llmdecl.spec.page import TABLES, spec_page

    page = (COMMITTED.parent / "spec.md").read_text()
    assert spec_page(json_schema()) == page
    definitions = json.loads(json_schema())["$defs"]
    assert set(definitions) - {"ModelSettings"} == {name for _, name in TABLES}
    for _, name in TABLES:
        for key in definitions[name]["properties"]:
            assert f"| `{key}`" in page
