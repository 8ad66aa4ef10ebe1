"""One file in one stream, for servers that refuse ranges or whose versions can't be told apart.

Every try begins at the start: what came before may be of another version.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

from llmdecl.sources.http.problems import Trouble
from llmdecl.sources.http.rules import WEB_SIZE
from llmdecl.sources.http.stream import Stream
from llmdecl.sources.http.values import RemoteFile, shown
from llmdecl.sources.http.web import Web
from llmdecl.sources.pip import Stopped
from llmdecl.store.meter import Meter
from llmdecl.store.parts import READ_BYTES
from llmdecl.store.remains import write_all


def bring_whole(
    web: Web,
    remote: RemoteFile,
    path: Path,
    *,
    sha256: str | None,
    size_bytes: int | None,
    address: str,
    meter: Meter,
    called_off: Callable[[], bool],
) -> str:
    """Write all of it to `path` anew; its SHA-256, which is not compared here.

    A Failure for another size than `size_bytes`, and (LD425) for a body whose end can't be told
    from a broken connection when there is neither a size nor a digest to compare it with.
    """

    def once() -> str:
        with web.opened(remote.source) as stream:
            wrong_size(stream, size_bytes)
            if not stream.whole and sha256 is None and size_bytes is None:
                where = shown(stream.url)
                raise Trouble(WEB_SIZE, f"`{where}` says neither how large it is nor where it ends")
            return _write(stream, path, size_bytes, meter, called_off)

    if not web.slots.take(called_off):
        raise Stopped
    try:
        return web.trying(once, address)
    finally:
        web.slots.give()


def wrong_size(stream: Stream, size_bytes: int | None) -> None:
    """Trouble when the answer says another size than the one that is wanted."""
    if size_bytes is not None and stream.total_bytes not in (None, size_bytes):
        summary = f"`{shown(stream.url)}` has {stream.total_bytes} bytes, not {size_bytes}"
        raise Trouble(WEB_SIZE, summary)


def _write(
    stream: Stream,
    path: Path,
    size_bytes: int | None,
    meter: Meter,
    called_off: Callable[[], bool],
) -> str:
    digest, size, whole = hashlib.sha256(), 0, False
    path.unlink(missing_ok=True)
    where = shown(stream.url)
    try:
        with path.open("xb", buffering=0) as file:
            while chunk := stream.read(READ_BYTES):
                if called_off():
                    raise Stopped
                if size_bytes is not None and size + len(chunk) > size_bytes:
                    raise Trouble(WEB_SIZE, f"`{where}` has more than {size_bytes} bytes")
                write_all(file.fileno(), chunk, size, path)
                digest.update(chunk)
                size += len(chunk)
                meter.advance(len(chunk))
        if size_bytes is not None and size < size_bytes:
            summary = f"`{where}` ended after {size} of {size_bytes} bytes"
            raise Trouble(WEB_SIZE, summary, passing=not stream.whole)
        whole = True
    finally:
        if not whole:
            meter.take_back(size)
    return digest.hexdigest()
