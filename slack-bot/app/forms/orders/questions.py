"""Build the questions about a repeated order and about a stop price that the market has reached."""

from decimal import Decimal

from app.forms import fields
from app.forms.numbers import compute_gmv, format_grouped, format_money, format_plain
from app.forms.orders.order import Order, build_order_draft
from app.forms.orders.ticket import TYPE_NAMES, OrderTicket
from app.forms.questions import Question
from app.forms.text import name_key
from app.forms.ticket import Side, Ticket

CLOSED_WITHOUT_FILL = frozenset({"DENIED", "REJECTED", "CANCELED", "EXPIRED", "REPLACED"})
TERMS = ("type", "symbol", "side", "quantity", "limit_price", "stop_price", "trail")


def is_repeated(ticket: OrderTicket, order: Order) -> bool:
    """Return whether an earlier order that can trade has the terms of the ticket."""
    typed = ticket.draft()
    placed = build_order_draft(order)
    is_same_size = ticket.value == order.notional if ticket.value else ticket.quantity == order.quantity
    terms = TERMS if ticket.quantity else tuple(term for term in TERMS if term != "quantity")
    return (
        order.status not in CLOSED_WITHOUT_FILL
        and not order.parent_id
        and is_same_size
        and all(getattr(typed, term) == getattr(placed, term) for term in terms)
        and name_key(ticket.portfolio) == name_key(order.portfolio)
    )


def build_repeated_order_question(order: Order, placed_at: str) -> Question:
    """Return the question about an order that the same person placed a moment ago."""
    what = f"{order.side} {format_grouped(order.quantity)} {order.symbol}"
    terms = TYPE_NAMES[order.order_type].lower()
    reason = f"You placed {what} ({terms}) in {order.portfolio} at {placed_at} ({order.id})."
    return Question(
        fields.REPEAT_OK_PREFIX + order.id, "Order it again?", "order", reason, "Yes, order it once more"
    )


def build_reached_stop_question(ticket: OrderTicket, quoted: Decimal) -> Question | None:
    """Return the question about a stop price that the quoted price has reached. None for other orders."""
    stop = ticket.stop_price
    if stop is None or (quoted > stop if ticket.side is Side.SELL else quoted < stop):
        return None
    about = f"{ticket.symbol}:{ticket.side}:{format_plain(stop)}"
    side = "at or below" if ticket.side is Side.SELL else "at or above"
    reason = (
        f"The quote at {format_money(quoted)} is {side} the stop at {format_money(stop)}, "
        "so the order triggers at once."
    )
    yes = f"Yes, trigger it at {format_plain(stop)}"
    return Question(fields.STOP_OK_PREFIX + about, "Trigger it at once?", "stop price", reason, yes)


def build_trade_ticket(ticket: OrderTicket, reference: Decimal | None) -> Ticket | None:
    """Return the trade that the order would lead to, at its own price or else at a reference price.

    None without any price.
    """
    price = find_typed_price(ticket) or reference
    if price is None:
        return None
    quantity = ticket.quantity or (ticket.value or Decimal(0)) / price
    return Ticket(
        symbol=ticket.symbol,
        quantity=quantity,
        gmv=compute_gmv(quantity, price),
        side=Side(ticket.side),
        portfolio=ticket.portfolio,
    )


def find_typed_price(ticket: OrderTicket) -> Decimal | None:
    """Return the price that the person typed: the limit, else the stop. None for other orders."""
    return ticket.limit_price or ticket.stop_price
