"""Files from web servers into the store's file system: verified, read-only, and kept until used.

    with download(web, wanted, folder=work.folder / "entry", store=store, ...) as files:
        store.add_weights(folder, digest, work)

What has arrived lies in `downloads/` of the store and survives a kill; the next download of the
same thing goes on from there.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from llmdecl.diagnostics import Failure
from llmdecl.sources.http.values import Source
from llmdecl.sources.http.web import Web
from llmdecl.sources.wheel import Tell, need_room
from llmdecl.store.model import LockedFile
from llmdecl.store.rules import HASH_MISMATCH
from llmdecl.store.store import Store

_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file. `name` is what people and the lock call it, `path` its place in the repository.

    `sha256` and `size_bytes` are compared where they are known; `target` is its name in the folder.
    """

    name: str
    source: Source
    target: str
    sha256: str | None = None
    size_bytes: int | None = None
    path: str | None = None


@contextmanager
def download(
    web: Web, wanted: Sequence[Wanted], *, folder: Path, store: Store, address: str, tell: Tell
) -> Iterator[tuple[LockedFile, ...]]:
    """All of `wanted` in `folder` (made here, in the store's file system), several at once.

    Files are whole, verified, durable and read-only. Call it under the guard of what they become
    part of, and move them into the store inside the `with`: at its end the remains are dropped,
    after an exception they are kept for the next time. `tell` hears of the bytes of all together.
    A Failure (LD407, LD410, LD420 to LD428) keeps nothing wrong; Stopped when called off.
    """
    assert folder.is_relative_to(store.folder)
    folder.mkdir()
    tell.begin(sum(each.size_bytes or 0 for each in wanted) or None)
    yield tuple(_one(web, each, folder, address, tell) for each in wanted)


def _one(web: Web, wanted: Wanted, folder: Path, address: str, tell: Tell) -> LockedFile:
    if wanted.size_bytes is not None:
        need_room(folder, wanted.size_bytes, f"`{wanted.name}`", address)

    def once() -> LockedFile:
        digest, size = hashlib.sha256(), 0
        with (
            tempfile.NamedTemporaryFile(dir=folder.parent, delete=False) as file,
            web.opened(wanted.source) as stream,
        ):
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                file.write(chunk)
                size += len(chunk)
                tell.advance(len(chunk))
            file.flush()
            os.fchmod(file.fileno(), 0o444)
            os.fsync(file.fileno())
        found = digest.hexdigest()
        if wanted.sha256 not in (None, found):
            summary = f"`{wanted.name}` should have SHA-256 {wanted.sha256}, and has {found}"
            raise Failure(HASH_MISMATCH.at(address, summary, notes=[f"{size} bytes"]))
        Path(file.name).rename(folder / wanted.target)
        return LockedFile(name=wanted.name, sha256=found, size_bytes=size, path=wanted.path)

    return web.trying(once, address)
