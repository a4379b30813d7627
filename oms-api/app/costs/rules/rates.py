"""Dated rates: the table, its text format, and the look-up of the rate in force."""

import csv
from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from app.costs.errors import RateUnknown
from app.costs.rules.values import Schedule
from app.money import parse_plain


class Unit(StrEnum):
    """The quantity by which a rate is multiplied."""

    PERCENT = "percent"
    PER_MILLION = "per_million"
    PER_CRORE = "per_crore"
    PER_SHARE = "per_share"
    PER_ORDER = "per_order"
    PER_SCRIP_AND_DAY = "per_scrip_and_day"


_DECIMAL_SHIFT = {Unit.PERCENT: -2, Unit.PER_MILLION: -6, Unit.PER_CRORE: -7}
_OF_VALUE = frozenset(_DECIMAL_SHIFT)
_UNITS: dict[str, frozenset[Unit]] = {
    **dict.fromkeys(("brokerage", "stt", "exchange", "sebi", "gst", "stamp_duty"), _OF_VALUE),
    **dict.fromkeys(("commission_cap", "sec"), _OF_VALUE),
    **dict.fromkeys(("commission", "finra_taf", "cat"), frozenset({Unit.PER_SHARE})),
    "square_off": frozenset({Unit.PER_ORDER}),
    "dp_charge": frozenset({Unit.PER_SCRIP_AND_DAY}),
}
COLUMNS = (
    "schedule", "component", "exchange", "product", "side", "effective_from",
    "rate", "unit", "minimum", "maximum", "step", "source",
)  # fmt: skip


class Rate(NamedTuple):
    """One row of the table, in force from its date until the next row of the same kind.

    An empty `exchange`, `product` or `side` means all. `minimum` and `maximum` bound the amount (US fees: per
    execution, others: per order). The amount is rounded to `step`. All are in the market's currency.
    """

    schedule: Schedule
    component: str
    exchange: str
    product: str
    side: str
    effective_from: date
    rate: Decimal
    unit: Unit
    minimum: Decimal | None
    maximum: Decimal | None
    step: Decimal
    source: str

    @property
    def factor(self) -> Decimal:
        """The rate as a factor of a value or quantity."""
        return self.rate.scaleb(_DECIMAL_SHIFT.get(self.unit, 0))

    def applies_to(self, exchange: str, product: str, side: str) -> bool:
        """Return whether the row applies to that exchange, product and side."""
        return self.exchange in {"", exchange} and self.product in {"", product} and self.side in {"", side}

    @property
    def precedence(self) -> tuple[date, int]:
        """The precedence among the rows that apply: the latest date, then the most specific row."""
        return self.effective_from, sum(map(bool, (self.exchange, self.product, self.side)))


class InvalidRates(ValueError):
    """Raised when the text is not a valid table of rates. The message names the line."""


class RateTable:
    """All rates, indexed by schedule and component.

    `cached_rates` has the rates of the terms that were requested before, None if they are not to be cached. A
    backtest requests the same rates at each fill.
    """

    cached_rates: dict[object, dict[str, Rate]] | None = None

    def __init__(self, rates: Iterable[Rate]) -> None:
        self._rates: dict[tuple[str, str], list[Rate]] = defaultdict(list)
        for rate in rates:
            self._rates[rate.schedule, rate.component].append(rate)

    def find(
        self,
        schedule: Schedule,
        component: str,
        on: date,
        exchange: str = "",
        product: str = "",
        side: str = "",
    ) -> Rate | None:
        """Return the rate in force, or None if the schedule never charges the component in this case.

        Raises RateUnknown if the first rate is of a later date.
        """
        rates = [
            rate
            for rate in self._rates.get((schedule, component), ())
            if rate.applies_to(exchange, product, side)
        ]
        in_force = [rate for rate in rates if rate.effective_from <= on]
        if rates and not in_force:
            raise RateUnknown(schedule, component, on, min(rate.effective_from for rate in rates))
        return max(in_force, key=lambda rate: rate.precedence, default=None)


def parse_rates(text: str) -> list[Rate]:
    """Return the rates of CSV text with the header `COLUMNS`. Raises InvalidRates."""
    header, *lines = csv.reader(text.splitlines() or [""])
    if tuple(header) != COLUMNS:
        raise InvalidRates(f"Line 1 must be: {','.join(COLUMNS)}")
    rates: dict[tuple[object, ...], Rate] = {}
    for number, cells in enumerate(lines, start=2):
        rate = _parse_line(cells, number)
        if rate[:6] in rates:
            raise InvalidRates(f"Line {number}: a line above has the same date and terms.")
        rates[rate[:6]] = rate
    return list(rates.values())


def _parse_line(cells: list[str], line: int) -> Rate:
    if len(cells) != len(COLUMNS):
        raise InvalidRates(f"Line {line} must have {len(COLUMNS)} columns.")
    row = dict(zip(COLUMNS, cells, strict=True))
    try:
        rate = Rate(
            schedule=Schedule(row["schedule"]),
            component=row["component"],
            exchange=row["exchange"],
            product=row["product"],
            side=row["side"],
            effective_from=date.fromisoformat(row["effective_from"]),
            rate=_parse_amount(row["rate"]),
            unit=Unit(row["unit"]),
            minimum=_parse_amount(row["minimum"]) if row["minimum"] else None,
            maximum=_parse_amount(row["maximum"]) if row["maximum"] else None,
            step=_parse_amount(row["step"]),
            source=row["source"],
        )
    except ValueError as error:
        raise InvalidRates(f"Line {line}: {error}") from None
    problem = _find_problem(rate)
    if problem:
        raise InvalidRates(f"Line {line}: {problem}")
    return rate


def _parse_amount(text: str) -> Decimal:
    amount = parse_plain(text)
    if amount is None or amount < 0:
        raise ValueError(f"{text!r} is not a plain decimal number of at least 0.")
    return amount


def _find_problem(rate: Rate) -> str | None:
    units = _UNITS.get(rate.component)
    if units is None:
        return f"{rate.component!r} is not a component."
    if rate.unit not in units:
        return f"{rate.component!r} must be in one of the units {', '.join(sorted(units))}."
    if rate.side not in {"", "BUY", "SELL"}:
        return f"{rate.side!r} is not a side."
    if not rate.step:
        return "`step` must be above zero."
    return None if rate.source else "`source` is empty."
