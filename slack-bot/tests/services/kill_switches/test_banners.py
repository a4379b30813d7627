"""Banners of stopped trading survive a bot that is killed."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from app.blocks.messages import build_notice
from app.delivery.banner_store import Banner
from app.errors import OmsRejected, OutcomeUnknown
from app.oms_client import Person
from app.services.kill_switches.banner_recovery import recover_banners
from app.services.kill_switches.banners import announce_switch, replace_banner, show_banner
from app.services.notifications.delivery import deliver_notifications
from app.services.request_origin import RequestOrigin
from support.conditions import wait_until
from tests.conftest import Workspace
from tests.fakes import Response

STOPPED, RESUMED = build_notice("Trading is stopped"), build_notice("Trading is resumed")


def release_rows(workspace: Workspace) -> None:
    """Leave the rows to another bot."""
    workspace.bot.services.storage.database.execute("UPDATE owed_banners SET owner = 'dead'")


def list_rows(workspace: Workspace):
    return workspace.bot.services.storage.database.execute("SELECT key FROM owed_banners")


def list_posts(workspace: Workspace):
    return [
        (call.body["channel"], call.body["text"])
        for call in workspace.slack.list_requests("chat.postMessage")
    ]


@pytest.fixture
def reporting_workspace(workspace: Workspace):
    """Provide a bot with a channel for reports."""
    object.__setattr__(workspace.bot.services, "trading_channel", "C1")
    return workspace


@pytest.fixture
def killed_bot(reporting_workspace: Workspace, monkeypatch):
    """Provide a bot that is killed before it sends what it queues."""
    with monkeypatch.context() as patch:
        patch.setattr(reporting_workspace.bot.services.send_queue, "put", lambda *_, **__: None)
        show_banner(reporting_workspace.bot.services, "Growth", STOPPED)
    return reporting_workspace


def test_queued_banner_is_posted_by_the_next_bot(killed_bot: Workspace):
    services = killed_bot.bot.services
    recover_banners(services, time.time())
    assert list_posts(killed_bot) == [], "the bot that queued it is alive"
    release_rows(killed_bot)
    for _ in range(2):
        recover_banners(services, time.time())
    wait_until(lambda: not list_rows(killed_bot))
    assert list_posts(killed_bot) == [("C1", "Trading is stopped")]
    assert services.banners.find("growth") is not None


def test_banner_that_slack_may_have_is_repeated_with_a_mark(killed_bot: Workspace):
    killed_bot.bot.services.storage.database.execute("UPDATE owed_banners SET state = 'posting'")
    release_rows(killed_bot)
    recover_banners(killed_bot.bot.services, time.time())
    assert "you may see it twice" in killed_bot.slack.wait_for("chat.postMessage")[0].body["text"]


def test_stop_that_was_ended_meanwhile_is_not_shown(killed_bot: Workspace):
    services = killed_bot.bot.services
    replace_banner(services, "Growth", RESUMED)
    killed_bot.slack.wait_for("chat.postMessage")
    wait_until(lambda: not list_rows(killed_bot))
    release_rows(killed_bot)
    recover_banners(services, time.time())
    services.send_queue.close(60.0)
    assert list_posts(killed_bot) == [("C1", "Trading is resumed")]


def test_old_banner_is_dropped(killed_bot: Workspace):
    release_rows(killed_bot)
    recover_banners(killed_bot.bot.services, time.time() + 4000)
    assert list_rows(killed_bot) == []
    assert list_posts(killed_bot) == []


def test_banner_that_slack_limits_for_long_is_tried_again_by_the_recovery(reporting_workspace: Workspace):
    services, workspace = reporting_workspace.bot.services, reporting_workspace
    workspace.slack.queue_responses("chat.postMessage", Response(429, headers={"Retry-After": "3600"}))
    show_banner(services, "Growth", STOPPED)
    workspace.slack.wait_for("chat.postMessage")
    wait_until(lambda: services.storage.database.execute("SELECT key FROM owed_banners WHERE owner = ''"))
    recover_banners(services, time.time())
    wait_until(lambda: not list_rows(workspace))
    assert len(list_posts(workspace)) == 2


# The gap between the response of the OMS and the row of the bot


class Killed(BaseException):
    """The bot is killed at this point."""


def change_switch(
    workspace: Workspace, error: BaseException | None = None, *, is_end: bool = False, channel: str = "C1"
) -> None:
    """Send a change to the OMS, which responds with an error or not at all."""
    origin, message = RequestOrigin("r1", Person("T1", "U1"), ""), RESUMED if is_end else STOPPED
    with announce_switch(workspace.bot.services, origin, channel, "Growth", message, is_end=is_end):
        if error:
            raise error


def set_switch(workspace: Workspace, state: str, set_by: str = "slack:T1:U1", minutes_ago: int = 0) -> None:
    """Let the OMS list the kill switch of the portfolio."""
    set_at = (datetime.now(UTC) - timedelta(minutes=minutes_ago)).isoformat()
    switch = {"scope": "portfolio", "name": "growth", "state": state, "reason": "Bad prices"}
    other = switch | {"name": "Income", "set_by": "slack:T1:U1", "set_at": set_at}
    rows = [other, switch | {"set_by": set_by, "set_at": set_at}]
    workspace.oms.default_responses["/kill-switch"] = Response(body=rows)


@pytest.mark.parametrize(
    ("is_end", "state", "text"),
    [(False, "REDUCING", "Trading is stopped"), (True, "ACTIVE", "Trading is resumed")],
)
def test_bot_killed_after_the_oms_response_posts_the_banner_after_its_restart(
    workspace: Workspace, is_end, state, text
):
    with pytest.raises(Killed):
        change_switch(workspace, Killed(), is_end=is_end)
    recover_banners(workspace.bot.services, time.time())
    assert list_posts(workspace) == [], "the bot is alive"
    release_rows(workspace)
    set_switch(workspace, state)
    recover_banners(workspace.bot.services, time.time())
    wait_until(lambda: not list_rows(workspace))
    assert list_posts(workspace) == [("C1", text)]


@pytest.mark.parametrize(
    "stored_switch",
    [
        {"state": "ACTIVE"},
        {"state": "HALTED", "set_by": "slack:T1:U2"},
        {"state": "HALTED", "minutes_ago": 5},
    ],
)
def test_change_that_the_oms_did_not_make_has_no_banner(workspace: Workspace, stored_switch):
    with pytest.raises(Killed):
        change_switch(workspace, Killed())
    release_rows(workspace)
    set_switch(workspace, **stored_switch)
    recover_banners(workspace.bot.services, time.time() + 50)
    assert list_rows(workspace), "the OMS may still make it"
    recover_banners(workspace.bot.services, time.time() + 330)
    assert list_rows(workspace) == []
    assert list_posts(workspace) == []


def test_change_whose_outcome_is_unknown_is_shown_once_the_oms_responds(workspace: Workspace):
    services = workspace.bot.services
    with pytest.raises(OutcomeUnknown):
        change_switch(workspace, OutcomeUnknown("No response."))
    workspace.oms.default_responses["/kill-switch"] = Response(503)
    recover_banners(services, time.time() + 30)
    assert list_rows(workspace)
    set_switch(workspace, "HALTED")
    recover_banners(services, time.time() + 30)
    wait_until(lambda: not list_rows(workspace))
    assert list_posts(workspace) == [("C1", "Trading is stopped")]


def test_refused_change_leaves_no_banner(workspace: Workspace):
    with pytest.raises(OmsRejected):
        change_switch(workspace, OmsRejected("No."))
    assert list_rows(workspace) == []


# Stops from a direct message, which no channel sees


def test_stop_from_a_direct_message_survives_a_bot_killed_after_the_response(workspace: Workspace):
    with pytest.raises(Killed):
        change_switch(workspace, Killed(), channel="D1")
    release_rows(workspace)
    set_switch(workspace, "HALTED")
    for _ in range(2):
        recover_banners(workspace.bot.services, time.time())
    wait_until(lambda: list_posts(workspace))
    wait_until(lambda: not list_rows(workspace))
    ((channel, text),) = list_posts(workspace)
    assert channel == "D-U1"
    assert "Trading is stopped\nThis was not posted to a channel" in text


def test_private_banner_survives_a_bot_killed_before_slack_gets_it(workspace: Workspace, monkeypatch):
    services = workspace.bot.services
    with monkeypatch.context() as killed:
        killed.setattr("app.delivery.message_sender.MessageSender.send_privately", lambda *_: None)
        change_switch(workspace, channel="D1")
        wait_until(lambda: services.notifications.list_due(1e12))
    clock = time.time
    monkeypatch.setattr("app.services.notifications.delivery.time.time", lambda: clock() + 31)
    deliver_notifications(services)
    ((channel, text),) = list_posts(workspace)
    assert channel == "D-U1"
    assert "This was not posted to a channel" in text


def test_end_of_an_unposted_stop_is_shown_in_the_form_only(workspace: Workspace):
    change_switch(workspace, channel="D1", is_end=True)
    workspace.bot.services.send_queue.close(60.0)
    assert list_rows(workspace) == []
    assert list_posts(workspace) == []


# Refusals and time-outs of Slack


def test_stop_by_a_loss_limit_that_slack_may_have_is_repeated_with_a_mark(reporting_workspace: Workspace):
    services = reporting_workspace.bot.services
    reporting_workspace.slack.queue_responses("chat.postMessage", Response(503))
    show_banner(services, "Growth", STOPPED)
    reporting_workspace.slack.wait_for("chat.postMessage")
    wait_until(lambda: services.storage.database.execute("SELECT key FROM owed_banners WHERE owner = ''"))
    recover_banners(services, time.time())
    wait_until(lambda: not list_rows(reporting_workspace))
    assert "you may see it twice" in list_posts(reporting_workspace)[1][1]


@pytest.mark.parametrize("is_end", [False, True])
def test_banner_whose_message_was_deleted_is_posted_again(reporting_workspace: Workspace, is_end):
    services = reporting_workspace.bot.services
    services.banners.add("Growth", Banner("C1", "5.0"))
    reporting_workspace.slack.queue_responses(
        "chat.update", Response(body={"ok": False, "error": "message_not_found"})
    )
    (replace_banner if is_end else show_banner)(services, "Growth", RESUMED if is_end else STOPPED)
    wait_until(lambda: list_posts(reporting_workspace) and not list_rows(reporting_workspace))
    assert list_posts(reporting_workspace) == [
        ("C1", "Trading is resumed" if is_end else "Trading is stopped")
    ]
    banner = services.banners.find("Growth")
    assert banner is None if is_end else banner == Banner("C1", "1.0")
