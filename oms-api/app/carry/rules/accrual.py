"""Interest and borrow fees by dated yearly rates.

A rate of p percent a year on an amount is amount * p / 36,500 a calendar day. The rate of each day applies,
and the sum of the days is rounded once, half-even, to 8 decimals.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

import orjson

from app.ledger.rules.settings import CarryRateKind
from app.money import ZERO, compute_share

_DAY = timedelta(days=1)
_PERCENT_DAYS = Decimal(100 * 365)


class CarryRate(NamedTuple):
    """A yearly rate in percent from a date on.

    Without a `currency` it applies to currencies that have no own rate.
    """

    kind: CarryRateKind
    since: date
    percent: Decimal
    currency: str | None


class CarryPeriod(NamedTuple):
    """The days after one day up to another one, for which interest and borrow fees are booked together."""

    after: date
    until: date

    @property
    def length(self) -> int:
        """Return the number of days."""
        return (self.until - self.after).days

    def iterate_days(self) -> Iterator[date]:
        """Yield the days in order."""
        return (self.after + number * _DAY for number in range(1, self.length + 1))


class CarryBasis(NamedTuple):
    """The amounts on which interest and borrow fees are computed, at the close that begins the period.

    `shorts` are the market values of short positions without their sign by currency of the instrument. All
    amounts are in the portfolio's currency, `base_currency`.
    """

    base_currency: str
    cash: Decimal
    shorts: Mapping[str, Decimal]


class CarryAmounts(NamedTuple):
    """Signed amounts to book: interest is positive where it is earned, a borrow fee is never positive."""

    interest: Decimal
    borrow: Decimal


def parse_rates(text: str) -> list[CarryRate]:
    """Return the rates of a portfolio's setting."""
    return [
        CarryRate(
            CarryRateKind(item["kind"]),
            date.fromisoformat(item["from"]),
            Decimal(item["percent"]),
            item["currency"],
        )
        for item in orjson.loads(text)
    ]


def choose_percent(rates: Sequence[CarryRate], kind: CarryRateKind, day: date, currency: str) -> Decimal:
    """Return the rate of a day: the latest one of the currency, else the latest one of all currencies.

    Of two rates with the same date, the rate that is listed later applies. Without a rate it is zero.
    """
    for rate_currency in (currency, None):
        carry_rates = [
            rate
            for rate in rates
            if (rate.kind, rate.currency) == (kind, rate_currency) and rate.since <= day
        ]
        if carry_rates:
            return max(enumerate(carry_rates), key=lambda item: (item[1].since, item[0]))[1].percent
    return ZERO


def compute_carry(rates: Sequence[CarryRate], basis: CarryBasis, period: CarryPeriod) -> CarryAmounts:
    """Return the interest on the cash and the fee on the short positions for the days of a period."""
    kind = CarryRateKind.INTEREST if basis.cash > ZERO else CarryRateKind.MARGIN
    interest = _accrue(rates, kind, basis.cash, basis.base_currency, period)
    fees = (
        _accrue(rates, CarryRateKind.BORROW, value, currency, period)
        for currency, value in basis.shorts.items()
    )
    return CarryAmounts(interest, -sum(fees, ZERO))


def describe_interest(basis: CarryBasis, period: CarryPeriod) -> str:
    """Return the reason of a booking of interest."""
    return f"Interest on cash of {basis.cash:f} {basis.base_currency} for {_describe(period)}"


def describe_borrow(basis: CarryBasis, period: CarryPeriod) -> str:
    """Return the reason of a booking of a borrow fee."""
    value = sum(basis.shorts.values(), ZERO)
    return f"Borrow fee on short positions of {value:f} {basis.base_currency} for {_describe(period)}"


def _describe(period: CarryPeriod) -> str:
    days = "1 day" if period.length == 1 else f"{period.length} days"
    return f"{days} to {period.until}"


def _accrue(
    rates: Sequence[CarryRate], kind: CarryRateKind, amount: Decimal, currency: str, period: CarryPeriod
) -> Decimal:
    percents = sum((choose_percent(rates, kind, day, currency) for day in period.iterate_days()), ZERO)
    return compute_share(amount, percents, _PERCENT_DAYS)
