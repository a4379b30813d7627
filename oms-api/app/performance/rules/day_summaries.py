"""The summary of a portfolio's P&L day."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple

from app.ledger.rules.equity import Baseline
from app.money import ZERO, format_money
from app.performance.rules.values import Snapshot


class DayRow(NamedTuple):
    """A row of the ledger, in the portfolio's currency."""

    kind: str
    realized_pnl: Decimal
    charges: Decimal
    cash_delta: Decimal


class DaySums(NamedTuple):
    """The sums of a day's rows. `trades` and `volume` leave reversals out; the volume is before charges."""

    rows: int
    trades: int
    volume: Decimal
    realized_pnl: Decimal
    charges: Decimal


def sum_day(rows: Iterable[DayRow]) -> DaySums:
    """Return the sums of the rows of a day."""
    count = trades = 0
    volume = realized_pnl = charges = ZERO
    for row in rows:
        count += 1
        realized_pnl += row.realized_pnl
        charges += row.charges
        if row.kind == "trade":
            trades += 1
            volume += abs(row.cash_delta + row.charges)
    return DaySums(count, trades, volume, realized_pnl, charges)


def build_summary_payload(
    close: Snapshot, previous: Baseline, totals: DaySums, name: str, currency: str, closed_at: str
) -> dict[str, Any]:
    """Return the payload of the event `portfolio.summary`. `previous` is the close before."""
    day_pnl = close.equity - previous.equity - (close.flows - previous.flows)
    amounts = {
        "volume": totals.volume,
        "charges": totals.charges,
        "realized_pnl": totals.realized_pnl,
        "day_pnl": day_pnl,
        "unrealized_pnl": close.unrealized_pnl,
        "equity": close.equity,
        "gross_exposure": close.gross_exposure,
        "net_exposure": close.market_value,
    }
    return {
        "portfolio_id": close.portfolio_id,
        "portfolio_name": name,
        "currency": currency,
        "closed_at": closed_at,
        "trades": totals.trades,
        **{field: format_money(amount) for field, amount in amounts.items()},
    }
