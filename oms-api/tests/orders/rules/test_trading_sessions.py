"""When an order waits for its session, what it takes, and when it ends."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.calendars.rules.values import MarketIdentifier, MarketSegment
from app.calendars.service import Calendars
from app.orders.rules.order_factory import NO_LINKS, Placement, build_order_from_ticket
from app.orders.rules.trading_sessions import (
    OPENING_PERIOD,
    Enforcement,
    Hold,
    SessionCalendars,
    can_fill_at_quote,
    compute_session_end,
    find_hold,
    get_enforcement,
    has_auctions,
    is_closing_price,
    is_deniable,
    waits_for_session,
)
from app.orders.rules.values import Role, Status, TimeInForce, replace_fields
from app.timestamps import Timestamp, format_timestamp
from tests.orders.writer_harness import build_ticket

CALENDARS = Calendars.load()
XNYS, XNSE = CALENDARS.get_calendar(MarketIdentifier.XNYS), CALENDARS.get_calendar(MarketIdentifier.XNSE)
EXTENDED = CALENDARS.get_calendar(MarketIdentifier.XNYS, MarketSegment.EXTENDED_HOURS)
CRYPTO = CALENDARS.get_calendar(MarketIdentifier.CRYPTO)
instants = st.datetimes(datetime(2024, 2, 1), datetime(2026, 10, 31), timezones=st.just(UTC))  # noqa: DTZ001  # given one


def parse_time(text):
    return format_timestamp(datetime.fromisoformat(text).astimezone(UTC))


def build_order(**changes):
    ticket = build_ticket(**changes)
    origin = Placement(1, 7, "key", None, Timestamp("2026-11-20T12:00:00.000000Z"))
    return build_order_from_ticket("O1", origin, ticket, ticket.quantity or Decimal(0), NO_LINKS)


def build_opening_order(placed):
    order = build_order(time_in_force="OPG")
    return replace_fields(order, ends_at=compute_session_end(order, XNYS, placed))


@pytest.mark.parametrize(
    ("portfolio", "environment", "kind", "expected"),
    [
        ("off", "off", "paper", "off"),
        ("hold", "deny", "paper", "hold"),
        ("deny", "off", "live", "deny"),
        ("off", "deny", "paper", "deny"),
        ("off", "off", "live", "hold"),
    ],
)
def test_portfolio_setting_overrides_environment_and_live_always_enforces(
    portfolio, environment, kind, expected
):
    assert get_enforcement(portfolio, environment, kind) is Enforcement(expected)


@pytest.mark.parametrize(
    ("calendar", "placed", "ends_at"),
    [
        # Daylight saving begins on 2026-03-08 and ends on 2026-11-01; India has none.
        (XNYS, "2026-03-06T15:00Z", "2026-03-06T21:00Z"),
        (XNYS, "2026-03-06T21:00Z", "2026-03-09T20:00Z"),
        (XNYS, "2026-10-30T15:00Z", "2026-10-30T20:00Z"),
        (XNYS, "2026-10-30T20:00Z", "2026-11-02T21:00Z"),
        (XNYS, "2026-11-27T16:00Z", "2026-11-27T18:00Z"),
        (XNSE, "2026-03-06T10:00Z", "2026-03-09T10:00Z"),
        (XNSE, "2026-10-30T10:00Z", "2026-11-02T10:00Z"),
        (EXTENDED, "2026-03-06T22:00Z", "2026-03-07T01:00Z"),
        (CRYPTO, "2026-11-29T12:00Z", "2026-11-30T00:00Z"),
    ],
)
def test_day_order_expires_at_the_session_close(calendar, placed, ends_at):
    assert compute_session_end(build_order(), calendar, parse_time(placed)) == parse_time(ends_at)
    assert compute_session_end(build_order(time_in_force="CLS"), calendar, parse_time(placed)) == parse_time(
        ends_at
    )


def test_gtc_and_gtd_orders_keep_their_expiry():
    assert (
        compute_session_end(build_order(time_in_force="GTC"), XNYS, parse_time("2026-11-20T12:00Z")) is None
    )
    dated = build_order(time_in_force="GTD", expires_at=parse_time("2027-01-04T12:00Z"))
    assert compute_session_end(dated, XNYS, parse_time("2026-11-20T12:00Z")) == parse_time(
        "2027-01-04T12:00Z"
    )


def test_opening_auction_order_waits_for_the_open_and_expires_soon_after():
    opening_order = build_opening_order(parse_time("2026-11-27T15:00Z"))
    assert opening_order.ends_at == parse_time("2026-11-30T14:35Z")
    assert find_hold(opening_order, XNYS, parse_time("2026-11-27T15:00Z")) == Hold(
        "The market opens at 2026-11-30T14:30:00.000000Z.", parse_time("2026-11-30T14:30Z")
    )
    assert find_hold(opening_order, XNYS, parse_time("2026-11-30T14:30Z")) is None


def test_opening_auction_order_fills_only_at_a_price_of_its_session():
    opening_order = build_opening_order(parse_time("2026-11-27T12:00Z"))
    allowed = [
        can_fill_at_quote(opening_order, XNYS, datetime.fromisoformat(parse_time(quoted)))
        for quoted in ("2026-11-27T14:29:59Z", "2026-11-27T14:30Z", "2026-11-30T14:30Z")
    ]
    assert allowed == [False, True, False]
    assert not can_fill_at_quote(
        build_order(time_in_force="CLS"), XNYS, datetime.fromisoformat(parse_time("2026-11-27T15:00Z"))
    )
    assert can_fill_at_quote(build_order(), XNYS, datetime.fromisoformat(parse_time("2026-11-27T12:00Z")))


@pytest.mark.parametrize(
    ("quoted", "is_last"),
    [("2026-11-27T17:59:59Z", True), ("2026-11-27T18:00Z", False), ("2026-11-25T20:59Z", False)],
)
def test_closing_price_belongs_to_the_ending_session(quoted, is_last):
    order = replace_fields(build_order(time_in_force="CLS"), ends_at=parse_time("2026-11-27T18:00Z"))
    assert is_closing_price(order, XNYS, datetime.fromisoformat(parse_time(quoted))) is is_last
    assert not is_closing_price(order, XNYS, datetime(2028, 1, 3, 15, tzinfo=UTC))


def test_unknown_session_holds_the_order_without_a_release_time():
    beyond = find_hold(build_order(), XNYS, parse_time("2028-01-03T15:00Z"))
    assert beyond is not None
    assert (beyond.opens_at, "known from 2024-01-01 to 2027-12-31" in beyond.reason) == (None, True)
    last = find_hold(build_order(), XNYS, parse_time("2027-12-31T21:00Z"))
    assert last == Hold("The market is closed, and its next session is not known.", None)


def test_extended_hours_apply_only_to_limits_that_request_them():
    calendars = SessionCalendars(XNYS, EXTENDED)
    values = {"type": "LIMIT", "limit_price": "90", "extended_hours": True}
    assert calendars.get_calendar(build_order(**values)) is EXTENDED
    assert calendars.get_calendar(build_order(**values, time_in_force="CLS")) is XNYS
    assert calendars.get_calendar(build_order(extended_hours=True)) is XNYS
    assert calendars.get_calendar(build_order(**values | {"extended_hours": False})) is XNYS
    assert SessionCalendars(XNSE).get_calendar(build_order(**values)) is XNSE


def test_only_markets_with_open_and_close_have_auctions():
    assert [has_auctions(calendar) for calendar in (XNYS, CRYPTO, None)] == [True, False, False]


def test_orders_that_a_closed_session_denies():
    assert is_deniable(build_order())
    assert not is_deniable(build_order(time_in_force="OPG"))
    assert not any(
        is_deniable(replace_fields(build_order(), role=role))
        for role in (Role.CLOSING, Role.STOP_LOSS, Role.FOLLOWER)
    )


def test_child_order_waits_for_its_parent_not_for_the_session():
    held_order = replace_fields(build_order(), status=Status.HELD)
    assert waits_for_session(held_order)
    assert not waits_for_session(replace_fields(held_order, parent_id="O0"))
    assert not waits_for_session(build_order())


@given(st.sampled_from([XNYS, XNSE, EXTENDED]), instants)
def test_order_waits_exactly_while_the_market_is_closed(calendar, instant):
    hold = find_hold(build_order(), calendar, format_timestamp(instant))
    session = calendar.find_session(instant)
    assert (hold is None) == (session is not None)
    ends_at = datetime.fromisoformat(
        compute_session_end(build_order(), calendar, format_timestamp(instant)) or ""
    )
    assert ends_at > instant
    opens = instant if hold is None else datetime.fromisoformat(hold.opens_at or "")
    assert calendar.find_session(opens) == calendar.find_session(ends_at - timedelta(microseconds=1))
    assert calendar.find_session(ends_at) is None


@given(instants)
def test_opening_auction_order_expires_after_a_future_open(instant):
    order = build_order(time_in_force="OPG")
    end = datetime.fromisoformat(compute_session_end(order, XNYS, format_timestamp(instant)) or "")
    session = XNYS.find_session(end - OPENING_PERIOD)
    assert session is not None
    assert session.open == end - OPENING_PERIOD > instant
    assert order.time_in_force == TimeInForce.OPG
