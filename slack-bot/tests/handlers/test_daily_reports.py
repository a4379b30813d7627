"""Daily reports of the OMS as files in the channel for reports: each once, kept until Slack takes it."""

import time

import pytest

from app.events.registry import Event, EventRegistry
from app.events.subscriptions import register_subscriptions
from app.oms_client.slack_settings import SlackSettings
from app.services.notifications import daily_reports
from app.services.notifications.delivery import deliver_notifications
from support.conditions import wait_until
from tests.fakes import Response, build_problem
from tests.handlers.portfolio_workspace import PortfolioWorkspace

PNL = b"date,portfolio_name\r\n2026-11-20,Growth\r\n"
READY = {
    "report": "pnl", "date": "2026-11-20", "file_format": "csv",
    "period_start": "2026-11-20T00:00:00.000000Z", "period_end": "2026-11-21T00:00:00.000000Z",
}  # fmt: skip
DUPLICATE = "you may see it twice"


@pytest.fixture
def reporting_workspace(trading: PortfolioWorkspace):
    """Provide a workspace with a channel for reports, and a P&L report in the OMS."""
    trading.oms.exports["pnl"] = PNL
    object.__setattr__(trading.bot.services, "trading_channel", "C9")
    return trading


def announce_report(workspace: PortfolioWorkspace, event_id="E1", **changes):
    registry = EventRegistry()
    register_subscriptions(registry)
    event = Event(event_id, "report.ready", "2026-11-21T00:00:05Z", READY | changes)
    registry.handle(workspace.bot.services, event)


def list_uploads(workspace: PortfolioWorkspace, count=1):
    """Return the completed uploads, after starting all due uploads."""
    deliver_notifications(workspace.bot.services)
    return [call.body for call in workspace.slack.wait_for("files.completeUploadExternal", count)]


def list_pending(workspace: PortfolioWorkspace, at=1e12):
    return workspace.bot.services.notifications.list_due(at)


def advance_clock(monkeypatch, seconds):
    clock = time.time
    monkeypatch.setattr("app.services.notifications.delivery.time.time", lambda: clock() + seconds)


@pytest.mark.parametrize("file_format", ["csv", "xlsx"])
def test_report_is_uploaded_to_the_channel_once(reporting_workspace: PortfolioWorkspace, file_format):
    for _ in range(2):  # the OMS repeats an event
        announce_report(reporting_workspace, file_format=file_format)
    (sent,) = list_uploads(reporting_workspace)
    assert sent["channel_id"] == "C9"
    assert sent["initial_comment"] == "*P&amp;L, 2026-11-20*"
    assert sent["files"] == [{"id": "F1", "title": "P&L, 2026-11-20"}]
    assert reporting_workspace.slack.list_requests("files.getUploadURLExternal")[0].body["filename"] == (
        f"pnl-2026-11-20.{file_format}"
    )
    assert reporting_workspace.slack.list_requests("upload")[0].body == PNL
    query = {"from": READY["period_start"], "to": READY["period_end"], "format": file_format}
    assert reporting_workspace.oms.reads()[-1] == ("/exports/pnl", query)
    assert reporting_workspace.oms.person_of_calls() == {""}
    wait_until(lambda: not list_pending(reporting_workspace))


def test_report_that_the_oms_made_again_is_uploaded_with_a_note(reporting_workspace: PortfolioWorkspace):
    for event_id in ("E1", "E2"):
        announce_report(reporting_workspace, event_id)
    announce_report(reporting_workspace, "E3", date="2026-11-21")
    comments = sorted(sent["initial_comment"] for sent in list_uploads(reporting_workspace, 3))
    again = "The OMS generated this report again, so you may have an earlier copy."
    assert comments == ["*P&amp;L, 2026-11-20*", f"*P&amp;L, 2026-11-20* {again}", "*P&amp;L, 2026-11-21*"]


def test_channel_of_the_tenant_gets_the_reports(reporting_workspace: PortfolioWorkspace):
    object.__setattr__(reporting_workspace.bot.services, "trading_channel", "")
    cache = reporting_workspace.bot.services.slack_settings
    cache.current, cache._loaded_at = SlackSettings({"C5": ""}), time.monotonic()
    announce_report(reporting_workspace)
    assert list_uploads(reporting_workspace)[0]["channel_id"] == "C5"


@pytest.mark.parametrize("changes", [{"period_end": None}, {"report": ""}])
def test_unreadable_event_leaves_nothing_pending(reporting_workspace: PortfolioWorkspace, changes):
    announce_report(reporting_workspace, **changes)
    assert list_pending(reporting_workspace) == []


def test_nothing_is_pending_without_a_channel(reporting_workspace: PortfolioWorkspace):
    object.__setattr__(reporting_workspace.bot.services, "trading_channel", "")
    announce_report(reporting_workspace)
    assert list_pending(reporting_workspace) == []


def test_refused_report_waits_and_is_uploaded_without_a_mark(
    reporting_workspace: PortfolioWorkspace, monkeypatch
):
    reporting_workspace.slack.refuse("files.completeUploadExternal", "not_in_channel")
    announce_report(reporting_workspace)
    assert len(list_uploads(reporting_workspace)) == 1
    wait_until(lambda: list_pending(reporting_workspace)[0].attempts == 0)
    assert list_pending(reporting_workspace, time.time() + daily_reports.CLAIM_LEASE_SECONDS - 60) == []
    reporting_workspace.slack.default_responses.clear()
    advance_clock(monkeypatch, daily_reports.CLAIM_LEASE_SECONDS + 1)
    assert DUPLICATE not in list_uploads(reporting_workspace, 2)[1]["initial_comment"]
    wait_until(lambda: not list_pending(reporting_workspace))


def test_report_that_slack_may_have_is_repeated_with_a_mark(
    reporting_workspace: PortfolioWorkspace, monkeypatch
):
    reporting_workspace.slack.queue_responses("files.completeUploadExternal", Response(drop=True))
    announce_report(reporting_workspace)
    assert DUPLICATE not in list_uploads(reporting_workspace)[0]["initial_comment"]
    reporting_workspace.bot.services.export_workers.submit("r", lambda: None).result()
    advance_clock(monkeypatch, daily_reports.CLAIM_LEASE_SECONDS + 1)
    assert DUPLICATE in list_uploads(reporting_workspace, 2)[1]["initial_comment"]


def test_bot_that_was_killed_during_the_upload_uploads_again_with_a_mark(
    reporting_workspace: PortfolioWorkspace, monkeypatch
):
    announce_report(reporting_workspace)
    (row,) = list_pending(reporting_workspace)
    reporting_workspace.bot.services.notifications.claim(row, time.time() + 1.0)  # and then it is killed
    advance_clock(monkeypatch, 2)
    assert DUPLICATE in list_uploads(reporting_workspace)[0]["initial_comment"]


def test_oms_that_does_not_respond_delays_a_report_for_up_to_a_day(
    reporting_workspace: PortfolioWorkspace, monkeypatch
):
    unavailable = build_problem(503, "Not available.", kind="unavailable")
    reporting_workspace.oms.queue_responses("GET /exports/pnl", unavailable, unavailable)
    announce_report(reporting_workspace)
    deliver_notifications(reporting_workspace.bot.services)
    wait_until(lambda: list_pending(reporting_workspace)[0].attempts == 0)
    advance_clock(monkeypatch, daily_reports.MAX_DELIVERY_AGE_SECONDS + 1)
    deliver_notifications(reporting_workspace.bot.services)
    wait_until(lambda: not list_pending(reporting_workspace))
    assert reporting_workspace.slack.list_requests("files.completeUploadExternal") == []


def test_report_that_is_too_large_is_named_with_its_route(
    reporting_workspace: PortfolioWorkspace, monkeypatch
):
    monkeypatch.setattr(daily_reports, "MAX_EXPORT_BYTES", 20)
    announce_report(reporting_workspace)
    deliver_notifications(reporting_workspace.bot.services)
    message = reporting_workspace.slack.wait_for("chat.postMessage")[0].body
    assert message["channel"] == "C9"
    assert "Download it from the OMS with `GET /api/v1/exports/pnl`" in message["text"]


def test_report_that_waits_for_a_thread_is_queued_and_uploaded_once(
    reporting_workspace: PortfolioWorkspace, monkeypatch
):
    services = reporting_workspace.bot.services
    queued = []
    monkeypatch.setattr(services.export_workers, "submit", lambda _, *work: queued.append(work))
    announce_report(reporting_workspace)
    deliver_notifications(services)
    advance_clock(monkeypatch, daily_reports.CLAIM_LEASE_SECONDS + 1)
    deliver_notifications(services)
    ((upload, *arguments),) = queued
    queued.append((upload, *arguments))  # another bot queued it too
    for upload, *arguments in queued:
        upload(*arguments)
    (sent,) = reporting_workspace.slack.list_requests("files.completeUploadExternal")
    assert DUPLICATE not in sent.body["initial_comment"]


def test_unexpected_error_of_an_upload_is_logged_and_not_repeated_after_a_day(
    reporting_workspace: PortfolioWorkspace, monkeypatch, caplog
):
    announce_report(reporting_workspace)
    monkeypatch.setattr(daily_reports, "download_report", lambda *_, **__: 1 / 0)
    deliver_notifications(reporting_workspace.bot.services)
    wait_until(lambda: "Report not uploaded" in caplog.text)
    assert len(list_pending(reporting_workspace)) == 1
    advance_clock(monkeypatch, daily_reports.MAX_DELIVERY_AGE_SECONDS + 1)
    deliver_notifications(reporting_workspace.bot.services)
    wait_until(lambda: not list_pending(reporting_workspace))


def test_busy_threads_delay_a_report_without_a_mark(reporting_workspace: PortfolioWorkspace):
    reporting_workspace.bot.services.export_workers.stop(wait=True)
    announce_report(reporting_workspace)
    deliver_notifications(reporting_workspace.bot.services)
    assert [row.attempts for row in list_pending(reporting_workspace)] == [0]
