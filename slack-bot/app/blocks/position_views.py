"""Build the view of a position, and the forms that close it or set its exits."""

from collections.abc import Sequence
from decimal import Decimal

from app.blocks.amounts import format_order_terms, format_rounded, format_signed, format_words
from app.blocks.form_parts import build_entry, build_modal, build_number, build_reason, build_select
from app.blocks.order_reports import describe_trade
from app.blocks.orders.messages import format_status
from app.blocks.replies import build_actions, build_button
from app.blocks.text import Json, build_option, build_section, escape, format_literal
from app.forms import action_ids
from app.forms.numbers import format_grouped, format_money
from app.forms.orders.order import Order
from app.forms.portfolio_values import OrderSummary, Position, PositionKey, TradeSummary
from app.forms.request_context import RequestContext
from app.forms.ticket import MAX_QUANTITY

NO_TRADES = "No trades yet."


def build_position_view(
    position: Position, trades: Sequence[TradeSummary], orders: Sequence[OrderSummary], *, can_trade: bool
) -> Json:
    """Return a position with its exits, working orders and newest trades."""
    blocks = [
        build_section(text) for text in (_describe_position(position), _describe_position_exits(position))
    ]
    if orders:
        lines = [_describe_order(order) for order in orders]
        blocks.append(build_section("*Working orders*\n" + "\n".join(lines)))
    history = "\n".join(map(describe_trade, trades)) or NO_TRADES
    blocks.append(build_section(f"*Newest trades*\n{history}"))
    if can_trade and position.quantity:
        blocks.append(_build_buttons(position.key))
    return build_modal("Position", blocks, RequestContext(subject=position.key))


def _build_buttons(key: str) -> Json:
    return build_actions(
        build_button("Close position…", action_ids.POSITION_CLOSE, key, "danger"),
        build_button("Set exits…", action_ids.POSITION_EXITS, key),
    )


def _describe_position(position: Position) -> str:
    name = f"{escape(position.symbol)}{f' {escape(position.product)}' if position.product else ''}"
    currency = "" if position.currency == position.base_currency else f" {escape(position.currency)}"
    stale = " (stale)" if position.mark_is_stale else ""
    return (
        f"*{name}* in {format_literal(position.portfolio_name)}\n"
        f"{format_grouped(position.quantity)} at an average cost of {format_rounded(position.avg_cost)} "
        f"{escape(position.base_currency)} · mark {format_money(position.mark)}{currency}{stale}\n"
        f"Value {format_rounded(position.market_value)} "
        f"· unrealized {format_signed(position.unrealized_pnl)} "
        f"· realized {format_signed(position.realized_pnl)}"
    )


def _describe_position_exits(position: Position) -> str:
    stop = "none" if position.stop_loss is None else format_money(position.stop_loss)
    target = "none" if position.take_profit is None else format_money(position.take_profit)
    return f"Stop-loss {stop} · take-profit {target}"


def _describe_order(order: OrderSummary) -> str:
    role = f" · {format_words(order.role)}" if order.role else ""
    return (
        f"{order.side} {format_grouped(order.quantity)} {format_order_terms(order)} "
        f"· {format_status(order.status)}{role}"
    )


def build_close_form(
    positions: Sequence[Position], quantity: Decimal | None, context: RequestContext
) -> Json:
    """Return the form that closes one of these positions. If there is only one, it is chosen."""
    options = [
        build_option(
            f"{position.symbol} {format_grouped(position.quantity)} in {position.portfolio_name}",
            position.key,
        )
        for position in positions
    ]
    blocks = [
        build_entry(
            action_ids.POSITION, "Position", build_select(options, options[0] if len(options) == 1 else None)
        ),
        build_entry(
            action_ids.QUANTITY,
            "Quantity",
            build_number(quantity, MAX_QUANTITY),
            is_optional=True,
            hint="Units to close. Empty: the whole position",
        ),
        build_entry(action_ids.REASON, "Reason", build_reason(), is_optional=True),
    ]
    return build_modal(
        "Close a position", blocks, context, submit="Close at market", callback_id=action_ids.CLOSE_FORM
    )


def build_exits_form(position: Position, context: RequestContext) -> Json:
    """Return the form of the stop-loss and the take-profit of a position."""
    blocks = [
        build_section(_describe_position(position)),
        build_entry(
            action_ids.TAKE_PROFIT,
            "Take-profit",
            build_number(position.take_profit),
            is_optional=True,
            hint="Limit price that takes the profit. Empty: none",
        ),
        build_entry(
            action_ids.STOP_LOSS,
            "Stop-loss",
            build_number(position.stop_loss),
            is_optional=True,
            hint="Stop price that limits the loss. Empty: none. Both replace the current exits",
        ),
    ]
    return build_modal("Set exits", blocks, context, submit="Set exits", callback_id=action_ids.EXITS_FORM)


def describe_close(key: PositionKey, order: Order) -> str:
    """Return the result of a close in mrkdwn."""
    what = f"{order.side} {format_grouped(order.quantity)} {escape(order.symbol)}"
    filled = f"{format_grouped(order.filled_quantity)} filled"
    price = "" if order.average_price is None else f" at {format_money(order.average_price)}"
    return (
        f"*{what}* in {format_literal(key.portfolio_name)} closes the position: "
        f"{format_status(order.status).lower()}, {filled}{price}."
    )


def describe_exits(key: PositionKey, orders: Sequence[OrderSummary]) -> str:
    """Return the result of a change of exits in mrkdwn."""
    name = f"*{escape(key.symbol)}* in {format_literal(key.portfolio_name)}"
    if not orders:
        return f"{name} has no exits now."
    lines = [_describe_order(order) for order in orders]
    return "\n".join([f"The exits of {name}:", *lines])
