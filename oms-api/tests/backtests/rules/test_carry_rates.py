from datetime import date
from decimal import Decimal

import pytest

from app.backtests.rules.carry_rates import parse_carry_rate
from app.carry.rules.accrual import CarryRate
from app.ledger.rules.settings import CarryRateKind


def test_rate_names_a_currency_and_a_first_day():
    rate = parse_carry_rate("borrow:USD@2026-01-02", "3.5")
    assert rate == CarryRate(CarryRateKind.BORROW, date(2026, 1, 2), Decimal("3.5"), "USD")


@pytest.mark.parametrize("kind", CarryRateKind)
def test_rate_without_currency_and_day_holds_always(kind):
    assert parse_carry_rate(kind, "0") == CarryRate(kind, date.min, Decimal(0), None)


@pytest.mark.parametrize(
    ("name", "percent", "message"),
    [
        ("loan", "1", "'loan' must be one of"),
        ("borrow:XYZ", "1", "only borrow has a currency"),
        ("interest:USD", "1", "must be one of|only borrow has a currency"),
        ("borrow", "many", "'many' must be a number of percent from 0 to 1,000"),
        ("borrow", "1000.5", "must be a number of percent"),
        ("borrow", "0.000000001", "must be a number of percent"),
        ("borrow@tomorrow", "1", "'tomorrow' must be a date such as 2026-01-01"),
    ],
)
def test_wrong_rate_is_refused(name, percent, message):
    with pytest.raises(ValueError, match=message):
        parse_carry_rate(name, percent)
