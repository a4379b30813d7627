"""Faults of Alpaca: nothing is doubled, lost or stuck."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.brokers.alpaca.broker import AlpacaBroker
from app.brokers.alpaca.client import AlpacaCredentials
from app.brokers.errors import BrokerOutcomeUnknown, BrokerUnavailable
from app.brokers.remote.rest_client import RestTimeouts
from app.brokers.rules.values import CancelRejected, Rejected, Replaced
from tests.brokers.market import format_events, parse_order_text
from tests.brokers.standins.alpaca.fixtures import CREDENTIALS
from tests.brokers.standins.alpaca.server import KEY_ID
from tests.support.conditions import wait_until

NOW = datetime(2026, 11, 27, 15, tzinfo=UTC)


def build_limit_order(order_id="A", price="95", quantity=10):
    return parse_order_text(f"BUY {quantity} LIMIT limit {price}", order_id, symbol="AAPL")


def list_events(broker):
    return format_events([record.event for record in broker.list_events()])


def wait_for_events(broker, *expected):
    wait_until(lambda: len(list_events(broker)) >= len(expected))
    assert list_events(broker) == list(expected)


def count_requests(alpaca, method, path="/v2/orders"):
    return sum(request == (method, path) for request in alpaca.gateway.requests)


def list_filled_orders(alpaca):
    return sum(execution.qty for execution in alpaca.exchange.executions)


@pytest.mark.parametrize("kind", ["cut_after", "status_after"])
def test_order_with_an_unknown_outcome_is_found_and_never_sent_again(alpaca, broker, kind):
    alpaca.faults.add(kind, method="POST", status=504)
    with pytest.raises(BrokerOutcomeUnknown):
        broker.submit(build_limit_order(price="101"), NOW)
    assert broker.find("A") is not None
    wait_until(lambda: not broker.find("A").is_open)  # the exchange fills an order after it has accepted it
    wait_for_events(broker, "A accepted", "A 10 @ 101")
    assert count_requests(alpaca, "POST") == 1


def test_order_that_is_not_answered_in_time_is_followed_by_the_stream(alpaca):
    broker = AlpacaBroker(alpaca.url, CREDENTIALS, 1, timeouts=RestTimeouts(response=1.0))
    broker.list_events()  # starts the stream
    wait_until(broker.stream.is_ready.is_set)
    alpaca.faults.add("hang", method="POST", seconds=30.0)
    with pytest.raises(BrokerOutcomeUnknown):
        broker.submit(build_limit_order(price="101"), NOW)
    wait_for_events(broker, "A accepted", "A 10 @ 101")
    assert count_requests(alpaca, "POST") == 1
    broker.close()


def test_order_that_never_arrived_is_not_found_and_can_be_sent_again(alpaca, broker):
    alpaca.faults.add("cut_before", method="POST")
    with pytest.raises(BrokerOutcomeUnknown):
        broker.submit(build_limit_order(), NOW)
    assert broker.find("A") is None
    broker.submit(build_limit_order(), NOW)
    wait_for_events(broker, "A accepted")


def test_order_with_an_unknown_outcome_that_is_sent_again_is_not_doubled(alpaca, broker):
    alpaca.faults.add("cut_after", method="POST")
    with pytest.raises(BrokerOutcomeUnknown):
        broker.submit(build_limit_order(price="101"), NOW)
    broker.submit(build_limit_order(price="101"), NOW)
    wait_for_events(broker, "A accepted", "A 10 @ 101")
    assert list_filled_orders(alpaca) == 10


def test_rate_limit_waits_for_the_retry_after_of_alpaca(alpaca, broker):
    broker.get_account()
    alpaca.faults.add("status", method="POST", status=429, retry_after="1")
    broker.submit(build_limit_order(), NOW)
    wait_for_events(broker, "A accepted")
    assert count_requests(alpaca, "POST") == 2


def test_rate_limit_beyond_the_patience_sends_nothing(alpaca, broker):
    alpaca.faults.add("status", method="POST", status=429, retry_after="600")
    with pytest.raises(BrokerUnavailable, match="rate limit is used up"):
        broker.submit(build_limit_order(), NOW)
    assert not alpaca.exchange.orders


def test_rate_limit_follows_the_headers_of_alpaca(alpaca, broker):
    alpaca.gateway.requests_left = 7
    broker.get_account()
    assert broker.get_connection_state().requests_left <= 7


def test_refusal_is_a_rejection_with_the_text_of_alpaca(broker):
    (event,) = broker.submit(build_limit_order(quantity=1_000_000), NOW)
    assert isinstance(event, Rejected)
    assert event.reason == "insufficient buying power"


def test_rejection_after_the_acceptance_is_reported(alpaca, broker):
    alpaca.faults.orders.rejections.append("")
    broker.submit(build_limit_order(), NOW)
    wait_for_events(broker, "A rejected")


def test_order_that_alpaca_cannot_execute_is_refused_before_it_is_sent(alpaca, broker):
    (event,) = broker.submit(parse_order_text("BUY 10 LIMIT limit 95 GTD", symbol="AAPL"), NOW)
    assert isinstance(event, Rejected)
    assert "GTD" in event.reason
    assert not alpaca.gateway.requests


def test_unreachable_alpaca_gets_nothing():
    broker = AlpacaBroker("http://127.0.0.1:9", CREDENTIALS, timeouts=RestTimeouts(connect=1.0))
    with pytest.raises(BrokerUnavailable):
        broker.get_account()
    broker.close()


def test_orders_wait_for_the_log_in_of_the_stream(alpaca, monkeypatch):
    monkeypatch.setattr("app.brokers.remote.adapter.READY_TIMEOUT_SECONDS", 0.5)
    broker = AlpacaBroker(alpaca.url, CREDENTIALS, 1)
    alpaca.faults.stream.refusals = 10
    with pytest.raises(BrokerUnavailable, match="refused the login"):
        broker.submit(build_limit_order(), NOW)
    assert count_requests(alpaca, "POST") == 0
    broker.close()


def test_duplicated_and_swapped_events_count_once(alpaca, broker):
    broker.submit(build_limit_order(), NOW)
    wait_for_events(broker, "A accepted")
    alpaca.faults.stream.duplicates = 5
    alpaca.faults.stream.swaps = 1
    alpaca.exchange.quote("AAPL", "94", "95", ask_size="4")
    alpaca.exchange.quote("AAPL", "93", "94", ask_size="6")
    wait_until(lambda: len(list_events(broker)) >= 3)
    assert list_events(broker) == ["A accepted", "A 6 @ 94", "A 4 @ 95"]
    assert len(broker.list_executions("A")) == 2


def test_events_that_the_stream_lost_are_read(alpaca, broker, monkeypatch):
    broker.submit(build_limit_order(), NOW)
    wait_for_events(broker, "A accepted")
    monkeypatch.setattr("app.brokers.remote.account_state.REPORT_TIMEOUT_SECONDS", 0.5)  # from now on
    alpaca.faults.stream.is_mute = True
    broker.cancel("A", NOW)
    wait_for_events(broker, "A accepted", "A canceled")
    assert broker.get_connection_state().missed_events == 1
    wait_until(lambda: alpaca.stream.connections == 2)  # a silent connection is opened again


def test_fills_while_the_stream_was_down_are_read_after_it_logs_in(alpaca, broker):
    broker.submit(build_limit_order(), NOW)
    broker.submit(build_limit_order("B"), NOW)
    wait_for_events(broker, "A accepted", "B accepted")
    alpaca.faults.stream.is_mute = True
    alpaca.stream.cut()
    alpaca.exchange.quote("AAPL", "94", "95", ask_size="14")
    alpaca.faults.stream.is_mute = False
    wait_for_events(broker, "A accepted", "B accepted", "A 10 @ 95", "B 4 @ 95")
    assert list_filled_orders(alpaca) == 14


def test_orders_of_an_earlier_process_are_followed(alpaca, broker):
    broker.submit(build_limit_order(), NOW)
    wait_for_events(broker, "A accepted")
    stored_cursor = broker.list_events()[-1].cursor
    broker.close()
    later = AlpacaBroker(alpaca.url, CREDENTIALS, 1)
    later.stream.start()
    later.stream.is_ready.wait()
    alpaca.exchange.quote("AAPL", "94", "95")
    wait_until(lambda: len(later.list_events(stored_cursor)) == 2)
    assert list_events(later) == ["A accepted", "A 10 @ 95"]
    assert later.list_events()[0].cursor > stored_cursor
    later.close()


def test_fill_that_crosses_a_cancel_counts(alpaca, broker):
    broker.submit(build_limit_order(), NOW)
    alpaca.faults.orders.crossing = "4"
    broker.cancel("A", NOW)
    wait_for_events(broker, "A accepted", "A 4 @ 95", "A canceled")


def test_cancel_that_comes_after_the_last_fill_changes_nothing(alpaca, broker):
    broker.submit(build_limit_order(), NOW)
    alpaca.faults.orders.crossing = "10"
    broker.cancel("A", NOW)
    wait_for_events(broker, "A accepted", "A 10 @ 95")
    assert broker.find("A").end is None


def test_refused_cancel_is_reported(alpaca, broker):
    broker.submit(build_limit_order(), NOW)
    alpaca.faults.orders.is_cancel_ignored = True
    broker.cancel("A", NOW)
    wait_for_events(broker, "A accepted", "A cancel rejected")


def test_replacement_keeps_the_filled_quantity(alpaca, broker):
    broker.submit(build_limit_order(), NOW)
    alpaca.exchange.fill(alpaca.exchange.get_order_by_client_order_id("A").id, "4", "95")
    broker.replace("A", build_limit_order("B", "96", 12), NOW)
    wait_for_events(broker, "A accepted", "A 4 @ 95", "A replaced")
    assert alpaca.exchange.get_order_by_client_order_id("B").qty == 8
    assert broker.find("A").end == Replaced("A", "B", broker.find("A").end.at)


def test_replacement_that_a_fill_made_too_large_is_cancelled(alpaca, broker):
    broker.submit(build_limit_order(), NOW)
    alpaca.faults.orders.crossing = "4"
    broker.replace("A", build_limit_order("B", "94"), NOW)
    wait_for_events(broker, "A accepted", "A 4 @ 95", "A replaced", "B canceled")
    assert list_filled_orders(alpaca) == 4


def test_replacement_of_an_order_that_filled_meanwhile_is_refused(alpaca, broker):
    broker.submit(build_limit_order(), NOW)
    alpaca.faults.orders.crossing = "10"
    broker.replace("A", build_limit_order("B", "94"), NOW)
    wait_until(lambda: "A 10 @ 95" in list_events(broker))
    assert list_filled_orders(alpaca) == 10
    assert not any(isinstance(record.event, Replaced) for record in broker.list_events())


def test_bust_and_correction_name_the_execution(alpaca, broker):
    broker.submit(build_limit_order(price="101"), NOW)
    wait_for_events(broker, "A accepted", "A 10 @ 101")
    (fill,) = broker.list_executions("A")
    alpaca.exchange.correct(fill.execution_id, "10", "100.5")
    wait_for_events(broker, "A accepted", "A 10 @ 101", "A busted", "A 10 @ 100.5")
    assert broker.list_events()[2].event.execution_id == fill.execution_id
    assert broker.list_events()[3].event.execution_id != fill.execution_id


def test_expired_order_is_reported(alpaca, broker):
    broker.submit(build_limit_order(), NOW)
    alpaca.exchange.expire(alpaca.exchange.get_order_by_client_order_id("A").id)
    wait_for_events(broker, "A accepted", "A expired")


def test_account_has_its_number_and_is_paper(broker):
    account = broker.get_account()
    assert (account.number, account.is_paper, account.cash) == ("PA0STANDIN00", True, Decimal(1_000_000))


def test_crypto_trades_in_fractions(alpaca, broker):
    alpaca.exchange.quote("BTC/USD", "64000", "64010")
    broker.submit(parse_order_text("BUY 0.12345678 MARKET GTC", symbol="BTC/USD"), NOW)
    wait_for_events(broker, "A accepted", "A 0.12345678 @ 64010")
    (position,) = broker.list_positions()
    assert (position.symbol, position.quantity) == ("BTC/USD", Decimal("0.12345678"))


def test_secrets_appear_in_no_log_error_or_representation(alpaca, log_records):
    canary = "canary-of-a-secret"
    broker = AlpacaBroker(alpaca.url, AlpacaCredentials(KEY_ID, canary), 1)
    with pytest.raises(BrokerUnavailable) as denied:
        broker.get_account()
    broker.stream.start()
    wait_until(lambda: broker.stream.last_error)
    broker.close()
    texts = [*log_records, str(denied.value), repr(AlpacaCredentials(KEY_ID, canary)), repr(vars(broker))]
    assert not any(canary in text for text in texts)
    assert "refused the login" in (broker.stream.last_error or "")
    assert any("HTTP Request" in text for text in log_records)
    assert any("stream of Alpaca is down" in text for text in log_records)


def test_cancel_of_an_order_that_alpaca_does_not_know_is_refused(broker):
    (event,) = broker.cancel("unknown", NOW)
    assert isinstance(event, CancelRejected)


@pytest.mark.parametrize(("count", "most"), [(2, 4), (12, 4)])
def test_fills_of_many_earlier_orders_are_listed_by_few_requests(alpaca, count, most):
    for number in range(count):
        alpaca.exchange.submit(
            {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
            | {"client_order_id": f"O{number}"}
        )
    later = AlpacaBroker(alpaca.url, CREDENTIALS, 1)  # a process that has seen none of them
    alpaca.gateway.requests.clear()
    fills = later.list_executions()
    later.close()
    assert [(fill.order_id, fill.order_filled) for fill in fills] == [
        (f"O{number}", Decimal(1)) for number in range(count)
    ]
    assert len(alpaca.gateway.requests) <= most
