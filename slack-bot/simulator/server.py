"""The HTTP server: waitress with enough threads for slow deliveries and a quick stop."""

import logging
import signal
import socket
import threading
from types import FrameType
from typing import Any, cast

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer, create_server
from waitress.task import WSGITask

from simulator.api import SOCKET
from simulator.assembly import Simulator
from simulator.config import Settings
from simulator.web import create_app

THREADS = 48
STOP_TIMEOUT_SECONDS = 0.5
LOOP_SECONDS = 1.0
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class _Task(WSGITask):
    """A request with access to its connection, so that a fault can close it."""

    def get_environment(self) -> dict[str, Any]:  # type: ignore[explicit-override] # typing has it from 3.12
        environment: dict[str, Any] = super().get_environment()
        environment[SOCKET] = self.channel.socket
        return environment


class _Channel(HTTPChannel):
    task_class = _Task


class Server:
    """The simulator on its port. ``url`` is its address, even if the system chose the port (0)."""

    def __init__(self, settings: Settings) -> None:
        self.simulator = Simulator(settings)
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        self._closing = threading.Event()
        self._stopping = threading.RLock()  # a signal may arrive while its thread stops
        self._stopped = False
        self._sockets: dict[int, Any] = {}
        # With one address, waitress uses one socket and this class.
        self._wsgi = cast(
            TcpWSGIServer,
            create_server(
                create_app(self.simulator),
                map=self._sockets,
                host=settings.host,
                port=settings.port,
                threads=THREADS,
                ident=None,
            ),
        )
        self._wsgi.channel_class = _Channel
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        listening = cast(socket.socket, self._wsgi.socket)
        self.url = f"http://{host}:{listening.getsockname()[1]}"
        self.simulator.workspace_state.base_url = self.url

    def run(self) -> None:
        """Serve until ``close``. Running requests then get half a second."""
        while not self._closing.is_set():
            wasyncore.loop(timeout=LOOP_SECONDS, map=self._sockets, count=1)
        with self._stopping:
            self._stopped = True
        self.simulator.close()
        self._wsgi.task_dispatcher.shutdown(timeout=STOP_TIMEOUT_SECONDS)  # type: ignore[arg-type] # the stub says int, waitress adds
        wasyncore.close_all(self._sockets)

    def run_until_signalled(self) -> None:
        """Serve until SIGTERM or SIGINT. Then stop within a second."""
        for number in STOP_SIGNALS:
            signal.signal(number, self._on_signal)
        self.run()

    def close(self) -> None:
        """Stop ``run``. Any thread may call this."""
        with self._stopping:
            self._closing.set()
            if not self._stopped:
                self._wsgi.pull_trigger()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.close()
