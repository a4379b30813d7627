"""Check exits before their entry is sent: once the entry has filled, they are always sent."""

from collections.abc import Sequence
from decimal import Decimal

from app.money import format_plain_amount, multiply
from app.orders.rules.contingency import EXIT_ROLES, can_only_close, compute_exit_quantity
from app.orders.rules.exit_prices import (
    compute_nearest_exit_price,
    fills_at_once,
    find_triggering_price,
    find_unprofitable_price,
    get_trigger_price,
    is_tightened,
    list_entry_prices,
)
from app.orders.rules.order_factory import ExitTicket
from app.orders.rules.values import GroupKind, Order, Role, Status, replace_fields
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.contingent_orders.groups import get_closable_quantity
from app.orders.service.risk_checks.risk_evaluation import build_risk_input, find_denial
from app.risk.rules.evaluation import evaluate_exit, evaluate_order
from app.risk.rules.exposure import compute_order_value, find_order_price
from app.risk.rules.values import Denial, Prices, RiskInput, TradingState

_NAMES_BY_ROLE = {
    Role.TAKE_PROFIT: "take_profit",
    Role.STOP_LOSS: "stop_loss",
    Role.FOLLOWER: "The second order",
}


def find_bracket_denial(
    context: BatchContext, entry: Order, exit_tickets: Sequence[ExitTicket]
) -> Denial | None:
    """Return the denial of the first exit of a bracket that does not pass, before its entry is sent."""
    for number, exit_order in enumerate(build_hypothetical_exits(entry, exit_tickets), 1):
        denial = _find_bracket_exit_denial(context, entry, exit_order, number)
        if denial is not None:
            return denial
    return None


def build_hypothetical_exits(entry: Order, exit_tickets: Sequence[ExitTicket]) -> list[Order]:
    """Return the exits of a bracket as orders for the checks. They have no ids and are not stored."""
    return [
        replace_fields(
            entry,
            id="",
            side=ticket.side,
            type=ticket.type,
            time_in_force=ticket.time_in_force,
            limit_price=ticket.limit_price,
            stop_price=ticket.stop_price,
            trail_amount=None,
            trail_percent=None,
            role=role,
        )
        for role, ticket in exit_tickets
    ]


def find_follower_denial(context: BatchContext, first: Order, second: Order) -> Denial | None:
    """Return the risk denial of the second order of an OTO pair, as if the first had filled."""
    denial = evaluate_order(
        _apply_hypothetical_fill(context, first, build_risk_input(context, second), second)
    ) or _find_side_denial(context, first, second)
    return denial and _add_order_name(denial, second)


def find_pair_denial(context: BatchContext, order: Order) -> Denial | None:
    """Return the denial of an OCO stop order that the market has already reached."""
    prices = context.find_symbol_state(order.tenant_id, order.symbol).prices
    trigger_price = get_trigger_price(order, prices)
    return None if trigger_price is None else _find_stop_denial(context, order, [trigger_price])


def find_exit_denial(context: BatchContext, order: Order, current_exits: Sequence[Order]) -> Denial | None:
    """Return the denial of a new exit of a position; the exits that it replaces do not count."""
    if context.get_trading_state(order).state is TradingState.HALTED:
        return find_denial(context, order, *current_exits)
    risk = build_risk_input(context, order, *current_exits)
    return evaluate_exit(risk, is_change=True) or find_pair_denial(context, order)


def find_change_denial(context: BatchContext, order: Order, successor: Order) -> Denial | None:
    """Return the denial of the successor of an exit, or of an order that has exits."""
    if is_exit_change(context, order, successor):
        return _find_exit_change_denial(context, order, successor)
    if order.role is Role.CLOSING:
        return _find_size_denial(order, successor, _compute_max_quantity(context, order, None))
    entry = context.order_store.find_parent(order) if order.role is Role.FOLLOWER else None
    if entry is not None and order.status is Status.HELD:
        return find_follower_denial(context, entry, successor)
    is_entry = order.role is Role.ENTRY and order.group_kind is GroupKind.BRACKET
    for exit_order in context.order_store.list_children(order) if is_entry else []:
        denial = (
            _find_side_denial(context, successor, exit_order) if exit_order.status is Status.HELD else None
        )
        if denial is not None:
            return _add_order_name(denial, exit_order)
    return None


def is_exit_change(context: BatchContext, order: Order, successor: Order) -> bool:
    """Return whether a change is checked by the rules for exits.

    True for bracket exits, and for other orders that only close if a halt allows only to tighten them.
    """
    if order.role in EXIT_ROLES:
        return True
    is_waiting = (
        order.status is Status.HELD or context.get_trading_state(order).state is not TradingState.HALTED
    )
    position_quantity = context.get_position(order).quantity
    return not is_waiting and can_only_close(order, position_quantity) and is_tightened(order, successor)


def _find_bracket_exit_denial(
    context: BatchContext, entry: Order, exit_order: Order, number: int
) -> Denial | None:
    risk = build_risk_input(context, exit_order)
    risk = risk._replace(
        symbol_exposure=risk.symbol_exposure._replace(orders=risk.symbol_exposure.orders + number)
    )
    denial = evaluate_exit(risk) or _find_side_denial(context, entry, exit_order)
    return denial and _add_order_name(denial, exit_order)


def _find_side_denial(context: BatchContext, entry: Order, exit_order: Order) -> Denial | None:
    """Return the denial of an exit that its entry's fill would trigger at once, or that makes no profit."""
    is_same_position = (exit_order.symbol, exit_order.product) == (entry.symbol, entry.product)
    if not is_same_position or exit_order.side == entry.side:
        return None
    prices = context.find_symbol_state(entry.tenant_id, entry.symbol).prices
    levels = list_entry_prices(entry, prices)
    trigger_price = get_trigger_price(exit_order, prices) if fills_at_once(entry, prices) else None
    denial = _find_stop_denial(
        context, exit_order, levels if trigger_price is None else [*levels, trigger_price]
    )
    level = find_unprofitable_price(exit_order, levels)
    if denial is not None or level is None:
        return denial
    entry_price = format_plain_amount(level)
    limit_price = _format_price(exit_order.limit_price)
    message = f"There is no profit at {limit_price}, because the entry fills at {entry_price}."
    nearest = compute_nearest_exit_price(
        levels, _get_tick_size(context, exit_order), is_above=exit_order.side == "SELL"
    )
    return Denial("EXIT_PRICE", message, level, exit_order.limit_price, None, nearest)


def _find_stop_denial(context: BatchContext, order: Order, levels: Sequence[Decimal]) -> Denial | None:
    level = find_triggering_price(order, levels)
    if level is None:
        return None
    is_above = order.side == "BUY"
    side = "above" if is_above else "below"
    entry_price = format_plain_amount(level)
    message = (
        f"The stop at {_format_price(order.stop_price)} must be {side} {entry_price}, else it fills at once."
    )
    nearest = compute_nearest_exit_price(levels, _get_tick_size(context, order), is_above=is_above)
    return Denial("EXIT_PRICE", message, level, order.stop_price, None, nearest)


def _get_tick_size(context: BatchContext, order: Order) -> Decimal:
    return context.find_instrument(order.tenant_id, order.symbol).tick_size


def _find_exit_change_denial(context: BatchContext, order: Order, successor: Order) -> Denial | None:
    entry = context.order_store.find_parent(order)
    denial = _find_size_denial(order, successor, _compute_max_quantity(context, order, entry))
    if denial is not None:
        return denial
    denial = _find_halt_denial(context, order, successor) or evaluate_exit(
        build_risk_input(context, successor, order), is_change=True
    )
    if denial is not None:
        return denial
    if order.status is Status.HELD:
        return None if entry is None else _find_side_denial(context, entry, successor)
    return find_pair_denial(context, successor)


def _find_size_denial(order: Order, successor: Order, max_quantity: Decimal) -> Denial | None:
    if successor.quantity <= max(max_quantity, order.quantity):
        return None
    quantity = format_plain_amount(max_quantity)
    message = f"An exit may have at most the quantity that its entry filled or can still fill: {quantity}."
    if order.role is Role.CLOSING:
        message = f"A closing order may have at most the quantity of the position: {quantity}."
    return Denial("REDUCE_ONLY", message, max_quantity, successor.quantity, max_quantity)


def _find_halt_denial(context: BatchContext, order: Order, successor: Order) -> Denial | None:
    """Return the denial of a change that a halt forbids: any change of an exit that does not tighten it."""
    if context.get_trading_state(order).state is not TradingState.HALTED or is_tightened(order, successor):
        return None
    return find_denial(context, successor, order)


def _compute_max_quantity(context: BatchContext, order: Order, entry: Order | None) -> Decimal:
    """Return the largest total quantity that an exit may have."""
    closable_quantity = get_closable_quantity(context, order)
    if entry is None:
        return order.filled_quantity + closable_quantity
    if order.status is Status.HELD:
        return entry.quantity
    protected_quantity = compute_exit_quantity(entry, context.order_store.list_children(entry))
    return order.filled_quantity + min(protected_quantity, closable_quantity)


def _apply_hypothetical_fill(
    context: BatchContext, first: Order, risk: RiskInput, second: Order
) -> RiskInput:
    """Return the second order's risk input with the position and cash after the first order's fill."""
    sign = 1 if first.side == "BUY" else -1
    prices: Prices = context.find_symbol_state(first.tenant_id, first.symbol).prices
    price = find_order_price(build_risk_input(context, first).order, prices)
    if (first.symbol, first.product) != (second.symbol, second.product) or price is None:
        return risk
    quantity = first.leaves_quantity
    paid = compute_order_value(quantity, price, risk.symbol_exposure.rate)
    book = risk.symbol_exposure._replace(
        position=risk.symbol_exposure.position + sign * quantity, mark=risk.symbol_exposure.mark or price
    )
    return risk._replace(symbol_exposure=book, cash=risk.cash - multiply(paid, Decimal(sign)))


def _add_order_name(denial: Denial, order: Order) -> Denial:
    name = _NAMES_BY_ROLE.get(order.role) if order.role else None
    return denial if name is None else denial._replace(message=f"{name}: {denial.message}")


def _format_price(price: Decimal | None) -> str:
    return "" if price is None else format_plain_amount(price)
