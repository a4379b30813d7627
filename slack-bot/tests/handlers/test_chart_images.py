"""Charts as images, with the extra `charts` and without it."""

import importlib.util
import struct

import pytest

from app.blocks.charts import describe_chart
from app.services.queries import chart_images
from app.services.queries.chart_images import draw_chart
from tests import portfolio_oms
from tests.fakes import Response
from tests.handlers.portfolio_workspace import PortfolioWorkspace
from tests.limits import check_message

PNG = b"\x89PNG\r\n\x1a\n"
LINE = {
    "type": "data_visualization",
    "title": "Equity of the last 30 days",
    "chart": {
        "type": "line",
        "series": [
            {"name": "Equity", "data": [{"label": f"11-{n:02}", "value": 1e6 + n * n} for n in range(20)]}
        ],
    },
}
SHARES = {
    "type": "data_visualization",
    "title": "Allocation by market value",
    "chart": {
        "type": "pie",
        "segments": [{"label": "S" * 18 + f"{n}", "value": 100.0 - n} for n in range(12)],
    },
}
needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="the extra charts is not installed"
)


@pytest.fixture
def drawing(trading: PortfolioWorkspace, monkeypatch):
    """Provide a workspace with the extra, whose images are drawn at once."""
    monkeypatch.setattr(chart_images, "has_matplotlib", lambda: True)
    monkeypatch.setattr(chart_images, "draw_chart", lambda block: PNG + block["title"].encode())
    trading.oms.rows["/positions"] = [portfolio_oms.build_position(), portfolio_oms.build_position("MSFT")]
    return trading


@needs_matplotlib
@pytest.mark.parametrize("block", [LINE, SHARES])
def test_chart_is_drawn_as_a_png(block):
    content = draw_chart(block)
    assert content.startswith(PNG)
    width, height = struct.unpack(">II", content[16:24])
    assert (width, height) == (960, 480)


def test_numbers_of_a_chart_are_words():
    assert describe_chart(LINE) == (
        "Equity of the last 30 days: from 1,000,000.00 (11-00) to 1,000,361.00 (11-19)"
    )
    assert describe_chart(SHARES).startswith("Allocation by market value: SSSSSSSSSSSSSSSSSS0 8.8%, ")


def test_portfolio_shows_images_in_place_of_charts(drawing: PortfolioWorkspace):
    message = drawing.query("Growth", "/portfolio")
    check_message(message["text"], message["blocks"])
    images = [block for block in message["blocks"] if block["type"] == "image"]
    assert [block["slack_file"]["id"] for block in images] == ["F1", "F2"]
    assert "AAPL 50.0%" in images[1]["alt_text"]
    assert not any(block["type"] == "data_visualization" for block in message["blocks"])
    assert [call.body[:8] for call in drawing.slack.list_requests("upload")] == [PNG, PNG]
    shared = [
        call.body.get("channel_id") for call in drawing.slack.list_requests("files.completeUploadExternal")
    ]
    assert shared == [None, None]


def test_images_that_slack_refuses_become_charts(drawing: PortfolioWorkspace):
    drawing.slack.queue_responses("respond", Response(400, b"invalid_blocks"))
    drawing.type("Growth", "/portfolio")
    blocks = drawing.slack.wait_for("respond", 2)[-1].body["blocks"]
    assert [block["type"] for block in blocks].count("data_visualization") == 2
    drawing.slack.refuse("files.getUploadURLExternal", "missing_scope")
    kinds = [block["type"] for block in drawing.query("Growth", "/portfolio")["blocks"]]
    assert kinds.count("data_visualization") == 2


def test_charts_stay_without_the_image_extra(drawing: PortfolioWorkspace, monkeypatch):
    monkeypatch.setattr(chart_images, "has_matplotlib", lambda: False)
    kinds = [block["type"] for block in drawing.query("Growth", "/portfolio")["blocks"]]
    assert kinds.count("data_visualization") == 2
    assert kinds.count("image") == 0


@needs_matplotlib
def test_package_is_loaded_at_the_start(trading: PortfolioWorkspace, monkeypatch):
    drawn = []
    monkeypatch.setattr(chart_images, "has_matplotlib", lambda: True)
    monkeypatch.setattr(chart_images, "draw_chart", lambda block: drawn.append(draw_chart(block)))
    chart_images.load_matplotlib(trading.bot.services)
    assert drawn[0].startswith(PNG)
