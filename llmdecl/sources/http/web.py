"""Requests: redirects, tries, tokens and limits, in one place for a whole run."""

import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urljoin, urlsplit

from urllib3 import Timeout
from urllib3.exceptions import HTTPError

from llmdecl import __version__
from llmdecl.sources.http.connections import Sockets, managers
from llmdecl.sources.http.patience import Patience, asked_wait_s
from llmdecl.sources.http.problems import Trouble, of_exception, of_status
from llmdecl.sources.http.rules import WEB_BAD_ANSWER, WEB_SIZE, WEB_UNREACHABLE
from llmdecl.sources.http.secret import Secret
from llmdecl.sources.http.slots import Slots
from llmdecl.sources.http.stream import Stream
from llmdecl.sources.http.values import Answer, Headers, RemoteFile, Source, same_place, shown
from llmdecl.sources.pip import Stopped
from llmdecl.units import format_bytes

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

T = TypeVar("T")

AT_ONCE = 8
"""Connections at a time, all hosts together."""
MAX_BODY_BYTES = 16 << 20
"""Of an answer that is read whole: pages of an API, manifests."""
MAX_REDIRECTS = 10
NOTICED_S = 5.0
"""From how long on a wait is said."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Web:
    """HTTP for one run, from several threads at once; `stop` ends all that runs.

    `bytes_received` counts bodies. A method that takes `address` raises Failure (LD420 to LD428)
    there when the tries are spent, and Stopped when called off.
    """

    def __init__(self, patience: Patience | None = None, *, at_once: int = AT_ONCE) -> None:
        self.patience = patience or Patience()
        self.slots = Slots(at_once)
        self.on_wait: Callable[[str], None] | None = None
        """Told why, before a wait that people would notice."""
        self.stopped = threading.Event()
        self.bytes_received = 0
        self._counting = threading.Lock()
        self._sockets = Sockets()
        self._managers = managers(self._sockets, at_once)

    def stop(self) -> None:
        """Every call that is under way, and every later one, raises Stopped."""
        self.stopped.set()
        self._sockets.end()

    def close(self) -> None:
        """Let go of connections that are kept open."""
        self._managers.clear()

    # whole answers

    def get(
        self,
        url: str,
        *,
        headers: Headers = (),
        token: Secret | None = None,
        address: str,
        allow: Collection[int] = (),
        max_bytes: int = MAX_BODY_BYTES,
    ) -> Answer:
        """A small body, read whole; statuses beside 2xx are failures but for those in `allow`."""
        source = Source(url, headers, token)

        def once() -> Answer:
            with self.opened(source, allow=allow) as stream:
                body = bytearray()
                while chunk := stream.read(min(1 << 16, max_bytes + 1)):
                    body += chunk
                    if len(body) > max_bytes:
                        summary = f"`{shown(url)}` is larger than {format_bytes(max_bytes)}"
                        raise Trouble(WEB_SIZE, summary)
                return Answer(
                    stream.status, stream.headers, bytes(body), stream.url, stream.first_headers
                )

        return self.trying(once, address)

    def look(self, source: Source, *, address: str) -> RemoteFile:
        """What the server says of a file, from a request for its first byte."""

        def once() -> RemoteFile:
            with self.opened(source, range_=(0, 1), allow=(416,)) as stream:
                return remote_file(source, stream)

        return self.trying(once, address)

    # one try

    @contextmanager
    def opened(
        self,
        source: Source,
        *,
        url: str | None = None,
        range_: tuple[int, int | None] | None = None,
        if_range: str | None = None,
        allow: Collection[int] = (),
    ) -> Iterator[Stream]:
        """One try at an answer, its body unread; Trouble when it failed.

        `range_` is first byte and count (`None` to the end). `url` is where a redirect led before.
        """
        headers = {"Accept-Encoding": "identity", "User-Agent": f"llmdecl/{__version__}"}
        headers.update(source.headers)
        if range_ is not None:
            first, count = range_
            headers["Range"] = f"bytes={first}-" + ("" if count is None else str(first + count - 1))
            if if_range is not None:
                headers["If-Range"] = if_range
        stream = self._follow(source, url or source.url, headers)
        try:
            if not 200 <= stream.status < 300 and stream.status not in allow:
                waits = asked_wait_s(stream.status, stream.headers, self.patience.now())
                raise of_status(
                    stream.status,
                    stream.headers,
                    stream.url,
                    body=stream.error(),
                    token=stream.sent_token,
                    retry_after_s=waits,
                )
            yield stream
        finally:
            stream.close()

    def _follow(self, source: Source, url: str, headers: dict[str, str]) -> Stream:
        first: Mapping[str, str] | None = None
        for _ in range(MAX_REDIRECTS + 1):
            # a source's own headers may be credentials too: all of them stay with its host
            at_home = same_place(source.url, url)
            sent = dict(headers)
            if not at_home:
                for name, _value in source.headers:
                    if name.lower() in ("authorization", "cookie", "proxy-authorization"):
                        sent.pop(name, None)
            if at_home and source.token is not None:
                sent["Authorization"] = source.token.reveal()
            response = self._request(url, sent)
            stream = Stream(self, response, url, first, sent_token="Authorization" in sent)
            if stream.status not in (301, 302, 303, 307, 308) or "location" not in stream.headers:
                return stream
            # the first that says a thing: a renamed repository leads to its new name before
            first = {**stream.headers, **(first or {})}
            stream.close()
            url = redirected(url, stream.headers["location"])
        raise Trouble(WEB_BAD_ANSWER, f"`{shown(source.url)}` redirects without an end")

    def _request(self, url: str, headers: dict[str, str]) -> "BaseHTTPResponse":
        self.check_stopped()
        timeout = Timeout(connect=self.patience.connect_s, read=self.patience.read_s)
        try:
            return self._managers.of(url).request(
                "GET",
                url,
                headers=headers,
                preload_content=False,
                decode_content=False,
                redirect=False,
                retries=False,
                timeout=timeout,
            )
        except (HTTPError, OSError) as error:
            self.check_stopped()
            raise of_exception(error, url) from None
        except ValueError as error:
            # of our own proxy table; one of http.client could quote a header
            said = str(error) if "proxy" in str(error) else type(error).__name__
            raise Trouble(WEB_UNREACHABLE, f"`{shown(url)}` can't be asked: {said}") from None

    # tries

    def trying(self, once: Callable[[], T], address: str) -> T:
        """`once`, again while its Trouble is passing and tries are left; then a Failure."""
        tries = 0
        while True:
            try:
                return once()
            except Trouble as trouble:
                tries += 1
                self.wait_after(trouble, tries, address)

    def wait_after(
        self,
        trouble: Trouble,
        tries: int,
        address: str,
        called_off: Callable[[], bool] = lambda: False,
    ) -> None:
        """Wait before the next try, not longer than until called off; a Failure when it is none."""
        self.check_stopped()
        limit = self.patience.tries if trouble.connected else self.patience.connect_tries
        if not trouble.passing or tries >= limit:
            raise trouble.failure(address, tries) from None
        delay = self.patience.delay_s(tries, trouble.retry_after_s)
        if delay is None:
            limit_s = self.patience.max_retry_after_s
            note = f"asked to wait {trouble.retry_after_s:.0f} s, and waits {limit_s:.0f} s at most"
            raise Trouble(trouble.rule, trouble.summary, notes=(*trouble.notes, note)).failure(
                address
            )
        if self.on_wait is not None and delay >= NOTICED_S:
            self.on_wait(f"{trouble.summary}; goes on in {delay:.0f} s")
        if self.patience.sleep is not None:
            self.patience.sleep(delay)
        else:
            end = self.patience.clock() + delay
            while (left := end - self.patience.clock()) > 0 and not called_off():
                self.stopped.wait(min(left, 0.2))
                self.check_stopped()
        self.check_stopped()

    def check_stopped(self) -> None:
        """Stopped, when called off."""
        if self.stopped.is_set():
            raise Stopped

    def count(self, amount: int) -> None:
        """`amount` bytes of a body came."""
        with self._counting:
            self.bytes_received += amount


def redirected(url: str, location: str) -> str:
    """Where a redirect leads; Trouble when nobody should go there."""
    try:
        after = urljoin(url, location)
        new, old = urlsplit(after), urlsplit(url)
        host, _ = new.hostname, new.port
    except ValueError:
        raise Trouble(WEB_BAD_ANSWER, f"`{shown(url)}` redirects to no URL") from None
    if new.scheme not in ("http", "https") or not host or re.search(r"[\x00-\x20\x7f]", after):
        raise Trouble(WEB_BAD_ANSWER, f"`{shown(url)}` redirects to `{shown(after)}`, no web page")
    if old.scheme == "https" and new.scheme == "http" and host not in _LOOPBACK:
        summary = f"`{shown(url)}` redirects to `{shown(after)}`, which is not encrypted"
        raise Trouble(WEB_BAD_ANSWER, summary)
    return after.partition("#")[0]


def remote_file(source: Source, stream: Stream) -> RemoteFile:
    """A file as an answer to a range request describes it."""
    first = stream.first_headers
    linked = linked_etag(stream)
    return RemoteFile(
        source=source,
        url=stream.url,
        size_bytes=stream.total_bytes,
        etag=stream.headers.get("etag"),
        last_modified=stream.headers.get("last-modified"),
        accepts_ranges=stream.status in (206, 416),
        linked_etag=linked,
        sha256=linked if linked and re.fullmatch(r"[0-9a-f]{64}", linked) else None,
        commit=first.get("x-repo-commit") or stream.headers.get("x-repo-commit"),
    )


def linked_etag(stream: Stream) -> str | None:
    """Hugging Face's own word for the content, without quotes; `None` where it was not asked."""
    name = "x-linked-etag"
    etag = stream.first_headers.get(name) or stream.headers.get(name)
    return etag.removeprefix("W/").strip('"') if etag else None
