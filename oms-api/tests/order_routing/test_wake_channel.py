"""Processes wake each other's sessions on PostgreSQL."""

from contextlib import closing

import pytest

from app.order_routing.service.wake_channel import WakeChannel
from app.orders.service.broker_request_notifier import BrokerRequestNotifier
from tests.support.conditions import WAIT_SECONDS


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_request_of_another_process_wakes_a_session_once(engine):
    own_notifier, other_notifier = BrokerRequestNotifier(), BrokerRequestNotifier()
    with (
        closing(WakeChannel(engine, own_notifier)) as first,
        closing(WakeChannel(engine, other_notifier)) as second,
    ):
        for channel in (first, second):
            channel.start()
            assert channel.is_listening.wait(WAIT_SECONDS)
        own, other = own_notifier.listen(), other_notifier.listen()
        own_notifier.notify()
        assert own.is_set()
        assert other.wait(WAIT_SECONDS)
        own.clear()
        other.clear()
        assert not own.wait(1.0)  # neither its own notice nor an echo of it
        assert not other.is_set()


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_nothing_runs_on_sqlite(engine):
    with closing(WakeChannel(engine, BrokerRequestNotifier())) as channel:
        channel.start()
        assert not channel.is_listening.is_set()
