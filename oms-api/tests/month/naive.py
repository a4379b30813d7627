"""Recompute the figures of a portfolio from the rows of its two ledgers and the quotes that were prices.

Nothing of the service is used: amounts are decimals that are rounded half-even to 8 places.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from itertools import pairwise
from math import prod, sqrt
from typing import Any

from sqlalchemy import Connection, text

ZERO = Decimal(0)
SPLIT_RATIO = 2  # new units of a split for an old one
FLOWS = {"deposit", "withdrawal", "transfer_in", "transfer_out"}
_PLACES = Decimal("0.00000001")


def multiply(quantity: Decimal, price: Decimal) -> Decimal:
    """Return the product, rounded half-even to 8 places."""
    with localcontext() as context:
        context.prec = 60
        return (quantity * price).quantize(_PLACES, ROUND_HALF_EVEN)


@dataclass
class Quotes:
    """The mid prices of the quotes by symbol, each with its instant."""

    prices: dict[str, list[tuple[datetime, Decimal]]] = field(default_factory=dict)

    def add(self, symbol: str, at: datetime, price: Decimal) -> None:
        """Add a quote."""
        self.prices.setdefault(symbol, []).append((at, price))

    def mark(self, symbol: str, at: datetime) -> Decimal:
        """Return the last price at an instant."""
        return [price for since, price in self.prices[symbol] if since <= at][-1]


@dataclass(frozen=True)
class Figures:
    """A portfolio at an instant, in its currency."""

    cash: Decimal
    equity: Decimal
    flows: Decimal
    charges: Decimal


@dataclass(frozen=True)
class NaivePortfolio:
    """The rows of a portfolio. A trade is its sign, symbol, quantity, value, charges, rate and instant."""

    opening_cash: Decimal
    currency: str
    trades: Sequence[Any]
    movements: Sequence[Any]
    quotes: Quotes

    def figures(self, at: datetime) -> Figures:
        """Return the figures at an instant."""
        trades = [trade_row for trade_row in self.trades if _parse_instant(trade_row.created_at) <= at]
        movements = [movement for movement in self.movements if _parse_instant(movement.created_at) <= at]
        charges = sum((Decimal(trade_row.charges) for trade_row in trades), ZERO)
        cash = self.opening_cash - charges
        quantities: dict[tuple[str, str | None], Decimal] = {}
        for trade in trades:
            if trade.kind == "split":
                quantities[trade.symbol, trade.currency] *= SPLIT_RATIO
                continue
            value = Decimal(trade.gmv)
            if trade.fx_rate is not None:
                value = multiply(value, Decimal(trade.fx_rate))
            cash -= _sign(trade) * value
            key = (trade.symbol, trade.currency)
            quantities[key] = quantities.get(key, ZERO) + _sign(trade) * Decimal(trade.quantity)
        cash += sum((Decimal(movement.amount) for movement in movements), ZERO)
        dp_charges = [movement for movement in movements if movement.kind in {"charges", "dp_charges"}]
        charges -= sum((Decimal(dp_charge.amount) for dp_charge in dp_charges), ZERO)
        flows = sum((Decimal(movement.amount) for movement in movements if movement.kind in FLOWS), ZERO)
        return Figures(cash, cash + self._compute_value(quantities, at), flows, charges)

    def sum_movements(self, kinds: set[str], start: datetime | None, end: datetime) -> Decimal:
        """Return the sum of the cash movements of some kinds after an instant up to another."""
        amounts = (
            Decimal(movement.amount)
            for movement in self.movements
            if movement.kind in kinds and (start is None or _parse_instant(movement.created_at) > start)
            and _parse_instant(movement.created_at) <= end
        )  # fmt: skip
        return sum(amounts, ZERO)

    def explain_currency(self, start: datetime | None, end: datetime) -> Decimal:
        """Return how much of the P&L of positions in other currencies is due to exchange rates."""
        total = ZERO
        for currency in {trade.currency for trade in self.trades if trade.currency is not None}:
            currency_pair = f"{currency}/{self.currency}"
            own_trades = [trade for trade in self.trades if trade.currency == currency]
            there = here = ZERO
            for at, sign in ((end, 1), (start, -1)):
                if at is None:
                    continue
                for symbol in {trade.symbol for trade in own_trades}:
                    quantity = self.quantity(symbol, at)
                    value = multiply(quantity, self.quotes.mark(symbol, at)) if quantity else ZERO
                    there += sign * value
                    here += sign * (multiply(value, self.quotes.mark(currency_pair, at)) if value else ZERO)
            for own_trade in own_trades:
                if own_trade.kind == "split":
                    continue
                if (start is None or _parse_instant(own_trade.created_at) > start) and _parse_instant(
                    own_trade.created_at
                ) <= end:
                    there -= _sign(own_trade) * Decimal(own_trade.gmv)
                    here -= _sign(own_trade) * multiply(Decimal(own_trade.gmv), Decimal(own_trade.fx_rate))
            total += here - multiply(there, self.quotes.mark(currency_pair, end))
        return total

    def quantity(self, symbol: str, at: datetime) -> Decimal:
        """Return the quantity of a symbol that is held at an instant."""
        quantity = ZERO
        for trade in self.trades:
            if trade.symbol == symbol and _parse_instant(trade.created_at) <= at:
                is_split = trade.kind == "split"
                quantity = (
                    quantity * SPLIT_RATIO if is_split else quantity + _sign(trade) * Decimal(trade.quantity)
                )
        return quantity

    def _compute_value(self, quantities: dict[tuple[str, str | None], Decimal], at: datetime) -> Decimal:
        total = ZERO
        for (symbol, currency), quantity in quantities.items():
            if quantity:
                value = multiply(quantity, self.quotes.mark(symbol, at))
                currency_pair = f"{currency}/{self.currency}"
                total += value if currency is None else multiply(value, self.quotes.mark(currency_pair, at))
        return total


def read_portfolio(
    connection: Connection, tenant_id: int, name: str, currency: str, opening: Decimal, quotes: Quotes
) -> NaivePortfolio:
    """Return the rows of a portfolio."""
    key = {"tenant": tenant_id, "name": name}
    of_portfolio = (
        "tenant_id = :tenant AND portfolio_id ="
        " (SELECT id FROM portfolios WHERE tenant_id = :tenant AND name = :name)"
    )
    trades, movements = (
        connection.execute(text(f"SELECT * FROM {table} WHERE {of_portfolio} ORDER BY sequence"), key).all()  # noqa: S608  # of the tests
        for table in ("trades", "cash_movements")
    )
    return NaivePortfolio(opening, currency, trades, movements, quotes)


def compute_performance(points: Iterable[tuple[Figures, bool]]) -> dict[str, float]:
    """Return the ratios of equity at closes (True) and flows (False). The first point is the start."""
    figures, closes = zip(*points, strict=True)
    growth = [
        float(after.equity - (after.flows - before.flows)) / float(before.equity)
        for before, after in pairwise(figures)
    ]
    levels = [prod(growth[:number]) for number in range(len(growth) + 1)]
    returns, chained = [], 1.0
    for step, is_close in zip(growth, closes[1:], strict=True):
        chained *= step
        if is_close:
            returns.append(chained - 1)
            chained = 1.0
    mean = sum(returns) / len(returns)
    deviation = sqrt(sum((value - mean) ** 2 for value in returns) / (len(returns) - 1))
    downside = sqrt(sum(min(value, 0) ** 2 for value in returns) / len(returns))
    falls = [1 - level / max(levels[: number + 1]) for number, level in enumerate(levels)]
    return {
        "time_weighted_return": levels[-1] - 1,
        "volatility": deviation * sqrt(252),
        "sharpe": mean / deviation * sqrt(252),
        "sortino": mean / downside * sqrt(252),
        "max_drawdown": max(falls),
    }


def _sign(trade: Any) -> int:
    return 1 if trade.side == "BUY" else -1


def _parse_instant(value: Any) -> datetime:  # text from SQLite
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)
