"""The settings of a backtest."""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from app.brokers.rules.settings import IDEAL_MARKET, PaperSettings
from app.carry.rules.accrual import CarryRate
from app.costs.rules.markets import MARKETS
from app.costs.rules.values import Schedule
from app.instruments.rules import Instrument, get_unlisted_terms
from app.ledger.rules.corporate_actions import CorporateActionTerms
from app.market_data.rules.bars import Interval
from app.money import ZERO, parse_plain
from app.risk.rules.limits import LimitCode, LimitScope, ScopedLimitValues

_DEFAULT_EXCHANGES = {Schedule.ZERODHA: "NSE", Schedule.US_EQUITY: "NYSE", Schedule.IBKR_FIXED: "NYSE"}
_HUNDRED = Decimal(100)


class FeeKind(StrEnum):
    """A fee that does not depend on a market."""

    FLAT = "flat"  # per order, with its first fill
    PERCENT = "percent"  # of the value of each fill


class CostTerms(NamedTuple):
    """The costs of fills: a dated schedule of the service, or a simple fee."""

    schedule: Schedule = Schedule.NONE
    flat_fee: Decimal = ZERO
    fee_rate: Decimal = ZERO  # of the value: 0.001 is 0.1%

    @property
    def is_free(self) -> bool:
        """Whether fills cost nothing."""
        return self.schedule is Schedule.NONE and not self.flat_fee and not self.fee_rate


class InstrumentTerms(NamedTuple):
    """The terms of all symbols of a backtest. Without an exchange, all symbols count as unlisted."""

    exchange: str = ""
    tick_size: Decimal | None = None
    lot_size: Decimal | None = None


class BacktestSettings(NamedTuple):
    """The rules by which a backtest handles the orders of a strategy."""

    interval: Interval = Interval.MINUTE
    cash: Decimal = Decimal(1_000_000)
    costs: CostTerms = CostTerms()
    instruments: InstrumentTerms = InstrumentTerms()
    market: PaperSettings = IDEAL_MARKET
    product: str = ""  # of orders that name none
    limits: Mapping[LimitCode, Decimal] = {}  # of the portfolio, by code
    has_risk_checks: bool = True  # False: no risk check runs, whatever the limits
    enforces_sessions: bool = False  # orders trade only in the sessions of the exchange
    seed: int = 0  # of the random numbers
    strategy: str = ""  # its name, for limits of strategies
    actions: tuple[CorporateActionTerms, ...] = ()  # splits and dividends to book
    carry_rates: tuple[CarryRate, ...] = ()  # yearly rates of interest and borrow fees
    base_currency: str = ""  # of the portfolio; empty: the exchange's
    currencies: Mapping[str, str] = {}  # the quote currency by symbol, if it is not the exchange's
    rate_symbols: tuple[str, ...] = ()  # currency pairs whose bars the strategy does not receive

    @property
    def currency(self) -> str:
        """The currency of the portfolio: the base currency, else the currency of the exchange, else USD."""
        return self.base_currency or self._exchange_currency or "USD"

    @property
    def has_other_currencies(self) -> bool:
        """Whether an instrument may trade in another currency than the portfolio's."""
        return bool(self.currencies) or self._exchange_currency not in {"", self.currency}

    @property
    def _exchange_currency(self) -> str:
        market = MARKETS.get(self.instruments.exchange)
        return "" if market is None else market.currency

    def build_instrument(self, symbol: str) -> Instrument:
        """Return the instrument of a symbol."""
        exchange, tick_size, lot_size = self.instruments
        terms = get_unlisted_terms(symbol)
        return terms._replace(
            exchange=exchange,
            currency=self.currencies.get(symbol) or self._exchange_currency or self.currency,
            tick_size=terms.tick_size if tick_size is None else tick_size,
            lot_size=terms.lot_size if lot_size is None else lot_size,
            is_listed=bool(exchange) or symbol in self.currencies,
        )

    def list_limits(self) -> ScopedLimitValues:
        """Return the limits as rows of the portfolio."""
        return {(code, LimitScope.PORTFOLIO, "backtest"): value for code, value in self.limits.items()}


def parse_costs(text: str) -> CostTerms:
    """Return the costs of "none", a schedule's name, "flat:1.00" per order or "percent:0.1" of the value.

    Raises ValueError.
    """
    word, _, amount = text.partition(":")
    if not amount:
        return CostTerms(Schedule(word))
    number = parse_plain(amount)
    if number is None or number < ZERO:
        raise ValueError(f"{amount!r} is not an amount")
    if FeeKind(word) is FeeKind.FLAT:
        return CostTerms(flat_fee=number)
    return CostTerms(fee_rate=number / _HUNDRED)


def get_default_exchange(schedule: Schedule) -> str:
    """Return the exchange of an instrument of the schedule's market, empty for no schedule."""
    return _DEFAULT_EXCHANGES.get(schedule, "")


def parse_limit(text: str) -> tuple[LimitCode, Decimal]:
    """Return the code and the value of a limit such as "MAX_DAILY_LOSS=5000". Raises ValueError."""
    code, _, value = text.partition("=")
    number = parse_plain(value)
    if number is None:
        raise ValueError(f"{value!r} is not a number")
    return LimitCode(code), number
