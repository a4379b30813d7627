"""A submitted form: slack.md lines 1, 7, 12–15, 19–21."""

import json
import threading
import time

import pytest

from app.replies.desk import Waits
from tests import factories
from tests.conftest import Workspace, make_bot
from tests.fakes import Answer, problem, trade_json

NOTHING_RECORDED = problem(503, "The books are full.", kind="not-placed")


def blocks_of(answer):
    return {block.get("block_id"): block for block in answer["view"]["blocks"]}


def banner_of(view):
    return next(block["text"]["text"] for block in view["blocks"] if block.get("block_id") == "banner")


def test_the_usual_answer_comes_back_in_the_form_itself(desk: Workspace):
    assert desk.submit() == {"response_action": "clear"}
    assert desk.slack.named("views.update") == []


def test_the_oms_gets_the_trade_as_it_was_typed(desk: Workspace):
    desk.submit(factories.state(quantity="1,000.5", gmv="175087.5", note="why"))
    call = desk.oms.wait_for("place")[0]
    assert call.body == {
        "symbol": "AAPL",
        "quantity": "1000.5",
        "gmv": "175087.5",
        "side": "BUY",
        "portfolio_name": "Growth",
        "user_id": "U1",
        "note": "why",
    }
    assert call.headers["x-api-key"] == factories.OMS_KEY


def test_all_bad_fields_are_shown_at_once_and_nothing_is_called(desk: Workspace):
    answer = desk.submit(factories.state(symbol="!", quantity="1e3", gmv="NaN", side=None, portfolio=None))
    assert answer["response_action"] == "errors"
    assert set(answer["errors"]) == {"symbol", "quantity", "gmv", "side", "portfolio"}
    assert desk.oms.calls == []


def test_fields_that_the_oms_refuses_are_shown_at_those_fields(desk: Workspace):
    errors = [
        {"field": "portfolio_name", "message": "No such name."},
        {"field": "body.quantity", "message": "Too many."},
    ]
    desk.oms.script("place", problem(422, "Refused.", errors))
    assert desk.submit() == {
        "response_action": "errors",
        "errors": {"portfolio": "No such name.", "quantity": "Too many."},
    }


def test_two_problems_of_one_field_are_both_said_there(desk: Workspace):
    errors = [{"field": "price", "message": "Too low."}, {"field": "gmv", "message": ""}]
    desk.oms.script("place", problem(422, "Refused.", errors))
    assert desk.submit()["errors"] == {"gmv": "Too low. The trading system does not accept this."}


def test_a_corrected_form_can_be_sent_again_with_the_same_key(desk: Workspace):
    desk.oms.script("place", problem(422, "Refused.", [{"field": "quantity", "message": "Too many."}]))
    desk.submit()
    assert desk.submit(factories.state(quantity="90", gmv="15750")) == {"response_action": "clear"}
    assert [call.headers["idempotency-key"] for call in desk.oms.named("place")] == ["T1:V1:0", "T1:V1:0"]


def test_a_denial_without_a_field_is_said_in_the_form_and_raises_the_attempt(desk: Workspace):
    desk.oms.script(
        "place", problem(422, "Beyond the limit <b>.", [{"field": "elsewhere", "message": "Beyond <b>."}])
    )
    answer = desk.submit()
    assert answer["response_action"] == "update"
    assert "Beyond &lt;b&gt;." in banner_of(answer["view"])
    metadata = answer["view"]["private_metadata"]
    assert json.loads(metadata)["attempt"] == 1
    desk.submit(private_metadata=metadata)
    assert [call.headers["idempotency-key"] for call in desk.oms.named("place")] == ["T1:V1:0", "T1:V1:1"]


def test_the_entries_stay_in_a_form_that_is_shown_again(desk: Workspace):
    desk.oms.script("place", NOTHING_RECORDED)
    blocks = blocks_of(desk.submit(factories.state(note="why")))
    assert blocks["quantity"]["element"]["initial_value"] == "100"
    assert blocks["note"]["element"]["initial_value"] == "why"
    assert blocks["portfolio"]["element"]["initial_option"]["value"] == "Growth"


def test_the_key_is_of_the_root_view(desk: Workspace):
    desk.submit(id="V9", root_view_id="V7")
    assert desk.oms.named("place")[0].headers["idempotency-key"] == "T1:V7:0"


def test_a_refused_connection_means_not_placed(desk: Workspace):
    desk.oms.stop()
    answer = desk.submit()
    assert banner_of(answer["view"]).startswith("*Not placed.*")
    assert json.loads(answer["view"]["private_metadata"])["attempt"] == 0


@pytest.mark.parametrize("answer", [NOTHING_RECORDED, problem(429, "Slow down.")])
def test_what_was_certainly_not_recorded_is_said_to_be_not_placed(desk: Workspace, answer):
    desk.oms.script("place", answer)
    assert banner_of(desk.submit()["view"]).startswith("*Not placed.*")
    assert desk.oms.named("find") == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_a_plain_sentence_and_a_reference(desk: Workspace, status):
    desk.oms.script("place", problem(status, "secret detail"))
    answer = desk.deliver(factories.submission())
    banner = banner_of(answer.get_json()["view"])
    assert "does not accept this app's key" in banner
    assert answer.headers["X-Request-ID"] in banner
    assert "secret detail" not in banner


def test_one_request_id_runs_through_the_answer_the_error_and_the_oms(desk: Workspace, caplog):
    caplog.set_level("INFO")
    desk.oms.script("place", NOTHING_RECORDED)
    answer = desk.deliver(factories.submission())
    request_id = answer.headers["X-Request-ID"]
    assert request_id in banner_of(answer.get_json()["view"])
    assert desk.oms.named("place")[0].headers["x-request-id"] == request_id
    assert request_id in {getattr(record, "request_id", "") for record in caplog.records}


# Slower than the form can wait


def test_a_slow_trade_turns_the_form_to_placing_and_is_redrawn_when_the_answer_comes(desk: Workspace):
    desk.oms.script("place", Answer(201, {"trade": desk_trade()}, slow=0.45))
    answer = desk.submit()
    assert answer["view"]["title"]["text"] == "Placing…"
    redrawn = desk.slack.wait_for("views.update")[0].body
    assert redrawn["view_id"] == "V1"
    assert redrawn["view"]["title"]["text"] == "Trade placed"
    assert desk.slack.wait_for("chat.postMessage")[0].body["channel"] == "C1"


def test_a_slow_refusal_gives_the_form_back_with_its_entries(desk: Workspace):
    desk.oms.script("place", Answer(422, problem(422, "No.").body, slow=0.45))
    desk.submit()
    view = desk.slack.wait_for("views.update")[0].body["view"]
    assert view["callback_id"] == "trade_form"
    assert "No." in banner_of(view)
    assert json.loads(view["private_metadata"])["attempt"] == 1


def test_a_form_that_was_closed_meanwhile_tells_the_failure_privately(desk: Workspace):
    desk.slack.refuse("views.update", "not_found")
    desk.oms.script("place", Answer(422, problem(422, "No.").body, slow=0.45))
    desk.submit()
    posted = desk.slack.wait_for("chat.postMessage")[0].body
    assert posted["channel"] == "D-U1"
    assert "*Not placed.* No." in posted["text"]


def test_a_redraw_waits_out_a_429(desk: Workspace):
    desk.slack.script(
        "views.update", Answer(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "0"})
    )
    desk.oms.script("place", Answer(422, problem(422, "No.").body, slow=0.45))
    desk.submit()
    assert len(desk.slack.wait_for("views.update", 2)) == 2


def test_with_the_oms_hung_twenty_submissions_at_once_are_answered_in_time(desk: Workspace):
    desk.oms.always["last_price"] = desk.oms.always["place"] = Answer(slow=5.0)
    answers, threads = [], []

    def submit(number):
        began = time.monotonic()
        answer = desk.submit(id=f"V{number}", root_view_id=f"V{number}")
        answers.append((time.monotonic() - began, answer["view"]["title"]["text"]))

    for number in range(20):
        threads.append(threading.Thread(target=submit, args=(number,)))
        threads[-1].start()
    for thread in threads:
        thread.join(10)
    assert [title for _, title in answers] == ["Placing…"] * 20
    assert max(seconds for seconds, _ in answers) < 0.25 + 0.5


def test_in_real_time_a_hung_oms_holds_twenty_submissions_for_a_second(slack, oms):
    oms.always["place"] = Answer(slow=20.0)
    bot = make_bot(slack, oms, waits=Waits(), write=16.0)
    desk, took = Workspace(bot, slack, oms), []

    def submit(number):
        began = time.monotonic()
        desk.submit(id=f"V{number}", root_view_id=f"V{number}")
        took.append(time.monotonic() - began)

    threads = [threading.Thread(target=submit, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    oms.released.set()
    bot.desk.stop(1.0)
    assert len(took) == 20
    assert max(took) <= 1.5


def test_when_every_worker_is_taken_the_form_says_so_politely_and_nothing_was_begun(desk: Workspace):
    desk.bot.desk.placing.stop()
    answer = desk.submit()
    assert "busy" in banner_of(answer["view"])
    assert desk.oms.calls == []


def test_an_oms_that_does_not_answer_the_price_gets_no_trade_sent(desk: Workspace):
    desk.oms.always["last_price"] = Answer(slow=2.0)
    desk.submit()
    view = desk.slack.wait_for("views.update")[0].body["view"]
    assert "Nothing was sent" in banner_of(view)
    assert desk.oms.named("place") == []


# Not known


def test_a_timeout_after_sending_is_looked_up_by_its_key_and_told_and_never_sent_again(desk: Workspace):
    body = {"symbol": "AAPL", "quantity": "100", "gmv": "17500", "side": "BUY", "portfolio_name": "Growth"}
    desk.oms.script("place", Answer(slow=2.0))
    desk.oms.script("find", Answer(body=[]), Answer(500, b"?"))
    desk.submit()
    desk.oms.wait_for("find", 2)
    desk.oms.record("T1:V1:0", body)
    updates = desk.slack.wait_for("views.update", 2)
    assert [call.body["view"]["title"]["text"] for call in updates] == ["Checking…", "Trade placed"]
    assert desk.slack.wait_for("chat.postMessage")[0].body["channel"] == "C1"
    assert len(desk.oms.named("place")) == 1


@pytest.mark.parametrize(
    "answer",
    [
        problem(503, "?", kind="outcome-unknown"),
        Answer(500, b"oops"),
        Answer(502, b"<html>"),
        Answer(drop=True),
        Answer(201, {"no": "trade"}),
        Answer(503, {"type": 1}),
        Answer(201, b"not json"),
    ],
)
def test_an_answer_that_settles_nothing_is_looked_up(desk: Workspace, answer):
    desk.oms.script("place", answer)
    desk.oms.script("find", Answer(body=[desk_trade()]))
    desk.submit()
    assert "T9" in desk.slack.wait_for("chat.postMessage")[0].body["text"]
    assert len(desk.oms.named("place")) == 1


def test_what_stays_unknown_is_said_and_the_form_keeps_its_key(desk: Workspace):
    desk.oms.script("place", problem(503, "?", kind="outcome-unknown"))
    desk.submit()
    view = desk.slack.wait_for("views.update")[-1].body["view"]
    if view["title"]["text"] != "New trade":
        view = desk.slack.wait_for("views.update", 2)[-1].body["view"]
    assert "Still not known" in banner_of(view)
    assert json.loads(view["private_metadata"])["attempt"] == 0


def test_a_trade_found_only_by_placing_again_is_confirmed_in_the_channel(desk: Workspace):
    body = {
        "symbol": "AAPL",
        "quantity": "100",
        "gmv": "17500",
        "side": "BUY",
        "portfolio_name": "Growth",
        "user_id": "U1",
    }
    desk.oms.script("place", problem(503, "?", kind="outcome-unknown"))
    desk.oms.always["find"] = Answer(500, b"?")
    desk.submit()
    desk.slack.wait_for("views.update", 1)
    wait_until(lambda: desk.bot.desk.claims.was_unsettled("T1:V1:0"))
    desk.oms.record("T1:V1:0", body)
    assert desk.submit() == {"response_action": "clear"}
    assert desk.slack.wait_for("chat.postMessage")[0].body["channel"] == "C1"


def test_an_unexpected_fault_is_logged_and_said_to_be_unknown(desk: Workspace, monkeypatch, caplog):
    def broken(*_args, **_named):
        raise ZeroDivisionError

    monkeypatch.setattr(desk.bot.desk.oms, "place", broken)
    assert "Still not known" in banner_of(desk.submit()["view"])
    assert "Submission failed" in caplog.text


# Once


def test_a_replayed_delivery_is_answered_like_the_first_and_changes_nothing(desk: Workspace):
    payload = factories.submission()
    answers = [desk.deliver(payload).get_json() for _ in range(8)]
    assert answers == [{"response_action": "clear"}] * 8
    assert len(desk.oms.named("place")) == 1
    desk.bot.desk.outbox.close(2.0)
    assert len(desk.slack.named("chat.postMessage")) == 1


def test_eight_deliveries_at_once_give_one_trade_and_one_confirmation(desk: Workspace):
    desk.oms.script("place", Answer(201, {"trade": desk_trade()}, slow=0.1))
    payloads = [factories.submission() for _ in range(4)]
    threads = [threading.Thread(target=desk.deliver, args=(payload,)) for payload in payloads * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    desk.bot.desk.outbox.close(2.0)
    assert len(desk.oms.named("place")) == 1
    assert len(desk.slack.named("chat.postMessage")) == 1


def test_a_replay_after_a_denial_is_answered_like_the_first_and_not_sent_again(desk: Workspace):
    desk.oms.script("place", NOTHING_RECORDED)
    payload = factories.submission()
    first, second = desk.deliver(payload).get_json(), desk.deliver(payload).get_json()
    assert first == second
    assert len(desk.oms.named("place")) == 1


def test_a_replay_after_a_restart_trades_nothing_and_is_told_privately(desk: Workspace):
    payload = factories.submission()
    desk.deliver(payload)
    desk.slack.wait_for("chat.postMessage")
    restarted = desk.restarted()
    assert restarted.deliver(payload).get_json() == {"response_action": "clear"}
    told = desk.slack.wait_for("chat.postMessage", 2)[1].body
    restarted.bot.desk.stop(1.0)
    assert told["channel"] == "D-U1"
    assert "placed already" in told["text"]
    assert len(desk.oms.trades) == 1


def test_a_key_that_another_body_took_is_a_denial(desk: Workspace):
    desk.submit()
    restarted = desk.restarted()
    answer = restarted.submit(factories.state(quantity="90", gmv="15750"))
    restarted.bot.desk.stop(1.0)
    assert "another request" in banner_of(answer["view"])
    assert len(desk.oms.trades) == 1


# Prices


@pytest.mark.parametrize(("quantity", "gmv", "price"), [("1000", "1", "0.001"), ("1", "100001", "100001")])
def test_an_odd_price_is_asked_about_before_it_trades(desk: Workspace, quantity, gmv, price):
    values = factories.state(quantity=quantity, gmv=gmv)
    answer = desk.submit(values)
    assert f"price_ok:{price}" in blocks_of(answer)
    assert desk.oms.named("place") == []
    assert desk.submit(values | factories.ticked(price)) == {"response_action": "clear"}


def test_a_price_far_from_the_last_trade_is_asked_about(desk: Workspace):
    desk.submit()
    answer = desk.submit(factories.state(gmv="1750"), id="V2", root_view_id="V2")
    assert "more than 20% away from the last trade at 175.00" in banner_of(answer["view"])
    assert len(desk.oms.trades) == 1


def test_a_tick_for_one_price_does_not_confirm_another(desk: Workspace):
    answer = desk.submit(factories.state(quantity="1000", gmv="2") | factories.ticked("0.001"))
    assert "price_ok:0.002" in blocks_of(answer)
    assert desk.oms.named("place") == []


def test_a_key_that_may_not_read_still_trades(desk: Workspace):
    desk.oms.always["last_price"] = problem(403, "no")
    assert desk.submit() == {"response_action": "clear"}


# Forms left open


def test_a_form_of_an_older_version_trades_and_confirms_to_the_person(desk: Workspace):
    assert desk.submit(private_metadata="{}") == {"response_action": "clear"}
    assert desk.slack.wait_for("chat.postMessage")[0].body["channel"] == "D-U1"


def desk_trade():
    body = {"symbol": "AAPL", "quantity": "100", "gmv": "17500", "side": "BUY", "portfolio_name": "Growth"}
    return trade_json(body, "T9")


def wait_until(true, seconds=5.0):
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)
