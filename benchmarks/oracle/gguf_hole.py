"""GGUF files that have a header and a hole instead of weights."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

Shape = tuple[int, ...]

ALIGNMENT = 32
TYPES = {  # name: (number, elements of a block, bytes of a block)
    "F32": (0, 1, 4),
    "F16": (1, 1, 2),
    "Q5_0": (6, 32, 22),
    "Q8_0": (8, 32, 34),
    "Q4_K": (12, 256, 144),
    "Q6_K": (14, 256, 210),
    "I32": (26, 1, 4),
}


@dataclass(frozen=True, slots=True)
class U64s:
    """An array of unsigned 64-bit integers."""

    items: Sequence[int]


@dataclass(frozen=True, slots=True)
class U32s:
    """An array of unsigned 32-bit integers."""

    items: Sequence[int]


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _value(value: Any) -> bytes:
    match value:
        case bool():
            return struct.pack("<I?", 7, value)
        case int():
            return struct.pack("<II", 4, value)
        case float():
            return struct.pack("<If", 6, value)
        case str():
            return struct.pack("<I", 8) + _text(value)
        case U64s(items):
            return struct.pack("<IIQ", 9, 10, len(items)) + struct.pack(f"<{len(items)}Q", *items)
        case U32s(items):
            return struct.pack("<IIQ", 9, 4, len(items)) + struct.pack(f"<{len(items)}I", *items)
        case [float(), *_]:
            return struct.pack("<IIQ", 9, 6, len(value)) + struct.pack(f"<{len(value)}f", *value)
        case [str(), *_]:
            return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(_text, value))
        case [bool(), *_]:
            return struct.pack("<IIQ", 9, 7, len(value)) + struct.pack(f"<{len(value)}?", *value)
        case [int(), *_]:
            return struct.pack("<IIQ", 9, 5, len(value)) + struct.pack(f"<{len(value)}i", *value)
        case _:
            raise TypeError(value)


def tensor_bytes(shape: Shape, kind: str) -> int:
    """Bytes of a tensor in a file."""
    _, block, size = TYPES[kind]
    count = 1
    for n in shape:
        count *= n
    return count // block * size


def write(path: Path, meta: Mapping[str, Any], tensors: Mapping[str, tuple[Shape, str]]) -> None:
    """A GGUF file whose data is a hole."""
    head = [b"GGUF", struct.pack("<IQQ", 3, len(tensors), len(meta))]
    head += [_text(key) + _value(value) for key, value in meta.items()]
    at = 0
    for name, (shape, kind) in tensors.items():
        head.append(
            _text(name)
            + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
            + struct.pack("<IQ", TYPES[kind][0], at)
        )
        at += -(-tensor_bytes(shape, kind) // ALIGNMENT) * ALIGNMENT
    blob = b"".join(head)
    blob += b"\0" * (-len(blob) % ALIGNMENT)
    with path.open("wb") as file:
        file.write(blob)
        file.truncate(len(blob) + at)
