"""Proving the orders: their histories, what they filled, and the trades that say so too."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from sqlalchemy import Connection

from app.ledger.rules.verification import Finding
from app.ledger.service.verification import Verdict
from app.orders.queries import audit
from app.orders.queries.audit import Booked
from app.orders.rules.values import Order
from app.orders.rules.verification import (
    Filled,
    OrderCheck,
    examine_fills,
    examine_history,
    examine_most,
    examine_quantity,
    filled_by,
)

OrderKey = tuple[int, str]  # tenant id, order id


class _Chains:
    """Replaced orders and their successors: what one of them filled, the last of them tells."""

    def __init__(self) -> None:
        self._orders: dict[OrderKey, Order] = {}
        self._filled: dict[OrderKey, Filled] = {}

    def add(self, order: Order, filled: Filled) -> None:
        self._orders[order.tenant_id, order.id] = order
        self._filled[order.tenant_id, order.id] = filled

    def ends(self) -> Iterator[tuple[Order, Filled]]:
        """Yield the last order of each chain with what all of it filled."""
        for order in self._orders.values():
            if order.replaced_by is None:
                yield order, self._total(order)

    def _total(self, order: Order) -> Filled:
        total = self._filled[order.tenant_id, order.id]
        while order.replaces and (order.tenant_id, order.replaces) in self._orders:
            order = self._orders[order.tenant_id, order.replaces]
            total = total.plus(self._filled[order.tenant_id, order.id])
        return total


def verify_orders(connection: Connection, verdict: Verdict) -> None:
    """Check every order as `connection` sees it; it must see one moment."""
    moves = _Groups(audit.every_move(connection))
    executions = _Groups(audit.every_execution(connection))
    chains = _Chains()
    for order in audit.every_order(connection):
        key = (order.tenant_id, order.id)
        booked: list[Booked] = executions.of(key)
        filled = Filled()
        for one in booked:
            filled = filled.plus(filled_by(one.quantity, one.value, one.note))
            _blame(verdict, order, _examine_trade(one))
        findings = examine_history(order, moves.of(key)) + examine_quantity(order)
        if order.denial is None and (order.replaces or order.replaced_by):
            chains.add(order, filled)
        else:
            findings += examine_fills(order, filled) + examine_most(order, filled)
        _blame(verdict, order, findings)
        verdict.checked.update((OrderCheck.HISTORY, OrderCheck.QUANTITY, OrderCheck.FILLS))
        verdict.checked[OrderCheck.TRADE] += len(booked)
    for order, filled in chains.ends():
        _blame(verdict, order, examine_fills(order, filled) + examine_most(order, filled))
    for tenant_id, trade_id, order_id in audit.unexecuted_trades(connection):
        finding = Finding(OrderCheck.TRADE, "order_id", order_id, "an execution that names the trade")
        verdict.blame(f"trade {trade_id} of tenant {tenant_id}", [finding])


class _Groups:
    """Rows that come in the order of their orders, taken an order at a time."""

    def __init__(self, rows: Iterator[Any]) -> None:
        self._groups = groupby(rows, lambda row: (row.tenant_id, row.order_id))
        self._next = next(self._groups, None)

    def of(self, key: OrderKey) -> list[Any]:
        """Return the rows of the order; keys are asked for in ascending order."""
        while self._next is not None and self._next[0] < key:
            self._next = next(self._groups, None)
        if self._next is None or self._next[0] != key:
            return []
        rows = list(self._next[1])
        self._next = next(self._groups, None)
        return rows


def _examine_trade(one: Booked) -> list[Finding]:
    told = (one.order_id, one.quantity, one.value)
    booked = (one.trade_order_id, one.trade_quantity, one.trade_gmv)
    if told == booked:
        return []
    return [Finding(OrderCheck.TRADE, one.execution_id, str(booked), f"a trade {one.trade_id} of {told}")]


def _blame(verdict: Verdict, order: Order, findings: list[Finding]) -> None:
    if findings:
        tenant = "" if order.tenant_id == 1 else f" of tenant {order.tenant_id}"
        verdict.blame(f"order {order.id}{tenant}", findings)
