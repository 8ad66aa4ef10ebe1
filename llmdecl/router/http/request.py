"""A request as the router needs it."""

from typing import TYPE_CHECKING

from llmdecl.router.routes import Route

if TYPE_CHECKING:
    from llmdecl.router.site import Site


Body = bytes | bytearray
"""A large one grows in place; nobody changes it once it is whole."""


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


class Request:
    """One request with its whole body. Defaults are the class's: a request sets what it has.

    `forward` holds the header lines a model may see, each with its CRLF: no hop-by-hop header, no
    credential, neither Host nor framing. `target` is path and query as sent.
    """

    method = b""
    target = b""
    path = b""
    query = b""
    http10 = False
    keep_alive = True
    host = b""
    forward = b""
    headers = 0
    """How many came."""
    origin = b""
    authorization = b""
    keys: tuple[bytes, ...] = ()
    """What the client gave as API keys beside `Authorization`."""
    hop_by_hop: tuple[bytes, ...] = ()
    """What the Connection header named."""
    expects_continue = False
    length = 0
    """Of the body as announced; -1 when chunked."""
    body: "Body" = b""
    route: Route | None = None
    site: "Site | None" = None
    """The endpoint as it was when the head came."""
    refusal: Reject | None = None
    cors = b""
    """Header lines for a browser of an allowed origin."""
    preflight = b""
    """What `Access-Control-Request-Headers` asked for."""

    def copy(self) -> "Request":
        """Another one with the same values."""
        copy = Request()
        copy.__dict__.update(self.__dict__)
        return copy
