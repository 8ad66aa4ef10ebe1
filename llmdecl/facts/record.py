"""Facts as a file: recorded on one machine, replayed on another."""

from pathlib import Path

import msgspec

from llmdecl.diagnostics import Diagnostic
from llmdecl.facts import rules
from llmdecl.facts.model import Facts
from llmdecl.values import from_json, to_json

SCHEMA = 1


class _Head(msgspec.Struct):
    """What every version of a recording has."""

    schema: int


def write_facts(path: Path, facts: Facts) -> None:
    """Sorted JSON: equal facts are equal bytes. Raises OSError."""
    path.write_bytes(to_json(facts))


def read_facts(path: Path) -> tuple[Facts | None, tuple[Diagnostic, ...]]:
    """A recording, or why it is none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        summary = f"`{path}` can't be read: {error.strerror or error}"
        return None, (rules.FACTS_UNREADABLE.at(str(path), summary),)
    try:
        schema = from_json(data, _Head).schema
        if schema == SCHEMA:
            return from_json(data, Facts), ()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        summary = f"`{path}` is no recording of facts"
        return None, (rules.FACTS_UNREADABLE.at(str(path), summary, notes=(str(error),)),)
    summary = f"`{path}` has schema {schema}; this version reads {SCHEMA}"
    return None, (rules.FACTS_OTHER_SCHEMA.at(str(path), summary),)
