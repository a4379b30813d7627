"""Confirmations that a restarted bot sends."""

import threading
import time
from dataclasses import replace

import pytest

from app.services.confirmation_recovery import recover_confirmations, run_recovery
from tests.conftest import Workspace
from tests.delivery.test_confirmation_store import OWED as STORED
from tests.fakes import Answer, problem
from tests.reading import wait_until

BODY = {
    "symbol": "AAPL", "quantity": "100", "gmv": "17500",
    "side": "BUY", "portfolio_name": "Growth", "user_id": "U1",
}  # fmt: skip
NOW = 5000.0
OWED = replace(STORED, submitted_at=NOW - 60)


@pytest.fixture
def left(workspace: Workspace):
    """Provide a bot whose previous process ended while a trade was being sent."""
    workspace.bot.services.confirmations.add(OWED)
    workspace.bot.services.confirmations.release(OWED.key, is_unknown=True)
    return workspace


def recover(workspace: Workspace, now=NOW):
    recover_confirmations(workspace.bot.services, now)


def posted(workspace: Workspace, count=1):
    workspace.slack.wait_for("chat.postMessage", count)
    wait_until(lambda: not workspace.bot.services.outbox._waiting)
    return [(call.body["channel"], call.body["text"]) for call in workspace.slack.named("chat.postMessage")]


def test_recorded_trade_is_confirmed_once_in_its_channel_and_its_form_is_redrawn(left: Workspace):
    left.oms.record(OWED.key, BODY)
    for _ in range(3):
        recover(left)
    ((channel, text),) = posted(left)
    assert channel == "C1"
    assert "BUY 100 AAPL" in text
    assert "twice" not in text
    assert left.oms.named("find")[0].headers["x-on-behalf-of"] == "slack:T1:U1"
    assert left.slack.shown["V1"]["title"]["text"] == "Trade placed"


def test_confirmation_names_its_trade_in_the_metadata(left: Workspace):
    left.oms.record(OWED.key, BODY)
    recover(left)
    posted(left)
    metadata = left.slack.named("chat.postMessage")[0].body["metadata"]
    payload = {"trade_id": left.oms.trades[OWED.key]["trade_id"]}
    assert metadata == {"event_type": "trade_confirmed", "event_payload": payload}


def test_trade_that_was_not_recorded_is_reported_to_its_user_only(left: Workspace):
    recover(left)
    recover(left)
    ((channel, text),) = posted(left)
    assert channel == "D-U1"
    assert "*Not placed.*" in text
    assert "BUY 100 AAPL in Growth" in text


def test_trade_that_the_oms_may_still_be_recording_is_waited_for(left: Workspace):
    recover(left, now=OWED.submitted_at + 19)
    assert left.slack.calls == []
    left.oms.record(OWED.key, BODY)
    recover(left, now=OWED.submitted_at + 19.5)
    assert posted(left)[0][0] == "C1"


@pytest.mark.parametrize(
    "trouble", [Answer(503), Answer(drop=True), problem(403, "no", kind="person-refused")]
)
def test_confirmation_stays_pending_while_the_oms_is_down(left: Workspace, trouble):
    left.oms.record(OWED.key, BODY)
    left.oms.script("find", trouble)
    recover(left)
    assert left.slack.calls == []
    recover(left)
    assert posted(left)[0][0] == "C1"


def test_pending_confirmation_is_dropped_after_a_day(left: Workspace, caplog):
    recover(left, now=OWED.submitted_at + 24 * 3600 + 1)
    assert left.bot.services.confirmations.list_unresolved() == []
    assert left.slack.calls == []
    assert "Confirmations given up" in caplog.text


def test_recovered_confirmation_is_sent_by_response_url_if_the_bot_is_not_in_the_channel(left: Workspace):
    url, key = left.slack.response_url, "T1:V2:0"
    fresh = replace(OWED, key=key, root_view_id="V2", response_url=url, response_url_expires_at=NOW + 60)
    left.bot.services.confirmations.add(fresh)
    left.bot.services.confirmations.release(key, is_unknown=True)
    left.oms.record(key, BODY)
    left.slack.script("chat.postMessage", *[Answer(body={"ok": False, "error": "not_in_channel"})] * 2)
    recover(left)
    assert left.slack.wait_for("respond")[0].body["response_type"] == "in_channel"


def test_repeated_press_and_the_recovery_confirm_once(left: Workspace):
    left.oms.record(OWED.key, BODY)
    assert left.submit() == {"response_action": "clear"}
    recover(left)
    assert [channel for channel, _ in posted(left)] == ["C1"], "the submission sent the owed confirmation"


def test_repeated_submission_after_a_recovery_is_answered_privately(left: Workspace):
    left.oms.record(OWED.key, BODY)
    recover(left)
    assert left.submit() == {"response_action": "clear"}
    assert [channel for channel, _ in posted(left, 2)] == ["C1", "D-U1"]


def test_unknown_outcome_is_reported_by_the_same_process_when_the_oms_answers(workspace: Workspace):
    workspace.oms.script("place", problem(503, "?", kind="outcome-unknown"))
    workspace.submit()
    wait_until(workspace.bot.services.confirmations.list_unresolved)
    workspace.oms.record("T1:V1:0", BODY)
    recover(workspace, time.time())
    assert posted(workspace)[0][0] == "C1"


@pytest.mark.parametrize(
    "answer", [Answer(201, None), problem(422, "No."), problem(503, "?", kind="not-placed")]
)
def test_sent_confirmation_is_not_pending(workspace: Workspace, answer):
    if answer.body:
        workspace.oms.script("place", answer)
    workspace.submit()
    wait_until(lambda: not workspace.bot.services.outbox._waiting)
    database = workspace.bot.services.storage.database
    wait_until(lambda: database.execute("SELECT key FROM owed_confirmations") == [])


def test_error_in_one_recovery_does_not_end_the_others(left: Workspace, monkeypatch, caplog):
    left.bot.services.confirmations.add(replace(OWED, key="T1:V2:0"))
    left.bot.services.confirmations.release("T1:V2:0", is_unknown=True)
    find_trade, calls = left.bot.services.oms.find_trade, []

    def broken_once(*arguments, **named):
        calls.append(1)
        return find_trade(*arguments, **named) if len(calls) > 1 else 1 / 0

    monkeypatch.setattr(left.bot.services.oms, "find_trade", broken_once)
    recover(left)
    assert len(posted(left)) == 1
    assert "Confirmation not recovered" in caplog.text


def test_recovery_runs_until_the_bot_stops(workspace: Workspace):
    workspace.bot.services.confirmations.add(replace(OWED, submitted_at=time.time() - 1))
    workspace.bot.services.confirmations.release(OWED.key, is_unknown=True)
    workspace.oms.record(OWED.key, BODY)
    thread = threading.Thread(target=run_recovery, args=(workspace.bot.services,))
    thread.start()
    assert posted(workspace)[0][0] == "C1"
    workspace.bot.services.stopping.set()
    thread.join(10)
    assert not thread.is_alive()


def test_result_without_a_channel_or_an_open_form_is_sent_as_a_direct_message(left: Workspace):
    key = "T1:V3:0"
    left.bot.services.confirmations.add(replace(OWED, key=key, channel="", view_id="V3"))
    left.bot.services.confirmations.release(key, is_unknown=True)
    left.slack.refuse("views.update", "not_found")
    left.oms.record(key, BODY)
    left.oms.record(OWED.key, BODY)
    recover(left)
    assert sorted(channel for channel, _ in posted(left, 2)) == ["C1", "D-U1"]
