"""Faults of TWS and of the connection with it: nothing is doubled, lost or stuck."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.brokers.errors import BrokerOutcomeUnknown, BrokerUnavailable
from app.brokers.ibkr.rules.tracked_order import ReplacementChain
from app.brokers.rules.values import (
    Busted,
    Canceled,
    CancelRejected,
    Charged,
    Executed,
    Expired,
    Rejected,
    UnfilledCanceled,
)
from tests.brokers.market import NOON, format_events, parse_order_text
from tests.brokers.standins.ibkr.faults import CANCEL_ORDER, PLACE_ORDER
from tests.support.conditions import WAIT_SECONDS, wait_until

NOW = datetime(2026, 11, 27, 15, tzinfo=UTC)


def build_limit_order(order_id="A", price="95", quantity=10):
    return parse_order_text(f"BUY {quantity} LIMIT limit {price}", order_id, symbol="AAPL")


def list_events(broker):
    """Return all events but the charges."""
    return [record.event for record in broker.list_events() if not isinstance(record.event, Charged)]


def wait_for_events(broker, *expected):
    wait_until(lambda: len(list_events(broker)) >= len(expected))
    assert format_events(list_events(broker)) == list(expected)


def wait_for_execution(tws):
    """Return the only execution of the exchange, which may fill an order after it has accepted it."""
    wait_until(lambda: tws.exchange.executions)
    (execution,) = tws.exchange.executions
    return execution


def count_requests(tws, message=PLACE_ORDER):
    return sum(number == message for number, _ in tws.requests)


def find_order(tws, ref="A"):
    return tws.call(lambda: tws.exchange.find_by_ref(ref))


@pytest.mark.parametrize("kind", ["cut_after", "mute"])
def test_order_with_an_unknown_outcome_is_found_and_never_sent_again(tws, create_broker, kind):
    broker = create_broker(response=2.0)
    tws.faults.add(kind)
    with pytest.raises(BrokerOutcomeUnknown):
        broker.submit(build_limit_order(price="101"), NOW)
    tws.cut()
    wait_for_events(broker, "A accepted", "A 10 @ 101")
    wait_until(broker.gateway.is_ready.is_set)
    state = broker.find("A")
    assert state is not None
    assert not state.is_open
    assert broker.submit(build_limit_order(price="101"), NOW) == ()
    assert count_requests(tws) == 1


def test_order_that_never_arrived_is_not_found(tws, broker):
    tws.faults.add("cut_before")
    with pytest.raises(BrokerOutcomeUnknown):
        broker.submit(build_limit_order(), NOW)
    wait_until(broker.gateway.is_ready.is_set)
    assert broker.find("A") is None
    assert tws.exchange.orders == []


def test_rejection_has_the_reason_of_ibkr(tws, broker):
    tws.faults.add("reject", text="insufficient margin")
    (event,) = broker.submit(build_limit_order(), NOW)
    assert isinstance(event, Rejected)
    assert event.reason == "insufficient margin"


def test_order_without_a_contract_is_refused_before_it_is_sent(tws, broker):
    (event,) = broker.submit(parse_order_text("BUY 1 MARKET", symbol="BTC/USD", asset_class="crypto"), NOW)
    assert isinstance(event, Rejected)
    assert count_requests(tws) == 0


def test_partial_fills_duplicates_and_late_events_count_once(tws, broker):
    tws.faults.copies = 2
    broker.submit(build_limit_order(), NOW)
    working = find_order(tws)
    tws.call(lambda: tws.exchange.fill(working, "4", "94.5"))
    tws.faults.is_held = True
    tws.call(lambda: tws.exchange.fill(working, "6", "94"))
    tws.release()
    wait_for_events(broker, "A accepted", "A 4 @ 94.5", "A 6 @ 94")
    wait_until(lambda: len(broker.list_events()) == 5)
    charged = [record.event for record in broker.list_events() if isinstance(record.event, Charged)]
    assert [(charge.amount, charge.currency) for charge in charged] == [(Decimal("1.0"), "USD")] * 2
    assert broker.list_execution_charges() == charged  # for a comparison that finds them unbooked


def test_correction_busts_the_execution_and_books_the_new_execution(tws, broker):
    broker.submit(build_limit_order(price="101"), NOW)
    execution = wait_for_execution(tws)
    corrected = tws.call(lambda: tws.exchange.correct(execution, "10", "100.5"))
    tws.call(lambda: tws.exchange.correct(corrected, "0", "100.5"))
    wait_until(lambda: len(list_events(broker)) == 5)
    _, _, busted, again, last = list_events(broker)
    assert isinstance(busted, Busted)
    assert (busted.execution_id, again.price) == (execution.id, Decimal("100.5"))
    assert isinstance(last, Busted)
    assert last.execution_id == corrected.id == again.execution_id


def test_correction_that_is_read_after_a_restart_busts_the_execution(tws, create_broker):
    first = create_broker()
    first.submit(build_limit_order(price="101"), NOW)
    first.close()
    execution = wait_for_execution(tws)
    tws.call(lambda: tws.exchange.correct(execution, "10", "100.5"))
    events = list_events(create_broker())
    assert [type(event) for event in events][1:] == [Busted, Executed]
    assert events[1].execution_id == execution.id


def test_events_of_an_outage_are_read_after_it(tws, broker):
    broker.submit(build_limit_order("A"), NOW)
    broker.submit(build_limit_order("B", "94"), NOW)
    tws.lose_connectivity()
    wait_until(lambda: not broker.gateway.is_ready.is_set())
    with pytest.raises(BrokerUnavailable, match="Connectivity"):
        broker.submit(build_limit_order("C"), NOW)
    tws.quote("AAPL", "94", "94.5")
    second = find_order(tws, "B")
    tws.call(lambda: tws.exchange.cancel(second))
    tws.restore_connectivity()
    wait_until(broker.gateway.is_ready.is_set)
    assert format_events(list_events(broker)) == [
        "A accepted",
        "B accepted",
        "A 10 @ 94.5",
        "B unfilled canceled",
    ]
    assert count_requests(tws) == 2


def test_daily_restart_of_tws_is_survived(tws, broker):
    broker.submit(build_limit_order(), NOW)
    tws.faults.refuses_connections = True
    tws.cut()
    wait_until(lambda: broker.get_connection_state().error is not None)
    with pytest.raises(BrokerUnavailable):
        broker.get_account()
    tws.quote("AAPL", "94", "95")
    tws.faults.refuses_connections = False
    wait_until(broker.gateway.is_ready.is_set)
    wait_for_events(broker, "A accepted", "A 10 @ 95")


def test_client_id_in_use_is_shown_until_it_is_free(broker, create_broker):
    second = create_broker(is_awaited=False)
    wait_until(lambda: "already in use" in (second.get_connection_state().error or ""))
    with pytest.raises(BrokerUnavailable, match="already in use"):
        second.get_account()
    broker.close()
    wait_until(second.gateway.is_ready.is_set)


def test_tws_that_does_not_list_completed_orders_is_used(tws, create_broker):
    tws.faults.add("drop", message=99, times=100)
    broker = create_broker(response=2.0)
    assert broker.get_account().number == "DU1234567"


def test_order_of_a_process_that_ended_can_be_canceled(tws, create_broker):
    first = create_broker()
    first.submit(build_limit_order(), NOW)
    first.close()
    second = create_broker()
    (event,) = second.cancel("A", NOW)
    assert isinstance(event, Canceled)


def test_cancel_that_crosses_a_fill_is_refused_after_it(tws, broker):
    broker.submit(build_limit_order(), NOW)
    tws.faults.is_held = True
    tws.quote("AAPL", "94", "95")
    tws.faults.is_held = False
    broker.cancel("A", NOW)
    tws.release()
    wait_until(lambda: len(list_events(broker)) == 3)
    assert {type(event) for event in list_events(broker)} >= {Executed, CancelRejected}


def test_cancel_that_tws_dropped_is_sent_again(tws, create_broker, monkeypatch):
    monkeypatch.setattr("app.brokers.ibkr.gateway.HEARTBEAT_SECONDS", 0.2)
    broker = create_broker(response=2.0)
    broker.submit(build_limit_order(), NOW)
    tws.faults.add("pace", message=CANCEL_ORDER)
    broker.cancel("A", NOW)
    wait_for_events(broker, "A accepted", "A canceled")
    assert count_requests(tws, CANCEL_ORDER) >= 2


def test_replaced_order_has_the_id_of_its_successor_and_keeps_its_own_at_ibkr(tws, create_broker):
    first = create_broker()
    first.submit(build_limit_order(), NOW)
    first.replace("A", build_limit_order("B", "96", 20), NOW)
    state = first.find("A")
    assert state is not None
    assert not state.is_open
    first.close()
    tws.quote("AAPL", "94", "95.5")
    second = create_broker(load_chains=lambda: [ReplacementChain(("A", "B"))])
    assert [fill.order_id for fill in second.list_executions("B")] == ["B"]
    assert len(tws.exchange.orders) == 1


def test_replacement_that_arrived_unnoticed_is_found_by_its_terms(tws, create_broker):
    first = create_broker(response=2.0)
    first.submit(build_limit_order(), NOW)
    successor = build_limit_order("B", "96")
    tws.faults.add("cut_after")
    with pytest.raises(BrokerOutcomeUnknown):
        first.replace("A", successor, NOW)
    first.close()
    second = create_broker(load_chains=lambda: [ReplacementChain(("A",), successor)])
    state = second.find("B")
    assert state is not None
    assert state.is_open
    assert format_events(list_events(second)) == ["A replaced", "B accepted"]


def test_replacement_that_ibkr_refuses_leaves_the_order(tws, broker):
    broker.submit(build_limit_order(), NOW)
    tws.faults.add("refuse", text="The price is wrong", code=110)
    (event,) = broker.replace("A", build_limit_order("B", "96"), NOW)
    assert event == CancelRejected("A", "The price is wrong", event.at)
    assert [order.id for order in broker.open_orders()] == ["A"]


def test_order_that_ibkr_no_longer_lists_ends(tws, create_broker, monkeypatch):
    monkeypatch.setattr("app.brokers.ibkr.order_log.MAX_ABSENCE", timedelta(0))
    monkeypatch.setattr("app.brokers.ibkr.order_readings.READING_INTERVAL", timedelta(0))
    monkeypatch.setattr("app.brokers.ibkr.gateway.HEARTBEAT_SECONDS", 0.1)
    broker = create_broker()
    broker.submit(build_limit_order(), NOW)
    tws.call(tws.exchange.orders.clear)
    assert broker.find("A") is not None  # as it was reported last
    assert broker.find("B") is None
    wait_until(lambda: [type(event) for event in list_events(broker)].count(UnfilledCanceled) >= 1)


def test_other_account_than_before_is_not_traded(tws, broker):
    broker.get_account()
    tws.accounts[:] = ["U7654321"]
    try:
        tws.cut()
        wait_until(lambda: "account" in (broker.get_connection_state().error or ""))
        with pytest.raises(BrokerUnavailable, match="DU1234567"):
            broker.submit(build_limit_order(), NOW)
    finally:
        tws.accounts[:] = ["DU1234567"]


def test_account_is_a_paper_account_by_its_number(tws, broker):
    account = broker.get_account()
    assert (account.number, account.is_paper, account.currency) == ("DU1234567", True, "USD")
    assert account.cash == Decimal(1_000_000)


@pytest.mark.parametrize("steps", range(5))
def test_gateway_that_is_closed_while_it_loses_its_connection_gives_its_client_id_back(create_broker, steps):
    gateway = create_broker().gateway

    def stop_after(count):
        if count:
            gateway._loop.call_soon(stop_after, count - 1)
        else:
            gateway._stop()

    gateway._loop.call_soon_threadsafe(lambda: (gateway.drop_connection("lost"), stop_after(steps)))
    gateway._thread.join(WAIT_SECONDS)
    assert not gateway._thread.is_alive()


def test_order_that_is_good_till_a_time_expires_then(create_broker, tws):
    now = [NOON]
    broker = create_broker(now=lambda: now[0])
    end = NOON + timedelta(hours=1)
    resting = parse_order_text(
        "BUY 10 LIMIT limit 95 GTD", symbol="AAPL", expires_at=end, extended_hours=True
    )
    broker.submit(resting, NOON)
    (sent,) = tws.exchange.orders
    assert (sent.tif, sent.good_till_date, sent.outside_rth) == ("GTD", "20261120-13:00:00", "1")
    assert broker.find("A").order.expires_at == end
    later = end + timedelta(hours=1)
    broker.replace("A", resting._replace(id="B", expires_at=later), NOON)
    assert broker.find("B").order.expires_at == later
    now[0] = later
    tws.call(lambda: tws.exchange.cancel(sent))
    wait_until(lambda: [type(record.event) for record in broker.list_events()][-1] is Expired)


def test_fraction_of_a_share_is_sent(broker, tws):
    broker.submit(parse_order_text("BUY 1.5 MARKET", symbol="AAPL"), NOON)
    assert [execution.quantity for execution in tws.exchange.executions] == [Decimal("1.5")]
