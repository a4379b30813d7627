"""The recipients of an event, the time of the notification, and the number of messages."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from app.delivery.notification_store import Notification
from app.delivery.posted_messages import MessageKind, PostedMessage
from app.events.registry import Event, EventRegistry
from app.events.subscriptions import register_subscriptions
from app.services.notifications.delivery import SENDERS, deliver_notifications
from app.services.notifications.reminders import add_reminder
from app.services.state import notification_pace
from tests import portfolio_oms
from tests.conftest import Workspace
from tests.fakes import Response, build_problem

FIRED = {
    "alert_id": "A1", "firing": 1, "value": "200.50", "at": "2026-11-29T10:00:00.000000Z", "kind": "price",
    "symbol": "AAPL", "portfolio_name": None, "above": "200.00", "below": None, "repeat": False,
    "owner": "slack:T1:U1", "deliver_to": "me",
}  # fmt: skip
FILLED = {
    "order_id": "O1", "portfolio_name": "Growth", "symbol": "AAPL", "side": "BUY", "quantity": "1000",
    "average_price": "175.5",
}  # fmt: skip
CLOSED = {
    "portfolio_id": 1, "portfolio_name": "Growth", "currency": "USD", "closed_at": "2026-11-30T21:00:00Z",
    "trades": 3, "volume": "5000.00", "charges": "1.50", "realized_pnl": "20.00", "day_pnl": "-35.25",
    "unrealized_pnl": "-55.25", "equity": "1000500.00", "gross_exposure": "17500.00",
    "net_exposure": "17500.00",
}  # fmt: skip


@pytest.fixture
def quiet_workspace(workspace: Workspace, monkeypatch):
    """Provide a workspace whose notifications are sent when the test says so."""
    monkeypatch.setattr(workspace.bot.services.query_workers, "submit", lambda *_: None)
    monkeypatch.setattr("app.services.notifications.delivery.SUMMARY_SECONDS", 0.0)
    return workspace


def handle_event(workspace: Workspace, event_type, payload, event_id="E1", created_at="2026-11-29T10:00:00Z"):
    registry = EventRegistry()
    register_subscriptions(registry)
    registry.handle(workspace.bot.services, Event(event_id, event_type, created_at, payload))


def fire_alert(workspace: Workspace, event_id="E1", **changes):
    handle_event(workspace, "alert.fired", FIRED | changes, event_id)


def list_sent_messages(workspace: Workspace):
    """Return the channels and texts of the messages, after sending all due messages."""
    deliver_notifications(workspace.bot.services)
    return [
        (call.body["channel"], call.body["text"])
        for call in workspace.slack.list_requests("chat.postMessage")
    ]


def advance_clock(monkeypatch, seconds):
    """Advance the clock of the notifications."""
    clock = time.time
    monkeypatch.setattr("app.services.notifications.delivery.time.time", lambda: clock() + seconds)


def place_order(workspace: Workspace, kind=MessageKind.ORDER):
    workspace.bot.services.posted_messages.save(PostedMessage("O1", kind, "C1", "1.0", "T1", "U1"))


@pytest.mark.parametrize(("target", "channel"), [("me", "D-U1"), ("C7", "C7")])
def test_alert_goes_to_its_owner_or_its_channel(workspace: Workspace, target, channel):
    fire_alert(workspace, deliver_to=target)
    message = workspace.slack.wait_for("chat.postMessage")[0].body
    assert message["channel"] == channel
    assert "*AAPL above 200.00*: now 200.50" in message["text"]


@pytest.mark.parametrize("owner", ["key:algo", "alice@example.com", None])
def test_alerts_of_others_are_not_sent(quiet_workspace: Workspace, owner):
    fire_alert(quiet_workspace, owner=owner)
    assert list_sent_messages(quiet_workspace) == []


def test_burst_becomes_a_message_and_a_list(quiet_workspace: Workspace, monkeypatch):
    fire_alert(quiet_workspace)
    fire_alert(quiet_workspace)  # the same event again
    assert len(list_sent_messages(quiet_workspace)) == 1
    for number in range(40):
        fire_alert(quiet_workspace, f"E{number + 2}", symbol=f"SYM{number}")
    assert len(list_sent_messages(quiet_workspace)) == 1
    monkeypatch.setattr(notification_pace, "BURST_SECONDS", 0.0)
    ((_, first), (channel, text)) = list_sent_messages(quiet_workspace)
    assert "AAPL" in first
    assert channel == "D-U1"
    assert text.startswith("*40 updates*\n• :bell: *SYM")
    assert text.endswith("and 17 more")
    assert len(list_sent_messages(quiet_workspace)) == 2


def test_preferences_decide_who_is_notified_of_a_fill(quiet_workspace: Workspace):
    place_order(quiet_workspace)
    handle_event(quiet_workspace, "order.filled", FILLED, "E1")
    assert list_sent_messages(quiet_workspace) == []
    quiet_workspace.oms.preferences["notify"] = {"order.*": "ping"}
    handle_event(quiet_workspace, "order.filled", FILLED, "E2")
    assert list_sent_messages(quiet_workspace) == [
        ("D-U1", "*Filled:* BUY 1,000 AAPL at 175.50 in Growth · `O1`")
    ]
    handle_event(quiet_workspace, "order.filled", FILLED | {"order_id": "elsewhere"}, "E3")
    assert len(list_sent_messages(quiet_workspace)) == 1


def test_bundled_event_waits_for_others(quiet_workspace: Workspace, monkeypatch):
    quiet_workspace.oms.preferences["notify"] = {"alert.fired": "bundle"}
    fire_alert(quiet_workspace, "E1")
    fire_alert(quiet_workspace, "E2", symbol="MSFT")
    assert list_sent_messages(quiet_workspace) == []
    advance_clock(monkeypatch, 61)
    ((_, text),) = list_sent_messages(quiet_workspace)
    assert text.startswith("*2 updates*")


def test_quiet_hours_hold_messages_until_they_end(quiet_workspace: Workspace, monkeypatch):
    now = datetime.now(UTC)
    since, until = ((now + timedelta(minutes=each)).strftime("%H:%M") for each in (-60, 60))
    quiet_workspace.oms.preferences["quiet_hours"] = {"from": since, "to": until}
    fire_alert(quiet_workspace)
    assert list_sent_messages(quiet_workspace) == []
    advance_clock(monkeypatch, 3601)
    assert len(list_sent_messages(quiet_workspace)) == 1


def test_rate_limit_delays_a_message_and_loses_none(quiet_workspace: Workspace, monkeypatch):
    quiet_workspace.slack.refuse("chat.postMessage", "ratelimited")
    quiet_workspace.slack.default_responses["chat.postMessage"].status = 429
    fire_alert(quiet_workspace)
    list_sent_messages(quiet_workspace)
    del quiet_workspace.slack.default_responses["chat.postMessage"]
    before = len(list_sent_messages(quiet_workspace))
    advance_clock(monkeypatch, 31)
    assert len(list_sent_messages(quiet_workspace)) == before + 1


def test_channel_that_refuses_an_alert_sends_it_to_its_owner(quiet_workspace: Workspace):
    quiet_workspace.slack.refuse("chat.postMessage", "not_in_channel")
    fire_alert(quiet_workspace, deliver_to="C7")
    deliver_notifications(quiet_workspace.bot.services)
    del quiet_workspace.slack.default_responses["chat.postMessage"]
    calls = list_sent_messages(quiet_workspace)
    assert [channel for channel, _ in calls] == ["C7", "D-U1"]
    assert "`/invite`" in calls[1][1]
    assert len(list_sent_messages(quiet_workspace)) == 2


def test_alert_that_slack_may_have_taken_is_repeated_with_a_mark(quiet_workspace: Workspace, monkeypatch):
    quiet_workspace.slack.queue_responses("chat.postMessage", Response(status=503))
    fire_alert(quiet_workspace)
    assert len(list_sent_messages(quiet_workspace)) == 1
    monkeypatch.setattr(notification_pace, "BURST_SECONDS", 0.0)
    advance_clock(monkeypatch, 31)
    (_, first), (_, second) = list_sent_messages(quiet_workspace)
    assert "you may see it twice" not in first
    assert "you may see it twice" in second
    assert len(list_sent_messages(quiet_workspace)) == 2


def test_notification_of_a_killed_bot_is_repeated_with_a_mark(quiet_workspace: Workspace, monkeypatch):
    fire_alert(quiet_workspace)
    services = quiet_workspace.bot.services
    services.notifications.set_due("E1:U1", 1.0)
    (row,) = services.notifications.list_due(2.0)
    services.notifications.claim(row, 3.0)  # and then it is killed
    ((_, text),) = list_sent_messages(quiet_workspace)
    assert "you may see it twice" in text


def test_close_is_summed_up_in_the_channel_and_for_people_who_may_see_it(quiet_workspace: Workspace):
    services = quiet_workspace.bot.services
    object.__setattr__(services, "trading_channel", "C9")
    quiet_workspace.oms.preferences["notify"] = {"portfolio.summary": "ping"}
    quiet_workspace.oms.narrowed["slack:T1:U2"] = ["Income"]
    for user in ("U1", "U2"):
        services.notifications.subscribe("T1", user)
    handle_event(quiet_workspace, "portfolio.summary", CLOSED)
    messages = dict(list_sent_messages(quiet_workspace))
    assert messages.keys() == {"C9", "D-U1"}
    assert "*Growth* closed <!date^" in messages["C9"]
    assert "P&amp;L -35.25 USD, equity 1,000,500.00, 3 trades worth 5,000.00" in messages["C9"]


def test_summary_waits_until_the_oms_returns_its_readers(quiet_workspace: Workspace):
    quiet_workspace.oms.preferences["notify"] = {"portfolio.summary": "ping"}
    for user in ("U1", "U2"):
        quiet_workspace.bot.services.notifications.subscribe("T1", user)
    quiet_workspace.oms.barred["slack:T1:U1"] = Response(503)
    quiet_workspace.oms.barred["slack:T1:U2"] = build_problem(403, "Deactivated.", kind="person-refused")
    handle_event(quiet_workspace, "portfolio.summary", CLOSED)
    assert list_sent_messages(quiet_workspace) == []
    quiet_workspace.oms.barred.pop("slack:T1:U1")
    ((channel, text),) = list_sent_messages(quiet_workspace)
    assert channel == "D-U1"
    assert "*Growth* closed" in text
    assert quiet_workspace.bot.services.notifications.list_new() == []


def test_daily_login_is_requested_in_the_channel(quiet_workspace: Workspace):
    object.__setattr__(quiet_workspace.bot.services, "trading_channel", "C9")
    payload = {"connection": "zerodha", "portfolio_name": "India", "opens_at": "2026-11-30T03:45:00.000000Z"}
    handle_event(quiet_workspace, "broker_connection.log_in_needed", payload)
    ((channel, text),) = list_sent_messages(quiet_workspace)
    assert channel == "C9"
    assert "the connection zerodha of the portfolio India has no session" in text
    assert "The market opens <!date^" in text
    assert "`/desk login`" in text


def test_named_approvers_are_notified_but_never_the_requester(quiet_workspace: Workspace):
    request = {
        "order_id": "O1", "requested_by": "slack:T1:U1", "expires_at": "2999-01-01T00:00:00Z",
        "approvers": ["slack:T1:U1", "slack:T1:U2", "alice@example.com"],
    }  # fmt: skip
    handle_event(quiet_workspace, "approval.requested", request)
    ((channel, text),) = list_sent_messages(quiet_workspace)
    assert channel == "D-U2"
    assert "*Approval needed:* order `O1`, requested by <@U1>" in text


@pytest.mark.parametrize(
    ("minutes", "status", "count"),
    [(-16, "AWAITING_APPROVAL", 1), (-16, "ACCEPTED", 0), (-14, "AWAITING_APPROVAL", 0)],
)
def test_approvers_are_reminded_once_after_half_of_the_time(
    quiet_workspace: Workspace, minutes, status, count, monkeypatch
):
    place_order(quiet_workspace, MessageKind.APPROVAL)
    quiet_workspace.oms.orders.orders["O1"] = portfolio_oms.build_order(
        "O1", status=status, leaves_quantity="10"
    )
    requested_at = datetime.now(UTC) + timedelta(minutes=minutes)
    request = {
        "order_id": "O1", "expires_at": (requested_at + timedelta(minutes=30)).isoformat(),
        "approvers": ["slack:T1:U2"], "requested_by": "slack:T1:U2",
    }  # fmt: skip
    handle_event(quiet_workspace, "approval.requested", request, created_at=requested_at.isoformat())
    quiet_workspace.oms.queue_responses("get_order", Response(drop=True))  # a failure delays the reminder
    list_sent_messages(quiet_workspace)
    advance_clock(monkeypatch, 31)
    for _ in range(2):
        list_sent_messages(quiet_workspace)
    reminders = [call.body for call in quiet_workspace.slack.list_requests("chat.postMessage")]
    assert [(reminder["channel"], reminder["thread_ts"]) for reminder in reminders] == [("C1", "1.0")] * count
    assert all("<@U2> This order still waits for a decision." in reminder["text"] for reminder in reminders)


@pytest.mark.parametrize(("response", "is_marked"), [(Response(503), True), (Response(429), False)])
def test_reminder_that_slack_did_not_confirm_is_repeated(
    quiet_workspace: Workspace, response, is_marked, monkeypatch
):
    place_order(quiet_workspace, MessageKind.APPROVAL)
    quiet_workspace.oms.orders.orders["O1"] = portfolio_oms.build_order(
        "O1", status="AWAITING_APPROVAL", leaves_quantity="1"
    )
    requested_at = datetime.now(UTC) - timedelta(minutes=16)
    expires_at = (requested_at + timedelta(minutes=30)).isoformat()
    request = {"order_id": "O1", "expires_at": expires_at, "approvers": ["slack:T1:U2"]}
    add_reminder(quiet_workspace.bot.services, requested_at.isoformat(), request)
    monkeypatch.setattr(notification_pace, "BURST_SECONDS", 0.0)
    quiet_workspace.slack.queue_responses("chat.postMessage", response)
    list_sent_messages(quiet_workspace)
    advance_clock(monkeypatch, 31)
    for _ in range(2):
        reminders = list_sent_messages(quiet_workspace)
    assert ["you may see it twice" in text for _, text in reminders] == [False, is_marked]


def test_reminder_is_claimed_only_when_its_turn_comes(quiet_workspace: Workspace, monkeypatch):
    notifications = quiet_workspace.bot.services.notifications
    waiting_attempts = []

    def record_attempts(_services, _notification):
        waiting_attempts.append(sorted(row.attempts for row in notifications.list_due(1e12)))

    monkeypatch.setitem(SENDERS, "test", record_attempts)
    for number in range(2):
        notification = Notification(f"N{number}", "T1", "", "C7", "test", "", time.time(), due_at=1.0)
        notifications.add(notification)
    deliver_notifications(quiet_workspace.bot.services)
    assert waiting_attempts == [[0, 1], [1]]


def test_another_workspace_sends_its_own_notifications(quiet_workspace: Workspace):
    fire_alert(quiet_workspace, owner="slack:T2:U1")
    assert list_sent_messages(quiet_workspace) == []


def test_two_bots_send_a_message_once(quiet_workspace: Workspace):
    fire_alert(quiet_workspace)
    services = quiet_workspace.bot.services
    services.notifications.set_due("E1:U1", 1.0)
    (row,) = services.notifications.list_due(2.0)
    assert [services.notifications.claim(row, 100.0) for _ in range(2)] == [True, False]
    assert services.notifications.list_due(99.0) == []
    assert services.notifications.list_due(100.0) != []
