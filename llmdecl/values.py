"""The base of every value that crosses a room: frozen, typed, and equal values are equal bytes."""

from typing import Any, Self, TypeVar

import msgspec

T = TypeVar("T")


class Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A frozen value that survives JSON."""

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return msgspec.structs.replace(self, **changes)


def to_json(value: object) -> bytes:
    """Sorted, indented JSON with a final newline: equal values are equal bytes."""
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2) + b"\n"


def from_json(data: bytes | str, kind: type[T]) -> T:
    """The inverse of `to_json`; raises `msgspec.DecodeError`, a ValueError that names the path."""
    return msgspec.json.decode(data, type=kind)
