"""Parse the yearly rates of interest and borrow fees of a backtest."""

from datetime import date
from decimal import Decimal

from app.carry.rules.accrual import CarryRate
from app.ledger.rules.currencies import CURRENCIES
from app.ledger.rules.settings import CarryRateKind
from app.money import find_amount_error, parse_plain

MAX_PERCENT = Decimal(1000)


def parse_carry_rate(name: str, percent: str) -> CarryRate:
    """Return the rate of a name such as "borrow:USD@2026-01-01"; currency and date are optional.

    Only the kind borrow may have a currency: the currency of the borrowed instruments. Raises ValueError.
    """
    kind_and_currency, _, since = name.partition("@")
    kind_name, _, currency = kind_and_currency.partition(":")
    if kind_name not in set(CarryRateKind):
        raise ValueError(f"{kind_name!r} must be one of {', '.join(CarryRateKind)}")
    kind = CarryRateKind(kind_name)
    if currency and (kind is not CarryRateKind.BORROW or currency not in CURRENCIES):
        raise ValueError(f"{name!r}: only borrow has a currency, such as borrow:USD")
    rate = parse_plain(percent)
    if rate is None or rate > MAX_PERCENT or (rate and find_amount_error(rate)):
        raise ValueError(f"{percent!r} must be a number of percent from 0 to {MAX_PERCENT:,}")
    try:
        first_day = date.fromisoformat(since) if since else date.min
    except ValueError:
        raise ValueError(f"{since!r} must be a date such as 2026-01-01") from None
    return CarryRate(kind, first_day, rate, currency or None)
