"""What has arrived of a download, beside what says so: `downloads/KEY/` in the store.

| file | holds |
| --- | --- |
| `plan.json` | what is downloaded and how it is cut; written once, last of a new folder |
| `data` | the bytes, each where it belongs |
| `written` | for each part, how many of its bytes are there: 64 bits, little endian |
| `done.json` | digest and identity of a `data` that is whole, verified and on the disk |

A part's number grows after its bytes were written, so a process that is killed leaves at most too
small a number. After a power failure numbers may be ahead of bytes: the digest tells, and then
the download begins anew.
"""

import hashlib
import os
import shutil
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from llmdecl.store.durable import sync, write_durably
from llmdecl.values import Value, from_json, to_json

PART_BYTES = 64 << 20
"""Of one range request."""
FOLDER = "downloads"


class Plan(Value, kw_only=True, frozen=True):
    """What one download is. `validator` tells versions apart where no digest is known."""

    schema: int = 1
    name: str
    sha256: str | None
    size_bytes: int
    validator: str | None
    part_bytes: int

    @property
    def parts(self) -> int:
        """How many ranges it is cut into."""
        return -(-self.size_bytes // self.part_bytes)

    def part(self, index: int) -> tuple[int, int]:
        """Offset and bytes of a part."""
        start = index * self.part_bytes
        return start, min(self.part_bytes, self.size_bytes - start)


class Done(Value, kw_only=True, frozen=True):
    """A finished download; `identity` is inode, bytes and time of change of its file."""

    sha256: str
    identity: tuple[int, int, int]


class Remains:
    """The folder of one download, opened for writing by whoever holds its guard."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder, self.plan = folder, plan
        self.path = folder / "data"
        self.moved = threading.Condition()
        """Notified when the front moves."""
        self.hand_over: Callable[[int, memoryview], bool] | None = None
        """Offered each offset and buffer, with `moved` held; True when it keeps the buffer."""
        self._front = 0
        self._written: list[int] = []
        self.reused_bytes = 0
        if not self._load():
            self._create()
        self.data = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        self._state = os.open(folder / "written", os.O_RDWR | os.O_CLOEXEC)

    def _load(self) -> bool:
        try:
            plan = from_json((self.folder / "plan.json").read_bytes(), Plan)
            raw = (self.folder / "written").read_bytes()
            found = self.path.stat()
            if found.st_nlink > 1:
                return False  # it has arrived elsewhere, and is not ours to write into
            self.path.chmod(0o600)  # killed while it was being sealed
            size = found.st_size
        except (OSError, ValueError):
            return False
        same = self.plan.replace(name=plan.name, part_bytes=plan.part_bytes)
        if plan != same or plan.part_bytes < 1 or len(raw) != 8 * plan.parts:
            return False
        self.plan = plan
        self._written = list(struct.unpack(f"<{plan.parts}Q", raw))
        for index, written in enumerate(self._written):
            start, count = plan.part(index)
            if written > count or (written and start + written > size):
                return False
        if size > plan.size_bytes:
            return False
        self.reused_bytes = sum(self._written)
        return True

    def _create(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.path.touch(mode=0o600)
        self._written = [0] * self.plan.parts
        (self.folder / "written").write_bytes(bytes(8 * self.plan.parts))
        fresh = self.folder / "plan.new"
        write_durably(fresh, to_json(self.plan))
        fresh.replace(self.folder / "plan.json")
        self.reused_bytes, self._front = 0, 0

    def close(self) -> None:
        """Let go of the files."""
        for descriptor in (self.data, self._state):
            if descriptor >= 0:
                os.close(descriptor)
        self.data = self._state = -1

    # how far it is

    def written(self, index: int) -> int:
        """Bytes of a part that are there, from its start."""
        return self._written[index]

    @property
    def missing_bytes(self) -> int:
        """Of all parts."""
        return self.plan.size_bytes - sum(self._written)

    def missing_parts(self) -> list[int]:
        """Parts that lack something, in order."""
        return [
            index
            for index, written in enumerate(self._written)
            if written < self.plan.part(index)[1]
        ]

    def write(self, index: int, data: memoryview) -> bool:
        """The next bytes of a part; one thread a part. Whether `hand_over` took `data`."""
        start, count = self.plan.part(index)
        offset = start + self._written[index]
        written = self._written[index] + len(data)
        assert written <= count
        write_all(self.data, data, offset, self.path)
        os.pwrite(self._state, struct.pack("<Q", written), 8 * index)
        with self.moved:
            self._written[index] = written
            taken = self.hand_over is not None and self.hand_over(offset, data)
            if index == self._front:
                self.moved.notify_all()
        return taken

    def settle(self) -> None:
        """Have the disk confirm the bytes so far, while others are on their way."""
        getattr(os, "fdatasync", os.fsync)(self.data)

    def frontier(self) -> int:
        """Up to where everything is there, from the start; hold `moved`."""
        while self._front < self.plan.parts:
            start, count = self.plan.part(self._front)
            if self._written[self._front] < count:
                return start + self._written[self._front]
            self._front += 1
        return self.plan.size_bytes


def write_all(descriptor: int, data: bytes | memoryview, offset: int, path: Path) -> None:
    """`pwrite` until all is written; `path` is what an OSError names."""
    view = memoryview(data)
    try:
        while view:
            count = os.pwrite(descriptor, view, offset)
            view, offset = view[count:], offset + count
    except OSError as error:
        error.filename = str(path)
        raise


def seal(folder: Path, descriptor: int, sha256: str) -> None:
    """Make `data` durable and read-only, then say in `done.json` what it is."""
    os.fchmod(descriptor, 0o444)
    os.fsync(descriptor)
    fresh = folder / "done.new"
    write_durably(fresh, to_json(Done(sha256=sha256, identity=_identity(folder / "data"))))
    fresh.replace(folder / "done.json")
    sync(folder)


def finished(folder: Path) -> tuple[str, int] | None:
    """Digest and bytes of a finished download that nobody has touched since, or `None`."""
    try:
        done = from_json((folder / "done.json").read_bytes(), Done)
        identity = _identity(folder / "data")
    except (OSError, ValueError):
        return None
    return (done.sha256, identity[1]) if identity == done.identity else None


def _identity(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def key_of(sha256: str | None, url: str, validator: str | None, size_bytes: int | None) -> str:
    """The name of a download's folder: its digest, or what stands for it."""
    if sha256 is not None:
        return sha256
    text = f"{url}\n{validator}\n{size_bytes}"
    return f"web-{hashlib.sha256(text.encode()).hexdigest()}"


# all of them


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Remains of one download; `bytes` is what they take on the disk."""

    key: str
    name: str
    bytes: int


def guard_name(key: str) -> str:
    """The guard that whoever works in `downloads/KEY/` holds."""
    return f"download-{key}"


def unfinished(store: Path) -> tuple[Unfinished, ...]:
    """What lies in `downloads/`, also what is being worked on."""
    found = []
    for folder in sorted(_folders(store)):
        try:
            name = from_json((folder / "plan.json").read_bytes(), Plan).name
        except (OSError, ValueError):
            name = folder.name
        paths = [path for path in folder.iterdir() if path.is_file()]
        taken = sum(path.stat().st_blocks * 512 for path in paths)
        found.append(Unfinished(folder.name, name, taken))
    return tuple(found)


def forget(store: Path, key: str) -> bool:
    """Remove the remains of a download unless somebody works on it; whether they are gone."""
    (store / "locks").mkdir(parents=True, exist_ok=True)
    lock = FileLock(store / "locks" / f"{guard_name(key)}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    try:
        shutil.rmtree(store / FOLDER / key, ignore_errors=True)
        return True
    finally:
        lock.release()


def forget_arrived(store: Path) -> int:
    """Remove remains whose content is in the store; how many.

    It is when the file has another name there, or an entry has the digest that was wanted. Where
    no digest was wanted they stay, a second name that takes no room: without them nobody would
    know that this URL's content is here.
    """
    count = 0
    for folder in _folders(store):
        if folder.name.startswith("web-"):
            continue
        try:
            linked = (folder / "data").stat().st_nlink > 1
        except OSError:
            linked = False
        if linked or (store / "weights" / folder.name).is_dir():
            count += forget(store, folder.name)
    return count


def _folders(store: Path) -> list[Path]:
    folder = store / FOLDER
    return [each for each in folder.iterdir() if each.is_dir()] if folder.is_dir() else []
