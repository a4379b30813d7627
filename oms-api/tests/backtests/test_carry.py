"""Interest and borrow fees of a backtest are booked at the closes of the service, by its rules."""

from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

import pytest

from app.backtests.rules.carry_rates import parse_carry_rate
from app.backtests.rules.settings import InstrumentTerms
from app.ledger.rules.settings import CarryRateKind
from tests.backtests.bars import START, build_line
from tests.backtests.order_steps import buy_units, sell_units
from tests.backtests.support import Scripted, read_rows, run_backtest, to_decimal

PLACES = Decimal("0.00000001")
HOURS = [
    build_line(60 * hour, f"{price}/{price}/{price}/{price}")
    for hour, price in enumerate([100] * 30 + [110] * 60)
]


def build_rates(**percents):
    return tuple(parse_carry_rate(name.replace("_", ":"), percent) for name, percent in percents.items())


def run_steps_with_rates(steps, lines=None, folder=None, **settings):
    return run_backtest(Scripted(steps), lines or HOURS, folder, **settings)


def compute_accrual(value, percent, days=1):
    return (value * Decimal(percent) * days / 36_500).quantize(PLACES, ROUND_HALF_EVEN)


def test_borrow_fee_uses_the_short_value_at_the_previous_close():
    finished = run_steps_with_rates(
        {0: sell_units(100), 80: buy_units(100)}, carry_rates=build_rates(borrow="3.65")
    )
    # The first day is free: nothing was short when it began. The others are on 100 * 100 and 100 * 110.
    assert finished.account.movements["borrow"] == -(
        compute_accrual(Decimal(10_000), "3.65") + compute_accrual(Decimal(11_000), "3.65")
    )
    assert finished.account.charges == 0


def test_cash_earns_interest_and_debt_pays_margin():
    earned = run_steps_with_rates({}, carry_rates=build_rates(interest="5"), cash=Decimal(73_000))
    assert earned.account.movements["interest"] == (
        compute_accrual(Decimal(73_000), 5) * 2
        + compute_accrual(Decimal(73_000) + compute_accrual(Decimal(73_000), 5), 5)
    )
    debt = run_steps_with_rates(
        {0: buy_units(150)}, carry_rates=build_rates(margin="10"), cash=Decimal(10_000), has_risk_checks=False
    )
    assert debt.account.movements["interest"] == -compute_accrual(Decimal(5_000), 10) * 2
    assert run_steps_with_rates({0: buy_units(10)}).account.movements == {}


def test_days_without_bars_are_booked_too():
    gap = [
        *HOURS[:3],
        build_line(60 * 24 * 40, "100/100/100/100"),
        build_line(60 * 24 * 40 + 1, "100/100/100/100"),
    ]
    finished = run_steps_with_rates({0: sell_units(100)}, gap, carry_rates=build_rates(borrow="3.65"))
    assert finished.account.movements["borrow"] == -compute_accrual(Decimal(10_000), "3.65") * 39


def test_close_is_the_close_of_the_exchange_if_sessions_are_enforced(tmp_path):
    settings = {"enforces_sessions": True, "instruments": InstrumentTerms("NYSE")}
    run_steps_with_rates({}, HOURS, tmp_path, carry_rates=build_rates(interest="5"), **settings)
    assert [row["at"][11:16] for row in read_rows(tmp_path / "cash.csv")] == ["21:00"] * 3


def test_equity_follows_from_fills_and_daily_rates(tmp_path):
    percents = {"interest": "4", "borrow": "7.3"}
    steps = {0: sell_units(50), 20: sell_units(25), 40: buy_units(60), 70: sell_units(10)}
    run_steps_with_rates(steps, HOURS, tmp_path, carry_rates=build_rates(**percents), cash=Decimal(36_500))
    fills = read_rows(tmp_path / "fills.csv")
    prices = [Decimal(line.split(",")[5]) for line in HOURS]

    def state(at):
        cash, quantity = Decimal(36_500), Decimal(0)
        for fill in fills:
            if fill["at"] < at:
                sign = 1 if fill["side"] == "BUY" else -1
                cash -= sign * to_decimal(fill["quantity"]) * to_decimal(fill["price"])
                quantity += sign * to_decimal(fill["quantity"])
        return cash, quantity

    def text(instant):
        return instant.strftime("%Y-%m-%dT%H:%M:%SZ")

    booked: list[tuple[str, Decimal]] = []
    basis = (Decimal(36_500), Decimal(0))
    for day in range(1, 4):
        close = START + timedelta(days=day)
        cash, quantity = state(text(close))
        total = cash + sum(paid for _, paid in booked)
        short = max(-quantity, Decimal(0)) * prices[24 * day - 1]
        booked.append((text(close), compute_accrual(basis[0], 4) - compute_accrual(basis[1], "7.3")))
        basis = (total, short)
    points = [row for row in read_rows(tmp_path / "equity.csv")[1:] if row["at"][11:] != "00:00:00Z"]
    assert len(points) > 80
    for point in points:
        cash, quantity = state(point["at"])
        hour = int((START.fromisoformat(point["at"]) - START) / timedelta(hours=1) * 60 - 1) // 60
        cash += sum(paid for at, paid in booked if at < point["at"])
        assert to_decimal(point["equity"]) == cash + quantity * prices[hour]


@pytest.mark.parametrize(
    ("name", "percent", "problem"),
    [
        ("fee", "1", "'fee' must be one of interest, margin, borrow"),
        ("interest:USD", "1", "only borrow has a currency"),
        ("borrow:X", "1", "only borrow has a currency"),
        ("borrow", "-1", "must be a number of percent"),
        ("borrow", "1001", "must be a number of percent"),
        ("borrow@soon", "1", "'soon' must be a date"),
    ],
)
def test_wrong_rate_is_named(name, percent, problem):
    with pytest.raises(ValueError, match=problem):
        parse_carry_rate(name, percent)


def test_rate_has_a_kind_a_currency_and_a_date():
    rate = parse_carry_rate("borrow:USD@2026-01-02", "2.5")
    assert rate == (CarryRateKind.BORROW, date(2026, 1, 2), Decimal("2.5"), "USD")
    assert parse_carry_rate("margin", "0").since == date.min
