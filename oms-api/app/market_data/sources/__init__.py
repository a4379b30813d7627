"""Sources of prices by their names."""

from collections.abc import Callable

from app.market_data.sources.manual import ManualSource
from app.market_data.sources.protocol import PriceSource
from app.market_data.sources.simulated import SimulatedSource

# Each is made from the seed in SIMULATION_SEED; those that do not simulate have no use for it.
SOURCES: dict[str, Callable[[str], PriceSource]] = {
    "simulated": SimulatedSource,
    "manual": lambda _: ManualSource(),
}

__all__ = ["SOURCES", "PriceSource"]
