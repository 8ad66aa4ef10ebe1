"""`ollama:` weights: a blob of the store on this machine, used where it lies, or the registry's."""

import os
from pathlib import Path

from llmdecl.diagnostics import Diagnostic, Failure, has_errors
from llmdecl.facts.gguf import Read
from llmdecl.facts.gguf_facts import gguf_facts, judge_model
from llmdecl.sources.file import Digest
from llmdecl.sources.http.web import Web
from llmdecl.sources.ollama.image import (
    Image,
    LocalImage,
    config_of,
    extras_of,
    license_of,
    manifest_of,
)
from llmdecl.sources.ollama.local import alike, find, folders
from llmdecl.sources.ollama.registry import Registry
from llmdecl.sources.ollama.rules import OLLAMA_BLOB_PASSED, OLLAMA_UNKNOWN, OLLAMA_UNREADABLE
from llmdecl.sources.reference import LIBRARY, OllamaReference
from llmdecl.store.changes import short
from llmdecl.store.model import LockedFile, LockedOrigin, LockedWeights
from llmdecl.store.suppliers.ollama_judge import choose, judge, left_behind
from llmdecl.store.suppliers.supplier import (
    Diagnostics,
    Pinned,
    Room,
    Supplier,
    damaged,
    is_whole,
)
from llmdecl.store.suppliers.web import bring_files
from llmdecl.store.wanted import WantedSource


def pin(
    room: Room, want: WantedSource, reference: OllamaReference, kept: LockedWeights | None
) -> Pinned:
    """Manifest, layer and header: of the store on this machine if it has the model."""
    if kept is not None and holds(reference, kept):
        return kept, ()
    room.progress.begin(want.key, None)
    registry = _registry(room, reference)
    image, warnings = _image(want, reference, _stores(room), registry, room.tools.digest)
    config = config_of(image, want.source, want.address)
    layer = choose(want, image, config, reference.layer)
    header, of_header = image.header(layer)
    judge(want, header, config)
    facts = gguf_facts([header])
    of_header += judge_model([header], facts, want.address, layer.blob)
    if facts is None or has_errors(of_header):
        raise Failure(*of_header)
    if isinstance(image, LocalImage):
        image.verify(layer)
    extras = extras_of(image)
    if want.role == "model":
        warnings += left_behind(want, image.manifest, extras, config, facts)
    room.progress.done(want.key)
    pinned = LockedWeights(
        source=want.key,
        digest=layer.sha256,
        files=(LockedFile(name=layer.blob, sha256=layer.sha256, size_bytes=layer.size_bytes),),
        package=None,
        gguf=facts,
        origin=LockedOrigin(
            kind="ollama",
            repository=repository(reference),
            requested=reference.tag,
            revision=image.manifest.sha256,
            license=license_of(extras),
        ),
    )
    return pinned, (*warnings, *of_header)


def peek(source: str, reference: OllamaReference) -> Read:
    """The facts of a model that no spec names, and what a pin would say of it; nothing is kept.

    A Failure where there is no header.
    """
    want = WantedSource(source, "model", None, source, ())
    stores = folders(None, os.environ, Path.home())
    registry = Registry(Web(), reference, None)
    image, warnings = _image(want, reference, stores, registry, lambda _: "")
    config = config_of(image, source, source)
    header, of_header = image.header(choose(want, image, config, reference.layer))
    facts, found = gguf_facts([header]), (*warnings, *of_header)
    try:
        judge(want, header, config)
    except Failure as failure:
        return facts, (*found, *failure.diagnostics)
    return facts, (*found, *judge_model([header], facts, source, source))


def _image(
    want: WantedSource,
    reference: OllamaReference,
    stores: tuple[Path, ...],
    registry: Registry,
    digest: Digest,
) -> tuple[Image, Diagnostics]:
    """The model where it is; warnings about a store that may not be read."""
    found, unreadable = find(reference, stores)
    if found is not None:
        manifest = manifest_of(found.data, want.source, want.address)
        return LocalImage(found, manifest, digest, want.address), ()
    remote = registry.image(want.source, want.address)
    if remote is None:
        summary = f"`{want.source}` is neither in an Ollama store here nor in the registry"
        notes = [
            *unreadable,
            *(f"looked in `{store}`" for store in stores),
            f"asked `{registry.url}`",
        ]
        meant = ", ".join(f"`{each}`" for each in alike(reference, stores))
        help_ = [f"here is {meant}"] if meant else []
        raise Failure(OLLAMA_UNKNOWN.at(want.address, summary, notes=notes, help=help_))
    if not unreadable:
        return remote, ()
    summary = f"`{want.source}` may be in a store here that this user can't read"
    return remote, (OLLAMA_UNREADABLE.at(want.address, summary, notes=unreadable),)


def _registry(room: Room, reference: OllamaReference) -> Registry:
    ollama = room.sources.ollama
    return Registry(room.web, reference, ollama.endpoint if ollama else None)


def _stores(room: Room) -> tuple[Path, ...]:
    ollama = room.sources.ollama
    return folders(ollama.models_dir if ollama else None, os.environ, Path.home())


def bring(
    room: Room, want: WantedSource, reference: OllamaReference, locked: LockedWeights
) -> Diagnostics:
    """Link the blob of a store on this machine, or have the registry's bytes."""
    if room.store.weights_problem(locked) is None:
        room.progress.done(want.key, "in the store")
        return ()
    room.progress.begin(want.key, None)
    path, passed = _blob(room, want, locked.files[0])
    if path is None:
        registry = _registry(room, reference)
        brought = bring_files(room, want, locked, lambda file: registry.source(file.sha256))
        return (*passed, *brought)
    with room.guard(want.key, locked.digest):
        problem = room.store.weights_problem(locked)
        if problem is not None:
            room.store.link_local((path,), locked.digest)
    room.progress.done(want.key, f"linked to {path}")
    return (*passed, *damaged(want.address, f"weights {short(locked.digest)}", problem))


def _blob(
    room: Room, want: WantedSource, file: LockedFile
) -> tuple[Path | None, tuple[Diagnostic, ...]]:
    """The blob with this content in a store here; warnings about one that only has its name."""
    passed: list[Diagnostic] = []
    for store in _stores(room):
        path = store / "blobs" / f"sha256-{file.sha256}"
        try:
            size = path.stat().st_size
            found = room.tools.digest(path) if size == file.size_bytes else None
        except OSError:
            continue
        if found == file.sha256:
            return path.absolute(), tuple(passed)
        what = f"has SHA-256 {found}" if found else f"has {size:,} bytes, not {file.size_bytes:,}"
        passed.append(OLLAMA_BLOB_PASSED.at(want.address, f"`{path}` {what}"))
    return None, tuple(passed)


def holds(reference: OllamaReference, locked: LockedWeights) -> bool:
    """Whether a pin is whole and of this name."""
    origin = locked.origin
    return (
        origin is not None
        and (origin.kind, origin.repository, origin.requested)
        == ("ollama", repository(reference), reference.tag)
        and len(locked.files) == 1
        and is_whole(locked)
    )


def repository(reference: OllamaReference) -> str:
    """The model's name without its tag: `library/smollm2`, `hf.co/OWNER/REPO`."""
    name = f"{reference.namespace}/{reference.model}"
    return name if reference.host == LIBRARY else f"{reference.host}/{name}"


SUPPLIER = Supplier(pin=pin, bring=bring, holds=holds)
