"""What sources over the network share: files into the store, and headers before there are files."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from llmdecl.diagnostics import Failure
from llmdecl.facts.gguf_remote import First, keep_measured
from llmdecl.facts.model import GgufFacts
from llmdecl.sources.http.values import RemoteFile, Source
from llmdecl.sources.remote import remote_part
from llmdecl.sources.rules import HEADER_DIFFERS
from llmdecl.store.changes import short
from llmdecl.store.download import Wanted, download
from llmdecl.store.layout import weights_digest, weights_file, weights_name
from llmdecl.store.model import LockedFile, LockedWeights
from llmdecl.store.partial import Workplace
from llmdecl.store.suppliers.adoption import adopt
from llmdecl.store.suppliers.supplier import Diagnostics, Room, damaged
from llmdecl.store.tools import gguf_of, sound
from llmdecl.store.wanted import WantedSource

SourceOf = Callable[[LockedFile], Source]


def bring_files(
    room: Room, want: WantedSource, locked: LockedWeights, source_of: SourceOf
) -> Diagnostics:
    """Have the store hold the locked files: as they are, adopted, or downloaded."""
    if room.store.weights_problem(locked) is None:
        room.progress.done(want.key, "in the store")
        return ()
    with room.guard(want.key, locked.digest), room.store.workplace() as work:
        problem = room.store.weights_problem(locked)
        notes = [] if problem is None else _fill(room, want, locked, source_of, work)
    room.progress.done(want.key, ", ".join(dict.fromkeys(notes)) or "in the store")
    return damaged(want.address, f"weights {short(locked.digest)}", problem)


def _fill(
    room: Room, want: WantedSource, locked: LockedWeights, source_of: SourceOf, work: Workplace
) -> list[str]:
    """The entry from files of other programs and from the network; notes about the former."""
    adopted = work.folder / "adopted"
    adopted.mkdir()
    notes, wanted = [], []
    for number, file in enumerate(locked.files, 1):
        target = weights_name(number, len(locked.files))
        note = adopt(room, file, adopted / target)
        if note is not None:
            notes.append(note)
            continue
        wanted.append(
            Wanted(
                name=file.name,
                source=source_of(file),
                target=target,
                sha256=file.sha256,
                size_bytes=file.size_bytes,
                path=file.path,
            )
        )
    folder = work.folder / "entry"
    with download(
        room.web,
        wanted,
        folder=folder,
        store=room.store,
        address=want.address,
        tell=room.item(want),
    ):
        for path in adopted.iterdir():
            path.rename(folder / path.name)
        check_header(room, want, locked, folder / weights_name(1, len(locked.files)))
        room.store.add_weights(folder, locked.digest, work)
    return notes


def check_header(room: Room, want: WantedSource, locked: LockedWeights, path: Path) -> None:
    """A Failure when the files at `path` say something else of themselves than the lock does."""
    facts, _ = gguf_of(room.tools, path, want.key, want.address)
    if _substance(facts) != _substance(locked.gguf):
        keep_measured(
            [(file.sha256, file.size_bytes) for file in locked.files], facts, room.tools.cache
        )
        names = (
            "architecture",
            "parameters",
            "bytes of tensors",
            "bytes",
            "SHA-256 of the chat template",
            "digest of the vocabulary",
        )
        notes = [
            f"{name}: {found}, locked: {pinned}"
            for name, found, pinned in zip(
                names, _substance(facts), _substance(locked.gguf), strict=True
            )
            if found != pinned
        ]
        summary = f"`{want.key}` has another header than the locked one"
        raise Failure(HEADER_DIFFERS.at(want.address, summary, notes=notes))


def _substance(facts: GgufFacts) -> tuple[object, ...]:
    """What every version of llmdecl reads alike."""
    vocabulary = facts.vocabulary.digest if facts.vocabulary else None
    return (
        facts.architecture,
        facts.n_params,
        facts.tensor_bytes,
        facts.file_bytes,
        facts.chat_template_sha256,
        vocabulary,
    )


def download_to_know(
    room: Room, want: WantedSource, wanted: Sequence[Wanted]
) -> tuple[tuple[LockedFile, ...], GgufFacts, Diagnostics]:
    """Files whose digest nobody says: into the store, hashed on the way; their header."""
    with room.store.workplace() as work:
        folder = work.folder / "entry"
        with download(
            room.web,
            wanted,
            folder=folder,
            store=room.store,
            address=want.address,
            tell=room.item(want),
        ) as files:
            digest = weights_digest(files)
            with room.guard(want.key, digest):
                if room.store.files_problem(digest, files):
                    room.store.add_weights(folder, digest, work)
    path = room.store.folder / weights_file(digest, len(files))
    gguf, warnings = gguf_of(room.tools, path, want.key, want.address)
    return files, gguf, warnings


def read_remotely(
    room: Room,
    want: WantedSource,
    files: Sequence[LockedFile],
    source_of: SourceOf,
    *,
    remotes: Mapping[str, RemoteFile] | None = None,
    first: First | None = None,
) -> tuple[GgufFacts, Diagnostics]:
    """The header of files whose digests are known, by range requests; `remotes` by file name."""
    parts = [
        remote_part(
            room.web,
            source_of(file),
            name=file.name,
            sha256=file.sha256,
            size_bytes=file.size_bytes,
            address=want.address,
            remote=(remotes or {}).get(file.name),
        )
        for file in files
    ]
    return sound(room.tools.read_remote(parts, want.address, first), want.key)
