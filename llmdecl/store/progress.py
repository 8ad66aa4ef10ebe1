"""How long work tells what it does; the store itself never prints."""

from dataclasses import dataclass
from typing import Protocol


class Progress(Protocol):
    """Told from several threads at once. An item is one thing on its way, by name.

    `begin` may come again for an item when the next step of it starts (download, then unpack).
    """

    def begin(self, item: str, total: int | None, so_far: int = 0) -> None:
        """Work on `item` starts; `total` bytes, when known, `so_far` of them through already."""

    def advance(self, item: str, amount: int) -> None:
        """`amount` more bytes of `item` are through."""

    def waits(self, item: str, why: str) -> None:
        """Nothing will happen to `item` for a while."""

    def done(self, item: str, note: str = "") -> None:
        """No more about `item`; `note` is what came of it."""


class Silent:
    """Tells nobody."""

    def begin(self, item: str, total: int | None, so_far: int = 0) -> None:
        """Nothing."""

    def advance(self, item: str, amount: int) -> None:
        """Nothing."""

    def waits(self, item: str, why: str) -> None:
        """Nothing."""

    def done(self, item: str, note: str = "") -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class Item:
    """The progress of one thing, as `sources` tell it."""

    name: str
    progress: Progress

    def begin(self, total: int | None, so_far: int = 0) -> None:
        """A step of `total` bytes starts, `so_far` of which are through already."""
        self.progress.begin(self.name, total, so_far)

    def advance(self, amount: int) -> None:
        """`amount` bytes more."""
        self.progress.advance(self.name, amount)
