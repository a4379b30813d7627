"""Decides which worker process serves a direct request, and forwards it there."""

import asyncio
import logging
import multiprocessing
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from zlib import crc32

from app.forwarding.frames import DECLINED_STATUS, ResponseFrame
from app.forwarding.peer_connection import Handlers, PeerConnection
from app.forwarding.peer_listener import PeerListener, ServeExchange
from app.forwarding.worker_slots import WorkerSlots
from app.http.direct_routes import DirectRequest, RequestInfo

PartitionKey = Callable[[RequestInfo], bytes | None]
CountOutcome = Callable[[str], None]
RETRY_SECONDS = 0.25
CLOSE_SECONDS = 16.0
SUPERVISOR_CHECK_SECONDS = 1.0
_LOG = logging.getLogger(__name__)


class Forwarder:
    """Forwards direct requests to the workers of their partitions.

    `partition_keys` maps (method, path) to a function that returns the key of a request's partition, or None
    if this worker must serve the request. Requests of one key always have the same worker. `count` counts the
    outcomes of forwarded requests: "answered", "declined" or "lost".
    """

    def __init__(
        self, slots: WorkerSlots, partition_keys: Mapping[tuple[str, str], PartitionKey], count: CountOutcome
    ) -> None:
        self._slots = slots
        self._count = count
        self._partition_keys = partition_keys
        self._number: int | None = None
        self._connections: list[PeerConnection | None] = [None] * slots.count
        self._listener: PeerListener | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_connected(self) -> bool:
        """Whether this worker can forward requests to each other worker."""
        return all(
            number == self._number or (connection is not None and connection.is_ready)
            for number, connection in enumerate(self._connections)
        )

    async def start(self, serve_request: ServeExchange) -> None:
        """Take a slot as soon as one is free, listen on its socket, and connect to the other workers."""
        self._tasks = [asyncio.create_task(self._take_slot(serve_request))]
        self._tasks += [
            asyncio.create_task(self._keep_connected(number)) for number in range(self._slots.count)
        ]
        if (supervisor := multiprocessing.parent_process()) is not None:
            self._tasks.append(asyncio.create_task(_stop_after(supervisor)))

    async def close(self) -> None:
        """Finish the forwarded requests of other workers, and release the slot."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._listener is not None:
            await self._listener.close(CLOSE_SECONDS)
        for connection in self._connections:
            if connection is not None:
                connection.close()
        self._slots.release()

    def forward(
        self, direct_request: DirectRequest, request: RequestInfo, serve_here: Callable[[], None],
        report_unknown: Callable[[], None],
    ) -> bool:  # fmt: skip
        """Forward a request to the worker of its partition. Return False if this worker must serve it.

        `serve_here` is called if the other worker declines it. `report_unknown` is called if that worker
        stopped or hangs: it may still commit the request, so that this worker must not refuse it.
        """
        find_key = self._partition_keys.get(("POST", request.path))
        key = None if find_key is None else find_key(request)
        if key is None:
            return False
        number = crc32(key) % self._slots.count
        connection = self._connections[number]
        if number == self._number or connection is None or not connection.is_ready:
            return False

        def answer(response: ResponseFrame) -> None:
            if response.status == DECLINED_STATUS:
                self._count("declined")
                serve_here()
            else:
                self._count("answered")
                direct_request.respond(
                    direct_request.exchange, response.status, response.fields, response.body
                )

        def handle_loss() -> None:
            self._count("lost")
            report_unknown()

        client = direct_request.exchange.scope["client"]
        return connection.send(
            "POST",
            request.path,
            client[0] if client else "",
            request.headers,
            request.body,
            Handlers(answer, handle_loss),
        )

    async def _take_slot(self, serve_request: ServeExchange) -> None:
        while True:
            number = self._slots.acquire()
            if number is not None:
                break
            await asyncio.sleep(RETRY_SECONDS)
        path = self._slots.get_socket_path(number)
        with suppress(FileNotFoundError):
            path.unlink()  # its previous worker was killed
        listener = PeerListener(serve_request)
        try:
            await listener.start(str(path))
        except OSError:
            _LOG.exception("requests cannot be forwarded to this worker process")
            return
        self._listener, self._number = listener, number

    async def _keep_connected(self, number: int) -> None:
        """Connect to the worker of a slot, and again whenever the connection ends."""
        while True:
            if number != self._number:
                connection = await _connect_peer(self._slots.get_socket_path(number))
                if connection is not None:
                    self._connections[number] = connection
                    await connection.closed
                    self._connections[number] = None
            await asyncio.sleep(RETRY_SECONDS)


async def _stop_after(supervisor: BaseProcess) -> None:
    """Stop this worker when its supervisor has been killed. It would otherwise keep the port forever."""
    while True:
        await asyncio.sleep(SUPERVISOR_CHECK_SECONDS)
        if not supervisor.is_alive():
            _LOG.error("the supervisor ended: this worker process stops")
            signal.raise_signal(signal.SIGTERM)
            return


async def _connect_peer(path: Path) -> PeerConnection | None:
    with suppress(OSError):
        _, connection = await asyncio.get_running_loop().create_unix_connection(PeerConnection, str(path))
        return connection
    return None
