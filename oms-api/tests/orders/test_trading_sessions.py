"""Portfolios that enforce trading sessions: orders wait or are denied, fill inside, and end with them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.calendars.rules.values import Market as MarketCode
from app.calendars.service import Calendars
from app.orders.queries.book import list_order_events
from app.orders.rules.values import Protection, Status, Target
from app.timestamps import format_timestamp
from tests.orders.rig import START, Rig, ticket

pytestmark = pytest.mark.any_database
RESTING = {"type": "LIMIT", "limit_price": "90"}
XNYS = Calendars.load().get_calendar(MarketCode.XNYS)
OPENS = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)  # a Friday
CLOSES = datetime(2026, 11, 20, 21, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@pytest.fixture
def held(rig):
    """Provide a portfolio that holds orders outside the sessions of New York, before the open."""
    rig.list_instrument()
    rig.enforce_sessions("hold")
    return rig


def denial_code(order):
    return order.denial and order.denial.split('"')[3]


def reasons(rig, order):
    with rig.engine.connect() as connection:
        moves = list_order_events(connection, rig.tenant, order.id)
    return [move.reason for move in moves if move.to_status == Status.HELD]


def statuses(rig):
    return [row[0] for row in rig.rows("SELECT status FROM orders ORDER BY id")]


def test_order_before_the_open_is_held_and_released_at_the_open(held):
    order = held.place()
    assert order.status is Status.HELD
    assert order.ends_at == format_timestamp(CLOSES)
    assert reasons(held, order) == [f"The market opens at {format_timestamp(OPENS)}."]
    held.now = OPENS - MICROSECOND
    held.release()
    assert held.order(order).status is Status.HELD
    held.now = OPENS
    held.release()
    assert held.order(order).status is Status.FILLED


def test_unknown_markets_and_crypto_are_always_open(held):
    held.list_instrument("AAPL", "LSE")
    assert held.place().status is Status.FILLED
    held.quote("9", "11", "10", symbol="BTC/USD")
    order = held.place(symbol="BTC/USD", **RESTING | {"limit_price": "5"})
    assert (order.status, order.ends_at) == (Status.ACCEPTED, "2026-11-21T00:00:00.000000Z")


def test_portfolios_that_do_not_enforce_sessions_trade_at_any_time(held):
    assert held.place("Income").status is Status.FILLED


def test_environment_setting_enforces_sessions_for_every_portfolio(engine):
    rig = Rig(engine, enforcement="deny")
    rig.list_instrument()
    rig.quote("99", "101", "100")
    assert denial_code(rig.place()) == "SESSION_CLOSED"


def test_portfolio_may_deny_orders_outside_sessions(held):
    held.enforce_sessions("deny")
    order = held.place()
    assert (order.status, denial_code(order)) == (Status.DENIED, "SESSION_CLOSED")
    assert format_timestamp(OPENS) in (order.denial or "")
    held.now = OPENS
    assert held.place().status is Status.FILLED
    resting = held.place(**RESTING, time_in_force="GTC")
    held.now = CLOSES
    assert denial_code(held.replace(resting, limit_price="91").orders[0].order) == "SESSION_CLOSED"


@pytest.mark.parametrize("setting", ["hold", "deny"])
def test_unknown_session_denies_the_order(held, setting):
    held.enforce_sessions(setting)
    held.now = datetime(2028, 1, 3, 15, tzinfo=UTC)
    order = held.place()
    assert (order.status, denial_code(order)) == (Status.DENIED, "SESSION_CLOSED")
    assert "known from 2024-01-01 to 2027-12-31" in (order.denial or "")


def test_risk_checks_run_again_at_the_open(held):
    order = held.place()
    held.list_instrument(is_restricted=True)
    held.now = OPENS
    held.release()
    assert denial_code(held.order(order)) == "RESTRICTED"


def test_resting_order_does_not_fill_while_the_market_is_closed(held):
    held.now = OPENS
    order = held.place(**RESTING, time_in_force="GTC")
    stop = held.place(type="STOP", stop_price="120", time_in_force="GTC")
    held.now = CLOSES - timedelta(seconds=1)
    held.quote("80", "125", "125")  # at the instant of the close
    assert (held.order(order).status, held.order(stop).status) == (Status.ACCEPTED, Status.ACCEPTED)
    held.now = datetime(2026, 11, 23, 14, 29, 59, tzinfo=UTC)
    held.quote("80", "85", "85")
    assert held.order(order).status is Status.FILLED


def test_close_waits_for_the_open_even_if_sessions_deny_orders(held):
    held.enforce_sessions("deny")
    held.now = OPENS
    held.place()
    held.now = CLOSES
    closed = held.close().orders[0].order
    flattened = held.close(ignores_halt=True).orders[0].order
    assert (held.order(closed).status, flattened.status) == (Status.CANCELED, Status.HELD)
    held.now = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
    held.release()
    assert held.order(flattened).status is Status.FILLED


def test_held_close_is_limited_to_the_remaining_position(held):
    held.now = OPENS
    held.place()
    held.now = CLOSES
    half, rest = (held.close(quantity=size).orders[0].order for size in ("6", "6"))
    held.now = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
    held.release()
    assert [held.order(one).filled_quantity for one in (half, rest)] == [6, 4]
    held.now = datetime(2026, 11, 23, 21, tzinfo=UTC)
    held.place(side="SELL", quantity="1")
    assert held.rows("SELECT DISTINCT quantity FROM positions")[0][0] in (Decimal(0), "0.00000000")


def test_held_close_of_a_flat_position_is_cancelled_at_the_open(held):
    held.now = OPENS
    held.place()
    held.now = CLOSES
    closes = [held.close(quantity="10").orders[0].order, held.close(quantity="5").orders[0].order]
    held.now = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
    held.release()
    assert [held.order(one).status for one in closes] == [Status.FILLED, Status.CANCELED]


def test_bracket_is_held_whole_and_exits_follow_the_fill(held):
    order = held.place(take_profit=Target(Decimal(150)), stop_loss=Protection(Decimal(80)))
    assert statuses(held) == ["HELD", "HELD", "HELD"]
    held.now = OPENS
    held.release()
    assert statuses(held) == ["FILLED", "ACCEPTED", "ACCEPTED"]
    held.now = CLOSES
    held.quote("70", "71", "70")
    held.expire()
    assert statuses(held) == ["FILLED", "ACCEPTED", "ACCEPTED"]
    assert held.order(order).filled_quantity == 10


def test_oco_pair_is_released_or_denied_whole(held):
    pair = held.pair(
        "OCO",
        ticket(**RESTING),
        ticket(type="STOP", stop_price="120"),
    )
    assert [one.status for one in pair] == [Status.HELD, Status.HELD]
    held.list_instrument(is_restricted=True)
    held.now = OPENS
    held.release()
    assert statuses(held) == ["DENIED", "CANCELED"]


def test_oto_child_waits_for_its_parent(held):
    held.pair("OTO", ticket(), ticket(side="SELL", type="LIMIT", limit_price="150"))
    assert statuses(held) == ["HELD", "HELD"]
    held.now = OPENS
    held.release()
    assert statuses(held) == ["FILLED", "ACCEPTED"]


def test_held_order_can_be_cancelled_and_replaced(held):
    order = held.place(**RESTING)
    changed = held.replace(order, limit_price="102").orders[0].order
    assert (changed.status, changed.ends_at) == (Status.HELD, format_timestamp(CLOSES))
    held.now = OPENS
    held.release()
    assert held.order(changed).status is Status.FILLED
    other = held.place(**RESTING, time_in_force="GTC")
    held.now = CLOSES
    waiting = held.replace(other, limit_price="91", time_in_force="DAY").orders[0].order
    assert waiting.ends_at == "2026-11-23T21:00:00.000000Z"
    assert held.cancel(waiting).orders[0].order.status is Status.CANCELED


def test_held_gtd_order_expires_at_its_instant(held):
    order = held.place(time_in_force="GTD", expires_at=format_timestamp(OPENS))
    held.now = OPENS
    held.release()
    assert held.order(order).status is Status.EXPIRED


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
def test_day_order_expires_at_the_close_in_summer_and_winter(held, placed, ends_at):
    held.now = datetime.fromisoformat(placed).replace(tzinfo=UTC)
    order = held.place(**RESTING)
    end = datetime.fromisoformat(ends_at).replace(tzinfo=UTC)
    held.now = end - MICROSECOND
    held.release()
    held.expire()
    assert held.order(order).status is Status.ACCEPTED
    held.now = end
    held.expire()
    assert held.order(order).status is Status.EXPIRED


def test_day_order_in_mumbai_expires_at_the_same_utc_time_all_year(held):
    held.list_instrument("INFY", "NSE")
    for day in ("2026-03-06", "2026-03-09", "2026-10-30", "2026-11-02"):
        held.now = datetime.fromisoformat(f"{day}T05:00:00+00:00")
        assert held.place(symbol="INFY", **RESTING).ends_at == f"{day}T10:00:00.000000Z"


def test_opening_auction_order_fills_only_at_the_opening_price(held):
    taken = held.place(time_in_force="OPG")
    missed = held.place(**RESTING, time_in_force="OPG")
    held.now = OPENS
    held.release()
    assert (held.order(taken).status, held.order(missed).status) == (Status.ACCEPTED, Status.ACCEPTED)
    held.quote("99", "101", "100")
    assert held.order(taken).status is Status.FILLED
    assert held.order(missed).status is Status.EXPIRED


def test_opening_auction_order_in_the_session_waits_for_the_next_open(held):
    held.enforce_sessions("deny")
    held.now = OPENS
    order = held.place(time_in_force="OPG")
    assert (order.status, order.ends_at) == (Status.HELD, "2026-11-23T14:35:00.000000Z")
    held.quote("99", "101", "100")
    held.now = datetime(2026, 11, 23, 14, 35, tzinfo=UTC)
    held.expire()
    assert held.order(order).status is Status.EXPIRED


def test_closing_auction_order_fills_at_the_last_session_price(held):
    held.now = OPENS
    taken, missed = held.place(time_in_force="CLS"), held.place(**RESTING, time_in_force="CLS")
    held.now = CLOSES - timedelta(minutes=1)
    held.quote("103", "104", "103")
    assert held.order(taken).status is Status.ACCEPTED
    held.now = CLOSES - MICROSECOND
    held.quote("200", "201", "200")  # after the close
    assert held.order(missed).status is Status.EXPIRED
    assert (held.order(taken).status, held.order(taken).filled_value) == (Status.FILLED, 1040)


def test_closing_auction_order_without_a_session_price_expires(held):
    held.now = OPENS
    order = held.place(time_in_force="CLS")
    held.now = CLOSES
    held.expire()  # the only quote is from before the open
    assert held.order(order).status is Status.EXPIRED


def test_auction_order_is_unchanged_when_sessions_are_not_enforced(held):
    held.now = OPENS
    order = held.place(time_in_force="CLS")
    held.enforce_sessions("off")
    held.quote("99", "101", "100")
    assert held.order(order).status is Status.ACCEPTED


@pytest.mark.parametrize("asked", [{"time_in_force": "OPG"}, {"time_in_force": "CLS"}])
def test_market_without_open_and_close_rejects_auction_orders(held, asked):
    held.list_instrument("AAPL", "LSE")
    with pytest.raises(AssertionError, match="Send one of DAY"):
        held.place(**asked)
    assert statuses(held) == []


def test_only_a_limit_with_extended_hours_fills_before_the_open(held):
    early = held.place(type="LIMIT", limit_price="102", extended_hours=True)
    assert (early.status, early.ends_at) == (Status.FILLED, "2026-11-21T01:00:00.000000Z")
    assert held.place(extended_hours=True).status is Status.HELD
    held.now = datetime(2026, 11, 22, 15, tzinfo=UTC)  # a Sunday
    assert held.place(type="LIMIT", limit_price="102", extended_hours=True).status is Status.HELD


STEPS = st.sampled_from(["market", "limit", "stop", "quote", "release", "expire", "close"])
SPANS = st.sampled_from([0, 1, 3600, 5 * 3600, 24 * 3600])
EDGES = st.sampled_from([OPENS, CLOSES, OPENS - MICROSECOND, CLOSES - MICROSECOND])


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(EDGES, st.lists(st.tuples(STEPS, SPANS), max_size=12), st.sampled_from(["hold", "deny"]))
def test_no_order_fills_outside_a_session_at_any_clock_time(held, start, steps, setting):
    held.enforce_sessions(setting)
    held.now = max(held.now, start)
    for step, seconds in steps:
        _take(held, step)
        held.tick(seconds=seconds)
    for (value,) in held.rows("SELECT executed_at FROM executions"):
        executed = datetime.fromisoformat(value) if isinstance(value, str) else value
        assert XNYS.session_at(executed) is not None
    assert held.now >= START


def _take(held, step):
    if step == "quote":
        held.quote("99", "101", "100")
    elif step in {"release", "expire"}:
        getattr(held, step)()
    elif step == "close":
        held.close()
    else:
        prices = {"limit": {"limit_price": "102"}, "stop": {"stop_price": "101"}}.get(step, {})
        held.place(type=step.upper(), quantity="1", **prices)
