"""Interest and borrow fees by dated yearly rates."""

from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from app.carry.rules.accrual import (
    CarryAmounts,
    CarryBasis,
    CarryPeriod,
    CarryRate,
    choose_percent,
    compute_carry,
    describe_borrow,
    describe_interest,
    parse_rates,
)
from app.ledger.rules.settings import CarryRateKind
from app.performance.rules.closes import get_pnl_date

INTEREST, MARGIN, BORROW = CarryRateKind
JANUARY, FEBRUARY, MARCH = (date(2026, month, 1) for month in (1, 2, 3))
FRIDAY, MONDAY = date(2026, 11, 20), date(2026, 11, 23)
WEEKEND = CarryPeriod(FRIDAY, MONDAY)


def build_rate(kind, percent, since=JANUARY, currency=None):
    return CarryRate(kind, since, Decimal(percent), currency)


def build_basis(cash="0", **shorts):
    return CarryBasis("USD", Decimal(cash), {currency: Decimal(value) for currency, value in shorts.items()})


def test_weekend_counts_three_days():
    """8% on a debit of 36,500 is 8 a day."""
    amounts = compute_carry([build_rate(MARGIN, "8")], build_basis("-36500"), WEEKEND)
    assert amounts == CarryAmounts(Decimal(-24), Decimal(0))


def test_positive_cash_earns_interest_and_pays_no_margin():
    rates = [build_rate(INTEREST, "2"), build_rate(MARGIN, "8")]
    assert compute_carry(rates, build_basis("36500"), WEEKEND).interest == Decimal("6.00000000")
    assert compute_carry(rates[1:], build_basis("36500"), WEEKEND).interest == 0


def test_borrow_fee_uses_the_rate_of_the_currency_else_of_all():
    rates = [build_rate(BORROW, "1"), build_rate(BORROW, "10", currency="INR")]
    amounts = compute_carry(
        rates, build_basis(USD="36500", INR="3650"), CarryPeriod(FRIDAY, date(2026, 11, 21))
    )
    assert amounts == CarryAmounts(Decimal(0), Decimal(-2))


def test_latest_rate_of_a_day_applies_and_the_last_listed_of_a_date():
    rates = [build_rate(MARGIN, "3", FEBRUARY), build_rate(MARGIN, "1"), build_rate(MARGIN, "4", FEBRUARY)]
    days = (date(2025, 12, 31), JANUARY, FEBRUARY, MARCH)
    assert [choose_percent(rates, MARGIN, day, "USD") for day in days] == [0, 1, 4, 4]


def test_rate_change_in_a_period_applies_from_its_day():
    rates = [build_rate(MARGIN, "10"), build_rate(MARGIN, "20", MONDAY)]
    assert compute_carry(rates, build_basis("-36500"), WEEKEND).interest == -40


def test_close_at_midnight_ends_the_day_before():
    assert get_pnl_date(datetime(2026, 11, 21, tzinfo=UTC)) == FRIDAY
    assert get_pnl_date(datetime(2026, 11, 20, 21, tzinfo=UTC)) == FRIDAY


def test_stored_rates_are_parsed():
    text = '[{"kind":"borrow","from":"2026-01-01","percent":"0.5","currency":"USD"}]'
    assert parse_rates(text) == [build_rate(BORROW, "0.5", currency="USD")]


def test_reasons_name_the_basis_and_the_days():
    short = build_basis("-10.50", USD="20", INR="5")
    assert describe_interest(short, WEEKEND) == "Interest on cash of -10.50 USD for 3 days to 2026-11-23"
    carry_period = CarryPeriod(FRIDAY, date(2026, 11, 21))
    assert (
        describe_borrow(short, carry_period)
        == "Borrow fee on short positions of 25 USD for 1 day to 2026-11-21"
    )


@given(
    st.decimals("-1e9", "1e9", places=2),
    st.lists(st.tuples(st.integers(0, 40), st.decimals(0, 100, places=3)), max_size=4),
    st.integers(1, 31),
)
def test_interest_is_the_rounded_sum_of_the_days(cash, changes, length):
    rates = [build_rate(kind, percent, date(2026, 1, 1).replace(day=1 + day % 31)) for day, percent in changes
             for kind in (INTEREST, MARGIN)]  # fmt: skip
    period = CarryPeriod(date(2025, 12, 31), date(2026, 1, length))
    exact = Fraction(0)
    for number in range(1, length + 1):
        day = date(2026, 1, number)
        since = [rate for rate in rates if rate.kind is MARGIN and rate.since <= day]
        newest = max((rate.since for rate in since), default=None)
        percent = [rate.percent for rate in since if rate.since == newest][-1] if since else Decimal(0)
        exact += Fraction(cash) * Fraction(percent) / 36500
    amount = compute_carry(rates, build_basis(str(cash)), period).interest
    assert abs(Fraction(amount) - exact) <= Fraction(1, 2 * 10**8)
