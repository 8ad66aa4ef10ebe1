"""A tree without its faults, so that the whole-spec checks can speak in the same run. Pure."""

from llmdecl.spec.errors import Fault
from llmdecl.spec.kinds import (
    Choice,
    Kind,
    Measure,
    Named,
    Number,
    Record,
    Variants,
    Words,
    fields,
    required,
)

_WORDS = {"source": "file:x", "listen": "unix:/x/{}", "version": "0"}


def mended(tree: object, faults: tuple[Fault, ...]) -> object:
    """`tree` with refused places removed; where that can't be, something unremarkable instead.

    `tree` consists of dicts and tuples. What is reported of the substitutes has to be dropped.
    """
    for number, fault in enumerate(faults):
        tree = _without(tree, fault.path, fault, number)
    return tree


def _without(tree: object, path: tuple[str | int, ...], fault: Fault, number: int) -> object:
    if not path:
        return _substitute(fault.kind, "spec", number) if fault.kind else tree
    match tree, path[0]:
        case dict(), str() as key:
            copy = dict(tree)
            if len(path) > 1:
                if key in copy:
                    copy[key] = _without(copy[key], path[1:], fault, number)
                return copy
            copy.pop(key, None)
            if fault.kind is not None and _needed(fault.table, key):
                copy[key] = _substitute(fault.kind, key, number)
            return copy
        case tuple(), int() as index if len(path) > 1 and index < len(tree):
            below = _without(tree[index], path[1:], fault, number)
            return (*tree[:index], below, *tree[index + 1 :])
        case tuple(), int() as index if fault.kind is not None and index < len(tree):
            return (*tree[:index], _substitute(fault.kind, "", number), *tree[index + 1 :])
        case _:
            return tree


def _needed(table: Kind, key: str) -> bool:
    match table:
        case Record(table=record):
            return key in required(record)
        case Named():
            return True
        case _:
            return False


def _substitute(kind: Kind | None, key: str, number: int) -> object:
    match kind:
        case Words():
            return _WORDS.get(key, "x{}").format(number)
        case Choice(values=values):
            return values[0]
        case Measure(form="size" | "size or 0"):
            return "64GiB"
        case Measure():
            return "1s"
        case Number(low=low):
            return int(low or 1)
        case Record(table=table):
            known = fields(table)
            return {each: _substitute(known[each], each, number) for each in required(table)}
        case Variants(tag=tag, tables=((word, table), *_)):
            known = fields(table)
            made = {each: _substitute(known[each], each, number) for each in required(table)}
            return {**made, tag: word}
        case Named():
            return {}
        case _:
            return ()
