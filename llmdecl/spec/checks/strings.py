"""Strings that reach a process or a file name, and the variables of models."""

import re
from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from llmdecl.diagnostics import Diagnostic
from llmdecl.spec.address import Path, address, name_of
from llmdecl.spec.rules import BAD_VARIABLE, CONTROL_CHARACTER, RESERVED_VARIABLE
from llmdecl.spec.schema import Spec
from llmdecl.spec.words import shown

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_IN_A_REQUEST = ("system-prompt", "aliases")
"""Keys whose text goes into JSON only; aliases have a check of their own."""


def check(spec: Spec) -> Iterator[Diagnostic]:
    """Characters that no process can be given, variables that can't or must not be set."""
    for path, text in _strings(spec, ()):
        for character, name in (("\0", "a NUL"), ("\r", "a carriage return")):
            if character in text and not any(part in _IN_A_REQUEST for part in path):
                yield CONTROL_CHARACTER.at(address(*path), f"`{name_of(path)}` holds {name}")
    if spec.defaults is not None:
        yield from _variables(("defaults",), spec.defaults.environment)
    for model, settings in spec.models.items():
        yield from _variables(("models", model), settings.environment)


def _strings(value: object, path: Path) -> Iterator[tuple[Path, str]]:
    match value:
        case str():
            yield path, value
        case BaseModel():
            for field, info in type(value).model_fields.items():
                yield from _strings(getattr(value, field), (*path, info.alias or field))
        case Mapping():
            for key, below in value.items():
                yield from _strings(below, (*path, key))
        case tuple():
            for index, below in enumerate(value):
                yield from _strings(below, (*path, index))
        case _:
            pass


def _variables(
    path: tuple[str, ...], environment: Mapping[str, str] | None
) -> Iterator[Diagnostic]:
    for name in environment or {}:
        where = address(*path, "environment", name)
        if not _VARIABLE.fullmatch(name):
            called = f"`{shown(name)}`" if name else "an empty string"
            yield BAD_VARIABLE.at(where, f"{called} can't be the name of a variable")
        elif name.startswith("LLAMA_"):
            yield RESERVED_VARIABLE.at(
                where,
                f"`{name}` sets a flag past the checks",
                notes=("settings belong into their keys, or into `extra-args`",),
            )
        elif name.startswith("LLMDECL_"):
            yield RESERVED_VARIABLE.at(where, f"`{name}` marks the processes of a stack")
