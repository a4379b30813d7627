"""Build the form that cancels orders."""

from collections.abc import Sequence

from app.blocks.amounts import format_count, format_order_terms
from app.blocks.form_parts import build_entry, build_modal, build_reason, build_select
from app.blocks.text import Json, build_option, escape, format_code
from app.forms import action_ids
from app.forms.numbers import format_grouped
from app.forms.portfolio_values import OrderSummary
from app.forms.request_context import RequestContext

ALL = "all"
MAX_LISTED = 20


def build_cancel_form(
    orders: Sequence[OrderSummary], context: RequestContext, *, is_cut: bool, is_chosen: bool
) -> Json:
    """Return the form that cancels all of these orders or one of them.

    `is_chosen`: the command named the orders. `is_cut`: more orders match.
    """
    count = f"more than {len(orders)}" if is_cut else str(len(orders))
    everything = build_option(f"All that match ({count} orders)", ALL)
    order_options = [build_option(_format_label(order), order.id) for order in orders]
    options = [everything, *order_options] if len(orders) > 1 else order_options
    initial = options[0] if is_chosen or len(orders) == 1 else None
    blocks = [
        build_entry(action_ids.ORDERS, "Orders", build_select(options, initial)),
        build_entry(action_ids.REASON, "Reason", build_reason(), is_optional=True),
    ]
    return build_modal(
        "Cancel orders",
        blocks,
        context,
        submit="Cancel them",
        close="Keep",
        callback_id=action_ids.CANCEL_FORM,
    )


def describe_canceled(orders: Sequence[OrderSummary]) -> str:
    """Return the result of a cancel in mrkdwn."""
    if not orders:
        return "No order was canceled: none was working."
    lines = [f"• {_format_markdown_label(order)}" for order in orders[:MAX_LISTED]]
    more = [f"and {len(orders) - MAX_LISTED} more"] if len(orders) > MAX_LISTED else []
    return "\n".join(
        [f"*{format_count(len(orders), 'order')} canceled.* Earlier fills are kept.", *lines, *more]
    )


def _format_label(order: OrderSummary) -> str:
    what = f"{order.side} {format_grouped(order.quantity)} {order.symbol} {format_order_terms(order)}"
    return f"{what} in {order.portfolio_name}"


def _format_markdown_label(order: OrderSummary) -> str:
    what = f"{order.side} {format_grouped(order.quantity)} {escape(order.symbol)}"
    return f"{what} {format_order_terms(order)} ({format_code(order.id)})"
