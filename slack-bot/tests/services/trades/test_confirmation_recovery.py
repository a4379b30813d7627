"""Confirmations that a restarted bot sends."""

import threading
import time
from dataclasses import replace

import pytest

from app.services.trades.confirmation_recovery import (
    NOT_RECORDED_AFTER_SECONDS,
    recover_confirmations,
    run_recovery,
)
from support.conditions import wait_until
from tests.conftest import Workspace
from tests.delivery.pending_confirmations import CONFIRMATION as STORED
from tests.fakes import Response, build_problem
from tests.services.trades.trade_requests import TRADE_REQUEST

NOW = 5000.0
CONFIRMATION = replace(STORED, submitted_at=NOW - NOT_RECORDED_AFTER_SECONDS)


@pytest.fixture
def workspace_after_crash(workspace: Workspace):
    """Provide a bot whose previous process ended while a trade was being sent."""
    workspace.bot.services.confirmations.add(CONFIRMATION)
    workspace.bot.services.confirmations.release(CONFIRMATION.key, is_unknown=True)
    return workspace


def run_due_recovery(workspace: Workspace, now=NOW):
    recover_confirmations(workspace.bot.services, now)


def list_posts(workspace: Workspace, count=1):
    workspace.slack.wait_for("chat.postMessage", count)
    wait_until(lambda: not workspace.bot.services.send_queue._waiting)
    return [
        (call.body["channel"], call.body["text"])
        for call in workspace.slack.list_requests("chat.postMessage")
    ]


def test_recorded_trade_is_confirmed_once_in_its_channel_and_its_form_is_redrawn(
    workspace_after_crash: Workspace,
):
    workspace_after_crash.oms.record(CONFIRMATION.key, TRADE_REQUEST)
    for _ in range(3):
        run_due_recovery(workspace_after_crash)
    ((channel, text),) = list_posts(workspace_after_crash)
    assert channel == "C1"
    assert "BUY 100 AAPL" in text
    assert "twice" not in text
    assert workspace_after_crash.oms.list_requests("find")[0].headers["x-on-behalf-of"] == "slack:T1:U1"
    assert workspace_after_crash.slack.shown["V1"]["title"]["text"] == "Trade placed"


def test_confirmation_names_its_trade_in_the_metadata(workspace_after_crash: Workspace):
    workspace_after_crash.oms.record(CONFIRMATION.key, TRADE_REQUEST)
    run_due_recovery(workspace_after_crash)
    list_posts(workspace_after_crash)
    metadata = workspace_after_crash.slack.list_requests("chat.postMessage")[0].body["metadata"]
    payload = {"trade_id": workspace_after_crash.oms.trades[CONFIRMATION.key]["trade_id"]}
    assert metadata == {"event_type": "trade_confirmed", "event_payload": payload}


def test_trade_that_was_not_recorded_is_reported_to_its_user_only(workspace_after_crash: Workspace):
    run_due_recovery(workspace_after_crash)
    run_due_recovery(workspace_after_crash)
    ((channel, text),) = list_posts(workspace_after_crash)
    assert channel == "D-U1"
    assert "*Not placed.*" in text
    assert "BUY 100 AAPL in Growth" in text


def test_trade_that_the_oms_may_still_be_recording_is_waited_for(workspace_after_crash: Workspace):
    run_due_recovery(workspace_after_crash, now=CONFIRMATION.submitted_at + 50)
    assert workspace_after_crash.slack.calls == []
    workspace_after_crash.oms.record(CONFIRMATION.key, TRADE_REQUEST)
    run_due_recovery(workspace_after_crash, now=CONFIRMATION.submitted_at + 50.5)
    assert list_posts(workspace_after_crash)[0][0] == "C1"


@pytest.mark.parametrize(
    "trouble", [Response(503), Response(drop=True), build_problem(403, "no", kind="person-refused")]
)
def test_confirmation_stays_pending_while_the_oms_is_down(workspace_after_crash: Workspace, trouble):
    workspace_after_crash.oms.record(CONFIRMATION.key, TRADE_REQUEST)
    workspace_after_crash.oms.queue_responses("find", trouble)
    run_due_recovery(workspace_after_crash)
    assert workspace_after_crash.slack.calls == []
    run_due_recovery(workspace_after_crash)
    assert list_posts(workspace_after_crash)[0][0] == "C1"


def test_pending_confirmation_is_dropped_after_a_day(workspace_after_crash: Workspace, caplog):
    run_due_recovery(workspace_after_crash, now=CONFIRMATION.submitted_at + 24 * 3600 + 1)
    assert workspace_after_crash.bot.services.confirmations.list_unresolved() == []
    assert workspace_after_crash.slack.calls == []
    assert "Confirmations given up" in caplog.text


def test_recovered_confirmation_is_sent_by_response_url_if_the_bot_is_not_in_the_channel(
    workspace_after_crash: Workspace,
):
    url, key = workspace_after_crash.slack.response_url, "T1:V2:0"
    fresh = replace(
        CONFIRMATION, key=key, root_view_id="V2", response_url=url, response_url_expires_at=NOW + 60
    )
    workspace_after_crash.bot.services.confirmations.add(fresh)
    workspace_after_crash.bot.services.confirmations.release(key, is_unknown=True)
    workspace_after_crash.oms.record(key, TRADE_REQUEST)
    workspace_after_crash.slack.queue_responses(
        "chat.postMessage", *[Response(body={"ok": False, "error": "not_in_channel"})] * 2
    )
    run_due_recovery(workspace_after_crash)
    assert workspace_after_crash.slack.wait_for("respond")[0].body["response_type"] == "in_channel"


def test_repeated_press_and_the_recovery_confirm_once(workspace_after_crash: Workspace):
    workspace_after_crash.oms.record(CONFIRMATION.key, TRADE_REQUEST)
    assert workspace_after_crash.submit() == {"response_action": "clear"}
    run_due_recovery(workspace_after_crash)
    assert [channel for channel, _ in list_posts(workspace_after_crash)] == ["C1"], (
        "the submission sent the pending confirmation"
    )


def test_repeated_submission_after_a_recovery_gets_a_private_reply(workspace_after_crash: Workspace):
    workspace_after_crash.oms.record(CONFIRMATION.key, TRADE_REQUEST)
    run_due_recovery(workspace_after_crash)
    assert workspace_after_crash.submit() == {"response_action": "clear"}
    assert [channel for channel, _ in list_posts(workspace_after_crash, 2)] == ["C1", "D-U1"]


def test_unknown_outcome_is_reported_by_the_same_process_when_the_oms_responds(workspace: Workspace):
    workspace.oms.queue_responses("place", build_problem(503, "?", kind="outcome-unknown"))
    workspace.submit()
    wait_until(workspace.bot.services.confirmations.list_unresolved)
    workspace.oms.record("T1:V1:0", TRADE_REQUEST)
    run_due_recovery(workspace, time.time())
    assert list_posts(workspace)[0][0] == "C1"


@pytest.mark.parametrize(
    "response", [Response(201, None), build_problem(422, "No."), build_problem(503, "?", kind="not-placed")]
)
def test_sent_confirmation_is_not_pending(workspace: Workspace, response):
    if response.body:
        workspace.oms.queue_responses("place", response)
    workspace.submit()
    wait_until(lambda: not workspace.bot.services.send_queue._waiting)
    database = workspace.bot.services.storage.database
    wait_until(lambda: database.execute("SELECT key FROM owed_confirmations") == [])


def test_error_in_one_recovery_does_not_end_the_others(workspace_after_crash: Workspace, monkeypatch, caplog):
    workspace_after_crash.bot.services.confirmations.add(replace(CONFIRMATION, key="T1:V2:0"))
    workspace_after_crash.bot.services.confirmations.release("T1:V2:0", is_unknown=True)
    find_trade, calls = workspace_after_crash.bot.services.oms.find_trade, []

    def broken_once(*arguments, **keywords):
        calls.append(1)
        return find_trade(*arguments, **keywords) if len(calls) > 1 else 1 / 0

    monkeypatch.setattr(workspace_after_crash.bot.services.oms, "find_trade", broken_once)
    run_due_recovery(workspace_after_crash)
    assert len(list_posts(workspace_after_crash)) == 1
    assert "Confirmation not recovered" in caplog.text


def test_recovery_runs_until_the_bot_stops(workspace: Workspace):
    workspace.bot.services.confirmations.add(replace(CONFIRMATION, submitted_at=time.time() - 1))
    workspace.bot.services.confirmations.release(CONFIRMATION.key, is_unknown=True)
    workspace.oms.record(CONFIRMATION.key, TRADE_REQUEST)
    thread = threading.Thread(target=run_recovery, args=(workspace.bot.services,))
    thread.start()
    assert list_posts(workspace)[0][0] == "C1"
    workspace.bot.services.stopping.set()
    thread.join(60)
    assert not thread.is_alive()


def test_result_without_a_channel_or_an_open_form_is_sent_as_a_direct_message(
    workspace_after_crash: Workspace,
):
    key = "T1:V3:0"
    workspace_after_crash.bot.services.confirmations.add(
        replace(CONFIRMATION, key=key, channel="", view_id="V3")
    )
    workspace_after_crash.bot.services.confirmations.release(key, is_unknown=True)
    workspace_after_crash.slack.refuse("views.update", "not_found")
    workspace_after_crash.oms.record(key, TRADE_REQUEST)
    workspace_after_crash.oms.record(CONFIRMATION.key, TRADE_REQUEST)
    run_due_recovery(workspace_after_crash)
    assert sorted(channel for channel, _ in list_posts(workspace_after_crash, 2)) == ["C1", "D-U1"]
