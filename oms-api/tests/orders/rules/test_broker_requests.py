"""Which request goes to a broker next, and what the broker's state of an order proves."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.brokers.protocol import OrderState
from app.brokers.rules.values import Accepted, BrokerOrder, Canceled, Expired, OrderType, Rejected
from app.instruments.rules import Instrument
from app.ledger.rules.accounting import Side
from app.orders.rules.broker_requests import (
    BrokerRequest,
    RequestKind,
    RequestStatus,
    build_broker_order,
    build_sending_request,
    choose_request,
    get_delay,
    is_new_order,
    is_sent_for_a_day,
    is_too_late,
    is_watched,
    list_proven_events,
    return_to_new,
    was_never_received,
)
from app.orders.rules.order_factory import OrderLinks, Placement, new_order
from app.orders.rules.values import Role
from app.timestamps import Timestamp
from tests.orders.rig import ticket

AT = Timestamp("2026-11-20T12:00:00.000000Z")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SUBMIT, CANCEL, REPLACE = RequestKind
NEW, SENDING, UNKNOWN, _DONE = RequestStatus


def request(number, order="O1", kind=SUBMIT, status=NEW, wait=None, sent=None, attempts=0):
    at = None if wait is None else NOW + timedelta(seconds=wait)
    return BrokerRequest(number, 1, "paper", order, kind, None, None, status, attempts, NOW, sent, at)


def test_only_an_order_that_was_certainly_not_sent_is_new():
    assert is_new_order(request(1))
    assert not is_new_order(request(1, status=SENDING))
    assert not is_new_order(request(1, kind=CANCEL))


@pytest.mark.parametrize(
    ("undone", "chosen"),
    [
        ([], None),
        ([request(1), request(2, "O2")], 1),
        ([request(1), request(2, "O2", CANCEL)], 2),  # cancels first
        ([request(1), request(2, "O1", CANCEL)], 2),  # it was not sent yet
        ([request(1, status=SENDING), request(2, "O1", CANCEL)], 1),  # first its outcome
        ([request(1, status=UNKNOWN, wait=5), request(2, "O1", CANCEL)], None),
        ([request(1, wait=5), request(2, "O2")], 2),
        ([request(1, wait=0)], 1),
        ([request(1, "O1", REPLACE), request(2, "O1", REPLACE)], 1),
    ],
)
def test_next_request(undone, chosen):
    found = choose_request(undone, NOW)
    assert (None if found is None else found.id) == chosen


def test_waits_grow_up_to_a_limit():
    delays = [get_delay(attempts).total_seconds() for attempts in range(1, 30)]
    assert delays == sorted(delays)
    assert (delays[0], delays[-1]) == (0.5, 5.0)


def test_cancels_are_never_too_late():
    later = NOW + timedelta(seconds=60)
    assert is_too_late(request(1), later)
    assert not is_too_late(request(1), later - timedelta(microseconds=1))
    assert not is_too_late(request(1, kind=CANCEL), later)


def test_order_counts_as_lost_after_a_minute_and_three_queries():
    later = NOW + timedelta(seconds=60)
    assert was_never_received(request(1, attempts=3), later)
    assert not was_never_received(request(1, attempts=2), later)
    assert not was_never_received(request(1, attempts=3, sent=NOW + timedelta(seconds=1)), later)


@pytest.mark.parametrize(
    ("is_open", "leaves", "end", "kinds"),
    [
        (True, "10", None, [Accepted]),
        (False, "0", None, [Accepted]),
        (False, "4", None, [Accepted, Canceled]),
        (False, "4", Expired("O1", NOW), [Accepted, Expired]),
        (False, "10", Rejected("O1", "No", NOW), [Rejected]),
    ],
)
def test_state_of_an_order_proves_its_events(is_open, leaves, end, kinds):
    order = BrokerOrder("O1", 1, "AAPL", Side.BUY, OrderType.MARKET, Decimal(10), Decimal(leaves), NOW)
    found = list_proven_events(OrderState(order, is_open, end), [], NOW)
    assert [type(one) for one in found] == kinds


def test_request_that_was_stored_as_being_sent_returns_to_new():
    terms = ticket()
    order = new_order("O1", Placement(1, 7, "key", None, AT), terms, Decimal(10), OrderLinks())
    sending = build_sending_request(order, "env-alpaca")
    assert (sending.kind, sending.status, sending.attempts, sending.sent_at) == (SUBMIT, SENDING, 1, NOW)
    returned = return_to_new(sending)
    assert (returned.status, returned.attempts, returned.sent_at) == (NEW, 0, None)


def exit_order(broker, **terms):
    """Return a good-till-cancelled exit of a group G at a broker: by default a stop."""
    terms = {"side": "SELL", "time_in_force": "GTC"} | (terms or {"type": "STOP", "stop_price": "80"})
    placement = Placement(1, 7, "key", None, AT, broker=broker)
    links = OrderLinks(role=Role.STOP_LOSS, group_id="G")
    return new_order("O1", placement, ticket(**terms), Decimal(10), links)


@pytest.mark.parametrize(
    ("broker", "group", "time_in_force"),
    [("ibkr", "G", "GTC"), ("alpaca", None, "GTC"), ("zerodha", None, "DAY"), ("paper", None, "GTC")],
)
def test_exit_has_a_group_where_the_broker_links_orders_and_a_day_where_it_has_no_gtc(
    broker, group, time_in_force
):
    order, share = exit_order(broker), Instrument("AAPL")
    built = build_broker_order(order, share)
    assert (built.group, built.time_in_force) == (group, time_in_force)
    assert not is_watched(order, share)
    assert broker == "paper" or is_sent_for_a_day(order, share) is (time_in_force == "DAY")


@pytest.mark.parametrize(("broker", "expected"), [("ibkr", False), ("zerodha", True), ("paper", False)])
def test_limit_of_a_pair_is_watched_where_the_broker_links_no_orders(broker, expected):
    target = exit_order(broker, type="LIMIT", limit_price="120")
    assert is_watched(target, Instrument("AAPL")) is expected
    assert not is_watched(target._replace(role=Role.ENTRY), Instrument("AAPL"))


def test_one_of_two_orders_is_sent_for_its_own_time():
    order = exit_order("zerodha")._replace(role=Role.EITHER)
    assert build_broker_order(order, Instrument("AAPL")).time_in_force == "GTC"
