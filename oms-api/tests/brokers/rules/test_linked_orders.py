"""The pairs of orders that can be emulated, and the order of a pair that rests at the broker."""

import pytest

from app.brokers.capabilities import TABLES, choose_exit_time, find_linked_refusal, is_emulated_limit
from app.brokers.rules.linked_orders import Pairing, find_pair_refusal, is_stop_order
from tests.brokers.market import parse_order_text

TARGET, STOP = (
    parse_order_text("SELL 10 LIMIT limit 120 GTC", "T"),
    parse_order_text("SELL 10 STOP stop 80 GTC", "S"),
)


def test_stop_of_a_pair_is_a_stop_order():
    assert [is_stop_order(order) for order in (TARGET, STOP)] == [False, True]
    assert find_pair_refusal([TARGET, STOP]) is None
    assert find_pair_refusal([TARGET]) is None


@pytest.mark.parametrize(
    "orders",
    [
        [TARGET, TARGET],
        [STOP, STOP],
        [parse_order_text("SELL 10 MARKET"), STOP],
        [parse_order_text("BUY 10 LIMIT limit 70"), STOP],
        [TARGET, STOP, STOP],
    ],
)
def test_other_pairs_are_refused(orders):
    refusal = find_pair_refusal(orders)
    assert refusal is not None
    assert "one LIMIT order and one stop order" in refusal


@pytest.mark.parametrize(("broker", "expected"), [("alpaca", True), ("zerodha", True), ("ibkr", False)])
def test_broker_that_links_no_orders_leaves_the_limit_to_us(broker, expected):
    assert is_emulated_limit(broker, TARGET, is_exit=False) is expected
    assert not is_emulated_limit(broker, STOP, is_exit=False)
    exits = [order._replace(time_in_force=choose_exit_time(broker, order)) for order in (TARGET, STOP)]
    assert find_linked_refusal(broker, exits) is None
    assert (find_linked_refusal(broker, [exits[0], exits[0]]) is None) is not expected


@pytest.mark.parametrize(
    ("order_text", "pairing", "carries"),
    [
        ("SELL 10 LIMIT limit 120 GTC", Pairing.TOGETHER, True),
        ("SELL 10 STOP stop 80 DAY", Pairing.TOGETHER, False),
        ("SELL 10 STOP_LIMIT stop 80 limit 79 DAY", Pairing.TOGETHER, False),
        ("SELL 10 MARKET DAY", Pairing.EMULATED, True),
        ("SELL 10 TRAILING_STOP trail 1 DAY", Pairing.EMULATED, False),
        ("SELL 1.5 LIMIT limit 120 DAY", Pairing.EMULATED, False),
        ("SELL 10 LIMIT limit 120 IOC", Pairing.EMULATED, False),
    ],
)
def test_alpaca_links_whole_shares_for_a_day_or_longer(order_text, pairing, carries):
    share = parse_order_text(order_text)
    table = TABLES["alpaca"]
    assert (table.get_pairing(share), table.can_carry_exits(share)) == (pairing, carries)
    for other in (share._replace(symbol="BTC/USD"), share._replace(extended_hours=True)):
        assert (table.get_pairing(other), table.can_carry_exits(other)) == (Pairing.EMULATED, False)
    assert is_emulated_limit("alpaca", TARGET, is_exit=True) is False
    assert not TABLES["zerodha"].can_carry_exits(share)


@pytest.mark.parametrize(
    ("broker", "order_text", "time_in_force"),
    [
        ("zerodha", "SELL 10 STOP stop 80 GTC", "DAY"),
        ("alpaca", "SELL 10 STOP stop 80 GTC", "GTC"),
        ("alpaca", "SELL 1.5 STOP stop 80 GTC", "DAY"),
        ("zerodha", "SELL 1.5 STOP stop 80 GTC", "GTC"),  # no time in force makes it possible
    ],
)
def test_exit_is_sent_for_a_day_if_the_broker_accepts_only_day_exits(broker, order_text, time_in_force):
    assert choose_exit_time(broker, parse_order_text(order_text)) == time_in_force


def test_exit_that_the_broker_cannot_execute_is_named():
    refusal = find_linked_refusal("alpaca", [STOP._replace(symbol="BTC/USD")])
    assert refusal == "Alpaca has no STOP orders for crypto: use LIMIT, MARKET or STOP_LIMIT."
