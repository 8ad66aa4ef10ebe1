"""Connections that another thread can end, through the proxy that the environment names."""

import contextlib
import socket
import ssl
import threading
import urllib.request
import weakref
from typing import Any
from urllib.parse import unquote, urlsplit

from urllib3 import PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util import make_headers


class Sockets:
    """Open sockets of one `Web`. `end` shuts them down, so that whoever reads one comes back."""

    def __init__(self) -> None:
        self._open: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._ended = False
        self._lock = threading.Lock()

    def add(self, sock: socket.socket | None) -> None:
        """Watch a socket until it is gone; raises ConnectionAbortedError after `end`."""
        if sock is not None:
            with self._lock:
                self._open.add(sock)
                if self._ended:
                    raise ConnectionAbortedError("called off")

    def end(self) -> None:
        """Shut down all of them; they are closed by those who use them."""
        with self._lock:
            self._ended = True
            for sock in list(self._open):
                with contextlib.suppress(OSError):
                    # an SSLSocket's own method would drop its state under a reader's feet
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)


def managers(sockets: Sockets, at_once: int) -> "Managers":
    """Pools for direct and proxied requests, `at_once` connections a host kept open."""

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _connected(self, sockets)

    class Encrypted(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _connected(self, sockets)

        def connect(self) -> None:  # TLS makes another socket of it
            super().connect()
            sockets.add(self.sock)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(HTTPSConnectionPool):
        ConnectionCls = Encrypted

    return Managers({"http": PlainPool, "https": EncryptedPool}, at_once)


def _connected(connection: HTTPConnection, sockets: Sockets) -> socket.socket:
    """As urllib3 connects, but that the socket can be ended before it is connected."""
    host, port = connection.host.strip("[]"), connection.port
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        unknown = error if isinstance(error, socket.gaierror) else socket.gaierror(str(error))
        raise NameResolutionError(host, connection, unknown) from None
    problem: OSError = OSError("no address")
    for family, kind, protocol, _, address in found:
        sock = socket.socket(family, kind, protocol)
        try:
            for option in connection.socket_options or ():
                sock.setsockopt(*option)
            timeout = connection.timeout
            sock.settimeout(float(timeout) if isinstance(timeout, (int, float)) else None)
            sockets.add(sock)
            sock.connect(address)
        except OSError as error:
            sock.close()
            problem = error
        else:
            return sock
    if isinstance(problem, TimeoutError):
        raise ConnectTimeoutError(connection, f"no connection to {host}") from problem
    raise NewConnectionError(connection, str(problem)) from problem


class Managers:
    """urllib3's pools by proxy."""

    def __init__(self, pools: dict[str, Any], at_once: int) -> None:
        self._pools, self._at_once = pools, at_once
        self._managers: dict[tuple[str | None, bool], PoolManager] = {}
        self._lock = threading.Lock()

    def of(self, url: str) -> PoolManager:
        """Whom to ask for `url`; raises ValueError for a proxy that is none for HTTP."""
        proxy = proxy_of(url)
        encrypted = url.startswith("https:") or (proxy or "").startswith("https:")
        with self._lock:
            key = proxy, encrypted
            if key not in self._managers:
                self._managers[key] = self._make(proxy, encrypted=encrypted)
            return self._managers[key]

    def _make(self, proxy: str | None, *, encrypted: bool) -> PoolManager:
        options: dict[str, Any] = {"maxsize": self._at_once, "num_pools": 16}
        if encrypted:
            # the system's, or SSL_CERT_FILE's; reading them takes tens of milliseconds
            options["ssl_context"] = ssl.create_default_context()
        manager: PoolManager
        if proxy is None:
            manager = PoolManager(**options)
        else:
            parts = urlsplit(proxy)
            words = f"{parts.username}:{parts.password or ''}"
            user = unquote(words) if parts.username else None
            headers = make_headers(proxy_basic_auth=user) if user else None
            host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
            plain = f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
            manager = ProxyManager(plain, proxy_headers=headers, **options)
        manager.pool_classes_by_scheme = self._pools
        return manager

    def clear(self) -> None:
        """Close what is kept open."""
        with self._lock:
            for manager in self._managers.values():
                manager.clear()


def proxy_of(url: str) -> str | None:
    """The proxy for `url` by `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`."""
    parts = urlsplit(url)
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    host = parts.hostname or ""
    if not proxy or urllib.request.proxy_bypass(host):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    try:
        there = urlsplit(proxy)
        good = there.scheme in ("http", "https") and bool(there.hostname) and there.port != 0
    except ValueError:
        good = False
    if not good:
        raise ValueError("the proxy that the environment names is none for HTTP")
    return proxy
