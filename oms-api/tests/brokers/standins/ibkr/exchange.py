"""The books of the stand-in: quotes, orders, executions, positions and cash."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.brokers.standins.ibkr import oca_groups
from tests.brokers.standins.ibkr.messages import (
    Part,
    build_commission_report,
    build_error,
    build_execution,
    build_open_order,
    build_order_status,
)
from tests.brokers.standins.ibkr.values import ZERO, Contract, Execution, Order, Quote, Refusal

OPENING_CASH = Decimal(1_000_000)
COMMISSION = Decimal("1.00")
_FIRST_PERM_ID = 900_000_001
_CHANGEABLE = ("quantity", "kind", "limit_price", "aux_price", "tif", "trail_stop_price", "good_till_date")
Publish = Callable[[int, list[Part]], None]  # sends a message to the client of that id


class Exchange:
    """The account and its market. `StandIn.call` runs functions in its thread."""

    def __init__(self, account: str, publish: Publish) -> None:
        self.account, self._publish = account, publish
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.holds_commissions = False
        self.clear()

    def clear(self) -> None:
        """Forget everything but the numbers that were given out."""
        self.orders: list[Order] = []
        self.untransmitted: list[Order] = []
        self.keeps_children = False  # whether the exits of an entry that ends after a part work
        self.quotes: dict[str, Quote] = {}
        self.cash: dict[str, Decimal] = {"USD": OPENING_CASH}
        self.positions: dict[Contract, tuple[Decimal, Decimal]] = {}  # quantity and its cost
        self.max_fill: Decimal | None = None
        self.crossing: dict[str, str] = {}  # by reference: fill at the next cancel or change
        self.holds_executions = False  # until `report_executions`, as when a cancel is reported before them
        self.held_executions: list[Execution] = []
        self.keeps_reductions = False  # whether a change of an order counts from the size that it had first
        self.holds_commissions = False
        self._perm_ids = itertools.count(_FIRST_PERM_ID)
        self._numbers = itertools.count(1)
        self._started = f"{datetime.now(UTC):%H%M%S%f}"

    def continue_numbers(self) -> None:
        """Give out numbers that no order has."""
        last = max((order.perm_id for order in self.orders), default=_FIRST_PERM_ID)
        self._perm_ids = itertools.count(last + 1)

    def quote(self, name: str, bid: str, ask: str) -> None:
        """Set the prices of AAPL or EURUSD, and fill the orders that they reach."""
        self.quotes[name] = Quote(Decimal(bid), Decimal(ask))
        for order in [resting for resting in self.orders if resting.contract.name == name]:
            self._match(order)

    @property
    def executions(self) -> list[Execution]:
        return [execution for order in self.orders for execution in order.executions]

    def generate_perm_id(self) -> int:
        return next(self._perm_ids)

    def find(self, client_id: int, order_id: int) -> Order | None:
        orders = (order for order in self.orders if (order.client_id, order.id) == (client_id, order_id))
        return next(orders, None)

    def _find_parent(self, order: Order) -> Order | None:
        return self.find(order.client_id, order.parent_id) if order.parent_id else None

    def find_by_ref(self, ref: str) -> Order:
        return next(order for order in self.orders if order.ref == ref)

    def submit(self, order: Order, *, is_matched: bool = True) -> None:
        """Accept an order, or change the order of the same id."""
        earlier_order = self.find(order.client_id, order.id)
        if earlier_order is None and not order.is_transmitted:
            self.untransmitted.append(order)
            return
        if earlier_order is None and order.parent_id:
            self._transmit(order)
        if earlier_order is not None:
            self._cross()
            order = self._modify(earlier_order, order)
        elif self._is_orphan(order):
            self.reject(order, "The parent order does not work.")
        elif oca_groups.is_filled(self.orders, order):
            self.reject(order, "OCA group is already filled.")
        else:
            oca_groups.rename(order, self._find_parent(order))
            is_working = order.kind in {"MKT", "LMT"} and not order.parent_id
            order.status = "Submitted" if is_working else "PreSubmitted"
            self.orders.append(order)
        self.publish_state(order)
        if is_matched:
            self._match(self._find_parent(order) or order)

    def reject(self, order: Order, reason: str) -> None:
        order.status = "Inactive"
        self.orders.append(order)
        self._publish(order.client_id, build_error(order.id, 201, f"Order rejected - reason:{reason}"))
        self.publish_state(order)

    def cancel(self, order: Order, reason: str = "") -> None:
        """Cancel an open order. Raises Refusal."""
        self._cross()
        if not order.is_open:
            text = (
                f"OrderId {order.id} that needs to be cancelled cannot be cancelled, state: {order.status}."
            )
            raise Refusal(10148, text)
        order.status = "Cancelled"
        self._publish(order.client_id, build_order_status(order))
        self._publish(order.client_id, build_error(order.id, 202, f"Order Canceled - reason:{reason}"))
        for child in self._list_children(order):
            if child.is_open and self.keeps_children and order.filled:
                self.publish_state(child)
            elif child.is_open:
                self.cancel(child, "The parent order was cancelled.")

    def fill(self, order: Order, quantity: str, price: str) -> Execution:
        """Fill a part of an order."""
        amount = Decimal(quantity)
        order.filled += amount
        order.value += amount * Decimal(price)
        order.status = "Filled" if order.remaining <= ZERO else order.status
        execution = Execution(
            f"{self._started}.{next(self._numbers):08x}.01.01",
            *(order, amount, Decimal(price), order.filled, self.now(), COMMISSION),
        )
        order.executions.append(execution)
        self._book(order, amount, Decimal(price))
        if self.holds_executions:
            self.held_executions.append(execution)
        else:
            self._report(execution)
        self._reduce_group(order, amount)
        self._activate_children(order)
        return execution

    def report_executions(self) -> None:
        """Report the executions that were held back, and hold back no others."""
        executions, self.held_executions, self.holds_executions = self.held_executions, [], False
        for execution in executions:
            self._report(execution)

    def _report(self, execution: Execution) -> None:
        self._publish(execution.order.client_id, build_execution(-1, execution))
        self.publish_state(execution.order)
        if not self.holds_commissions:
            self.charge(execution)

    def _cross(self) -> None:
        """Apply the fills that happen while a request is on its way."""
        crossing, self.crossing = self.crossing, {}
        for order in [resting for resting in self.orders if resting.ref in crossing and resting.is_open]:
            quantity = min(Decimal(crossing[order.ref]), order.remaining)
            self.fill(order, str(quantity), order.limit_price or order.aux_price)

    def drop_untransmitted(self, client_id: int) -> None:
        """Forget the orders that a client did not transmit."""
        self.untransmitted = [order for order in self.untransmitted if order.client_id != client_id]

    def _transmit(self, last: Order) -> None:
        """Let the orders work that wait for the last one of their group."""
        own_orders = [order for order in self.untransmitted if order.client_id == last.client_id]
        for order in [resting for resting in own_orders if last.parent_id in {resting.id, resting.parent_id}]:
            self.untransmitted.remove(order)
            order.is_transmitted = True
            self.submit(order, is_matched=False)

    def _is_orphan(self, order: Order) -> bool:
        parent = self._find_parent(order)
        return order.parent_id > 0 and (parent is None or parent.status in {"Cancelled", "Inactive"})

    def _is_waiting(self, order: Order) -> bool:
        """Return whether an order is held until its parent has filled completely."""
        parent = self._find_parent(order)
        return parent is not None and parent.is_open

    def _list_children(self, parent: Order) -> list[Order]:
        return [
            order
            for order in self.orders
            if (order.client_id, order.parent_id) == (parent.client_id, parent.id)
        ]

    def _activate_children(self, parent: Order) -> None:
        for child in self._list_children(parent) if parent.status == "Filled" else []:
            child.status = "Submitted" if child.kind == "LMT" else child.status
            self.publish_state(child)
            self._match(child)

    def _reduce_group(self, filled: Order, amount: Decimal) -> None:
        """Reduce the other orders of an OCA group by a fill, or cancel those without a rest.

        An order that joins the group later keeps its quantity.
        """
        for order in [resting for resting in oca_groups.list_others(self.orders, filled) if resting.is_open]:
            if order.oca_type == "1" or order.remaining <= amount or filled.status == "Filled":
                self.cancel(order, "OCA group")
            else:
                order.quantity -= amount
                order.reduction += amount
                self.publish_state(order)

    def charge(self, execution: Execution) -> None:
        """Send the commission report of an execution."""
        if not execution.is_charged:
            currency = execution.order.contract.currency
            self.cash[currency] = self.cash.get(currency, ZERO) - execution.commission
        execution.is_charged = True
        self._publish(execution.order.client_id, build_commission_report(execution))

    def correct(self, execution: Execution, quantity: str, price: str) -> Execution:
        """Correct an execution: the same id with a higher number at its end. The quantity 0 means a bust."""
        base, _, number = execution.id.rpartition(".")
        order, changed = execution.order, Decimal(quantity)
        corrected = replace(
            execution, id=f"{base}.{int(number) + 1:02d}", quantity=changed, price=Decimal(price)
        )
        order.executions[order.executions.index(execution)] = corrected
        self._book(order, -execution.quantity, execution.price)
        self._book(order, changed, corrected.price)
        order.filled += changed - execution.quantity
        order.value += changed * corrected.price - execution.quantity * execution.price
        self._publish(order.client_id, build_execution(-1, corrected))
        return corrected

    def publish_state(self, order: Order) -> None:
        """Send the order to its client."""
        self._publish(order.client_id, build_open_order(order))
        self._publish(order.client_id, build_order_status(order))

    def _modify(self, order: Order, changed: Order) -> Order:
        if not order.is_open:
            raise Refusal(104, "Cannot modify a filled order.")
        if changed.quantity <= order.filled:
            raise Refusal(201, "Order rejected - reason:The quantity is filled already.")
        try:
            oca_groups.require_same_links(order, changed, self._find_parent(changed))
        except oca_groups.RevisedGroup:
            order.status = "Cancelled"
            self.publish_state(order)
            raise
        terms: dict[str, Any] = {
            name: getattr(changed, name)
            for name in (
                "quantity",
                "kind",
                "limit_price",
                "aux_price",
                "tif",
                "trail_stop_price",
                "good_till_date",
            )
        }
        for name, value in terms.items():
            setattr(order, name, value)
        if self.keeps_reductions:
            order.quantity -= order.reduction
        else:
            order.reduction = ZERO
        return order

    def _match(self, order: Order) -> None:
        quote = self.quotes.get(order.contract.name)
        is_idle = not order.is_open or self._is_waiting(order)
        price = None if quote is None or is_idle else _find_price(order, quote)
        if price is not None:
            amount = order.remaining if self.max_fill is None else min(order.remaining, self.max_fill)
            self.fill(order, str(amount), str(price))

    def _book(self, order: Order, amount: Decimal, price: Decimal) -> None:
        signed, currency = order.sign * amount, order.contract.currency
        self.cash[currency] = self.cash.get(currency, ZERO) - signed * price
        quantity, cost = self.positions.get(order.contract, (ZERO, ZERO))
        self.positions[order.contract] = (quantity + signed, cost + signed * price)


def _find_price(order: Order, quote: Quote) -> Decimal | None:
    """Return the price at which the quote fills an order, None if it does not."""
    price = quote.ask if order.sign > 0 else quote.bid
    if order.kind == "MKT":
        return price
    if order.kind == "LMT":
        limit = Decimal(order.limit_price)
        return price if (limit - price) * order.sign >= 0 else None
    if order.kind == "STP" and (price - Decimal(order.aux_price)) * order.sign >= 0:
        return price
    return None
