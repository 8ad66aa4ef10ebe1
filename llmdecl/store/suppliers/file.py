"""`file:` weights: used where they lie; the store has links to them."""

from llmdecl.diagnostics import Failure
from llmdecl.sources import file
from llmdecl.sources.reference import FileReference
from llmdecl.store.layout import weights_digest
from llmdecl.store.model import LockedFile, LockedWeights
from llmdecl.store.rules import FILE_ABSENT, FILE_CHANGED, FILE_MISSING
from llmdecl.store.suppliers.ollama_judge import refuse_file
from llmdecl.store.suppliers.supplier import Diagnostics, Pinned, Room, Supplier, is_whole
from llmdecl.store.tools import gguf_of
from llmdecl.store.wanted import WantedSource


def pin(
    room: Room, want: WantedSource, reference: FileReference, kept: LockedWeights | None
) -> Pinned:
    """Digest and header; a Failure when the files are not what `kept` pins."""
    try:
        paths = file.find(reference, room.base, want.address)
    except Failure as failure:
        problem = failure.diagnostics[0]
        if kept is None or problem.code != FILE_MISSING.code:
            raise
        return kept, (FILE_ABSENT.at(want.address, problem.summary, notes=problem.notes),)
    room.progress.begin(want.key, None)
    refuse_file(want, paths[0])
    files = file.measure(paths, room.tools.digest, want.address)
    if kept is not None:
        compare(want, kept, files)
    gguf, warnings = gguf_of(room.tools, paths[0], want.key, want.address)
    room.progress.done(want.key)
    pinned = LockedWeights(
        source=want.key, digest=weights_digest(files), files=files, package=None, gguf=gguf
    )
    return pinned, warnings


def bring(
    room: Room, want: WantedSource, reference: FileReference, locked: LockedWeights
) -> Diagnostics:
    """Compare the files with their pin and link them into the store."""
    paths = file.find(reference, room.base, want.address)
    linked = room.store.is_linked(paths, locked.digest)
    if not linked:
        room.progress.begin(want.key, None)
    compare(want, locked, file.measure(paths, room.tools.digest, want.address))
    if not linked:
        with room.guard(want.key, locked.digest):
            room.store.link_local(paths, locked.digest)
    room.progress.done(want.key, "linked")
    return ()


def holds(reference: FileReference, locked: LockedWeights) -> bool:  # noqa: ARG001  # `Supplier`
    """Whether a pin is whole and of files."""
    return locked.package is None and locked.origin is None and is_whole(locked)


def compare(want: WantedSource, locked: LockedWeights, files: tuple[LockedFile, ...]) -> None:
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


SUPPLIER = Supplier(pin=pin, bring=bring, holds=holds)
