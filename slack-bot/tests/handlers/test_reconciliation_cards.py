"""Cards of differences from brokers' books: posted once, edited, taken and resolved by people."""

import itertools
import time

import pytest

from app.blocks.reconciliation import (
    build_issue_card,
    build_issue_form,
    build_issue_value,
    describe_connection,
)
from app.events.registry import Event, EventRegistry
from app.events.subscriptions import register_subscriptions
from app.forms.request_context import RequestContext
from app.services.notifications.delivery import deliver_notifications
from support.conditions import wait_until
from tests.conftest import Workspace
from tests.fakes import Response, build_problem
from tests.handlers.message_buttons import click_button, list_buttons
from tests.limits import check_message, check_view

ISSUE = {
    "issue_id": "ri_1", "issue_type": "quantity_mismatch", "severity": "critical", "status": "open",
    "portfolio_name": "Growth", "connection": "alpaca-paper", "symbol": "AAPL", "ours": "100",
    "theirs": "90", "proposed_action": "adopt",
}  # fmt: skip
MARK = "you may see it twice"
NUMBERS = itertools.count(1)
PATH = "/api/v1/reconciliation/issues/ri_1/resolve"


@pytest.fixture
def workspace_with_issues(workspace: Workspace):
    """Provide a workspace whose OMS accepts resolutions."""
    object.__setattr__(workspace.bot.services, "trading_channel", "C9")
    return workspace


def report_issue(workspace: Workspace, state="opened", **changes):
    registry = EventRegistry()
    register_subscriptions(registry)
    event = Event(f"E{next(NUMBERS)}", f"reconciliation.{state}", "2026-11-29T10:00:00Z", ISSUE | changes)
    registry.handle(workspace.bot.services, event)


def resolve_issue(workspace: Workspace, action, reason):
    value = {"option": {"value": action}}
    values = {
        "issue_action": {"entry": {"type": "radio_buttons", "selected_option": value["option"]}},
        "reason": {"entry": {"type": "plain_text_input", "value": reason}},
    }
    context = RequestContext("C9", "ri_1").dump()
    view = build_issue_form("ri_1", "adopt", RequestContext("C9", "ri_1"))
    return workspace.submit(values, callback_id="issue_form", private_metadata=context, blocks=view["blocks"])


def test_card_is_posted_once_and_edited_when_it_is_resolved(workspace_with_issues: Workspace):
    report_issue(workspace_with_issues)
    posted = workspace_with_issues.slack.wait_for("chat.postMessage")[0].body
    check_message(posted["text"], posted["blocks"])
    assert posted["channel"] == "C9"
    assert "*Quantities differ* (critical): AAPL in Growth at alpaca-paper" in posted["text"]
    assert "Ours: 100 · Broker's: 90" in posted["text"]
    assert "Owner: nobody" in posted["text"]
    assert list_buttons(posted) == ["Assign to me", "Resolve…"]
    outcome = {"action": "adopt", "reason": "Bought by phone", "resolved_by": "slack:T1:U1"}
    report_issue(workspace_with_issues, "resolved", status="resolved", **outcome)
    edited = workspace_with_issues.slack.wait_for("chat.update")[0].body
    assert "*Resolved* by <@U1> (adopt): Bought by phone" in edited["text"]
    assert list_buttons(edited) == []
    assert len(workspace_with_issues.slack.list_requests("chat.postMessage")) == 1


def send_due_messages(workspace: Workspace, monkeypatch):
    """Send the messages that are due half a minute later."""
    clock = time.time
    with monkeypatch.context() as later:
        later.setattr("app.services.notifications.delivery.time.time", lambda: clock() + 31)
        deliver_notifications(workspace.bot.services)


def list_pending(workspace: Workspace):
    return workspace.bot.services.notifications.list_due(1e12)


def list_cards(workspace: Workspace):
    return [call.body["text"] for call in workspace.slack.list_requests("chat.postMessage")]


@pytest.mark.parametrize("response", [Response(503), Response(drop=True)])
def test_card_that_slack_may_have_is_repeated_with_a_mark(
    workspace_with_issues: Workspace, response, monkeypatch
):
    workspace_with_issues.slack.queue_responses("chat.postMessage", response)
    report_issue(workspace_with_issues)
    workspace_with_issues.slack.wait_for("chat.postMessage")
    for _ in range(2):
        send_due_messages(workspace_with_issues, monkeypatch)
    assert [MARK in text for text in list_cards(workspace_with_issues)] == [False, True]
    assert list_pending(workspace_with_issues) == []


def test_card_of_a_killed_bot_is_posted_once_by_the_next_one(workspace_with_issues: Workspace, monkeypatch):
    with monkeypatch.context() as killed:
        killed.setattr(workspace_with_issues.bot.services.send_queue, "put", lambda *_, **__: None)
        report_issue(workspace_with_issues)
    assert list_cards(workspace_with_issues) == []
    for _ in range(2):
        send_due_messages(workspace_with_issues, monkeypatch)
    (text,) = list_cards(workspace_with_issues)
    assert MARK not in text


def test_earlier_state_of_an_issue_is_never_shown_after_a_later_one(
    workspace_with_issues: Workspace, monkeypatch
):
    jobs = []
    with monkeypatch.context() as delayed:
        delayed.setattr(
            workspace_with_issues.bot.services.send_queue, "put", lambda _lane, job, **__: jobs.append(job)
        )
        report_issue(workspace_with_issues)
    report_issue(
        workspace_with_issues, "resolved", status="resolved", action="adopt", reason="Bought by phone"
    )
    workspace_with_issues.slack.wait_for("chat.postMessage")
    wait_until(lambda: not list_pending(workspace_with_issues))
    jobs[0].work()
    send_due_messages(workspace_with_issues, monkeypatch)
    (text,) = list_cards(workspace_with_issues)
    assert "*Resolved*" in text
    assert workspace_with_issues.slack.list_requests("chat.update") == []


def test_card_that_was_deleted_is_posted_again(workspace_with_issues: Workspace):
    report_issue(workspace_with_issues)
    workspace_with_issues.slack.wait_for("chat.postMessage")
    wait_until(lambda: not list_pending(workspace_with_issues))
    workspace_with_issues.slack.queue_responses(
        "chat.update", Response(body={"ok": False, "error": "message_not_found"})
    )
    report_issue(workspace_with_issues, "changed", ours="95")
    assert "Ours: 95" in workspace_with_issues.slack.wait_for("chat.postMessage", 2)[1].body["text"]


def test_card_that_slack_refuses_is_given_up(workspace_with_issues: Workspace, monkeypatch):
    workspace_with_issues.slack.refuse("chat.postMessage", "not_in_channel")
    report_issue(workspace_with_issues)
    workspace_with_issues.slack.wait_for("chat.postMessage")
    send_due_messages(workspace_with_issues, monkeypatch)
    assert list_pending(workspace_with_issues) == []


def test_person_assigns_an_issue_to_themselves(workspace_with_issues: Workspace):
    workspace_with_issues.oms.queue_responses(PATH.removeprefix("/api/v1"), Response(200, {"id": "ri_1"}))
    click_button(workspace_with_issues, "issue_take", build_issue_value("ri_1", "adopt"))
    sent = workspace_with_issues.oms.wait_for(PATH.removeprefix("/api/v1"))[0]
    assert sent.body == {"action": "assign", "reason": "Taken in Slack"}
    assert sent.headers["x-on-behalf-of"] == "slack:T1:U1"


def test_user_without_the_right_is_refused(workspace_with_issues: Workspace):
    workspace_with_issues.oms.queue_responses(
        PATH.removeprefix("/api/v1"), build_problem(403, "Not allowed.", kind="forbidden")
    )
    click_button(workspace_with_issues, "issue_take", build_issue_value("ri_1", "adopt"))
    assert (
        "the reconciliation with brokers" in workspace_with_issues.slack.wait_for("respond")[0].body["text"]
    )


def test_form_offers_possible_actions_and_needs_a_reason(workspace_with_issues: Workspace):
    click_button(workspace_with_issues, "issue_resolve", build_issue_value("ri_1", "adopt"))
    view = workspace_with_issues.slack.wait_for("views.open")[0].body["view"]
    check_view(view)
    options = view["blocks"][1]["element"]["options"]
    assert [option["value"] for option in options] == ["adopt", "watch", "ignore"]
    assert resolve_issue(workspace_with_issues, "adopt", " ")["response_action"] == "errors"
    workspace_with_issues.oms.queue_responses(PATH.removeprefix("/api/v1"), Response(200, {"id": "ri_1"}))
    assert resolve_issue(workspace_with_issues, "adopt", "Bought by phone")["response_action"] == "update"
    sent = workspace_with_issues.oms.list_requests(PATH.removeprefix("/api/v1"))[-1]
    assert sent.body == {"action": "adopt", "reason": "Bought by phone"}


def test_card_escapes_names_and_shows_missing_sides():
    card = build_issue_card(ISSUE | {"symbol": "<!channel>", "ours": None, "severity": "warning"})
    check_message(card.text, list(card.blocks))
    assert "<!channel>" not in card.text
    assert "Ours: nothing" in card.text


def test_lost_broker_is_reported_in_the_channel(workspace_with_issues: Workspace):
    registry = EventRegistry()
    register_subscriptions(registry)
    payload = {"connection": "alpaca-paper", "broker": "alpaca", "status": "down", "reason": "No answer"}
    registry.handle(
        workspace_with_issues.bot.services, Event("E2", "broker.down", "2026-11-29T10:00:00Z", payload)
    )
    body = workspace_with_issues.slack.wait_for("chat.postMessage")[0].body
    assert body["channel"] == "C9"
    assert "*Broker alpaca-paper* is down and being reconnected" in body["text"]


def test_workspace_without_a_channel_in_the_environment_uses_the_channel_of_its_tenant(workspace: Workspace):
    workspace.oms.channels = {"C3": {"portfolio": "Other"}, "C5": {"portfolio": "growth"}}
    workspace.bot.services.slack_settings._loaded_at = None
    report_issue(workspace)
    registry = EventRegistry()
    register_subscriptions(registry)
    payload = {"connection": "alpaca-paper", "broker": "alpaca", "status": "down"}
    registry.handle(workspace.bot.services, Event("E2", "broker.down", "2026-11-29T10:00:00Z", payload))
    posted = workspace.slack.wait_for("chat.postMessage", 2)
    channels = {sent.body["channel"]: sent.body["text"] for sent in posted}
    assert "Quantities differ" in channels["C5"]  # the channel of the portfolio
    assert "is down" in channels["C3"]  # the first one


def test_nothing_is_posted_without_a_channel(workspace: Workspace):
    report_issue(workspace)
    assert workspace.slack.list_requests("chat.postMessage") == []


def test_refused_broker_that_needs_a_log_in_names_the_command():
    refused = {"connection": "kite", "broker": "zerodha", "status": "refused", "reason": "No session."}
    line = describe_connection(refused)
    assert line.endswith("rejected the login: No session. To log in, type `/desk login`.")
    for changes in ({"broker": "alpaca"}, {"status": "down"}):
        assert "/desk login" not in describe_connection(refused | changes)
