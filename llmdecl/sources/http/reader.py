"""Pieces of a remote file by range requests: headers of weights without the weights."""

from llmdecl.diagnostics import Failure
from llmdecl.sources.http.problems import Trouble
from llmdecl.sources.http.rules import WEB_CHANGED, WEB_SIZE
from llmdecl.sources.http.stream import Stream
from llmdecl.sources.http.values import RemoteFile, shown
from llmdecl.sources.http.web import Web, linked_etag
from llmdecl.units import format_bytes

MAX_BYTES = 64 << 20
"""Of one file, all pieces together, when the caller says nothing else."""
_PIECE = 1 << 18


class RangeReader:
    """Reads a remote file here and there; a Failure when the file becomes another meanwhile.

    One thread at a time. `bytes_read` counts what came over the network; beyond `max_bytes` a
    Failure (LD425). A server that refuses ranges is read from the start each time.
    """

    def __init__(
        self, web: Web, remote: RemoteFile, *, address: str, max_bytes: int = MAX_BYTES
    ) -> None:
        self._web, self._remote, self._address = web, remote, address
        self._max_bytes = max_bytes
        self._url = remote.url
        self.bytes_read = 0

    @property
    def size_bytes(self) -> int | None:
        """Of the whole file, when the server said so."""
        return self._remote.size_bytes

    def read_at(self, offset: int, count: int) -> bytes:
        """`count` bytes from `offset`, fewer only at the file's end."""
        size = self._remote.size_bytes
        if size is not None:
            count = max(0, min(count, size - offset))
        return self._web.trying(lambda: self._once(offset, count), self._address) if count else b""

    def _once(self, offset: int, count: int) -> bytes:
        remote = self._remote
        # what a linked ETag stands for lies at many servers, each with an ETag of its own
        validator = None if remote.linked_etag else remote.validator
        try:
            with self._web.opened(
                remote.source,
                url=self._url,
                range_=(offset, count),
                if_range=validator,
                allow=(416,),
            ) as stream:
                self._check(stream, validator)
                if stream.status == 416:
                    return b""
                skip = offset if stream.status != 206 else 0
                return self._take(stream, skip, count)
        except Trouble as trouble:
            if self._url != remote.source.url and not trouble.passing:
                # a redirect's target is often good for minutes only: ask anew where it is
                self._url = remote.source.url
                return self._once(offset, count)
            raise

    def _check(self, stream: Stream, validator: str | None) -> None:
        now = stream.headers.get("etag") if self._remote.etag else None
        changed = validator is not None and now is not None and now != self._remote.etag
        if linked := self._remote.linked_etag:
            changed = linked_etag(stream) not in (None, linked)
        size, total = self._remote.size_bytes, stream.total_bytes
        if changed or (size is not None and total is not None and size != total):
            summary = f"`{shown(self._remote.source.url)}` changed while it was being read"
            raise Failure(WEB_CHANGED.at(self._address, summary))

    def _take(self, stream: Stream, skip: int, count: int) -> bytes:
        body = bytearray()
        while len(body) < skip + count:
            allowed = self._max_bytes - self.bytes_read
            if allowed <= 0:
                where, most = shown(self._remote.source.url), format_bytes(self._max_bytes)
                raise Trouble(WEB_SIZE, f"more than {most} of `{where}` would have to be read")
            chunk = stream.read(min(_PIECE, allowed, skip + count - len(body)))
            if not chunk:
                break
            self.bytes_read += len(chunk)
            body += chunk
        return bytes(body[skip : skip + count])
