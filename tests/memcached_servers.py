"""Real memcached servers on loopback, and sources of counted reads to put them in front of."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence

import pytest

MEMCACHED = shutil.which("memcached") or shutil.which("memcached", path="/usr/bin:/usr/local/bin:/opt/homebrew/bin")
needs_memcached = pytest.mark.skipif(
    MEMCACHED is None, reason="no memcached on this machine (apt-get install memcached)"
)


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A memcached with a port of its own, started, killed and stopped at will."""

    def __init__(self, *options: str) -> None:
        self.port = free_port()
        self.name = f"127.0.0.1:{self.port}"
        self._options = options
        self.start()

    def start(self) -> None:
        user = ["-u", "root"] if os.getuid() == 0 else []
        command = [str(MEMCACHED), "-l", "127.0.0.1", "-p", str(self.port), "-U", "0", *user, *self._options]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            assert time.monotonic() < deadline, "memcached does not listen after 10 s"
            time.sleep(0.01)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def hang(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def running(count: int = 1, options: Sequence[str] = ()) -> Iterator[list[Server]]:
    """`count` servers, killed at the end."""
    servers = [Server(*options) for _ in range(count)]
    try:
        yield servers
    finally:
        for server in servers:
            server.kill()
