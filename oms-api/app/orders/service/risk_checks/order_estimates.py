"""Size an order, and estimate its effects: its price, value and charges, and the portfolio after it."""

from decimal import Decimal
from typing import NamedTuple

import orjson

from app.costs.errors import RateUnknown
from app.costs.rules.values import ChargedExecution
from app.ledger.rules.keys import PortfolioKey
from app.money import (
    ZERO,
    divide,
    format_fixed,
    multiply,
    round_down_to_step,
    shorten_amount,
    shorten_quantity,
)
from app.orders.rules.order_views import OrderEstimate
from app.orders.rules.values import Order, OrderType, Ticket
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.risk_checks.currency_conversion import find_trading_currency
from app.orders.service.risk_checks.exposure import compute_exposure
from app.orders.service.risk_checks.fill_charges import build_charged_trade, compute_charges
from app.risk.rules.exposure import (
    compute_market_value,
    compute_order_value,
    find_order_price,
    get_touch_price,
)
from app.risk.rules.values import Denial, Prices, RiskInput


class Exposures(NamedTuple):
    """The sums of the market values of positions: of their amounts, and signed."""

    gross: Decimal
    net: Decimal


def estimate_order(context: BatchContext, order: Order, risk: RiskInput) -> OrderEstimate:
    """Return the estimate of an order, given the input of its risk checks."""
    price = find_order_price(risk.order, risk.prices)
    if price is not None and order.type is OrderType.LIMIT:
        touched = risk.prices.ask if order.side == "BUY" else risk.prices.bid
        if touched is not None:
            price = min(price, touched) if order.side == "BUY" else max(price, touched)
    sign = 1 if order.side == "BUY" else -1
    quantity = risk.order.quantity
    value = None if price is None else multiply(quantity, price)
    worth = (
        None
        if price is None or risk.no_rate
        else compute_order_value(quantity, price, risk.symbol_exposure.rate)
    )
    charges = (
        None
        if worth is None or value is None
        else _estimate_charges(context, order, value, risk.symbol_exposure.rate)
    )
    is_complete = worth is not None and charges is not None
    exposures = sum_exposures(context, order.portfolio_key)
    cash = context.get_portfolio(order).cash
    return OrderEstimate(
        price=price,
        value=value,
        charges=charges,
        cash_after=cash - sign * (worth or ZERO) - (charges or ZERO) if is_complete else None,
        position_after=context.get_position(order).quantity + sign * quantity,
        gross_exposure=exposures.gross,
        net_exposure=exposures.net,
        equity=cash + exposures.net,
    )


def sum_exposures(context: BatchContext, portfolio_key: PortfolioKey) -> Exposures:
    """Return the exposures of a portfolio's positions, in its currency."""
    valuations = compute_exposure(context, portfolio_key).valuations.values()
    values = [compute_market_value(valuation.book) for valuation in valuations]
    return Exposures(gross=sum(map(abs, values), ZERO), net=sum(values, ZERO))


def serialize_estimate(estimate: OrderEstimate) -> str:
    """Return the estimate as JSON text. Amounts are text as in the API."""
    values = estimate._asdict().items()
    texts = {name: None if value is None else shorten_amount(format_fixed(value)) for name, value in values}
    texts["position_after"] = shorten_quantity(format_fixed(estimate.position_after))
    return orjson.dumps(texts).decode()


def _estimate_charges(
    context: BatchContext, order: Order, value: Decimal, rate: Decimal | None
) -> Decimal | None:
    """Return the charges of the order if one execution filled it, None where a rate is unknown."""
    currency = find_trading_currency(context, order.portfolio_key, order.symbol, context.get_position(order))
    execution = ChargedExecution(order.leaves_quantity, value)
    try:
        trade = build_charged_trade(context, order, execution, currency, rate, order.created_at)
        return compute_charges(context, order, trade).total
    except RateUnknown:
        return None


_NO_QUANTITY = "NO_QUANTITY"


def resolve_quantity(context: BatchContext, tenant_id: int, ticket: Ticket) -> Decimal:
    """Return the ticket's quantity.

    For a notional it is notional / ask, rounded down to the lot size; zero without a price.
    """
    if ticket.quantity is not None or ticket.notional is None:
        return ticket.quantity or ZERO
    quote = context.find_quote(tenant_id, ticket.symbol)
    price = get_touch_price("BUY", Prices(quote.bid, quote.ask, quote.last)) if quote else None
    if not price:
        return ZERO
    return round_down_to_step(
        _compute_max_quantity(ticket.notional, price),
        context.find_instrument(tenant_id, ticket.symbol).lot_size,
    )


def _compute_max_quantity(notional: Decimal, price: Decimal) -> Decimal:
    nearest = divide(notional, price)
    return nearest if nearest * price <= notional else nearest - Decimal("0.00000001")


def find_quantity_denial(order: Order) -> Denial | None:
    """Return the denial of an order whose notional gives no quantity, None for any other order."""
    if order.quantity:
        return None
    message = "The notional is less than one lot, or there is no price; send a larger notional or a quantity."
    return Denial(_NO_QUANTITY, message, asked=order.notional)
