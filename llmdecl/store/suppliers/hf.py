"""`hf:` weights: pinned by commit and SHA-256, their headers read where they are."""

from collections.abc import Callable

from llmdecl.facts.model import GgufFacts
from llmdecl.sources.http.values import Source
from llmdecl.sources.huggingface import explained, hub
from llmdecl.sources.reference import HfReference
from llmdecl.sources.repository import Offer, choose
from llmdecl.store.download import Wanted
from llmdecl.store.layout import split_names, weights_digest, weights_name
from llmdecl.store.model import LockedFile, LockedOrigin, LockedWeights
from llmdecl.store.suppliers.supplier import Diagnostics, Pinned, Room, Supplier, is_whole
from llmdecl.store.suppliers.web import bring_files, download_to_know, read_remotely
from llmdecl.store.wanted import WantedSource


def pin(
    room: Room, want: WantedSource, reference: HfReference, kept: LockedWeights | None
) -> Pinned:
    """Commit, file and header as they are now; a former pin stays, whatever its branch does."""
    if kept is not None and holds(reference, kept):
        return kept, ()
    address = want.address
    room.progress.begin(want.key, None)
    at = hub(room.web, room.sources.hf, address)
    revision = at.revision(reference, address)
    offer = choose(
        reference.source,
        at.files(reference, revision.commit, address),
        path=reference.path,
        role=want.role,
        quantization=want.quantization,
        address=address,
    )
    origin = LockedOrigin(
        kind="hf",
        repository=reference.repository,
        requested=reference.revision,
        revision=revision.commit,
        license=revision.license,
        base_model=revision.base_model,
        gated=revision.gated,
    )
    with explained(at, reference, revision.commit, address):
        files, gguf, warnings = _files(
            room, want, offer, lambda path: at.source(reference, revision.commit, path)
        )
    room.progress.done(want.key)
    pinned = LockedWeights(
        source=want.key,
        digest=weights_digest(files),
        files=files,
        package=None,
        gguf=gguf,
        origin=origin,
    )
    return pinned, warnings


def _files(
    room: Room, want: WantedSource, offer: Offer, source_at: Callable[[str], Source]
) -> tuple[tuple[LockedFile, ...], GgufFacts, Diagnostics]:
    """What is chosen, with its header; what has no SHA-256 there is brought to know it."""
    if all(file.sha256 for file in offer.files):
        files = tuple(
            LockedFile(
                name=_name(file.path),
                sha256=file.sha256 or "",
                size_bytes=file.size_bytes,
                path=file.path,
            )
            for file in offer.files
        )
        header = read_remotely(room, want, files, lambda file: source_at(file.path or file.name))
        return files, *header
    wanted = [
        Wanted(
            name=_name(file.path),
            source=source_at(file.path),
            target=weights_name(number, offer.parts),
            sha256=file.sha256,
            size_bytes=file.size_bytes,
            path=file.path,
        )
        for number, file in enumerate(offer.files, 1)
    ]
    return download_to_know(room, want, wanted)


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def bring(
    room: Room, want: WantedSource, reference: HfReference, locked: LockedWeights
) -> Diagnostics:
    """The locked files of the locked commit, unless they are there and sound."""
    assert locked.origin is not None
    commit = locked.origin.revision or ""
    at = hub(room.web, room.sources.hf, want.address)
    with explained(at, reference, commit, want.address, locked.files[0].path):
        return bring_files(
            room,
            want,
            locked,
            lambda file: at.source(reference, commit, file.path or file.name),
        )


def holds(reference: HfReference, locked: LockedWeights) -> bool:
    """Whether a pin is whole: of this repository, revision and file."""
    origin = locked.origin
    return (
        origin is not None
        and origin.kind == "hf"
        and origin.repository == reference.repository
        and origin.requested == reference.revision
        and origin.revision is not None
        and all(file.path for file in locked.files)
        and is_whole(locked)
        and (reference.path is None or _is_of(reference.path, locked))
    )


def _is_of(path: str, locked: LockedWeights) -> bool:
    folder, slash, name = path.rpartition("/")
    paths = tuple(f"{folder}{slash}{part}" for part in split_names(name))
    return tuple(file.path for file in locked.files) == paths


SUPPLIER = Supplier(pin=pin, bring=bring, holds=holds)
