"""The parts of a day's P&L add up to it, and each equals a naive computation."""

from decimal import Decimal
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from app.instruments.rules import InstrumentKey
from app.ledger.rules.equity import CurrencyValue, Marks, PositionToValue, value_currencies
from app.ledger.rules.keys import PortfolioKey, RateKey
from app.money import ZERO, multiply
from app.performance.rules.currencies import format_currencies, parse_currencies
from app.reports.rules.explanation import (
    NO_EXPLANATION,
    BookedMovement,
    DayEdge,
    ExplainedTrade,
    Explanation,
    choose_end_rate,
    explain_day,
    list_currencies,
)
from tests.reports.fills import to_decimals

NOTHING = DayEdge(ZERO, ZERO, {})
USD = {"USD": CurrencyValue(Decimal(100), Decimal(8350), Decimal("83.5"))}


def build_trade(cash, charges=0, currency=None, local_cash=None, rate=None):
    local = Decimal(cash if local_cash is None else local_cash)
    return ExplainedTrade(currency, Decimal(cash), Decimal(charges), local, rate and Decimal(rate))


def build_day_edge(equity, flows=0, currencies=None):
    return DayEdge(Decimal(equity), Decimal(flows), currencies or {})


def draw_amounts(seed, count, places=100):
    dice = Random(seed)
    return [Decimal(dice.randint(-99_999, 99_999)) / places for _ in range(count)]


def test_documented_example_splits_prices_and_rates():
    """INR: BUY 10 @ 200 USD (83.50), SELL 4 @ 210 (84), mark 205 (85): 70 USD at 85, the rest by the rate."""
    trades = [
        build_trade(-167_000, currency="USD", local_cash=-2000, rate="83.5"),
        build_trade(70_560, currency="USD", local_cash=840, rate="84"),
    ]
    currency_values = {"USD": CurrencyValue(Decimal(1230), Decimal(104_550), Decimal(85))}
    parts = explain_day(
        build_day_edge(1_000_000),
        build_day_edge(1_008_110, 0, currency_values),
        {"USD": Decimal(85)},
        trades,
        [],
    )
    assert (parts.price, parts.currency, parts.total) == to_decimals(5950, 2160, 8110)


def test_flows_are_not_part_of_the_pnl():
    movements = [BookedMovement("deposit", Decimal(50)), BookedMovement("transfer_out", Decimal(-20))]
    parts = explain_day(build_day_edge(100), build_day_edge(130, 30), {}, [], movements)
    assert parts == NO_EXPLANATION


def test_cash_movements_are_parts_by_their_kind():
    kinds = ("interest", "borrow", "dividend", "withholding", "charges", "dp_charges", "adjustment")
    movements = [BookedMovement(kind, Decimal(10**place)) for place, kind in enumerate(kinds)]
    parts = explain_day(
        build_day_edge(0), build_day_edge(1_111_111), {}, [build_trade(0, charges=3)], movements
    )
    assert (parts.interest, parts.borrow, parts.dividends, parts.carry) == to_decimals(1, 10, 1100, 1111)
    assert (parts.fees, parts.adjustments, parts.price) == to_decimals(109_997, 1_000_000, 3)


def test_currency_without_a_rate_is_attributed_to_prices():
    parts = explain_day(build_day_edge(0), build_day_edge(50, 0, USD), {}, [], [])
    assert (parts.price, parts.currency) == to_decimals(50, 0)


def test_end_rate_comes_from_positions_then_quotes_then_trades():
    trades = [
        build_trade(-1, currency="USD", rate="80"),
        build_trade(1, currency="USD", rate="81"),
        build_trade(1),
    ]
    assert choose_end_rate("USD", build_day_edge(0, 0, USD), Decimal(82), trades) == Decimal("83.5")
    assert choose_end_rate("USD", NOTHING, Decimal(82), trades) == 82
    without_quote = {"USD": CurrencyValue(Decimal(1), Decimal(80), None)}
    assert choose_end_rate("USD", build_day_edge(0, 0, without_quote), None, trades) == 81
    assert choose_end_rate("EUR", NOTHING, None, trades) is None
    assert list_currencies(
        build_day_edge(0, 0, USD), NOTHING, [build_trade(1, currency="EUR"), build_trade(1)]
    ) == ["EUR", "USD"]


def test_converted_parts_are_rounded_one_by_one():
    parts = Explanation(*map(Decimal, ("1", "2", "3", "4", "5", "6", "7"))).convert(Decimal("0.33333333"))
    assert parts.price == Decimal("0.33333333")
    assert parts.total == sum(
        (multiply(Decimal(number), Decimal("0.33333333")) for number in range(1, 8)), ZERO
    )
    assert parts.add(NO_EXPLANATION) == parts


def test_stored_currencies_are_read_back():
    values = USD | {"EUR": CurrencyValue(Decimal("-1.5"), Decimal("-135.00000001"), None)}
    assert parse_currencies(format_currencies(values)) == values
    assert parse_currencies(None) == {}


def test_positions_are_summed_by_portfolio_and_currency():
    portfolio_key, other = PortfolioKey(1, 1), PortfolioKey(1, 2)

    def held(portfolio, symbol, quantity, currency, sequence=1):
        local = None if currency is None else Decimal(1)
        return PositionToValue(
            portfolio, symbol, "", Decimal(quantity), Decimal(80), currency, local, sequence, "INR"
        )

    positions = [
        held(portfolio_key, "AAPL", 2, "USD"),
        held(portfolio_key, "MSFT", -1, "USD", 7),
        held(portfolio_key, "SAP", 3, "EUR"),
        held(portfolio_key, "TCS", 1, None),
        held(other, "AAPL", 1, "USD"),
    ]
    prices = {InstrumentKey(1, "AAPL"): Decimal(10), InstrumentKey(1, "SAP"): Decimal(5)}
    marks = Marks(prices, {(portfolio_key, 7): Decimal(4)}, {RateKey(1, "USD", "INR"): Decimal(85)})
    assert value_currencies(positions, marks) == {
        portfolio_key: {
            "USD": CurrencyValue(Decimal(16), Decimal(1360), Decimal(85)),
            "EUR": CurrencyValue(Decimal(15), Decimal(1200), None),  # at the rate of its cost
        },
        other: {"USD": CurrencyValue(Decimal(10), Decimal(850), Decimal(85))},
    }


@given(st.integers(0, 2**32))
def test_parts_of_random_days_add_up_and_equal_a_naive_computation(seed):
    dice = Random(seed)
    rates = [Decimal(dice.randint(7000, 9000)) / 100 for _ in range(2)]
    home, foreign = draw_amounts(seed, 2), draw_amounts(seed + 1, 2)  # quantities before and after the day
    home_prices, foreign_prices = (
        [abs(amount) for amount in draw_amounts(seed + step, 2)] for step in (2, 3)
    )
    interest, fee, flow, charges = draw_amounts(seed + 4, 4)
    at_rate = Decimal(dice.randint(7000, 9000)) / 100
    home_cash = multiply(home[0] - home[1], abs(draw_amounts(seed + 5, 1)[0]))
    local_cash = multiply(foreign[0] - foreign[1], abs(draw_amounts(seed + 6, 1)[0]))
    trades = [
        build_trade(home_cash, charges),
        build_trade(multiply(local_cash, at_rate), 0, "USD", local_cash, at_rate),
    ]
    movements = [
        BookedMovement(*movement)
        for movement in (("interest", interest), ("dp_charges", fee), ("deposit", flow))
    ]
    local = [multiply(quantity, price) for quantity, price in zip(foreign, foreign_prices, strict=True)]
    values = [multiply(amount, rate) for amount, rate in zip(local, rates, strict=True)]
    home_values = [multiply(quantity, price) for quantity, price in zip(home, home_prices, strict=True)]
    cash = home_cash - charges + multiply(local_cash, at_rate) + interest + fee + flow
    start, end = (
        DayEdge(equity, flows, {"USD": CurrencyValue(local[at], values[at], rates[at])})
        for at, equity, flows in (
            (0, home_values[0] + values[0], ZERO),
            (1, home_values[1] + values[1] + cash, flow),
        )
    )
    parts = explain_day(start, end, {"USD": rates[1]}, trades, movements)
    assert parts.total == end.equity - start.equity - flow
    assert (parts.interest, parts.fees, parts.adjustments) == (interest, fee - charges, ZERO)
    earned_abroad = multiply(local[1] - local[0] + local_cash, rates[1])
    assert parts.price == home_values[1] - home_values[0] + home_cash + earned_abroad
    assert parts.currency == values[1] - values[0] + multiply(local_cash, at_rate) - earned_abroad
