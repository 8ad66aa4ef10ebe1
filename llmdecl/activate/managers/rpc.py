"""XML-RPC over supervisord's unix socket."""

import http.client
import xmlrpc.client
from pathlib import Path
from typing import Any

from llmdecl.activate.unix_http import UnixConnection

TIMEOUT_S = 15.0
"""supervisord answers in milliseconds; a hung one is given up after this."""


class _Transport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = UnixConnection(self.path, TIMEOUT_S)
        self._connection = host, connection  # where the base class closes it
        return connection


class Rpc:
    """Calls of the `supervisor` namespace."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket

    def call(self, method: str, *arguments: str | bool) -> Any:
        """What `supervisor.METHOD` returns.

        Raises `xmlrpc.client.Fault` for its refusals, OSError or HTTPException without an answer.
        """
        proxy = xmlrpc.client.ServerProxy(
            "http://localhost", transport=_Transport(self.socket), allow_none=True
        )
        with proxy:
            return getattr(proxy.supervisor, method)(*arguments)
