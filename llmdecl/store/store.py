"""The store: entries named for their content, put there whole or not at all.

An entry appears by one rename and is never written again. Local files get links and are never
copied. Whoever makes an entry holds its lock, so a second process waits and finds it done.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from llmdecl.sources.file import Digest
from llmdecl.store import layout
from llmdecl.store.durable import sync, write_durably
from llmdecl.store.model import LockedEngine, LockedFile, LockedPackage, LockedWeights
from llmdecl.store.nar import nar_hash as hash_tree
from llmdecl.store.partial import Workplace, sweep, workplace
from llmdecl.store.remains import forget_arrived
from llmdecl.store.sharing import in_use
from llmdecl.values import Value, from_json, to_json

ABSENT = "is not in the store"
"""The problem of an entry that is no damage."""


class Origin(Value, kw_only=True, frozen=True):
    """What was taken out of a wheel. `wheel` is its file; `files` have their paths in it.

    `program` is there when the whole wheel was unpacked as an engine.
    """

    schema: int = 1
    wheel: LockedFile
    files: tuple[LockedFile, ...] = ()
    program: str | None = None


def read_digest(path: Path) -> str:
    """SHA-256 of a file, read now."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Store:
    """The store below `folder`, which is created when something is put there."""

    def __init__(self, folder: Path, digest: Digest = read_digest) -> None:
        self.folder = folder
        self._digest = digest

    @contextmanager
    def guard(
        self,
        name: str,
        called_off: Callable[[], bool] = lambda: False,
        waits: Callable[[], None] = lambda: None,
    ) -> Iterator[None]:
        """One process and thread at a time for `name`; filelock's Timeout when called off.

        `waits` is called once when another one has it.
        """
        locks = self.folder / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        lock = FileLock(locks / f"{name}.lock")
        said = False
        while not lock.is_locked:
            try:
                lock.acquire(timeout=0.2, poll_interval=0.05)
            except Timeout:
                if called_off():
                    raise
                if not said:
                    said = True
                    waits()
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def workplace(self) -> Iterator[Workplace]:
        """A folder of one's own to put an entry together; nobody clears the store out meanwhile."""
        with in_use(self.folder), workplace(self.folder) as work:
            yield work

    def sweep(self) -> int:
        """Remove what killed processes left, but for downloads that can go on; how many."""
        return sweep(self.folder) + forget_arrived(self.folder)

    # weights

    def weights_paths(self, weights: LockedWeights) -> tuple[Path, ...]:
        """Where its parts are or will be."""
        return tuple(
            self.folder / path for path in layout.weights_files(weights.digest, len(weights.files))
        )

    def has_weights(self, digest: str) -> bool:
        """Whether every part leads to a file; contents are `weights_problem`'s matter."""
        folder = self.folder / layout.weights_folder(digest)
        names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        wanted = list(layout.split_names(names[0])) if names else ["model.gguf"]
        return names == wanted and all((folder / name).is_file() for name in names)

    def weights_problem(self, weights: LockedWeights, digest: Digest | None = None) -> str | None:
        """Why the entry is not what the lock pins (`ABSENT` when it is not there), or `None`."""
        return self.files_problem(weights.digest, weights.files, digest)

    def files_problem(
        self, weights_digest: str, files: Sequence[LockedFile], digest: Digest | None = None
    ) -> str | None:
        """The same for files that no lock names yet."""
        if not self.has_weights(weights_digest):
            return ABSENT
        paths = layout.weights_files(weights_digest, len(files))
        pairs = ((self.folder / path, file) for path, file in zip(paths, files, strict=True))
        return _first_problem(pairs, digest or self._digest)

    def add_weights(self, folder: Path, weights_digest: str, work: Workplace) -> None:
        """Move a finished folder of read-only parts into place, in the stead of a damaged entry."""
        self._place(folder, self.folder / layout.weights_folder(weights_digest), work.folder)

    def is_linked(self, paths: Sequence[Path], digest: str) -> bool:
        """Whether the entry leads to just these paths."""
        links = layout.weights_files(digest, len(paths))
        pairs = zip((self.folder / link for link in links), paths, strict=True)
        return all(link.is_symlink() and link.readlink() == path for link, path in pairs)

    def link_local(self, paths: Sequence[Path], digest: str) -> None:
        """Make the entry lead to these absolute paths, unless the content itself lies there."""
        folder = self.folder / layout.weights_folder(digest)
        folder.mkdir(parents=True, exist_ok=True)
        for number, path in enumerate(paths, 1):
            link = folder / layout.weights_name(number, len(paths))
            if link.is_symlink():
                if link.readlink() == path:
                    continue
            elif link.exists() and self._digest(link) == self._digest(path):
                continue
            with self.workplace() as work:
                fresh = work.folder / "link"
                fresh.symlink_to(path)
                fresh.replace(link)
        sync(folder)

    # engines

    def engine_folder(self, digest: str, package: LockedPackage) -> Path:
        """Where the unpacked wheel is or will be."""
        return self.folder / layout.engine_folder(digest, package)

    def engine_problem(self, engine: LockedEngine, digest: Digest | None = None) -> str | None:
        """Why the unpacked wheel is not what the lock pins, or `None`."""
        assert engine.package is not None
        return self.unpacked_problem(engine.package, engine.executable, digest)

    def unpacked_problem(
        self, package: LockedPackage, program: str, digest: Digest | None = None
    ) -> str | None:
        """The same for an engine that no lock names yet."""
        folder = self.engine_folder(package.file.sha256, package)
        if not folder.is_dir():
            return ABSENT
        origin = self.origin(package.file.sha256)
        if origin is None or origin.program is None:
            return "has lost the list of its files"
        if origin.program != program:
            return f"has its program at `{origin.program}`, not at `{program}`"
        pairs = ((folder / (file.path or file.name), file) for file in origin.files)
        return _first_problem(pairs, digest or self._digest)

    def add_engine(
        self, folder: Path, digest: str, package: LockedPackage, work: Workplace
    ) -> None:
        """Move an unpacked wheel into place, in the stead of a damaged one."""
        self._place(folder, self.engine_folder(digest, package), work.folder)

    def add_built(self, folder: Path, entry: Path, work: Path) -> None:
        """Move a finished engine from the work place to `entry`, in the stead of a damaged one."""
        self._place(folder, entry, work)

    # source trees

    def tree_folder(self, nar_hash: str) -> Path:
        """Where the tree with this hash is or will be."""
        return self.folder / layout.tree_folder(nar_hash)

    def tree_problem(self, nar_hash: str) -> str | None:
        """Why the tree is not what its hash says (all of it is read), or `None`."""
        folder = self.tree_folder(nar_hash)
        if not folder.is_dir():
            return ABSENT
        try:
            found = hash_tree(folder)
        except OSError as error:
            return f"can't be read: `{error.filename}`: {error.strerror}"
        return None if found == nar_hash else f"has NAR hash {found}, not {nar_hash}"

    def add_tree(self, folder: Path, nar_hash: str, work: Workplace) -> None:
        """Move a tree into place, in the stead of a damaged one; its folders become read-only."""
        entry = self.tree_folder(nar_hash)
        if entry.is_dir():
            set_folder_modes(entry, 0o700)
        self._place(folder, entry, work.folder)
        set_folder_modes(entry, 0o555)

    # origins

    def origin(self, wheel_sha256: str) -> Origin | None:
        """What was taken out of this wheel before; `None` when nothing is known of it."""
        try:
            return from_json(self._origin_path(wheel_sha256).read_bytes(), Origin)
        except (OSError, ValueError):
            return None

    def remember(
        self, wheel: LockedFile, files: Iterable[LockedFile], program: str | None = None
    ) -> None:
        """Add to a wheel's origin; call it under the wheel's guard."""
        before = self.origin(wheel.sha256) or Origin(wheel=wheel)
        by_path = {file.path: file for file in (*before.files, *files)}
        merged = tuple(by_path[path] for path in sorted(by_path, key=str))
        program = program or before.program
        after = Origin(wheel=wheel, files=merged, program=program)
        path = self._origin_path(wheel.sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        with self.workplace() as work:
            fresh = work.folder / "origin.json"
            write_durably(fresh, to_json(after))
            fresh.replace(path)
        sync(path.parent)

    def _origin_path(self, wheel_sha256: str) -> Path:
        return self.folder / "origins" / f"{wheel_sha256}.json"

    def _place(self, folder: Path, entry: Path, work: Path) -> None:
        entry.parent.mkdir(parents=True, exist_ok=True)
        for each in sorted(path for path in folder.rglob("*") if path.is_dir()):
            sync(each)
        sync(folder)
        if entry.is_symlink() or entry.exists():
            entry.rename(work / "replaced")
        folder.rename(entry)
        sync(entry.parent)


def _first_problem(pairs: Iterable[tuple[Path, LockedFile]], digest: Digest) -> str | None:
    for path, file in pairs:
        try:
            size = path.stat().st_size
            if size != file.size_bytes:
                return f"has {size} bytes in `{path.name}`, not {file.size_bytes}"
            found = digest(path)
        except OSError as error:
            return f"can't be read: `{path.name}`: {error.strerror}"
        if found != file.sha256:
            return f"has SHA-256 {found} in `{path.name}`, not {file.sha256}"
    return None


def set_folder_modes(tree: Path, mode: int) -> None:
    """Folders of a tree, itself included: 0o555 for what is kept, 0o700 before it is removed."""
    tree.chmod(mode | 0o500)
    for place, folders, _ in os.walk(tree):
        for name in folders:
            path = Path(place, name)
            if not path.is_symlink():
                path.chmod(mode)
