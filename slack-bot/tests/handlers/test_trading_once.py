"""One submission, one trade, one confirmation: slack.md lines 15 and 33."""

import threading

from tests import factories
from tests.conftest import Workspace
from tests.fakes import Answer
from tests.reading import NOTHING_RECORDED, banner_of, desk_trade


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
