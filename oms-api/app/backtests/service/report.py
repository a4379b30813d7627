"""The report of a backtest: one HTML file that needs nothing else, readable offline, light and dark."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from itertools import accumulate
from typing import Any

from app.backtests.rules.equity_points import EquityPoint
from app.backtests.service.charts import ChartPoint, draw_line_chart

_STYLE = """
:root { color-scheme: light dark; --text: #1b1f24; --back: #fff; --grid: #d9dee3; --line: #1769aa;
  --loss: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e8ea; --back: #14171a; --grid: #343a40; --line: #6cb6ff; --loss: #ff8a80; }
}
body { background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto;
  max-width: 62rem; padding: 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { border-bottom: 1px solid var(--grid); padding: .2rem .8rem .2rem 0; text-align: left; }
svg { width: 100%; height: auto; } svg text { fill: var(--text); font-size: 11px; }
svg .value { text-anchor: end; } .grid { stroke: var(--grid); }
polyline { fill: none; stroke-width: 1.5; } .equity { stroke: var(--line); }
.drawdown { stroke: var(--loss); }
code { overflow-wrap: anywhere; }
"""
_PERCENT_FIELDS = frozenset({"return", "cagr", "volatility", "max_drawdown", "win_rate", "exposure"})


def build_report(result: Mapping[str, Any], points: Sequence[EquityPoint]) -> str:
    """Return the page. `result` is the content of `statistics.json`."""
    title = f"Backtest of {result['strategy']}"
    statistics = {name: _format_value(name, value) for name, value in result["statistics"].items()}
    hashes = {name: result[name] for name in ("code_hash", "data_hash", "result_hash")}
    equity = [ChartPoint(point.at, float(point.equity)) for point in points]
    peaks = accumulate((point.value for point in equity), max)
    drawdown = [
        ChartPoint(point.at, 100 * (point.value / peak - 1) if peak > 0 else 0.0)
        for point, peak in zip(equity, peaks, strict=True)
    ]
    charts = (
        ("Equity", draw_line_chart("Equity", equity, "equity", _format_amount, _format_day)),
        ("Drawdown", draw_line_chart("Drawdown", drawdown, "drawdown", _format_percent, _format_day)),
    )
    sections = [f"<h2>{name}</h2>{chart}" for name, chart in charts]
    tables = (("Statistics", statistics), ("Parameters", result["parameters"]), ("Hashes", hashes))
    sections += [f"<h2>{name}</h2>{_build_table(rows)}" for name, rows in tables]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><h1>{escape(title)}</h1>{''.join(sections)}</body></html>\n"
    )


def _build_table(rows: Mapping[str, str]) -> str:
    cells = (
        f"<tr><th>{escape(name.replace('_', ' '))}</th><td><code>{escape(value)}</code></td></tr>"
        for name, value in rows.items()
    )
    return f"<table>{''.join(cells)}</table>"


def _format_value(name: str, value: object) -> str:
    if value is None:
        return "–"
    if name in _PERCENT_FIELDS and isinstance(value, float):
        return f"{100 * value:.2f}%"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _format_amount(value: float) -> str:
    return f"{value:,.0f}"


def _format_percent(value: float) -> str:
    return f"{value:.1f}%"


def _format_day(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"
