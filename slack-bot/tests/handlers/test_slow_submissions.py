"""Slow, missing and unclear responses of the OMS."""

import json
import threading
import time
from dataclasses import replace

import pytest

from app.services.dependencies import Waits
from support.conditions import wait_until
from tests import factories
from tests.conftest import SHORT_WAITS, Workspace, create_test_bot
from tests.fakes import Response, build_problem
from tests.views import build_recorded_trade, get_banner, get_notice


def test_form_of_a_slow_trade_shows_placing_and_then_the_response(
    hasty_workspace: Workspace,
):
    hasty_workspace.oms.queue_responses("place", Response(201, {"trade": build_recorded_trade()}, slow=60.0))
    body = hasty_workspace.submit()
    hasty_workspace.oms.released.set()
    assert body["view"]["title"]["text"] == "Placing…"
    redrawn = hasty_workspace.slack.wait_for("views.update")[0].body
    assert redrawn["view_id"] == "V1"
    assert redrawn["view"]["title"]["text"] == "Trade placed"
    assert hasty_workspace.slack.wait_for("chat.postMessage")[0].body["channel"] == "C1"


def test_slow_refusal_shows_the_form_again_with_its_entries(hasty_workspace: Workspace):
    hasty_workspace.oms.queue_responses("place", Response(422, build_problem(422, "No.").body, slow=60.0))
    hasty_workspace.submit()
    hasty_workspace.oms.released.set()
    view = hasty_workspace.slack.wait_for("views.update")[0].body["view"]
    assert view["callback_id"] == "trade_form"
    assert "No." in get_banner(view)
    assert json.loads(view["private_metadata"])["attempt"] == 1


def test_slow_refusal_names_the_fields(hasty_workspace: Workspace):
    errors = [{"field": "quantity", "message": "Too many."}, {"field": "gmv", "message": "Too much."}]
    hasty_workspace.oms.queue_responses(
        "place", Response(422, build_problem(422, "No.", errors).body, slow=60.0)
    )
    hasty_workspace.submit()
    hasty_workspace.oms.released.set()
    view = hasty_workspace.slack.wait_for("views.update")[0].body["view"]
    assert "*Not placed.* Quantity: Too many. GMV: Too much." in get_banner(view)


def test_failure_of_a_closed_form_is_reported_privately(hasty_workspace: Workspace):
    hasty_workspace.slack.refuse("views.update", "not_found")
    hasty_workspace.oms.queue_responses("place", Response(422, build_problem(422, "No.").body, slow=60.0))
    hasty_workspace.submit()
    hasty_workspace.oms.released.set()
    posted = hasty_workspace.slack.wait_for("chat.postMessage")[0].body
    assert posted["channel"] == "D-U1"
    assert "*Not placed.* No." in posted["text"]


def test_redraw_waits_out_a_429(hasty_workspace: Workspace):
    hasty_workspace.slack.queue_responses(
        "views.update", Response(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "0"})
    )
    hasty_workspace.oms.queue_responses("place", Response(422, build_problem(422, "No.").body, slow=60.0))
    hasty_workspace.submit()
    hasty_workspace.oms.released.set()
    assert len(hasty_workspace.slack.wait_for("views.update", 2)) == 2


def test_twenty_concurrent_submissions_get_responses_in_time_if_the_oms_hangs(hasty_workspace: Workspace):
    workspace = hasty_workspace
    workspace.oms.default_responses["last_price"] = workspace.oms.default_responses["place"] = Response(
        slow=60.0
    )
    titles, threads = [], []

    def submit(number):
        body = workspace.submit(id=f"V{number}", root_view_id=f"V{number}")
        titles.append(body["view"]["title"]["text"])

    for number in range(20):
        threads.append(threading.Thread(target=submit, args=(number,)))
        threads[-1].start()
    for thread in threads:
        thread.join(50)
    assert titles == ["Placing…"] * 20, "before the OMS responds"


def test_twenty_submissions_keep_to_the_production_timeouts_if_the_oms_hangs(slack, oms):
    oms.default_responses["place"] = Response(slow=60.0)
    bot = create_test_bot(slack, oms, waits=Waits(), write=60.0, read=30.0)
    workspace, responses = Workspace(bot, slack, oms), []

    def submit(number):
        body = workspace.submit(id=f"V{number}", root_view_id=f"V{number}")
        responses.append((time.monotonic(), body["view"]["title"]["text"]))

    began = time.monotonic()
    threads = [threading.Thread(target=submit, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    oms.released.set()
    bot.services.stop(1.0)
    assert [title for _, title in responses] == ["Placing…"] * 20, "responses while the OMS hung"
    one_after_another = 20 * Waits().submission
    assert max(ended for ended, _ in responses) - began < one_after_another / 2, "they wait at the same time"


def test_form_shows_busy_and_sends_nothing_without_a_free_worker(workspace: Workspace):
    workspace.bot.services.trade_workers.stop()
    body = workspace.submit()
    assert "busy" in get_banner(body["view"])
    assert workspace.oms.calls == []


def test_oms_that_does_not_respond_the_price_gets_no_trade_sent(create_workspace):
    workspace = create_workspace(SHORT_WAITS, read=1.5)
    workspace.oms.default_responses["last_price"] = Response(slow=60.0)
    view = workspace.submit()["view"]
    if "Nothing was sent" not in str(view):  # the response came after the time limit
        view = workspace.slack.wait_for("views.update")[0].body["view"]
    assert "Nothing was sent" in get_banner(view)
    assert workspace.oms.list_requests("place") == []


# Unknown outcomes


def test_timeout_after_sending_is_looked_up_by_its_key_and_never_sent_again(create_workspace):
    workspace = create_workspace(replace(SHORT_WAITS, lookup_for=60.0), write=1.0)
    body = {"symbol": "AAPL", "quantity": "100", "gmv": "17500", "side": "BUY", "portfolio_name": "Growth"}
    workspace.oms.queue_responses("place", Response(slow=60.0))
    workspace.oms.queue_responses("find", Response(body=[]), Response(500, b"?"))
    workspace.submit()
    workspace.oms.wait_for("find", 2)
    workspace.oms.record("T1:V1:0", body)
    updates = workspace.slack.wait_for("views.update", 2)
    assert [call.body["view"]["title"]["text"] for call in updates] == ["Checking…", "Trade placed"]
    assert workspace.slack.wait_for("chat.postMessage")[0].body["channel"] == "C1"
    assert len(workspace.oms.list_requests("place")) == 1


@pytest.mark.parametrize(
    "response",
    [
        build_problem(503, "?", kind="outcome-unknown"),
        Response(500, b"oops"),
        Response(502, b"<html>"),
        Response(drop=True),
        Response(201, {"no": "trade"}),
        Response(503, {"type": 1}),
        Response(201, b"not json"),
    ],
)
def test_unclear_response_is_looked_up(workspace: Workspace, response):
    workspace.oms.queue_responses("place", response)
    workspace.oms.queue_responses("find", Response(body=[build_recorded_trade()]))
    workspace.submit()
    assert "T9" in workspace.slack.wait_for("chat.postMessage")[0].body["text"]
    assert len(workspace.oms.list_requests("place")) == 1


def test_outcome_that_stays_unknown_is_reported_and_the_form_keeps_its_key(hasty_workspace: Workspace):
    hasty_workspace.oms.queue_responses("place", build_problem(503, "?", kind="outcome-unknown"))
    hasty_workspace.submit()
    view = hasty_workspace.slack.wait_for("views.update")[-1].body["view"]
    if view["title"]["text"] != "New trade":
        view = hasty_workspace.slack.wait_for("views.update", 2)[-1].body["view"]
    assert "still unknown" in get_banner(view)
    assert json.loads(view["private_metadata"])["attempt"] == 0


def test_trade_that_only_the_second_request_finds_is_confirmed_in_the_channel(hasty_workspace: Workspace):
    body = {
        "symbol": "AAPL",
        "quantity": "100",
        "gmv": "17500",
        "side": "BUY",
        "portfolio_name": "Growth",
        "user_id": "U1",
    }
    hasty_workspace.oms.queue_responses("place", build_problem(503, "?", kind="outcome-unknown"))
    hasty_workspace.oms.default_responses["find"] = Response(500, b"?")
    hasty_workspace.submit()
    hasty_workspace.slack.wait_for("views.update", 1)
    wait_until(hasty_workspace.bot.services.confirmations.list_unresolved)
    hasty_workspace.oms.record("T1:V1:0", body)
    assert hasty_workspace.submit() == {"response_action": "clear"}
    assert hasty_workspace.slack.wait_for("chat.postMessage")[0].body["channel"] == "C1"


ORDERED = {
    "symbol": "AAPL", "quantity": "100", "gmv": "17500",
    "side": "BUY", "portfolio_name": "Growth", "user_id": "U1",
}  # fmt: skip
EDITED = factories.build_state(quantity="90", gmv="15750")


@pytest.fixture
def unknown_outcome_metadata(workspace: Workspace):
    """Provide the metadata of a form whose outcome stayed unknown."""
    workspace.oms.queue_responses("place", build_problem(503, "?", kind="outcome-unknown"))
    view = workspace.submit()["view"]
    assert "still unknown" in get_banner(view)
    return view["private_metadata"]


def test_submitting_an_edited_form_again_trades_only_once(workspace: Workspace, unknown_outcome_metadata):
    workspace.oms.record("T1:V1:0", ORDERED)
    view = workspace.submit(EDITED, private_metadata=unknown_outcome_metadata)["view"]
    assert "had traded already" in get_notice(view)
    workspace.bot.services.send_queue.close(60.0)
    messages = [call.body for call in workspace.slack.list_requests("chat.postMessage")]
    assert sorted(message["channel"] for message in messages) == ["C1", "D-U1"], (
        "the confirmation of the channel was pending"
    )
    assert len(workspace.oms.trades) == 1
    assert len(workspace.oms.list_requests("place")) == 1


def test_edited_form_trades_its_new_entries_if_the_first_submission_did_not_trade(
    workspace: Workspace, unknown_outcome_metadata
):
    assert workspace.submit(EDITED, private_metadata=unknown_outcome_metadata) == {"response_action": "clear"}
    assert [trade["quantity"] for trade in workspace.oms.trades.values()] == ["90"]


@pytest.mark.parametrize("again", [build_problem(422, "No."), build_problem(503, "Full.", kind="not-placed")])
def test_refusal_after_an_unknown_outcome_keeps_the_key(
    workspace: Workspace, unknown_outcome_metadata, again
):
    workspace.oms.queue_responses("place", again)
    view = workspace.submit(EDITED, private_metadata=unknown_outcome_metadata)["view"]
    assert "*Not placed this time.*" in get_banner(view)
    assert "It is still unknown whether it was placed before" in get_banner(view)
    assert "Nothing was traded" not in get_banner(view)
    assert json.loads(view["private_metadata"]) == json.loads(unknown_outcome_metadata)


def test_message_about_a_closed_form_does_not_refer_to_it(hasty_workspace: Workspace):
    hasty_workspace.oms.queue_responses("place", build_problem(503, "?", kind="outcome-unknown"))
    hasty_workspace.slack.refuse("views.update", "not_found")
    hasty_workspace.submit()
    text = hasty_workspace.slack.wait_for("chat.postMessage")[0].body["text"]
    assert "still unknown" in text
    assert "could place it twice" in text
    assert "from this form" not in text


def test_unexpected_error_is_logged_and_reported_as_unknown(workspace: Workspace, monkeypatch, caplog):
    def broken(*_args, **_named):
        raise ZeroDivisionError

    monkeypatch.setattr(workspace.bot.services.oms, "place", broken)
    assert "still unknown" in get_banner(workspace.submit()["view"])
    assert "Submission failed" in caplog.text
