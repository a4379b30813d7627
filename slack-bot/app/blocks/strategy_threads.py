"""Build the message of a strategy in the channel, and the lines of its thread."""

from collections.abc import Mapping
from typing import Any

from app.blocks.amounts import format_count
from app.blocks.messages import Message, build_notice
from app.blocks.order_reports import format_person
from app.blocks.text import escape, format_code, format_literal, truncate

DRIFT = "strategy.drift"
ERROR = "strategy.error"
MAX_TEXT_CHARACTERS = 1000  # of a reason or an error
VERBS = {
    "strategy.started": (":arrow_forward:", "was started"),
    "strategy.paused": (":double_vertical_bar:", "was paused"),
    "strategy.stopped": (":black_square_for_stop:", "was stopped"),
}


def build_strategy_message(payload: Mapping[str, Any]) -> Message:
    """Return the message that shows the status, if the event has a status."""
    status = str(payload.get("status") or "")
    portfolio = str(payload.get("portfolio_name") or "")
    parts = [
        f"*Strategy {_format_name(payload)}*",
        *([escape(status)] if status else []),
        *([f"in {format_literal(portfolio)}"] if portfolio else []),
        *([f"version {payload['version']}, start {payload['run']}"] if status else []),
    ]
    return build_notice("\n".join([" · ".join(parts), "Updates are posted in this thread."]))


def describe_strategy_event(event_type: str, payload: Mapping[str, Any]) -> str:
    """Return a line in mrkdwn about what happened. It names the strategy, as notifications need it."""
    name = f"*{_format_name(payload)}*"
    if event_type == DRIFT:
        return f":warning: {name} {_describe_drift(payload)}"
    if event_type == ERROR:
        error = _format_text(payload.get("last_error") or payload.get("reason"))
        return f":warning: {name} failed and was stopped{error}"
    mark, predicate = VERBS[event_type]
    actor = format_person(str(payload.get("actor") or ""))
    return f"{mark} {name} {predicate} by {actor}{_format_text(payload.get('reason'))}"


def _describe_drift(payload: Mapping[str, Any]) -> str:
    differences = format_count(int(payload.get("differences") or 0), "difference")
    orders = format_count(int(payload.get("compared_orders") or 0), "order")
    fills = format_count(int(payload.get("compared_fills") or 0), "fill")
    order_id = str(payload.get("order_id") or "")
    first = f"First at order {format_code(order_id)}" if order_id else "First"
    summary = f"{differences} in {orders} and {fills}. {first}{_format_text(payload.get('reason'))}"
    return f"differs from the replay of its journal: {summary}"


def _format_name(payload: Mapping[str, Any]) -> str:
    return format_literal(str(payload.get("name") or ""))


def _format_text(text: Any) -> str:
    """Return a reason after a colon, else a full stop."""
    return f": {format_literal(truncate(str(text), MAX_TEXT_CHARACTERS))}" if text else "."
