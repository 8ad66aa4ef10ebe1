"""What is known of an engine that was built here: `manifest.json` in its folder.

It holds nothing of the machine but what the result follows from: no path, no day, no name.
"""

import hashlib
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from llmdecl.values import Value, from_json

MANIFEST = "manifest.json"


class BuiltFile(Value, kw_only=True, frozen=True):
    """A file by its path in the entry, or a link to `target`, which has no digest."""

    path: str
    mode: int
    sha256: str | None = None
    size_bytes: int = 0
    target: str | None = None


class BuildInputs(Value, kw_only=True, frozen=True):
    """What the result follows from, with its archive's digest; where that came from does not."""

    input_hash: str
    version: str
    archive_sha256: str
    nar_hash: str
    commit: str | None
    build: int | None
    backends: tuple[str, ...]
    architectures: tuple[str, ...]
    cpu: str
    options: Mapping[str, str]


class Manifest(Value, kw_only=True, frozen=True):
    """`compilers` by language and program (`CXX`: `GNU 12.2.0`), `flags` by CMake's names.

    `tools` leads from a tool's name of today to its file. `fixed_path`: built at one path in a
    mount namespace, so that even CUDA's code is the same everywhere.
    """

    schema: int = 1
    inputs: BuildInputs
    compilers: Mapping[str, str]
    flags: Mapping[str, str]
    fixed_path: bool
    tools: Mapping[str, str]
    files: tuple[BuiltFile, ...]


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of an entry; `None` when there is none that can be read."""
    try:
        return from_json((folder / MANIFEST).read_bytes(), Manifest)
    except (OSError, ValueError):
        return None


def list_files(folder: Path) -> Iterator[BuiltFile]:
    """Every file and link below `folder` but the manifest, sorted, read now."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        status = path.lstat()
        mode = stat.S_IMODE(status.st_mode)
        if path.is_symlink():
            yield BuiltFile(path=name, mode=0o777, target=str(path.readlink()))
        elif path.is_file() and name != MANIFEST:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            yield BuiltFile(path=name, mode=mode, sha256=digest, size_bytes=status.st_size)


def built_problem(folder: Path) -> str | None:
    """Why an entry that is there is not what its manifest says, or `None`; every byte is read."""
    manifest = read_manifest(folder)
    if manifest is None:
        return "has lost its manifest"
    if folder.name.partition("-")[0] != manifest.inputs.input_hash:
        return f"has the manifest of {manifest.inputs.input_hash}"
    try:
        found = {file.path: file for file in list_files(folder)}
    except OSError as error:
        return f"can't be read: `{error.filename}`: {error.strerror}"
    for file in manifest.files:
        now = found.pop(file.path, None)
        if now is None:
            return f"lacks `{file.path}`"
        if now != file:
            return f"has another `{file.path}`"
    return f"has a `{min(found)}` too many" if found else None
