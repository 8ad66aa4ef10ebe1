"""pydantic's errors to diagnostics: the spec's own addresses, one cause once."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from llmdecl.diagnostics import Diagnostic
from llmdecl.spec.address import Path, address, name_of
from llmdecl.spec.judge import judge
from llmdecl.spec.kinds import SPEC, Items, Kind, Named, Record, Variants, description, fields
from llmdecl.spec.rules import LATER_CHOICE, MALFORMED, MISSING_KEY, NOT_A_CHOICE, WRONG_TYPE
from llmdecl.spec.unknown import nearest, unknown_key
from llmdecl.spec.words import listed, shown


@dataclass(frozen=True, slots=True)
class Fault:
    """A place that pydantic refused. `kind` is what belongs there; None for an unknown key."""

    path: Path
    kind: Kind | None
    missing: bool
    table: Kind
    """What the place is in."""


def faults(errors: Iterable[Mapping[str, object]]) -> tuple[Fault, ...]:
    """Each refused place once, however many alternatives pydantic tried there."""
    found: dict[Path, Fault] = {}
    for error in errors:
        location = error["loc"]
        assert isinstance(location, tuple)
        fault = _walk(location, missing=error["type"] == "missing")
        found.setdefault(fault.path, fault)
    return tuple(found.values())


def _walk(location: tuple[str | int, ...], *, missing: bool) -> Fault:
    """Along the schema, over pydantic's tags of unions, to the place in the spec."""
    path: Path = ()
    kind: Kind = SPEC
    table: Kind = SPEC
    for part in location:
        below: Kind | None = None
        match kind:
            case Variants(tables=tables):
                kind = Record(dict(tables)[str(part)])
                continue
            case Record(table=record):
                below = fields(record).get(str(part))
                if below is None:
                    return Fault((*path, part), None, missing=False, table=kind)
            case Named(item=item):
                below = item
            case Items(item=item) if isinstance(part, int):
                below = item
            case _:
                break
        table, kind, path = kind, below, (*path, part)
    return Fault(path, kind, missing, table)


def explain(fault: Fault, tree: object) -> Diagnostic:
    """The diagnostic for a refused place of `tree`."""
    key = name_of(fault.path)
    where = address(*fault.path)
    if fault.kind is None:
        return unknown_key(fault.path, fault.table, _at(tree, fault.path[:-1]))
    if fault.missing:
        return MISSING_KEY.at(where, f"`{key}` is missing")
    value = _at(tree, fault.path)
    if isinstance(fault.kind, Variants) and isinstance(value, dict):
        return _tag(fault.path, fault.kind, value)
    verdict = judge(key, fault.kind, value)
    if verdict is None:  # pydantic knows better: never seen, and still said
        return WRONG_TYPE.at(where, f"`{key}` is not what this key takes")
    notes = verdict.notes
    if verdict.rule is MALFORMED and isinstance(fault.table, Record):
        notes = (*notes, *description(fault.table.table, key))
    return verdict.rule.at(where, verdict.summary, notes=notes, help=verdict.help)


def one_cause_once(faults: Iterable[Fault], tree: object) -> tuple[Fault, ...]:
    """Without the missing keys that are there, misspelt: `lisen` is one mistake, not two."""
    all_faults = tuple(faults)
    meant = {_meant(fault, tree) for fault in all_faults if fault.kind is None}
    return tuple(fault for fault in all_faults if not (fault.missing and fault.path in meant))


def _meant(fault: Fault, tree: object) -> Path | None:
    beside = _at(tree, fault.path[:-1])
    if not isinstance(fault.table, Record) or not isinstance(beside, dict):
        return None
    near = nearest(fault.table.table, str(fault.path[-1]), beside)
    return None if near is None else (*fault.path[:-1], near)


def _tag(path: Path, kind: Variants, value: Mapping[str, object]) -> Diagnostic:
    """The word that decides which keys a table has is missing or unknown."""
    from difflib import get_close_matches

    from llmdecl.spec.later import LATER_CHOICES

    where = address(*path, kind.tag)
    words = [word for word, _ in kind.tables]
    note = f"choices are {listed(words)}"
    if kind.tag not in value:
        return MISSING_KEY.at(where, f"`{kind.tag}` is missing", notes=(note,))
    word = value[kind.tag]
    if not isinstance(word, str):
        return WRONG_TYPE.at(where, f"`{kind.tag}` is not a string", notes=(note,))
    if word in LATER_CHOICES.get(words[0], ()):
        return LATER_CHOICE.at(where, f"`{kind.tag} = {word}` is not supported yet", notes=(note,))
    near = get_close_matches(word.lower(), words, 1)
    return NOT_A_CHOICE.at(
        where,
        f"`{kind.tag}` is `{shown(word)}`, which is none of its choices",
        notes=(note,),
        help=[f"did you mean `{each}`?" for each in near],
    )


def _at(tree: object, path: Path) -> object:
    """The value at a path; None where there is none."""
    for part in path:
        match tree, part:
            case dict(), str():
                tree = tree.get(part)
            case ((list() | tuple()), int()) if part < len(tree):
                tree = tree[part]
            case _:
                return None
    return tree


def nulls(tree: object, path: Path = ()) -> Iterator[Diagnostic]:
    """JSON's nulls: a key that says nothing is left out."""
    if tree is None:
        yield WRONG_TYPE.at(
            address(*path),
            f"`{name_of(path)}` is null",
            notes=("a key that is left out gets its default",),
        )
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield from nulls(value, (*path, key))
    elif isinstance(tree, list | tuple):
        for index, value in enumerate(tree):
            yield from nulls(value, (*path, index))
