"""What apply asks of a manager."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from llmdecl.activate.live import LiveManager


@dataclass(frozen=True, slots=True)
class Reread:
    """Programs by what a new configuration does to them."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


class Log(Protocol):
    """What one program said, over all its runs as far as it is kept."""

    def tail(self, lines: int) -> list[str]:
        """The last lines."""

    def settled_tail(self, lines: int) -> list[str]:
        """The same, once its last words have arrived."""

    def follow(self, lines: int) -> Iterator[str]:
        """The last lines, then others as they are said, without end."""

    def exists(self) -> bool:
        """Whether it ever said anything."""


class Manager(Protocol):
    """Keeps processes. Every call raises Failure (status 3) when the manager refuses or is silent.

    It reads its configuration through `{state}/wanted`.
    """

    def require_safe(self) -> None:
        """A Failure when what it would talk to is not ours."""

    def require_able(self, artefacts: Iterable[str]) -> None:
        """A Failure when this user can't have it keep a stack of these artefacts here."""

    def observe(self) -> LiveManager | None:
        """Its programs; `None` when it does not run."""

    def start(self) -> None:
        """Start it, detached; returns when it answers."""

    def reread(self) -> Reread:
        """Read the configuration again, without touching any process."""

    def replace(self, program: str) -> None:
        """Take the new configuration of a program that has no process."""

    def add(self, program: str) -> None:
        """Take a program that is new."""

    def remove(self, program: str) -> None:
        """Forget a program that has no process."""

    def start_program(self, program: str) -> None:
        """Start a program that has no process."""

    def stop_program(self, program: str, *, timeout_s: float) -> None:
        """End a program's process; returns when it is gone. Nothing to do without one."""

    def shut_down(self, *, timeout_s: float) -> None:
        """End it and all it runs; returns when it is gone. Nothing to do when it does not run."""

    def tidy(self) -> None:
        """Nothing runs any more: what it had on the machine outside our folders is gone."""

    def is_here(self) -> bool:
        """Whether something of the stack is left outside our folders."""

    def log(self, program: str) -> Log:
        """What a program, or the manager itself, says."""
