"""Collect the inputs that a running strategy has not received yet: order updates, bars and quotes."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Connection

from app.instruments.rules import InstrumentKey
from app.market_data.rules.bars import Interval, get_bar_start
from app.market_data.rules.values import Bar, Quote
from app.market_data.service import Market
from app.orders.rules.values import Order
from app.strategies.queries.live_orders import list_executions, list_own_orders, load_order_ids
from app.strategies.rules.journal import InputKind, JournalInput, NewInput
from app.strategies.rules.journal_values import serialize_bars, serialize_quote
from app.strategies.rules.values import Strategy
from app.strategies.service.order_gateway import SOURCE

HISTORY_BARS = 500  # of each symbol, shown to a strategy at its start
BAR_DELAY = timedelta(milliseconds=500)  # a quote may reach the database that much later than its time


class TrackedOrder:
    """The order id and the numbers of its events and fills that the strategy received."""

    __slots__ = ("event_count", "fills", "order_id")

    def __init__(self, order_id: str, event_count: int = 0, fills: int = 0) -> None:
        self.order_id, self.event_count, self.fills = order_id, event_count, fills


class InputCollector:
    """The inputs of one strategy. `tracked` are its orders that are not final, by client order id."""

    def __init__(self, market: Market, strategy: Strategy, *, uses_quotes: bool) -> None:
        self._market, self._strategy, self._uses_quotes = market, strategy, uses_quotes
        self._interval = Interval(strategy.interval or Interval.MINUTE)
        self._seconds = int(self._interval.length.total_seconds())
        self._next_start: datetime | None = None
        self._quotes: dict[str, Quote] = {}
        self.tracked: dict[str, TrackedOrder] = {}

    def read_history(self, connection: Connection, now: datetime) -> list[dict[str, Any]]:
        """Return the bars before now by symbol. Later ones are inputs."""
        end = get_bar_start(now - BAR_DELAY, self._interval)
        self._next_start = end
        start = end - HISTORY_BARS * self._interval.length
        return [
            serialize_bars(symbol, self._seconds, self._read_bars(connection, symbol, start, end))
            for symbol in self._strategy.symbol_names
        ]

    def collect(self, connection: Connection, now: datetime) -> list[NewInput]:
        """Return the inputs since the last call, orders first."""
        return [
            *self._collect_orders(connection, now),
            *self._collect_bars(connection, now),
            *(self._collect_quotes(connection, now) if self._uses_quotes else ()),
        ]

    def track(self, orders: Iterable[Order]) -> None:
        """Follow orders, from their first event on."""
        for order in orders:
            self.tracked.setdefault(order.client_order_id, TrackedOrder(order.id))

    def restore(
        self, connection: Connection, saved: dict[str, list[Any]], pending_inputs: Iterable[JournalInput]
    ) -> None:
        """Continue from the saved orders and the inputs that are in the journal but not processed."""
        self.tracked = {name: TrackedOrder(*fields) for name, fields in saved.items()}
        for journal_input in pending_inputs:
            payload = orjson.loads(journal_input.payload)
            if journal_input.kind is InputKind.ORDER:
                self._find_tracked(connection, payload["id"]).event_count = payload["event_count"]
            elif journal_input.kind is InputKind.FILL:
                self._find_tracked(connection, payload["order_id"]).fills = payload["number"]

    def serialize(self) -> dict[str, list[Any]]:
        """Return the tracked orders as JSON values."""
        return {
            name: [tracked.order_id, tracked.event_count, tracked.fills]
            for name, tracked in self.tracked.items()
        }

    def untrack_closed_order(self, order_id: str) -> None:
        """Stop following a closed order whose last event was delivered."""
        self.tracked.pop(order_id, None)

    def _find_tracked(self, connection: Connection, name: str) -> TrackedOrder:
        if name not in self.tracked:
            order_ids = load_order_ids(connection, self._strategy.tenant_id, [name])
            self.tracked[name] = TrackedOrder(order_ids.get(name, name))
        return self.tracked[name]

    def _collect_orders(self, connection: Connection, now: datetime) -> list[NewInput]:
        strategy, inputs = self._strategy, list[NewInput]()
        order_ids = [tracked.order_id for tracked in self.tracked.values()]
        for order in list_own_orders(connection, strategy.tenant_id, strategy.name, SOURCE, order_ids):
            self.track([order])
            tracked = self.tracked[order.client_order_id]
            if order.event_count <= tracked.event_count:
                continue
            inputs += self._collect_fills(connection, order, tracked, now)
            tracked.event_count = order.event_count
            payload = _serialize_order(order, self._find_parent_name(order))
            inputs.append(NewInput(InputKind.ORDER, now, orjson.dumps(payload).decode()))
        return inputs

    def _collect_fills(
        self, connection: Connection, order: Order, tracked: TrackedOrder, now: datetime
    ) -> list[NewInput]:
        fills = list_executions(connection, order.tenant_id, order.id)
        inputs = []
        for number, fill in enumerate(fills[tracked.fills :], tracked.fills + 1):
            amounts = {name: f"{getattr(fill, name):f}" for name in ("quantity", "price", "value", "charges")}
            payload = {
                "order_id": order.client_order_id, "symbol": order.symbol, "side": order.side,
                "product": order.product, **amounts, "at": fill.at.isoformat(), "number": number,
            }  # fmt: skip
            inputs.append(NewInput(InputKind.FILL, now, orjson.dumps(payload).decode()))
        tracked.fills = len(fills)
        return inputs

    def _collect_bars(self, connection: Connection, now: datetime) -> list[NewInput]:
        """Return the bars that ended, grouped by their start."""
        end = get_bar_start(now - BAR_DELAY, self._interval)
        if self._next_start is None or end <= self._next_start:
            return []
        by_start: dict[datetime, list[Bar]] = {}
        for symbol in self._strategy.symbol_names:
            for bar in self._read_bars(connection, symbol, self._next_start, end):
                by_start.setdefault(bar.start, []).append(bar)
        self._next_start = end
        inputs = []
        for start, bars in sorted(by_start.items()):
            serialized_bars = [serialize_bars(bar.symbol, self._seconds, [bar]) for bar in bars]
            at = start + self._interval.length
            inputs.append(NewInput(InputKind.BARS, at, orjson.dumps({"bars": serialized_bars}).decode()))
        return inputs

    def _collect_quotes(self, connection: Connection, now: datetime) -> list[NewInput]:
        keys = [InstrumentKey(self._strategy.tenant_id, symbol) for symbol in self._strategy.symbol_names]
        quotes = self._market.load_quotes(connection, keys, now)
        new = [quote for key, quote in sorted(quotes.items()) if self._quotes.get(key.symbol) != quote]
        self._quotes |= {quote.symbol: quote for quote in new}
        return [
            NewInput(InputKind.QUOTE, now, orjson.dumps(serialize_quote(quote)).decode()) for quote in new
        ]

    def _read_bars(self, connection: Connection, symbol: str, start: datetime, end: datetime) -> list[Bar]:
        return self._market.read_bars(
            connection, self._strategy.tenant_id, symbol, self._interval, start, end
        )

    def _find_parent_name(self, order: Order) -> str | None:
        """Return the client order id of the entry of an exit."""
        for name, tracked in self.tracked.items():
            if tracked.order_id == order.parent_id:
                return name
        return order.parent_id


def _serialize_order(order: Order, parent_id: str | None) -> dict[str, Any]:
    denial = None if order.denial is None else orjson.loads(order.denial)["message"]
    amounts = ("limit_price", "stop_price", "trail_amount", "trail_percent")
    return {
        "id": order.client_order_id,
        "symbol": order.symbol,
        "side": order.side,
        "type": str(order.type),
        "quantity": f"{order.quantity:f}",
        "status": str(order.status),
        "filled_quantity": f"{order.filled_quantity:f}",
        **{name: None if getattr(order, name) is None else f"{getattr(order, name):f}" for name in amounts},
        "time_in_force": str(order.time_in_force),
        "reason": denial,
        "parent_id": parent_id,
        "event_count": order.event_count,
    }
