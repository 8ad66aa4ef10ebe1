"""A spec's file to a `Spec` and everything that is wrong with it, each problem in its place."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from llmdecl.diagnostics import Diagnostic, Span
from llmdecl.spec.address import Path as Steps
from llmdecl.spec.address import address, parse_address
from llmdecl.spec.readers.table import READERS
from llmdecl.spec.readers.text import Places, Reader, Tree, decode
from llmdecl.spec.rules import EMPTY_SPEC, OF_A_KEY, UNKNOWN_FORMAT, UNREADABLE

if TYPE_CHECKING:
    from llmdecl.spec.dots import Moves
    from llmdecl.spec.schema import Spec

MAX_BYTES = 4 << 20
"""The largest file that is read as a spec."""


@dataclass(frozen=True)
class Source:
    """The text that a spec came from, and where its keys and values stand in it."""

    file: str
    text: str = ""
    reader: Reader | None = None
    tree: Tree | None = None
    moves: "Moves | None" = None

    def span(self, where: str, *, of_key: bool = False) -> Span | None:
        """The place of an address: its value or, `of_key`, its key.

        What is not there has the place of the nearest table around it. None for what is no address
        of this spec, and where the places of a language are not known.
        """
        path = self.path(where)
        if path is None:
            return None
        return self._span(self._moved(path), of_key=of_key)

    def path(self, where: str) -> Steps | None:
        """The path of an address, also of one whose names are not quoted."""
        path = parse_address(where)
        if path is None or self.tree is None:
            return None
        return (
            path if _depth(self.tree, self._moved(path)) == len(path) else _joined(self.tree, path)
        )

    @cached_property
    def _places(self) -> Places:
        return self.reader.places(self.text, self.file) if self.reader else {}

    def _moved(self, path: Steps) -> Steps:
        target = (self.moves or {}).get(path[:2])
        return (*target, *path[2:]) if target is not None else path

    def _span(self, path: Steps, *, of_key: bool) -> Span | None:
        place = self._places.get(path)
        if place is not None:
            return (place.key or place.value) if of_key else (place.value or place.key)
        for length in range(len(path) - 1, 0, -1):
            place = self._places.get(path[:length])
            if place is not None:
                return place.value or place.key
        return None

    def start(self) -> Span | None:
        """The beginning of the text, for what is missing from the whole of it."""
        if self.tree and not self._places:
            return None
        return Span(self.file, 1, 1, 1, 1)


@dataclass(frozen=True, slots=True)
class Loaded:
    """`spec` is None when there is any error among the `diagnostics`."""

    spec: "Spec | None"
    diagnostics: tuple[Diagnostic, ...]
    source: Source


def load_spec(path: Path) -> Loaded:
    """The spec in a file; never raises for what the file holds or for its absence."""
    file = str(path)
    source = Source(file)
    reader = READERS.get(path.suffix)
    if reader is None:
        known = " nor ".join(f"`{suffix}`" for suffix in READERS)
        problem = UNKNOWN_FORMAT.at(file, f"`{path.name}` ends in neither {known}")
        return Loaded(None, (problem,), source)
    data = _read(path)
    if isinstance(data, Diagnostic):
        return Loaded(None, (data,), source)
    return load_text(data, file, reader)


def load_text(data: bytes, file: str, reader: Reader) -> Loaded:
    """The spec in the bytes of a file."""
    text = decode(data, file)
    if isinstance(text, Diagnostic):
        return Loaded(None, (text,), Source(file))
    tree, problems = reader.parse(text, file) if text.strip() else ({}, ())
    source = Source(file, text, reader, tree)
    if tree is None:
        return Loaded(None, problems, source)
    if not tree:
        empty = EMPTY_SPEC.at(file, f"`{file}` says nothing", span=Span(file, 1, 1, 1, 1))
        return Loaded(None, (empty,), source)
    from llmdecl.spec.validate import validate

    spec, problems, moves = validate(tree)
    source = replace(source, moves=moves)
    placed = (
        each if each.span else replace(each, span=source.start())
        for each in place(problems, source)
    )
    return Loaded(spec, tuple(sorted(placed, key=_order)), source)


def place(diagnostics: Iterable[Diagnostic], source: Source) -> tuple[Diagnostic, ...]:
    """Gives a place to those that have only an address, and sorts them by place."""
    return tuple(sorted((_placed(each, source) for each in diagnostics), key=_order))


def _placed(problem: Diagnostic, source: Source) -> Diagnostic:
    path = None if problem.span else source.path(problem.address)
    if path is None:
        return problem
    span = source.span(problem.address, of_key=problem.code in OF_A_KEY)
    # a message about something else keeps its address as it is
    return replace(problem, span=span, address=address(*path)) if span else problem


def _order(problem: Diagnostic) -> tuple[object, ...]:
    return (problem.span is None, problem.span or (), problem.code, problem.address)


def _read(path: Path) -> bytes | Diagnostic:
    file = str(path)
    try:
        if path.is_dir():
            return UNREADABLE.at(file, f"`{file}` is a folder")
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return UNREADABLE.at(file, f"`{file}` can't be read: {reason.lower()}")
    if len(data) > MAX_BYTES:
        return UNREADABLE.at(file, f"`{file}` is larger than {MAX_BYTES >> 20} MiB")
    return data


def _depth(tree: object, path: Steps) -> int:
    """How many steps of a path are there."""
    for count, step in enumerate(path):
        match tree, step:
            case dict(), str() if step in tree:
                tree = tree[step]
            case list(), int() if step < len(tree):
                tree = tree[step]
            case _:
                return count
    return len(path)


def _joined(tree: object, path: Steps) -> Steps:
    """A path whose names were split at their dots, with the names that are there."""
    steps: Steps = ()
    while path:
        step, taken = _step(tree, path)
        tree = _child(tree, step)
        steps, path = (*steps, step), path[taken:]
    return steps


def _step(tree: object, path: Steps) -> tuple[str | int, int]:
    """The first step of a path and how many parts of it that takes: all that make up a key."""
    first = path[0]
    if isinstance(tree, list) and isinstance(first, str) and first.isdecimal():
        return int(first), 1
    if isinstance(tree, dict):
        for count in range(len(path), 1, -1):
            name = ".".join(str(part) for part in path[:count])
            if name in tree:
                return name, count
    return first, 1


def _child(tree: object, step: str | int) -> object:
    match tree, step:
        case dict(), str():
            return tree.get(step)
        case list(), int() if step < len(tree):
            return tree[step]
        case _:
            return None
