"""Properties and limits of the blocks."""

from typing import Any

from simulator.blockkit.elements import element_in
from simulator.blockkit.fields import (
    ANY_TEXT,
    Check,
    Findings,
    Shape,
    anything,
    array,
    boolean,
    integer,
    one_of,
    string,
    text,
)

BLOCK_ID: dict[str, Check] = {"block_id": string(255)}
MAX_SECTION_CHARACTERS = 3_000


def _image_source(image: dict[str, Any], at: str, findings: Findings) -> None:
    if ("image_url" in image) == ("slack_file" in image):
        findings.add(at, "must have one of image_url and slack_file")


_IMAGE = Shape(
    {"alt_text": string(2_000)},
    {"image_url": string(3_000), "slack_file": anything},
    (_image_source,),
)


def _has_text_or_fields(section: dict[str, Any], at: str, findings: Findings) -> None:
    if "text" not in section and "fields" not in section:
        findings.add(at, "missing required field: text or fields")


def _check_accessory(value: Any, at: str, findings: Findings) -> None:
    is_image = isinstance(value, dict) and value.get("type") == "image"
    check = _IMAGE.check if is_image else element_in("section")
    check(value, at, findings)


def _context_part(value: Any, at: str, findings: Findings) -> None:
    is_image = isinstance(value, dict) and value.get("type") == "image"
    check = _IMAGE.check if is_image else text(MAX_SECTION_CHARACTERS, ANY_TEXT)
    check(value, at, findings)


def _unique_action_ids(block: dict[str, Any], at: str, findings: Findings) -> None:
    elements = block.get("elements")
    parts = [part for part in elements if isinstance(part, dict)] if isinstance(elements, list) else []
    action_ids = [part["action_id"] for part in parts if "action_id" in part]
    for action_id in sorted({str(name) for name in action_ids if action_ids.count(name) > 1}):
        findings.add(f"{at}/elements", f"`action_id` {action_id} already exists in this block")


_RICH_KINDS = ("rich_text_section", "rich_text_list", "rich_text_preformatted", "rich_text_quote")
_RICH_PART = Shape(
    {"elements": anything, "type": one_of(*_RICH_KINDS)},
    {"style": anything, "indent": anything, "border": anything, "offset": anything, "language": anything},
).check

_CELL_KINDS = ("raw_text", "raw_number", "rich_text")
_CELL = Shape(
    {"type": one_of(*_CELL_KINDS)},
    {"text": string(3_000), "value": anything, "elements": anything},
).check
_ROW = array(_CELL, 1, 20)


def _equal_rows(table: dict[str, Any], at: str, findings: Findings) -> None:
    """Check that all rows have as many cells as the header, which has no rich text."""
    rows = table.get("rows")
    rows = [row for row in rows if isinstance(row, list)] if isinstance(rows, list) else []
    if len({len(row) for row in rows}) > 1:
        findings.add(f"{at}/rows", "all rows must have the same number of cells")
    header = rows[0] if rows else []
    if any(isinstance(cell, dict) and cell.get("type") == "rich_text" for cell in header):
        findings.add(f"{at}/rows/0", "rich_text is not supported in the header")


_POINT = Shape({"label": string(20), "value": anything}).check
_SERIES = Shape({"name": string(20), "data": array(_POINT, 1, 20)}).check
_AXES = Shape({"categories": array(string(20), 1, 20)}, {"x_label": string(50), "y_label": string(50)}).check
_PIE = Shape({"type": one_of("pie"), "segments": array(_POINT, 1, 12)}).check
_LINES = Shape(
    {"type": one_of("bar", "area", "line"), "series": array(_SERIES, 1, 12), "axis_config": _AXES}
).check


def _check_chart(value: Any, at: str, findings: Findings) -> None:
    is_pie = isinstance(value, dict) and value.get("type") == "pie"
    (_PIE if is_pie else _LINES)(value, at, findings)


BLOCKS: dict[str, Shape] = {
    "section": Shape(
        {},
        {
            **BLOCK_ID,
            "text": text(MAX_SECTION_CHARACTERS, ANY_TEXT),
            "fields": array(text(2_000, ANY_TEXT), 1, 10),
            "accessory": _check_accessory,
            "expand": boolean,
        },
        (_has_text_or_fields,),
    ),
    "divider": Shape({}, BLOCK_ID),
    "header": Shape({"text": text(150)}, BLOCK_ID),
    "context": Shape({"elements": array(_context_part, 1, 10)}, BLOCK_ID),
    "actions": Shape({"elements": array(element_in("actions"), 1, 25)}, BLOCK_ID, (_unique_action_ids,)),
    "input": Shape(
        {"label": text(2_000), "element": element_in("input")},
        {**BLOCK_ID, "hint": text(2_000), "optional": boolean, "dispatch_action": boolean},
    ),
    "image": Shape(
        {"alt_text": string(2_000)},
        {**BLOCK_ID, "image_url": string(3_000), "slack_file": anything, "title": text(2_000)},
        (_image_source,),
    ),
    "rich_text": Shape({"elements": array(_RICH_PART, 0, 1_000)}, BLOCK_ID),
    "markdown": Shape({"text": string(12_000)}, BLOCK_ID),
    "data_visualization": Shape({"title": string(50), "chart": _check_chart}, BLOCK_ID),
    "data_table": Shape(
        {"caption": string(2_000), "rows": array(_ROW, 2, 201)},
        {**BLOCK_ID, "page_size": integer(1, 100), "row_header_column_index": integer(0, 19)},
        (_equal_rows,),
    ),
}
# Other blocks of Slack. They are accepted without checks, and the page does not draw them.
UNCHECKED_TYPES = frozenset(
    {"video", "file", "table", "context_actions", "task_card", "plan", "alert", "card", "carousel"}
)


def check_block(value: Any, at: str, findings: Findings) -> None:
    """Check one block."""
    kind = value.get("type") if isinstance(value, dict) else None
    shape = BLOCKS.get(str(kind))
    if shape is not None:
        shape.check(value, at, findings)
    elif kind not in UNCHECKED_TYPES:
        findings.add(f"{at}/type", f"unsupported type: {kind}")
