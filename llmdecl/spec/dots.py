"""Names with a dot that were not quoted: `[models.qwen2.5]` is a table `5` in the model `qwen2`."""

from collections.abc import Iterator, Mapping

from llmdecl.diagnostics import Diagnostic
from llmdecl.spec.address import Path, address
from llmdecl.spec.kinds import SPEC, Kind, Named, Record, Variants, fields
from llmdecl.spec.rules import UNQUOTED_DOT
from llmdecl.spec.schema import MODEL_NAME

Moves = Mapping[Path, Path]
"""Where a table was meant to be: to where it is."""


def unquoted(
    tree: Mapping[str, object],
) -> tuple[dict[str, object], Moves, tuple[Diagnostic, ...]]:
    """The tree as it was meant, what was moved for that, and a diagnostic for each."""
    moves: dict[Path, Path] = {}
    found: list[Diagnostic] = []
    meant = dict(tree)
    for group, kind in fields(SPEC.table).items():
        tables = meant.get(group)
        if not isinstance(kind, Named) or not isinstance(tables, dict):
            continue
        known = _keys(kind.item)
        named = dict(tables)
        for name, table in tables.items():
            for path, inner in _inner((name,), table, known):
                whole = ".".join(path)
                if whole in named or not MODEL_NAME.fullmatch(whole):
                    continue
                named[whole] = inner
                named = _removed(named, path)
                moves[group, whole] = (group, *path)
                found.append(_diagnostic(group, path, whole))
        meant[group] = named
    return meant, moves, tuple(found)


def _keys(kind: Kind) -> frozenset[str]:
    match kind:
        case Record(table=table):
            return frozenset(fields(table))
        case Variants(tables=tables):
            return frozenset(key for _, table in tables for key in fields(table))
        case _:
            return frozenset()


def _inner(
    path: tuple[str, ...], table: object, known: frozenset[str]
) -> Iterator[tuple[tuple[str, ...], dict[str, object]]]:
    """Tables under keys that are none, with keys that are some."""
    if not isinstance(table, dict) or len(path) > 6:
        return
    for key, value in table.items():
        if key in known or not isinstance(value, dict):
            continue
        if known & value.keys():
            yield (*path, key), value
        else:
            yield from _inner((*path, key), value, known)


def _removed(table: dict[str, object], path: tuple[str, ...]) -> dict[str, object]:
    """Without the table at `path`, nor what is empty without it."""
    head, rest = path[0], path[1:]
    below = table.get(head)
    copy = dict(table)
    if rest and isinstance(below, dict):
        left = _removed(below, rest)
        if left:
            copy[head] = left
            return copy
    copy.pop(head, None)
    return copy


def _diagnostic(group: str, path: tuple[str, ...], whole: str) -> Diagnostic:
    return UNQUOTED_DOT.at(
        address(group, whole),
        f"`{'.'.join((group, *path))}` is a table in `{address(group, path[0])}`: "
        "its name holds a dot and is not quoted",
        help=(f"`[{address(group, whole)}]`",),
    )
