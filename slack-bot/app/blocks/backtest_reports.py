"""Build the reply that shows the result of a backtest."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from app.blocks.amounts import format_count, format_rounded, format_signed
from app.blocks.charts import build_backtest_chart, describe_equities
from app.blocks.replies import Reply
from app.blocks.text import build_section, escape, format_code, format_literal, truncate
from app.forms.portfolio_values import EquityPoint
from app.forms.strategy_values import BacktestSummary

MAX_SYMBOLS_CHARACTERS = 200
MAX_ERROR_CHARACTERS = 1000
MAX_IMAGE_POINTS = 400  # an image is 960 pixels wide
NOT_DEFINED = "none"
SMALLEST_SHARE = 0.0001  # that two places of a percentage show


def describe_backtest_event(payload: Mapping[str, Any]) -> str:
    """Return a sentence in mrkdwn about a backtest that is done or failed."""
    name = str(payload.get("strategy") or "")
    backtest_id = str(payload.get("backtest_id") or "")
    error = str(payload.get("error") or "")
    if payload.get("status") != "failed":
        return f"The backtest of *{format_literal(name)}* is done ({format_code(backtest_id)})."
    why = f": {format_literal(truncate(error, MAX_ERROR_CHARACTERS))}" if error else "."
    return f"The backtest of *{format_literal(name)}* failed ({format_code(backtest_id)}){why}"


def build_backtest_reply(
    backtest: BacktestSummary, points: Sequence[EquityPoint], *, is_for_image: bool = False
) -> Reply:
    """Return the numbers and the line of the equity. An image may have more points than Slack's charts."""
    lines = [*_describe_result(backtest), *describe_equities(points, "Equity")]
    text = "\n".join(lines)
    charts = build_backtest_chart(points, MAX_IMAGE_POINTS) if is_for_image else build_backtest_chart(points)
    return Reply(text, (build_section(text),), charts=tuple(charts))


def _describe_result(backtest: BacktestSummary) -> list[str]:
    symbols = escape(truncate(", ".join(backtest.symbols), MAX_SYMBOLS_CHARACTERS))
    last_day = (datetime.fromisoformat(backtest.until) - timedelta(microseconds=1)).date()
    first_day = datetime.fromisoformat(backtest.since).date()
    sharpe = NOT_DEFINED if backtest.sharpe is None else f"{backtest.sharpe:.2f}"
    return [
        f"*Backtest of {format_literal(backtest.strategy)}* is done ({format_code(backtest.id)})",
        f"{symbols} · {first_day} to {last_day} · bars of {escape(backtest.interval)}",
        f"P&amp;L {format_signed(backtest.pnl_net)} ({_format_share(backtest.total_return, sign='+')}) · "
        f"equity {format_rounded(backtest.equity_final)} · charges {format_rounded(backtest.charges)}",
        f"{format_count(backtest.trades, 'round trip')}, {backtest.wins} won · "
        f"{format_count(backtest.fills, 'fill')} · "
        f"max drawdown {_format_share(backtest.max_drawdown)} · Sharpe {sharpe}",
    ]


def _format_share(share: float | None, sign: str = "") -> str:
    """Format a share in percent: +1.25%, or -0.0012% where two places would hide it."""
    if share is None:
        return NOT_DEFINED
    is_tiny = 0 < abs(share) < SMALLEST_SHARE
    return f"{100 * share:{sign}.{4 if is_tiny else 2}f}%"
