"""Compute the exposure of locked portfolios: positions and working orders, kept up to date within a batch."""

from decimal import Decimal

from app.costs.rules.values import Schedule
from app.ledger.rules.accounting import Position
from app.ledger.rules.keys import HoldingKey, PortfolioKey, PositionKey
from app.market_data.rules.values import Quote
from app.orders.rules.contingency import closes_only, exclusive_id
from app.orders.rules.values import COUNTED, WORKING, Order
from app.orders.service.batch_context import BatchContext
from app.orders.service.currency_conversion import currency_in, rate_to_value_by
from app.orders.service.fill_charges import ChargedMarket, estimate_charges
from app.orders.service.marks import find_mark
from app.orders.service.portfolio_cache import Exposure
from app.risk.rules.exposure import (
    NO_PRICES,
    build_symbol_book,
    price_of,
    replace_book,
)
from app.risk.rules.values import Prices, WorkingOrder


def exposure_in(context: BatchContext, portfolio_key: PortfolioKey) -> Exposure:
    """Return the portfolio's exposure after revaluing the positions that changed."""
    exposure = context.exposures.get(portfolio_key)
    if exposure is None:
        exposure = context.exposures[portfolio_key] = Exposure()
        positions = context.books.positions(portfolio_key)
        due = {key.holding_key for key, held in positions.items() if held.quantity}
        due |= {order.holding_key for order in context.order_store.open_in(portfolio_key)}
        context.order_store.dirty.pop(portfolio_key, None)
    else:
        due = context.order_store.dirty.pop(portfolio_key, set())
        if exposure.rates:
            due |= _revalued(context, portfolio_key, exposure)
    for holding_key in due:
        _revalue(context, portfolio_key, exposure, holding_key)
    return exposure


def _revalued(context: BatchContext, portfolio_key: PortfolioKey, exposure: Exposure) -> set[HoldingKey]:
    """Return the positions in another currency whose rate has changed."""
    found = set()
    for holding_key, rate in exposure.rates.items():
        held = context.books.position(PositionKey(*portfolio_key, *holding_key))
        if rate_to_value_by(context, portfolio_key, holding_key.symbol, held) != rate:
            found.add(holding_key)
    return found


def _revalue(
    context: BatchContext, portfolio_key: PortfolioKey, exposure: Exposure, holding_key: HoldingKey
) -> None:
    tenant_id, symbol = portfolio_key.tenant_id, holding_key.symbol
    before = exposure.books.get(holding_key)
    open_orders = context.order_store.open_of(portfolio_key, symbol)
    working = [one for one in open_orders if one.product == holding_key.product and one.status in COUNTED]
    position_key = PositionKey(*portfolio_key, *holding_key)
    held = context.books.position(position_key)
    quote = context.quote(tenant_id, symbol)
    rate = rate_to_value_by(context, portfolio_key, symbol, held)
    mark_price = find_mark(context, position_key, held)
    if working:
        prices = prices_of(quote)
        market = charged_market_of(context, portfolio_key, symbol, held, rate)
        orders = working_of(working, held, prices, mark_price, market)
        after = build_symbol_book(held.quantity, mark_price, orders, prices, rate=rate)
    else:
        after = build_symbol_book(held.quantity, mark_price, rate=rate)
    exposure.valued_with[holding_key] = quote, context.instrument(tenant_id, symbol)
    _note_rate(exposure, holding_key, rate)
    if before != after:
        exposure.books[holding_key] = after
        exposure.total = replace_book(exposure.total, before, after)


def _note_rate(exposure: Exposure, holding_key: HoldingKey, rate: Decimal | None) -> None:
    if rate is not None:
        exposure.rates[holding_key] = rate
    elif exposure.rates:
        exposure.rates.pop(holding_key, None)


def working_of(
    orders: list[Order],
    held: Position,
    prices: Prices = NO_PRICES,
    mark_price: Decimal | None = None,
    market: ChargedMarket | None = None,
) -> list[WorkingOrder]:
    """Return the working orders of a position, and those that await approval, for the risk rules.

    Buys have an estimate of their charges in `market`, at the price that they are valued at.
    """
    working = [
        (
            order,
            WorkingOrder(
                side=order.side,
                type=order.type.value,
                leaves=order.leaves_quantity,
                limit_price=order.limit_price,
                stop_price=order.stop_price if order.trail_level is None else order.trail_level,
                is_triggered=order.is_triggered,
                group_id=order.group_id,
                exclusive_id=exclusive_id(order),
                is_exit=closes_only(order, held.quantity),
                is_at_market=order.status in WORKING,
            ),
        )
        for order in orders
        if order.status in COUNTED
    ]
    if market is None:
        return [one for _, one in working]
    return [
        one._replace(charges=estimate_charges(order, market, one.leaves, price_of(one, prices) or mark_price))
        if order.side == "BUY" and order.cost_schedule != Schedule.NONE
        else one
        for order, one in working
    ]


def charged_market_of(
    context: BatchContext, portfolio_key: PortfolioKey, symbol: str, held: Position, rate: Decimal | None
) -> ChargedMarket:
    """Return where the portfolio's orders in a symbol are charged."""
    currency = currency_in(context, portfolio_key, symbol, held)
    base = context.books.portfolio(portfolio_key).base_currency
    return ChargedMarket(context.instrument(portfolio_key.tenant_id, symbol).exchange, currency or base, rate)


def prices_of(quote: Quote | None) -> Prices:
    """Return the quote's prices as input for the risk rules."""
    return Prices(quote.bid, quote.ask, quote.last) if quote else Prices()
