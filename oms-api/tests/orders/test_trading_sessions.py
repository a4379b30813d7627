"""Portfolios that enforce trading sessions: orders wait or are denied, fill inside, and end with them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.calendars.rules.values import MarketIdentifier as MarketCode
from app.calendars.service import Calendars
from app.orders.queries.orders import list_order_events
from app.orders.rules.values import Status, StopLoss, TakeProfit
from app.timestamps import format_timestamp
from tests.orders.writer_harness import START, WriterHarness, build_ticket

pytestmark = pytest.mark.any_database
RESTING = {"type": "LIMIT", "limit_price": "90"}
XNYS = Calendars.load().get_calendar(MarketCode.XNYS)
OPENS = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)  # a Friday
CLOSES = datetime(2026, 11, 20, 21, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@pytest.fixture
def session_harness(harness):
    """Provide a portfolio that holds orders outside the sessions of New York, before the open."""
    harness.list_instrument()
    harness.enforce_sessions("hold")
    return harness


def get_denial_code(order):
    return order.denial and order.denial.split('"')[3]


def list_reasons(harness, order):
    with harness.engine.connect() as connection:
        moves = list_order_events(connection, harness.tenant, order.id)
    return [move.reason for move in moves if move.to_status == Status.HELD]


def list_statuses(harness):
    return [row[0] for row in harness.query("SELECT status FROM orders ORDER BY id")]


def test_order_before_the_open_is_held_and_released_at_the_open(session_harness):
    order = session_harness.place_order()
    assert order.status is Status.HELD
    assert order.ends_at == format_timestamp(CLOSES)
    assert list_reasons(session_harness, order) == [f"The market opens at {format_timestamp(OPENS)}."]
    session_harness.now = OPENS - MICROSECOND
    session_harness.release_orders()
    assert session_harness.get_order(order).status is Status.HELD
    session_harness.now = OPENS
    session_harness.release_orders()
    assert session_harness.get_order(order).status is Status.FILLED


def test_unknown_markets_and_crypto_are_always_open(session_harness):
    session_harness.list_instrument("AAPL", "LSE")
    assert session_harness.place_order().status is Status.FILLED
    session_harness.publish_quote("9", "11", "10", symbol="BTC/USD")
    order = session_harness.place_order(symbol="BTC/USD", **RESTING | {"limit_price": "5"})
    assert (order.status, order.ends_at) == (Status.ACCEPTED, "2026-11-21T00:00:00.000000Z")


def test_portfolios_that_do_not_enforce_sessions_trade_at_any_time(session_harness):
    assert session_harness.place_order("Income").status is Status.FILLED


def test_environment_setting_enforces_sessions_for_every_portfolio(engine):
    harness = WriterHarness(engine, enforcement="deny")
    harness.list_instrument()
    harness.publish_quote("99", "101", "100")
    assert get_denial_code(harness.place_order()) == "SESSION_CLOSED"


def test_portfolio_may_deny_orders_outside_sessions(session_harness):
    session_harness.enforce_sessions("deny")
    order = session_harness.place_order()
    assert (order.status, get_denial_code(order)) == (Status.DENIED, "SESSION_CLOSED")
    assert format_timestamp(OPENS) in (order.denial or "")
    session_harness.now = OPENS
    assert session_harness.place_order().status is Status.FILLED
    resting = session_harness.place_order(**RESTING, time_in_force="GTC")
    session_harness.now = CLOSES
    assert (
        get_denial_code(session_harness.replace(resting, limit_price="91").orders[0].order)
        == "SESSION_CLOSED"
    )


@pytest.mark.parametrize("setting", ["hold", "deny"])
def test_unknown_session_denies_the_order(session_harness, setting):
    session_harness.enforce_sessions(setting)
    session_harness.now = datetime(2028, 1, 3, 15, tzinfo=UTC)
    order = session_harness.place_order()
    assert (order.status, get_denial_code(order)) == (Status.DENIED, "SESSION_CLOSED")
    assert "known from 2024-01-01 to 2027-12-31" in (order.denial or "")


def test_risk_checks_run_again_at_the_open(session_harness):
    order = session_harness.place_order()
    session_harness.list_instrument(is_restricted=True)
    session_harness.now = OPENS
    session_harness.release_orders()
    assert get_denial_code(session_harness.get_order(order)) == "RESTRICTED"


def test_resting_order_does_not_fill_while_the_market_is_closed(session_harness):
    session_harness.now = OPENS
    order = session_harness.place_order(**RESTING, time_in_force="GTC")
    stop = session_harness.place_order(type="STOP", stop_price="120", time_in_force="GTC")
    session_harness.now = CLOSES - timedelta(seconds=1)
    session_harness.publish_quote("80", "125", "125")  # at the instant of the close
    assert (session_harness.get_order(order).status, session_harness.get_order(stop).status) == (
        Status.ACCEPTED,
        Status.ACCEPTED,
    )
    session_harness.now = datetime(2026, 11, 23, 14, 29, 59, tzinfo=UTC)
    session_harness.publish_quote("80", "85", "85")
    assert session_harness.get_order(order).status is Status.FILLED


def test_close_waits_for_the_open_even_if_sessions_deny_orders(session_harness):
    session_harness.enforce_sessions("deny")
    session_harness.now = OPENS
    session_harness.place_order()
    session_harness.now = CLOSES
    closed = session_harness.close_position().orders[0].order
    flattened = session_harness.close_position(ignores_halt=True).orders[0].order
    assert (session_harness.get_order(closed).status, flattened.status) == (Status.CANCELED, Status.HELD)
    session_harness.now = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
    session_harness.release_orders()
    assert session_harness.get_order(flattened).status is Status.FILLED


def test_held_close_is_limited_to_the_remaining_position(session_harness):
    session_harness.now = OPENS
    session_harness.place_order()
    session_harness.now = CLOSES
    half, remaining_close = (
        session_harness.close_position(quantity=size).orders[0].order for size in ("6", "6")
    )
    session_harness.now = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
    session_harness.release_orders()
    assert [session_harness.get_order(order).filled_quantity for order in (half, remaining_close)] == [6, 4]
    session_harness.now = datetime(2026, 11, 23, 21, tzinfo=UTC)
    session_harness.place_order(side="SELL", quantity="1")
    assert session_harness.query("SELECT DISTINCT quantity FROM positions")[0][0] in (
        Decimal(0),
        "0.00000000",
    )


def test_held_close_of_a_flat_position_is_cancelled_at_the_open(session_harness):
    session_harness.now = OPENS
    session_harness.place_order()
    session_harness.now = CLOSES
    closes = [
        session_harness.close_position(quantity="10").orders[0].order,
        session_harness.close_position(quantity="5").orders[0].order,
    ]
    session_harness.now = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
    session_harness.release_orders()
    assert [session_harness.get_order(order).status for order in closes] == [Status.FILLED, Status.CANCELED]


def test_bracket_is_held_whole_and_exits_follow_the_fill(session_harness):
    order = session_harness.place_order(take_profit=TakeProfit(Decimal(150)), stop_loss=StopLoss(Decimal(80)))
    assert list_statuses(session_harness) == ["HELD", "HELD", "HELD"]
    session_harness.now = OPENS
    session_harness.release_orders()
    assert list_statuses(session_harness) == ["FILLED", "ACCEPTED", "ACCEPTED"]
    session_harness.now = CLOSES
    session_harness.publish_quote("70", "71", "70")
    session_harness.expire_orders()
    assert list_statuses(session_harness) == ["FILLED", "ACCEPTED", "ACCEPTED"]
    assert session_harness.get_order(order).filled_quantity == 10


def test_oco_pair_is_released_or_denied_whole(session_harness):
    pair_orders = session_harness.place_pair(
        "OCO",
        build_ticket(**RESTING),
        build_ticket(type="STOP", stop_price="120"),
    )
    assert [order.status for order in pair_orders] == [Status.HELD, Status.HELD]
    session_harness.list_instrument(is_restricted=True)
    session_harness.now = OPENS
    session_harness.release_orders()
    assert list_statuses(session_harness) == ["DENIED", "CANCELED"]


def test_oto_child_waits_for_its_parent(session_harness):
    session_harness.place_pair(
        "OTO", build_ticket(), build_ticket(side="SELL", type="LIMIT", limit_price="150")
    )
    assert list_statuses(session_harness) == ["HELD", "HELD"]
    session_harness.now = OPENS
    session_harness.release_orders()
    assert list_statuses(session_harness) == ["FILLED", "ACCEPTED"]


def test_held_order_can_be_cancelled_and_replaced(session_harness):
    order = session_harness.place_order(**RESTING)
    changed = session_harness.replace(order, limit_price="102").orders[0].order
    assert (changed.status, changed.ends_at) == (Status.HELD, format_timestamp(CLOSES))
    session_harness.now = OPENS
    session_harness.release_orders()
    assert session_harness.get_order(changed).status is Status.FILLED
    other = session_harness.place_order(**RESTING, time_in_force="GTC")
    session_harness.now = CLOSES
    waiting = session_harness.replace(other, limit_price="91", time_in_force="DAY").orders[0].order
    assert waiting.ends_at == "2026-11-23T21:00:00.000000Z"
    assert session_harness.cancel(waiting).orders[0].order.status is Status.CANCELED


def test_held_gtd_order_expires_at_its_instant(session_harness):
    order = session_harness.place_order(time_in_force="GTD", expires_at=format_timestamp(OPENS))
    session_harness.now = OPENS
    session_harness.release_orders()
    assert session_harness.get_order(order).status is Status.EXPIRED


@pytest.mark.parametrize(
    ("placed", "ends_at"),
    [
        ("2026-03-06T15:00", "2026-03-06T21:00"),  # the last session of winter time
        ("2026-03-06T22:00", "2026-03-09T20:00"),
        ("2026-10-30T15:00", "2026-10-30T20:00"),
        ("2026-10-31T12:00", "2026-11-02T21:00"),
        ("2026-11-27T15:00", "2026-11-27T18:00"),  # a half day
    ],
)
def test_day_order_expires_at_the_close_in_summer_and_winter(session_harness, placed, ends_at):
    session_harness.now = datetime.fromisoformat(placed).replace(tzinfo=UTC)
    order = session_harness.place_order(**RESTING)
    end = datetime.fromisoformat(ends_at).replace(tzinfo=UTC)
    session_harness.now = end - MICROSECOND
    session_harness.release_orders()
    session_harness.expire_orders()
    assert session_harness.get_order(order).status is Status.ACCEPTED
    session_harness.now = end
    session_harness.expire_orders()
    assert session_harness.get_order(order).status is Status.EXPIRED


def test_day_order_in_mumbai_expires_at_the_same_utc_time_all_year(session_harness):
    session_harness.list_instrument("INFY", "NSE")
    for day in ("2026-03-06", "2026-03-09", "2026-10-30", "2026-11-02"):
        session_harness.now = datetime.fromisoformat(f"{day}T05:00:00+00:00")
        assert session_harness.place_order(symbol="INFY", **RESTING).ends_at == f"{day}T10:00:00.000000Z"


def test_opening_auction_order_fills_only_at_the_opening_price(session_harness):
    order = session_harness.place_order(time_in_force="OPG")
    missed = session_harness.place_order(**RESTING, time_in_force="OPG")
    session_harness.now = OPENS
    session_harness.release_orders()
    assert (session_harness.get_order(order).status, session_harness.get_order(missed).status) == (
        Status.ACCEPTED,
        Status.ACCEPTED,
    )
    session_harness.publish_quote("99", "101", "100")
    assert session_harness.get_order(order).status is Status.FILLED
    assert session_harness.get_order(missed).status is Status.EXPIRED


def test_opening_auction_order_in_the_session_waits_for_the_next_open(session_harness):
    session_harness.enforce_sessions("deny")
    session_harness.now = OPENS
    order = session_harness.place_order(time_in_force="OPG")
    assert (order.status, order.ends_at) == (Status.HELD, "2026-11-23T14:35:00.000000Z")
    session_harness.publish_quote("99", "101", "100")
    session_harness.now = datetime(2026, 11, 23, 14, 35, tzinfo=UTC)
    session_harness.expire_orders()
    assert session_harness.get_order(order).status is Status.EXPIRED


def test_closing_auction_order_fills_at_the_last_session_price(session_harness):
    session_harness.now = OPENS
    order, missed = (
        session_harness.place_order(time_in_force="CLS"),
        session_harness.place_order(**RESTING, time_in_force="CLS"),
    )
    session_harness.now = CLOSES - timedelta(minutes=1)
    session_harness.publish_quote("103", "104", "103")
    assert session_harness.get_order(order).status is Status.ACCEPTED
    session_harness.now = CLOSES - MICROSECOND
    session_harness.publish_quote("200", "201", "200")  # after the close
    assert session_harness.get_order(missed).status is Status.EXPIRED
    assert (session_harness.get_order(order).status, session_harness.get_order(order).filled_value) == (
        Status.FILLED,
        1040,
    )


def test_closing_auction_order_without_a_session_price_expires(session_harness):
    session_harness.now = OPENS
    order = session_harness.place_order(time_in_force="CLS")
    session_harness.now = CLOSES
    session_harness.expire_orders()  # the only quote is from before the open
    assert session_harness.get_order(order).status is Status.EXPIRED


def test_auction_order_is_unchanged_when_sessions_are_not_enforced(session_harness):
    session_harness.now = OPENS
    order = session_harness.place_order(time_in_force="CLS")
    session_harness.enforce_sessions("off")
    session_harness.publish_quote("99", "101", "100")
    assert session_harness.get_order(order).status is Status.ACCEPTED


@pytest.mark.parametrize("asked", [{"time_in_force": "OPG"}, {"time_in_force": "CLS"}])
def test_market_without_open_and_close_rejects_auction_orders(session_harness, asked):
    session_harness.list_instrument("AAPL", "LSE")
    with pytest.raises(AssertionError, match="Send one of DAY"):
        session_harness.place_order(**asked)
    assert list_statuses(session_harness) == []


def test_only_a_limit_with_extended_hours_fills_before_the_open(session_harness):
    early = session_harness.place_order(type="LIMIT", limit_price="102", extended_hours=True)
    assert (early.status, early.ends_at) == (Status.FILLED, "2026-11-21T01:00:00.000000Z")
    assert session_harness.place_order(extended_hours=True).status is Status.HELD
    session_harness.now = datetime(2026, 11, 22, 15, tzinfo=UTC)  # a Sunday
    assert (
        session_harness.place_order(type="LIMIT", limit_price="102", extended_hours=True).status
        is Status.HELD
    )


STEPS = st.sampled_from(["market", "limit", "stop", "quote", "release_orders", "expire_orders", "close"])
SPANS = st.sampled_from([0, 1, 3600, 5 * 3600, 24 * 3600])
EDGES = st.sampled_from([OPENS, CLOSES, OPENS - MICROSECOND, CLOSES - MICROSECOND])


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(EDGES, st.lists(st.tuples(STEPS, SPANS), max_size=12), st.sampled_from(["hold", "deny"]))
def test_no_order_fills_outside_a_session_at_any_clock_time(session_harness, start, steps, setting):
    session_harness.enforce_sessions(setting)
    session_harness.now = max(session_harness.now, start)
    for step, seconds in steps:
        _take(session_harness, step)
        session_harness.advance_clock(seconds=seconds)
    for (value,) in session_harness.query("SELECT executed_at FROM executions"):
        executed = datetime.fromisoformat(value) if isinstance(value, str) else value
        assert XNYS.find_session(executed) is not None
    assert session_harness.now >= START


def _take(records, step):
    if step == "quote":
        records.publish_quote("99", "101", "100")
    elif step in {"release_orders", "expire_orders"}:
        getattr(records, step)()
    elif step == "close":
        records.close_position()
    else:
        prices = {"limit": {"limit_price": "102"}, "stop": {"stop_price": "101"}}.get(step, {})
        records.place_order(type=step.upper(), quantity="1", **prices)
