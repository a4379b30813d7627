"""Check views and messages against Slack's limits: slack_sdk's, and some that slack_sdk lacks."""

import json
from decimal import Decimal
from typing import Any

from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

TEXT_LIMITS = {"section": 3000, "header": 150}
MANY = {"radio_buttons": 10, "checkboxes": 10, "static_select": 100, "external_select": 100}


def check_view(view: dict[str, Any]) -> None:
    """Fail if Slack would refuse the view."""
    View(**{name: value for name, value in view.items() if name != "type"}, type="modal").validate_json()
    assert len(view["private_metadata"]) < 3000
    assert all(0 < len(view[part]["text"]) <= 24 for part in ("title", "submit", "close") if part in view)
    if any(block["type"] == "input" for block in view["blocks"]):
        assert "submit" in view, "input without submit"
    check_blocks(view["blocks"], at_most=100)


def check_message(text: str, blocks: list[dict[str, Any]]) -> None:
    """Fail if Slack would refuse or truncate the message."""
    assert 0 < len(text) <= 4000
    check_blocks(blocks, at_most=50)


def check_blocks(blocks: list[dict[str, Any]], at_most: int) -> None:
    assert 0 < len(blocks) <= at_most
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    assert len(ids) == len(set(ids)), "duplicate block ids"
    assert all(len(each) <= 255 for each in ids)
    for block in blocks:
        if block["type"] in CHECKS:  # slack_sdk has no class for these
            CHECKS[block["type"]](block)
            continue
        parsed = Block.parse(block)
        assert parsed is not None
        parsed.validate_json()
        _check_block(block)
    assert sum(block["type"] == "data_visualization" for block in blocks) <= 2
    characters = sum(
        len(cell["text"])
        for block in blocks
        if block["type"] == "data_table"
        for row in block["rows"]
        for cell in row
    )
    assert characters <= 20_000, "Slack refuses tables with more characters"


def check_overview(view: dict[str, Any]) -> None:
    """Fail if Slack would refuse the home tab."""
    assert view["type"] == "home"
    assert len(view["private_metadata"]) < 3000
    assert len(json.dumps(view)) <= 250_000
    assert not any(block["type"] == "input" for block in view["blocks"])
    check_blocks(view["blocks"], at_most=100)


def check_chart(block: dict[str, Any]) -> None:
    """Fail if Slack would refuse the chart."""
    chart = block["chart"]
    assert 0 < len(block["title"]) <= 50
    if chart["type"] == "pie":
        points, labels = chart["segments"], [segment["label"] for segment in chart["segments"]]
        assert 1 <= len(points) <= 12
        assert all(point["value"] > 0 for point in points)
    else:
        (series,) = chart["series"]
        points, labels = series["data"], chart["axis_config"]["categories"]
        assert [point["label"] for point in points] == labels
        assert 1 <= len(labels) <= 20
    assert len(set(labels)) == len(labels)
    assert all(0 < len(label) <= 20 for label in labels)


def check_table(block: dict[str, Any]) -> None:
    """Fail if Slack would refuse the table.

    https://docs.slack.dev/reference/block-kit/blocks/data-table-block
    """
    assert block["caption"]
    assert 1 <= block["page_size"] <= 100
    header, *rows = block["rows"]
    assert 1 <= len(rows) <= 100
    assert 1 <= len(header) <= 20
    assert all(cell["type"] == "raw_text" for cell in header)
    assert block["row_header_column_index"] < len(header)
    for row in block["rows"]:
        assert len(row) == len(header)
        for cell in row:
            assert cell["text"], "empty text"
            assert cell["type"] in ("raw_text", "raw_number")
            assert ("value" in cell) == (cell["type"] == "raw_number")


def _check_block(block: dict[str, Any]) -> None:
    for text in _texts(block):
        assert text["text"], "empty text"
        assert len(text["text"]) <= TEXT_LIMITS.get(block["type"], 2000)
    if block["type"] == "actions":
        assert 0 < len(block["elements"]) <= 25
        for element in block["elements"]:
            _check_clickable(element)
    if block["type"] == "input":
        assert len(block["label"]["text"]) <= 2000
        check_element(block["element"])


def check_element(element: dict[str, Any]) -> None:
    if "options" in element:
        check_options(element["options"], MANY[element["type"]])
    for group in element.get("option_groups", []):
        assert 0 < len(group["label"]["text"]) <= 75
        check_options(group["options"], 100)
    assert len(element.get("option_groups", [])) <= 100
    if "initial_option" in element:
        check_options([element["initial_option"]], 1)
        if "options" in element:
            assert element["initial_option"] in element["options"], "initial option not offered"
    if element["type"] == "number_input":
        limits = [
            element["min_value"],
            element["max_value"],
            element.get("initial_value", element["min_value"]),
        ]
        assert all(isinstance(limit, str) for limit in limits)
        assert Decimal(limits[0]) <= Decimal(limits[2]) <= Decimal(limits[1])
    if element["type"] == "plain_text_input":
        assert len(element.get("initial_value", "")) <= element["max_length"] <= 3000


def _check_clickable(element: dict[str, Any]) -> None:
    if element["type"] == "button":
        assert len(element["text"]["text"]) <= 75
        assert 0 < len(element.get("value", "x")) <= 2000
    else:
        check_element(element)


def check_options(options: list[dict[str, Any]], at_most: int) -> None:
    assert 0 < len(options) <= at_most
    for option in options:
        assert 0 < len(option["text"]["text"]) <= 75
        assert 0 < len(option["value"]) <= 150


def _texts(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    if not isinstance(value, dict):
        return []
    if value.get("type") in ("plain_text", "mrkdwn"):
        return [value]
    return [text for each in value.values() for text in _texts(each)]


CHECKS = {"data_table": check_table, "data_visualization": check_chart}
