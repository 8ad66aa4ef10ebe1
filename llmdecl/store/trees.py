"""Source trees into the store: an archive is brought, unpacked, and known by its NAR hash."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from llmdecl.diagnostics import Diagnostic, Failure
from llmdecl.engines.llama_cpp.recipe import ARCHIVES, SourceArchive
from llmdecl.sources import file, https
from llmdecl.sources.http.values import Source
from llmdecl.sources.reference import LOOPBACK, FileReference, HttpsReference
from llmdecl.sources.trees import sdist
from llmdecl.sources.trees.origin import ARCHIVES_VARIABLE, Origin, Revision, Sdist
from llmdecl.sources.trees.rules import BAD_ARCHIVES, SDIST_UNPROMISED, TREE_CHANGED, TREE_REPACKED
from llmdecl.sources.trees.unpack import Found, copy_folder, look, unpack
from llmdecl.sources.wheel import Tell
from llmdecl.store.download import Wanted, download
from llmdecl.store.model import LockedFile
from llmdecl.store.nar import nar_hash
from llmdecl.store.partial import Workplace
from llmdecl.store.rules import FILE_MISSING
from llmdecl.store.suppliers.supplier import Room

Diagnostics = tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True)
class Brought:
    """A tree that is in the store, and what is to be said of how it came."""

    archive: SourceArchive
    warnings: Diagnostics = ()


@dataclass(frozen=True, slots=True)
class Task:
    """One tree to bring: `origin`, which the spec writes as `text` at `address`.

    With `expected` another tree is a Failure (LD483), and another archive of the same tree a
    warning (LD484).
    """

    room: Room
    origin: Origin
    text: str
    expected: SourceArchive | None
    address: str
    tell: Tell

    def bring(self) -> Brought:
        """Have the store hold the tree. Raises Failure."""
        room = self.room
        key = f"tree-{hashlib.sha256(self.text.encode()).hexdigest()[:32]}"
        with room.store.guard(key, room.called_off), room.store.workplace() as work:
            if isinstance(self.origin, FileReference):
                path = file.locate(self.origin.path, room.base)
                if path.is_dir():
                    return self._of_folder(path, work)
                if problem := file.unreadable(path):
                    raise Failure(FILE_MISSING.at(self.address, problem))
                return self._of_archive(path, self._measured(path), work)
            with self._downloaded(work) as (path, packed, warnings):
                brought = self._of_archive(path, packed, work)
                return Brought(brought.archive, (*warnings, *brought.warnings))

    def _archives(self) -> str:
        """The pattern of archives of llama.cpp's repository, or of its mirror."""
        pattern = os.environ.get(ARCHIVES_VARIABLE) or ARCHIVES
        parts = urlsplit(pattern)
        secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
        if "{ref}" not in pattern or not secure or parts.username:
            summary = (
                f"`{ARCHIVES_VARIABLE}` is no `https://...{{ref}}...`, the address of archives"
            )
            raise Failure(BAD_ARCHIVES.at(self.address, summary))
        return pattern

    def _of_user(self, url: str) -> Source:
        return https.source(url, os.environ, self.address)

    def _measured(self, path: Path) -> LockedFile:
        digest = self.room.tools.digest(path)
        return LockedFile(name=path.name, sha256=digest, size_bytes=path.stat().st_size)

    @contextmanager
    def _downloaded(self, work: Workplace) -> Iterator[tuple[Path, LockedFile, Diagnostics]]:
        """The archive's file in the work place, whole, or where it lies in a folder of links."""
        room, address = self.room, self.address
        warnings: Diagnostics = ()
        sha256 = None
        match self.origin:
            case Revision() as revision:
                source = self._of_user(self._archives().replace("{ref}", revision.ref))
                name = f"llama.cpp-{revision.tag or revision.commit}.tar.gz"
            case HttpsReference() as web:
                source, sha256 = self._of_user(web.url), web.sha256
                name = unquote(urlsplit(web.url).path.rsplit("/", 1)[-1]) or "archive"
            case Sdist() as of:
                link, source = sdist.find(
                    of, pip=room.pip, web=room.web, work=work, address=address, tell=self.tell
                )
                name, sha256 = link.file_name, link.sha256
                if source.url.startswith("file:"):
                    path = Path(unquote(urlsplit(source.url).path))
                    yield path, self._measured(path), ()
                    return
                if sha256 is None and self.expected is None:
                    summary = f"the index promises no SHA-256 of `{name}`"
                    warnings = (SDIST_UNPROMISED.at(address, summary),)
            case _:
                raise AssertionError(self.origin)
        wanted = Wanted(name, source, "archive", sha256=sha256)
        folder = work.folder / "archive"
        with download(
            room.web, [wanted], folder=folder, store=room.store, address=address, tell=self.tell
        ) as files:
            yield folder / "archive", files[0], warnings

    def _of_archive(self, path: Path, packed: LockedFile, work: Workplace) -> Brought:
        fresh = work.folder / "tree"
        found = look(path, self.address, self.room.called_off)
        unpack(path, found.root, fresh, self.address, self.room.called_off)
        archive = SourceArchive(
            origin=self.text,
            file_name=packed.name,
            sha256=packed.sha256,
            size_bytes=packed.size_bytes,
            root=found.root,
            nar_hash=nar_hash(fresh),
            commit=self._commit(found),
            build=self.origin.build if isinstance(self.origin, Revision) else None,
        )
        return self._kept(archive, fresh, work)

    def _commit(self, found: Found) -> str | None:
        asked = self.origin.commit if isinstance(self.origin, Revision) else None
        if asked is not None and found.commit not in (None, asked):
            summary = f"the archive of `{self.text}` says that it is commit {found.commit}"
            raise Failure(TREE_CHANGED.at(self.address, summary))
        return found.commit or asked

    def _of_folder(self, path: Path, work: Workplace) -> Brought:
        """A folder has no archive: its NAR hash in hexadecimal stands for the archive's SHA-256."""
        fresh = work.folder / "tree"
        found = copy_folder(path, fresh, self.address)
        tree = nar_hash(fresh)
        archive = SourceArchive(
            origin=self.text,
            file_name=path.name,
            sha256=self.room.store.tree_folder(tree).name.partition("-")[0],
            size_bytes=sum(p.lstat().st_size for p in fresh.rglob("*") if not p.is_dir()),
            root="",
            nar_hash=tree,
            commit=found.commit,
            build=None,
        )
        return self._kept(archive, fresh, work)

    def _kept(self, archive: SourceArchive, fresh: Path, work: Workplace) -> Brought:
        warnings = self._compared(archive)
        store = self.room.store
        with store.guard(store.tree_folder(archive.nar_hash).name, self.room.called_off):
            if store.tree_problem(archive.nar_hash) is not None:
                store.add_tree(fresh, archive.nar_hash, work)
        return Brought(archive, warnings)

    def _compared(self, archive: SourceArchive) -> Diagnostics:
        locked = self.expected
        if locked is None:
            return ()
        if archive.nar_hash != locked.nar_hash:
            notes = [f"locked: {locked.nar_hash}", f"now: {archive.nar_hash}"]
            summary = f"`{archive.origin}` is another tree than when it was locked"
            raise Failure(TREE_CHANGED.at(self.address, summary, notes=notes))
        if archive.sha256 == locked.sha256:
            return ()
        summary = f"`{archive.file_name}` has SHA-256 {archive.sha256}, and was locked with "
        note = f"the tree in it is the same: {archive.nar_hash}"
        return (TREE_REPACKED.at(self.address, f"{summary}{locked.sha256}", notes=(note,)),)
