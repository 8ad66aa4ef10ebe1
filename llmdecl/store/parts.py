"""One file in parts: range requests side by side, as many as make it faster.

A worker takes the first part that nobody has, asks for what is missing of it, and writes it where
it belongs; after trouble it goes on from there. There is one at first; another one is added while
that raises the speed and a connection is free.
"""

import threading
from collections.abc import Callable

from llmdecl.sources.http.problems import Trouble
from llmdecl.sources.http.rules import WEB_BAD_ANSWER, WEB_RATE_LIMITED
from llmdecl.sources.http.stream import Stream
from llmdecl.sources.http.values import RemoteFile, shown
from llmdecl.sources.http.web import Web
from llmdecl.sources.pip import Stopped
from llmdecl.store.hashing import Buffers, Follower
from llmdecl.store.meter import Meter
from llmdecl.store.remains import Remains

MOST_PARTS = 8
"""Ranges of one file at a time."""
JUDGE_S = 0.7
"""Between two decisions about their number."""
WORTH_S = 2.0
"""What has to be left for another one to pay."""
SETTLE_BYTES = 32 << 20
"""Between two requests to the disk to take what is there: waiting only at the end costs a third."""
GAIN = 1.1
"""What another one has to bring."""
READ_BYTES = 1 << 18


class Changed(Exception):  # noqa: N818  # the caller begins anew
    """The server has another file now."""


class RangesRefused(Exception):  # noqa: N818  # the caller takes it whole
    """The server answered a range request with the whole file."""


class Parts:
    """Brings what `remains` lack of `remote`, hashing along; `run` returns the SHA-256."""

    def __init__(
        self, web: Web, remote: RemoteFile, remains: Remains, *, address: str, meter: Meter
    ) -> None:
        self._web, self._remote, self._remains = web, remote, remains
        self._address, self._meter = address, meter
        self._url = remote.url
        self._todo = remains.missing_parts()
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._ended = False
        self._problem: BaseException | None = None
        self._streams: set[Stream] = set()
        self._workers: list[threading.Thread] = []
        self._running, self._most = 0, MOST_PARTS
        self._gained = 0
        self._etags: set[str | None] = set()
        self._buffers = Buffers()

    @property
    def mixed(self) -> bool:
        """Whether what came was of more than one version, as far as labels say."""
        return len(self._etags) > 1

    def run(self, called_off: Callable[[], bool]) -> str:
        """All of it. Raises Failure, Stopped, OSError, Changed or RangesRefused."""
        follower = Follower(self._remains, self._buffers, self._news.set)
        pace = Pace(self._web.patience.clock)
        follower.start()
        settled = 0
        try:
            if self._todo and not self._web.slots.take(called_off):
                raise Stopped
            if self._todo:
                self._start()
            while follower.sha256 is None:
                self._news.wait(0.05)
                self._news.clear()
                if self._gained - settled >= SETTLE_BYTES:
                    settled = self._gained
                    self._remains.settle()
                if problem := self._problem or follower.error:
                    raise problem
                self._web.check_stopped()
                if called_off():
                    raise Stopped
                if self._wants_more(pace) and self._web.slots.take_free():
                    self._start()
            return follower.sha256
        finally:
            self._end()
            follower.end()

    def _wants_more(self, pace: "Pace") -> bool:
        with self._lock:
            running, gained, left = self._running, self._gained, bool(self._todo)
        decided = pace.decide(running, gained, self._remains.missing_bytes)
        if decided < running:
            self._most = decided
        return left and running < decided <= self._most

    def _start(self) -> None:
        with self._lock:
            self._running += 1
        worker = threading.Thread(target=self._work, daemon=True)
        self._workers.append(worker)
        worker.start()

    def _end(self) -> None:
        self._ended = True
        with self._lock:
            streams = list(self._streams)
        for stream in streams:
            stream.end()
        for worker in self._workers:
            worker.join()

    # a worker

    def _work(self) -> None:
        try:
            while (index := self._next()) is not None:
                self._bring(index)
        except BaseException as error:  # noqa: BLE001  # `run` raises it
            if not self._ended:
                self._problem = self._problem or error
                self._news.set()
        finally:
            with self._lock:
                self._running -= 1
            self._web.slots.give()

    def _next(self) -> int | None:
        with self._lock:
            spare = self._running > 1 and (self._running > self._most or self._web.slots.crowded)
            return self._todo.pop(0) if self._todo and not spare and not self._ended else None

    def _bring(self, index: int) -> None:
        """One part; tries count from its last real progress."""
        count = self._remains.plan.part(index)[1]
        tries, mark = 0, self._remains.written(index)
        while self._remains.written(index) < count and not self._ended:
            url = self._url
            try:
                self._stream(index, url)
            except Trouble as trouble:
                if self._ended:
                    return
                tries += 1
                if self._remains.written(index) - mark >= self._web.patience.progress_bytes:
                    tries, mark = 1, self._remains.written(index)
                if trouble.rule is WEB_RATE_LIMITED:
                    self._most = max(1, self._running - 1)
                # a redirect's target is often good for minutes only: ask anew where it is
                self._url = self._remote.source.url
                if url == self._url or trouble.passing:
                    self._web.wait_after(trouble, tries, self._address, lambda: self._ended)

    def _stream(self, index: int, url: str) -> None:
        start, count = self._remains.plan.part(index)
        written = self._remains.written(index)
        offset, left = start + written, count - written
        validator = self._remains.plan.validator if self._remains.plan.sha256 is None else None
        with self._web.opened(
            self._remote.source,
            url=url,
            range_=(offset, left),
            if_range=validator,
            allow=(416,),
        ) as stream:
            self._check(stream, offset)
            self._url = stream.url
            with self._lock:
                self._streams.add(stream)
            try:
                while left and not self._ended:
                    left -= self._piece(index, stream, left)
            finally:
                with self._lock:
                    self._streams.discard(stream)

    def _piece(self, index: int, stream: Stream, left: int) -> int:
        buffer = self._buffers.take()
        taken = False
        try:
            count = stream.read_into(buffer[:left])
            if not count:
                summary = f"`{shown(stream.url)}` ended {left} bytes early"
                raise Trouble(WEB_BAD_ANSWER, summary, passing=True)
            taken = self._remains.write(index, buffer[:count])
        finally:
            if not taken:
                self._buffers.give(buffer)
        with self._lock:
            self._gained += count
        self._meter.advance(count)
        return count

    def _check(self, stream: Stream, offset: int) -> None:
        plan = self._remains.plan
        if stream.status == 416 or stream.total_bytes not in (None, plan.size_bytes):
            raise Changed
        if plan.sha256 is None and _validator(stream) != plan.validator:
            raise Changed
        self._etags.add(_validator(stream))
        if stream.status != 206:
            raise RangesRefused
        if stream.start != offset:
            summary = f"`{shown(stream.url)}` sent bytes from {stream.start}, not from {offset}"
            raise Trouble(WEB_BAD_ANSWER, summary, passing=True)


def _validator(stream: Stream) -> str | None:
    return stream.headers.get("etag") or stream.headers.get("last-modified")


class Pace:
    """Decides how many ranges at a time, by what the last one brought. Pure but for its clock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since, self._from = clock(), 0
        self._before: float | None = None
        self._settled = False

    def decide(self, running: int, gained: int, missing: int) -> int:
        """How many there should be, when `running` have brought `gained` bytes in all."""
        elapsed = self._clock() - self._since
        if self._settled or elapsed < JUDGE_S:
            return running
        rate = (gained - self._from) / elapsed
        self._since, self._from = self._clock(), gained
        if self._before is not None and rate < GAIN * self._before:
            self._settled = True
            return max(1, running - 1)
        if running >= MOST_PARTS or missing < rate * WORTH_S:
            return running
        self._before = rate
        return running + 1
