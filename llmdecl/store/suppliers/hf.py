"""`hf:` weights: pinned by commit and SHA-256, their headers read where they are."""

from collections import Counter
from collections.abc import Callable
from functools import cache

from llmdecl.facts.gguf_remote import First
from llmdecl.facts.hub_others import keep_others, known_others
from llmdecl.facts.model import GgufFacts
from llmdecl.sources.http.values import Source
from llmdecl.sources.huggingface import Hub, Revision, explained, hub
from llmdecl.sources.peek import Repository, read_others, same_models
from llmdecl.sources.reference import HfReference
from llmdecl.sources.repository import Offer, choose, offers
from llmdecl.sources.rules import HUB_RENAMED
from llmdecl.store.download import Wanted
from llmdecl.store.layout import split_names, weights_digest, weights_name
from llmdecl.store.model import LockedFile, LockedOrigin, LockedWeights
from llmdecl.store.suppliers.supplier import Diagnostics, Pinned, Room, Supplier, is_whole
from llmdecl.store.suppliers.web import bring_files, download_to_know, read_remotely
from llmdecl.store.wanted import WantedSource

BESIDE = 5
"""Smaller quantizations whose headers a lock reads as well, some hundred KB each."""


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
    listed = at.files(reference, revision, address)
    offer = choose(
        reference.source,
        listed,
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
    first = First()
    with explained(lambda: at, reference, revision.commit, offer.path, address):
        files, gguf, warnings = _files(
            room, want, offer, lambda path: at.source(reference, revision.commit, path), first
        )
    pinned = LockedWeights(
        source=want.key,
        digest=weights_digest(files),
        files=files,
        package=None,
        gguf=gguf,
        origin=origin,
    )
    if want.role == "model" and reference.path is None:
        _look_beside(
            room, pinned, Repository(at, reference, revision, offers(listed), offer), first
        )
    room.progress.done(want.key)
    return pinned, (*_renamed(reference, revision, address), *warnings)


def _renamed(reference: HfReference, revision: Revision, address: str) -> Diagnostics:
    """A warning where the repository has another name now; capitals make no other."""
    if revision.repository.lower() == reference.repository.lower():
        return ()
    summary = f"`{reference.repository}` is called `{revision.repository}` now"
    return (HUB_RENAMED.at(address, summary),)


def _look_beside(room: Room, pinned: LockedWeights, there: Repository, first: First) -> None:
    """Headers of a few smaller quantizations, for plans that do not fit."""
    if room.tools.cache is None or known_others(pinned, room.tools.cache):
        return
    models = [each for each in there.offers if each.use == "model"]
    words = Counter(each.quantization for each in models)
    smaller = [
        each
        for each in sorted(models, key=lambda each: -each.size_bytes)
        if each.size_bytes < there.chosen.size_bytes
        and each.is_whole
        and each.quantization is not None
        and words[each.quantization] == 1
    ]
    found = read_others(there, smaller[:BESIDE], first, room.tools.cache)
    keep_others(pinned, same_models(there, pinned.gguf, found), room.tools.cache)


def _files(
    room: Room,
    want: WantedSource,
    offer: Offer,
    source_at: Callable[[str], Source],
    first: First,
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
        header = read_remotely(
            room, want, files, lambda file: source_at(file.path or file.name), first=first
        )
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
    first = locked.files[0]

    @cache  # a token that can't be read matters only when something has to be asked
    def at() -> Hub:
        return hub(room.web, room.sources.hf, want.address)

    def source_of(file: LockedFile) -> Source:
        return at().source(reference, commit, file.path or file.name)

    with explained(at, reference, commit, first.path or first.name, want.address):
        return bring_files(room, want, locked, source_of)


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
