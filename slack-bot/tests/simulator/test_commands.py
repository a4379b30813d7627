import pytest

from simulator import request_delivery
from tests.simulator.doubles import AVA, PRIVATE, TRADING, build_button


@pytest.fixture
def short_timeout(monkeypatch):
    """Shorten the timeout of three seconds."""
    monkeypatch.setattr(request_delivery, "TIMEOUT_SECONDS", 0.2)


def test_command_reaches_the_bot_signed_and_as_slack_writes_it(page, bot, server):
    assert page.send_text("/trade  buy 100 AAPL ")["outcome"] == "answered"
    request = bot.last
    assert request.path == "/slack/commands"
    assert request.signed
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert {
        name: request.fields[name] for name in ("command", "text", "user_id", "user_name", "channel_id")
    } == {
        "command": "/trade",
        "text": "buy 100 AAPL",
        "user_id": AVA,
        "user_name": "ava",
        "channel_id": TRADING,
    }
    assert request.fields["channel_name"] == "trading"
    assert request.fields["team_id"].startswith("T")
    assert request.fields["api_app_id"].startswith("A")
    assert request.fields["response_url"].startswith(server.url)
    assert request.fields["trigger_id"].count(".") == 2


@pytest.mark.parametrize(("channel", "name"), [("dm", "directmessage"), ("board-room", "privategroup")])
def test_private_conversations_keep_their_names(page, bot, channel, name):
    page.send_text("/trade", channel=channel)
    assert bot.last.fields["channel_name"] == name


def test_plain_response_is_shown_to_the_person_alone(page, bot):
    bot.queue_response(b"Usage: /trade SYMBOL")
    page.send_text("/trade ???")
    assert page.texts("ava") == ["Usage: /trade SYMBOL"]
    assert page.texts("ben") == []


def test_json_response_may_be_for_the_channel_and_have_blocks(page, bot):
    bot.queue_response({"response_type": "in_channel", "text": "hi", "blocks": [{"type": "divider"}]})
    page.send_text("/trade")
    assert page.messages("ben")[-1]["blocks"][0]["type"] == "divider"


def test_response_with_invalid_blocks_is_dropped_and_logged(page, bot):
    bot.queue_response({"text": "hi", "blocks": [{"type": "carpet"}]})
    page.send_text("/trade")
    assert page.messages() == []
    assert "carpet" in page.log()["deliveries"][-1]["problem"]


def test_bot_that_does_not_respond_is_reported_as_a_timeout(page, bot, short_timeout):
    bot.queue_response(silent=True)
    assert page.send_text("/trade")["error"] == "operation_timeout"
    assert page.texts("ava") == ['/trade failed with the error "operation_timeout"']
    assert page.messages("ava")[-1]["ephemeral"] is True


def test_unreachable_bot_is_reported_as_a_failed_dispatch(page, bot):
    bot.close()
    assert page.send_text("/trade")["error"] == "dispatch_failed"


@pytest.mark.parametrize("status", [301, 404, 500])
def test_error_status_of_the_bot_is_reported(page, bot, status):
    bot.queue_response(b"oh", status=status)
    assert page.send_text("/trade")["error"] == "app_http_service_error"
    assert page.texts() == ['/trade failed with the error "app_http_service_error"']


def test_unknown_command_is_not_delivered(page, bot):
    assert page.send_text("/<b>")["error"] == "unknown_command"
    assert bot.received == []
    assert "&lt;b&gt;" in page.texts()[-1]


def test_inviting_lets_the_bot_in(page, slack):
    assert page.send_text("/invite @SlackOMS", channel="random-private")["outcome"] == "invited"
    assert slack.chat_postMessage(channel=PRIVATE, text="thanks")["ok"]


def test_message_is_escaped_and_its_mentions_are_ids(page, bot):
    page.send_text("hello @ben & <b>")
    assert page.texts() == ["hello <@U0BENOKAF02> &amp; &lt;b&gt;"]
    assert bot.received == []


def test_archived_channel_accepts_no_message(page):
    status, body = page.post("/control/say", user="ava", channel="old-desk", text="hello")
    assert status == 422
    assert body["error"] == "old-desk is archived."


def test_mentioning_the_bot_is_an_event(page, bot):
    page.send_text("hello @slackoms")
    (request,) = bot.wait_for(1)
    assert request.path == "/slack/events"
    assert request.signed
    assert request.fields["type"] == "event_callback"
    assert request.fields["event"]["type"] == "app_mention"
    assert request.fields["event"]["user"] == AVA
    assert request.fields["event_id"].startswith("Ev")
    assert "X-Slack-Retry-Num" not in request.headers


def test_direct_message_is_an_event(page, bot):
    page.send_text("hello", channel="dm")
    (request,) = bot.wait_for(1)
    assert request.fields["event"]["type"] == "message"
    assert request.fields["event"]["channel_type"] == "im"


def test_event_is_repeated_three_times_with_its_id(page, bot):
    for _ in range(4):
        bot.queue_response(status=500)
    page.control("event", event={"type": "app_uninstalled"})
    bot.wait_for(2)
    page.control("clock", advance_seconds=61)
    bot.wait_for(3)
    page.control("clock", advance_seconds=301)
    requests = bot.wait_for(4)
    assert [request.headers.get("X-Slack-Retry-Num") for request in requests] == [None, "1", "2", "3"]
    assert {request.headers.get("X-Slack-Retry-Reason") for request in requests[1:]} == {"http_error"}
    assert len({request.fields["event_id"] for request in requests}) == 1


def test_bot_may_refuse_to_be_sent_an_event_again(page, bot):
    bot.queue_response(status=500, headers={"X-Slack-No-Retry": "1"})
    page.control("event", event={"type": "one"})
    page.control("event", event={"type": "two"})
    requests = bot.wait_for(2)
    assert [request.fields["event"]["type"] for request in requests] == ["one", "two"]


def test_opening_the_home_tab_is_an_event(page, bot):
    page.act("home")
    (request,) = bot.wait_for(1)
    assert request.fields["event"]["type"] == "app_home_opened"


def test_button_of_a_message_sends_person_action_and_channel(page, bot, slack):
    acts = {"type": "actions", "block_id": "acts", "elements": [build_button(value="T1", style="danger")]}
    ts = slack.chat_postMessage(channel=TRADING, text="x", blocks=[acts])["ts"]
    page.act("use", "ben", channel=TRADING, ts=ts, action_id="go")
    payload = bot.last.fields
    assert bot.last.path == "/slack/interactions"
    assert bot.last.signed
    assert payload["type"] == "block_actions"
    assert payload["user"]["username"] == "ben"
    assert payload["container"] == {
        "type": "message",
        "message_ts": ts,
        "channel_id": TRADING,
        "is_ephemeral": False,
    }
    assert payload["message"]["ts"] == ts
    (action,) = payload["actions"]
    assert action["action_id"] == "go"
    assert action["block_id"] == "acts"
    assert action["value"] == "T1"
    assert payload["response_url"]
    assert payload["trigger_id"]


def test_private_message_is_not_sent_back(page, bot, slack):
    acts = [{"type": "actions", "elements": [build_button()]}]
    ts = slack.chat_postEphemeral(channel=TRADING, user=AVA, text="x", blocks=acts)["message_ts"]
    page.act("use", channel=TRADING, ts=ts, action_id="go")
    assert "message" not in bot.last.fields
    assert bot.last.fields["container"]["is_ephemeral"] is True
    status, _ = page.post("/control/use", user="ben", channel=TRADING, ts=ts, action_id="go")
    assert status == 404


def test_button_without_a_response_shows_a_private_message(page, bot, slack):
    ts = slack.chat_postMessage(
        channel=TRADING, text="x", blocks=[{"type": "actions", "elements": [build_button()]}]
    )["ts"]
    bot.queue_response(status=500)
    assert page.act("use", channel=TRADING, ts=ts, action_id="go")["outcome"] == "failed"
    assert page.texts("ava")[-1] == "We had some trouble connecting. Try again?"
    assert page.texts("ben") == ["x"]
