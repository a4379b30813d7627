"""Mentions of the bot and direct messages to it."""

import pytest

from tests.conftest import finish_work
from tests.fakes import Response
from tests.handlers.portfolio_workspace import PortfolioWorkspace


def test_mention_in_a_thread_gets_a_private_reply_in_the_thread(trading: PortfolioWorkspace):
    assert trading.mention("quote AAPL", thread_ts="1.1") == 200
    call = trading.slack.wait_for("chat.postEphemeral")[0].body
    assert call["channel"] == "C1"
    assert call["user"] == "U1"
    assert call["thread_ts"] == "1.1"
    assert "bid 174.90" in call["text"]


def test_shared_mention_gets_a_reply_in_the_thread(trading: PortfolioWorkspace):
    trading.mention("quote AAPL share", thread_ts="1.1")
    call = trading.slack.wait_for("chat.postMessage")[0].body
    assert call["channel"] == "C1"
    assert call["thread_ts"] == "1.1"


def test_plain_words_in_a_direct_message_get_a_reply_there(trading: PortfolioWorkspace):
    trading.write_directly("portfolio Growth")
    call = trading.slack.wait_for("chat.postMessage")[0].body
    assert call["channel"] == "D1"
    assert "equity 1,000,500.00" in call["text"]


@pytest.mark.parametrize(
    "change",
    [
        {"bot_id": "BBOT"}, {"subtype": "message_changed"}, {"subtype": "bot_message"}, {"user": ""},
        {"channel_type": "channel"},
    ],
)  # fmt: skip
def test_messages_of_bots_and_edits_are_ignored(trading: PortfolioWorkspace, change):
    assert trading.write_directly("positions", **change) == 200
    finish_work(trading.bot)
    assert trading.oms.calls == []
    assert trading.slack.calls == []


@pytest.mark.parametrize(
    ("text", "expected"), [("postions", "`positions`"), ("hello!", "`help`"), ("trade", "/trade")]
)
def test_unknown_words_get_a_hint(trading: PortfolioWorkspace, text, expected):
    trading.write_directly(text)
    assert expected in trading.slack.wait_for("chat.postMessage")[0].body["text"]


def test_command_that_needs_a_form_gets_a_button_that_opens_it(trading: PortfolioWorkspace):
    trading.mention("close AAPL in Growth")
    call = trading.slack.wait_for("chat.postEphemeral")[0].body
    button = call["blocks"][1]["elements"][0]
    assert trading.click(button["action_id"], button["value"]) == 200
    assert trading.wait_for_view()["callback_id"] == "close_form"


def test_repeated_event_gets_one_reply(trading: PortfolioWorkspace):
    for _ in range(3):
        trading.send_event(
            {"type": "message", "channel_type": "im", "user": "U1", "team": "T1", "channel": "D1",
             "text": "quote AAPL", "ts": "1.5"},
            event_id="EvSame",
        )  # fmt: skip
    finish_work(trading.bot)
    assert len(trading.slack.list_requests("chat.postMessage")) == 1


@pytest.mark.parametrize("change", [{"team": "T2"}, {"user_team": "T2"}])
def test_people_of_another_workspace_are_refused(trading: PortfolioWorkspace, change):
    trading.mention("positions", **change)
    assert "Only members" in trading.slack.wait_for("chat.postEphemeral")[0].body["text"]
    assert trading.oms.calls == []


def test_workspace_is_read_from_slack_once_if_the_event_names_none(trading: PortfolioWorkspace):
    trading.slack.teams["U9"] = "T9"
    trading.mention("quote AAPL", team=None)
    trading.slack.wait_for("chat.postEphemeral")
    trading.mention("quote AAPL", team=None)
    trading.slack.wait_for("chat.postEphemeral", 2)
    assert len(trading.slack.list_requests("users.info")) == 1
    trading.mention("quote AAPL", team=None, user="U9")
    assert "Only members" in trading.slack.wait_for("chat.postEphemeral", 3)[-1].body["text"]


def test_refused_channel_reply_is_sent_as_a_direct_message(trading: PortfolioWorkspace):
    trading.slack.refuse("chat.postEphemeral", "not_in_channel")
    trading.mention("quote AAPL")
    assert trading.slack.wait_for("chat.postMessage")[0].body["channel"] == "D-U1"


def test_rate_limit_is_honored(trading: PortfolioWorkspace):
    trading.slack.queue_responses("chat.postMessage", Response(429, headers={"Retry-After": "0"}))
    trading.write_directly("quote AAPL")
    assert len(trading.slack.wait_for("chat.postMessage", 2)) == 2
