"""Faults of Kite: nothing is doubled, lost or stuck."""

from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.brokers.errors import BrokerOutcomeUnknown, BrokerUnavailable, RateLimitExceeded, SessionNeeded
from app.brokers.remote.request_budget import LocalTokenBucket, RequestBudget
from app.brokers.remote.rest_client import RestTimeouts
from app.brokers.rules.values import CancelRejected, Rejected, Replaced
from app.brokers.zerodha.broker import ZerodhaBroker
from app.brokers.zerodha.client import BURST, BURST_SECONDS, KiteCredentials
from app.brokers.zerodha.rules.tags import build_tag
from tests.brokers.market import format_events, parse_order_text
from tests.brokers.standins.kite.rest import KiteGateway, build_error
from tests.brokers.standins.kite.server import ACCESS_TOKEN, API_KEY, API_SECRET
from tests.brokers.zerodha.conftest import CREDENTIALS
from tests.support.conditions import wait_until

NOW = datetime(2026, 11, 27, 5, tzinfo=UTC)
ORDER_ID = "O1795000000000000100000007"


def build_limit_order(order_id="A", price="95", quantity=10, **fields):
    return parse_order_text(f"BUY {quantity} LIMIT limit {price}", order_id, symbol="RELIANCE", **fields)


def list_events(broker):
    return format_events([record.event for record in broker.list_events()])


def wait_for_events(broker, *expected):
    wait_until(lambda: len(list_events(broker)) >= len(expected))
    assert list_events(broker) == list(expected)


def count_orders(kite):
    return sum(request == ("POST", "/orders/regular") for request in kite.gateway.requests)


def find_at_kite(kite, order_id="A"):
    (at_kite,) = kite.exchange.list_by_tag(build_tag(order_id))
    return at_kite


@pytest.mark.parametrize("kind", ["cut_after", "status_after"])
def test_order_with_an_unknown_outcome_is_found_by_its_tag_and_never_sent_again(kite, broker, kind):
    kite.faults.add(kind, method="POST", status=504)
    with pytest.raises(BrokerOutcomeUnknown):
        broker.submit(build_limit_order(ORDER_ID, "101"), NOW)
    broker.submit(build_limit_order(ORDER_ID, "101"), NOW)
    state = broker.find(ORDER_ID)
    assert state is not None
    assert not state.is_open
    wait_for_events(broker, f"{ORDER_ID} accepted", f"{ORDER_ID} 10 @ 101")
    assert count_orders(kite) == 1


def test_order_that_never_arrived_is_not_found_and_not_sent_again(kite, broker):
    kite.faults.add("cut_before", method="POST")
    with pytest.raises(BrokerOutcomeUnknown):
        broker.submit(build_limit_order(), NOW)
    assert broker.find("A") is None
    with pytest.raises(BrokerOutcomeUnknown, match="was sent before"):
        broker.submit(build_limit_order(), NOW)
    assert not kite.exchange.orders


def test_order_of_an_earlier_process_is_not_sent_again(kite, broker):
    broker.submit(build_limit_order(ORDER_ID), NOW)
    later = ZerodhaBroker(kite.url, CREDENTIALS, 1)
    later.stream.start()
    wait_until(later.stream.is_ready.is_set)
    later.submit(build_limit_order(ORDER_ID), NOW)
    assert len(kite.exchange.orders) == 1
    kite.exchange.quote("RELIANCE", "94", "95")
    wait_until(lambda: list_events(later) == [f"{ORDER_ID} accepted", f"{ORDER_ID} 10 @ 95"])
    later.close()


def test_uncertain_answer_of_kite_leaves_the_outcome_open(kite, broker, monkeypatch):
    message = "Order request timed out. Please check the order book and confirm before placing again."
    monkeypatch.setattr(KiteGateway, "build_fault_response", refuse_with(message))
    kite.faults.add("status_after", method="POST", status=400)
    with pytest.raises(BrokerOutcomeUnknown):
        broker.submit(build_limit_order(), NOW)
    wait_for_events(broker, "A accepted")


def refuse_with(message):
    return lambda _, fault: build_error(fault.status, "OrderException", message)


def test_unreachable_kite_gets_nothing():
    broker = ZerodhaBroker("http://127.0.0.1:9", CREDENTIALS, timeouts=RestTimeouts(connect=1.0))
    with pytest.raises(BrokerUnavailable):
        broker.get_account()
    broker.close()


def test_rate_limit_waits_for_the_retry_after_of_kite(kite, broker):
    kite.faults.add("status", method="POST", status=429, retry_after="1")
    broker.submit(build_limit_order(), NOW)
    wait_for_events(broker, "A accepted")
    assert count_orders(kite) == 2


def test_at_most_ten_orders_a_second_are_sent():
    now = [0.0]
    bucket = LocalTokenBucket(BURST, lambda: now[0], BURST_SECONDS)
    sent: list[float] = []
    while len(sent) < 30:
        if seconds := bucket.take_token(0):
            now[0] += seconds
        else:
            sent.append(now[0])
    assert all(later - earlier > 1 for earlier, later in zip(sent, sent[10:], strict=False))


def test_order_waits_for_the_rate_limit(kite):
    budget = RequestBudget(LocalTokenBucket(1, window_seconds=86_400))
    with closing(ZerodhaBroker(kite.url, CREDENTIALS, 1, budget=budget)) as broker:
        broker.submit(build_limit_order(), NOW)
        with pytest.raises(RateLimitExceeded):
            broker.submit(build_limit_order("B"), NOW)
    assert count_orders(kite) == 1


def test_ended_session_is_reported_and_sends_nothing(kite, broker):
    kite.sessions.expire()
    with pytest.raises(SessionNeeded, match="login"):
        broker.get_account()
    with pytest.raises(SessionNeeded):
        broker.submit(build_limit_order(), NOW)
    kite.ticker.cut()
    wait_until(lambda: "login" in (broker.stream.last_error or ""))
    assert not kite.exchange.orders


def test_connection_without_a_session_sends_nothing(kite):
    broker = ZerodhaBroker(kite.url, KiteCredentials(API_KEY, API_SECRET), 1)
    with pytest.raises(SessionNeeded):
        broker.get_account()
    broker.list_events()
    wait_until(lambda: "login" in (broker.stream.last_error or ""))
    assert not kite.gateway.requests
    broker.close()


def test_refusal_and_rejection_contain_the_text_of_kite(kite, broker):
    (event,) = broker.submit(build_limit_order("A", "95.01"), NOW)
    assert isinstance(event, Rejected)
    assert "Tick size" in event.reason
    kite.exchange.quote("SBIN", "559", "560")
    broker.submit(parse_order_text("BUY 1000000 MARKET", "B", symbol="SBIN"), NOW)
    wait_until(lambda: len(broker.list_events()) == 2)
    assert "Insufficient funds" in broker.list_events()[1].event.reason


def test_order_that_kite_cannot_execute_is_refused_before_it_is_sent(kite, broker):
    (event,) = broker.submit(parse_order_text("BUY 10 LIMIT limit 95 GTC", symbol="RELIANCE"), NOW)
    assert "GTC" in event.reason
    assert not kite.gateway.requests


def test_delivery_is_sold_only_out_of_a_position(kite, broker):
    (event,) = broker.submit(parse_order_text("SELL 10 MARKET", symbol="RELIANCE"), NOW)
    assert "Use MIS to sell short" in event.reason
    assert count_orders(kite) == 0
    kite.exchange.hold("RELIANCE", "10", "90")
    broker.submit(parse_order_text("SELL 10 MARKET", "B", symbol="RELIANCE"), NOW)
    broker.submit(parse_order_text("SELL 10 MARKET", "C", symbol="RELIANCE", product="MIS"), NOW)
    wait_until(lambda: len(kite.exchange.trades) == 2)


def test_fills_in_parts_and_duplicated_frames_count_once(kite, broker):
    broker.submit(build_limit_order(), NOW)
    wait_for_events(broker, "A accepted")
    kite.faults.stream.duplicates = 5
    kite.exchange.quote("RELIANCE", "94", "95", ask_size="4")
    wait_for_events(broker, "A accepted", "A 4 @ 95")
    kite.exchange.quote("RELIANCE", "93", "94", ask_size="6")
    wait_for_events(broker, "A accepted", "A 4 @ 95", "A 6 @ 94")
    assert [fill.quantity for fill in broker.list_executions("A")] == [4, 6]


def test_frames_that_the_socket_lost_are_read(kite, broker, monkeypatch):
    broker.submit(build_limit_order(), NOW)
    wait_for_events(broker, "A accepted")
    monkeypatch.setattr("app.brokers.remote.account_state.REPORT_TIMEOUT_SECONDS", 0.5)  # from now on
    kite.faults.stream.is_mute = True
    broker.cancel("A", NOW)
    wait_for_events(broker, "A accepted", "A canceled")
    assert broker.get_connection_state().missed_events == 1


def test_fills_while_the_socket_was_down_are_read_after_it_connects(kite, broker):
    broker.submit(build_limit_order(), NOW)
    wait_for_events(broker, "A accepted")
    kite.faults.stream.is_mute = True
    kite.ticker.cut()
    kite.exchange.quote("RELIANCE", "94", "95", ask_size="4")
    kite.faults.stream.is_mute = False
    wait_for_events(broker, "A accepted", "A 4 @ 95")


def test_silent_socket_is_opened_again(kite, broker, monkeypatch):
    monkeypatch.setattr("app.brokers.zerodha.stream.KiteOrderStream.max_silence_seconds", 1.5)
    kite.ticker.is_silent = True
    wait_until(lambda: kite.ticker.connections >= 2)


def test_fill_that_crosses_a_cancel_counts(kite, broker):
    broker.submit(build_limit_order(), NOW)
    kite.faults.orders.crossing = "4"
    broker.cancel("A", NOW)
    wait_for_events(broker, "A accepted", "A 4 @ 95", "A canceled")


def test_cancel_of_an_order_that_ended_is_refused(kite, broker):
    broker.submit(build_limit_order("A", "101"), NOW)
    wait_for_events(broker, "A accepted", "A 10 @ 101")
    (event,) = broker.cancel("A", NOW)
    assert isinstance(event, CancelRejected)


def test_order_that_kite_cancels_after_the_close_is_reported_with_the_reason(kite, broker):
    broker.submit(build_limit_order(), NOW)
    wait_for_events(broker, "A accepted")
    kite.exchange.close_day()
    wait_for_events(broker, "A accepted", "A unfilled canceled")
    assert "end of the day" in broker.list_events()[1].event.reason


def test_replacement_is_a_cancel_and_an_order_of_the_unfilled_quantity(kite, broker):
    broker.submit(build_limit_order(), NOW)
    wait_for_events(broker, "A accepted")
    kite.faults.orders.crossing = "4"
    events = broker.replace("A", build_limit_order("B", "94", 12), NOW)
    assert [type(event) for event in events][-1] is Replaced
    assert find_at_kite(kite, "A").status == "CANCELLED"
    assert find_at_kite(kite, "B").quantity == 8
    wait_until(lambda: len(broker.list_events()) >= 4)
    assert list_events(broker)[:2] == ["A accepted", "A 4 @ 95"]
    assert sorted(list_events(broker)[2:]) == ["A replaced", "B accepted"]  # B's frame may be the first
    end = broker.find("A").end
    assert isinstance(end, Replaced)
    assert end.successor_id == "B"


def test_replacement_of_an_order_that_filled_meanwhile_is_refused(kite, broker):
    broker.submit(build_limit_order(), NOW)
    wait_for_events(broker, "A accepted")
    kite.faults.orders.crossing = "10"
    (event,) = broker.replace("A", build_limit_order("B", "94"), NOW)
    assert isinstance(event, CancelRejected)
    wait_for_events(broker, "A accepted", "A 10 @ 95", "A cancel rejected")
    assert len(kite.exchange.orders) == 1


def test_replacement_with_an_unknown_outcome_is_found_by_its_tag(kite, broker):
    broker.submit(build_limit_order(), NOW)
    wait_for_events(broker, "A accepted")
    kite.faults.add("cut_after", method="POST")
    with pytest.raises(BrokerOutcomeUnknown):
        broker.replace("A", build_limit_order("B", "94"), NOW)
    assert broker.find("B") is not None
    assert isinstance(broker.find("A").end, Replaced)
    assert len(kite.exchange.orders) == 2


def test_replacement_that_could_not_be_sent_leaves_a_cancelled_order(kite, broker):
    broker.submit(build_limit_order(), NOW)
    wait_for_events(broker, "A accepted")
    kite.faults.add("status", method="POST", status=401)
    broker.replace("A", build_limit_order("B", "94"), NOW)
    wait_for_events(broker, "A accepted", "A canceled", "A cancel rejected")
    assert broker.find("B") is None


def test_orders_of_others_have_an_id_that_is_not_ours(kite, broker):
    kite.exchange.submit(
        {
            "exchange": "NSE", "tradingsymbol": "RELIANCE", "transaction_type": "BUY", "order_type": "LIMIT",
            "quantity": "1", "product": "CNC", "price": "90", "tag": "mine",
        }
    )  # fmt: skip
    (order,) = broker.open_orders()
    assert order.id.startswith("kite:")


def test_account_has_its_number_and_is_paper(broker):
    account = broker.get_account()
    assert (account.number, account.is_paper, account.cash) == ("PAPER1", True, Decimal(1_000_000))


def test_secrets_appear_in_no_log_error_or_representation(kite, log_records):
    canary = "canary-of-a-token"
    credentials = KiteCredentials(API_KEY, "canary-of-a-secret", canary)
    broker = ZerodhaBroker(kite.url, credentials, 1)
    with pytest.raises(SessionNeeded) as denied:
        broker.get_account()
    broker.stream.start()
    wait_until(lambda: broker.stream.last_error)
    broker.close()
    texts = [
        *log_records,
        str(denied.value),
        repr(credentials),
        repr(vars(broker)),
        broker.stream.last_error or "",
    ]
    assert not any("canary" in text or ACCESS_TOKEN in text for text in texts)
    assert any("HTTP Request" in text for text in log_records)
