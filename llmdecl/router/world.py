"""What the lifecycle asks of the world, so that its tests can bring their own."""

from collections.abc import Callable, Mapping
from typing import Protocol

from llmdecl.router.config import ModelConfig


class StartError(Exception):
    """A program could not be started. `unavailable`: its manager did not answer, so nothing is
    known against the program."""

    def __init__(self, reason: str, *, unavailable: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.unavailable = unavailable


class World(Protocol):
    """Processes, sockets and logs of models."""

    async def running(self) -> Mapping[str, int]:
        """PIDs by program, for all programs that have a process. Raises StartError."""

    async def start(self, model: ModelConfig) -> int:
        """Unlink the stale socket and start the program: its new pid. Raises StartError."""

    async def stop(self, model: ModelConfig, pid: int) -> None:
        """Have TERM sent; returns before the process is gone and never raises."""

    def kill(self, pid: int) -> None:
        """Send KILL if it still runs."""

    def watch(self, pid: int, gone: Callable[[], None]) -> None:
        """Call `gone` once, soon after the process has ended (or now, if it has)."""

    async def buried(self, model: ModelConfig, pid: int) -> None:
        """Wait, half a second at most, until the manager has noticed that the process is gone and
        written its last words to the log. Never raises."""

    async def healthy(self, socket: str) -> bool:
        """Whether `GET /health` answers 200 there."""

    async def busy_slots(self, socket: str) -> int | None:
        """How many slots compute; 0 where the engine does not tell, `None` without an answer."""

    def digest(self, pid: int) -> str | None:
        """`LLMDECL_DIGEST` of a process of this stack; `None` for any other."""

    def socket(self, model: ModelConfig) -> str:
        """Absolute path of the model's socket."""

    async def load_log(self, program: str) -> str:
        """What the program wrote since its last start, a mebibyte at most; empty when unknown."""

    def log_tail(self, program: str) -> str:
        """The last lines that the program wrote since its last start."""
