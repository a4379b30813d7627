"""The statistics of a backtest, computed by the same functions as a portfolio's."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from app.backtests.rules.equity_points import EquityPoint
from app.backtests.rules.movements import MovementKind
from app.backtests.service.engine import BacktestRun
from app.backtests.service.recorder import format_instant
from app.money import format_fixed, format_money
from app.performance.rules.reports import summarize_equity
from app.performance.rules.trip_statistics import summarize_trips
from app.performance.rules.values import CALENDAR_DAYS_A_YEAR, TRADING_DAYS_A_YEAR, EquitySeries
from app.timestamps import Timestamp

_RATIO_PLACES = 8


def compute_statistics(run: BacktestRun) -> dict[str, Any]:
    """Return the statistics as JSON values: amounts as text, ratios as numbers, None where undefined."""
    account, points = run.account, run.points
    days_a_year = CALENDAR_DAYS_A_YEAR if run.weekends else TRADING_DAYS_A_YEAR
    equity = summarize_equity(_build_series(points), [account.traded], days_a_year)
    trips = summarize_trips(account.earned)
    last = points[-1].equity
    amounts = {
        "cash": account.opening_cash,
        "equity_final": last,
        "pnl_net": last - account.opening_cash,
        "realized_pnl": account.realized_pnl,
        "charges": account.charges,
        "traded_value": account.traded,
        **{kind.value: account.movements[kind] for kind in MovementKind},
    }
    drawdown = equity.max_drawdown
    return {
        "bars": run.bars,
        "orders": run.orders,
        "orders_denied": run.denied,
        "fills": account.fills,
        **{name: format_money(amount) for name, amount in amounts.items()},
        "start": equity.start,
        "end": equity.end,
        "days": equity.days,
        "return": _round_ratio(equity.time_weighted_return),
        **{
            name: _round_ratio(getattr(equity, name))
            for name in ("cagr", "volatility", "sharpe", "sortino", "calmar", "turnover", "exposure")
        },
        "max_drawdown": None if drawdown is None else _round_ratio(drawdown.share),
        "max_drawdown_from": None if drawdown is None else drawdown.peak_at,
        "max_drawdown_to": None if drawdown is None else drawdown.trough_at,
        "trades": trips.round_trips,
        "wins": sum(pnl > 0 for pnl in account.earned),
        "losses": sum(pnl < 0 for pnl in account.earned),
        **{
            name: _round_ratio(getattr(trips, name))
            for name in ("win_rate", "profit_factor", "expectancy", "average_win", "average_loss")
        },
    }


def build_result(
    strategy: str, parameters: Mapping[str, object], hashes: Mapping[str, str], statistics: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the content of `statistics.json`."""
    values = {name: str(value) for name, value in parameters.items()}
    return {"strategy": strategy, "parameters": values, **hashes, "statistics": dict(statistics)}


def _build_series(points: Sequence[EquityPoint]) -> EquitySeries:
    return EquitySeries(
        [Timestamp(format_instant(point.at)) for point in points],
        [float(point.equity) for point in points],
        [0.0] * len(points),
        [point.is_close for point in points],
        [float(point.gross_exposure) for point in points],
        [format_fixed(point.charges) for point in points],
    )


def _round_ratio(value: float | Decimal | None) -> float | None:
    return None if value is None else round(float(value), _RATIO_PLACES)
