"""Build the message of an order, the lines of its thread, and its buttons."""

from app.blocks.messages import Message, build_notice, format_local_time
from app.blocks.text import (
    MAX_SECTION_CHARACTERS,
    Json,
    build_plain_text,
    build_section,
    escape,
    format_code,
    format_literal,
    truncate,
)
from app.forms.numbers import format_grouped, format_money
from app.forms.orders.order import AWAITING_APPROVAL, PENDING_STATUSES, Denial, Fill, Order, OrderEvent
from app.forms.orders.ticket import TYPE_NAMES, OrderType

CANCEL = "order_cancel"
CHANGE = "order_change"
CLOSE = "order_close"
AGAIN = "order_again"
ORDER_HELP = """\
*Orders from Slack*
`/order` opens the order form, `/order MSFT` opens it for a symbol.
`/order buy 50 MSFT limit 410 gtc in Growth sl 395 tp 440` fills it in. The order of the words is free: \
`limit` (or `@`), `stop`, `trail 5%`, `value 5000`, `day gtc ioc fok opg cls`, `until 2026-12-31`, \
`sl`, `tp`, `in` a portfolio, `because` a reason. You still check and place it.
With `private`, only you get the order's message; otherwise it is posted in the channel of the command. \
Fills, changes and cancels update that message, and add a line to its thread."""
ACTIONS = "order_actions"
STATUS_NAMES = {
    "INITIALIZED": "Being checked",
    "AWAITING_APPROVAL": "Awaiting approval",
    "HELD": "Held",
    "SUBMITTED": "Sent",
    "ACCEPTED": "Working",
    "TRIGGERED": "Triggered",
    "PARTIALLY_FILLED": "Partially filled",
    "PENDING_CANCEL": "Being canceled",
    "PENDING_REPLACE": "Being changed",
    "FILLED": "Filled",
    "CANCELED": "Canceled",
    "EXPIRED": "Expired",
    "REPLACED": "Changed",
    "DENIED": "Denied",
    "REJECTED": "Rejected by the broker",
}
ROLE_NAMES = {"stop_loss": "Stop loss", "take_profit": "Take profit"}
REJECTION = " rejected it: "  # in a denial of the OMS, between the approver and the reason
MAX_LINES = 20  # of one message in a thread


def build_order_message(order: Order, working: str = "") -> Message:
    """Return the message of an order. With `working`, its buttons are replaced by that sentence."""
    lines = [
        f"*{format_order(order)}* in {format_literal(order.portfolio)} · {format_code(order.id)}",
        _format_state(order),
        *(_format_leg(leg) for leg in order.legs),
        _format_origin(order),
    ]
    text = truncate("\n".join(line for line in lines if line), MAX_SECTION_CHARACTERS)
    buttons = [] if working else list_buttons(order)
    end = [{"type": "actions", "block_id": ACTIONS, "elements": buttons}] if buttons else []
    working_line = [build_section(working)] if working else []
    return Message(text, (build_section(text), *working_line, *end), order_id=order.id)


def format_status(status: str) -> str:
    """Return the status of an order as the desk calls it."""
    return STATUS_NAMES.get(status, escape(status))


def format_order(order: Order) -> str:
    """Return an order as a line of mrkdwn: BUY 50 MSFT limit 410.00 GTC."""
    size = f"{format_grouped(order.quantity)} {escape(order.symbol)}"
    return f"{escape(order.side)} {size} {format_terms(order)} {escape(order.time_in_force)}"


def format_terms(order: Order) -> str:
    """Return the type of an order with its prices: limit 410.00, or trailing stop 5%."""
    prices = {
        OrderType.LIMIT: (order.limit_price,),
        OrderType.STOP: (order.stop_price,),
        OrderType.STOP_LIMIT: (order.stop_price, order.limit_price),
    }.get(order.order_type, ())
    texts = [format_money(price) for price in prices if price is not None]
    if order.trail_percent is not None:
        texts.append(f"{format_grouped(order.trail_percent)}%")
    elif order.trail_amount is not None:
        texts.append(format_money(order.trail_amount))
    return " ".join((TYPE_NAMES[order.order_type].lower(), " / ".join(texts))).strip()


def list_buttons(order: Order) -> list[Json]:
    """Return the buttons that the state of the order allows."""
    is_open = not order.is_final
    buttons = []
    if is_open and order.status != "PENDING_CANCEL":
        buttons.append(_build_button(CANCEL, "Cancel", order, style="danger"))
    if is_open and order.status not in PENDING_STATUSES:
        buttons.append(_build_button(CHANGE, "Change", order))
    if order.filled_quantity and order.role != "closing":
        buttons.append(_build_button(CLOSE, "Close position", order, confirm=_confirm_close(order)))
    if not is_open:
        buttons.append(_build_button(AGAIN, "Trade again", order))
    return buttons


def build_thread_message(lines: list[str]) -> Message:
    """Return one message with the changes of an order. Older lines are left out if there are many."""
    left_out = len(lines) - MAX_LINES
    more = [f"{left_out} earlier changes are not shown."] if left_out > 0 else []
    return build_notice("\n".join([*more, *lines[-MAX_LINES:]]))


def format_changes(order: Order, after: int) -> list[str]:
    """Return a line for each change of the order after that sequence number that people must know."""
    fills = {fill.execution_id: fill for fill in order.fills}
    lines = [_format_change(order, event, fills) for event in order.events if event.sequence > after]
    return [line for line in lines if line]


def format_leg_state(leg: Order) -> str:
    """Return the state of an exit: Working, or Filled 50 at 395.00."""
    name = STATUS_NAMES.get(leg.status, escape(leg.status))
    if not leg.filled_quantity or leg.average_price is None:
        return name
    return f"{name} {format_grouped(leg.filled_quantity)} at {format_money(leg.average_price)}"


def format_leg_change(leg: Order) -> str:
    """Return the line about a changed exit."""
    return f"{_format_role(leg)} {format_terms(leg)}: {format_leg_state(leg)}"


def format_mention(actor: str) -> str:
    """Return a person of Slack as a mention, and any other actor as text."""
    kind, _, identifier = actor.partition(":")
    return f"<@{escape(identifier.rpartition(':')[2])}>" if kind == "slack" else escape(actor)


def format_reason(event: OrderEvent) -> str:
    """Return the reason of a change after a colon, without the approver, whom the line names already."""
    reason = event.reason.removeprefix(f"{event.actor}{REJECTION}")
    return f": {format_literal(reason)}" if reason else ""


def _format_state(order: Order) -> str:
    state = f"Status: *{format_status(order.status)}*"
    if order.filled_quantity and order.average_price is not None:
        filled = f"{format_grouped(order.filled_quantity)} of {format_grouped(order.quantity)}"
        state += f" · filled {filled} at {format_money(order.average_price)}"
    if order.denial:
        state += f" · {format_denial_reason(order.denial)}"
    return state


def format_denial_reason(denial: Denial) -> str:
    """Return why an order was denied, in mrkdwn. A rejected approval mentions the approver."""
    actor, _, reason = denial.message.partition(REJECTION)
    if reason and denial.code == "APPROVAL_REJECTED":
        return f"{format_mention(actor)} rejected it: {format_literal(reason)}"
    return escape(denial.message)


def _format_leg(leg: Order) -> str:
    return f"{_format_role(leg)} {format_terms(leg)} · {format_leg_state(leg)}"


def _format_origin(order: Order) -> str:
    reason = f" · {format_literal(order.reason)}" if order.reason else ""
    return f"By {format_mention(order.actor)} · {format_local_time(order.created_at)}{reason}"


def _format_role(leg: Order) -> str:
    return ROLE_NAMES.get(leg.role, "Exit")


def _format_change(order: Order, event: OrderEvent, fills: dict[str, Fill]) -> str:
    if event.execution_id and (fill := fills.get(event.execution_id)):
        return f"Filled {format_grouped(fill.quantity)} at {format_money(fill.price)}"
    actor = format_mention(event.actor)
    reason = format_reason(event)
    if event.previous == AWAITING_APPROVAL:
        return _format_decision(order, event, actor, reason)
    return {
        "AWAITING_APPROVAL": "Awaiting approval",
        "TRIGGERED": "Triggered",
        "CANCELED": f"Canceled by {actor}{reason}",
        "REPLACED": f"Changed by {actor}{reason}",
        "EXPIRED": f"Expired{reason}",
        "DENIED": f"Denied{reason}",
        "REJECTED": f"Rejected by the broker{reason}",
    }.get(event.current, "")


def _format_decision(order: Order, event: OrderEvent, actor: str, reason: str) -> str:
    """Return the line about the end of a wait for approval. It mentions the person who asked."""
    if event.current in ("CANCELED", "REPLACED"):
        return f"{STATUS_NAMES[event.current]} by {actor}{reason}"
    outcome = {"EXPIRED": "expired", "DENIED": f"was rejected by {actor}"}.get(
        event.current, f"was approved by {actor}"
    )
    subject = f"{format_mention(order.actor)}, your order" if order.actor else "The order"
    return f"{subject} {outcome}{reason}"


def _confirm_close(order: Order) -> Json:
    what = f"This closes the position in {order.symbol} of {order.portfolio} at market."
    return {
        "title": build_plain_text("Close the position?"),
        "text": build_plain_text(what[:300]),
        "confirm": build_plain_text("Close position"),
        "deny": build_plain_text("Keep it"),
    }


def _build_button(
    action_id: str, label: str, order: Order, *, style: str = "", confirm: Json | None = None
) -> Json:
    button: Json = {
        "type": "button", "action_id": action_id, "text": build_plain_text(label), "value": order.id
    }  # fmt: skip
    return button | ({"style": style} if style else {}) | ({"confirm": confirm} if confirm else {})
