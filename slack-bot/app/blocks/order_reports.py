"""Build the replies that show orders, trades and approvals."""

from collections.abc import Sequence

from app.blocks.amounts import (
    build_gain_cell,
    build_price_cell,
    build_quantity_cell,
    format_order_price,
    format_order_terms,
    format_rounded,
    format_words,
)
from app.blocks.messages import format_local_time, format_time
from app.blocks.orders.approvals import APPROVE, REJECT
from app.blocks.orders.messages import format_status
from app.blocks.replies import Reply, build_actions, build_button, build_sentence_reply
from app.blocks.tables import Table
from app.blocks.text import Json, build_section, count_fitting, escape, format_code, format_literal
from app.forms.numbers import format_grouped, format_money
from app.forms.portfolio_values import ApprovalSummary, OrderSummary, TradeSummary

NO_ORDERS = (
    "There are no working orders. `/order buy 50 MSFT limit 410` places one; `/desk orders all` includes "
    "closed orders."
)
NO_TRADES = "No trade matches. `/trades` lists the newest ones, and `/trade` reports one."
NO_APPROVALS = "No orders to approve. Orders that an approval policy assigns to you appear here."
NO_MATCHES = "No order matches. `/order` places one."
MAX_APPROVALS = 20


def build_orders_reply(orders: Sequence[OrderSummary], *, is_cut: bool, is_all: bool) -> Reply:
    """Return orders, a row for each."""
    if not orders:
        return build_sentence_reply(NO_MATCHES if is_all else NO_ORDERS)
    lines = [
        f"{order.side} {format_grouped(order.quantity)} {escape(order.symbol)} {format_order_terms(order)}: "
        f"{format_status(order.status)} ({format_code(order.id)})"
        for order in orders[:5]
    ]
    more = [f"and {len(orders) - 5} more"] if len(orders) > 5 else []
    caption = "Orders" if is_all else "Working orders"
    return Reply("\n".join([*lines, *more]), tables=(build_order_table(caption, orders, is_cut=is_cut),))


def build_order_table(caption: str, orders: Sequence[OrderSummary], *, is_cut: bool) -> Table:
    """Return the table of orders."""
    columns = ("Symbol", "Side", "Quantity", "Filled", "Type", "Price", "Status", "Portfolio", "Order")
    rows = [
        (
            order.symbol,
            order.side,
            build_quantity_cell(order.quantity),
            build_quantity_cell(order.filled_quantity),
            _describe_type(order),
            format_order_price(order),
            format_status(order.status),
            order.portfolio_name,
            order.id,
        )
        for order in orders
    ]
    return Table(caption, columns, rows, is_cut)


def _describe_type(order: OrderSummary) -> str:
    role = f", {format_words(order.role)}" if order.role else ""
    return f"{format_words(order.type)} {order.time_in_force}{role}"


def build_trades_reply(trades: Sequence[TradeSummary], *, is_cut: bool) -> Reply:
    """Return trades, a row for each."""
    if not trades:
        return build_sentence_reply(NO_TRADES)
    lines = [describe_trade(trade) for trade in trades[:5]]
    more = [f"and {len(trades) - 5} more"] if len(trades) > 5 else []
    return Reply("\n".join([*lines, *more]), tables=(build_trade_table(trades, is_cut=is_cut),))


def describe_trade(trade: TradeSummary) -> str:
    """Return a trade as a line in mrkdwn."""
    kind = "reversal: " if trade.kind == "reversal" else ""
    what = f"{kind}{trade.side} {format_grouped(trade.quantity)} {escape(trade.symbol)}"
    portfolio = format_literal(trade.portfolio_name)
    return f"{what} at {format_money(trade.price)} in {portfolio} ({format_code(trade.trade_id)})"


def build_trade_table(trades: Sequence[TradeSummary], *, is_cut: bool) -> Table:
    """Return the table of trades."""
    columns = ("Time", "Symbol", "Side", "Quantity", "Price", "Realized", "Portfolio", "Trade")
    rows = [
        (
            format_time(trade.executed_at).removesuffix(" UTC"),
            trade.symbol,
            f"{trade.side} (reversal)" if trade.kind == "reversal" else trade.side,
            build_quantity_cell(trade.quantity),
            build_price_cell(trade.price),
            build_gain_cell(trade.realized_pnl),
            trade.portfolio_name,
            trade.trade_id,
        )
        for trade in trades
    ]
    return Table("Trades (times in UTC)", columns, rows, is_cut)


def build_approvals_reply(approvals: Sequence[ApprovalSummary]) -> Reply:
    """Return the orders on which the person may decide."""
    if not approvals:
        return build_sentence_reply(NO_APPROVALS)
    lines = [describe_approval(approval) for approval in approvals[:MAX_APPROVALS]]
    count = count_fitting(lines)
    omitted_count = len(approvals) - count
    more = [f"and {omitted_count} more, in the home tab of this app"] if omitted_count else []
    blocks = list_approval_blocks(approvals[:count])
    lines = lines[:count]
    return Reply("\n".join([*lines, *more]), (*blocks, *(build_section(line) for line in more)))


def list_approval_blocks(approvals: Sequence[ApprovalSummary]) -> list[Json]:
    """Return the first orders that wait for a decision, each with its buttons."""
    blocks = []
    for approval in approvals[:MAX_APPROVALS]:
        approve = build_button("Approve…", APPROVE, approval.order.id, "primary")
        reject = build_button("Reject…", REJECT, approval.order.id, "danger")
        blocks += [build_section(describe_approval(approval)), build_actions(approve, reject)]
    return blocks


def describe_approval(approval: ApprovalSummary) -> str:
    """Return an order that waits for a decision, in mrkdwn."""
    order = approval.order
    what = (
        f"*{order.side} {format_grouped(order.quantity)} {escape(order.symbol)}* {format_order_terms(order)}"
    )
    value = "" if approval.value is None else f", worth {format_rounded(approval.value)}"
    why = f" · {format_literal(approval.reason)}" if approval.reason else ""
    expiry = f"expires {format_local_time(approval.expires_at)}"
    return (
        f"{what} in {format_literal(order.portfolio_name)}{value} · {format_code(order.id)}\n"
        f"Requested by {format_person(approval.requested_by)}{why} · {expiry}"
    )


def format_person(actor: str | None) -> str:
    """Return a mention of a person in Slack, else the name in the OMS, in mrkdwn."""
    if actor and actor.startswith("slack:"):
        return f"<@{escape(actor.rpartition(':')[2])}>"
    return format_code(actor) if actor else "nobody"
