"""A request as the router needs it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llmdecl.router.routes import Route

if TYPE_CHECKING:
    from llmdecl.router.site import Site


class Reject(Exception):  # noqa: N818  # an answer, not a fault
    """The request gets this answer. `close`: nothing on this connection can be trusted any more."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, close: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.close = close
        self.headers: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True, eq=False)
class Request:
    """One request with its whole body.

    `forward` holds the header lines a model may see, each with its CRLF: no hop-by-hop header, no
    credential, neither Host nor framing. `target` is path and query as sent.
    """

    method: bytes
    target: bytes
    keep_alive: bool
    http10: bool
    host: bytes = b""
    path: bytes = b""
    query: bytes = b""
    route: Route | None = None
    forward: bytes = b""
    origin: bytes = b""
    keys: list[bytes] = field(default_factory=list)
    """What the client gave as API keys."""
    hop_by_hop: list[bytes] = field(default_factory=list)
    """What the Connection header named."""
    expects_continue: bool = False
    length: int = 0
    """Of the body as announced; -1 when chunked."""
    refusal: Reject | None = None
    body: bytes = b""
    site: "Site | None" = None
    """The endpoint as it was when the head came."""
    cors: bytes = b""
    """Header lines for a browser of an allowed origin."""
    preflight: bytes = b""
    """What `Access-Control-Request-Headers` asked for."""
