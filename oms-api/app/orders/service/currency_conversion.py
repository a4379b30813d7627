"""From the currency that a symbol is traded in to its portfolio's."""

from decimal import Decimal

from app.ledger.errors import NoRate
from app.ledger.queries.books import last_rate
from app.ledger.rules.accounting import Position, currency_of_fill
from app.market_data.rules.rates import find_rate, list_pairs
from app.money import ZERO, ratio
from app.orders.rules.values import Order
from app.orders.service.batch_context import BatchContext, PortfolioKey


def currency_in(context: BatchContext, place: PortfolioKey, symbol: str, held: Position) -> str | None:
    """Return the currency that a symbol is traded in where it is not the portfolio's own."""
    return _currency(context, place[0], context.books.portfolio(*place).base_currency, symbol, held)


def _currency(context: BatchContext, tenant_id: int, base: str, symbol: str, held: Position) -> str | None:
    listed = context.instrument(tenant_id, symbol)
    return currency_of_fill(held, listed.currency if listed.is_listed else None, base)


def rate_between(context: BatchContext, tenant_id: int, currency: str, base: str) -> Decimal | None:
    """Return how much of `base` one unit of `currency` is worth now, None where nobody says."""
    symbols = list_pairs(currency, base)
    context.load_quotes([(tenant_id, symbol) for symbol in symbols])
    return find_rate(currency, base, {symbol: context.quote(tenant_id, symbol) for symbol in symbols})


def rate_now(context: BatchContext, place: PortfolioKey, currency: str) -> Decimal | None:
    """Return what a currency is worth in the portfolio's now, None where nobody says."""
    return rate_between(context, place[0], currency, context.books.portfolio(*place).base_currency)


def rate_to_value_by(
    context: BatchContext, place: PortfolioKey, symbol: str, held: Position
) -> Decimal | None:
    """Return the rate that a position and its orders are valued by, None for the portfolio's own currency."""
    return rate_to_value_in(context, place[0], context.books.portfolio(*place).base_currency, symbol, held)


def rate_to_value_in(
    context: BatchContext, tenant_id: int, base: str, symbol: str, held: Position
) -> Decimal | None:
    """Return the same for a portfolio of the currency `base`.

    Where nobody says a rate, it is that of the position's cost; zero where nothing is held: nothing new is
    let pass then.
    """
    currency = _currency(context, tenant_id, base, symbol, held)
    if currency is None:
        return None
    rate = rate_between(context, tenant_id, currency, base)
    return (rate_of_cost(held) or ZERO) if rate is None else rate


def rate_to_book_by(context: BatchContext, order: Order, currency: str, held: Position) -> Decimal:
    """Return the rate of a fill: now's, else the last that is known, of the position's cost or of the newest
    trade. What was done is booked. Raises NoRate where there never was any.
    """
    place = (order.tenant_id, order.portfolio_id)
    rate = rate_now(context, place, currency) or rate_of_cost(held)
    rate = rate or last_rate(context.connection, *place, order.symbol)
    if rate is None:
        raise NoRate(order.symbol, currency, context.portfolio(order).base_currency)
    return rate


def rate_of_cost(held: Position) -> Decimal | None:
    """Return the rate that a position's two costs make, None where there is none."""
    if not held.local_cost or not held.cost:
        return None
    return ratio(held.cost, held.local_cost) or None


def pair_without_rate(context: BatchContext, order: Order, held: Position) -> str | None:
    """Return the pair without whose rate the order has no value in its portfolio, None where it has one."""
    place = (order.tenant_id, order.portfolio_id)
    currency = currency_in(context, place, order.symbol, held)
    if currency is None or rate_now(context, place, currency) is not None:
        return None
    return f"{currency}/{context.portfolio(order).base_currency}"
