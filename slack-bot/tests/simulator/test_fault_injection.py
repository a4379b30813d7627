import json
from urllib.error import URLError

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import SignatureVerifier

from tests.simulator.doubles import SECRET, TRADING, build_modal
from tests.simulator.web_api import get_error


def post_message(slack):
    return slack.chat_postMessage(channel=TRADING, text="x")


def test_method_fails_the_set_number_of_times(slack, page):
    page.control("faults/calls", method="chat.postMessage", error="internal_error", times=2)
    assert get_error(post_message, slack) == "internal_error"
    assert slack.auth_test()["ok"]
    assert get_error(post_message, slack) == "internal_error"
    assert post_message(slack)["ok"]
    assert len(page.messages()) == 1


def test_ratelimited_is_a_429_with_retry_after(slack, page):
    page.control("faults/calls", error="ratelimited", retry_after=7)
    with pytest.raises(SlackApiError) as caught:
        post_message(slack)
    assert caught.value.response.status_code == 429
    assert caught.value.response["error"] == "ratelimited"
    assert caught.value.response.headers["Retry-After"] == "7"


def test_plain_http_status_can_be_set(page, bot):
    page.control("faults/calls", method="response_url", status=503)
    page.send_text("/trade")
    path = bot.last.fields["response_url"].removeprefix(page.url)
    assert page.post(path, text="x")[0] == 503
    assert page.post(path, text="x")[0] == 200


@pytest.mark.parametrize(("after", "posted"), [(False, 0), (True, 1)])
def test_connection_is_cut_before_or_after_the_work_is_done(slack, page, after, posted):
    page.control("faults/calls", method="chat.postMessage", drop=True, after=after)
    with pytest.raises((URLError, ConnectionError)):
        post_message(slack)
    assert len(page.messages()) == posted


def test_slow_call_is_completed(slack, page):
    page.control("faults/calls", method="chat.postMessage", slow_seconds=0.05)
    assert post_message(slack)["ok"]


def test_faults_can_be_disarmed(slack, page):
    page.control("faults/calls", error="internal_error", times=100)
    page.control("faults/deliveries", lose=True, times=100)
    assert page.control("faults/clear") == {"calls": [], "deliveries": []}
    assert post_message(slack)["ok"]
    assert page.send_text("/trade")["outcome"] == "answered"


@pytest.mark.parametrize(
    "body",
    [
        {"color": "red"},
        {"times": 0},
        {"slow_seconds": 61},
        {"error": 5},
        {"drop": "yes"},
        {"slow_seconds": -1},
    ],
)
def test_invalid_fault_is_refused(page, body):
    assert page.post("/control/faults/calls", **body)[0] in {400, 422}


@pytest.mark.parametrize("body", [{"times": 0}, {"delay_seconds": 61}])
def test_invalid_delivery_fault_is_refused(page, body):
    assert page.post("/control/faults/deliveries", **body)[0] == 422


def test_lost_delivery_never_arrives(page, bot):
    page.control("faults/deliveries", lose=True)
    assert page.send_text("/trade")["error"] == "operation_timeout"
    assert bot.received == []


def test_dropped_delivery_arrives_but_its_response_does_not(page, bot):
    page.control("faults/deliveries", drop=True)
    assert page.send_text("/trade")["error"] == "operation_timeout"
    assert len(bot.wait_for(1)) == 1


def test_delayed_delivery_arrives_later(page, bot):
    page.control("faults/deliveries", delay_seconds=0.05)
    assert page.send_text("/trade")["outcome"] == "answered"


def test_delivery_is_repeated_byte_for_byte(page, bot, slack, trigger):
    slack.views_open(trigger_id=trigger, view=build_modal())
    page.act("submit", values={"symbol": {"a": "AAPL"}})
    body = page.control("repeat", times=3, signature="same")
    first, *repeats = bot.received[-4:]
    assert {request.raw for request in repeats} == {first.raw}
    assert {request.headers["X-Slack-Signature"] for request in repeats} == {
        first.headers["X-Slack-Signature"]
    }
    assert [delivery["status"] for delivery in body["deliveries"]] == [200, 200, 200]


def test_repeats_may_be_signed_afresh_and_sent_at_once(page, bot):
    page.send_text("/trade")
    page.control("repeat", times=8, at_once=True)
    assert len(bot.received) == 9
    assert all(request.signed for request in bot.received)


def test_earlier_delivery_can_be_repeated(page, bot):
    delivery = page.send_text("/trade one")["delivery"]
    page.send_text("/trade two")
    page.control("repeat", delivery=delivery)
    assert bot.last.fields["text"] == "one"


def test_undelivered_request_cannot_be_repeated(page):
    assert page.post("/control/repeat")[0] == 404
    assert page.post("/control/repeat", times=51)[0] == 400


def test_log_has_deliveries_with_their_responses(page, bot):
    bot.queue_response({"text": "hi"})
    page.send_text("/trade")
    (delivery,) = page.log()["deliveries"]
    assert delivery["kind"] == "command"
    assert delivery["status"] == 200
    assert json.loads(delivery["response"]) == {"text": "hi"}
    assert SignatureVerifier(SECRET).is_valid_request(delivery["body"], delivery["signature"])


def test_membership_is_given_and_taken(page, slack):
    page.control("membership", channel="trading", user="bot", member=False)
    assert get_error(post_message, slack) == "not_in_channel"
    page.control("membership", channel="trading", user="bot", member=True)
    assert post_message(slack)["ok"]
    assert page.post("/control/membership", channel="nowhere", user="bot")[0] == 404


def test_only_members_write_in_a_channel(page):
    page.control("membership", channel="trading", user="ben", member=False)
    assert page.post("/control/say", user="ben", channel="trading", text="x")[0] == 403


def test_reset_restores_the_initial_workspace(page, slack, trigger):
    slack.views_open(trigger_id=trigger, view=build_modal())
    post_message(slack)
    page.control("faults/calls", error="internal_error")
    page.control("reset")
    assert page.messages() == []
    assert page.form() is None
    assert page.log() == {"calls": [], "deliveries": []}
    assert post_message(slack)["ok"]


def test_state_can_be_inspected(page, slack, trigger):
    slack.views_open(trigger_id=trigger, view=build_modal())
    slack.chat_postEphemeral(channel=TRADING, user="U0AVACHEN01", text="psst")
    state = page.get("/control/state")[1]
    trading = next(room for room in state["channels"] if room["name"] == "trading")
    assert [message["only_for"] for message in trading["messages"]] == ["U0AVACHEN01"]
    assert len(state["views"]["U0AVACHEN01"]) == 1


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("say", {"user": "nobody", "channel": "trading", "text": "x"}, 404),
        ("say", {"user": "ava", "channel": "nowhere", "text": "x"}, 404),
        ("say", {"user": "ava", "channel": "trading", "text": " "}, 422),
        ("say", {"user": "ava", "channel": "trading", "text": "x" * 4_001}, 422),
        ("say", {"user": "ava", "channel": "trading"}, 400),
        ("say", {"user": 5}, 400),
        ("submit", {"user": "ava"}, 404),
        ("submit", {"user": "ava", "values": {"a": 1}}, 400),
        ("use", {"user": "ava", "channel": "trading", "ts": "1.0", "action_id": "a"}, 404),
        ("event", {"event": "x"}, 400),
        ("clock", {"advance_seconds": -1}, 400),
    ],
)
def test_impossible_action_is_an_error_with_a_sentence(page, path, body, status):
    answered, response = page.post(f"/control/{path}", **body)
    assert answered == status
    assert response["error"]
