"""`https:` weights: pinned by SHA-256, which the spec, the server or a download says."""

import os

from llmdecl.diagnostics import Failure
from llmdecl.facts.web_digests import keep_digest, known_digest
from llmdecl.sources.http.values import RemoteFile, Source, shown
from llmdecl.sources.https import named_part, part_urls, source
from llmdecl.sources.huggingface import clean
from llmdecl.sources.reference import HttpsReference
from llmdecl.store.download import Wanted
from llmdecl.store.layout import weights_digest, weights_name
from llmdecl.store.model import LockedFile, LockedOrigin, LockedWeights
from llmdecl.store.rules import HASH_MISMATCH
from llmdecl.store.suppliers.supplier import Diagnostics, Pinned, Room, Supplier, is_whole
from llmdecl.store.suppliers.web import bring_files, download_to_know, read_remotely
from llmdecl.store.wanted import WantedSource


def pin(
    room: Room, want: WantedSource, reference: HttpsReference, kept: LockedWeights | None
) -> Pinned:
    """Sizes, digests and header; where nobody says a digest, the files are brought to know it."""
    if kept is not None and holds(reference, kept):
        return kept, ()
    room.progress.begin(want.key, None)
    sources = _sources(reference, want.address)
    remotes = {name: room.web.look(each, address=want.address) for name, each in sources.items()}
    named = named_part(reference)
    _agree(want, reference.sha256, remotes[named].sha256)
    cache = room.tools.cache
    digests = {
        name: (reference.sha256 if name == named else None)
        or remote.sha256
        or known_digest(remote.source.url, remote.etag, remote.size_bytes, cache)
        for name, remote in remotes.items()
    }
    if all(digests.values()) and all(r.size_bytes is not None for r in remotes.values()):
        files = tuple(
            LockedFile(name=name, sha256=digests[name] or "", size_bytes=remote.size_bytes or 0)
            for name, remote in remotes.items()
        )
        gguf, warnings = read_remotely(
            room, want, files, lambda file: sources[file.name], remotes=remotes
        )
    else:
        wanted = [
            Wanted(
                name=name,
                source=each,
                target=weights_name(number, len(sources)),
                sha256=digests[name],
                size_bytes=remotes[name].size_bytes,
            )
            for number, (name, each) in enumerate(sources.items(), 1)
        ]
        files, gguf, warnings = download_to_know(room, want, wanted)
        for file in files:
            remote = remotes[file.name]
            keep_digest(remote.source.url, remote.etag, remote.size_bytes, file.sha256, cache)
    room.progress.done(want.key)
    pinned = LockedWeights(
        source=want.key,
        digest=weights_digest(files),
        files=files,
        package=None,
        gguf=gguf,
        origin=_origin(reference, remotes[named]),
    )
    return pinned, warnings


def _agree(want: WantedSource, wanted: str | None, said: str | None) -> None:
    """A Failure when spec and server name different digests."""
    if None not in (wanted, said) and wanted != said:
        summary = f"`{want.key}` should have SHA-256 {wanted}, and the server says {said}"
        raise Failure(HASH_MISMATCH.at(want.address, summary))


def _origin(reference: HttpsReference, remote: RemoteFile) -> LockedOrigin:
    return LockedOrigin(
        kind="https",
        repository=shown(reference.url),
        requested=None,
        revision=None,
        etag=clean(remote.etag) if remote.etag else None,
    )


def _sources(reference: HttpsReference, address: str) -> dict[str, Source]:
    return {name: source(url, os.environ, address) for name, url in part_urls(reference)}


def bring(
    room: Room, want: WantedSource, reference: HttpsReference, locked: LockedWeights
) -> Diagnostics:
    """The locked files, unless they are there and sound."""

    def source_of(file: LockedFile) -> Source:
        return _sources(reference, want.address)[file.name]

    return bring_files(room, want, locked, source_of)


def holds(reference: HttpsReference, locked: LockedWeights) -> bool:
    """Whether a pin is whole: of these files, with the digest that the spec has."""
    origin = locked.origin
    if origin is None or origin.kind != "https" or not is_whole(locked):
        return False
    if tuple(file.name for file in locked.files) != tuple(n for n, _ in part_urls(reference)):
        return False
    named = named_part(reference)
    return reference.sha256 is None or any(
        file.name == named and file.sha256 == reference.sha256 for file in locked.files
    )


SUPPLIER = Supplier(pin=pin, bring=bring, holds=holds)
