"""The tables of the service, and the refusal of invalid ones."""

import csv
from datetime import date
from importlib import resources
from zoneinfo import ZoneInfo

import pytest

from app.calendars.rules.tables import parse_exceptional_days, parse_hours, parse_markets
from app.calendars.rules.values import DayKind, MarketIdentifier, MarketSegment

HEADER = "date,kind,open,close,name,source\n"


def read_table(name):
    return resources.files("app.calendars").joinpath("data", f"{name}.csv").read_text("utf-8")


def test_every_market_except_crypto_has_a_table_and_hours():
    markets = parse_markets(read_table("markets"))
    assert {terms.market for terms in markets} == set(MarketIdentifier) - {MarketIdentifier.CRYPTO}
    for terms in markets:
        days = parse_exceptional_days(read_table(terms.market))
        assert all(terms.known_from <= day.date <= terms.known_until for day in days)
        assert ZoneInfo(terms.time_zone)
        hours = [row for row in parse_hours(read_table("hours")) if row.market is terms.market]
        for segment in {row.segment for row in hours}:
            assert min(row.valid_from for row in hours if row.segment is segment) <= terms.known_from
        assert MarketSegment.SHARES in {row.segment for row in hours}


@pytest.mark.parametrize("name", ["markets", "hours", "XNYS", "XNSE", "XBOM"])
def test_every_row_has_a_source(name):
    assert all(row["source"] for row in csv.DictReader(read_table(name).splitlines()))


@pytest.mark.parametrize("name", ["XNYS", "XNSE", "XBOM"])
def test_holidays_are_weekdays_and_have_names(name):
    for day in parse_exceptional_days(read_table(name)):
        assert day.name
        assert day.kind is not DayKind.HOLIDAY or day.date.weekday() < 5, day


@pytest.mark.parametrize(
    "rows",
    [
        "2026-01-01,holiday,09:30,16:00,New Year,x",
        "2026-11-08,unknown,18:00,19:00,Muhurat,x",
        "2026-11-27,half_day,,,Thanksgiving,x",
        "2026-11-27,half_day,09:30,,Thanksgiving,x",
        "2026-11-27,half_day,13:00,09:30,Thanksgiving,x",
    ],
)
def test_times_must_fit_the_kind(rows):
    with pytest.raises(ValueError, match="do not fit the kind"):
        parse_exceptional_days(HEADER + rows)


def test_rows_must_be_sorted_by_date():
    rows = "2024-03-02,special,11:30,12:30,b,x\n2024-03-02,special,09:15,10:00,a,x"
    with pytest.raises(ValueError, match="order"):
        parse_exceptional_days(HEADER + rows)


def test_quoted_field_with_a_comma_is_parsed_whole():
    (day,) = parse_exceptional_days(HEADER + '2026-12-25,holiday,,,Christmas,"a, b"')
    assert day == (date(2026, 12, 25), DayKind.HOLIDAY, None, None, "Christmas", "a, b")
