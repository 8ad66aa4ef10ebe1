"""A web server on loopback with bad manners on demand, and a second one where redirects lead.

`Site` serves plain files (`put`); `hugging_face.py` and `ollama_registry.py` put what those answer
on top of it. A `Fault` spoils the next answers whose URL path holds a text.
"""

import email.utils
import hashlib
import os
import random
import re
import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

CHUNK = 1 << 16


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@dataclass
class File:
    """A body (bytes, or a Path that is read piece by piece) and how it is labelled.

    `etag` is sent as it is, quotes included; `None` sends none.
    """

    body: object
    etag: str | None = None
    last_modified: str | None = None
    ranges: bool = True
    chunked: bool = False
    headers: dict = field(default_factory=dict)

    def __len__(self):
        return self.body.stat().st_size if isinstance(self.body, Path) else len(self.body)

    def piece(self, start, count):
        if isinstance(self.body, Path):
            with self.body.open("rb") as file:
                return os.pread(file.fileno(), count, start)
        return bytes(self.body[start : start + count])


@dataclass
class Fault:
    """What goes wrong. Fields combine; `times` counts the answers that it spoils.

    `cut_at` sends so many bytes of a body and breaks the connection (`"random"` picks a byte);
    `stall_at` sends so many and then nothing until the site closes; `pace_s` waits before each
    `piece` bytes; `length_off` is added to Content-Length; `refuse_ranges` answers 200 with all;
    `etag` labels the body so; `body` replaces it; `reset` answers with nothing but a reset;
    `status` answers with an error; `redirect` leads elsewhere; `raw` is sent as it is.
    """

    status: int | None = None
    retry_after: str | None = None
    headers: dict = field(default_factory=dict)
    cut_at: int | str | None = None
    stall_at: int | None = None
    stall_before: bool = False
    pace_s: float = 0.0
    piece: int = CHUNK
    length_off: int = 0
    refuse_ranges: bool = False
    ignore_if_range: bool = False
    no_length: bool = False
    etag: str | None = None
    body: bytes | None = None
    reset: bool = False
    redirect: str | None = None
    raw: bytes | None = None
    times: int | None = None


@dataclass
class Request:
    """One request as it came, and the status that went back."""

    method: str
    path: str
    """With its query, as on the request line."""
    headers: dict
    """Names in lower case."""
    host: str
    """`front` or `cdn`."""
    status: int | None = None
    sent: int = 0
    """Bytes of the body."""


class Site:
    """Two servers: `url` (127.0.0.1) and `cdn_url` (localhost, another port: another host).

    `routes` are functions of a Request that return an Answer or None, asked in order.
    """

    def __init__(self):
        self.log, self.files, self.routes, self._faults = [], {}, [], []
        self.closing = threading.Event()
        self.on_request = None
        """Called with the number of each request, counted from 1, before it is answered."""
        self._lock = threading.Lock()
        self.random = random.Random(20)
        self._front, self._cdn = self._start("front"), self._start("cdn")
        self.url = f"http://127.0.0.1:{self._front.server_address[1]}"
        self.cdn_url = f"http://localhost:{self._cdn.server_address[1]}"

    def _start(self, host):
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 0

            def do_GET(self):
                site._handle(self, host)

            do_HEAD = do_GET  # noqa: N815  # http.server's name

            def log_message(self, *args):
                pass

            def handle(self):
                with suppress(OSError):  # the client left
                    super().handle()

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = 64

            def handle_error(self, *args):
                pass

        server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return server

    def close(self):
        self.closing.set()
        for server in (self._front, self._cdn):
            server.shutdown()
            server.server_close()

    # what is served

    def put(self, path, body, *, etag="auto", **options):
        """Serve `body` at `path` (`/dir/m.gguf`) on both hosts; returns the front's URL of it."""
        if etag == "auto":
            head = body if isinstance(body, bytes) else str(body).encode()
            etag = f'"{sha256(head)[:16]}"'
        self.files[path] = File(body, etag, **options)
        return self.url + path

    def fault(self, text, fault=None, **fields):
        """Spoil answers whose path holds `text` (`""`: all); the latest fault wins."""
        fault = fault or Fault(**fields)
        self._faults.insert(0, (text, fault))
        return fault

    def heal(self):
        """No more faults."""
        self._faults.clear()

    def requests(self, text="", host=None):
        """What was asked for, in order."""
        return [each for each in self.log if text in each.path and host in (None, each.host)]

    def asked_bytes(self, text=""):
        """Bytes that all range requests asked for, those for a single byte left out."""
        total = 0
        for each in self.requests(text):
            match = re.fullmatch(r"bytes=(\d+)-(\d+)", each.headers.get("range", ""))
            total += int(match[2]) - int(match[1]) + 1 if match and match[1] != match[2] else 0
        return total

    def sent_bytes(self):
        """Bytes of all bodies that went out."""
        return sum(each.sent for each in self.log)

    # answering

    def _fault_for(self, path):
        with self._lock:
            for text, fault in self._faults:
                if text in path and fault.times != 0:
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return Fault()

    def _handle(self, handler, host):
        headers = {name.lower(): value for name, value in handler.headers.items()}
        request = Request(handler.command, handler.path, headers, host)
        with self._lock:
            self.log.append(request)
            if self.on_request is not None:
                self.on_request(len(self.log))
        fault = self._fault_for(handler.path)
        if fault.stall_before:
            self.closing.wait()
        if fault.raw is not None:
            handler.wfile.write(fault.raw)
            return _reset(handler, graceful=True)
        if fault.reset:
            return _reset(handler)
        if fault.redirect is not None:
            return self._send(handler, request, 302, {"Location": fault.redirect}, b"", fault)
        if fault.status is not None:
            more = dict(fault.headers)
            if fault.retry_after is not None:
                more["Retry-After"] = fault.retry_after
            return self._send(handler, request, fault.status, more, fault.body or b"", fault)
        for route in self.routes:
            answer = route(request)
            if answer is not None:
                if isinstance(answer, File):
                    return self._file(handler, request, answer, fault)
                status, more, body = answer
                return self._send(handler, request, status, more, body, fault)
        file = self.files.get(unquote(urlsplit(handler.path).path))
        if file is None:
            return self._send(handler, request, 404, {}, b"not here", fault)
        return self._file(handler, request, file, fault)

    def _file(self, handler, request, file, fault):
        if fault.body is not None:
            file = File(fault.body, file.etag, file.last_modified, file.ranges)
        etag = fault.etag or file.etag
        size, more = len(file), {"Content-Type": "application/octet-stream", **file.headers}
        if etag:
            more["ETag"] = etag
        if file.last_modified:
            more["Last-Modified"] = file.last_modified
        start, count, status = 0, size, 200
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
        if_range = request.headers.get("if-range")
        fresh = if_range is None or if_range in (etag, file.last_modified) or fault.ignore_if_range
        if file.ranges and not fault.refuse_ranges:
            more["Accept-Ranges"] = "bytes"
            if asked and fresh:
                start = int(asked[1])
                if start >= size:
                    more["Content-Range"] = f"bytes */{size}"
                    return self._send(handler, request, 416, more, b"", fault)
                last = min(size - 1, int(asked[2])) if asked[2] else size - 1
                count, status = last - start + 1, 206
                more["Content-Range"] = f"bytes {start}-{last}/{size}"
        return self._send(handler, request, status, more, (file, start, count), fault)

    def _send(self, handler, request, status, headers, body, fault):
        file, start, count = (File(body), 0, len(body)) if isinstance(body, bytes) else body
        request.status = status
        handler.send_response(status)
        for name, value in {**headers, **fault.headers}.items():
            handler.send_header(name, value)
        chunked = file.chunked
        if chunked:
            handler.send_header("Transfer-Encoding", "chunked")
        elif fault.no_length:
            handler.send_header("Connection", "close")
        else:
            handler.send_header("Content-Length", str(count + fault.length_off))
        handler.end_headers()
        if request.method == "HEAD":
            return None
        if fault.pace_s:
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 14)
        cut = fault.cut_at
        if cut == "random":
            cut = self.random.randrange(count) if count else 0
        stop = min(each for each in (count, cut, fault.stall_at) if each is not None)
        sent = 0
        while sent < stop and not self.closing.is_set():
            if fault.pace_s:
                time.sleep(fault.pace_s)
            piece = file.piece(start + sent, min(fault.piece, stop - sent))
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            sent += len(piece)
            request.sent = sent
        if cut is not None and cut < count:
            return _reset(handler, graceful=cut % 2 == 0)
        if fault.stall_at is not None and sent < count:
            self.closing.wait()
        if chunked:
            handler.wfile.write(b"0\r\n\r\n")
        if fault.length_off or fault.no_length:
            return _reset(handler, graceful=True)
        return None


def _reset(handler, *, graceful=False):
    """Break the connection: with an orderly end, or with a reset."""
    handler.close_connection = True
    try:
        if not graceful:
            linger = struct.pack("ii", 1, 0)
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        else:
            handler.connection.shutdown(socket.SHUT_RDWR)
        handler.connection.close()
    except OSError:
        pass


def http_date(seconds):
    """A date as HTTP writes it."""
    return email.utils.formatdate(seconds, usegmt=True)
