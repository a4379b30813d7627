"""Subscriptions to event types."""

import pytest

from app.events.registry import Event, EventRegistry, matches


@pytest.mark.parametrize(
    ("pattern", "event_type", "expected"),
    [
        ("order.filled", "order.filled", True),
        ("order.filled", "order.canceled", False),
        ("order.*", "order.canceled", True),
        ("order.*", "orders.canceled", False),
        ("*", "trade.recorded", True),
    ],
)
def test_pattern_matches_a_type_a_family_or_everything(pattern, event_type, expected):
    assert matches(pattern, event_type) is expected


def test_each_matching_function_gets_the_event_although_another_one_fails(workspace, caplog):
    registry, handled = EventRegistry(), []

    def fail(*_):
        raise RuntimeError("broken")

    registry.register("order.*", fail)
    registry.register("order.filled", lambda _, event: handled.append(event.id))
    registry.register("trade.*", lambda *_: handled.append("other"))
    registry.handle(workspace.bot.services, Event("e1", "order.filled", "2026-11-29T10:00:00Z"))
    assert handled == ["e1"]
    assert [record.message for record in caplog.records] == ["Event handler failed"]


def test_patterns_to_request_are_all_subscriptions_or_everything():
    registry = EventRegistry()
    for pattern in ("trade.*", "order.*", "order.*"):
        registry.register(pattern, lambda *_: None)
    assert registry.list_patterns() == ["order.*", "trade.*"]
    registry.register("*", lambda *_: None)
    assert registry.list_patterns() == ["*"]
