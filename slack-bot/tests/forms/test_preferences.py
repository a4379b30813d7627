from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.forms.numbers import format_grouped, format_money, use_decimal_comma
from app.forms.preferences import Mode, Preferences, QuietHours, parse_quiet_hours, parse_watchlists
from app.forms.text import InvalidName


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-11-29T20:59", None),
        ("2026-11-29T21:00", "2026-11-30T06:00"),
        ("2026-11-30T05:59", "2026-11-30T06:00"),
        ("2026-11-30T06:00", None),
        ("2026-03-28T22:00", "2026-03-29T05:00"),  # the clocks go forward that night
    ],
)
def test_quiet_hours_end_in_the_time_zone_of_the_person(now, end):
    preferences = Preferences(time_zone="Europe/Berlin", quiet_hours=QuietHours("22:00", "07:00"))
    end_of_quiet = preferences.find_end_of_quiet_hours(datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert end_of_quiet == (datetime.fromisoformat(end).replace(tzinfo=UTC) if end else None)


def test_quiet_hours_in_one_day_and_in_an_unknown_zone_are_in_utc():
    preferences = Preferences(time_zone="Mars/Olympus", quiet_hours=QuietHours("12:00", "13:30"))
    noon = datetime(2026, 11, 29, 12, tzinfo=UTC)
    assert preferences.find_end_of_quiet_hours(noon) == datetime(2026, 11, 29, 13, 30, tzinfo=UTC)
    assert preferences.find_end_of_quiet_hours(noon.replace(hour=14)) is None
    assert Preferences().find_end_of_quiet_hours(noon) is None


def test_type_takes_precedence_over_its_family_and_both_over_the_default():
    preferences = Preferences(notify={"order.*": "bundle", "order.filled": "off", "alert.*": "junk"})
    names = ("order.filled", "order.expired", "alert.fired", "approval.granted", "limit.changed")
    assert [preferences.get_mode(name) for name in names] == [
        Mode.OFF,
        Mode.BUNDLE,
        Mode.PING,
        Mode.OFF,
        Mode.OFF,
    ]


@pytest.mark.parametrize("text", ["22:00", "25:00 to 07:00", "9 to 5", "07:00 to 7:00"])
def test_unclear_quiet_hours_are_refused(text):
    with pytest.raises(InvalidName):
        parse_quiet_hours(text)


@pytest.mark.parametrize("text", ["AAPL", ": AAPL", "Tech: A$B^", "\n".join(f"L{n}:" for n in range(21))])
def test_unclear_watchlists_are_refused(text):
    with pytest.raises(InvalidName):
        parse_watchlists(text)


def test_decimal_commas_are_parsed():
    with use_decimal_comma():
        assert format_money(Decimal("-1234567.5")) == "-1.234.567,50"
        assert format_grouped(Decimal("0.5")) == "0,5"
    assert format_money(Decimal("-1234567.5")) == "-1,234,567.50"
