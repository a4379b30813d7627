"""One submission makes one trade and one confirmation."""

import json
import threading

import pytest

from tests import factories
from tests.conftest import Workspace
from tests.fakes import Response, build_problem
from tests.views import NOTHING_RECORDED, build_recorded_trade, get_banner, get_notice


def test_replayed_delivery_gets_the_response_of_the_first_and_changes_nothing(workspace: Workspace):
    payload = factories.build_submission()
    responses = [workspace.deliver(payload).get_json() for _ in range(8)]
    assert responses == [{"response_action": "clear"}] * 8
    assert len(workspace.oms.list_requests("place")) == 1
    workspace.bot.services.send_queue.close(60.0)
    assert len(workspace.slack.list_requests("chat.postMessage")) == 1


def test_eight_deliveries_at_once_give_one_trade_and_one_confirmation(workspace: Workspace):
    workspace.oms.queue_responses("place", Response(201, {"trade": build_recorded_trade()}, slow=0.1))
    payloads = [factories.build_submission() for _ in range(4)]
    threads = [threading.Thread(target=workspace.deliver, args=(payload,)) for payload in payloads * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    workspace.bot.services.send_queue.close(60.0)
    assert len(workspace.oms.list_requests("place")) == 1
    assert len(workspace.slack.list_requests("chat.postMessage")) == 1


def test_replay_after_a_denial_gets_the_response_of_the_first_and_not_sent_again(workspace: Workspace):
    workspace.oms.queue_responses("place", NOTHING_RECORDED)
    payload = factories.build_submission()
    first, second = workspace.deliver(payload).get_json(), workspace.deliver(payload).get_json()
    assert first == second
    assert len(workspace.oms.list_requests("place")) == 1


@pytest.mark.parametrize("symbol", ["AAPL", "BRK-B"])
def test_replay_after_a_restart_trades_nothing_and_gets_a_private_reply(workspace: Workspace, symbol):
    workspace.oms.aliases["BRK-B"] = "BRK.B"
    payload = factories.build_submission(factories.build_state(symbol=symbol))
    workspace.deliver(payload)
    workspace.slack.wait_for("chat.postMessage")
    restarted = workspace.restarted()
    assert restarted.deliver(payload).get_json() == {"response_action": "clear"}
    message = workspace.slack.wait_for("chat.postMessage", 2)[1].body
    restarted.bot.services.stop(1.0)
    assert message["channel"] == "D-U1"
    assert "placed already" in message["text"]
    assert len(workspace.oms.trades) == 1


# A form that traded before the bot was restarted, and was edited since then

EDITED = factories.build_state(quantity="90", gmv="15750")
OFF_MARKET_STATE = factories.build_state(quantity="1000", gmv="1")


@pytest.fixture
def restarted_bot(workspace: Workspace):
    """Provide a bot that does not know that this form has traded 100 AAPL."""
    workspace.submit()
    workspace.slack.wait_for("chat.postMessage")
    restarted = workspace.restarted()
    yield restarted
    restarted.bot.services.stop(1.0)


def test_edited_form_that_has_traded_shows_that_trade_and_never_trades_again(restarted_bot: Workspace):
    responses = [restarted_bot.submit(EDITED)["view"] for _ in range(2)]
    for view in responses:
        assert "submit" not in view
        assert "had traded already" in get_notice(view)
        assert "BUY 100 AAPL" in get_notice(view)
        assert "Your changes were not traded" in get_notice(view)
    restarted_bot.bot.services.send_queue.close(60.0)
    messages = [call.body for call in restarted_bot.slack.list_requests("chat.postMessage")][1:]
    assert [(message["channel"], "BUY 100 AAPL" in message["text"]) for message in messages] == [
        ("D-U1", True)
    ]
    assert len(restarted_bot.oms.trades) == 1


def test_another_symbol_is_another_trade(restarted_bot: Workspace):
    restarted_bot.oms.aliases["BRK-B"] = "BRK.B"
    for symbol in ("BRK-B", "MSFT"):
        assert "had traded already" in get_notice(
            restarted_bot.submit(factories.build_state(symbol=symbol))["view"]
        )
    assert len(restarted_bot.oms.trades) == 1


@pytest.mark.parametrize(
    "trouble", [build_problem(422, "No."), build_problem(422, "No.", [{"field": "quantity"}])]
)
def test_denial_of_an_edited_form_that_has_traded_shows_the_trade_and_keeps_the_key(
    restarted_bot: Workspace, trouble
):
    restarted_bot.oms.queue_responses("place", trouble)
    assert "had traded already" in get_notice(restarted_bot.submit(EDITED)["view"])
    restarted_bot.submit(EDITED)
    assert len(restarted_bot.oms.trades) == 1


def test_form_that_has_traded_asks_no_questions(restarted_bot: Workspace):
    assert "had traded already" in get_notice(restarted_bot.submit(OFF_MARKET_STATE)["view"])


def test_denial_keeps_the_key_while_its_trade_cannot_be_looked_up(workspace: Workspace):
    workspace.oms.queue_responses("place", build_problem(422, "No."))
    workspace.oms.queue_responses("find", Response(500))
    view = workspace.submit()["view"]
    assert get_banner(view).startswith("*Not placed.* No.")
    assert json.loads(view["private_metadata"])["attempt"] == 0


@pytest.mark.parametrize("looked_up", [Response(500), Response(body=[])])
def test_outcome_is_unknown_if_the_key_is_taken_and_its_trade_cannot_be_seen(
    restarted_bot: Workspace, looked_up
):
    restarted_bot.oms.queue_responses("find", looked_up)
    view = restarted_bot.submit(EDITED)["view"]
    assert "still unknown" in get_banner(view)
    assert "had traded already" in get_notice(restarted_bot.submit(EDITED)["view"])
    assert json.loads(view["private_metadata"])["attempt"] == 0
    restarted_bot.bot.services.send_queue.close(60.0)
    assert [call.body["channel"] for call in restarted_bot.slack.list_requests("chat.postMessage")] == [
        "C1",
        "D-U1",
    ]
