"""Symbols in other currencies than the portfolio's are booked and valued by the rules of the service."""

import json
from decimal import Decimal

import pytest

from app.backtest import CANNOT, DONE, main
from app.backtests.errors import InvalidBacktest
from app.backtests.rules.carry_rates import parse_carry_rate
from app.backtests.rules.currency_pairs import parse_currency, parse_pair, parse_pairs
from app.backtests.rules.settings import InstrumentTerms, parse_costs
from app.instruments.rules import InstrumentKey
from app.ledger.rules.accounting import Fill, Side, replay_fills
from app.ledger.rules.equity import PositionToValue, value_exposures
from app.ledger.rules.keys import PortfolioKey, RateKey, SymbolProductKey
from slackoms_strategy import OrderType
from tests.backtests.bars import HEADER, build_line, join_lines
from tests.backtests.corporate_actions import build_dividend, build_split
from tests.backtests.order_steps import buy_units, sell_units
from tests.backtests.support import Scripted, run_backtest

PRICES = ["100/100/100/100", "101/110/101/110", "120/121/120/121", "90/90/90/90"]
RATES = ["80/80/80/80", "81/82/81/82", "84/85/84/85", "83/83.5/83/83.5"]
AAPL = SymbolProductKey("AAPL", "")
PORTFOLIO = PortfolioKey(1, 1)


def list_lines(rates=RATES, currency_pair="USDINR", prices=PRICES):
    shares = [build_line(minute, price) for minute, price in enumerate(prices)]
    pairs = [build_line(minute, rate, currency_pair) for minute, rate in enumerate(rates)]
    return sorted((*shares, *pairs), key=lambda line: (line.split(",")[1], line))


def run_steps_with_rate(steps, lines=None, **changes):
    strategy = Scripted(steps)
    settings = {"base_currency": "INR", "currencies": {"AAPL": "USD"}, "rate_symbols": ("USDINR",)}
    return strategy, run_backtest(strategy, lines or list_lines(), **{**settings, **changes})


def build_fill(side, quantity, price, rate):
    local = quantity * Decimal(price)
    return Fill(side, Decimal(quantity), local * Decimal(rate), local, "USD")


def test_fills_are_booked_at_the_rate_of_their_time():
    _, finished = run_steps_with_rate({0: buy_units(10), 1: sell_units(4)})
    account, position = finished.account, finished.account.get_position(AAPL)
    expected = replay_fills([build_fill(Side.BUY, 10, 101, 81), build_fill(Side.SELL, 4, 120, 84)])
    assert position.amounts == expected.amounts
    assert position.currency == "USD"
    assert account.cash == 1_000_000 - 101 * 10 * 81 + 120 * 4 * 84
    assert account.realized_pnl == 4 * (120 * 84 - 101 * 81)


def test_positions_are_valued_in_the_portfolio_currency():
    calls = []
    strategy, finished = run_steps_with_rate(
        {0: buy_units(10), 1: lambda context, _: calls.append(context.equity)}
    )
    apple_position = finished.account.get_position(AAPL)
    position = PositionToValue(
        PORTFOLIO,
        "AAPL",
        "",
        apple_position.quantity,
        apple_position.cost,
        "USD",
        apple_position.local_cost,
        1,
        "INR",
    )
    for price, rate, equity in ((110, 82, calls[0]), (90, Decimal("83.5"), finished.points[-1].equity)):
        marks = {InstrumentKey(1, "AAPL"): Decimal(price)}
        rates = {RateKey(1, "USD", "INR"): Decimal(rate)}
        exposure = value_exposures([position], marks, {}, rates)[PORTFOLIO]
        assert equity == finished.account.cash + exposure.net
    assert {fill.symbol for fill in strategy.fills} == {"AAPL"}


def test_rate_pair_is_not_a_symbol_of_the_strategy():
    symbols = []
    strategy, finished = run_steps_with_rate({0: lambda context, _: symbols.append(context.symbols)})
    assert (symbols, strategy.bars, finished.bars) == ([("AAPL",)], 4, 8)


def test_inverse_and_cross_rates_are_used():
    inverse = list_lines(["0.0125/0.0125/0.0125/0.0125"] * 4, "INRUSD")
    _, finished = run_steps_with_rate({0: buy_units(10)}, inverse, rate_symbols=("INRUSD",))
    assert finished.account.cash == 1_000_000 - 101 * 10 * 80
    lines = sorted(
        (*list_lines(), *(build_line(minute, "1.2/1.2/1.2/1.2", "EUR/USD") for minute in range(4))),
        key=lambda line: (line.split(",")[1], line),
    )
    _, crossed = run_steps_with_rate(
        {0: buy_units(10)}, lines, currencies={"AAPL": "EUR"}, rate_symbols=("USDINR", "EUR/USD")
    )
    assert crossed.account.cash == 1_000_000 - Decimal("1.2") * 101 * 10 * 81


def test_order_without_a_rate_is_denied():
    strategy, _ = run_steps_with_rate(
        {0: buy_units(10)}, list_lines(currency_pair="EURINR"), rate_symbols=("EURINR",)
    )
    assert [order.reason for order in strategy.orders] == [
        "There is no rate of USD/INR to value the order; publish a quote of it."
    ]
    with pytest.raises(InvalidBacktest, match="There is no rate of USD/INR: add bars of this pair"):
        run_steps_with_rate(
            {0: buy_units(10)},
            list_lines(currency_pair="EURINR"),
            rate_symbols=("EURINR",),
            has_risk_checks=False,
        )


def test_limits_and_buying_power_are_in_the_currency_of_the_portfolio():
    strategy, _ = run_steps_with_rate({0: buy_units(10)}, cash=Decimal(50_000))
    assert [order.status.value for order in strategy.orders] == ["DENIED"]
    passed, _ = run_steps_with_rate(
        {0: buy_units(6, type=OrderType.LIMIT, limit_price=101)}, cash=Decimal(50_000)
    )
    assert [fill.quantity for fill in passed.fills] == [6]


def test_charges_are_converted_at_the_rate_of_the_fill():
    settings = {"costs": parse_costs("us_equity"), "instruments": InstrumentTerms("NYSE")}
    _, in_rupees = run_steps_with_rate(
        {0: buy_units(100), 1: sell_units(100)}, currencies={}, cash=Decimal(10**7), **settings
    )
    _, in_dollars = run_steps_with_rate(
        {0: buy_units(100), 1: sell_units(100)}, base_currency="USD", currencies={}, **settings
    )
    assert in_dollars.account.charges > 0
    ratio = in_rupees.account.charges / in_dollars.account.charges
    assert 81 <= ratio <= 84
    _, percent = run_steps_with_rate({0: buy_units(10)}, costs=parse_costs("percent:1"))
    assert percent.account.charges == 101 * 10 * 81 / Decimal(100)


def test_dividends_fractions_and_borrow_fees_are_converted():
    paid = build_dividend(2, "0.5")._replace(currency="USD")
    _, finished = run_steps_with_rate(
        {0: buy_units(5)}, actions=(paid, build_split(3, "3", "2", Decimal(60)))
    )
    assert finished.account.movements["dividend"] == 5 * Decimal("0.5") * 82
    assert finished.account.movements["cash_in_lieu"] == Decimal("0.5") * 60 * 85
    days = [build_line(1440 * day, PRICES[0]) for day in range(4)]
    days += [build_line(1440 * day, RATES[0], "USDINR") for day in range(4)]
    ordered = sorted(days, key=lambda line: (line.split(",")[1], line))
    rates = (parse_carry_rate("borrow", "99"), parse_carry_rate("borrow:USD", "3.65"))
    _, short = run_steps_with_rate({0: sell_units(10)}, ordered, carry_rates=rates)
    assert short.account.movements["borrow"] == -Decimal(10 * 100 * 80) * Decimal("0.0001")


def test_command_reads_rates_from_a_file(capsys, tmp_path):
    bars_file, rates = tmp_path / "bars.csv", tmp_path / "rates.csv"
    closes = ["10", "9", "8", "9", "11", "13", "15", "13", "10", "8", "7"]
    shares = [build_line(minute, "/".join([close] * 4)) for minute, close in enumerate(closes)]
    bars_file.write_text(join_lines([HEADER, *shares]), encoding="utf-8")
    pairs = [build_line(minute, "80/80/80/80", "USDINR") for minute in range(len(closes))]
    rates.write_text(join_lines([HEADER, *pairs]), encoding="utf-8")
    name = "slackoms_strategy.examples.moving_average_cross:MovingAverageCross"
    arguments = [name, "--data", str(bars_file), "--json", "--param", "fast=2", "--param", "slow=3"]
    arguments += ["--param", "quantity=5", "--base-currency", "INR", "--currency", "AAPL=USD"]
    assert main([*arguments, "--rates", str(rates)]) == DONE
    result = json.loads(capsys.readouterr().out)
    assert (result["bars"], result["equity_final"]) == (22, "998000.00")  # 5 units from 13 to 8 dollars
    assert main([*arguments, "--rates", str(bars_file)]) == CANNOT
    assert "there is no currency pair such as EURUSD" in capsys.readouterr().err
    wrong = (("--base-currency", "RUPEES"), ("--currency", "A=RUPEES"), ("--carry", "borrow:RUPEES=1"))
    for option, value in wrong:
        with pytest.raises(SystemExit) as caught:
            main([*arguments, option, value])
        assert caught.value.code == CANNOT
        assert f"argument {option}: 'RUPEES'" in capsys.readouterr().err.replace("borrow:", "")


def test_pairs_are_recognized():
    assert [parse_pair(symbol) for symbol in ("EURUSD", "USD/INR", "USDUSD", "AAPL", "GOOGLE")] == [
        "EUR/USD", "USD/INR", None, None, None,
    ]  # fmt: skip
    assert parse_pairs("usd/inr, EURUSD") == ("USD/INR", "EURUSD")
    assert parse_currency("eur") == "EUR"
    for parse, text in ((parse_pairs, "AAPL"), (parse_currency, "X")):
        with pytest.raises(ValueError, match="must be a"):
            parse(text)
