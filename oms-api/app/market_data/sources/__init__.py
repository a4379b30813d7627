"""Price sources by name."""

from collections.abc import Callable
from typing import NamedTuple

from app.market_data.sources.alpaca import AlpacaAccess, AlpacaSource
from app.market_data.sources.manual import ManualSource
from app.market_data.sources.protocol import PriceSource
from app.market_data.sources.simulated import SimulatedSource


class SourceSettings(NamedTuple):
    """The settings with which sources are created.

    `seed` is SIMULATION_SEED; `alpaca` is None without credentials.
    """

    seed: str
    alpaca: AlpacaAccess | None = None


class SourceNotConfigured(Exception):
    """Raised when a setting that the source needs is missing. The message names it."""


def _create_alpaca_source(settings: SourceSettings) -> PriceSource:
    if settings.alpaca is None:
        raise SourceNotConfigured("PRICE_SOURCE=alpaca needs ALPACA_API_KEY and ALPACA_API_SECRET")
    return AlpacaSource(settings.alpaca)


SOURCES: dict[str, Callable[[SourceSettings], PriceSource]] = {
    "simulated": lambda settings: SimulatedSource(settings.seed),
    "manual": lambda _: ManualSource(),
    "alpaca": _create_alpaca_source,
}

__all__ = ["SOURCES", "AlpacaAccess", "PriceSource", "SourceNotConfigured", "SourceSettings"]
