"""Price sources by name."""

from collections.abc import Callable

from app.market_data.sources.manual import ManualSource
from app.market_data.sources.protocol import PriceSource
from app.market_data.sources.simulated import SimulatedSource

# Each is created with the seed in SIMULATION_SEED, which sources without simulation ignore.
SOURCES: dict[str, Callable[[str], PriceSource]] = {
    "simulated": SimulatedSource,
    "manual": lambda _: ManualSource(),
}

__all__ = ["SOURCES", "PriceSource"]
