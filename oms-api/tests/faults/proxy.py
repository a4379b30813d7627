"""A proxy in front of PostgreSQL that breaks the connection during COMMIT."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from enum import Enum

COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"  # the protocol's simple query
COMMITTED = b"C\x00\x00\x00\x0bCOMMIT\x00"  # and its answer
_CHUNK = 65536


class NetworkFault(Enum):
    """The place where the network breaks."""

    NOWHERE = "it does not"
    BEFORE_COMMIT = "the connection is cut; COMMIT never reaches the server"
    AFTER_COMMIT = "the connection is cut; COMMIT ran, its answer is lost"
    COMMIT_VANISHES = "COMMIT is swallowed; both sides see an open connection"
    ANSWER_VANISHES = "COMMIT ran; its answer is swallowed; both sides see an open connection"


class Network:
    """Forwards connections to a port of loopback, and counts them."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._armed = NetworkFault.NOWHERE
        self._lock = threading.Lock()
        self.broke = threading.Event()
        self.connections = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def address(self, url: str) -> str:
        """Return the database's address by way of this network."""
        return url.replace(f":{self._to}/", f":{self._listener.getsockname()[1]}/")

    def break_next(self, fault: NetworkFault) -> None:
        """Break at the next COMMIT."""
        self.broke.clear()
        self._armed = fault

    def repair(self) -> None:
        """Cut all connections; new ones work."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for peer in sockets:
            _cut(peer)

    def close(self) -> None:
        """Take no connection any more, and cut those that stand."""
        _cut(self._listener)
        self.repair()

    def _listen(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            try:
                server = socket.create_connection(("127.0.0.1", self._to), timeout=60)
            except OSError:
                _cut(client)
                continue
            server.settimeout(None)
            with self._lock:
                self._sockets += [client, server]
            vanished = threading.Event()
            for source, target, watch in (
                (client, server, self._is_request_faulty),
                (server, client, self._is_response_faulty),
            ):
                threading.Thread(target=_pump, args=(source, target, watch, vanished), daemon=True).start()

    def _is_request_faulty(self, chunk: bytes) -> NetworkFault:
        return self._apply_fault(COMMIT in chunk, NetworkFault.BEFORE_COMMIT, NetworkFault.COMMIT_VANISHES)

    def _is_response_faulty(self, chunk: bytes) -> NetworkFault:
        return self._apply_fault(COMMITTED in chunk, NetworkFault.AFTER_COMMIT, NetworkFault.ANSWER_VANISHES)

    def _apply_fault(self, is_here: bool, *ways: NetworkFault) -> NetworkFault:
        with self._lock:
            if not is_here or self._armed not in ways:
                return NetworkFault.NOWHERE
            struck, self._armed = self._armed, NetworkFault.NOWHERE
        self.broke.set()
        return struck


def _pump(
    source: socket.socket,
    target: socket.socket,
    watch: Callable[[bytes], NetworkFault],
    vanished: threading.Event,
) -> None:
    with suppress(OSError):  # the other pump, or `repair`, cut it
        while chunk := source.recv(_CHUNK):
            struck = watch(chunk)
            if struck in {NetworkFault.BEFORE_COMMIT, NetworkFault.AFTER_COMMIT}:
                break
            if struck is not NetworkFault.NOWHERE:
                vanished.set()
            if not vanished.is_set():
                target.sendall(chunk)
    if not vanished.is_set():
        _cut(target)
        _cut(source)


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):  # it was not connected any more
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
