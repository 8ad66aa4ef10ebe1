"""Two builds, file by file."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llmdecl.store.built import MANIFEST, BuiltFile, list_files

CHUNK = 1 << 20
SHOWN = 48


@dataclass(frozen=True, slots=True)
class Difference:
    """One file; `how` says in a phrase what differs first."""

    path: str
    how: str


def compare(first: Path, second: Path) -> tuple[tuple[Difference, ...], int]:
    """Every difference between two entries, and how many files were compared (manifests, too)."""
    one = {file.path: file for file in _files(first)}
    other = {file.path: file for file in _files(second)}
    paths = sorted(one.keys() | other.keys())
    found = []
    for path in paths:
        how = _how(first, second, one.get(path), other.get(path))
        if how is not None:
            found.append(Difference(path, how))
    return tuple(found), len(paths)


def _files(folder: Path) -> Iterator[BuiltFile]:
    yield from list_files(folder)
    manifest = folder / MANIFEST
    if manifest.is_file():
        size = manifest.stat().st_size
        yield BuiltFile(path=MANIFEST, mode=manifest.stat().st_mode, size_bytes=size)


def _how(first: Path, second: Path, one: BuiltFile | None, other: BuiltFile | None) -> str | None:
    if one is None or other is None:
        return f"is only in the {'second' if one is None else 'first'} build"
    if one.target != other.target:
        return f"leads to `{one.target}` and to `{other.target}`"
    if one.mode != other.mode:
        return f"has mode {one.mode:o} and {other.mode:o}"
    return None if one.target else _first_difference(first / one.path, second / one.path)


def _first_difference(first: Path, second: Path) -> str | None:
    """Where two files differ first, with the text around it when it is text."""
    with first.open("rb") as one, second.open("rb") as other:
        offset = 0
        while True:
            left, right = one.read(CHUNK), other.read(CHUNK)
            if left == right:
                if not left:
                    return None
                offset += len(left)
                continue
            pairs = enumerate(zip(left, right, strict=False))
            at = next((i for i, (a, b) in pairs if a != b), min(len(left), len(right)))
            words = " and ".join(f"`{_text(side, at)}`" for side in (left, right))
            return f"differs first at byte {offset + at}: {words}"


def _text(data: bytes, at: int) -> str:
    """The printable text around a byte, from its beginning, or the bytes themselves."""
    start = at
    while start > max(0, at - SHOWN) and 32 <= data[start - 1] < 127:
        start -= 1
    end = at
    while end < min(len(data), at + SHOWN) and 32 <= data[end] < 127:
        end += 1
    text = data[start:end]
    return text.decode("ascii") if len(text) >= 4 else data[at : at + 8].hex(" ")
