"""Names and aliases: each stands for one thing."""

from collections.abc import Iterator

from llmdecl.diagnostics import Diagnostic
from llmdecl.spec.address import address, quote_key
from llmdecl.spec.rules import (
    ALIAS_IS_NAME,
    BAD_ALIAS,
    BAD_NAME,
    DUPLICATE_ALIAS,
    NOTHING_NAMED,
)
from llmdecl.spec.schema import MODEL_NAME, Spec
from llmdecl.spec.words import shown

MAX_ALIAS = 256
"""Characters of an alias: it is one field of a request."""


def check(spec: Spec) -> Iterator[Diagnostic]:
    """Empty tables, names that can't be file names, aliases that mean two things."""
    groups = (("engines", spec.engines), ("models", spec.models), ("endpoints", spec.endpoints))
    for group, named in groups:
        if not named:
            yield NOTHING_NAMED.at(group, f"`{group}` is empty")
        for name in named:
            if not MODEL_NAME.fullmatch(name):
                yield _bad_name(group, name)
    yield from _aliases(spec)


def _bad_name(group: str, name: str) -> Diagnostic:
    if not name:
        return BAD_NAME.at(address(group, name), f"a name in `{group}` is empty")
    note = "names have letters, digits, `.`, `_`, `-`, at most 64 of them"
    hint = ("such names are for `aliases`",) if group == "models" else ()
    return BAD_NAME.at(
        address(group, name), f"`{shown(name)}` can't be a name", notes=(note, *hint)
    )


def _aliases(spec: Spec) -> Iterator[Diagnostic]:
    owners: dict[str, str] = {}
    for name, model in sorted(spec.models.items()):
        for index, alias in enumerate(model.aliases or ()):
            where = address("models", name, "aliases", index)
            reason = _unusable(alias)
            if reason is not None:
                yield BAD_ALIAS.at(where, f"alias `{shown(alias)}` {reason}")
            elif alias in spec.models:
                whose = "its own model" if alias == name else "another model"
                yield ALIAS_IS_NAME.at(where, f"alias `{alias}` is the name of {whose}")
            elif alias in owners:
                yield _claimed(where, alias, name, owners[alias])
            owners.setdefault(alias, name)


def _claimed(where: str, alias: str, name: str, owner: str) -> Diagnostic:
    if owner == name:
        return DUPLICATE_ALIAS.at(where, f"alias `{alias}` is given twice")
    other = f"models.{quote_key(owner)}"
    return DUPLICATE_ALIAS.at(where, f"alias `{alias}` belongs to `{other}` already")


def _unusable(alias: str) -> str | None:
    if alias != alias.strip():
        return "begins or ends with a blank"
    if not alias.isprintable():
        return "holds a control character"
    if len(alias) > MAX_ALIAS:
        return f"has {len(alias)} characters, more than {MAX_ALIAS}"
    return "means all models" if alias == "*" else None
