"""A stand-in as a server on the loopback address: in a thread of the tests, or as a program."""

import socket
import threading
import time
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp

LOOPBACK = "127.0.0.1"
START_SECONDS = 30.0


class LoopbackServer:
    """A server. Use it as a context, or call `run` to serve until the process is stopped."""

    def __init__(self, app: ASGIApp, name: str, port: int) -> None:
        self._name = name
        self._socket = socket.create_server((LOOPBACK, port))
        self.url = f"http://{LOOPBACK}:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            lifespan="off",
            http="httptools",
            ws="websockets-sansio",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None

    @property
    def stream_url(self) -> str:
        return self.url.replace("http", "ws", 1) + "/stream"

    def cut(self) -> None:
        """Cut the connections that would delay the end."""

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM."""
        self._server.run(sockets=[self._socket])

    def start(self) -> Self:
        """Serve in a thread, and return when it is ready."""
        self._thread = threading.Thread(target=self.run, name=self._name, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._server.started:
            assert time.monotonic() < deadline, "the stand-in did not start"
            time.sleep(0.005)
        return self

    def close(self) -> None:
        self.cut()
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()
        self._socket.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
