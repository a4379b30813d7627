"""Evaluate risk: build the `RiskInput` of an order, and format a denial."""

from collections.abc import Callable, Sequence
from decimal import Decimal

import orjson

from app.costs.rules.values import Schedule
from app.instruments.rules import Instrument
from app.ledger.service.commands import CommandOrigin
from app.market_data.rules.values import Quote
from app.money import format_plain_amount
from app.orders.rules.contingency import find_oco_group_id
from app.orders.rules.trading_sessions import Hold
from app.orders.rules.values import Order, Role
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.broker.broker_orders import count_critical_issues
from app.orders.service.risk_checks.aggregates import compute_firm_totals
from app.orders.service.risk_checks.currency_conversion import find_missing_rate
from app.orders.service.risk_checks.duplicate_orders import get_seconds_since_same_order
from app.orders.service.risk_checks.execution_latch import count_execution, find_latch
from app.orders.service.risk_checks.exposure import build_book, build_charged_market, compute_exposure
from app.orders.service.risk_checks.fill_charges import estimate_charges
from app.orders.service.risk_checks.loss_limits import find_current_losses, find_firm_pnl_of_day
from app.orders.service.risk_checks.trading_sessions import find_current_hold, find_session_refusal
from app.risk.rules.evaluation import evaluate_close, evaluate_order
from app.risk.rules.exposure import find_order_price, subtract_totals
from app.risk.rules.limits import LimitSubject
from app.risk.rules.values import (
    CandidateOrder,
    Denial,
    ExposureTotals,
    OrderLimits,
    Prices,
    RiskInput,
    SymbolExposure,
    charge_nothing,
)
from app.text import label_key
from app.timestamps import Timestamp

_NO_CODES: frozenset[str] = frozenset()


def find_denial(
    context: BatchContext, order: Order, *excluded: Order, confirm_repeat: bool = False
) -> Denial | None:
    """Return the risk denial of the order, None if it passes.

    - `excluded`: orders that the checks ignore.
    - `confirm_repeat`: whether the client confirmed that it repeats a recent order.

    For a replacement, the largest passing quantity is a total that includes the fills of the original.
    """
    checks = evaluate_close if order.role is Role.CLOSING else evaluate_order
    denial = checks(build_risk_input(context, order, *excluded, confirm_repeat=confirm_repeat))
    if denial is None or denial.largest_passing is None:
        return denial
    return denial._replace(largest_passing=denial.largest_passing + order.filled_quantity)


def build_risk_input(
    context: BatchContext, order: Order, *excluded: Order, confirm_repeat: bool = False
) -> RiskInput:
    """Return the input of the risk checks. Its totals contain neither the order nor the orders `excluded`."""
    portfolio, limits = context.get_portfolio(order), find_limits(context, order)
    symbol, candidate = context.find_symbol_state(order.tenant_id, order.symbol), _build_candidate(order)
    state, scope = context.get_trading_state(order)
    book, other_exposure = _sum_others(context, order, excluded, candidate)
    firm, losses = compute_firm_totals(context, order, limits), find_current_losses(context, order, limits)
    hold, seconds = find_current_hold(context, order), limits.repeat_order_seconds
    session_hold = find_session_refusal(context, order, hold)
    return RiskInput(
        order=candidate,
        instrument=symbol.tradable,
        prices=symbol.prices,
        symbol_exposure=book,
        limits=limits,
        cash=portfolio.cash,
        charges=_build_charge_estimate(context, order, candidate, symbol.prices, book.rate),
        other_exposure=other_exposure,
        firm=firm.other_totals,
        firm_rate=firm.rate,
        portfolio_name_key=portfolio.name_key,
        state=state,
        state_scope=scope,
        latch=find_latch(context, order),
        is_person=order.actor is not None,
        confirm_repeat=confirm_repeat,
        same_order_seconds=None if confirm_repeat else get_seconds_since_same_order(context, order, seconds),
        pnl_of_day=losses.pnl_of_day,
        firm_pnl_of_day=find_firm_pnl_of_day(context, order, limits),
        drawdown=losses.drawdown,
        no_rate=(None if book.rate is None else find_missing_rate(context, order)) or firm.missing,
        session_refusal=session_hold and session_hold.reason,
        closed_until=session_hold and session_hold.opens_at,
        feed_silence=_find_feed_silence(context, symbol.quote, hold),
        max_feed_silence=context.services.market.max_silence_seconds,
        waived=_find_waived_codes(context, order),
        critical_issues=count_critical_issues(context, order),
    )


def _find_waived_codes(context: BatchContext, order: Order) -> frozenset[str]:
    """Return the denial code that the order's override waives. Overrides must be loaded before."""
    request = context.loaded.approval_requests.get(order.key) if context.loaded.approval_requests else None
    return frozenset({request.waived}) if request is not None and request.waived else _NO_CODES


def _build_subject(context: BatchContext, order: Order, instrument: Instrument) -> LimitSubject:
    portfolio = context.get_portfolio(order)
    return LimitSubject(
        portfolio_name_key=portfolio.name_key,
        symbol=order.symbol,
        user=label_key(order.actor or order.user_id or "") or None,
        strategy=label_key(order.strategy or "") or None,
        asset_class=instrument.asset_class,
        is_live=portfolio.kind == "live",
        key=f"key:{order.source}" if order.actor is None else None,
    )


def find_limits(context: BatchContext, order: Order) -> OrderLimits:
    """Return the limits that apply to the order. They do not change within a batch."""
    key = (order.tenant_id, order.id)
    limits = context.limits.get(key)
    if limits is None:
        instrument = context.find_instrument(order.tenant_id, order.symbol)
        limits = context.services.controls.get_limits(
            order.tenant_id, _build_subject(context, order, instrument)
        )
        context.limits[key] = limits
    return limits


def count_order_message(context: BatchContext, origin: CommandOrigin, order: Order) -> None:
    """Count a new, changed or canceled order as a message. Raises TooManyMessages above the limit."""
    limits = find_limits(context, order)
    sender = (origin.tenant_id, origin.source, origin.actor)
    context.count_order_message(sender, limits.messages_per_minute)


def count_execution_for_latch(context: BatchContext, order: Order, at: Timestamp) -> None:
    """Count an execution if the tenant limits repeated executions: see `execution_latch`."""
    if context.services.controls.counts_executions(order.tenant_id):
        count_execution(context, order, int(find_limits(context, order).repeated_executions), at)


def format_denial(denial: Denial) -> str:
    """Return a denial as JSON text, as it is stored and shown."""
    fields = {name: _format_value(value) for name, value in denial._asdict().items()}
    return orjson.dumps(fields).decode()


def _format_value(value: Decimal | str | None) -> str | None:
    return format_plain_amount(value) if isinstance(value, Decimal) else value


def _find_feed_silence(context: BatchContext, quote: Quote | None, hold: Hold | None) -> Decimal | None:
    """Return the age of the quote. An order that is held until the open is checked again at its release."""
    if quote is None or hold is not None:
        return None
    span = context.services.market.compute_silence(quote, context.now)
    return None if span is None else Decimal(int(span.total_seconds()))


def _sum_others(
    context: BatchContext, order: Order, excluded: Sequence[Order], candidate: CandidateOrder
) -> tuple[SymbolExposure, ExposureTotals]:
    """Return the book of the order's position with its other open orders, and the totals of other positions.

    The book of the current valuation is reused if the position has no open orders.
    """
    exposure = compute_exposure(context, order.portfolio_key)
    valuation = exposure.valuations.get(order.symbol_product_key)
    totals = exposure.total if valuation is None else subtract_totals(exposure.total, valuation.totals)
    if valuation is not None and valuation.book.position and not valuation.book.orders:
        return valuation.book, totals
    excluded_ids = {order.id, *[other_order.id for other_order in excluded]}
    other_orders = [
        other_order
        for other_order in context.order_store.list_open_orders_of_symbol(order.portfolio_key, order.symbol)
        if other_order.product == order.product and other_order.id not in excluded_ids
    ]
    return build_book(context, order.position_key, other_orders, candidate), totals


def _build_charge_estimate(
    context: BatchContext, order: Order, candidate: CandidateOrder, prices: Prices, rate: Decimal | None
) -> Callable[[Decimal], Decimal]:
    """Return a function that estimates the charges for filling a quantity of the order."""
    if order.cost_schedule == Schedule.NONE:
        return charge_nothing
    position = context.get_position(order)
    market = build_charged_market(context, order.portfolio_key, order.symbol, position, rate)
    price = find_order_price(candidate, prices)
    return lambda quantity: estimate_charges(order, market, quantity, price)


def _build_candidate(order: Order) -> CandidateOrder:
    return CandidateOrder(
        symbol=order.symbol,
        side=order.side,
        type=order.type,
        quantity=order.leaves_quantity,
        product=order.product,
        limit_price=order.limit_price,
        stop_price=order.stop_price if order.trail_level is None else order.trail_level,
        trail_amount=order.trail_amount,
        is_triggered=order.is_triggered,
        extended_hours=order.extended_hours,
        group_id=order.group_id,
        oco_group_id=find_oco_group_id(order),
        is_closing=order.role is Role.CLOSING,
        filled_quantity=order.filled_quantity,
    )
