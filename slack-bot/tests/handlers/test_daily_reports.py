"""Daily reports of the OMS as files in the channel for reports: each once, kept until Slack takes it."""

import time

import pytest

from app.events.registry import Event, EventRegistry
from app.events.subscriptions import register_subscriptions
from app.oms_client.slack_settings import SlackSettings
from app.services import daily_reports
from app.services.notifications import deliver_notifications
from tests.fakes import Answer, problem
from tests.handlers.portfolio_workspace import PortfolioWorkspace
from tests.reading import wait_until

PNL = b"date,portfolio_name\r\n2026-11-20,Growth\r\n"
READY = {
    "report": "pnl", "date": "2026-11-20", "file_format": "csv",
    "period_start": "2026-11-20T00:00:00.000000Z", "period_end": "2026-11-21T00:00:00.000000Z",
}  # fmt: skip
DUPLICATE = "you may see it twice"


@pytest.fixture
def reporting(trading: PortfolioWorkspace):
    """Provide a workspace with a channel for reports, and a P&L report in the OMS."""
    trading.oms.exports["pnl"] = PNL
    object.__setattr__(trading.bot.services, "trading_channel", "C9")
    return trading


def announce(workspace: PortfolioWorkspace, event_id="E1", **changes):
    registry = EventRegistry()
    register_subscriptions(registry)
    event = Event(event_id, "report.ready", "2026-11-21T00:00:05Z", READY | changes)
    registry.handle(workspace.bot.services, event)


def uploaded(workspace: PortfolioWorkspace, count=1):
    """Return the completed uploads, after those that are due were started."""
    deliver_notifications(workspace.bot.services)
    return [call.body for call in workspace.slack.wait_for("files.completeUploadExternal", count)]


def owed(workspace: PortfolioWorkspace, at=1e12):
    return workspace.bot.services.notifications.list_due(at)


def advance(monkeypatch, seconds):
    clock = time.time
    monkeypatch.setattr("app.services.notifications.time.time", lambda: clock() + seconds)


@pytest.mark.parametrize("file_format", ["csv", "xlsx"])
def test_report_is_uploaded_to_the_channel_once(reporting: PortfolioWorkspace, file_format):
    for _ in range(2):  # the OMS repeats an event
        announce(reporting, file_format=file_format)
    (sent,) = uploaded(reporting)
    assert sent["channel_id"] == "C9"
    assert sent["initial_comment"] == "*P&amp;L, 2026-11-20*"
    assert sent["files"] == [{"id": "F1", "title": "P&L, 2026-11-20"}]
    assert reporting.slack.named("files.getUploadURLExternal")[0].body["filename"] == (
        f"pnl-2026-11-20.{file_format}"
    )
    assert reporting.slack.named("upload")[0].body == PNL
    query = {"from": READY["period_start"], "to": READY["period_end"], "format": file_format}
    assert reporting.oms.reads()[-1] == ("/exports/pnl", query)
    assert reporting.oms.person_of_calls() == {""}
    wait_until(lambda: not owed(reporting))


def test_report_that_the_oms_made_again_is_uploaded_with_a_note(reporting: PortfolioWorkspace):
    for event_id in ("E1", "E2"):
        announce(reporting, event_id)
    announce(reporting, "E3", date="2026-11-21")
    comments = sorted(sent["initial_comment"] for sent in uploaded(reporting, 3))
    again = "The OMS made this report again, so you may have an earlier copy."
    assert comments == ["*P&amp;L, 2026-11-20*", f"*P&amp;L, 2026-11-20* {again}", "*P&amp;L, 2026-11-21*"]


def test_channel_of_the_tenant_gets_the_reports(reporting: PortfolioWorkspace):
    object.__setattr__(reporting.bot.services, "trading_channel", "")
    cache = reporting.bot.services.slack_settings
    cache.current, cache._loaded_at = SlackSettings({"C5": ""}), time.monotonic()
    announce(reporting)
    assert uploaded(reporting)[0]["channel_id"] == "C5"


@pytest.mark.parametrize("changes", [{"period_end": None}, {"report": ""}])
def test_unreadable_event_leaves_nothing_pending(reporting: PortfolioWorkspace, changes):
    announce(reporting, **changes)
    assert owed(reporting) == []


def test_nothing_is_pending_without_a_channel(reporting: PortfolioWorkspace):
    object.__setattr__(reporting.bot.services, "trading_channel", "")
    announce(reporting)
    assert owed(reporting) == []


def test_refused_report_waits_and_is_uploaded_without_a_mark(reporting: PortfolioWorkspace, monkeypatch):
    reporting.slack.refuse("files.completeUploadExternal", "not_in_channel")
    announce(reporting)
    assert len(uploaded(reporting)) == 1
    wait_until(lambda: owed(reporting)[0].attempts == 0)
    assert owed(reporting, time.time() + daily_reports.CLAIM_SECONDS - 60) == []
    reporting.slack.always.clear()
    advance(monkeypatch, daily_reports.CLAIM_SECONDS + 1)
    assert DUPLICATE not in uploaded(reporting, 2)[1]["initial_comment"]
    wait_until(lambda: not owed(reporting))


def test_report_that_slack_may_have_is_repeated_with_a_mark(reporting: PortfolioWorkspace, monkeypatch):
    reporting.slack.script("files.completeUploadExternal", Answer(drop=True))
    announce(reporting)
    assert DUPLICATE not in uploaded(reporting)[0]["initial_comment"]
    reporting.bot.services.export_workers.submit("r", lambda: None).result()
    advance(monkeypatch, daily_reports.CLAIM_SECONDS + 1)
    assert DUPLICATE in uploaded(reporting, 2)[1]["initial_comment"]


def test_bot_that_was_killed_during_the_upload_uploads_again_with_a_mark(
    reporting: PortfolioWorkspace, monkeypatch
):
    announce(reporting)
    (row,) = owed(reporting)
    reporting.bot.services.notifications.claim(row, time.time() + 1.0)  # and then it is killed
    advance(monkeypatch, 2)
    assert DUPLICATE in uploaded(reporting)[0]["initial_comment"]


def test_oms_that_does_not_answer_delays_a_report_for_up_to_a_day(reporting: PortfolioWorkspace, monkeypatch):
    unavailable = problem(503, "Not available.", kind="unavailable")
    reporting.oms.script("GET /exports/pnl", unavailable, unavailable)
    announce(reporting)
    deliver_notifications(reporting.bot.services)
    wait_until(lambda: owed(reporting)[0].attempts == 0)
    advance(monkeypatch, daily_reports.GIVE_UP_SECONDS + 1)
    deliver_notifications(reporting.bot.services)
    wait_until(lambda: not owed(reporting))
    assert reporting.slack.named("files.completeUploadExternal") == []


def test_report_that_is_too_large_is_named_with_its_route(reporting: PortfolioWorkspace, monkeypatch):
    monkeypatch.setattr(daily_reports, "MAX_EXPORT_BYTES", 20)
    announce(reporting)
    deliver_notifications(reporting.bot.services)
    message = reporting.slack.wait_for("chat.postMessage")[0].body
    assert message["channel"] == "C9"
    assert "Download it from the OMS with `GET /api/v1/exports/pnl`" in message["text"]


def test_busy_threads_delay_a_report_without_a_mark(reporting: PortfolioWorkspace):
    reporting.bot.services.export_workers.stop(wait=True)
    announce(reporting)
    deliver_notifications(reporting.bot.services)
    assert [row.attempts for row in owed(reporting)] == [0]
