"""The routes of a message."""

import threading
import time
from dataclasses import replace
from itertools import pairwise
from unittest.mock import Mock

import pytest

from app.blocks.messages import notice
from app.delivery.confirmation_store import Receipt
from app.delivery.message_sender import Address, MessageSender
from app.delivery.outbox import Job, Outbox
from app.delivery.response_urls import ResponseUrls
from app.delivery.slack_api import SlackApi
from app.errors import Saturated, SlackRateLimited, SlackRefused, SlackUnreachable
from tests import factories
from tests.fakes import Answer, FakeSlack

TO = Address("U1", "C1", "V1", "req-1")
MESSAGE = notice("Done.")


class Post:
    def __init__(self, slack: FakeSlack, pace: float = 0.0):
        self.urls = ResponseUrls()
        self.outbox = Outbox(pace_seconds=pace)
        self.sender = MessageSender(
            SlackApi(factories.settings(slack.api_url), timeout_seconds=1), self.outbox, self.urls
        )


@pytest.fixture
def post(slack):
    post = Post(slack)
    yield post
    slack.released.set()
    post.outbox.close(1.0)


def test_confirmation_goes_to_the_channel(post, slack):
    post.sender.confirm(TO, MESSAGE)
    assert slack.wait_for("chat.postMessage")[0].body["channel"] == "C1"


@pytest.mark.parametrize("code", ["not_in_channel", "channel_not_found", "is_archived", "restricted_action"])
def test_refused_channel_message_falls_back_to_the_response_url(post, slack, code):
    slack.refuse("chat.postMessage", code)
    post.urls.remember("V1", slack.response_url)
    post.sender.confirm(TO, MESSAGE)
    body = slack.wait_for("respond")[0].body
    assert (body["response_type"], body["text"]) == ("in_channel", "Done.")
    assert body["replace_original"] is False


@pytest.mark.parametrize("url_known", [True, False])
def test_expired_response_url_falls_back_to_a_direct_message_with_a_hint(post, slack, url_known):
    slack.script("chat.postMessage", Answer(body={"ok": False, "error": "not_in_channel"}))
    slack.always["respond"] = Answer(404, b"used_url")
    if url_known:
        post.urls.remember("V1", slack.response_url)
    post.sender.confirm(TO, MESSAGE)
    body = slack.wait_for("chat.postMessage", 2)[1].body
    assert body["channel"] == "D-U1"
    assert "Done." in body["text"]
    assert "/invite" in body["text"]
    assert len(slack.named("respond")) == url_known


def test_post_with_a_lost_answer_is_not_repeated_but_sent_to_the_person(post, slack):
    slack.script("chat.postMessage", Answer(drop=True))
    post.sender.confirm(TO, MESSAGE)
    calls = slack.wait_for("chat.postMessage", 2)
    assert [call.body["channel"] for call in calls] == ["C1", "D-U1"]
    assert "did not say" in calls[1].body["text"]


@pytest.mark.parametrize(
    ("answers", "states"),
    [
        ([Answer()], ["begin", "finish"]),
        (
            [Answer(429, {"ok": False}, {"Retry-After": "0"}), Answer()],
            ["begin", "retract", "begin", "finish"],
        ),
        ([Answer(body={"ok": False, "error": "not_in_channel"})], ["begin", "retract", "begin", "finish"]),
        ([Answer(drop=True)], ["begin", "begin", "finish"]),
    ],
)
def test_claim_records_each_attempt(post, slack, answers, states):
    receipt = Mock(spec=Receipt)
    slack.script("chat.postMessage", *[replace(each, body=each.body or {"ok": True}) for each in answers])
    post.sender.confirm(replace(TO, receipt=receipt), MESSAGE)
    assert post.outbox.close(5.0)
    assert [name for name, _, _ in receipt.method_calls] == states


def test_private_message_is_sent_to_its_user_only(post, slack):
    post.urls.remember("V1", slack.response_url)
    post.sender.send_privately(TO, MESSAGE)
    assert slack.wait_for("respond")[0].body["response_type"] == "ephemeral"
    assert slack.named("chat.postMessage") == []
    assert slack.named("chat.postEphemeral") == []


def test_response_url_that_drops_is_replaced_by_a_direct_message(post, slack):
    slack.script("respond", Answer(drop=True), Answer(429, b"", {"Retry-After": "1"}))
    for _ in range(2):
        post.sender.respond(TO, slack.response_url, MESSAGE)
    assert [call.body["channel"] for call in slack.wait_for("chat.postMessage", 2)] == ["D-U1", "D-U1"]


def test_unreachable_person_is_logged(post, slack, caplog):
    slack.refuse("conversations.open", "user_not_found")
    post.sender.send_privately(TO, MESSAGE)
    slack.wait_for("conversations.open")
    assert post.outbox.close(2.0)
    assert "Message not delivered" in caplog.text


def test_429_delays_a_message_outside_the_request_threads(post, slack):
    slack.script("chat.postMessage", Answer(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "1"}))
    post.sender.confirm(TO, MESSAGE)
    assert len(slack.named("chat.postMessage")) <= 1  # the caller does not wait for the second attempt
    calls = slack.wait_for("chat.postMessage", 2)
    assert calls[1].at - calls[0].at >= 1.0


def test_429_delays_a_direct_message(post, slack):
    slack.script("chat.postMessage", Answer(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "0"}))
    post.sender.send_privately(TO, MESSAGE)
    assert len(slack.wait_for("chat.postMessage", 2)) == 2


def test_channel_gets_one_post_a_second_and_other_channels_do_not_wait_for_it(slack):
    post = Post(slack, pace=0.2)
    for channel in ("C1", "C1", "C1", "C2"):
        post.sender.confirm(Address("U1", channel, "V1", "req-1"), MESSAGE)
    calls = slack.wait_for("chat.postMessage", 4)
    post.outbox.close(1.0)
    times = [call.at for call in calls if call.body["channel"] == "C1"]
    other = next(call.at for call in calls if call.body["channel"] == "C2")
    assert all(later - earlier >= 0.19 for earlier, later in pairwise(times))
    assert other < times[1]


def test_slow_channel_does_not_delay_others(post, slack):
    slack.script("chat.postMessage", Answer(slow=5.0))
    post.sender.confirm(TO, MESSAGE)
    slack.wait_for("chat.postMessage")
    began = time.monotonic()
    post.sender.confirm(Address("U1", "C2", "V1", "req-2"), MESSAGE)
    slack.wait_for("chat.postMessage", 2)
    assert time.monotonic() - began < 4.0


def test_job_is_dropped_after_many_429s_or_a_long_one():
    given_up = threading.Event()

    def limited():
        raise SlackRateLimited("x", 3600)

    outbox = Outbox(pace_seconds=0)
    outbox.put("lane", Job(limited, given_up.set))
    assert given_up.wait(2)
    assert outbox.close(1.0)


def test_error_in_a_job_ends_neither_the_sender_nor_the_next_job(caplog):
    done = threading.Event()
    outbox = Outbox(senders=1, pace_seconds=0)
    outbox.put("lane", Job(lambda: 1 / 0, lambda: 1 / 0))  # type: ignore[arg-type] # it raises
    outbox.put("lane", Job(done.set, lambda: None))
    assert done.wait(2)
    assert outbox.close(1.0)
    assert "could not be sent" in caplog.text


def test_full_queue_refuses_a_message_and_logs_it(slack, caplog):
    outbox = Outbox(capacity=0)
    with pytest.raises(Saturated):
        outbox.put("lane", Job(lambda: None, lambda: None))
    MessageSender(SlackApi(factories.settings(slack.api_url)), outbox, ResponseUrls()).confirm(TO, MESSAGE)
    assert "Message not delivered" in caplog.text


def test_close_sends_the_queued_messages(post, slack):
    for _ in range(5):
        post.sender.confirm(TO, MESSAGE)
    assert post.outbox.close(5.0)
    assert len(slack.named("chat.postMessage")) == 5


def test_close_has_a_timeout(slack):
    post = Post(slack, pace=60)
    post.sender.confirm(TO, MESSAGE)
    post.sender.confirm(TO, MESSAGE)
    slack.wait_for("chat.postMessage")
    assert not post.outbox.close(0.05)


def test_response_url_has_five_uses_and_half_an_hour():
    now = [0.0]
    urls = ResponseUrls(clock=lambda: now[0])
    urls.remember("V1", "https://hooks/1")
    assert [urls.take("V1") for _ in range(6)] == ["https://hooks/1"] * 5 + [None]
    urls.remember("V2", "https://hooks/2")
    now[0] = 29 * 60.0
    assert urls.take("V2") is None
    assert urls.take("V3") is None


def test_only_the_latest_response_urls_are_kept():
    urls = ResponseUrls()
    for number in range(5001):
        urls.remember(f"V{number}", "u")
    assert urls.take("V0") is None
    assert urls.take("V5000") == "u"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(body={"ok": False, "error": "no"}), SlackRefused),
        (Answer(429, {"ok": False, "error": "ratelimited"}), SlackRateLimited),
        (Answer(500, b"<html>"), SlackUnreachable),
        (Answer(drop=True), SlackUnreachable),
        (Answer(slow=2.0), SlackUnreachable),
        (Answer(body=b"not json"), SlackRefused),
    ],
)
def test_each_failure_of_slack_is_named(slack, answer, error):
    slack.script("auth.test", answer)
    api = SlackApi(factories.settings(slack.api_url), timeout_seconds=1)
    with pytest.raises(error):
        api.identify()
    slack.released.set()
    assert len(slack.named("auth.test")) == 1, "the SDK's own retries are off"
