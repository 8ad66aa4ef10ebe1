"""Supplying engines: pinning, probing and bringing them, each by its provider."""

from llmdecl.diagnostics import Failure
from llmdecl.store.model import LockedEngine
from llmdecl.store.pins import pins
from llmdecl.store.providers.provider import Diagnostics, Pinned, Provider
from llmdecl.store.providers.table import PROVIDERS
from llmdecl.store.rules import BAD_SOURCE
from llmdecl.store.suppliers.supplier import Room
from llmdecl.store.wanted import WantedEngine


class Engines:
    """The engines of one spec."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def pin(self, want: WantedEngine, before: LockedEngine | None, *, update: bool) -> Pinned:
        """What `want` is now; a former pin stays unless `update`, a local one is compared."""
        former = None if update else before
        kept = former if former is not None and pins(want, former) else None
        provider = _provider(want)
        if kept is None and former is not None and provider.repin is not None:
            renewed = provider.repin(self._room, want, former)
            if renewed is not None:
                return renewed
        return provider.pin(self._room, want, kept)

    def bring(self, want: WantedEngine, locked: LockedEngine) -> Diagnostics:
        """Have the store hold what is locked, or compare what lies elsewhere; warnings."""
        return _provider(want).bring(self._room, want, locked)


def _provider(want: WantedEngine) -> Provider:
    word = want.engine.provider
    if word not in PROVIDERS:
        raise Failure(BAD_SOURCE.at(want.address, f"provider `{word}` can't be pinned yet"))
    return PROVIDERS[word]
