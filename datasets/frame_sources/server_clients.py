"""Connections to memcached servers: one per server, process and thread, opened when they are first needed."""

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

from pymemcache.client.base import Client
from pymemcache.exceptions import MemcacheUnexpectedCloseError


class ServerClients(threading.local):
    """Clients of `servers`. After a fork a process makes its own: two on one connection read each other's answers."""

    def __init__(self, *, servers: Sequence[str], timeout: float) -> None:
        self._servers = servers
        self._timeout = timeout
        self._open: dict[int, Client] = {}
        self._process = os.getpid()

    def ask(self, server: int, question: Callable[[Client], Any]) -> Any:
        """`question` of the server's client; a connection that was closed from the other end is made anew, once.

        Raises what pymemcache raises, the connection then closed.
        """
        if self._process != os.getpid():
            self._open, self._process = {}, os.getpid()  # the parent's connections stay untouched
        used_before = server in self._open
        try:
            return self._ask(server, question)
        except (ConnectionError, MemcacheUnexpectedCloseError):
            if not used_before:
                raise
            return self._ask(server, question)

    def _ask(self, server: int, question: Callable[[Client], Any]) -> Any:
        client = self._open.pop(server, None) or self._connected(self._servers[server])
        try:
            answer = question(client)
        except BaseException:
            client.close()
            raise
        self._open[server] = client
        return answer

    def _connected(self, server: str) -> Client:
        host, _, port = server.rpartition(":")
        address = (host.strip("[]"), int(port))
        return Client(address, connect_timeout=self._timeout, timeout=self._timeout, no_delay=True)
