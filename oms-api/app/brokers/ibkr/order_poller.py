"""Read orders and executions from TWS: after a connect, and while some are missing."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta

from ib_async.objects import ExecutionFilter

from app.brokers.ibkr.gateway import Gateway
from app.brokers.ibkr.messages import MessageReceiver, RequestFailed
from app.brokers.ibkr.order_report_processor import OrderReportProcessor
from app.brokers.ibkr.rules.reports import IbkrOrderReport
from app.brokers.ibkr.rules.tracked_order import ReplacementChain
from app.clock import Now

READING_INTERVAL = timedelta(seconds=20)  # while orders or executions are missing
FILL_READING_SECONDS = 1.0  # between two readings of executions for which the end of an order waits
_LOG = logging.getLogger(__name__)
LoadChains = Callable[[], Sequence[ReplacementChain]]  # reads the replacements of earlier processes


class OrderPoller:
    """Reads orders and executions. The connection calls it in its thread."""

    gateway: Gateway

    def __init__(
        self, orders: OrderReportProcessor, receiver: MessageReceiver, now: Now, load_chains: LoadChains
    ) -> None:
        self._orders, self._receiver, self._now, self._load_chains = orders, receiver, now, load_chains
        self._next_reading = now()
        self._fill_reading: asyncio.Task[None] | None = None
        orders.on_pending_report = self._begin_reading_fills

    async def prepare_for_reports(self) -> None:
        """Read which orders were replaced."""
        self._orders.add_chains(await asyncio.to_thread(self._load_chains))

    async def synchronize(self) -> None:
        """Read executions, open orders and orders that ended. Raises ConnectionError for another account."""
        account = self._receiver.account
        if account is not None and account not in self.gateway.accounts:
            raise ConnectionError(f"TWS is not logged in to the account {account}")
        await self.read_executions()
        reports = await self.read_open_orders()
        await self._read_completed_orders()
        self._orders.finish_reading(reports)

    async def read_missing_reports(self) -> None:
        """Read again while something is missing, and repeat cancels that TWS dropped."""
        for venue_id in self._orders.pop_paced_cancels():
            self.gateway.send("cancelOrder", venue_id)
        if self._orders.list_orders_awaiting_fills():
            self._begin_reading_fills()
        now = self._now()
        if self._orders.is_reading_due and now >= self._next_reading:
            self._next_reading = now + READING_INTERVAL
            await self.synchronize()

    def note_connection_loss(self) -> None:
        """Note that the connection is lost."""
        self._orders.note_connection_loss()

    async def read_executions(self) -> None:
        """Read the executions since midnight."""
        held_orders = self._orders.list_orders_awaiting_fills()
        await self.gateway.query("executions", "reqExecutions", ExecutionFilter(), numbered=True)
        self._orders.note_reading(held_orders)

    async def read_open_orders(self) -> Sequence[IbkrOrderReport]:
        """Read the open orders of all clients of TWS."""
        return await self.gateway.query("open orders", "reqAllOpenOrders")

    async def _read_completed_orders(self) -> None:
        """Read the orders that ended. Some versions of TWS do not answer; absent orders then end later."""
        try:
            reports = await self.gateway.query(
                "completed orders", "reqCompletedOrders", False, is_vital=False
            )
        except TimeoutError:
            _LOG.warning("TWS did not list its completed orders")
            return
        for report in reports:
            self._orders.receive(report)

    def _begin_reading_fills(self) -> None:
        if self._fill_reading is None or self._fill_reading.done():
            self._fill_reading = asyncio.get_running_loop().create_task(self._read_missing_fills())

    async def _read_missing_fills(self) -> None:
        """Read executions until no end waits for them.

        If the connection is lost, `read_missing_reports` begins again.
        """
        with suppress(OSError, TimeoutError, RequestFailed):
            while self._orders.list_orders_awaiting_fills():
                await self.read_executions()
                await asyncio.sleep(FILL_READING_SECONDS)
