"""Apply a corporate action to a portfolio: its ledger, and its open orders in the symbol."""

from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from app.ledger.errors import NoRate
from app.ledger.rules.corporate_actions import ActionKind, CorporateActionTerms, Ratio
from app.ledger.rules.keys import PortfolioKey
from app.ledger.service.corporate_actions import (
    ActionBooking,
    book_action,
    get_sequences,
    read_action_inputs,
    reverse_action,
)
from app.orders.rules.contingency import PARENT_ROLES
from app.orders.rules.order_factory import copy_order
from app.orders.rules.split_adjustments import (
    InstrumentIncrements,
    RestatedOrder,
    format_terms,
    parse_terms,
    restate_order,
    restore_order,
)
from app.orders.rules.states import get_resting_status
from app.orders.rules.values import Order, OrderKey, OrderType, Status
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.batch_state.order_records import list_history, load_histories
from app.orders.service.command_results import CorporateActionResult
from app.orders.service.commands import ApplyCorporateAction
from app.orders.service.contingent_orders.groups import cancel_open_orders
from app.orders.service.market_events.price_restatement import ACTOR, load_stored_prices, restate_prices
from app.orders.service.risk_checks.currency_conversion import find_current_rate
from app.timestamps import Timestamp, format_timestamp

_REVERSAL_PREFIX = "Reversed: "
_UNRESTATED_STATUSES = {Status.AWAITING_APPROVAL, Status.PENDING_CANCEL, Status.PENDING_REPLACE}


def apply_corporate_action(context: BatchContext, command: ApplyCorporateAction) -> CorporateActionResult:
    """Book an action in a portfolio, or reverse it, and restate or cancel the open orders in the symbol.

    A repeat changes nothing. Raises NoRate, MixesCurrencies, TradedAfterSymbolChange and AmountTooLarge.
    """
    action, portfolio_key = command.action, PortfolioKey(command.origin.tenant_id, command.portfolio_id)
    portfolio = context.ledger.get_portfolio(portfolio_key)
    find_rate = partial(_find_rate, context, portfolio_key, action.symbol)
    inputs = context.loaded.action_inputs[portfolio_key, action.id]
    if inputs.sequences != get_sequences(portfolio):  # an earlier command of the batch changed the ledger
        context.ledger.flush()
        inputs = read_action_inputs(context.ledger, portfolio, action)
    booking = ActionBooking(context.ledger, portfolio, command.origin, action, find_rate, inputs)
    change_count = context.change_count
    if command.is_reversal:
        reverse_action(booking)
    else:
        book_action(booking)
    context.exposures.pop(portfolio_key, None)
    if action.kind is ActionKind.SYMBOL_CHANGE and not command.is_reversal:
        _cancel_orders_of_old_symbol(context, portfolio_key, command)
    elif action.kind is ActionKind.SPLIT:
        _restate_orders(context, portfolio_key, command)
        restate_prices(context, command)
    return CorporateActionResult(context.change_count != change_count)


def load_corporate_action(context: BatchContext, command: ApplyCorporateAction) -> None:
    """Load the inputs of an action: the ledger, open orders in its symbol, rates and stored prices."""
    action, portfolio_key = command.action, PortfolioKey(command.origin.tenant_id, command.portfolio_id)
    portfolio = context.ledger.get_portfolio(portfolio_key)
    inputs = read_action_inputs(context.ledger, portfolio, action)
    context.loaded.action_inputs[portfolio_key, action.id] = inputs
    currencies = {context.ledger.get_position(key).currency for key in inputs.steps} | {action.currency}
    for currency in sorted(filter(None, currencies - {portfolio.base_currency})):
        find_current_rate(context, portfolio_key, currency)
    orders = context.order_store.list_open_orders_of_symbol(portfolio_key, action.symbol)
    context.order_store.load_relatives(orders)
    replaced = {OrderKey(order.tenant_id, order.replaces) for order in orders if order.replaces}
    context.order_store.load_orders(replaced)
    load_histories(context, orders)
    load_stored_prices(context, command)


def _find_rate(context: BatchContext, portfolio_key: PortfolioKey, symbol: str, currency: str) -> Decimal:
    rate = find_current_rate(context, portfolio_key, currency)
    if rate is None:
        raise NoRate(symbol, currency, context.ledger.get_portfolio(portfolio_key).base_currency)
    return rate


def _cancel_orders_of_old_symbol(
    context: BatchContext, portfolio_key: PortfolioKey, command: ApplyCorporateAction
) -> None:
    reason = f"{command.action.symbol} became {command.action.new_symbol}"
    orders = context.order_store.list_open_orders_of_symbol(portfolio_key, command.action.symbol)
    cancel_open_orders(context, orders, format_timestamp(command.origin.at), ACTOR, reason=reason)


def _restate_orders(
    context: BatchContext, portfolio_key: PortfolioKey, command: ApplyCorporateAction
) -> None:
    action, at = command.action, format_timestamp(command.origin.at)
    instrument = context.find_instrument(portfolio_key.tenant_id, action.symbol)
    increments = InstrumentIncrements(instrument.tick_size, instrument.lot_size)
    new_units, old_units = action.ratio
    ratio = Ratio(old_units, new_units) if command.is_reversal else action.ratio
    action_reason = _build_action_reason(action)
    open_orders = context.order_store.list_open_orders_of_symbol(portfolio_key, action.symbol)
    for stale_order in [order for order in open_orders if _must_restate(context, order, command)]:
        order = context.order_store.get_current(stale_order)  # canceling another order may have canceled it
        if order.status in _UNRESTATED_STATUSES:
            cancel_open_orders(context, [order], at, ACTOR, reason=f"{action_reason}: place the order again")
            continue
        restated = _find_previous_terms(context, order, command, increments) or restate_order(
            order, ratio, increments
        )
        if restated is None:
            cancel_open_orders(
                context, [order], at, ACTOR, reason=f"{action_reason}: less than one lot is left"
            )
        else:
            _apply_restated_terms(
                context,
                order,
                restated,
                at,
                f"{_REVERSAL_PREFIX}{action_reason}" if command.is_reversal else action_reason,
            )


def _find_previous_terms(
    context: BatchContext, order: Order, command: ApplyCorporateAction, increments: InstrumentIncrements
) -> RestatedOrder | None:
    """Return the terms that an order had before the split, for a reversal of an unchanged order, else None.

    This also restores the quantity that rounding removed.
    """
    if not command.is_reversal:
        return None
    if order.type is OrderType.TRAILING_STOP and order.replaces is not None:
        predecessor = context.order_store.get(order.tenant_id, order.replaces)
        previous = {"quantity": predecessor.quantity, "trail_amount": predecessor.trail_amount}
        return restore_order(order, previous, command.action.ratio, increments)
    action_reason = _build_action_reason(command.action)
    history = list_history(context, order)
    previous_terms = [
        event.broker_reason for event in history if event.reason == action_reason and event.broker_reason
    ]
    return (
        restore_order(order, parse_terms(previous_terms[-1]), command.action.ratio, increments)
        if previous_terms
        else None
    )


def _must_restate(context: BatchContext, order: Order, command: ApplyCorporateAction) -> bool:
    """Return whether an order is in the old units, for a reversal whether the action restated it.

    An order that was placed after the action took effect is in the new units.
    """
    action_reason = _build_action_reason(command.action)
    history = list_history(context, order)
    reasons = [event.reason for event in history]
    is_restated = reasons.count(action_reason) > reasons.count(f"{_REVERSAL_PREFIX}{action_reason}")
    if command.is_reversal:
        return is_restated
    return not is_restated and order.created_at < command.action.effective_at


def _build_action_reason(action: CorporateActionTerms) -> str:
    return f"Corporate action {action.id}"


def _apply_restated_terms(
    context: BatchContext, order: Order, restated: RestatedOrder, at: Timestamp, action_reason: str
) -> None:
    """Change the order in place. A trailing stop gets a successor, because its trail never widens.

    The order matches from the next quote on.
    """
    if order.type is OrderType.TRAILING_STOP:
        _replace_trailing_stop(context, order, restated, at, action_reason)
        return
    fields = {
        name: getattr(restated, name)
        for name in ("limit_price", "stop_price")
        if getattr(order, name) is not None
    }
    accepted: dict[str, Any] = {} if order.accepted_at is None else {"accepted_at": at}
    previous_terms = format_terms(order)  # the event stores them for a reversal
    changed_fields = fields | accepted | {"quantity": restated.quantity}
    context.order_store.record_change(
        order, at, ACTOR, reason=action_reason, broker_reason=previous_terms, **changed_fields
    )


def _replace_trailing_stop(
    context: BatchContext, order: Order, restated: RestatedOrder, at: Timestamp, action_reason: str
) -> None:
    store = context.order_store
    order_id = context.services.order_ids.generate(order.tenant_id, datetime.fromisoformat(at), order.id)
    successor = copy_order(
        order,
        order_id,
        at,
        quantity=restated.quantity,
        trail_amount=restated.trail_amount,
        trail_level=restated.trail_level,
        carried_quantity=order.filled_quantity,
        carried_value=order.filled_value,
        replaces=order.id,
    )
    added_order = store.add(successor, successor.placed_by, action_reason)
    if order.status is Status.HELD:
        store.change_status(order, Status.REPLACED, at, ACTOR, reason=action_reason, replaced_by=order_id)
        store.change_status(added_order, Status.HELD, at, ACTOR)
    else:
        pending = store.change_status(order, Status.PENDING_REPLACE, at, ACTOR, reason=action_reason)
        store.change_status(pending, Status.REPLACED, at, order.broker, replaced_by=order_id)
        submitted_order = store.change_status(added_order, Status.SUBMITTED, at, ACTOR)
        resting_status = get_resting_status(
            submitted_order.filled_quantity, is_triggered=submitted_order.is_triggered
        )
        store.change_status(submitted_order, resting_status, at, submitted_order.broker, accepted_at=at)
    for child in store.list_children(order) if order.role in PARENT_ROLES else ():
        store.update_fields(child, parent_id=order_id)
