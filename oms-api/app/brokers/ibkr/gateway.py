"""The socket connection with TWS or IB Gateway. Its event loop runs in a separate thread.

The library ib_async serializes and parses the messages, and keeps below the rate limit of TWS.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, NamedTuple, Protocol, TypeVar

from ib_async.client import Client
from ib_async.contract import Contract
from ib_async.order import Order

from app.brokers.errors import BrokerUnavailable
from app.brokers.ibkr.decoder import StrictDecoder
from app.brokers.ibkr.messages import MalformedAnswer, MessageReceiver, RequestFailed
from app.brokers.ibkr.rules.contracts import ContractTerms
from app.clock import monotonic_seconds

MAX_REQUESTS_PER_SECOND = 45  # TWS takes 50
HEARTBEAT_SECONDS = 5.0
_FIRST_WAIT_SECONDS, _MAX_WAIT_SECONDS = 0.5, 15.0
_NO_LOGIN = "nothing at {}:{} answers as TWS does: check the address"
_Result = TypeVar("_Result")
_LOG = logging.getLogger(__name__)
logging.getLogger("ib_async.client").setLevel(logging.CRITICAL)  # this module logs lost connections itself


class GatewayAddress(NamedTuple):
    """The address of TWS or IB Gateway, and the number by which TWS distinguishes its clients."""

    host: str
    port: int
    client_id: int


class GatewayTimeouts(NamedTuple):
    """The timeouts for the connection, and for an answer, in seconds."""

    connect: float = 10.0
    response: float = 10.0


class GatewayListener(Protocol):
    """The callbacks of the connection, which it calls in its thread."""

    async def prepare_for_reports(self) -> None:
        """Get ready for the orders that TWS reports as soon as it is connected."""

    async def synchronize(self) -> None:
        """Read orders and executions after a connect."""

    async def read_missing_reports(self) -> None:
        """Read the orders and executions that are missing. It is called every few seconds."""

    def note_connection_loss(self) -> None:
        """Note that the connection is lost."""


class Gateway:
    """Keeps the connection, and connects again when it is lost, for example at the daily restart of TWS."""

    def __init__(
        self,
        address: GatewayAddress,
        receiver: MessageReceiver,
        listener: GatewayListener,
        timeouts: GatewayTimeouts,
    ) -> None:
        self.timeouts = timeouts
        self._limit = 4 * timeouts.response + timeouts.connect  # for steps of several requests
        self.accounts: list[str] = []
        self.is_ready = threading.Event()
        self.last_error: str | None = None
        self._address, self._receiver, self._listener = address, receiver, listener
        self._client: Any = None  # the library's client has no type annotations
        self._loop = asyncio.new_event_loop()
        self._lost: asyncio.Event = asyncio.Event()
        self._queries = asyncio.Lock()
        self._times: deque[float] = deque()
        self._thread: threading.Thread | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._is_stopped = False

    def start(self) -> None:
        """Connect in the background. A second call has no effect."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="ibkr-gateway", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Close the connection and end the thread."""
        if self._thread is None:
            self._loop.close()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop)
            self._thread.join(self.timeouts.connect)

    @property
    def requests_left(self) -> int:
        """The requests that can be sent at once."""
        since = monotonic_seconds() - 1
        return max(MAX_REQUESTS_PER_SECOND - sum(at > since for at in list(self._times)), 0)

    def run(self, steps: Coroutine[Any, Any, _Result]) -> _Result:
        """Run a coroutine in the thread of the connection. Raises BrokerUnavailable if it fails."""
        try:
            return asyncio.run_coroutine_threadsafe(steps, self._loop).result(self._limit)
        except (ConnectionError, TimeoutError, RequestFailed) as error:
            raise BrokerUnavailable(f"TWS did not answer: {error}.") from None

    # In the thread of the connection

    def send(self, name: str, *values: Any) -> None:
        """Send a request of the API. Raises ConnectionError if there is no connection."""
        if self._client is None:
            raise ConnectionError("not connected")
        getattr(self._client, name)(*values)
        self._times.append(monotonic_seconds())
        while len(self._times) > MAX_REQUESTS_PER_SECOND:
            self._times.popleft()

    async def query(
        self,
        key: str,
        name: str,
        *values: Any,
        numbered: bool = False,
        end: str | None = None,
        is_vital: bool = True,
    ) -> list[Any]:
        """Send a request and return the rows of its answer, one request at a time.

        `end` is the request that ends a subscription. Without an answer to a vital request, or with an answer
        that is not understood, the connection is given up: the rest could be taken for the answer to the next
        request.
        """
        async with self._queries:
            number = self.create_number() if numbered else None
            answer = self._receiver.expect_answer(key, number)
            sent = values if number is None else (number, *values)
            self.send(name, *sent)
            try:
                rows = await asyncio.wait_for(answer, self.timeouts.response)
            except TimeoutError:
                if is_vital:
                    self.drop_connection(f"no answer to {name}")
                raise
            except MalformedAnswer as error:
                self.drop_connection(f"TWS did not answer: {error}")
                raise
            if end is not None:
                self.send(end, *(sent[:1] if numbered else ()))
            return rows

    def create_number(self) -> int:
        """Return the next number of an order or a request."""
        if self._client is None or not self._client.isReady():
            raise ConnectionError("not connected")
        return int(self._client.getReqId())

    def place_order(self, number: int, contract: ContractTerms, terms: dict[str, Any]) -> None:
        """Send an order, or the new terms of the order that has this number."""
        ib_contract = Contract(
            symbol=contract.symbol, secType=contract.sec_type, exchange=contract.exchange,
            currency=contract.currency, primaryExchange=contract.primary_exchange,
        )  # fmt: skip
        self.send("placeOrder", number, ib_contract, Order(**terms))

    def note_connectivity(self, problem: str | None) -> None:
        """Note that TWS lost its own connection with IBKR, or has it again."""
        if problem is None:
            self._loop.create_task(self._restore())
        else:
            self.is_ready.clear()
            self.last_error = problem
            self._listener.note_connection_loss()

    def drop_connection(self, problem: str) -> None:
        """Close the connection, and connect again. The first problem is the cause of the others."""
        if not self._lost.is_set():
            self.last_error = problem
        self._lost.set()
        self._receiver.fail_requests(ConnectionError(problem))  # no answer will arrive

    def _stop(self) -> None:
        # Before Python 3.12, `wait_for` can lose a cancellation. The gateway would then keep its client ID.
        self._is_stopped = True
        if self._keeper is not None:
            self._keeper.cancel()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._keeper = self._loop.create_task(self._keep_connected())
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._keeper)
        pending_tasks = asyncio.all_tasks(self._loop)
        for task in pending_tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*pending_tasks, return_exceptions=True))
        self._loop.close()

    async def _keep_connected(self) -> None:
        wait = _FIRST_WAIT_SECONDS
        while not self._is_stopped:
            self._lost = asyncio.Event()
            try:
                await self._connect()
                wait = _FIRST_WAIT_SECONDS
                await self._watch()
            except (OSError, TimeoutError, RequestFailed) as error:
                self._note_error(str(error) or type(error).__name__)
            except Exception:  # noqa: BLE001  # it must be tried again after any failure
                _LOG.exception("the connection with TWS failed")
            finally:
                self._disconnect()
            await asyncio.sleep(0 if self._is_stopped else wait)
            wait = min(wait * 2, _MAX_WAIT_SECONDS)

    async def _connect(self) -> None:
        host, port, client_id = self._address
        await self._listener.prepare_for_reports()
        self._client = Client(self._receiver)  # type: ignore[no-untyped-call]
        self._client.MaxRequests = MAX_REQUESTS_PER_SECOND
        self._client.decoder = StrictDecoder(self._receiver)
        self._receiver.use_connection(self)
        connect = asyncio.ensure_future(
            self._client.connectAsync(host, port, client_id, self.timeouts.connect)
        )
        loss = asyncio.ensure_future(self._lost.wait())
        try:
            await asyncio.wait({connect, loss}, return_when=asyncio.FIRST_COMPLETED)
            if connect.done() and isinstance(connect.exception(), TimeoutError):
                raise ConnectionError(_NO_LOGIN.format(host, port))  # it is the cause of the loss
            if loss.done():
                raise ConnectionError(self.last_error)
            await connect
        finally:
            for task in (connect, loss):
                task.cancel()
            await asyncio.gather(connect, loss, return_exceptions=True)
        self.accounts = list(self._client.getAccounts())
        await self._restore()

    async def _restore(self) -> None:
        """Read the orders and executions that may have been missed, then allow orders to be sent."""
        try:
            await self._listener.synchronize()
        except (OSError, TimeoutError, RequestFailed) as error:
            self.drop_connection(str(error) or type(error).__name__)
            return
        self.last_error = None
        self.is_ready.set()

    async def _watch(self) -> None:
        """Return when the connection is lost."""
        while not self._lost.is_set() and not self._is_stopped:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._lost.wait(), HEARTBEAT_SECONDS)
                return
            await self.query("time", "reqCurrentTime")
            if self.is_ready.is_set():
                await self._listener.read_missing_reports()

    def _note_error(self, problem: str) -> None:
        if problem != self.last_error:
            _LOG.warning("no connection with TWS: %s", problem)
        self.last_error = problem

    def _disconnect(self) -> None:
        self.is_ready.clear()
        self.last_error = self.last_error or "The connection was closed."
        client, self._client = self._client, None
        if client is not None:
            with suppress(OSError, RuntimeError):  # it may be closed already
                client.disconnect()
        self._receiver.fail_requests(ConnectionError("the connection was lost"))
        self._listener.note_connection_loss()
