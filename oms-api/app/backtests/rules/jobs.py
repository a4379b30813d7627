"""Backtests that run as jobs, as plain values."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from app.backtests.rules.carry_rates import parse_carry_rate
from app.backtests.rules.currency_pairs import parse_currency, parse_pairs
from app.backtests.rules.settings import (
    BacktestSettings,
    InstrumentTerms,
    get_default_exchange,
    parse_costs,
    parse_limit,
)
from app.brokers.rules.settings import PaperSettings, Slippage
from app.carry.rules.accrual import CarryRate
from app.market_data.rules.bars import Interval
from app.money import parse_plain

MAX_BARS = 5_000_000  # of all symbols together
PROGRESS_PARTS = 1_000
_NO_AMOUNT = Decimal(0)


class BacktestStatus(StrEnum):
    """The status of a backtest. DONE and FAILED are final."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Backtest(NamedTuple):
    """A backtest, with all columns of its row; `models.BacktestRow` documents them."""

    tenant_id: int
    id: str
    strategy: str
    entry_point: str
    parameters: str
    symbols: str
    interval: str
    since: datetime
    until: datetime
    cash: Decimal
    costs: str
    settings: str
    seed: int
    status: BacktestStatus
    code_hash: str
    created_by: str
    created_at: datetime
    progress: int = 0
    error: str | None = None
    data_hash: str | None = None
    result_hash: str | None = None
    statistics: str | None = None
    holder: str | None = None
    leased_until: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def symbol_names(self) -> list[str]:
        """The symbols."""
        return self.symbols.split()


class BacktestRequest(NamedTuple):
    """The fields of a request for a backtest. None means the values of the strategy's registration."""

    strategy: str
    parameters: Mapping[str, Any]
    symbols: tuple[str, ...] | None
    since: datetime
    until: datetime
    interval: Interval | None
    cash: Decimal
    costs: str
    settings: Mapping[str, Any]
    seed: int


class InvalidSetting(ValueError):
    """Raised when a setting of a backtest is wrong.

    `name` is its name, and the text states what it must be.
    """

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(problem)
        self.name = name


def count_bars(since: datetime, until: datetime, interval: Interval, symbols: int) -> int:
    """Return how many bars a backtest reads at most."""
    return max((until - since) // interval.length, 0) * symbols


def compute_progress(since: datetime, until: datetime, at: datetime) -> int:
    """Return how much of a period is done, in thousandths."""
    share = (at - since) / max(until - since, timedelta.resolution)
    return min(max(int(share * PROGRESS_PARTS), 0), PROGRESS_PARTS)


def build_settings(
    interval: Interval, cash: Decimal, costs: str, settings: Mapping[str, Any], seed: int, strategy: str
) -> BacktestSettings:
    """Return the settings of a backtest. Raises InvalidSetting."""
    terms = _SettingsReader(settings)
    try:
        cost_terms = parse_costs(costs)
    except ValueError:
        message = "Must be none, zerodha, us_equity, ibkr_fixed, flat:1.00 or percent:0.1."
        raise InvalidSetting("cost_schedule", message) from None
    exchange = terms.read_text("exchange") or get_default_exchange(cost_terms.schedule)
    market = PaperSettings(
        spread=terms.read_amount("spread") or _NO_AMOUNT,
        participation=terms.read_amount("participation"),
        slippage=terms.read_slippage(),
        basis_points=terms.read_amount("basis_points") or _NO_AMOUNT,
        latency=timedelta(milliseconds=int(terms.read_amount("latency_milliseconds") or 0)),
    )
    backtest_settings = BacktestSettings(
        interval=interval,
        cash=cash,
        costs=cost_terms,
        instruments=InstrumentTerms(exchange, terms.read_amount("tick"), terms.read_amount("lot")),
        market=market,
        product=terms.read_text("product"),
        limits=terms.read_limits(),
        has_risk_checks=terms.read_flag("risk", default=True),
        enforces_sessions=terms.read_flag("sessions", default=False),
        seed=seed,
        strategy=strategy,
        carry_rates=terms.read_carry_rates(),
        base_currency=terms.read_currency(),
        currencies=terms.read_currencies(),
        rate_symbols=terms.read_pairs(),
    )
    terms.require_all_read()
    return backtest_settings


class _SettingsReader:
    """Reads settings by name, and notes which were read."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._unparsed_settings = dict(settings)

    def read_amount(self, name: str) -> Decimal | None:
        value = self._unparsed_settings.pop(name, None)
        if value is None:
            return None
        amount = None if isinstance(value, bool) else parse_plain(str(value))
        if amount is None or amount < _NO_AMOUNT:
            raise InvalidSetting(f"settings.{name}", "Must be a plain number of at least 0.")
        return amount

    def read_text(self, name: str) -> str:
        value = self._unparsed_settings.pop(name, "")
        if not isinstance(value, str):
            raise InvalidSetting(f"settings.{name}", "Must be text.")
        return value

    def read_flag(self, name: str, *, default: bool) -> bool:
        value = self._unparsed_settings.pop(name, default)
        if not isinstance(value, bool):
            raise InvalidSetting(f"settings.{name}", "Must be true or false.")
        return value

    def read_slippage(self) -> Slippage:
        try:
            return Slippage(self._unparsed_settings.pop("slippage", Slippage.NONE))
        except ValueError:
            message = f"Must be one of {', '.join(Slippage)}."
            raise InvalidSetting("settings.slippage", message) from None

    def read_limits(self) -> dict[Any, Decimal]:
        value = self._unparsed_settings.pop("limits", {})
        if not isinstance(value, dict):
            raise InvalidSetting("settings.limits", "Must be an object of values by code.")
        try:
            return dict(parse_limit(f"{code}={amount}") for code, amount in value.items())
        except ValueError as error:
            raise InvalidSetting("settings.limits", f"{error}.") from None

    def read_carry_rates(self) -> tuple[CarryRate, ...]:
        value = self._unparsed_settings.pop("carry_rates", {})
        if not isinstance(value, dict):
            raise InvalidSetting("settings.carry_rates", "Must be an object of percents by kind.")
        try:
            return tuple(parse_carry_rate(name, str(percent)) for name, percent in value.items())
        except ValueError as error:
            raise InvalidSetting("settings.carry_rates", f"{error}.") from None

    def read_currency(self) -> str:
        code = self.read_text("base_currency")
        try:
            return parse_currency(code) if code else ""
        except ValueError as error:
            raise InvalidSetting("settings.base_currency", f"{error}.") from None

    def read_currencies(self) -> dict[str, str]:
        value = self._unparsed_settings.pop("currencies", {})
        if not isinstance(value, dict):
            raise InvalidSetting("settings.currencies", "Must be an object of currencies by symbol.")
        try:
            return {symbol.upper(): parse_currency(str(code)) for symbol, code in value.items()}
        except ValueError as error:
            raise InvalidSetting("settings.currencies", f"{error}.") from None

    def read_pairs(self) -> tuple[str, ...]:
        try:
            return parse_pairs(self.read_text("rates"))
        except ValueError as error:
            raise InvalidSetting("settings.rates", f"{error}.") from None

    def require_all_read(self) -> None:
        for name in self._unparsed_settings:
            raise InvalidSetting(f"settings.{name}", "There is no such setting.")
