"""Fired alerts become direct messages, or messages in the channel that they name."""

import pytest

from app.events.registry import Event, EventRegistry
from app.events.subscriptions import register_subscriptions
from tests.conftest import Workspace

FIRED = {
    "alert_id": "A1", "firing": 1, "value": "200.50", "at": "2026-11-29T10:00:00.000000Z", "kind": "price",
    "symbol": "AAPL", "portfolio_name": None, "above": "200.00", "below": None, "repeat": False,
    "owner": "slack:T1:U1", "deliver_to": "me",
}  # fmt: skip


def fire(workspace: Workspace, **changes):
    registry = EventRegistry()
    register_subscriptions(registry)
    registry.handle(
        workspace.bot.services, Event("E1", "alert.fired", "2026-11-29T10:00:00Z", FIRED | changes)
    )


@pytest.mark.parametrize(("target", "channel"), [("me", "D-U1"), ("C7", "C7")])
def test_an_alert_goes_to_its_owner_or_its_channel(workspace: Workspace, target, channel):
    fire(workspace, deliver_to=target)
    sent = workspace.slack.wait_for("chat.postMessage")[0].body
    assert sent["channel"] == channel
    assert "*AAPL above 200.00*: now 200.50" in sent["text"]


@pytest.mark.parametrize("owner", ["key:algo", "alice@example.com", None])
def test_alerts_of_others_are_not_sent(workspace: Workspace, owner):
    fire(workspace, owner=owner)
    workspace.bot.services.outbox.close(1.0)
    assert workspace.slack.calls == []
