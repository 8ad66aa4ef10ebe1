"""How the data path of the router asks its lifecycle, and the reverse."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from llmdecl.router.config import RouterConfig


@dataclass(eq=False, slots=True)
class Lease:
    """A request's right to a ready model, from admission to the last byte; then released once."""

    model: str
    socket: str
    """Absolute path of the model's unix socket."""
    generation: int
    """Grows with each start of the model's process: a pooled connection of another one is stale."""


class Refused(Exception):  # noqa: N818  # an answer, not a fault
    """The request can't be served now.

    `retry_after_s` becomes `Retry-After`; `log_tail` is the reason's evidence.
    """

    def __init__(
        self, status: int, reason: str, *, retry_after_s: int | None = None, log_tail: str = ""
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.log_tail = log_tail


class Lifecycle(Protocol):
    """What the data path may ask. All calls from the loop's own thread."""

    def try_acquire(self, model: str) -> Lease | None:
        """A lease at once if `model` is ready and admits; never blocks. `None`: use `acquire`."""

    async def acquire(self, model: str) -> Lease:
        """Queue, start or swap as needed, then a lease.

        Cancelling the wait leaves the queue. Raises `Refused`: 429 queue full, 503 with
        `retry_after_s` on time-out or back-off or a draining stack, 502 when the start failed.
        """

    def release(self, lease: Lease, *, abandoned: bool = False) -> None:
        """The request is over. `abandoned`: the client left a non-streaming request, whose slot
        counts as busy until the model's `/slots` shows it idle."""

    def states(self) -> Mapping[str, str]:
        """State by model name, for `/v1/models`, `/health` and `/metrics`; never wakes a model."""


class DataPath(Protocol):
    """What the lifecycle may ask of the data path, `server.Server(config, lifecycle)`."""

    async def start(self) -> None:
        """Open the listeners. Raises OSError, with the address in its text."""

    async def close(self) -> None:
        """Stop listening and close every connection; called after draining, before the exit."""

    def close_upstreams(self, model: str) -> None:
        """Close pooled idle connections to `model` (before its process is stopped)."""

    def in_flight(self, model: str) -> int:
        """Requests between admission and last byte."""

    async def reconfigure(self, config: RouterConfig) -> None:
        """Take endpoints, aliases, defaults and keys from `config` without dropping a connection:
        listeners that stay keep their socket, new ones open, gone ones close. Raises OSError, with
        the address in its text, when an address can't be bound; then nothing has changed."""
