"""The routes of a message."""

import threading
from dataclasses import replace
from itertools import pairwise
from unittest.mock import Mock

import pytest

from app.blocks.messages import build_notice
from app.delivery.confirmation_store import ConfirmationClaim
from app.delivery.message_sender import MessageSender, Recipient
from app.delivery.response_urls import ResponseUrls
from app.delivery.send_queue import SendJob, SendQueue
from app.delivery.slack_api import SlackApi
from app.errors import QueueFull, SlackRateLimited, SlackRefused, SlackUnreachable
from tests import factories
from tests.fakes import FakeSlack, Response

TO = Recipient("U1", "C1", "V1", "req-1")
MESSAGE = build_notice("Done.")


class DeliveryParts:
    def __init__(self, slack: FakeSlack, pace: float = 0.0):
        self.urls = ResponseUrls()
        self.send_queue = SendQueue(pace_seconds=pace)
        self.sender = MessageSender(
            SlackApi(factories.build_settings(slack.api_url), timeout_seconds=60), self.send_queue, self.urls
        )


@pytest.fixture
def delivery(slack):
    post = DeliveryParts(slack)
    yield post
    slack.released.set()
    post.send_queue.close(60.0)


def test_confirmation_goes_to_the_channel(delivery, slack):
    delivery.sender.post_to_channel(TO, MESSAGE)
    assert slack.wait_for("chat.postMessage")[0].body["channel"] == "C1"


@pytest.mark.parametrize("code", ["not_in_channel", "channel_not_found", "is_archived", "restricted_action"])
def test_refused_channel_message_falls_back_to_the_response_url(delivery, slack, code):
    slack.refuse("chat.postMessage", code)
    delivery.urls.remember("V1", slack.response_url)
    delivery.sender.post_to_channel(TO, MESSAGE)
    body = slack.wait_for("respond")[0].body
    assert body["response_type"] == "in_channel"
    assert body["text"] == "Done."
    assert body["replace_original"] is False


@pytest.mark.parametrize("url_known", [True, False])
def test_expired_response_url_falls_back_to_a_direct_message_with_a_hint(delivery, slack, url_known):
    slack.queue_responses("chat.postMessage", Response(body={"ok": False, "error": "not_in_channel"}))
    slack.default_responses["respond"] = Response(404, b"used_url")
    if url_known:
        delivery.urls.remember("V1", slack.response_url)
    delivery.sender.post_to_channel(TO, MESSAGE)
    body = slack.wait_for("chat.postMessage", 2)[1].body
    assert body["channel"] == "D-U1"
    assert "Done." in body["text"]
    assert "/invite" in body["text"]
    assert len(slack.list_requests("respond")) == url_known


def test_post_with_a_lost_response_is_not_repeated_but_sent_to_the_person(delivery, slack):
    slack.queue_responses("chat.postMessage", Response(drop=True))
    delivery.sender.post_to_channel(TO, MESSAGE)
    calls = slack.wait_for("chat.postMessage", 2)
    assert [call.body["channel"] for call in calls] == ["C1", "D-U1"]
    assert "did not confirm" in calls[1].body["text"]


@pytest.mark.parametrize(
    ("responses", "states"),
    [
        ([Response()], ["begin", "finish"]),
        (
            [Response(429, {"ok": False}, {"Retry-After": "0"}), Response()],
            ["begin", "retract", "begin", "finish"],
        ),
        ([Response(body={"ok": False, "error": "not_in_channel"})], ["begin", "retract", "begin", "finish"]),
        ([Response(drop=True)], ["begin", "begin", "finish"]),
    ],
)
def test_claim_records_each_attempt(delivery, slack, responses, states):
    claim = Mock(spec=ConfirmationClaim)
    slack.queue_responses(
        "chat.postMessage", *[replace(each, body=each.body or {"ok": True}) for each in responses]
    )
    delivery.sender.post_to_channel(replace(TO, claim=claim), MESSAGE)
    assert delivery.send_queue.close(60.0)
    assert [name for name, _, _ in claim.method_calls] == states


def test_private_message_is_sent_to_its_user_only(delivery, slack):
    delivery.urls.remember("V1", slack.response_url)
    delivery.sender.send_privately(TO, MESSAGE)
    assert slack.wait_for("respond")[0].body["response_type"] == "ephemeral"
    assert slack.list_requests("chat.postMessage") == []
    assert slack.list_requests("chat.postEphemeral") == []


def test_response_url_that_drops_is_replaced_by_a_direct_message(delivery, slack):
    slack.queue_responses("respond", Response(drop=True), Response(429, b"", {"Retry-After": "1"}))
    for _ in range(2):
        delivery.sender.respond(TO, slack.response_url, MESSAGE)
    assert [call.body["channel"] for call in slack.wait_for("chat.postMessage", 2)] == ["D-U1", "D-U1"]


def test_unreachable_person_is_logged(delivery, slack, caplog):
    slack.refuse("conversations.open", "user_not_found")
    delivery.sender.send_privately(TO, MESSAGE)
    slack.wait_for("conversations.open")
    assert delivery.send_queue.close(60.0)
    assert "Message not delivered" in caplog.text


def test_429_delays_a_message_by_its_retry_after(delivery, slack):
    slack.queue_responses(
        "chat.postMessage", Response(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "1"})
    )
    delivery.sender.post_to_channel(TO, MESSAGE)
    calls = slack.wait_for("chat.postMessage", 2)
    assert calls[1].at - calls[0].at >= 1.0


def test_429_delays_a_direct_message(delivery, slack):
    slack.queue_responses(
        "chat.postMessage", Response(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "0"})
    )
    delivery.sender.send_privately(TO, MESSAGE)
    assert len(slack.wait_for("chat.postMessage", 2)) == 2


def test_posts_to_a_channel_have_a_pace(slack):
    post = DeliveryParts(slack, pace=0.2)
    for _ in range(3):
        post.sender.post_to_channel(TO, MESSAGE)
    times = [call.at for call in slack.wait_for("chat.postMessage", 3)]
    post.send_queue.close(60.0)
    assert all(later - earlier >= 0.19 for earlier, later in pairwise(times))


def test_channel_does_not_wait_for_the_pace_of_another(slack):
    post = DeliveryParts(slack, pace=600)
    for channel in ("C1", "C1", "C2"):
        post.sender.post_to_channel(Recipient("U1", channel, "V1", "req-1"), MESSAGE)
    calls = slack.wait_for("chat.postMessage", 2)
    post.send_queue.close(0.0)
    assert sorted(call.body["channel"] for call in calls) == ["C1", "C2"]


def test_slow_channel_does_not_delay_others(delivery, slack):
    slack.queue_responses("chat.postMessage", Response(slow=60.0))
    delivery.sender.post_to_channel(TO, MESSAGE)
    slack.wait_for("chat.postMessage")
    delivery.sender.post_to_channel(Recipient("U1", "C2", "V1", "req-2"), MESSAGE)
    slack.wait_for("chat.postMessage", 2)
    assert len(slack.list_requests("chat.postMessage")) == 2


def test_job_is_dropped_after_many_429s_or_a_long_one():
    given_up = threading.Event()

    def limited():
        raise SlackRateLimited("x", 3600)

    send_queue = SendQueue(pace_seconds=0)
    send_queue.put("lane", SendJob(limited, given_up.set))
    assert given_up.wait(60)
    assert send_queue.close(60.0)


def test_error_in_a_job_ends_neither_the_sender_nor_the_next_job(caplog):
    event = threading.Event()
    send_queue = SendQueue(senders=1, pace_seconds=0)
    send_queue.put("lane", SendJob(lambda: 1 / 0, lambda: 1 / 0))  # type: ignore[arg-type] # it raises
    send_queue.put("lane", SendJob(event.set, lambda: None))
    assert event.wait(60)
    assert send_queue.close(60.0)
    assert "could not be sent" in caplog.text


def test_full_queue_refuses_a_message_and_logs_it(slack, caplog):
    send_queue = SendQueue(capacity=0)
    with pytest.raises(QueueFull):
        send_queue.put("lane", SendJob(lambda: None, lambda: None))
    MessageSender(
        SlackApi(factories.build_settings(slack.api_url)), send_queue, ResponseUrls()
    ).post_to_channel(TO, MESSAGE)
    assert "Message not delivered" in caplog.text


def test_closed_queue_refuses_a_message_and_logs_it(delivery, slack, caplog):
    assert delivery.send_queue.close(60.0)
    delivery.sender.post_to_channel(TO, MESSAGE)
    assert "Message not delivered" in caplog.text
    with pytest.raises(QueueFull, match="stopping"):
        delivery.send_queue.put("channel:C1", SendJob(lambda: None, lambda: None))
    assert slack.calls == []


def test_close_sends_the_queued_messages(delivery, slack):
    for _ in range(5):
        delivery.sender.post_to_channel(TO, MESSAGE)
    assert delivery.send_queue.close(60.0)
    assert len(slack.list_requests("chat.postMessage")) == 5


def test_close_has_a_timeout(slack):
    post = DeliveryParts(slack, pace=60)
    post.sender.post_to_channel(TO, MESSAGE)
    post.sender.post_to_channel(TO, MESSAGE)
    slack.wait_for("chat.postMessage")
    assert not post.send_queue.close(0.05)


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
    ("response", "error"),
    [
        (Response(body={"ok": False, "error": "no"}), SlackRefused),
        (Response(429, {"ok": False, "error": "ratelimited"}), SlackRateLimited),
        (Response(500, b"<html>"), SlackUnreachable),
        (Response(drop=True), SlackUnreachable),
        (Response(slow=60.0), SlackUnreachable),
        (Response(body=b"not json"), SlackRefused),
    ],
)
def test_each_failure_of_slack_is_named(slack, response, error):
    slack.queue_responses("auth.test", response)
    timeout_seconds = 1 if response.slow else 60
    api = SlackApi(factories.build_settings(slack.api_url), timeout_seconds)
    with pytest.raises(error):
        api.identify()
    slack.released.set()
    assert len(slack.list_requests("auth.test")) == 1, "the SDK's own retries are off"
