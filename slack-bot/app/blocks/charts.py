"""Build charts: Slack's `data_visualization`. Their numbers are in the text of the message as well."""

from collections.abc import Sequence
from decimal import Decimal

from app.blocks.amounts import format_rounded, format_signed
from app.blocks.text import Json, truncate
from app.forms.portfolio_values import EquityPoint, Position

MAX_POINTS = 20  # Slack accepts 20 categories
MAX_SEGMENTS = 12
MAX_LABEL_CHARACTERS = 20
MAX_TITLE_CHARACTERS = 50
DATE_CHARACTERS = 10
LABEL_CHARACTERS = slice(5, 19)  # of an ISO 8601 instant: 11-30T16:00:00


def build_equity_chart(points: Sequence[EquityPoint]) -> list[Json]:
    """Return the line of a portfolio's equity. Nothing for less than two points."""
    equity_points = points[-MAX_POINTS:]
    return _build_equity_line(
        "Equity of the last 30 days", equity_points, list(map(_format_point_label, equity_points))
    )


def build_backtest_chart(points: Sequence[EquityPoint], most: int = MAX_POINTS) -> list[Json]:
    """Return the line of a backtest's equity: at most `most` points, evenly spaced. Slack accepts 20."""
    equity_points = points
    if len(points) > most:
        equity_points = [points[number * (len(points) - 1) // (most - 1)] for number in range(most)]
    days = [point.at[:DATE_CHARACTERS] for point in equity_points]
    labels = days if len(set(days)) == len(days) else list(map(_format_point_label, equity_points))
    return _build_equity_line("Equity of the backtest", equity_points, labels)


def describe_equities(points: Sequence[EquityPoint], subject: str = "Equity in 30 days") -> list[str]:
    """Return the numbers of the line as a sentence in mrkdwn. Nothing for less than two points."""
    if len(points) < 2:
        return []
    equities = [point.equity for point in points]
    return [
        f"{subject}: from {format_rounded(equities[0])} to {format_rounded(equities[-1])} "
        f"({format_signed(equities[-1] - equities[0])}), lowest {format_rounded(min(equities))}, "
        f"highest {format_rounded(max(equities))}"
    ]


def build_allocation_chart(positions: Sequence[Position]) -> list[Json]:
    """Return the shares of the positions' market values, the largest first. Nothing for one position."""
    values: dict[str, Decimal] = {}
    for position in positions:
        label = truncate(position.symbol, MAX_LABEL_CHARACTERS)
        values[label] = values.get(label, Decimal(0)) + abs(position.market_value)
    ranked = sorted(((value, label) for label, value in values.items() if value), reverse=True)
    if len(ranked) < 2:
        return []
    largest = ranked
    other_value = Decimal(0)
    if len(ranked) > MAX_SEGMENTS:
        largest, other_value = (
            ranked[: MAX_SEGMENTS - 1],
            sum((value for value, _ in ranked[MAX_SEGMENTS - 1 :]), other_value),
        )
    segments = [{"label": label, "value": float(value)} for value, label in largest]
    segments += [{"label": "Other positions", "value": float(other_value)}] if other_value else []
    return [_build_block("Allocation by market value", {"type": "pie", "segments": segments})]


def describe_chart(block: Json) -> str:
    """Return the numbers of a chart as a sentence, for those who do not see it."""
    chart = block["chart"]
    if chart["type"] == "pie":
        segments = chart["segments"]
        total = sum(segment["value"] for segment in segments)
        shares = [f"{segment['label']} {100 * segment['value'] / total:.1f}%" for segment in segments]
        return f"{block['title']}: {', '.join(shares)}"
    points = [(item["label"], item["value"]) for series in chart["series"] for item in series["data"]]
    (first, low), (last, high) = points[0], points[-1]
    return f"{block['title']}: from {low:,.2f} ({first}) to {high:,.2f} ({last})"


def build_image(block: Json, file_id: str) -> Json:
    """Return the block of an uploaded image of a chart."""
    return {
        "type": "image",
        "slack_file": {"id": file_id},
        "alt_text": truncate(describe_chart(block), 2_000),
    }


def _build_equity_line(title: str, points: Sequence[EquityPoint], labels: list[str]) -> list[Json]:
    if len(points) < 2 or len(set(labels)) < len(labels):
        return []
    series_points = [
        {"label": label, "value": float(point.equity)} for label, point in zip(labels, points, strict=True)
    ]
    chart = {
        "type": "line",
        "series": [{"name": "Equity", "data": series_points}],
        "axis_config": {"categories": labels, "x_label": "Close (UTC)", "y_label": "Equity"},
    }
    return [_build_block(title, chart)]


def _format_point_label(point: EquityPoint) -> str:
    return point.at[LABEL_CHARACTERS].replace("T", " ")


def _build_block(title: str, chart: Json) -> Json:
    return {"type": "data_visualization", "title": truncate(title, MAX_TITLE_CHARACTERS), "chart": chart}
