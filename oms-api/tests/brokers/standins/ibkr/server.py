"""The stand-in as a server on the loopback address: in a thread of the tests, or as a program."""

import asyncio
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from tests.brokers.standins.ibkr.exchange import Exchange
from tests.brokers.standins.ibkr.faults import Faults
from tests.brokers.standins.ibkr.messages import Part, build_error
from tests.brokers.standins.ibkr.session import Session

LOOPBACK = "127.0.0.1"
ACCOUNT = "DU1234567"
START_SECONDS = 30.0
CONNECTIVITY_LOST, RESTORED = 1100, 1102
_Result = TypeVar("_Result")


class StandIn:
    """A running stand-in. Use it as a context, or call `run` to serve until the process is stopped.

    The books belong to the thread of its event loop: change them by `call`.
    """

    def __init__(self, port: int = 0, account: str = ACCOUNT) -> None:
        self.faults = Faults()
        self.accounts = [account]
        self.exchange = Exchange(account, self._publish)
        self.sessions: set[Session] = set()
        self.requests: list[tuple[int, list[str]]] = []
        self._order_ids: dict[int, int] = {}
        self._is_offline = False
        self._socket = socket.create_server((LOOPBACK, port))
        self.port = int(self._socket.getsockname()[1])
        self.address = f"{LOOPBACK}:{self.port}"
        self.loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None
        self._stop = asyncio.Event()
        self._is_started = threading.Event()

    def run(self) -> None:
        """Serve until `close` is called or the program is stopped."""
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(self._serve())
        finally:
            self.loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, sock=self._socket)
        self._is_started.set()
        await self._stop.wait()
        server.close()
        for session in list(self.sessions):
            session.cut()
        await asyncio.sleep(0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.faults.refuses_connections:
            writer.transport.abort()
            return
        session = Session(self, reader, writer)
        self.sessions.add(session)
        await session.run()

    def _publish(self, client_id: int, parts: list[Part]) -> None:
        for session in self.sessions:
            if session.client_id == client_id and not self._is_offline:
                session.send(parts)

    def generate_order_id(self, client_id: int) -> int:
        return self._order_ids.get(client_id, 0) + 1

    def note_order_id(self, client_id: int, order_id: int) -> None:
        self._order_ids[client_id] = max(self._order_ids.get(client_id, 0), order_id)

    def continue_numbers(self) -> None:
        """Give out numbers that no order has."""
        for order in self.exchange.orders:
            self.note_order_id(order.client_id, order.id)
        self.exchange.continue_numbers()

    # From other threads

    def call(self, function: Callable[[], _Result]) -> _Result:
        """Call a function in the thread of the stand-in, and return its result."""

        async def run() -> _Result:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(START_SECONDS)

    def _call_sessions(self, function: Callable[[Session], None]) -> None:
        def run() -> None:
            for session in list(self.sessions):
                function(session)

        self.call(run)

    def quote(self, name: str, bid: str, ask: str) -> None:
        self.call(lambda: self.exchange.quote(name, bid, ask))

    def cut(self) -> None:
        """Cut all connections, as a restart of TWS does."""
        self._call_sessions(Session.cut)

    def release(self) -> None:
        """End `is_held`, and send the messages that were held back."""
        self.faults.is_held = False
        self._call_sessions(Session.release)

    def announce(self, code: int, text: str = "") -> None:
        """Send a message that is about no request: 1100, 1102, 10197."""
        self._call_sessions(lambda session: session.send(build_error(-1, code, text)))

    def lose_connectivity(self) -> None:
        """Lose the connection between TWS and IBKR. Events of orders are lost until it is restored."""
        self.announce(CONNECTIVITY_LOST, "Connectivity between IBKR and Trader Workstation has been lost.")
        self._is_offline = True

    def restore_connectivity(self) -> None:
        self._is_offline = False
        self.announce(RESTORED, "Connectivity between IBKR and TWS has been restored - data maintained.")

    def clear(self) -> None:
        """Forget all orders, faults and requests, and cut the connections."""
        self.faults.clear()
        self._is_offline = False
        self.cut()
        self.call(self.exchange.clear)
        self.requests.clear()

    def start(self) -> Self:
        """Serve in a thread, and return when it is ready."""
        self._thread = threading.Thread(target=self.run, name="ibkr-stand-in", daemon=True)
        self._thread.start()
        assert self._is_started.wait(START_SECONDS), "the stand-in did not start"
        return self

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
