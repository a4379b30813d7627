"""The tables of this release that a backtest needs. They are read before a strategy may run."""

from typing import NamedTuple

from app.backtests.rules.settings import BacktestSettings
from app.calendars.sources import ReleasedCalendars
from app.costs.rules.rates import RateTable
from app.costs.service import read_rates


class RememberedRates(RateTable):
    """Rates that are looked up once for each day, side and product."""

    def __init__(self) -> None:
        super().__init__(read_rates())
        self.cached_rates = {}


class MarketTables(NamedTuple):
    """The rates of charges, and the calendars of the markets if orders follow their sessions."""

    rates: RateTable
    calendars: ReleasedCalendars | None


def load_tables(settings: BacktestSettings) -> MarketTables:
    """Return the tables for a backtest with these settings."""
    return MarketTables(RememberedRates(), ReleasedCalendars.load() if settings.enforces_sessions else None)
