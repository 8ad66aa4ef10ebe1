"""Two builds, file by file."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llmdecl.store.built import MANIFEST, BuiltFile, list_files

CHUNK = 1 << 20
SHOWN = 100
_TEXT = re.compile(rb"[ -~]{8,}")


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
    if len(found) > 1:  # the manifest has every file's digest
        found = [each for each in found if each.path != MANIFEST]
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
    """Texts that only one of two files has, else where they differ first."""
    with first.open("rb") as one, second.open("rb") as other:
        offset = 0
        while (left := one.read(CHUNK)) == (right := other.read(CHUNK)):
            if not left:
                return None
            offset += len(left)
    pairs = enumerate(zip(left, right, strict=False))
    at = next((i for i, (a, b) in pairs if a != b), min(len(left), len(right)))
    one_has, other_has = _texts(first), _texts(second)
    shown = [
        f"`{min(alone)[:SHOWN].decode()}` only in the {which}"
        for alone, which in ((one_has - other_has, "first"), (other_has - one_has, "second"))
        if alone
    ]
    return "; ".join((f"differs from byte {offset + at} on", *shown))


def _texts(path: Path) -> frozenset[bytes]:
    return frozenset(_TEXT.findall(path.read_bytes()))
