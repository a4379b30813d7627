import json
from urllib.parse import urlencode

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from tests.simulator.doubles import (
    ARCHIVED,
    AVA,
    BEN,
    HIDDEN,
    PRIVATE,
    TOKEN,
    TRADING,
    build_actions,
    build_button,
    build_modal,
    build_plain_text,
)
from tests.simulator.web_api import get_error


def test_auth_test_identifies_the_token(slack):
    body = slack.auth_test()
    assert body["bot_id"].startswith("B")
    assert body["user_id"].startswith("U")
    headers = {name.lower(): value for name, value in body.headers.items()}
    assert "chat:write" in headers["x-oauth-scopes"]


def test_wrong_token_is_invalid_auth(server):
    assert get_error(WebClient("xoxb-wrong", base_url=f"{server.url}/api/").auth_test) == "invalid_auth"


def test_no_token_is_not_authed(page):
    assert page.post("/api/auth.test")[1] == {"ok": False, "error": "not_authed"}


def test_token_may_be_a_field(page):
    status, body = page.get(f"/api/auth.test?{urlencode({'token': TOKEN})}")
    assert status == 200
    assert body["ok"] is True


def test_unknown_method_is_named(slack):
    with pytest.raises(SlackApiError) as caught:
        slack.api_call("chat.shout")
    assert caught.value.response["error"] == "unknown_method"
    assert caught.value.response["req_method"] == "chat.shout"


def test_form_encoded_and_json_arguments_mean_the_same(slack):
    blocks = [{"type": "divider"}]
    form = slack.api_call(
        "chat.postMessage", data={"channel": TRADING, "text": "a", "blocks": json.dumps(blocks)}
    )
    body = slack.api_call("chat.postMessage", json={"channel": TRADING, "text": "a", "blocks": blocks})
    assert [block["type"] for block in form["message"]["blocks"]] == ["divider"]
    assert [block["type"] for block in body["message"]["blocks"]] == ["divider"]


@pytest.mark.parametrize(("body", "error"), [(b"{", "invalid_json"), (b"[]", "json_not_object")])
def test_body_that_is_not_a_json_object_is_rejected(page, body, error):
    _, response = page.send("POST", "/api/auth.test", body, {"Authorization": f"Bearer {TOKEN}"})
    assert response == {"ok": False, "error": error}


@pytest.mark.parametrize(
    ("channel", "error"),
    [
        (PRIVATE, "not_in_channel"),
        (HIDDEN, "channel_not_found"),
        (ARCHIVED, "is_archived"),
        ("C0", "channel_not_found"),
    ],
)
def test_refused_post_returns_the_reason(slack, channel, error):
    assert get_error(slack.chat_postMessage, channel=channel, text="hello") == error
    assert get_error(slack.chat_postEphemeral, channel=channel, user=AVA, text="hello") == error


def test_posted_message_is_visible_to_everybody_in_the_channel(slack, page):
    body = slack.chat_postMessage(channel="#trading", text="done")
    assert page.messages("ben")[-1]["ts"] == body["ts"]
    assert body["message"]["bot_id"].startswith("B")


def test_ephemeral_is_for_one_person(slack, page):
    slack.chat_postEphemeral(channel=TRADING, user=AVA, text="psst")
    assert page.messages("ava")[-1]["ephemeral"] is True
    assert page.messages("ben") == []


def test_ephemeral_message_to_a_person_outside_the_channel_is_refused(slack, page):
    page.control("membership", channel="trading", user="ben", member=False)
    assert (
        get_error(slack.chat_postEphemeral, channel=TRADING, user=BEN, text="psst") == "user_not_in_channel"
    )
    assert (
        get_error(slack.chat_postEphemeral, channel=TRADING, user="U0", text="psst") == "user_not_in_channel"
    )


def test_text_is_required_and_limited(slack):
    assert get_error(slack.api_call, "chat.postMessage", json={"channel": TRADING, "text": " "}) == "no_text"
    assert get_error(slack.chat_postMessage, channel=TRADING, text="x" * 40_001) == "msg_too_long"
    many = [{"type": "section", "text": build_plain_text("x" * 2_999)}] * 5
    assert get_error(slack.chat_postMessage, channel=TRADING, text="x", blocks=many) == "msg_blocks_too_long"


def test_invalid_blocks_are_refused_with_the_path(slack):
    with pytest.raises(SlackApiError) as caught:
        slack.chat_postMessage(
            channel=TRADING, text="x", blocks=[{"type": "section", "text": build_plain_text("x" * 3_001)}]
        )
    assert caught.value.response["error"] == "invalid_blocks"
    messages = caught.value.response["response_metadata"]["messages"]
    assert messages == ["[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]"]


def test_missing_argument_is_named(slack):
    with pytest.raises(SlackApiError) as caught:
        slack.api_call("chat.postMessage", json={"text": "x"})
    assert caught.value.response["error"] == "invalid_arguments"
    assert "channel" in caught.value.response["response_metadata"]["messages"][0]


def test_message_is_edited_in_place(slack, page):
    ts = slack.chat_postMessage(channel=TRADING, text="placing", blocks=[build_actions(build_button())])["ts"]
    slack.chat_update(channel=TRADING, ts=ts, text="placed", blocks=[])
    (message,) = page.messages()
    assert message["text"] == "placed"
    assert message.get("blocks") is None
    assert message["edited"]["user"] == message["user"]


def test_only_own_messages_that_exist_are_edited(slack, page):
    ts = page.send_text("mine")["ts"]
    assert get_error(slack.chat_update, channel=TRADING, ts=ts, text="x") == "cant_update_message"
    assert get_error(slack.chat_update, channel=TRADING, ts="1.000001", text="x") == "message_not_found"


def test_reply_has_the_thread_of_its_message(slack, page):
    ts = slack.chat_postMessage(channel=TRADING, text="first")["ts"]
    slack.chat_postMessage(channel=TRADING, text="second", thread_ts=ts)
    assert page.messages()[-1]["thread_ts"] == ts
    assert (
        get_error(slack.chat_postMessage, channel=TRADING, text="x", thread_ts="1.000001")
        == "thread_not_found"
    )


def test_direct_message_is_opened_and_reaches_the_person(slack, page):
    channel = slack.conversations_open(users=[AVA])["channel"]["id"]
    slack.chat_postMessage(channel=channel, text="in private")
    assert page.texts("ava", "dm") == ["in private"]
    assert page.texts("ben", "dm") == []
    assert slack.conversations_open(channel=channel)["channel"]["id"] == channel
    assert get_error(slack.conversations_open, users=["U0"]) == "user_not_found"
    assert get_error(slack.conversations_open, users=[]) == "users_list_not_supplied"


def test_person_s_id_is_a_channel_too(slack, page):
    slack.chat_postMessage(channel=AVA, text="in private")
    assert page.texts("ava", "dm") == ["in private"]


def test_channels_and_people_are_described(slack):
    assert slack.conversations_info(channel=TRADING)["channel"]["is_member"] is True
    assert slack.conversations_info(channel=PRIVATE)["channel"]["is_member"] is False
    assert slack.conversations_info(channel=f"D{AVA[1:]}")["channel"]["user"] == AVA
    assert get_error(slack.conversations_info, channel=HIDDEN) == "channel_not_found"
    assert slack.users_info(user=AVA)["user"]["profile"]["display_name"] == "ava"
    assert get_error(slack.users_info, user="U0") == "user_not_found"


def test_log_has_the_call_but_not_the_token(slack, page, server):
    slack.chat_postMessage(channel=TRADING, text="x")
    page.get(f"/api/auth.test?token={TOKEN}")
    calls = page.log()["calls"]
    assert [call["method"] for call in calls] == ["chat.postMessage", "auth.test"]
    assert TOKEN not in json.dumps(page.log())
    assert TOKEN not in repr(server.simulator.settings)


def test_view_as_a_string_must_be_json(slack, trigger):
    response = get_error(slack.api_call, "views.open", data={"trigger_id": trigger, "view": "{"})
    assert response == "invalid_arguments"
    assert (
        get_error(slack.api_call, "chat.postMessage", data={"channel": TRADING, "blocks": "{"})
        == "invalid_blocks_format"
    )
    assert slack.api_call("views.open", data={"trigger_id": trigger, "view": json.dumps(build_modal())})["ok"]
