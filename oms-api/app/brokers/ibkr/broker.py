"""IBKR behind the interface of a broker."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from app.brokers.errors import BrokerOutcomeUnknown, BrokerUnavailable
from app.brokers.ibkr.gateway import Gateway, GatewayAddress, GatewayTimeouts
from app.brokers.ibkr.messages import MessageReceiver
from app.brokers.ibkr.order_log import OrderLog
from app.brokers.ibkr.order_readings import LoadChains, OrderReadings
from app.brokers.ibkr.rules.capabilities import find_refusal, find_replacement_refusal
from app.brokers.ibkr.rules.contracts import find_contract
from app.brokers.ibkr.rules.reports import Attachment, build_account, build_terms, get_attachment
from app.brokers.ibkr.rules.tracked_order import IbkrTrackedOrder
from app.brokers.protocol import BrokerEventRecord, OrderState
from app.brokers.remote.event_log import EventLog
from app.brokers.rules.values import (
    Account,
    BrokerEvent,
    BrokerOrder,
    BrokerPosition,
    CancelRejected,
    Charged,
    Executed,
)
from app.clock import Now, to_milliseconds, utc_now
from app.money import multiply

NAME = "ibkr"
READY_TIMEOUT_SECONDS = 5.0
_CURSORS_PER_MILLISECOND = 1000
_NOT_WORKING = "There is no such working order."
_OTHER_CLIENT = "The order was sent by another client of TWS, or under another IB_CLIENT_ID."
_HAS_EXITS = "The exits at IBKR have the quantity of their entry: cancel the order and send another one."
_TAGS = "AccountType,BuyingPower,TotalCashValue,$LEDGER:ALL"


class IbkrConnectionState(NamedTuple):
    """The state of the connection.

    `requests_left` is the number of requests that the rate limit allows at once.
    """

    is_ready: bool
    last_event_at: datetime | None
    requests_left: int
    error: str | None


class IbkrBroker:
    """Implements `Broker`. Nothing is sent before the first call.

    A request waits until TWS reports the order, so that a lost connection never leaves it without an outcome.
    """

    name = NAME
    is_in_process = False

    def __init__(
        self,
        address: GatewayAddress,
        account: str | None = None,
        portfolio_id: int = 0,
        *,
        now: Now = utc_now,
        timeouts: GatewayTimeouts = GatewayTimeouts(),  # noqa: B008  # immutable
        load_chains: LoadChains = tuple,
    ) -> None:
        self._account, self._portfolio_id, self._now = account, portfolio_id, now
        log = EventLog(to_milliseconds(now()) * _CURSORS_PER_MILLISECOND)
        self._orders = OrderLog(address.client_id, log, now)
        self._receiver = MessageReceiver(self._orders, address.client_id)
        self._receiver.account = account
        self._readings = OrderReadings(self._orders, self._receiver, now, load_chains)
        self.gateway = self._readings.gateway = Gateway(address, self._receiver, self._readings, timeouts)

    def close(self) -> None:
        """Close the connection."""
        self.gateway.close()

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each new event. It must return at once."""
        self._orders.log.subscribe(listener)

    def get_connection_state(self) -> IbkrConnectionState:
        """Return the state of the connection. It sends nothing."""
        gateway = self.gateway
        return IbkrConnectionState(
            gateway.is_ready.is_set(), self._orders.last_event_at, gateway.requests_left, gateway.last_error
        )

    # The interface of a broker

    def submit(self, order: BrokerOrder, at: datetime) -> Sequence[BrokerEvent]:
        """Submit an order. A repeated id sends nothing."""
        refusal = find_refusal(order)
        if refusal is not None:
            return self._orders.reject(order.id, refusal, at)
        self._require_ready()
        if self._orders.find(order.id) is not None:
            return ()
        account = self._account or self.get_account().number or ""
        before, losses = self._orders.log.length, self._orders.losses
        tracked = self.gateway.run(self._send(order, account))
        if not self._wait_for(lambda: tracked.is_accepted or tracked.is_closed, losses):
            raise BrokerOutcomeUnknown(f"TWS did not report the order {order.id}.")
        return self._list_events(order.id, before)

    def cancel(self, order_id: str, at: datetime) -> Sequence[BrokerEvent]:
        """Request the cancellation of an order. A repeat is harmless."""
        self._require_ready()
        tracked = self._find(order_id)
        if tracked is None or tracked.is_closed or tracked.order_id != order_id:
            return self._orders.record([CancelRejected(order_id, _NOT_WORKING, at)])
        if not tracked.venue_id:
            return self._orders.record([CancelRejected(order_id, _OTHER_CLIENT, at)])
        if tracked.held_end is not None:
            return ()  # TWS canceled it; the end follows with its last fills
        before, losses = self._orders.log.length, self._orders.losses
        tracked.is_cancel_requested, tracked.is_cancel_confirmed = True, False
        self.gateway.run(self._cancel(tracked.venue_id))
        if not self._wait_for(lambda: tracked.is_cancel_confirmed or not tracked.is_cancel_requested, losses):
            raise BrokerOutcomeUnknown(f"TWS did not report the cancellation of {order_id}.")
        return self._list_events(order_id, before)

    def replace(self, order_id: str, successor: BrokerOrder, at: datetime) -> Sequence[BrokerEvent]:
        """Request the change of an order. It keeps its id at IBKR, and gets that of `successor` here."""
        self._require_ready()
        tracked = self._find(order_id)
        refusal = self._find_replacement_refusal(tracked, order_id, successor)
        if tracked is None or refusal is not None:
            return self._orders.record([CancelRejected(order_id, refusal or _NOT_WORKING, at)])
        before, losses = self._orders.log.length, self._orders.losses
        tracked.pending = successor
        self.gateway.run(self._change(tracked, successor))
        if not self._wait_for(lambda: tracked.pending is None, losses):
            raise BrokerOutcomeUnknown(f"TWS did not report the change of {order_id}.")
        return self._list_events(order_id, before)

    def find(self, order_id: str) -> OrderState | None:
        """Return IBKR's state of an order, or None if IBKR does not know it.

        An unknown order is read again until it is known, or counts as ended.
        """
        self._require_ready()
        tracked = self._find(order_id)
        state = None if tracked is None else tracked.build_state(order_id, self._portfolio_id, self._now())
        if state is None:
            self._orders.note_absent(order_id)
        return state

    def open_orders(self) -> Sequence[BrokerOrder]:
        """Return the working orders of the account, oldest first."""
        self._require_ready()
        self.gateway.run(self._readings.read_open_orders())
        states = (
            order.build_state(order.order_id, self._portfolio_id, self._now())
            for order in self._orders.list_orders()
        )
        return [state.order for state in states if state and state.is_open and not state.is_waiting]

    def list_positions(self) -> Sequence[BrokerPosition]:
        """Return the open positions."""
        self._require_ready()
        rows = self.gateway.run(self.gateway.query("positions", "reqPositions", end="cancelPositions"))
        return [
            BrokerPosition(self._portfolio_id, symbol, quantity, multiply(quantity, average))
            for account, symbol, quantity, average in rows
            if quantity and account == (self._account or account)
        ]

    def list_executions(self, order_id: str | None = None) -> Sequence[Executed]:
        """Return the fills of one order, or of all. TWS reports those since midnight."""
        self._require_ready()
        tracked = None if order_id is None else self._orders.find(order_id)
        if tracked is None or tracked.has_missing_fills:
            self.gateway.run(self._readings.read_executions())
        return self._orders.list_executions(order_id)

    def list_execution_charges(self) -> Sequence[Charged]:
        """Return the commissions that IBKR reported for the executions that are known. It sends nothing."""
        return self._orders.list_charges()

    def get_account(self) -> Account:
        """Return cash and buying power. The cash is that in the account's currency."""
        self._require_ready()
        summary = self.gateway.query(
            "account", "reqAccountSummary", "All", _TAGS, numbered=True, end="cancelAccountSummary"
        )
        rows = self.gateway.run(summary)
        self._account = self._receiver.account = self._choose_account()
        try:
            return build_account(self._account, rows)
        except ValueError:
            raise BrokerUnavailable("TWS reported figures of the account that are no amounts.") from None

    def list_events(self, after: int = 0) -> Sequence[BrokerEventRecord]:
        """Return the events after the cursor."""
        self.gateway.start()
        return self._orders.log.list_after(after)

    # In the thread of the connection

    async def _send(self, order: BrokerOrder, account: str) -> IbkrTrackedOrder:
        """Send an order, and its exits. TWS transmits nothing before the last of them."""
        number, group = self.gateway.create_number(), (order, *order.linked)
        sent: list[IbkrTrackedOrder] = []
        try:
            for member in group:
                parent = number if sent else 0
                venue_id = self.gateway.create_number() if sent else number
                sent.append(self._orders.register(member.id, venue_id, parent))
                self._place_order(
                    venue_id, member, account, member.id, Attachment(parent, is_last=member is group[-1])
                )
        except ConnectionError:
            for tracked in sent:
                self._orders.untrack(tracked)
            raise
        return sent[0]

    async def _change(self, tracked: IbkrTrackedOrder, successor: BrokerOrder) -> None:
        try:
            attachment = get_attachment(tracked.report)
            self._place_order(tracked.venue_id, successor, self._account or "", tracked.ids[0], attachment)
        except ConnectionError:
            tracked.pending = None
            raise

    def _place_order(
        self, number: int, order: BrokerOrder, account: str, ref: str, attachment: Attachment
    ) -> None:
        contract = find_contract(order.symbol, order.asset_class, order.currency, order.exchange)
        if contract is None:  # the table of capabilities has refused it
            raise ConnectionError(order.symbol)
        self.gateway.place_order(number, contract, build_terms(order, account, ref, attachment))

    async def _cancel(self, venue_id: int) -> None:
        self.gateway.send("cancelOrder", venue_id)

    def _find(self, order_id: str) -> IbkrTrackedOrder | None:
        """Return an order, which is read if it is not known."""
        tracked = self._orders.find(order_id)
        if tracked is None or (tracked.report is None and not tracked.is_closed):
            self.gateway.run(self._readings.synchronize())
            tracked = self._orders.find(order_id)
        return tracked

    def _find_replacement_refusal(
        self, tracked: IbkrTrackedOrder | None, order_id: str, successor: BrokerOrder
    ) -> str | None:
        if tracked is None or tracked.is_ending or tracked.report is None or tracked.order_id != order_id:
            return _NOT_WORKING
        if not tracked.venue_id:
            return _OTHER_CLIENT
        if successor.quantity <= tracked.filled:
            return "The order has filled that quantity already: cancel the order to end it."
        if successor.quantity != tracked.report.quantity and self._orders.has_exits(tracked):
            return _HAS_EXITS
        order = tracked.report.build_order(order_id, tracked.filled, self._portfolio_id, self._now())
        return find_replacement_refusal(order, successor)

    def _choose_account(self) -> str:
        accounts = self.gateway.accounts
        if self._account is None and len(accounts) > 1:
            raise BrokerUnavailable("TWS is logged in to several accounts: name the account.")
        return self._account if self._account in accounts else accounts[0]

    def _wait_for(self, condition: Callable[[], bool], losses: int) -> bool:
        return self._orders.wait_for(condition, losses, self.gateway.timeouts.response)

    def _list_events(self, order_id: str, before: int) -> list[BrokerEvent]:
        return [event for event in self._orders.log.list_since(before) if event.order_id == order_id]

    def _require_ready(self) -> None:
        gateway = self.gateway
        gateway.start()
        if not gateway.is_ready.wait(READY_TIMEOUT_SECONDS if gateway.last_error is None else 0):
            reason = gateway.last_error or "it is not connected yet"
            raise BrokerUnavailable(f"TWS is not connected: {reason}. Nothing was sent.")
