"""Subjects of events, and the types that an endpoint receives."""

import pytest

from app.webhooks.rules.values import Endpoint, get_subject

ENDPOINT = Endpoint("wh_1", 1, "https://h.example/", ("order.*",), 1, 0, "s", None, None)


@pytest.mark.parametrize(
    ("event_type", "payload", "subject"),
    [
        ("order.filled", {"order_id": "O1", "portfolio_id": 4}, "O1"),
        ("position.changed", {"portfolio_id": 4, "symbol": "AAPL"}, "4/AAPL"),
        ("cash.deposit", {"portfolio_id": 4, "order_id": None}, "4"),
        ("kill_switch.halted", {}, "kill_switch"),
    ],
)
def test_subject_of_an_event(event_type, payload, subject):
    assert get_subject(event_type, payload) == subject


def test_endpoint_receives_its_event_types_and_no_tests_of_others():
    assert ENDPOINT.is_subscribed_to("order.filled")
    assert not ENDPOINT.is_subscribed_to("orders.filled")
    everything = Endpoint("wh_1", 1, "https://h.example/", ("*",), 1, 0, "s", None, None)
    assert everything.is_subscribed_to("trade.recorded")
    assert not everything.is_subscribed_to("webhook.test")
