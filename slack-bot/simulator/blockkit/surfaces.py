"""Check complete messages and views: their limits, and the ids that must be unique across their blocks."""

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from simulator import ids
from simulator.blockkit.blocks import check_block
from simulator.blockkit.fields import Findings, Shape, array, boolean, one_of, string, text

MAX_MESSAGE_BLOCKS = 50
MAX_VIEW_BLOCKS = 100
MAX_MESSAGE_CHARACTERS = 40_000
MAX_BLOCKS_CHARACTERS = 12_000  # Slack's documented limit for all blocks of a message
MAX_TABLES_CHARACTERS = 20_000  # of the cells of all tables
TABLE = "data_table"
CHART = "data_visualization"
MAX_CHARTS = 2
LARGEST_VIEW_BYTES = 250_000

Block = dict[str, Any]

_SHARED = {
    "callback_id": string(255, 0),
    "external_id": string(255, 0),
    "private_metadata": string(3_000, 0),
    "blocks": array(check_block, 0, MAX_VIEW_BLOCKS),
}
_MODAL = Shape(
    {"type": one_of("modal"), "title": text(24), "blocks": _SHARED["blocks"]},
    {
        **_SHARED,
        "submit": text(24),
        "close": text(24),
        "clear_on_close": boolean,
        "notify_on_close": boolean,
        "submit_disabled": boolean,
    },
)
_HOME = Shape({"type": one_of("home"), "blocks": _SHARED["blocks"]}, _SHARED)


def check_message(blocks: Any) -> list[str]:
    """Return the errors of a message's blocks in Slack's wording. Empty if they are valid."""
    findings = Findings()
    array(check_block, 0, MAX_MESSAGE_BLOCKS)(blocks, "/blocks", findings)
    _check_across(blocks, "/blocks", findings)
    return findings.problems


def check_view(view: Any, kind: str = "modal") -> list[str]:
    """Return the errors of a view of that type. Empty if it is valid."""
    findings = Findings()
    (_MODAL if kind == "modal" else _HOME).check(view, "/view", findings)
    if isinstance(view, dict):
        _check_across(view.get("blocks"), "/view/blocks", findings)
        if kind == "modal":
            _refuse_tables(view.get("blocks"), findings)
        if kind == "modal" and "submit" not in view and _has_input(view.get("blocks")):
            findings.add(
                "/view/submit", "`submit` is required when an `input` block is within the `blocks` array"
            )
    return findings.problems


def view_size(view: Any) -> int:
    """Return the size of a view as JSON in bytes."""
    return len(json.dumps(view, ensure_ascii=False).encode())


def text_length(value: Any) -> int:
    """Return the total number of characters of text in blocks, without tables, which have their own limit."""
    if isinstance(value, list):
        return sum(text_length(part) for part in value)
    if not isinstance(value, dict) or value.get("type") == TABLE:
        return 0
    own = value.get("text")
    nested = sum(text_length(part) for part in value.values())
    return nested + (len(own) if isinstance(own, str) else 0)


def _refuse_tables(blocks: Any, findings: Findings) -> None:
    """Add an error for each table and chart: only messages and home tabs can have them."""
    for number, block in enumerate(blocks if isinstance(blocks, list) else []):
        if isinstance(block, dict) and block.get("type") in {TABLE, CHART}:
            findings.add(f"/view/blocks/{number}/type", f"unsupported type: {block['type']}")


def add_ids(blocks: list[Block]) -> list[Block]:
    """Return a copy in which every block and element has an id, as in Slack's responses."""
    copy = deepcopy(blocks)
    for block in copy:
        block.setdefault("block_id", ids.generate_id("", 5))
    for _, element in list_interactive(copy):
        element.setdefault("action_id", ids.generate_id("", 5))
    return copy


def list_interactive(blocks: list[Block]) -> Iterator[tuple[Block, Block]]:
    """Yield each interactive element with its block."""
    for block in blocks:
        for element in _list_elements(block):
            if isinstance(element, dict) and element.get("type") not in {"image", "plain_text", "mrkdwn"}:
                yield block, element


def _list_elements(block: Block) -> list[Any]:
    if block.get("type") == "actions":
        return list(block.get("elements", []))
    return [block[name] for name in ("element", "accessory") if name in block]


def _has_input(blocks: Any) -> bool:
    return isinstance(blocks, list) and any(isinstance(b, dict) and b.get("type") == "input" for b in blocks)


def _check_across(blocks: Any, at: str, findings: Findings) -> None:
    good = [block for block in blocks if isinstance(block, dict)] if isinstance(blocks, list) else []
    block_ids = [block["block_id"] for block in good if isinstance(block.get("block_id"), str)]
    for block_id in sorted({name for name in block_ids if block_ids.count(name) > 1}):
        findings.add(at, f"`block_id` {block_id} already exists")
    if sum(block.get("type") == CHART for block in good) > MAX_CHARTS:
        findings.add(at, f"no more than {MAX_CHARTS} charts are allowed")
    characters = sum(text_length(block.get("rows")) for block in good if block.get("type") == TABLE)
    if characters > MAX_TABLES_CHARACTERS:
        findings.add(at, f"tables must have at most {MAX_TABLES_CHARACTERS} characters")
    focused = [element for block in good for element in _list_elements(block) if _wants_focus(element)]
    if len(focused) > 1:
        findings.add(at, "only one element can have focus_on_load set to true")


def _wants_focus(element: Any) -> bool:
    return isinstance(element, dict) and element.get("focus_on_load") is True
