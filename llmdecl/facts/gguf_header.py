"""The GGUF format: from bytes to a header. Untrusted input, bounded in time and memory.

Layout by `docs/gguf.md` of ggml; what is refused is what llama.cpp's `gguf_init_from_reader`
(ggml/src/gguf.cpp) refuses, so that a header which reads here also loads there.
"""

import hashlib
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from llmdecl.facts import rules
from llmdecl.facts.ggml_types import TENSOR_TYPES
from llmdecl.facts.gguf_values import (
    CHAT_TEMPLATE,
    TOKEN_TYPES,
    TOKENS,
    GgufHeader,
    HeaderError,
    KeyValue,
    Passed,
    TensorInfo,
)
from llmdecl.facts.gguf_window import CutShortError, TooFarError, Window
from llmdecl.facts.model import Scalar

MAX_HEADER_BYTES: Final = 256 << 20
MAX_STRINGS: Final = 8 << 20
MAX_KEYS: Final = 1 << 16
MAX_TENSORS: Final = 1 << 16
MAX_KEPT_BYTES: Final = 4 << 20
"""Of values that are kept in memory, all together; larger ones are passed over."""
MAX_KEPT_NUMBERS: Final = 1024
MAX_KEPT_STRINGS: Final = 64
MAX_KEPT_TEXT: Final = 1 << 18
MAX_NAME_BYTES: Final = 63
"""ggml's GGML_MAX_NAME less its final NUL."""
MAX_KEY_BYTES: Final = (1 << 16) - 1
DEFAULT_ALIGNMENT: Final = 32

_DIGESTED = frozenset({TOKENS, TOKEN_TYPES, CHAT_TEMPLATE})
_PASSED_OVER = frozenset({TOKENS, TOKEN_TYPES, "tokenizer.ggml.merges", "tokenizer.ggml.scores"})

_ALIGNMENT = "general.alignment"
_ALIGNMENT_TYPE = 4

_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_COUNTS = struct.Struct("<QQ")
_ARRAY = struct.Struct("<IQ")
_TENSOR = tuple(struct.Struct(f"<{n_dims}QIQ") for n_dims in range(5))
"""Shape, type and offset of a tensor with so many dimensions."""
_STRING, _ARRAY_TYPE, _BOOL = 8, 9, 7
_NUMBERS: Mapping[int, tuple[str, str]] = {
    0: ("u8", "B"),
    1: ("i8", "b"),
    2: ("u16", "H"),
    3: ("i16", "h"),
    4: ("u32", "I"),
    5: ("i32", "i"),
    6: ("f32", "f"),
    _BOOL: ("bool", "b"),
    10: ("u64", "Q"),
    11: ("i64", "q"),
    12: ("f64", "d"),
}
"""GGUF value types of fixed size: name and `struct` format."""


@dataclass(slots=True)
class _Reading:
    window: Window
    where: str = "the header"
    kept: int = 0
    strings: int = 0
    odd_texts: list[str] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    alike: Mapping[str, KeyValue] = field(default_factory=dict)


def parse_header(
    window: Window, alike: Mapping[str, KeyValue] | None = None
) -> tuple[GgufHeader, tuple[str, ...]]:
    """The header and the places of texts that are not UTF-8; raises HeaderError.

    `alike` are the values of a file that holds the same vocabulary: tokens, token types, merges
    and scores of it are believed, with their digests, where they are as many, and not read.
    """
    reading = _Reading(window, alike=alike or {})
    try:
        version = _version(window)
        n_tensors, n_kv = window.unpack(_COUNTS)
        _limit("keys", n_kv, MAX_KEYS)
        _limit("tensors", n_tensors, MAX_TENSORS)
        kv = _key_values(reading, n_kv)
        tensors = _tensors(reading, n_tensors)
    except CutShortError as error:
        raise HeaderError(
            rules.GGUF_CUT_SHORT,
            f"ends in its header, in {reading.where}",
            f"{error.needed:,} bytes are claimed at byte {error.offset:,}, "
            f"the file has {error.size:,}",
        ) from None
    except TooFarError as error:
        raise HeaderError(
            rules.GGUF_OVERSIZED,
            f"has a header of more than {error.limit:,} bytes, in {reading.where}",
        ) from None
    alignment = _alignment(kv)
    header = GgufHeader(
        version=version,
        kv=kv,
        tensors=tensors,
        alignment=alignment,
        data_offset=-(-window.position // alignment) * alignment,
        file_bytes=window.size,
        digests=reading.digests,
    )
    return header, tuple(reading.odd_texts)


def _version(window: Window) -> int:
    magic = window.take(min(4, window.size))
    if magic != b"GGUF":
        raise HeaderError(rules.GGUF_OTHER_FORMAT, "is not a GGUF file", *_looks_like(magic))
    (version,) = window.unpack(_U32)
    if version == 1:
        raise HeaderError(rules.GGUF_VERSION, "is GGUF version 1, which llama.cpp no longer reads")
    if version & 0xFFFF == 0 and version:
        (swapped,) = struct.unpack(">I", _U32.pack(version))
        raise HeaderError(
            rules.GGUF_BIG_ENDIAN, f"is a big-endian GGUF file (version {swapped}, byte-swapped)"
        )
    if version not in (2, 3):
        raise HeaderError(rules.GGUF_VERSION, f"is GGUF version {version}; llama.cpp reads 2 and 3")
    return int(version)


def _looks_like(magic: bytes) -> tuple[str, ...]:
    """What a file with these first bytes is instead."""
    if not magic:
        return ("the file is empty",)
    known = {
        b"vers": "it looks like a Git LFS pointer; fetch the file itself",
        b"<!DO": "it is an HTML page",
        b"<htm": "it is an HTML page",
        b"PK\x03\x04": "it is a ZIP archive, as PyTorch's checkpoints are",
        b"lmgg": "it is a GGML file of 2023, from before GGUF",
        b"fmgg": "it is a GGML file of 2023, from before GGUF",
        b"tjgg": "it is a GGML file of 2023, from before GGUF",
        b"FUGG": "its magic is byte-swapped",
    }
    return (known.get(magic, f"it begins with {magic!r}"),)


def _limit(what: str, count: int, limit: int) -> None:
    if count > limit:
        raise HeaderError(
            rules.GGUF_OVERSIZED, f"claims {count:,} {what}; at most {limit:,} are read"
        )


def _key_values(reading: _Reading, count: int) -> dict[str, KeyValue]:
    kv: dict[str, KeyValue] = {}
    for index in range(count):
        reading.where = f"key {index + 1} of {count}"
        key = _name(reading, MAX_KEY_BYTES)
        reading.where = f"`{key}`"
        if not key:
            raise HeaderError(rules.GGUF_BROKEN, f"has an empty key (number {index + 1})")
        if key in kv:
            raise HeaderError(rules.GGUF_BROKEN, f"has the key `{key}` twice")
        (kind,) = reading.window.unpack(_U32)
        if key == _ALIGNMENT and kind != _ALIGNMENT_TYPE:
            raise HeaderError(rules.GGUF_BROKEN, f"has a `{key}` that is not a 32-bit number")
        kv[key] = _value(reading, key, kind)
    return kv


def _name(reading: _Reading, limit: int) -> str:
    (length,) = reading.window.unpack(_U64)
    reading.window.claim(length)
    if length > limit:
        raise HeaderError(
            rules.GGUF_BROKEN,
            f"has a name of {length:,} bytes in {reading.where}; at most {limit:,} are allowed",
        )
    return _text(reading, reading.window.take(length))


def _text(reading: _Reading, raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        reading.odd_texts.append(reading.where)
        return raw.decode(errors="backslashreplace")


def _value(reading: _Reading, key: str, kind: int) -> KeyValue:
    if kind == _STRING:
        return _string(reading, key)
    if kind == _ARRAY_TYPE:
        return _array(reading, key)
    if kind not in _NUMBERS:
        raise HeaderError(rules.GGUF_BROKEN, f"has a value of unknown type {kind} in `{key}`")
    return _numbers(reading, kind, 1)[0]


def _numbers(reading: _Reading, kind: int, count: int) -> tuple[Scalar, ...]:
    """Numbers as Python has them; a float that JSON can't hold becomes its name (`nan`, `inf`)."""
    values: tuple[Scalar, ...] = reading.window.unpack(
        struct.Struct(f"<{count}{_NUMBERS[kind][1]}")
    )
    if kind == _BOOL:
        return tuple(value != 0 for value in values)
    return tuple(
        value if not isinstance(value, float) or math.isfinite(value) else str(value)
        for value in values
    )


def _string(reading: _Reading, key: str) -> str | Passed:
    window = reading.window
    (length,) = window.unpack(_U64)
    window.claim(length)
    start = window.position
    if length > MAX_KEPT_TEXT or not _keep(reading, length):
        sha256 = _pass_over(reading, key, length)
        return Passed("string", 1, start, window.position, sha256)
    raw = window.take(length)
    if key in _DIGESTED:
        reading.digests[key] = hashlib.sha256(raw).hexdigest()
    return _text(reading, raw)


def _array(reading: _Reading, key: str) -> tuple[Scalar, ...] | Passed:
    window = reading.window
    kind, count = window.unpack(_ARRAY)
    if kind == _ARRAY_TYPE:
        raise HeaderError(
            rules.GGUF_BROKEN, f"has an array of arrays in `{key}`, which llama.cpp refuses"
        )
    if kind == _STRING:
        return _string_array(reading, key, count)
    if kind not in _NUMBERS:
        raise HeaderError(rules.GGUF_BROKEN, f"has an array of unknown type {kind} in `{key}`")
    name, code = _NUMBERS[kind]
    length = count * struct.calcsize(f"<{code}")
    if passed := _believed(reading, key, name, count):
        return passed
    window.claim(length)
    if key not in _PASSED_OVER and count <= MAX_KEPT_NUMBERS and _keep(reading, length):
        return _numbers(reading, kind, count)
    start = window.position
    sha256 = _pass_over(reading, key, length)
    return Passed(name, count, start, window.position, sha256)


def _string_array(reading: _Reading, key: str, count: int) -> tuple[Scalar, ...] | Passed:
    window = reading.window
    start = window.position
    window.claim(count * _U64.size)
    reading.strings += count
    _limit("strings", reading.strings, MAX_STRINGS)
    if passed := _believed(reading, key, "string", count):
        return passed
    if key not in _PASSED_OVER and count <= MAX_KEPT_STRINGS:
        texts = tuple(_string(reading, key) for _ in range(count))
        kept = tuple(text for text in texts if isinstance(text, str))
        if len(kept) == count:
            return kept
        return Passed("string", count, start, window.position)
    digest = hashlib.sha256() if key in _DIGESTED else None
    window.skip_strings(count, digest)
    if digest is not None:
        reading.digests[key] = digest.hexdigest()
    return Passed("string", count, start, window.position, reading.digests.get(key))


def _believed(reading: _Reading, key: str, kind: str, count: int) -> Passed | None:
    """An array of the vocabulary that a file alike has: its bytes are not read."""
    known = reading.alike.get(key) if key in _PASSED_OVER else None
    if not isinstance(known, Passed) or (known.kind, known.count) != (kind, count):
        return None
    start = reading.window.position
    reading.window.skip(known.end - known.start)
    if known.sha256 is not None:
        reading.digests[key] = known.sha256
    return Passed(kind, count, start, reading.window.position, known.sha256)


def _keep(reading: _Reading, length: int) -> bool:
    """Whether `length` more bytes may be kept; they count if so."""
    if reading.kept + length > MAX_KEPT_BYTES:
        return False
    reading.kept += length
    return True


def _pass_over(reading: _Reading, key: str, length: int) -> str | None:
    """Past `length` bytes; their SHA-256 when the key is one that is compared."""
    digest = hashlib.sha256() if key in _DIGESTED else None
    reading.window.skip(length, digest)
    if digest is None:
        return None
    reading.digests[key] = digest.hexdigest()
    return reading.digests[key]


def _tensors(reading: _Reading, count: int) -> tuple[TensorInfo, ...]:
    tensors: dict[str, TensorInfo] = {}
    for index in range(count):
        reading.where = f"tensor {index + 1} of {count}"
        name = _name(reading, MAX_NAME_BYTES)
        if name in tensors:
            raise HeaderError(rules.GGUF_BROKEN, f"has the tensor `{name}` twice")
        tensors[name] = _tensor(reading.window, name)
    return tuple(tensors.values())


def _tensor(window: Window, name: str) -> TensorInfo:
    (n_dims,) = window.unpack(_U32)
    if n_dims > 4:
        raise HeaderError(
            rules.GGUF_BROKEN, f"has `{name}` with {n_dims:,} dimensions; ggml has at most 4"
        )
    *shape, number, offset = window.unpack(_TENSOR[n_dims])
    elements = math.prod(shape)
    if elements >= 1 << 63 or (not elements and max(shape) >= 1 << 63):
        raise HeaderError(rules.GGUF_BROKEN, f"has `{name}` with 2^63 elements or more: {shape}")
    kind = TENSOR_TYPES.get(number)
    if kind is None:
        raise HeaderError(
            rules.GGUF_BROKEN,
            f"has `{name}` of tensor type {number}, which llmdecl does not know",
        )
    width = shape[0] if shape else 1
    if width % kind.block_size:
        raise HeaderError(
            rules.GGUF_BROKEN,
            f"has `{name}` with rows of {width:,} elements; "
            f"{kind.name} wants a multiple of {kind.block_size}",
        )
    size = elements // kind.block_size * kind.type_size
    return TensorInfo(name, tuple(shape), kind, offset, elements, size)


def _alignment(kv: Mapping[str, KeyValue]) -> int:
    value = kv.get(_ALIGNMENT, DEFAULT_ALIGNMENT)
    assert isinstance(value, int)
    if value <= 0 or value & (value - 1):
        raise HeaderError(rules.GGUF_BROKEN, f"has `{_ALIGNMENT}` {value}, which is no power of 2")
    return value
