"""What a kind of source does for the store, and what it works with."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from llmdecl.diagnostics import Diagnostic
from llmdecl.sources.http.web import Web
from llmdecl.sources.pip import Pip
from llmdecl.spec.schema import Host, Sources
from llmdecl.store.layout import weights_digest
from llmdecl.store.model import LockedWeights
from llmdecl.store.progress import Item, Progress
from llmdecl.store.rules import STORE_DAMAGED
from llmdecl.store.store import ABSENT, Store
from llmdecl.store.tools import Tools
from llmdecl.store.wanted import WantedSource

Diagnostics = tuple[Diagnostic, ...]
Pinned = tuple[LockedWeights, Diagnostics]

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Room:
    """Shared by all sources of one spec, whose folder is `base`; threads work in it at once."""

    store: Store
    pip: Pip
    tools: Tools
    base: Path
    progress: Progress
    sources: Sources = field(default_factory=Sources)
    web: Web = field(default_factory=Web)
    declared: Host | None = None
    """The spec's host, for what is built for its devices."""

    def called_off(self) -> bool:
        """Whether somebody wants to end."""
        return self.pip.stopped.is_set()

    def guard(self, item: str, name: str) -> AbstractContextManager[None]:
        """The store's, for `item`; it is said when somebody else brings the same."""
        why = "it is on its way into the store already"
        return self.store.guard(name, self.called_off, lambda: self.progress.waits(item, why))

    def item(self, want: WantedSource) -> Item:
        """How this source tells how far it is."""
        return Item(want.key, self.progress)


@dataclass(frozen=True, slots=True)
class Supplier(Generic[R]):
    """One kind of source, whose reference is an `R`.

    `pin(room, want, reference, kept)`: what it is now. `kept` is the former pin unless it is to be
    renewed: where it still holds, it stays, and files of this machine are compared with it.
    `bring(room, want, reference, locked)`: have the store hold what is locked; warnings.
    `holds(reference, locked)`: whether a pin is whole and of this reference, by its text alone.
    """

    pin: Callable[[Room, WantedSource, R, LockedWeights | None], Pinned]
    bring: Callable[[Room, WantedSource, R, LockedWeights], Diagnostics]
    holds: Callable[[R, LockedWeights], bool]


def is_whole(locked: LockedWeights) -> bool:
    """Whether its digest is that of its files."""
    return bool(locked.files) and weights_digest(locked.files) == locked.digest


def damaged(address: str, what: str, problem: str | None) -> Diagnostics:
    """The warning about an entry that was brought again because of `problem`."""
    if problem is None or problem == ABSENT:
        return ()
    return (STORE_DAMAGED.at(address, f"{what} {problem}; it was brought again"),)
