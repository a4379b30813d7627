"""The next request to a broker, the orders that it sends, and the events that an order's state proves."""

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
    can_replace_exits,
    choose_orders_sent_together,
    choose_request,
    compute_retry_delay,
    is_emulated_limit_order,
    is_new_order,
    is_sent_as_day_order,
    is_too_late,
    list_proven_events,
    return_to_new,
    was_never_received,
)
from app.orders.rules.order_factory import OrderLinks, Placement, build_order_from_ticket
from app.orders.rules.values import GroupKind, Role, Status, TimeInForce
from app.timestamps import Timestamp
from tests.orders.writer_harness import build_ticket

AT = Timestamp("2026-11-20T12:00:00.000000Z")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SUBMIT, CANCEL, REPLACE = RequestKind
NEW, SENDING, UNKNOWN, _DONE = RequestStatus


def build_request(number, order="O1", kind=SUBMIT, status=NEW, wait=None, sent=None, attempts=0):
    at = None if wait is None else NOW + timedelta(seconds=wait)
    return BrokerRequest(
        id=number,
        tenant_id=1,
        connection="paper",
        order_id=order,
        kind=kind,
        successor_id=None,
        successor=None,
        status=status,
        attempts=attempts,
        created_at=NOW,
        sent_at=sent,
        next_attempt_at=at,
    )


def test_only_an_order_that_was_certainly_not_sent_is_new():
    assert is_new_order(build_request(1))
    assert not is_new_order(build_request(1, status=SENDING))
    assert not is_new_order(build_request(1, kind=CANCEL))


@pytest.mark.parametrize(
    ("undone", "chosen"),
    [
        ([], None),
        ([build_request(1), build_request(2, "O2")], 1),
        ([build_request(1), build_request(2, "O2", CANCEL)], 2),  # cancels first
        ([build_request(1), build_request(2, "O1", CANCEL)], 2),  # the order was not sent yet
        (
            [build_request(1, status=SENDING), build_request(2, "O1", CANCEL)],
            1,
        ),  # its outcome is found first
        ([build_request(1, status=UNKNOWN, wait=5), build_request(2, "O1", CANCEL)], None),
        ([build_request(1, wait=5), build_request(2, "O2")], 2),
        ([build_request(1, wait=0)], 1),
        ([build_request(1, "O1", REPLACE), build_request(2, "O1", REPLACE)], 1),
    ],
)
def test_next_request_is_the_oldest_that_may_be_sent(undone, chosen):
    request = choose_request(undone, NOW)
    assert (None if request is None else request.id) == chosen


def test_retry_delay_grows_to_five_seconds():
    delays = [compute_retry_delay(attempts).total_seconds() for attempts in range(1, 30)]
    assert delays == sorted(delays)
    assert (delays[0], delays[-1]) == (0.5, 5.0)


def test_submission_is_too_late_after_a_minute_and_a_cancel_never():
    later = NOW + timedelta(seconds=60)
    assert is_too_late(build_request(1), later)
    assert not is_too_late(build_request(1), later - timedelta(microseconds=1))
    assert not is_too_late(build_request(1, kind=CANCEL), later)


def test_order_counts_as_lost_after_a_minute_and_three_queries():
    later = NOW + timedelta(seconds=60)
    assert was_never_received(build_request(1, attempts=3), later)
    assert not was_never_received(build_request(1, attempts=2), later)
    assert not was_never_received(build_request(1, attempts=3, sent=NOW + timedelta(seconds=1)), later)


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
    proven_events = list_proven_events(OrderState(order, is_open, end), [], NOW)
    assert [type(proven_event) for proven_event in proven_events] == kinds


def test_request_that_was_stored_as_being_sent_returns_to_new():
    placement = Placement(1, 7, "key", None, AT)
    order = build_order_from_ticket("O1", placement, build_ticket(), Decimal(10), OrderLinks())
    sending = build_sending_request(order, "env-alpaca")
    assert sending.kind == SUBMIT
    assert sending.status == SENDING
    assert sending.attempts == 1
    assert sending.sent_at == NOW
    returned = return_to_new(sending)
    assert (returned.status, returned.attempts, returned.sent_at) == (NEW, 0, None)


def build_exit_order(broker, **terms):
    """Return a GTC exit of a group G at a broker: by default a stop."""
    terms = {"side": "SELL", "time_in_force": "GTC"} | (terms or {"type": "STOP", "stop_price": "80"})
    placement = Placement(1, 7, "key", None, AT, broker=broker)
    links = OrderLinks(role=Role.STOP_LOSS, group_id="G")
    return build_order_from_ticket("O1", placement, build_ticket(**terms), Decimal(10), links)


@pytest.mark.parametrize(
    ("broker", "group", "time_in_force"),
    [("ibkr", "G", "GTC"), ("alpaca", None, "GTC"), ("zerodha", None, "DAY"), ("paper", None, "GTC")],
)
def test_exit_is_grouped_if_the_broker_links_orders_and_is_a_day_order_without_gtc_support(
    broker, group, time_in_force
):
    order, share = build_exit_order(broker), Instrument("AAPL")
    built = build_broker_order(order, share)
    assert (built.group_id, built.time_in_force) == (group, time_in_force)
    assert not is_emulated_limit_order(order, share)


@pytest.mark.parametrize(("broker", "expected"), [("ibkr", False), ("alpaca", False), ("zerodha", True)])
def test_exit_is_sent_for_a_day_if_the_broker_has_no_gtc(broker, expected):
    assert is_sent_as_day_order(build_exit_order(broker), Instrument("AAPL")) is expected


@pytest.mark.parametrize(("broker", "expected"), [("ibkr", False), ("zerodha", True), ("paper", False)])
def test_pair_is_emulated_where_the_broker_links_no_orders(broker, expected):
    target = build_exit_order(broker, type="LIMIT", limit_price="120")
    assert is_emulated_limit_order(target, Instrument("AAPL")) is expected
    assert not is_emulated_limit_order(target._replace(role=Role.ENTRY), Instrument("AAPL"))


def test_only_exits_of_a_position_replace_other_exits():
    exit_order = build_exit_order("alpaca")
    assert can_replace_exits(exit_order._replace(parent_id=None))
    assert not can_replace_exits(exit_order._replace(parent_id="O1"))
    assert not can_replace_exits(exit_order._replace(parent_id=None, role=None))


def test_oco_order_keeps_its_time_in_force():
    order = build_exit_order("zerodha")._replace(role=Role.EITHER)
    assert build_broker_order(order, Instrument("AAPL")).time_in_force == "GTC"


def build_group(broker, **terms):
    """Return an entry and its two exits, which are held."""
    placement = Placement(1, 7, "key", None, AT, broker=broker)
    links = OrderLinks(group_id="E", kind=GroupKind.BRACKET, role=Role.ENTRY)
    entry = build_order_from_ticket("E", placement, build_ticket(**terms), Decimal(10), links)
    target = build_exit_order(broker, type="LIMIT", limit_price="120")._replace(id="T", role=Role.TAKE_PROFIT)
    stop = build_exit_order(broker)._replace(id="S")
    return [
        entry,
        *(order._replace(group_id="E", parent_id="E", status=Status.HELD) for order in (target, stop)),
    ]


@pytest.mark.parametrize(
    ("broker", "terms", "expected"),
    [
        ("alpaca", {"time_in_force": "DAY"}, ["T", "S"]),
        ("alpaca", {"time_in_force": "IOC"}, []),
        ("ibkr", {"time_in_force": "GTC"}, ["T", "S"]),
        ("ibkr", {"time_in_force": "IOC"}, []),
        ("zerodha", {"time_in_force": "DAY"}, []),
        ("paper", {"time_in_force": "DAY"}, []),
    ],
)
def test_entry_is_sent_with_its_exits_where_the_broker_takes_them(broker, terms, expected):
    entry, *exits = build_group(broker, **terms)
    linked = choose_orders_sent_together(entry, exits, Instrument("AAPL"))
    assert [order.id for order in linked] == expected
    built = build_broker_order(entry, Instrument("AAPL"), linked)
    assert [order.id for order in built.linked_orders] == expected


def test_no_exit_is_sent_with_its_entry_if_one_cannot_be_linked():
    entry, target, stop = build_group("alpaca")
    gtd_stop = stop._replace(time_in_force=TimeInForce.GTD, expires_at=AT)
    assert choose_orders_sent_together(entry, [target, gtd_stop], Instrument("AAPL")) == []


@pytest.mark.parametrize(
    ("broker", "target", "stop", "expected"),
    [
        ("alpaca", Status.SUBMITTED, Status.SUBMITTED, ["S"]),
        ("alpaca", Status.HELD, Status.INITIALIZED, ["S"]),
        ("alpaca", Status.SUBMITTED, Status.ACCEPTED, []),
        ("alpaca", Status.CANCELED, Status.SUBMITTED, []),
        ("ibkr", Status.SUBMITTED, Status.SUBMITTED, []),
    ],
)
def test_take_profit_is_sent_with_the_stop_of_its_pair(broker, target, stop, expected):
    _, first, second = build_group(broker)
    pair_orders = [first._replace(status=target), second._replace(status=stop)]
    assert [
        order.id for order in choose_orders_sent_together(pair_orders[0], pair_orders, Instrument("AAPL"))
    ] == expected
    assert choose_orders_sent_together(pair_orders[1], pair_orders, Instrument("AAPL")) == []
    accepted = pair_orders[0]._replace(accepted_at=AT)
    assert choose_orders_sent_together(accepted, pair_orders, Instrument("AAPL")) == []


def test_waiting_exit_has_no_events():
    order = BrokerOrder("O1", 1, "AAPL", Side.SELL, OrderType.STOP, Decimal(10), Decimal(10), NOW)
    assert list_proven_events(OrderState(order, is_open=True, is_waiting_for_entry=True), [], NOW) == []
