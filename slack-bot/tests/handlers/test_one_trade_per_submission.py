"""One submission makes one trade and one confirmation."""

import json
import threading

import pytest

from tests import factories
from tests.conftest import Workspace
from tests.fakes import Answer, problem
from tests.reading import NOTHING_RECORDED, banner_of, notice_of, recorded_trade


def test_replayed_delivery_is_answered_like_the_first_and_changes_nothing(workspace: Workspace):
    payload = factories.submission()
    answers = [workspace.deliver(payload).get_json() for _ in range(8)]
    assert answers == [{"response_action": "clear"}] * 8
    assert len(workspace.oms.named("place")) == 1
    workspace.bot.services.outbox.close(2.0)
    assert len(workspace.slack.named("chat.postMessage")) == 1


def test_eight_deliveries_at_once_give_one_trade_and_one_confirmation(workspace: Workspace):
    workspace.oms.script("place", Answer(201, {"trade": recorded_trade()}, slow=0.1))
    payloads = [factories.submission() for _ in range(4)]
    threads = [threading.Thread(target=workspace.deliver, args=(payload,)) for payload in payloads * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    workspace.bot.services.outbox.close(2.0)
    assert len(workspace.oms.named("place")) == 1
    assert len(workspace.slack.named("chat.postMessage")) == 1


def test_replay_after_a_denial_is_answered_like_the_first_and_not_sent_again(workspace: Workspace):
    workspace.oms.script("place", NOTHING_RECORDED)
    payload = factories.submission()
    first, second = workspace.deliver(payload).get_json(), workspace.deliver(payload).get_json()
    assert first == second
    assert len(workspace.oms.named("place")) == 1


@pytest.mark.parametrize("symbol", ["AAPL", "BRK-B"])
def test_replay_after_a_restart_trades_nothing_and_is_answered_privately(workspace: Workspace, symbol):
    workspace.oms.aliases["BRK-B"] = "BRK.B"
    payload = factories.submission(factories.state(symbol=symbol))
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

EDITED = factories.state(quantity="90", gmv="15750")
ODD = factories.state(quantity="1000", gmv="1")


@pytest.fixture
def restarted(workspace: Workspace):
    """Provide a bot that does not know that this form has traded 100 AAPL."""
    workspace.submit()
    workspace.slack.wait_for("chat.postMessage")
    restarted = workspace.restarted()
    yield restarted
    restarted.bot.services.stop(1.0)


def test_edited_form_that_has_traded_shows_that_trade_and_never_trades_again(restarted: Workspace):
    answers = [restarted.submit(EDITED)["view"] for _ in range(2)]
    for view in answers:
        assert "submit" not in view
        assert "had traded already" in notice_of(view)
        assert "BUY 100 AAPL" in notice_of(view)
        assert "What you changed was not traded" in notice_of(view)
    restarted.bot.services.outbox.close(2.0)
    messages = [call.body for call in restarted.slack.named("chat.postMessage")][1:]
    assert [(message["channel"], "BUY 100 AAPL" in message["text"]) for message in messages] == [
        ("D-U1", True)
    ]
    assert len(restarted.oms.trades) == 1


def test_another_symbol_is_another_trade(restarted: Workspace):
    restarted.oms.aliases["BRK-B"] = "BRK.B"
    for symbol in ("BRK-B", "MSFT"):
        assert "had traded already" in notice_of(restarted.submit(factories.state(symbol=symbol))["view"])
    assert len(restarted.oms.trades) == 1


@pytest.mark.parametrize("trouble", [problem(422, "No."), problem(422, "No.", [{"field": "quantity"}])])
def test_denial_of_an_edited_form_that_has_traded_shows_the_trade_and_keeps_the_key(
    restarted: Workspace, trouble
):
    restarted.oms.script("place", trouble)
    assert "had traded already" in notice_of(restarted.submit(EDITED)["view"])
    restarted.submit(EDITED)
    assert len(restarted.oms.trades) == 1


def test_form_that_has_traded_asks_no_questions(restarted: Workspace):
    assert "had traded already" in notice_of(restarted.submit(ODD)["view"])


def test_denial_raises_no_attempt_while_the_key_cannot_be_looked_up(workspace: Workspace):
    workspace.oms.script("place", problem(422, "No."))
    workspace.oms.script("find", Answer(500))
    view = workspace.submit()["view"]
    assert banner_of(view).startswith("*Not placed.* No.")
    assert json.loads(view["private_metadata"])["attempt"] == 0


@pytest.mark.parametrize("looked_up", [Answer(500), Answer(body=[])])
def test_taken_key_whose_trade_cannot_be_seen_is_not_known_and_keeps_the_form(
    restarted: Workspace, looked_up
):
    restarted.oms.script("find", looked_up)
    view = restarted.submit(EDITED)["view"]
    assert "Still not known" in banner_of(view)
    assert "had traded already" in notice_of(restarted.submit(EDITED)["view"])
    assert json.loads(view["private_metadata"])["attempt"] == 0
    restarted.bot.services.outbox.close(2.0)
    assert [call.body["channel"] for call in restarted.slack.named("chat.postMessage")] == ["C1", "D-U1"]
