"""`file:` sources: a GGUF that is already here, used where it lies."""

import glob
import os
from collections.abc import Callable
from pathlib import Path

from llmdecl.diagnostics import Diagnostic, Failure
from llmdecl.sources.reference import FileReference
from llmdecl.store.layout import split_names
from llmdecl.store.model import LockedFile
from llmdecl.store.rules import FILE_MISSING, PATTERN_AMBIGUOUS
from llmdecl.units import format_bytes

Digest = Callable[[Path], str]
"""SHA-256 of a file, from a cache when it has not changed."""

MOST_LISTED = 12
"""Matches that a diagnostic names."""


def locate(path: str, base: Path) -> Path:
    """Where a path of the spec is: absolute, links kept as the user made them."""
    return Path(os.path.abspath(base / path))  # noqa: PTH100  # `resolve` would follow links


def find(reference: FileReference, base: Path, address: str) -> tuple[Path, ...]:
    """The file, or all parts of a split model; a Failure that names what is missing."""
    path = named(reference, base, address)
    paths = tuple(path.with_name(name) for name in split_names(path.name))
    problems = [problem for each in paths if (problem := unreadable(each))]
    if not problems:
        return paths
    if len(paths) == 1:
        raise Failure(FILE_MISSING.at(address, problems[0]))
    summary = f"`{path.name}` is split, and {len(problems)} of its {len(paths)} parts can't be read"
    raise Failure(FILE_MISSING.at(address, summary, notes=problems))


def named(reference: FileReference, base: Path, address: str) -> Path:
    """The path that a reference means: what it says, or the first part of what its `*` match.

    `*` stands for any characters but `/`, where no file has it in its own name. What matches has
    to be one file, or all parts of one split model; a Failure that lists it when it is not.
    """
    path = locate(reference.path, base)
    if "*" not in reference.path or os.path.lexists(path):
        return path
    pattern = "*".join(glob.escape(text) for text in str(path).split("*"))
    matched = sorted(Path(each) for each in glob.glob(pattern))  # noqa: PTH207  # escapes
    if len(matched) == 1:
        return matched[0]
    if not matched:
        raise Failure(FILE_MISSING.at(address, f"no file matches `{path}`"))
    parts = [matched[0].with_name(name) for name in split_names(matched[0].name)]
    if matched == parts:
        return matched[0]
    raise Failure(_several(path, matched, parts, address))


def _several(pattern: Path, matched: list[Path], parts: list[Path], address: str) -> Diagnostic:
    lacks = [path for path in parts if path not in matched]
    if len(parts) > 1 and {*matched} < {*parts}:
        summary = f"`{pattern}` matches {len(matched)} of {len(parts)} parts of a split model"
    else:
        lacks = []
        summary = f"`{pattern}` matches {len(matched)} files, which are not parts of one model"
    notes = [_listed(path) for path in matched[:MOST_LISTED]]
    if len(matched) > MOST_LISTED:
        notes.append(f"and {len(matched) - MOST_LISTED} more")
    notes += [f"`{path.name}` does not match" for path in lacks[:MOST_LISTED]]
    return PATTERN_AMBIGUOUS.at(address, summary, notes=notes)


def _listed(path: Path) -> str:
    try:
        return f"`{path}`, {format_bytes(path.stat().st_size)}"
    except OSError as error:
        return f"`{path}`, {error.strerror}"


def unreadable(path: Path) -> str | None:
    """Why `path` is no file that can be read, or `None`."""
    try:
        if path.is_dir():
            return f"`{path}` is a folder"
        if not path.exists():
            return f"`{path}` does not exist"
        if not path.is_file():
            return f"`{path}` is not a plain file"
    except OSError as error:
        return f"`{path}` can't be looked at: {error.strerror}"
    if not os.access(path, os.R_OK):
        return f"`{path}` may not be read by this user"
    return None


def measure(paths: tuple[Path, ...], digest: Digest, address: str) -> tuple[LockedFile, ...]:
    """Name, digest and size of each; a Failure when one can't be read to its end."""
    files = []
    for path in paths:
        try:
            size_bytes = path.stat().st_size
            files.append(LockedFile(name=path.name, sha256=digest(path), size_bytes=size_bytes))
        except OSError as error:
            summary = f"`{path}` can't be read: {error.strerror}"
            raise Failure(FILE_MISSING.at(address, summary)) from None
    return tuple(files)
