"""Exposure of open positions by group."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from app.money import ZERO
from app.reports.rules.values import UsedRate


class ExposureGrouping(StrEnum):
    """The grouping of the exposure."""

    PORTFOLIO = "portfolio"
    SYMBOL = "symbol"
    CURRENCY = "currency"
    ASSET_CLASS = "asset_class"
    SECTOR = "sector"


class HeldValue(NamedTuple):
    """A position with its signed market value in the tenant's currency. `currency` is the instrument's."""

    portfolio: str
    symbol: str
    currency: str
    asset_class: str
    sector: str
    value: Decimal


@dataclass(slots=True)
class ExposureSums:
    """Sums of market values. `short_value` is at most zero."""

    positions: int = 0
    long_value: Decimal = ZERO
    short_value: Decimal = ZERO

    @property
    def gross_exposure(self) -> Decimal:
        """Long and short values, both counted as positive."""
        return self.long_value - self.short_value

    @property
    def net_exposure(self) -> Decimal:
        """Long and short values, the short ones counted as negative."""
        return self.long_value + self.short_value

    def add(self, value: Decimal) -> None:
        """Add a position."""
        self.positions += 1
        if value > 0:
            self.long_value += value
        else:
            self.short_value += value


def sum_exposure(grouping: ExposureGrouping, held_values: Iterable[HeldValue]) -> dict[str, ExposureSums]:
    """Return the exposure of each group. Positions without a sector are summed under an empty name."""
    groups: dict[str, ExposureSums] = {}
    for held_value in held_values:
        groups.setdefault(getattr(held_value, grouping.value), ExposureSums()).add(held_value.value)
    return groups


class ExposureReport(NamedTuple):
    """Exposure by group in the tenant's currency. `missing_currencies` have no rate and are left out."""

    currency: str
    groups: dict[str, ExposureSums]
    rates: list[UsedRate]
    missing_currencies: list[str]

    @property
    def total(self) -> ExposureSums:
        """All groups together."""
        whole = ExposureSums()
        for group in self.groups.values():
            whole.positions += group.positions
            whole.long_value += group.long_value
            whole.short_value += group.short_value
        return whole
