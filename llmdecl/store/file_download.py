"""One file on its way: looked at, taken in parts or whole, verified, sealed."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from llmdecl.diagnostics import Failure
from llmdecl.sources.http.rules import WEB_CHANGED, WEB_SIZE
from llmdecl.sources.http.values import RemoteFile, Source, shown
from llmdecl.sources.http.web import Web
from llmdecl.store.meter import Meter
from llmdecl.store.model import LockedFile
from llmdecl.store.parts import Changed, Parts, RangesRefused
from llmdecl.store.remains import (
    FOLDER,
    PART_BYTES,
    Plan,
    Remains,
    finished,
    key_of,
    seal,
)
from llmdecl.store.rules import HASH_MISMATCH
from llmdecl.store.whole import bring_whole


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


class FileDownload:
    """`look` first, then everything else under the guard of `key`."""

    def __init__(self, web: Web, wanted: Wanted, store: Path, *, address: str) -> None:
        self._web, self.wanted, self._store, self._address = web, wanted, store, address
        self._remote: RemoteFile | None = None
        self._remains: Remains | None = None
        self.key = wanted.sha256 or ""

    @property
    def folder(self) -> Path:
        """Its remains."""
        return self._store / FOLDER / self.key

    def look(self) -> None:
        """Ask the server what it has, unless all of it is here; sets `key`."""
        if self.wanted.sha256 is None or not self._finished():
            remote = self._ask()
            size = self._size(remote)
            self.key = key_of(self.wanted.sha256, remote.source.url, remote.validator, size)

    def _ask(self) -> RemoteFile:
        remote = self._web.look(self.wanted.source, address=self._address)
        name, expected = self.wanted.name, self.wanted.sha256
        if expected and remote.sha256 and remote.sha256 != expected:
            summary = f"`{name}` should have SHA-256 {expected}, and the server has {remote.sha256}"
            raise Failure(HASH_MISMATCH.at(self._address, summary))
        sizes = remote.size_bytes, self.wanted.size_bytes
        if None not in sizes and sizes[0] != sizes[1]:
            summary = f"`{name}` should have {sizes[1]} bytes, and the server has {sizes[0]}"
            raise Failure(WEB_SIZE.at(self._address, summary))
        self._remote = remote
        return remote

    def _size(self, remote: RemoteFile) -> int | None:
        return self.wanted.size_bytes if remote.size_bytes is None else remote.size_bytes

    def _finished(self) -> bool:
        done = finished(self.folder)
        wanted = self.wanted
        return done is not None and wanted.sha256 in (None, done[0])

    def open(self) -> tuple[int | None, int]:
        """Bytes of all of it and of what is here, once it is guarded."""
        if self._finished():
            size = (self.folder / "data").stat().st_size
            return size, size
        remote = self._remote or self._ask()
        size_bytes = self._size(remote)
        can_resume = self.wanted.sha256 is not None or remote.validator is not None
        if not remote.accepts_ranges or size_bytes is None or not can_resume:
            return size_bytes, 0
        plan = Plan(
            name=self.wanted.name,
            sha256=self.wanted.sha256,
            size_bytes=size_bytes,
            validator=None if self.wanted.sha256 else remote.validator,
            part_bytes=PART_BYTES,
        )
        self._remains = Remains(self.folder, plan)
        return size_bytes, size_bytes - self._remains.missing_bytes

    def close(self) -> None:
        """Let go of what is open; the remains stay."""
        if self._remains is not None:
            self._remains.close()
            self._remains = None

    def run(self, meter: Meter, called_off: Callable[[], bool]) -> LockedFile:
        """Bring what is missing; the finished file's digest and size."""
        if not self._finished():
            try:
                self._bring(meter, called_off)
            finally:
                self.close()
        done = finished(self.folder)
        assert done is not None
        name, path = self.wanted.name, self.wanted.path
        return LockedFile(name=name, sha256=done[0], size_bytes=done[1], path=path)

    def _bring(self, meter: Meter, called_off: Callable[[], bool]) -> None:
        again = False
        while True:
            found, doubtful = self._once(meter, called_off)
            if found is None:
                if again:
                    where = shown(self.wanted.source.url)
                    summary = f"`{where}` changed while it was being downloaded"
                    self._throw_away()
                    raise Failure(WEB_CHANGED.at(self._address, summary))
            elif self.wanted.sha256 in (None, found):
                return
            elif again or not doubtful:
                self._throw_away()
                raise self._mismatch(found)
            # what was here before may be damaged, or of another version
            again = True
            self._again(meter)

    def _once(self, meter: Meter, called_off: Callable[[], bool]) -> tuple[str | None, bool]:
        """Digest (`None`: the file changed), and whether parts of it are of an earlier time."""
        assert self._remote is not None
        if self._remains is not None:
            parts = Parts(
                self._web, self._remote, self._remains, address=self._address, meter=meter
            )
            try:
                found = parts.run(called_off)
            except Changed:
                return None, True
            except RangesRefused:
                meter.take_back(self._remains.plan.size_bytes - self._remains.missing_bytes)
                self.close()
            else:
                if self.wanted.sha256 in (None, found):
                    seal(self.folder, self._remains.data, found)
                return found, bool(self._remains.reused_bytes) or parts.mixed
        return self._whole(meter, called_off), False

    def _whole(self, meter: Meter, called_off: Callable[[], bool]) -> str:
        assert self._remote is not None
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        found = bring_whole(
            self._web,
            self._remote,
            self.folder / "data",
            sha256=self.wanted.sha256,
            size_bytes=self._size(self._remote),
            address=self._address,
            meter=meter,
            called_off=called_off,
        )
        if self.wanted.sha256 in (None, found):
            descriptor = os.open(self.folder / "data", os.O_RDWR | os.O_CLOEXEC)
            try:
                seal(self.folder, descriptor, found)
            finally:
                os.close(descriptor)
        return found

    def _again(self, meter: Meter) -> None:
        """Ask anew what the server has, and begin at the start. The guard's key stays."""
        if self._remains is not None:
            meter.take_back(self._remains.plan.size_bytes - self._remains.missing_bytes)
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._ask()
        self.open()

    def _throw_away(self) -> None:
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _mismatch(self, found: str) -> Failure:
        name, expected = self.wanted.name, self.wanted.sha256
        summary = f"`{name}` should have SHA-256 {expected}, and has {found}"
        return Failure(HASH_MISMATCH.at(self._address, summary))
