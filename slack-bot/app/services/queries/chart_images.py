"""Draw charts as images, if the optional package matplotlib is installed."""

import io
import logging
import threading
from dataclasses import replace
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from app.blocks.charts import build_image, describe_chart
from app.blocks.replies import Reply
from app.blocks.text import Json
from app.delivery.file_sender import File
from app.delivery.scopes import FILES_WRITE
from app.errors import SlackError
from app.services.dependencies import Services

log = logging.getLogger(__name__)

_PACKAGE = "matplotlib"  # optional, and slow to import
INCHES = (6.0, 3.0)  # small, so that the texts are large on a phone
DOTS_PER_INCH = 160
FONT_POINTS = 10
MAX_TICKS = 4
LINE_COLOR = "#0b6b61"
GRID_COLOR = "#d9e0e1"
COLORS = (
    "#2f9c8c", "#7a4bb0", "#1f6aa5", "#a14a1f", "#a03469", "#3f7324", "#4a56b8", "#b08a1f", "#58676b",
    "#c0504d", "#6aa5c9", "#8c6d46",
)  # fmt: skip
_DRAWING = threading.Lock()  # one image at a time, which bounds the memory


@cache
def has_matplotlib() -> bool:
    """Return whether the extra `charts` is installed."""
    return find_spec(_PACKAGE) is not None


def add_chart_images(services: Services, reply: Reply, request_id: str) -> Reply:
    """Return the reply with images of its charts, or as it is if they cannot be drawn or uploaded."""
    if not (reply.charts and has_matplotlib() and services.slack.scopes.has(FILES_WRITE)):
        return reply
    try:
        images = tuple(_upload_image(services, block) for block in reply.charts)
    except SlackError as error:
        log.warning("Charts not uploaded", extra={"request_id": request_id, "fault": str(error)})
        return reply
    return replace(reply, images=images)


def load_matplotlib(_services: Services) -> None:
    """Import the package and draw once, which takes seconds, before a user waits for a chart."""
    if has_matplotlib():
        points = [{"label": "", "value": 0.0}, {"label": " ", "value": 1.0}]
        draw_chart({"title": "", "chart": {"type": "line", "series": [{"name": "", "data": points}]}})


def draw_chart(block: Json) -> bytes:
    """Return a chart of Slack's `data_visualization` as a PNG image."""
    figures = import_module(f"{_PACKAGE}.figure")
    with _DRAWING, io.BytesIO() as content:
        figure = figures.Figure(figsize=INCHES, dpi=DOTS_PER_INCH, layout="constrained", facecolor="white")
        axes = figure.add_subplot()
        axes.set_title(block["title"], loc="left", fontsize=FONT_POINTS + 2, fontweight="bold")
        chart = block["chart"]
        if chart["type"] == "pie":
            _draw_shares(axes, chart["segments"])
        else:
            _draw_line(axes, chart["series"][0]["data"])
        figure.savefig(content, format="png")
        return content.getvalue()


def _draw_line(axes: Any, points: list[Json]) -> None:
    labels = [point["label"] for point in points]
    values = [point["value"] for point in points]
    places = range(len(points))
    axes.plot(places, values, color=LINE_COLOR, linewidth=2)
    axes.fill_between(places, values, min(values), color=LINE_COLOR, alpha=0.12)
    step = max(1, -(-len(points) // MAX_TICKS))
    axes.set_xticks(list(places)[::step], labels[::step], fontsize=FONT_POINTS)
    axes.yaxis.set_major_formatter(lambda value, _place: f"{value:,.0f}")
    axes.tick_params(axis="y", labelsize=FONT_POINTS)
    axes.grid(axis="y", color=GRID_COLOR)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_shares(axes: Any, segments: list[Json]) -> None:
    """Draw shares as bars: people compare lengths better than angles."""
    ranked = segments[::-1]
    total = sum(item["value"] for item in ranked)
    shares = [100 * item["value"] / total for item in ranked]
    colors = [COLORS[number % len(COLORS)] for number in range(len(ranked))][::-1]
    bars = axes.barh([item["label"] for item in ranked], shares, color=colors)
    axes.bar_label(bars, [f"{share:.1f}%" for share in shares], padding=4, fontsize=FONT_POINTS)
    axes.tick_params(axis="y", labelsize=FONT_POINTS)
    axes.xaxis.set_visible(False)
    axes.set_xlim(0, max(shares) * 1.12)
    axes.spines[["top", "right", "bottom"]].set_visible(False)


def _upload_image(services: Services, block: Json) -> Json:
    name = f"{block['title'].lower().replace(' ', '-')}.png"
    file = File(name, draw_chart(block), block["title"], describe_chart(block))
    return build_image(block, services.file_sender.upload(file))
