"""A load balancer in front of several programs: they get connections in turn, unless they are down."""

import contextlib
import itertools
import socket
import socketserver
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from typing_extensions import override

PIECE_BYTES = 65_536
CONNECT_SECONDS = 2.0


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, backends: Sequence[int]):
        super().__init__(("127.0.0.1", port), _Handler)
        self._turns = itertools.cycle(backends)
        self._backends = len(backends)
        self._lock = threading.Lock()

    def connect(self) -> socket.socket:
        """Return a connection to the next backend that accepts one. Raises `OSError` if none does."""
        for _ in range(self._backends):
            with self._lock:
                port = next(self._turns)
            with contextlib.suppress(OSError):
                return socket.create_connection(("127.0.0.1", port), CONNECT_SECONDS)
        raise OSError("No backend accepts connections.")


class _Handler(socketserver.BaseRequestHandler):
    server: _Server

    @override
    def handle(self) -> None:
        with contextlib.suppress(OSError), self.server.connect() as backend:
            backend.settimeout(None)
            back = threading.Thread(target=_copy_data, args=(backend, self.request), daemon=True)
            back.start()
            _copy_data(self.request, backend)
            back.join()


def _copy_data(source: socket.socket, target: socket.socket) -> None:
    """Copy data until either side ends, and pass the end on."""
    with contextlib.suppress(OSError):
        while piece := source.recv(PIECE_BYTES):
            target.sendall(piece)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def run_balancer(port: int, backends: Sequence[int]) -> Iterator[None]:
    """Balance the connections to a port until the block ends."""
    with _Server(port, backends) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
