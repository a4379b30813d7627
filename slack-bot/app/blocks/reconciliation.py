"""Build the card of a difference from a broker's books, and the form that resolves it."""

from collections.abc import Mapping
from typing import Any

from app.blocks.amounts import format_figure
from app.blocks.form_parts import build_choice, build_entry, build_modal, build_reason
from app.blocks.messages import Message
from app.blocks.order_reports import format_person
from app.blocks.replies import build_actions, build_button
from app.blocks.text import Json, build_section, escape, format_code, format_literal
from app.forms import action_ids
from app.forms.request_context import RequestContext

TAKE = "issue_take"
RESOLVE = "issue_resolve"
FORM = "issue_form"
ACTION = "issue_action"  # block id of the choice
TITLES = {
    "missing_position": "Position on one side only",
    "quantity_mismatch": "Quantities differ",
    "price_mismatch": "Average costs differ",
    "unknown_order": "Order not placed here",
    "missing_execution": "Fill that could not be booked",
    "cash_mismatch": "Cash differs",
}
ACTIONS = {
    "adopt": "Adopt: book a trade that matches the broker's position",
    "book_missing": "Book the fill: try again",
    "adjust_cash": "Adjust our cash to the broker's",
    "watch": "Watch: leave it open, let the portfolio trade",
    "ignore": "Ignore it until a figure changes",
}
ALWAYS_POSSIBLE = ("watch", "ignore")
SYMBOLS = {"critical": ":red_circle:", "warning": ":large_orange_circle:", "info": ":large_blue_circle:"}
CONNECTION_WORDS = {
    "connected": (":white_check_mark:", "is connected"),
    "down": (":red_circle:", "is down and being reconnected; new orders wait or are rejected"),
    "refused": (":red_circle:", "rejected the login"),
}
CORRECT = "An administrator must correct the connection."
LOG_IN = "To log in, type `/desk login`."
NOTHING = "nothing"
STOPS = "Orders that open positions are denied until it is resolved."


def build_issue_card(payload: Mapping[str, Any]) -> Message:
    """Return the message of an issue: both sides' figures, the proposed action, its owner, and buttons."""
    lines = [
        _describe_issue(payload),
        f"Ours: {_format_figure(payload, 'ours')} · Broker's: {_format_figure(payload, 'theirs')}",
    ]
    if payload.get("status") == "resolved":
        lines.append(_describe_resolution(payload))
        return Message("\n".join(lines), (build_section("\n".join(lines)),))
    proposed = str(payload.get("proposed_action") or "")
    lines.append(f"Proposed: {escape(ACTIONS.get(proposed, proposed))}")
    lines.append(f"Owner: {format_person(str(payload.get('owned_by') or ''))}{_describe_watch(payload)}")
    if payload.get("severity") == "critical" and payload.get("action") != "watch":
        lines.append(STOPS)
    text = "\n".join(lines)
    value = build_issue_value(str(payload.get("issue_id") or ""), proposed)
    buttons = build_actions(
        build_button("Assign to me", TAKE, value), build_button("Resolve…", RESOLVE, value)
    )
    return Message(text, (build_section(text), buttons))


def describe_connection(payload: Mapping[str, Any]) -> str:
    """Return a line in mrkdwn about a broker connection that has another status."""
    name = format_literal(str(payload.get("connection") or ""))
    reason = str(payload.get("reason") or "")
    status = str(payload.get("status"))
    broker = payload.get("broker")
    mark, description = CONNECTION_WORDS.get(status, ("", escape(status)))
    line = f"{mark} *Broker {name}* {description}{f': {format_literal(reason)}' if reason else '.'}"
    if status != "refused":
        return line
    return f"{line.removesuffix('.')}. {LOG_IN if broker == 'zerodha' else CORRECT}"


def build_issue_value(issue_id: str, proposed_action: str) -> str:
    """Return the value of the buttons: the id of the issue and the proposal."""
    return f"{issue_id} {proposed_action}"


def read_issue_value(value: str) -> tuple[str, str]:
    """Return the id of the issue and the proposal. For other text, both are empty."""
    issue_id, _, proposed = value.partition(" ")
    return issue_id, proposed


def build_issue_form(issue_id: str, proposed: str, context: RequestContext) -> Json:
    """Return the form that asks for an action and the reason."""
    names = [name for name in (proposed, *ALWAYS_POSSIBLE) if name in ACTIONS]
    choices = {name: ACTIONS[name] for name in dict.fromkeys(names)}
    blocks = [
        build_section(f"Difference {format_code(issue_id)}. The audit log keeps what you choose, and why."),
        build_entry(ACTION, "What to do", build_choice(choices, next(iter(choices)))),
        build_entry(action_ids.REASON, "Reason", build_reason()),
    ]
    return build_modal("Resolve difference", blocks, context, submit="Resolve", callback_id=FORM)


def _describe_issue(payload: Mapping[str, Any]) -> str:
    severity = str(payload.get("severity") or "")
    title = TITLES.get(str(payload.get("issue_type")), str(payload.get("issue_type") or ""))
    subjects = [escape(str(payload[name])) for name in ("symbol", "order_id") if payload.get(name)]
    portfolio, connection = (
        format_literal(str(payload.get(name) or "")) for name in ("portfolio_name", "connection")
    )
    about = "".join(f"{subject} " for subject in subjects)
    mark = SYMBOLS.get(severity, "")
    return f"{mark} *{escape(title)}* ({escape(severity)}): {about}in {portfolio} at {connection}"


def _format_figure(payload: Mapping[str, Any], name: str) -> str:
    return escape(format_figure(str(payload.get(name) or NOTHING)))


def _describe_watch(payload: Mapping[str, Any]) -> str:
    return " · watched" if payload.get("action") == "watch" else ""


def _describe_resolution(payload: Mapping[str, Any]) -> str:
    by = format_person(str(payload.get("resolved_by") or ""))
    reason = str(payload.get("reason") or "")
    action = escape(str(payload.get("action") or ""))
    return (
        f":white_check_mark: *Resolved* by {by} ({action}){f': {format_literal(reason)}' if reason else ''}"
    )
