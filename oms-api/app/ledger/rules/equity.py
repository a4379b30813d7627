"""The equity of a portfolio: its cash and the market value of its positions."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

from app.instruments.rules import InstrumentKey
from app.ledger.rules.keys import PortfolioKey, RateKey
from app.money import ZERO, divide, multiply


class PositionToValue(NamedTuple):
    """A position to value. Cost is in the portfolio's currency, `base_currency`.

    `currency` is None if it trades in the portfolio's currency; otherwise `local_cost` is its cost in
    `currency`. `last_sequence` is the sequence of its last row in the ledger.
    """

    portfolio: PortfolioKey
    symbol: str
    product: str
    quantity: Decimal
    cost: Decimal
    currency: str | None
    local_cost: Decimal | None
    last_sequence: int
    base_currency: str

    @property
    def instrument_key(self) -> InstrumentKey:
        """The key of its instrument."""
        return InstrumentKey(self.portfolio.tenant_id, self.symbol)


class PortfolioExposure(NamedTuple):
    """The sums of a portfolio's positions at their marks, in its currency.

    `gross` is the sum of the market values without their signs, `net` with them. `unrealized_pnl` is net less
    cost.
    """

    gross: Decimal = ZERO
    net: Decimal = ZERO
    unrealized_pnl: Decimal = ZERO


class Baseline(NamedTuple):
    """The start of a period for which P&L is computed: the equity and the sum of flows at that instant."""

    equity: Decimal
    flows: Decimal


class PortfolioValue(NamedTuple):
    """A portfolio at the marks of its positions. P&L is after charges and without flows.

    `flows` is the sum of its deposits less withdrawals so far.
    """

    exposure: PortfolioExposure
    equity: Decimal
    flows: Decimal
    day_pnl: Decimal
    total_pnl: Decimal


class CurrencyValue(NamedTuple):
    """The positions of a portfolio in one other currency: their market value there and in the portfolio's.

    `rate` is the current rate between both, None where no quote gives one.
    """

    local: Decimal
    value: Decimal
    rate: Decimal | None


class Marks(NamedTuple):
    """The prices and rates at which positions are valued.

    `prices` are by instrument. A position without one is valued at its last trade's price, in
    `last_prices` by its portfolio and last sequence.
    """

    prices: Mapping[InstrumentKey, Decimal]
    last_prices: Mapping[tuple[PortfolioKey, int], Decimal]
    rates: Mapping[RateKey, Decimal]


NO_EXPOSURE = PortfolioExposure()


def value_exposures(
    positions: Iterable[PositionToValue],
    prices: Mapping[InstrumentKey, Decimal],
    last_prices: Mapping[tuple[PortfolioKey, int], Decimal],
    rates: Mapping[RateKey, Decimal],
) -> dict[PortfolioKey, PortfolioExposure]:
    """Return the exposure of each portfolio.

    `prices` are marks by instrument. A position without one is valued at its last trade's price, in
    `last_prices` by its portfolio and last sequence.
    """
    sums: dict[PortfolioKey, list[Decimal]] = {}
    for position in positions:
        portfolio, _, _, quantity, cost, currency, _, last_sequence, _ = position
        price = prices.get(position.instrument_key)
        value = multiply(quantity, last_prices[portfolio, last_sequence] if price is None else price)
        if currency is not None:
            value = _convert(value, position, rates)
        total = sums.get(portfolio)
        if total is None:
            total = sums[portfolio] = [ZERO, ZERO, ZERO]
        total[0] += abs(value)
        total[1] += value
        total[2] += value - cost
    return {portfolio: PortfolioExposure._make(total) for portfolio, total in sums.items()}


def value_currencies(
    positions: Iterable[PositionToValue], marks: Marks
) -> dict[PortfolioKey, dict[str, CurrencyValue]]:
    """Return the values of positions in other currencies, by portfolio and currency."""
    values: dict[PortfolioKey, dict[str, CurrencyValue]] = {}
    for position in positions:
        portfolio, currency = position.portfolio, position.currency
        if currency is None:
            continue
        price = marks.prices.get(position.instrument_key)
        if price is None:
            price = marks.last_prices[portfolio, position.last_sequence]
        local = multiply(position.quantity, price)
        rate = marks.rates.get(RateKey(portfolio.tenant_id, currency, position.base_currency))
        portfolio_values = values.setdefault(portfolio, {})
        total = portfolio_values.get(currency, CurrencyValue(ZERO, ZERO, rate))
        value = _convert(local, position, marks.rates)
        portfolio_values[currency] = CurrencyValue(total.local + local, total.value + value, rate)
    return values


def compute_rate_of_cost(cost: Decimal, local_cost: Decimal | None) -> Decimal | None:
    """Return the exchange rate that a position's cost implies, None if it has no cost.

    It is used where no current rate is quoted.
    """
    return divide(cost, local_cost) if local_cost else None


def compute_value(
    cash: Decimal, flows: Decimal, exposure: PortfolioExposure, opening: Baseline, last_close: Baseline
) -> PortfolioValue:
    """Return the equity and the P&L of a portfolio from its cash, its flows and its exposure."""
    equity = cash + exposure.net
    day_pnl, total_pnl = (equity - start.equity - (flows - start.flows) for start in (last_close, opening))
    return PortfolioValue(exposure, equity, flows, day_pnl, total_pnl)


def _convert(value: Decimal, position: PositionToValue, rates: Mapping[RateKey, Decimal]) -> Decimal:
    rate = rates.get(RateKey(position.portfolio.tenant_id, position.currency or "", position.base_currency))
    if rate is None:
        rate = compute_rate_of_cost(position.cost, position.local_cost)
    return value if rate is None else multiply(value, rate)
