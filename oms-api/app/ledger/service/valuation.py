"""Value portfolios at the current marks of their positions, or at their marks at an earlier instant."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, TypeVar

from sqlalchemy import Connection

from app.instruments.rules import InstrumentKey
from app.ledger.queries.valuation import load_trade_prices, sum_flows
from app.ledger.rules.equity import (
    NO_EXPOSURE,
    Baseline,
    Marks,
    PortfolioExposure,
    PortfolioValue,
    PositionToValue,
    compute_value,
    value_exposures,
)
from app.ledger.rules.keys import PortfolioKey, RateKey
from app.ledger.service.portfolio_statements import PortfolioStatement
from app.market_data.rules.rates import find_rate, list_pairs
from app.market_data.rules.values import Quote, compute_mark
from app.money import ZERO

KeyT = TypeVar("KeyT", bound=Hashable)
# Returns, by portfolio id, the equity at the last close of its P&L day. Those without a close have none.
EquityBaselineReader = Callable[[Connection, int, Sequence[int]], Mapping[int, Baseline]]
QuoteReader = Callable[[Connection, Sequence[InstrumentKey], datetime], Mapping[InstrumentKey, Quote]]


class Valuer(NamedTuple):
    """The sources of a valuation: quotes, and the equity at the last close."""

    read_quotes: QuoteReader
    read_baselines: EquityBaselineReader


def value_statements(
    connection: Connection,
    valuer: Valuer,
    tenant_id: int,
    statements: Mapping[KeyT, PortfolioStatement],
    at: datetime,
) -> dict[KeyT, PortfolioValue]:
    """Return the current value of each portfolio, by the keys of `statements`."""
    positions = [
        position
        for statement in statements.values()
        for position in list_statement_positions(tenant_id, statement)
    ]
    exposures = value_positions(connection, valuer.read_quotes, positions, at)
    ids = [statement.summary.id for statement in statements.values()]
    baselines = valuer.read_baselines(connection, tenant_id, ids)
    flows = sum_flows(connection, [PortfolioKey(tenant_id, number) for number in ids])
    values = {}
    for key, statement in statements.items():
        portfolio = PortfolioKey(tenant_id, statement.summary.id)
        exposure = exposures.get(portfolio, NO_EXPOSURE)
        opening = Baseline(Decimal(statement.summary.opening_cash), ZERO)
        last_close = baselines.get(statement.summary.id, opening)
        cash = Decimal(statement.summary.cash)
        values[key] = compute_value(cash, flows.get(portfolio, ZERO), exposure, opening, last_close)
    return values


def value_positions(
    connection: Connection, read_quotes: QuoteReader, positions: Sequence[PositionToValue], at: datetime
) -> dict[PortfolioKey, PortfolioExposure]:
    """Return the exposure of each portfolio that has positions, at the marks of the instant."""
    if not positions:
        return {}
    return value_exposures(positions, *load_marks(connection, read_quotes, positions, at))


def load_marks(
    connection: Connection, read_quotes: QuoteReader, positions: Sequence[PositionToValue], at: datetime
) -> Marks:
    """Return the prices and rates of positions at an instant."""
    symbols = {position.instrument_key for position in positions}
    foreign = {
        RateKey(position.portfolio.tenant_id, position.currency, position.base_currency)
        for position in positions
        if position.currency is not None
    }
    pairs = {
        InstrumentKey(tenant_id, currency_pair)
        for tenant_id, *names in foreign
        for currency_pair in list_pairs(*names)
    }
    quotes = read_quotes(connection, sorted(symbols | pairs), at)
    prices = {
        key: price for key in symbols if key in quotes and (price := compute_mark(quotes[key])) is not None
    }
    unpriced = {
        (position.portfolio, position.last_sequence)
        for position in positions
        if position.instrument_key not in prices
    }
    last_prices = load_trade_prices(connection, sorted(unpriced))
    return Marks(prices, last_prices, _compute_rates(foreign, quotes))


def list_statement_positions(tenant_id: int, statement: PortfolioStatement) -> Iterable[PositionToValue]:
    """Yield the open positions of a portfolio."""
    portfolio = PortfolioKey(tenant_id, statement.summary.id)
    for position in statement.positions:
        quantity = Decimal(position.quantity)
        if quantity:
            local_cost = None if position.local_cost is None else Decimal(position.local_cost)
            yield PositionToValue(
                portfolio,
                position.symbol,
                position.product,
                quantity,
                Decimal(position.cost),
                position.currency,
                local_cost,
                position.last_sequence,
                statement.summary.base_currency,
            )


def _compute_rates(
    rate_keys: Iterable[RateKey], quotes: Mapping[InstrumentKey, Quote]
) -> dict[RateKey, Decimal]:
    rates: dict[RateKey, Decimal] = {}
    for key in rate_keys:
        tenant_id, currency, base = key
        quotes_by_pair = {
            currency_pair: quotes.get(InstrumentKey(tenant_id, currency_pair))
            for currency_pair in list_pairs(currency, base)
        }
        rate = find_rate(currency, base, quotes_by_pair)
        if rate is not None:
            rates[key] = rate
    return rates
