"""A file on a web server as the GGUF reader wants it."""

from llmdecl.diagnostics import Failure
from llmdecl.facts.gguf_remote import MAX_REMOTE_HEADER_BYTES, RemotePart
from llmdecl.sources.http.reader import RangeReader
from llmdecl.sources.http.rules import WEB_SIZE
from llmdecl.sources.http.values import RemoteFile, Source, shown
from llmdecl.sources.http.web import Web

_WITHOUT_RANGES = 16 << 20
"""Asked for at once where a server sends all that comes before as well."""


def remote_part(
    web: Web,
    source: Source,
    *,
    name: str,
    sha256: str | None,
    size_bytes: int,
    address: str,
    remote: RemoteFile | None = None,
) -> RemotePart:
    """Nothing is asked before something is read; `remote` is what was asked already.

    Reading raises a Failure for what the transport can't do, and where the file has another size.
    """
    reader: RangeReader | None = None
    at_least = 0

    def read_at(offset: int, count: int) -> bytes:
        nonlocal reader, at_least
        if reader is None:
            found = remote or web.look(source, address=address)
            if found.size_bytes not in (None, size_bytes):
                summary = f"`{shown(source.url)}` has {found.size_bytes:,} bytes"
                note = f"{size_bytes:,} bytes are listed"
                raise Failure(WEB_SIZE.at(address, summary, notes=[note]))
            at_least = 0 if found.accepts_ranges else _WITHOUT_RANGES
            reader = RangeReader(web, found, address=address, max_bytes=MAX_REMOTE_HEADER_BYTES)
        return reader.read_at(offset, max(count, at_least))

    return RemotePart(name, sha256, size_bytes, read_at)
