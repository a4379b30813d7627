"""The tables of this release that a backtest needs. They are read before a strategy may run."""

from datetime import date
from typing import NamedTuple

from typing_extensions import override

from app.backtests.rules.settings import BacktestSettings
from app.calendars.sources import ReleasedCalendars
from app.costs.rules.rates import Rate, RateTable
from app.costs.rules.values import Schedule
from app.costs.service import read_rates


class CachedRates(RateTable):
    """Rates whose look-ups are remembered: a backtest repeats few of them."""

    def __init__(self) -> None:
        super().__init__(read_rates())
        self._found: dict[tuple[object, ...], Rate | None] = {}

    @override
    def find(
        self, schedule: Schedule, component: str, on: date, exchange: str = "", product: str = "",
        side: str = "",
    ) -> Rate | None:  # fmt: skip
        key = (schedule, component, on, exchange, product, side)
        if key not in self._found:
            self._found[key] = super().find(schedule, component, on, exchange, product, side)
        return self._found[key]


class MarketTables(NamedTuple):
    """The rates of charges, and the calendars of the markets if orders follow their sessions."""

    rates: RateTable
    calendars: ReleasedCalendars | None


def load_tables(settings: BacktestSettings) -> MarketTables:
    """Return the tables for a backtest with these settings."""
    return MarketTables(CachedRates(), ReleasedCalendars.load() if settings.enforces_sessions else None)
