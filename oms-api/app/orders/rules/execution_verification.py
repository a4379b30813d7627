"""Verify an execution against its order, its trade in the ledger and the history row that it caused."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple, Protocol

from app.costs.rules.booked_charges import InvalidCharges, parse_components
from app.ledger.rules.verification import Finding
from app.money import ZERO, format_fixed
from app.orders.rules.execution_ids import BUST
from app.orders.rules.rows import ExecutionRow, OrderEvent
from app.orders.rules.values import Order
from app.orders.rules.verification import OrderCheck

TradeColumns = Mapping[str, str | int | None]  # the values of a trade by column


class StoredTrade(Protocol):
    """The ledger's trade of an execution; see `ledger.rules.chain.TradeRow`."""

    def _asdict(self) -> dict[str, str | int | None]: ...


class ExecutionHistoryNote(NamedTuple):
    """The execution id of a history row, and the note of the execution (late, over, stray or None)."""

    execution_id: str
    note: str | None


def find_trade_differences(order: Order, row: ExecutionRow, trade: StoredTrade | None) -> Iterator[Finding]:
    """Yield the differences between an execution, its trade and its order."""
    if trade is None:
        yield _build_finding(row, "trade_id", row.trade_id, "a trade of the ledger")
        return
    trade_values = trade._asdict()
    find_differences = _find_bust_differences if row.note == BUST else _find_fill_differences
    yield from find_differences(order, row, trade_values)
    yield from _find_charge_differences(row, trade_values["charges"])
    pairs = (("portfolio_id", row.portfolio_id, order.portfolio_id), ("broker", row.broker, order.broker))
    for name, stored, expected in pairs:
        if stored != expected:
            yield _build_finding(row, name, stored, expected)


def _find_fill_differences(order: Order, row: ExecutionRow, trade_values: TradeColumns) -> Iterator[Finding]:
    for name, execution_value in _list_execution_values(row).items():
        if trade_values[name] != execution_value:
            yield _build_finding(row, name, execution_value, trade_values[name])
    for name, execution_value in _list_order_values(order).items():
        if trade_values[name] != execution_value:
            yield Finding(OrderCheck.TRADE, name, execution_value, trade_values[name])


def _find_bust_differences(order: Order, row: ExecutionRow, trade_values: TradeColumns) -> Iterator[Finding]:
    """Yield the differences between a bust and the ledger's reversal, which has the opposite side."""
    shared_names = ("portfolio_id", "symbol", "price", "executed_at")
    expected_values = {name: getattr(row, name) for name in shared_names} | {
        "side": "SELL" if row.side == "BUY" else "BUY",
        "quantity": format_fixed(-Decimal(row.quantity)),
        "gmv": format_fixed(-Decimal(row.value)),
        "product": order.product,
        "order_id": None,
    }
    for name, expected in expected_values.items():
        if trade_values[name] != expected:
            yield _build_finding(row, name, expected, trade_values[name])


def find_execution_note_differences(
    rows: Sequence[ExecutionRow], history: Sequence[ExecutionHistoryNote]
) -> Iterator[Finding]:
    """Yield the differences between the executions and the order events of an order or of a chain."""
    notes: Mapping[str, str | None] = {row.execution_id: row.note for row in rows}
    event_notes = {event.execution_id: event.note for event in history}
    for execution_id in dict.fromkeys((*notes, *event_notes)):
        if execution_id not in event_notes:
            yield Finding(OrderCheck.TRADE, "execution_id", execution_id, "the execution of an order event")
        elif execution_id not in notes:
            expected_id = f"the execution {execution_id} of an order event"
            yield Finding(OrderCheck.TRADE, "execution_id", "none", expected_id)
        elif notes[execution_id] != event_notes[execution_id]:
            stored, expected = notes[execution_id], event_notes[execution_id]
            yield Finding(OrderCheck.TRADE, f"note of execution {execution_id}", stored, expected)


def list_execution_notes(history: Sequence[OrderEvent]) -> list[ExecutionHistoryNote]:
    """Return the notes of the history rows that executions caused."""
    return [
        ExecutionHistoryNote(event.execution_id, event.reason)
        for event in history
        if event.execution_id is not None
    ]


def _find_charge_differences(row: ExecutionRow, trade_charges: str | int | None) -> Iterator[Finding]:
    try:
        total = format_fixed(sum(parse_components(row.charges).values(), ZERO))
    except InvalidCharges:
        yield _build_finding(row, "charges", row.charges, "an object of amounts")
        return
    if total != trade_charges:
        yield _build_finding(row, "charges", total, trade_charges)


def _list_execution_values(row: ExecutionRow) -> dict[str, str | int | None]:
    shared_names = ("order_id", "portfolio_id", "symbol", "side", "quantity", "price", "executed_at")
    return {name: getattr(row, name) for name in shared_names} | {"gmv": row.value}


def _list_order_values(order: Order) -> dict[str, str | int | None]:
    shared_names = ("symbol", "product", "side", "source", "user_id", "actor")
    return {name: getattr(order, name) for name in shared_names} | {"note": order.reason}


def _build_finding(
    row: ExecutionRow, name: str, stored: str | int | None, expected: str | int | None
) -> Finding:
    return Finding(OrderCheck.TRADE, f"{name} of execution {row.execution_id}", stored, expected)
