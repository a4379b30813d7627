"""The thread of a strategy in the channel for reports."""

import pytest

from app.blocks.strategy_threads import build_strategy_message, describe_strategy_event
from app.events.registry import Event, EventRegistry
from app.events.subscriptions import register_subscriptions
from app.services.notifications.delivery import deliver_notifications
from tests.conftest import Workspace
from tests.limits import check_message

STATUS = {
    "name": "trend", "portfolio_name": "Growth", "status": "ACTIVE", "version": 2, "run": 3,
    "reason": "Checked the backtest", "last_error": None, "actor": "slack:T1:U1",
}  # fmt: skip
DRIFT = {
    "name": "trend", "portfolio_name": "Growth", "compared_orders": 12, "compared_fills": 10,
    "differences": 1, "order_id": "O1", "reason": "price: the quote was older",
}  # fmt: skip


@pytest.fixture
def reporting_workspace(workspace: Workspace) -> Workspace:
    object.__setattr__(workspace.bot.services, "trading_channel", "C9")
    return workspace


def report_event(workspace: Workspace, event_id, kind, payload):
    registry = EventRegistry()
    register_subscriptions(registry)
    registry.handle(
        workspace.bot.services, Event(event_id, f"strategy.{kind}", "2026-11-29T10:00:00Z", payload)
    )


def test_thread_starts_once_and_its_first_message_shows_the_status(reporting_workspace: Workspace):
    report_event(reporting_workspace, "E1", "started", STATUS)
    root, line = (call.body for call in reporting_workspace.slack.wait_for("chat.postMessage", 2))
    check_message(root["text"], root["blocks"])
    assert root["channel"] == "C9"
    assert root["text"].startswith("*Strategy trend* · ACTIVE · in Growth · version 2, start 3")
    assert line["text"] == ":arrow_forward: *trend* was started by <@U1>: Checked the backtest"
    assert line["thread_ts"] == "1.0"
    error = "ValueError: no data (trend.py, line 12)"
    report_event(
        reporting_workspace, "E2", "error", STATUS | {"status": "ERROR", "last_error": error, "actor": "host"}
    )
    failed = reporting_workspace.slack.wait_for("chat.postMessage", 3)[2].body
    assert failed["text"] == f":warning: *trend* failed and was stopped: {error}"
    assert failed["thread_ts"] == "1.0"
    (edited,) = reporting_workspace.slack.list_requests("chat.update")
    assert "*Strategy trend* · ERROR" in edited.body["text"]
    assert edited.body["ts"] == "1.0"


def test_drift_keeps_the_status(reporting_workspace: Workspace):
    report_event(reporting_workspace, "E1", "paused", STATUS | {"status": "PAUSED", "reason": None})
    report_event(reporting_workspace, "E2", "drift", DRIFT)
    text = reporting_workspace.slack.wait_for("chat.postMessage", 3)[2].body["text"]
    assert "1 difference in 12 orders and 10 fills. First at order `O1`: price: the quote was older" in text
    assert reporting_workspace.slack.list_requests("chat.update") == []


def test_first_message_that_was_deleted_is_posted_again(reporting_workspace: Workspace):
    report_event(reporting_workspace, "E1", "started", STATUS)
    reporting_workspace.slack.wait_for("chat.postMessage", 2)
    reporting_workspace.slack.refuse("chat.update", "message_not_found")
    report_event(reporting_workspace, "E2", "stopped", STATUS | {"status": "INACTIVE", "reason": None})
    root, line = (call.body for call in reporting_workspace.slack.wait_for("chat.postMessage", 4)[2:])
    assert "INACTIVE" in root["text"]
    assert line["text"] == ":black_square_for_stop: *trend* was stopped by <@U1>."
    assert line["thread_ts"] == "3.0"


def test_refused_thread_line_stays_pending(reporting_workspace: Workspace):
    reporting_workspace.slack.refuse("chat.postMessage", "not_in_channel")
    report_event(reporting_workspace, "E1", "started", STATUS)
    reporting_workspace.slack.wait_for("chat.postMessage")
    (pending,) = reporting_workspace.bot.services.notifications.list_due(1e12)
    assert pending.channel == "C9"
    assert pending.text[:23] == ":arrow_forward: *trend*"


def test_pending_thread_line_of_a_killed_bot_is_posted(reporting_workspace: Workspace, monkeypatch):
    report_event(reporting_workspace, "E1", "started", STATUS)
    reporting_workspace.slack.wait_for("chat.postMessage", 2)
    services = reporting_workspace.bot.services
    services.send_queue.close(60.0)
    with monkeypatch.context() as killed:
        killed.setattr(services.send_queue, "put", lambda *_, **__: None)
        report_event(reporting_workspace, "E2", "paused", STATUS | {"status": "PAUSED"})
    services.storage.database.execute("UPDATE notifications SET due_at = 1.0")
    deliver_notifications(services)
    line = reporting_workspace.slack.wait_for("chat.postMessage", 3)[2].body
    assert line["channel"] == "C9"
    assert line["thread_ts"] == "1.0"
    assert line["text"].startswith(":double_vertical_bar: *trend* was paused by <@U1>")
    assert services.notifications.list_due(1e12) == []


def test_without_a_channel_nothing_is_posted(workspace: Workspace):
    report_event(workspace, "E1", "started", STATUS)
    assert workspace.slack.list_requests("chat.postMessage") == []
    assert workspace.bot.services.notifications.list_due(1e12) == []


def test_long_and_hostile_texts_fit():
    payload = STATUS | {"name": "<!channel>", "last_error": "e" * 5_000, "portfolio_name": "*" * 100}
    line = describe_strategy_event("strategy.error", payload)
    message = build_strategy_message(payload)
    check_message(message.text, list(message.blocks))
    assert len(line) < 3000
    assert "<!channel>" not in line + message.text
