"""Convert amounts from an instrument's currency to its portfolio's."""

from collections.abc import Iterable
from decimal import Decimal

from app.instruments.rules import InstrumentKey
from app.ledger.errors import NoRate
from app.ledger.queries.batch_statements import find_last_rate
from app.ledger.rules.accounting import Position, choose_fill_currency
from app.ledger.rules.keys import PortfolioKey
from app.market_data.rules.rates import find_rate, list_pairs
from app.money import ZERO, divide
from app.orders.rules.values import Order
from app.orders.service.batch_state.batch_context import BatchContext


def find_trading_currency(
    context: BatchContext, portfolio_key: PortfolioKey, symbol: str, position: Position
) -> str | None:
    """Return the currency that the symbol trades in, None if it is the portfolio's own."""
    instrument = context.find_instrument(portfolio_key.tenant_id, symbol)
    base = context.ledger.portfolios[portfolio_key].base_currency
    return choose_fill_currency(position, instrument.currency if instrument.is_listed else None, base)


def find_conversion_rate(context: BatchContext, tenant_id: int, currency: str, base: str) -> Decimal | None:
    """Return the current price of one unit of `currency` in `base`, None if no rate is known."""
    symbols = list_pairs(currency, base)
    context.load_quotes([InstrumentKey(tenant_id, symbol) for symbol in symbols])
    return find_rate(currency, base, {symbol: context.find_quote(tenant_id, symbol) for symbol in symbols})


def find_current_rate(context: BatchContext, portfolio_key: PortfolioKey, currency: str) -> Decimal | None:
    """Return the current price of a currency in the portfolio's currency, None if no rate is known."""
    return find_conversion_rate(
        context, portfolio_key.tenant_id, currency, context.ledger.get_portfolio(portfolio_key).base_currency
    )


def find_portfolio_valuation_rate(
    context: BatchContext, portfolio_key: PortfolioKey, symbol: str, position: Position
) -> Decimal | None:
    """Return the rate to value a position and its orders, None in the portfolio's own currency."""
    base = context.ledger.portfolios[portfolio_key].base_currency
    return find_valuation_rate(context, portfolio_key.tenant_id, base, symbol, position)


def find_valuation_rate(
    context: BatchContext, tenant_id: int, base: str, symbol: str, position: Position
) -> Decimal | None:
    """Return the rate to value a position in the currency `base`, None if it is in that currency.

    Without a current rate, the rate of the position's cost is used; zero if it is flat, so that no new order
    passes.
    """
    instrument = context.find_instrument(tenant_id, symbol)
    currency = choose_fill_currency(position, instrument.currency if instrument.is_listed else None, base)
    if currency is None:
        return None
    rate = find_conversion_rate(context, tenant_id, currency, base)
    return (get_cost_rate(position) or ZERO) if rate is None else rate


def find_booking_rate(context: BatchContext, order: Order, currency: str, position: Position) -> Decimal:
    """Return the rate to record a fill.

    It is the current rate, else the rate of the position's cost, else the rate of the last trade. A fill must
    be recorded even without a current rate. Raises NoRate if there never was one.
    """
    rate = find_current_rate(context, order.portfolio_key, currency) or get_cost_rate(position)
    rate = rate or load_last_rate(context, order)
    if rate is None:
        raise NoRate(order.symbol, currency, context.get_portfolio(order).base_currency)
    return rate


def load_last_rate(context: BatchContext, order: Order) -> Decimal | None:
    """Load the rate of the last stored trade in the order's symbol, and return it; None if there is none."""
    last_rates, key = context.loaded.last_rates, order.position_key
    if key not in last_rates:
        last_rates[key] = find_last_rate(context.connection, *order.portfolio_key, order.symbol)
    return last_rates[key]


def load_booking_rates(context: BatchContext, orders: Iterable[Order]) -> None:
    """Load the rates for the fills of orders whose currency has no current rate."""
    for order in orders:
        position = context.get_position(order)
        if get_cost_rate(position) is None and find_missing_rate(context, order) is not None:
            load_last_rate(context, order)


def get_cost_rate(position: Position) -> Decimal | None:
    """Return the average rate of the position's cost, None if it has none."""
    if not position.local_cost or not position.cost:
        return None
    return divide(position.cost, position.local_cost) or None


def find_missing_rate(context: BatchContext, order: Order) -> str | None:
    """Return the currency pair whose missing rate prevents valuing the order, None if there is a rate."""
    portfolio_key, position = order.portfolio_key, context.get_position(order)
    currency = find_trading_currency(context, portfolio_key, order.symbol, position)
    if currency is None or find_current_rate(context, portfolio_key, currency) is not None:
        return None
    return f"{currency}/{context.get_portfolio(order).base_currency}"
