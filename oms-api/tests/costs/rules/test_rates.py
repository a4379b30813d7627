"""The table of rates: dates, precedence and the refusal of invalid tables."""

from datetime import date
from decimal import Decimal

import pytest

from app.costs.errors import RateUnknown
from app.costs.rules.rates import COLUMNS, InvalidRates, RateTable, parse_rates
from app.costs.rules.values import Schedule
from app.costs.service import load_rates, read_rates

HEADER = ",".join(COLUMNS)
FIRST = "zerodha,stt,,,,2025-01-01,0.1,percent,,,1,a circular"
SECOND = "zerodha,stt,,,,2026-01-01,0.2,percent,,,1,another circular"
SPECIFIC = "zerodha,stt,NSE,,,2026-01-01,0.3,percent,,,1,a third"


def build_table(*lines):
    return RateTable(parse_rates("\n".join([HEADER, *lines])))


def find_rate(rates, on, exchange="NSE"):
    return rates.find(Schedule.ZERODHA, "stt", on, exchange, "CNC", "BUY")


def test_rate_applies_from_its_date_until_the_next():
    rates = build_table(SECOND, FIRST)
    assert find_rate(rates, date(2025, 1, 1)).rate == Decimal("0.1")
    assert find_rate(rates, date(2025, 12, 31)).rate == Decimal("0.1")
    assert find_rate(rates, date(2026, 1, 1)).rate == Decimal("0.2")


def test_more_specific_rate_of_one_date_applies():
    for lines in ((SECOND, SPECIFIC), (SPECIFIC, SECOND)):
        assert find_rate(build_table(*lines), date(2026, 1, 1)).rate == Decimal("0.3")
        assert find_rate(build_table(*lines), date(2026, 1, 1), "BSE").rate == Decimal("0.2")


def test_rate_before_the_first_date_is_unknown():
    with pytest.raises(RateUnknown):
        find_rate(build_table(FIRST), date(2024, 12, 31))


def test_component_without_a_row_is_not_charged():
    assert build_table(FIRST).find(Schedule.ZERODHA, "brokerage", date(2026, 1, 1)) is None
    assert find_rate(build_table(SPECIFIC), date(2020, 1, 1), "BSE") is None


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([FIRST + ",more"], "Line 2 must have 12 columns."),
        ([FIRST, "zerodha"], "Line 3 must have 12 columns."),
        ([FIRST, FIRST], "Line 3: a line above has the same date and terms."),
        ([FIRST.replace("zerodha", "other")], "Line 2: 'other' is not a valid Schedule"),
        ([FIRST.replace("stt", "tip")], "Line 2: 'tip' is not a component."),
        ([FIRST.replace("stt,,,", "stt,,,HOLD")], "Line 2: 'HOLD' is not a side."),
        ([FIRST.replace("2025-01-01", "soon")], "Line 2: Invalid isoformat string: 'soon'"),
        ([FIRST.replace("0.1", "-0.1")], "Line 2: '-0.1' is not a plain decimal number of at least 0."),
        ([FIRST.replace("0.1", "1e3")], "Line 2: '1e3' is not a plain decimal number of at least 0."),
        ([FIRST.replace("percent", "per_dozen")], "Line 2: 'per_dozen' is not a valid Unit"),
        (
            [FIRST.replace("percent", "per_share")],
            "Line 2: 'stt' must be in one of the units per_crore, per_million, percent.",
        ),
        ([FIRST.replace(",1,", ",0,")], "Line 2: `step` must be above zero."),
        ([FIRST.replace("a circular", "")], "Line 2: `source` is empty."),
    ],
)
def test_invalid_line_is_reported(lines, message):
    with pytest.raises(InvalidRates) as caught:
        build_table(*lines)
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["", "schedule,component", FIRST])
def test_table_requires_its_header(text):
    with pytest.raises(InvalidRates, match="Line 1 must be: schedule,component"):
        parse_rates(text)


def test_every_shipped_rate_has_a_source():
    rates = read_rates()
    assert len(rates) > 20
    assert all(len(rate.source) > 10 for rate in rates)
    assert isinstance(load_rates(), RateTable)
