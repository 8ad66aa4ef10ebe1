"""Where keys and values stand in TOML, by tree-sitter: loaded only when a diagnostic needs it.

tree-sitter counts rows from 0 and columns in bytes; a `Span` counts both from 1, in characters.
"""

import tomllib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from llmdecl.diagnostics import Span
from llmdecl.spec.address import Part, Path
from llmdecl.spec.readers.text import Place

if TYPE_CHECKING:
    from tree_sitter import Node

_KEYS = ("bare_key", "quoted_key", "dotted_key")


class TomlPlaces:
    """`places` by path, and keys that are `repeated`: path, first and second place."""

    def __init__(self, data: bytes, file: str) -> None:
        self.places: dict[Path, Place] = {}
        self.repeated: list[tuple[Path, Span, Span]] = []
        self._file = file
        self._lines = data.split(b"\n")
        self._last: dict[Path, int] = {}
        """The newest element of every array of tables."""
        self._opened: dict[Path, Span] = {}
        """Keys and tables that may not be given again."""

    def document(self, root: "Node") -> None:
        """Note everything below the root."""
        for node in root.children:
            if node.type == "pair":
                self._pair(node, ())
            elif node.type in ("table", "table_array_element"):
                self._table(node)

    def span(self, node: "Node") -> Span:
        """A node's place."""
        (row, column), (end_row, end_column) = node.start_point, node.end_point
        return Span(
            self._file,
            row + 1,
            self._characters(row, column),
            end_row + 1,
            self._characters(end_row, end_column),
        )

    def _characters(self, row: int, column: int) -> int:
        line = self._lines[row] if row < len(self._lines) else b""
        return len(line[:column].decode("utf-8", "replace")) + 1

    def _table(self, node: "Node") -> None:
        key = next((child for child in node.children if child.type in _KEYS), None)
        if key is None:
            return
        header = self._header(node)
        path: Path = ()
        parts = list(_parts(key))
        for position, (part, place) in enumerate(parts):
            path = (*path, part)
            span = self.span(place)
            last = position == len(parts) - 1
            if last and node.type == "table_array_element":
                self.places.setdefault(path, Place(span, header))
                self._last[path] = self._last.get(path, -1) + 1
                path = (*path, self._last[path])
                self.places[path] = Place(span, header)
            elif last:
                self._open(path, span)
                self.places[path] = Place(span, header)
            else:
                self.places.setdefault(path, Place(span, None))
                if path in self._last:
                    path = (*path, self._last[path])
        for child in node.children:
            if child.type == "pair":
                self._pair(child, path)

    def _header(self, node: "Node") -> Span:
        """`[models.qwen]`, brackets included."""
        closing = next((child for child in node.children if child.type in ("]", "]]")), None)
        whole = self.span(node)
        if closing is None:
            return whole
        end = self.span(closing)
        return Span(self._file, whole.line, whole.column, end.end_line, end.end_column)

    def _pair(self, node: "Node", base: Path) -> None:
        pair = [child for child in node.named_children if child.type != "comment"]
        if len(pair) != 2 or pair[0].type not in _KEYS:
            return
        key, value = pair
        path = base
        parts = list(_parts(key))
        for position, (part, place) in enumerate(parts):
            path = (*path, part)
            if position < len(parts) - 1:
                self.places.setdefault(path, Place(self.span(place), None))
        span = self.span(parts[-1][1])
        self._open(path, span)
        self.places[path] = Place(span, self.span(value))
        self._value(value, path)

    def _value(self, node: "Node", path: Path) -> None:
        if node.type == "inline_table":
            for child in node.children:
                if child.type == "pair":
                    self._pair(child, path)
        elif node.type == "array":
            elements = [child for child in node.named_children if child.type != "comment"]
            for index, child in enumerate(elements):
                self.places[*path, index] = Place(None, self.span(child))
                self._value(child, (*path, index))

    def _open(self, path: Path, span: Span) -> None:
        if path in self._opened:
            self.repeated.append((path, self._opened[path], span))
        self._opened.setdefault(path, span)


def find_places(text: str, file: str) -> TomlPlaces:
    """All places of a text; none when `tree-sitter-toml` is not installed."""
    data = text.encode()
    found = TomlPlaces(data, file)
    try:
        import tree_sitter
        import tree_sitter_toml
    except ImportError:
        return found
    language = tree_sitter.Language(tree_sitter_toml.language())
    tree = tree_sitter.Parser(language).parse(data)
    try:
        found.document(tree.root_node)
    except RecursionError:
        return TomlPlaces(data, file)
    return found


def _parts(key: "Node") -> Iterator[tuple[Part, "Node"]]:
    """The names of a key, dotted or not, each with its place."""
    if key.type == "dotted_key":
        for child in key.named_children:
            yield from _parts(child)
    elif key.type in _KEYS:
        yield _name(key), key


def _name(key: "Node") -> str:
    raw = (key.text or b"").decode("utf-8", "replace")
    if key.type == "bare_key":
        return raw
    try:
        return next(iter(tomllib.loads(f"{raw} = 0")))
    except tomllib.TOMLDecodeError:
        return raw
