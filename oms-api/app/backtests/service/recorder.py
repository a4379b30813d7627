"""Record orders, fills and equity as CSV, with a hash. A long backtest has more than fits into memory."""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import TextIO

from app.backtests.rules.equity_points import EquityPoint
from app.backtests.rules.movements import BacktestCashMovement
from app.backtests.service.orders import BacktestOrder
from slackoms_strategy import Fill

ORDER_COLUMNS = (
    "order_id", "symbol", "side", "type", "quantity", "limit_price", "stop_price", "time_in_force",
    "status",
    "filled_quantity", "filled_value", "created_at", "updated_at", "parent_id", "reason",
)  # fmt: skip
FILL_COLUMNS = ("order_id", "symbol", "side", "quantity", "price", "value", "charges", "at")
EQUITY_COLUMNS = ("at", "equity", "cash", "market_value", "gross_exposure", "charges", "is_close")
CASH_COLUMNS = ("at", "kind", "symbol", "amount", "reason")
_BUFFERED_LINES = 2_000


class CsvSink:
    """A CSV file, or its hash alone. Lines are written in batches."""

    def __init__(self, columns: Iterable[str], path: Path | None) -> None:
        self._file: TextIO | None = None if path is None else path.open("w", encoding="utf-8", newline="")
        self._digest = hashlib.sha256()
        self._lines: list[str] = []
        self.count = -1  # without the header
        self.write(",".join(columns))

    def write(self, line: str) -> None:
        """Add a line."""
        self._lines.append(line)
        self.count += 1
        if len(self._lines) >= _BUFFERED_LINES:
            self._flush_lines()

    def finish(self) -> str:
        """Write the buffered lines, and return the hash of the file."""
        self._flush_lines()
        return self._digest.hexdigest()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _flush_lines(self) -> None:
        text = "".join(f"{line}\n" for line in self._lines)
        self._lines.clear()
        self._digest.update(text.encode())
        if self._file is not None:
            self._file.write(text)


class Recorder:
    """The results of a run.

    With a folder, `orders.csv`, `fills.csv`, `equity.csv` and `cash.csv` are written to it.
    """

    def __init__(self, folder: Path | None = None) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        names = ("orders", "fills", "equity", "cash")
        paths = (None if folder is None else folder / f"{name}.csv" for name in names)
        order_path, fill_path, equity_path, cash_path = paths
        self._orders = CsvSink(ORDER_COLUMNS, order_path)
        self._fills = CsvSink(FILL_COLUMNS, fill_path)
        self._equity = CsvSink(EQUITY_COLUMNS, equity_path)
        self._cash = CsvSink(CASH_COLUMNS, cash_path)
        self.denied = 0

    @property
    def orders(self) -> int:
        """The number of orders that were recorded."""
        return self._orders.count

    def record_order(self, order: BacktestOrder) -> None:
        """Record an order in its last state."""
        ticket = order.ticket
        limit, stop = (
            "" if price is None else _format_amount(price)
            for price in (ticket.limit_price, ticket.stop_price)
        )
        self._orders.write(
            f"{order.id},{ticket.symbol},{ticket.side},{ticket.type},{_format_amount(order.quantity)},{limit},{stop},"
            f"{ticket.time_in_force},{order.status},{_format_amount(order.filled_quantity)},"
            f"{_format_amount(order.filled_value)},{format_instant(order.created_at)},"
            f"{format_instant(order.updated_at)},{order.parent_id or ''},{_quote_text(order.reason or '')}"
        )

    def record_fill(self, fill: Fill, at: int) -> None:
        """Record a fill at an instant in seconds since 1970."""
        self._fills.write(
            f"{fill.order_id},{fill.symbol},{fill.side},{_format_amount(fill.quantity)},{_format_amount(fill.price)},"
            f"{_format_amount(fill.value)},{_format_amount(fill.charges)},{format_instant(at)}"
        )

    def record_equity(self, points: Iterable[EquityPoint]) -> None:
        """Record the points of the equity curve."""
        for point in points:
            amounts = (point.equity, point.cash, point.market_value, point.gross_exposure, point.charges)
            is_close = "1" if point.is_close else "0"
            self._equity.write(",".join((format_instant(point.at), *map(_format_amount, amounts), is_close)))

    def record_movement(self, movement: BacktestCashMovement) -> None:
        """Record a movement of cash that is not a fill."""
        self._cash.write(
            f"{format_instant(movement.at)},{movement.kind},{movement.symbol},{_format_amount(movement.amount)},"
            f"{_quote_text(movement.reason)}"
        )

    def finish(self) -> str:
        """Write the buffered lines, and return the hash of orders, fills and equity.

        Equity includes the cash movements.
        """
        digests = [sink.finish() for sink in (self._orders, self._fills, self._equity)]
        self._cash.finish()
        return hashlib.sha256("\n".join(digests).encode()).hexdigest()

    def close(self) -> None:
        """Close the files."""
        for sink in (self._orders, self._fills, self._equity, self._cash):
            sink.close()


@lru_cache(maxsize=256)  # an order is often made, filled and closed at one instant
def format_instant(seconds: int) -> str:
    """Return an instant, in seconds since 1970, as text."""
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}Z"


def _format_amount(amount: Decimal) -> str:
    text = str(amount)  # takes a third of the time of the format "f"
    if "E" in text:
        text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _quote_text(text: str) -> str:
    return f'"{text.replace(chr(34), chr(34) * 2)}"' if set(text) & set(',"\n') else text
