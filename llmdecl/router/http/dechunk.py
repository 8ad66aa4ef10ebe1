"""Taking chunked framing off, for clients of HTTP/1.0."""

import httptools

_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Dechunker:
    """What is inside the chunks."""

    def __init__(self) -> None:
        self._inside: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)
        self._parser.feed_data(_HEAD)

    def on_body(self, data: bytes) -> None:
        """Called by llhttp."""
        self._inside.append(data)

    def feed(self, data: bytes) -> bytes:
        """The payload in `data`, which has been parsed once before and is well-formed."""
        self._parser.feed_data(data)
        inside, self._inside[:] = b"".join(self._inside), ()
        return inside
