"""Charts as inline SVG, which a browser shows without any other file."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 960, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 90, 10, 12, 24
MAX_CHART_POINTS = 1_500
_LABEL_COUNT = 5


class ChartPoint(NamedTuple):
    """A point: seconds since 1970, and the value."""

    at: int
    value: float


def thin_points(points: Sequence[ChartPoint]) -> list[ChartPoint]:
    """Return at most MAX_CHART_POINTS: of each slice the lowest and the highest, in time order."""
    if len(points) <= MAX_CHART_POINTS:
        return list(points)
    size = -(-len(points) // (MAX_CHART_POINTS // 2))
    chart_points: list[ChartPoint] = []
    for first in range(0, len(points), size):
        part = points[first : first + size]
        extremes = {
            min(part, key=lambda chart_point: chart_point.value),
            max(part, key=lambda chart_point: chart_point.value),
        }
        chart_points.extend(sorted(extremes))
    return chart_points


def draw_line_chart(
    title: str, points: Sequence[ChartPoint], style: str, format_value: Callable[[float], str],
    format_time: Callable[[int], str],
) -> str:  # fmt: skip
    """Return a line chart with labeled axes. `style` is the class of the line."""
    chart_points = thin_points(points)
    low, high = (
        min(chart_point.value for chart_point in chart_points),
        max(chart_point.value for chart_point in chart_points),
    )
    first, last = chart_points[0].at, chart_points[-1].at
    value_span, time_span = (high - low) or 1.0, (last - first) or 1

    def place_x(at: float) -> float:
        return _LEFT + (at - first) / time_span * (WIDTH - _LEFT - _RIGHT)

    def place_y(value: float) -> float:
        return HEIGHT - _BOTTOM - (value - low) / value_span * (HEIGHT - _TOP - _BOTTOM)

    path = " ".join(
        f"{place_x(chart_point.at):.1f},{place_y(chart_point.value):.1f}" for chart_point in chart_points
    )
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">']
    for step in range(_LABEL_COUNT):
        value = low + value_span * step / (_LABEL_COUNT - 1)
        y = place_y(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" class="value">{format_value(value)}</text>')
        at = first + time_span * step // (_LABEL_COUNT - 1)
        anchor = "start" if step == 0 else "end" if step == _LABEL_COUNT - 1 else "middle"
        place = f'x="{place_x(at):.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}"'
        parts.append(f"<text {place}>{format_time(at)}</text>")
    parts.append(f'<polyline class="{style}" points="{path}"/></svg>')
    return "".join(parts)
