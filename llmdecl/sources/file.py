"""`file:` sources: a GGUF that is already here, used where it lies."""

import os
from collections.abc import Callable
from pathlib import Path

from llmdecl.diagnostics import Failure
from llmdecl.sources.reference import FileReference
from llmdecl.store.layout import split_names
from llmdecl.store.model import LockedFile
from llmdecl.store.rules import FILE_MISSING

Digest = Callable[[Path], str]
"""SHA-256 of a file, from a cache when it has not changed."""


def locate(path: str, base: Path) -> Path:
    """Where a path of the spec is: absolute, links kept as the user made them."""
    return Path(os.path.abspath(base / path))  # noqa: PTH100  # `resolve` would follow links


def find(reference: FileReference, base: Path, address: str) -> tuple[Path, ...]:
    """The file, or all parts of a split model; a Failure that names what is missing."""
    path = locate(reference.path, base)
    paths = tuple(path.with_name(name) for name in split_names(path.name))
    problems = [problem for each in paths if (problem := unreadable(each))]
    if not problems:
        return paths
    if len(paths) == 1:
        raise Failure(FILE_MISSING.at(address, problems[0]))
    summary = f"`{path.name}` is split, and {len(problems)} of its {len(paths)} parts can't be read"
    raise Failure(FILE_MISSING.at(address, summary, notes=problems))


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
