"""Build the request for approval, its review form, and the message of the decision."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from app.blocks.inputs import build_input, build_text_input
from app.blocks.messages import Message, build_notice, format_local_time
from app.blocks.orders.form import format_denial
from app.blocks.orders.messages import format_mention, format_order, format_reason, format_status
from app.blocks.text import Json, build_plain_text, build_section, escape, format_code, format_literal
from app.forms.numbers import format_grouped, format_money, format_rounded_money
from app.forms.orders.approvals import DECISION_FORM, DecisionContext
from app.forms.orders.order import AWAITING_APPROVAL, Approval, Order

APPROVE = "approval_approve"
REJECT = "approval_reject"
REASON = "decision_reason"
REASON_ACTION = "decision_reason_entry"
AMOUNTS = {
    "price": "Expected price",
    "value": "Value",
    "charges": "Charges",
    "cash_after": "Resulting cash",
    "position_after": "Resulting position",
    "gross_exposure": "Current gross exposure",
    "net_exposure": "Current net exposure",
    "equity": "Equity",
}
MAX_REASON_CHARACTERS = 500
UNKNOWN = "unknown"


def build_approval_request(order: Order) -> Message:
    """Return the message that asks the approvers to decide on an order."""
    text = (
        f"*Approval needed*: {format_order(order)} in {format_literal(order.portfolio)} · "
        f"{format_code(order.id)}\n"
        f"Requested by {_format_requester(order)} · {format_local_time(order.created_at)}"
    )
    buttons = [
        _build_button(APPROVE, "Approve", order.id, "primary"),
        _build_button(REJECT, "Reject", order.id, "danger"),
    ]
    actions = {"type": "actions", "block_id": "approval_actions", "elements": buttons}
    return Message(text, (build_section(text), actions), approval_id=order.id)


def build_decided_message(order: Order) -> Message:
    """Return the message of a request for approval after its end. It has no buttons."""
    ended = next((event for event in order.events if event.previous == AWAITING_APPROVAL), None)
    approver = format_mention(ended.actor) if ended else ""
    reason = format_reason(ended) if ended else ""
    outcome = {
        "DENIED": f"Rejected by {approver}",
        "EXPIRED": "Expired",
        "CANCELED": f"Canceled by {approver}",
        "REPLACED": f"Changed by {approver}",
    }.get(ended.current if ended else "", f"Approved by {approver}")
    state = format_status(order.status)
    text = (
        f"*{outcome}*{reason}\n{format_order(order)} in {format_literal(order.portfolio)} · "
        f"{format_code(order.id)}\n"
        f"Requested by {_format_requester(order)} · now: {state}"
    )
    return Message(text, build_notice(text).blocks, approval_id=order.id)


def _format_requester(order: Order) -> str:
    """Return the person, or the name of the key of a program that acted for nobody."""
    return format_mention(order.actor) if order.actor else format_literal(order.source)


def build_decision_form(context: DecisionContext, body: str, reason: str = "") -> Json:
    """Return the form in which an approver decides, with a text in mrkdwn and a reason."""
    label = "Approve" if context.is_approval else "Reject"
    entry = build_text_input(REASON_ACTION, reason, "", MAX_REASON_CHARACTERS)
    return {
        "type": "modal",
        "callback_id": DECISION_FORM,
        "title": build_plain_text(f"{label} order"),
        "submit": build_plain_text(label),
        "close": build_plain_text("Back"),
        "private_metadata": context.dump(),
        "blocks": [
            build_section(body, "decision_body"),
            build_input(REASON, "Reason", entry, is_optional=context.is_approval),
        ],
    }


def format_review(approval: Approval) -> str:
    """Return the review for an approver, in mrkdwn: the order, and its previous and current estimates."""
    order = approval.order
    lines = [
        f"*{format_order(order)}* in {format_literal(order.portfolio)} · {format_code(order.id)}",
        f"Requested by {format_mention(approval.requested_by)} · "
        f"expires {format_local_time(approval.expires_at)}",
    ]
    if approval.waived:
        lines.append(
            f"Exceeds {escape(approval.waived.replace('_', ' ').lower())}: "
            f"{format_literal(approval.override_reason)}"
        )
    lines += _format_estimates(approval)
    if approval.denial:
        lines.append(f"An approval would fail. {format_denial(approval.denial)}")
    return "\n".join(lines)


def _format_estimates(approval: Approval) -> list[str]:
    """Return the estimates when the order was placed and now. Equal ones are shown once."""
    estimates = [("Market price", _format_price(approval.price_seen), _format_price(approval.price))]
    estimates += [
        (label, _format_amount(name, approval.then), _format_amount(name, approval.now))
        for name, label in AMOUNTS.items()
    ]
    if all(previous == current for _, previous, current in estimates):
        return ["Unchanged since it was placed:", *(f"{label}: {now}" for label, _, now in estimates)]
    return [_format_estimate(*estimate) for estimate in estimates]


def _format_estimate(label: str, previous: str, current: str) -> str:
    if previous == current:
        return f"{label}: {current}" if current == UNKNOWN else f"{label}: {current}, unchanged"
    return f"{label}: {previous} when it was placed, *{current} now*"


def _format_amount(name: str, estimate: Mapping[str, str]) -> str:
    try:
        amount = Decimal(estimate[name])
    except (KeyError, InvalidOperation):
        return UNKNOWN
    if name == "position_after":
        return format_grouped(amount)
    return format_money(amount) if name == "price" else format_rounded_money(amount)


def _format_price(price: Decimal | None) -> str:
    return UNKNOWN if price is None else format_money(price)


def _build_button(action_id: str, label: str, order_id: str, style: str) -> Json:
    return {
        "type": "button",
        "action_id": action_id,
        "text": build_plain_text(label),
        "style": style,
        "value": order_id,
    }
