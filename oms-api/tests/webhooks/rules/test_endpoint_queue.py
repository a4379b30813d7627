"""The next delivery of an endpoint."""

import random
from datetime import timedelta

import pytest

from app.webhooks.rules.attempts import AttemptResult
from app.webhooks.rules.endpoint_queue import MAX_CONCURRENT, MAX_WAITING, EndpointQueue, choose_position
from app.webhooks.rules.values import Delivery, Endpoint
from tests.factories import NOON

OK, FAILED = AttemptResult(200, 1), AttemptResult(500, 1)
ENDPOINT = Endpoint("wh_1", 1, "https://h.example/", ("order.*",), 1, 0, "s", None, None)
SECOND = timedelta(seconds=1)


def build_delivery(number, subject):
    return Delivery(number, "wh_1", 1, number, subject, 0, NOON)


@pytest.fixture
def endpoint_queue():
    return EndpointQueue(ENDPOINT)


def deliver_first_event(queue):
    """Deliver one event, so that the endpoint may receive several at once."""
    queue.add([build_delivery(0, "first")])
    queue.finish(queue.take(NOON), OK, None, NOON)
    return queue


def test_new_endpoint_gets_one_request_and_more_once_it_has_answered(endpoint_queue):
    endpoint_queue.add([build_delivery(number, f"O{number}") for number in range(1, 20)])
    first = endpoint_queue.take(NOON)
    assert endpoint_queue.take(NOON) is None
    endpoint_queue.finish(first, OK, None, NOON)
    deliveries = [endpoint_queue.take(NOON) for _ in range(MAX_CONCURRENT)]
    assert [taken_delivery and taken_delivery.id for taken_delivery in deliveries] == [2, 3, 4, 5, 6, 7, 8, 9]
    assert endpoint_queue.take(NOON) is None
    assert endpoint_queue.is_sending


def test_events_of_one_order_are_sent_one_after_another(endpoint_queue):
    deliver_first_event(endpoint_queue).add(
        [build_delivery(1, "A"), build_delivery(2, "A"), build_delivery(3, "B")]
    )
    first, other = endpoint_queue.take(NOON), endpoint_queue.take(NOON)
    assert (first.id, other.id, endpoint_queue.take(NOON)) == (1, 3, None)
    endpoint_queue.finish(first, OK, None, NOON)
    assert endpoint_queue.take(NOON).id == 2


def test_failed_event_holds_back_later_ones_of_its_order_only(endpoint_queue):
    deliver_first_event(endpoint_queue).add(
        [build_delivery(1, "A"), build_delivery(2, "A"), build_delivery(3, "B")]
    )
    first = endpoint_queue.take(NOON)
    first.next_attempt_at = NOON + 60 * SECOND
    endpoint_queue.finish(first, FAILED, first.next_attempt_at, NOON)
    assert endpoint_queue.take(NOON) is None, "the endpoint pauses for a second"
    assert endpoint_queue.take(NOON + SECOND).id == 3
    assert endpoint_queue.take(NOON + SECOND) is None, "one request at a time after a failure"
    assert endpoint_queue.waiting == 3


def test_pauses_grow_until_a_success(endpoint_queue):
    endpoint_queue.add([build_delivery(1, "A")])
    at = NOON
    for pause in (1, 2, 4):
        sent = endpoint_queue.take(at)
        sent.next_attempt_at = at
        endpoint_queue.finish(sent, FAILED, at, at)
        assert endpoint_queue.take(at + 0.99 * pause * SECOND) is None
        assert endpoint_queue.list_unloaded(at + 0.99 * pause * SECOND) == []
        at += pause * SECOND
    endpoint_queue.finish(endpoint_queue.take(at), OK, None, at)
    endpoint_queue.add([build_delivery(2, "B")])
    assert endpoint_queue.take(at).id == 2


def test_new_state_of_an_endpoint_continues_running_requests(endpoint_queue):
    deliver_first_event(endpoint_queue).add([build_delivery(1, "A"), build_delivery(2, "A")])
    sending = endpoint_queue.take(NOON)
    changed = EndpointQueue(ENDPOINT)
    changed.add([build_delivery(1, "A"), build_delivery(2, "A"), build_delivery(3, "B")])
    changed.continue_requests(endpoint_queue)
    other = changed.take(NOON)
    changed.finish(sending, OK, None, NOON)
    following = changed.take(NOON)
    assert [job and job.id for job in (other, following)] == [3, 2]
    reloaded_queue = EndpointQueue(ENDPOINT)
    reloaded_queue.continue_requests(endpoint_queue)
    reloaded_queue.finish(sending, OK, None, NOON)
    assert (reloaded_queue.waiting, reloaded_queue.is_sending) == (0, False)


def test_deliveries_without_their_event_are_listed_to_be_loaded(endpoint_queue):
    endpoint_queue.add([build_delivery(2, "B"), build_delivery(1, "A"), build_delivery(3, "A")])
    assert [job.id for job in endpoint_queue.list_unloaded(NOON)] == [1, 2]
    assert endpoint_queue.list_unloaded(NOON - SECOND) == []
    deliveries = endpoint_queue.take(NOON)
    endpoint_queue.put_back(deliveries)
    assert endpoint_queue.take(NOON) is deliveries


def test_queue_size_is_bounded(endpoint_queue):
    assert endpoint_queue.has_room
    endpoint_queue.add(build_delivery(number, "A") for number in range(MAX_WAITING))
    assert not endpoint_queue.has_room
    endpoint_queue = EndpointQueue(ENDPOINT)
    endpoint_queue.has_more = True
    assert not endpoint_queue.has_room


def test_random_answers_keep_the_order_of_each_order_and_lose_nothing(endpoint_queue):
    generator = random.Random(7)
    endpoint_queue.add([build_delivery(number, f"O{number % 5}") for number in range(1, 150)])
    attempts: dict[str, list[int]] = {}
    sending, at = [], NOON
    while endpoint_queue.waiting:
        at += SECOND
        while (deliveries := endpoint_queue.take(at)) is not None:
            sending.append(deliveries)
        ended = sending.pop(generator.randrange(len(sending))) if sending else None
        if ended is not None and generator.random() < 0.3:
            ended.next_attempt_at = at + SECOND
            endpoint_queue.finish(ended, FAILED, ended.next_attempt_at, at)
        elif ended is not None:
            endpoint_queue.finish(ended, OK, None, at)
            attempts.setdefault(ended.subject, []).append(ended.id)
    assert sum(len(numbers) for numbers in attempts.values()) == 149
    assert all(numbers == sorted(numbers) for numbers in attempts.values())


@pytest.mark.parametrize(
    ("cursors", "position"),
    [
        ([], 2_000_000),
        ([1_999_990, 1_999_950], 1_999_950),
        ([1_000_000, 1_999_999], 1_000_000),
        ([999_999, 1_999_999], 1_999_999),
        ([5], 2_000_000),
    ],
)
def test_dispatcher_begins_at_the_lowest_cursor_that_is_not_far_behind(cursors, position):
    assert choose_position(cursors, 2_000_000) == position


def test_reloaded_queue_keeps_the_newer_state_of_an_attempt_that_ended_meanwhile(endpoint_queue):
    endpoint_queue.add([build_delivery(1, "O1")])
    sent = endpoint_queue.take(NOON)
    sent.attempt, sent.next_attempt_at = 1, NOON + 5 * SECOND
    endpoint_queue.finish(sent, FAILED, sent.next_attempt_at, NOON)
    reloaded = EndpointQueue(ENDPOINT)
    reloaded.add(
        [build_delivery(1, "O1"), build_delivery(2, "O2")]
    )  # as they were read before the attempt ended
    reloaded.continue_requests(endpoint_queue)
    other = reloaded.take(NOON)
    assert other is not None
    assert other.id == 2
    reloaded.finish(other, OK, None, NOON)
    assert reloaded.take(NOON + 5 * SECOND) is sent
