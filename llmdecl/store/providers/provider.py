"""What a provider of engines does for the store, and what all of them need."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from llmdecl.diagnostics import Diagnostic, Failure
from llmdecl.facts.model import EngineFacts
from llmdecl.store.model import LockedEngine, LockedPackage
from llmdecl.store.progress import Item
from llmdecl.store.store import Store
from llmdecl.store.suppliers.supplier import Room
from llmdecl.store.wanted import WantedEngine

Diagnostics = tuple[Diagnostic, ...]
Pinned = tuple[LockedEngine, Diagnostics]


@dataclass(frozen=True, slots=True)
class Provider:
    """One row: all that differs between providers when a stack is locked and fetched.

    `pin` is what the engine is now; `kept` is the former pin, to be kept unless what lies here
    contradicts it. `bring` has the store hold what is locked, or compares what lies elsewhere, and
    returns warnings. `missing` are the bytes that `bring` would download, `None` for none.
    `is_local`: `lock --check` may pin it, because that downloads nothing. All but `missing` raise
    Failure.
    """

    pin: Callable[[Room, WantedEngine, LockedEngine | None], Pinned]
    bring: Callable[[Room, WantedEngine, LockedEngine], Diagnostics]
    missing: Callable[[Store, LockedEngine], int | None]
    is_local: bool = False
    repin: Callable[[Room, WantedEngine, LockedEngine], Pinned | None] | None = None
    """For a pin that is not the spec's any more: the new one, if nothing has to be brought."""


def tell(room: Room, want: WantedEngine) -> Item:
    """How this engine tells how far it is."""
    return Item(want.address, room.progress)


def probe(room: Room, path: Path, address: str) -> EngineFacts:
    """What the program says of itself; a Failure when it is no llama-server."""
    facts, problems = room.tools.probe(path, address)
    if facts is None:
        raise Failure(*problems)
    return facts


def nothing_missing(store: Store, locked: LockedEngine) -> int | None:  # noqa: ARG001  # its type
    """For what is used where it lies."""
    return None


def locked_engine(
    want: WantedEngine,
    facts: EngineFacts,
    executable: str,
    package: LockedPackage | None,
    digest: str | None,
) -> LockedEngine:
    """The pin of a program that was asked."""
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
