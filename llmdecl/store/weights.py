"""Supplying weights: pinning a source, and bringing what is pinned, whatever kind it is."""

from typing import Any

from llmdecl.diagnostics import Failure
from llmdecl.sources.reference import Reference, parse_reference
from llmdecl.store.model import LockedWeights
from llmdecl.store.rules import BAD_SOURCE
from llmdecl.store.suppliers.supplier import Diagnostics, Pinned, Room, Supplier
from llmdecl.store.suppliers.table import SUPPLIERS
from llmdecl.store.wanted import WantedSource


class Weights:
    """The sources of one spec."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def pin(self, want: WantedSource, before: LockedWeights | None, *, update: bool) -> Pinned:
        """What `want` is now; a former pin stays unless `update`, a local file is compared."""
        reference, supplier = _supplier(want)
        return supplier.pin(self._room, want, reference, None if update else before)

    def bring(self, want: WantedSource, locked: LockedWeights) -> Diagnostics:
        """Have the store hold what is locked; warnings about what was mended."""
        reference, supplier = _supplier(want)
        return supplier.bring(self._room, want, reference, locked)


def _supplier(want: WantedSource) -> tuple[Reference, Supplier[Any]]:
    """What the source says, and who supplies it; a Failure when it can't be read."""
    try:
        reference = parse_reference(want.source)
    except ValueError as error:
        raise Failure(BAD_SOURCE.at(want.address, str(error))) from None
    supplier = SUPPLIERS.get(type(reference))
    if supplier is None:
        raise Failure(BAD_SOURCE.at(want.address, f"`{want.source}` can't be supplied yet"))
    return reference, supplier


def matches(want: WantedSource, locked: LockedWeights) -> bool:
    """Whether a pin is whole and of this kind of source; one that can't be read is judged later."""
    try:
        reference, supplier = _supplier(want)
    except Failure:
        return True
    return supplier.holds(reference, locked)
