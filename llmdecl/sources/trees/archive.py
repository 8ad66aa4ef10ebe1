"""Reading an archive of source code that nobody trusts: tar (gzip, bzip2, xz) and zip.

It is read front to back, twice: once to look, once to unpack. Only plain files, folders and
symbolic links that stay inside come out. Sizes are bounded before anything is written, and no
member's header may be large, so that a small archive can't fill memory or disk.
"""

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from llmdecl.diagnostics import Failure
from llmdecl.sources.reference import is_safe_member
from llmdecl.sources.trees.rules import ARCHIVE_UNSAFE
from llmdecl.units import format_bytes

MAX_BYTES = 4 << 30
"""Of everything in an archive, unpacked; llama.cpp's tree has 0.2 GiB."""
MAX_MEMBERS = 100_000
_MAX_READ = 8 << 20
"""Of one read: headers beyond that are no headers."""
CHUNK = 1 << 20

_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
)


class Unsafe(Exception):  # noqa: N818  # becomes a Failure, which has the address
    """What is wrong with the archive."""


@dataclass(frozen=True, slots=True)
class Member:
    """`target` is a symbolic link's, `None` for a file or folder; `read` opens a file."""

    path: str
    size_bytes: int
    is_folder: bool
    executable: bool
    target: str | None
    read: Callable[[], IO[bytes]]


@dataclass(frozen=True, slots=True)
class Opened:
    """An archive that is being read; `commit` is what `git archive` wrote into it."""

    commit: str | None
    members: Iterator[Member]


@contextmanager
def opened(path: Path, address: str) -> Iterator[Opened]:
    """The archive's members, each once; a Failure (LD481) when it is damaged or unsafe."""
    try:
        with path.open("rb") as file:
            head = file.read(6)
        if head.startswith(b"PK"):
            with zipfile.ZipFile(path) as packed:
                yield Opened(_commit(packed.comment), _checked(_zip_members(packed)))
        else:
            with _tar(path, head) as tar:
                first = tar.next()
                comment = tar.pax_headers.get("comment", "").encode()
                yield Opened(_commit(comment), _checked(_tar_members(tar, first)))
    except (*_DAMAGE, Unsafe) as error:
        summary = f"`{path.name}` is not to be unpacked: {error}"
        raise Failure(ARCHIVE_UNSAFE.at(address, summary)) from None


def _commit(comment: bytes) -> str | None:
    text = comment.decode("ascii", "replace").strip()
    return text if len(text) == 40 and not set(text) - set("0123456789abcdef") else None


def _checked(members: Iterator[Member]) -> Iterator[Member]:
    """Names and sizes, before anybody reads or writes anything of a member."""
    seen: set[str] = set()
    total = 0
    for number, member in enumerate(members, 1):
        total += member.size_bytes
        if number > MAX_MEMBERS:
            raise Unsafe(f"it has more than {MAX_MEMBERS} members")
        if total > MAX_BYTES:
            raise Unsafe(f"it holds more than {format_bytes(MAX_BYTES)}")
        if not is_safe_member(member.path):
            raise Unsafe(f"member {member.path[:200]!r} does not stay where it is unpacked")
        if member.path in seen and not member.is_folder:
            raise Unsafe(f"member {member.path[:200]!r} is there twice")
        seen.add(member.path)
        yield member


# tar


class _Bounded(io.RawIOBase):
    """What comes out of a decompressor, no further than `MAX_BYTES`, and nothing huge at once."""

    def __init__(self, inner: IO[bytes]) -> None:
        self._inner = inner

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_READ:
            raise Unsafe("a header in it is larger than any header is")
        with self._bounded(self._inner.tell()):
            return self._inner.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        with self._bounded(offset):
            return self._inner.seek(offset, whence)

    def tell(self) -> int:
        return self._inner.tell()

    @staticmethod
    @contextmanager
    def _bounded(position: int) -> Iterator[None]:
        if position > 2 * MAX_BYTES:
            raise Unsafe(f"it holds more than {format_bytes(MAX_BYTES)}")
        try:
            yield
        except (OSError, *_DAMAGE) as error:
            raise Unsafe(f"it is damaged: {error}") from None


@contextmanager
def _tar(path: Path, head: bytes) -> Iterator[tarfile.TarFile]:
    openers: tuple[tuple[bytes, Callable[[Path], Any]], ...] = (
        (b"\x1f\x8b", gzip.open),
        (b"BZh", bz2.open),
        (b"\xfd7zXZ", lzma.open),
        (b"", lambda plain: plain.open("rb")),
    )
    opener = next(opener for magic, opener in openers if head.startswith(magic))
    with opener(path) as inner, tarfile.TarFile(fileobj=_Bounded(inner), mode="r") as tar:
        yield tar


def _tar_members(tar: tarfile.TarFile, first: tarfile.TarInfo | None) -> Iterator[Member]:
    info = first
    while info is not None:
        yield _tar_member(tar, info)
        tar.members = []  # type: ignore[attr-defined]  # it would keep them all
        info = tar.next()
    # to the end: only there a decompressor compares its checksum
    while tar.fileobj.read(CHUNK):
        pass


def _tar_member(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    if not (info.isreg() or info.isdir() or info.issym()) or info.issparse():
        raise Unsafe(f"member {info.name[:200]!r} is neither file nor folder nor symbolic link")

    def read() -> IO[bytes]:
        file = tar.extractfile(info)
        assert file is not None
        return file

    return Member(
        path=info.name.removesuffix("/").removeprefix("./"),
        size_bytes=info.size if info.isreg() else 0,
        is_folder=info.isdir(),
        executable=bool(info.mode & stat.S_IXUSR),
        target=info.linkname if info.issym() else None,
        read=read,
    )


# zip


def _zip_members(packed: zipfile.ZipFile) -> Iterator[Member]:
    for info in packed.infolist():
        mode = info.external_attr >> 16
        if info.flag_bits & 1:
            raise Unsafe(f"member {info.filename[:200]!r} is encrypted")
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
            raise Unsafe(
                f"member {info.filename[:200]!r} is neither file nor folder nor symbolic link"
            )
        link = stat.S_ISLNK(mode)
        if link and info.file_size > 4096:
            raise Unsafe(f"member {info.filename[:200]!r} is a link longer than any path")
        yield Member(
            path=info.filename.removesuffix("/"),
            size_bytes=info.file_size,
            is_folder=info.is_dir(),
            executable=bool(mode & stat.S_IXUSR),
            target=os.fsdecode(packed.read(info)) if link else None,
            read=lambda info=info: packed.open(info),  # type: ignore[misc]
        )
