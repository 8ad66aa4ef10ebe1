"""What each key takes, read off the schema: for messages that name it, and for addresses.

pydantic says that a value is wrong and where in its own tree; a `Kind` says what was wanted, in the
words of the spec.
"""

from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, replace
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, MinLen
from pydantic import StringConstraints
from pydantic.fields import FieldInfo

from llmdecl.spec.schema import Spec, Table, Written


@dataclass(frozen=True, slots=True)
class Switch:
    """`true` or `false`."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number, whole or not, with its bounds; `above` is a bound that it may not reach."""

    whole: bool
    low: float | None = None
    above: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """A number that is written with a unit; bounds in bytes or seconds."""

    form: Literal["size", "size or 0", "duration", "ttl"]
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Words:
    """A string; `pattern` is only there for strings of a form."""

    least: int = 0
    pattern: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words, or (the language's version) one number."""

    values: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Items:
    """A list of equal kinds."""

    item: "Kind"
    least: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """A table with fixed keys."""

    table: type[Table]


@dataclass(frozen=True, slots=True)
class Variants:
    """A table whose fixed keys depend on the word under `tag`."""

    tag: str
    tables: tuple[tuple[str, type[Table]], ...]


@dataclass(frozen=True, slots=True)
class Named:
    """A table with keys of one's own."""

    item: "Kind"


@dataclass(frozen=True, slots=True)
class Either:
    """One kind or the other."""

    kinds: tuple["Kind", ...]


Kind = Switch | Number | Measure | Words | Choice | Items | Record | Variants | Named | Either


@cache
def fields(table: type[Table]) -> AnyMapping[str, Kind]:
    """The keys of a table, as they are written, and what each takes."""
    hints = get_type_hints(table, include_extras=True)
    return {(info.alias or name): _kind(hints[name]) for name, info in table.model_fields.items()}


def description(table: type[Table], key: str) -> tuple[str, ...]:
    """What the reference says of a key, if anything."""
    infos = (info for name, info in table.model_fields.items() if (info.alias or name) == key)
    return tuple(info.description for info in infos if info.description)


@cache
def required(table: type[Table]) -> tuple[str, ...]:
    """The keys that a table can't do without."""
    return tuple(
        info.alias or name for name, info in table.model_fields.items() if info.is_required()
    )


SPEC = Record(Spec)


def _kind(annotation: Any) -> Kind:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _narrowed(arguments[0], arguments[1:])
    if origin in (Union, UnionType):
        kinds = tuple(_kind(each) for each in arguments if each is not NoneType)
        return kinds[0] if len(kinds) == 1 else Either(kinds)
    if origin is Literal:
        return Choice(arguments)
    if origin is tuple:
        return Items(_kind(arguments[0]))
    if origin is not None and issubclass(origin, AnyMapping):
        return Named(_kind(arguments[1]))
    if isinstance(annotation, type) and issubclass(annotation, Table):
        return Record(annotation)
    plain: dict[Any, Kind] = {
        bool: Switch(),
        int: Number(whole=True),
        float: Number(whole=False),
        str: Words(),
    }
    return plain[annotation]


def _narrowed(inner: Any, metadata: tuple[Any, ...]) -> Kind:
    """`Annotated[inner, *metadata]`."""
    for each in metadata:
        if isinstance(each, FieldInfo) and isinstance(each.discriminator, str):
            return _variants(inner, each.discriminator)
    kind = _kind(inner)
    for each in metadata:
        if isinstance(each, Written):
            kind = _measure(each, kind)
    for each in metadata:
        for constraint in each.metadata if isinstance(each, FieldInfo) else (each,):
            kind = _constrained(kind, constraint)
    return kind


def _variants(union: Any, tag: str) -> Variants:
    tables: list[tuple[str, type[Table]]] = []
    for table in get_args(union):
        kind = fields(table)[tag]
        assert isinstance(kind, Choice)
        tables.extend((str(value), table) for value in kind.values)
    return Variants(tag, tuple(tables))


def _measure(written: Written, inner: Kind) -> Measure:
    """Bounds of a `ttl` stand inside of its union with `never`."""
    parts = inner.kinds if isinstance(inner, Either) else (inner,)
    number = next(part for part in parts if isinstance(part, Number))
    return Measure(written.form, number.low, number.high)


def _constrained(kind: Kind, constraint: object) -> Kind:
    match kind, constraint:
        case ((Number() | Measure()), Ge(ge=low)):
            return replace(kind, low=_number(low))
        case ((Number() | Measure()), Le(le=high)):
            return replace(kind, high=_number(high))
        case Number(), Gt(gt=low):
            return replace(kind, above=_number(low))
        case Words(), StringConstraints(min_length=least, pattern=pattern):
            return Words(least or 0, pattern if isinstance(pattern, str) else None)
        case Items(), MinLen(min_length=least):
            return replace(kind, least=least)
        case _:
            return kind


def _number(bound: Any) -> float:
    return bound if isinstance(bound, int) else float(bound)
