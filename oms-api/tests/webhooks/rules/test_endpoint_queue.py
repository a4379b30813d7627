"""Which delivery of an endpoint is sent next."""

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


def delivery(number, subject):
    return Delivery(number, "wh_1", 1, number, subject, 0, NOON)


@pytest.fixture
def queue():
    return EndpointQueue(ENDPOINT)


def deliver_first_event(queue):
    """Deliver one event, so that the endpoint may receive several at once."""
    queue.add([delivery(0, "first")])
    queue.finish(queue.take(NOON), OK, None, NOON)
    return queue


def test_new_endpoint_gets_one_request_and_more_once_it_has_answered(queue):
    queue.add([delivery(number, f"O{number}") for number in range(1, 20)])
    first = queue.take(NOON)
    assert queue.take(NOON) is None
    queue.finish(first, OK, None, NOON)
    taken = [queue.take(NOON) for _ in range(MAX_CONCURRENT)]
    assert [taken_delivery and taken_delivery.id for taken_delivery in taken] == [2, 3, 4, 5, 6, 7, 8, 9]
    assert queue.take(NOON) is None
    assert queue.is_sending


def test_events_of_one_order_are_sent_one_after_another(queue):
    deliver_first_event(queue).add([delivery(1, "A"), delivery(2, "A"), delivery(3, "B")])
    first, other = queue.take(NOON), queue.take(NOON)
    assert (first.id, other.id, queue.take(NOON)) == (1, 3, None)
    queue.finish(first, OK, None, NOON)
    assert queue.take(NOON).id == 2


def test_failed_event_holds_back_later_ones_of_its_order_only(queue):
    deliver_first_event(queue).add([delivery(1, "A"), delivery(2, "A"), delivery(3, "B")])
    first = queue.take(NOON)
    first.next_attempt_at = NOON + 60 * SECOND
    queue.finish(first, FAILED, first.next_attempt_at, NOON)
    assert queue.take(NOON) is None, "the endpoint pauses for a second"
    assert queue.take(NOON + SECOND).id == 3
    assert queue.take(NOON + SECOND) is None, "one request at a time after a failure"
    assert queue.waiting == 3


def test_pauses_grow_until_a_success(queue):
    queue.add([delivery(1, "A")])
    at = NOON
    for pause in (1, 2, 4):
        sent = queue.take(at)
        sent.next_attempt_at = at
        queue.finish(sent, FAILED, at, at)
        assert queue.take(at + 0.99 * pause * SECOND) is None
        assert queue.list_unloaded(at + 0.99 * pause * SECOND) == []
        at += pause * SECOND
    queue.finish(queue.take(at), OK, None, at)
    queue.add([delivery(2, "B")])
    assert queue.take(at).id == 2


def test_new_state_of_an_endpoint_continues_running_requests(queue):
    deliver_first_event(queue).add([delivery(1, "A"), delivery(2, "A")])
    sending = queue.take(NOON)
    changed = EndpointQueue(ENDPOINT)
    changed.add([delivery(1, "A"), delivery(2, "A"), delivery(3, "B")])
    changed.adopt(queue)
    other = changed.take(NOON)
    changed.finish(sending, OK, None, NOON)
    following = changed.take(NOON)
    assert [one and one.id for one in (other, following)] == [3, 2]
    reloaded_queue = EndpointQueue(ENDPOINT)
    reloaded_queue.adopt(queue)
    reloaded_queue.finish(sending, OK, None, NOON)
    assert (reloaded_queue.waiting, reloaded_queue.is_sending) == (0, False)


def test_deliveries_without_their_event_are_listed_to_be_loaded(queue):
    queue.add([delivery(2, "B"), delivery(1, "A"), delivery(3, "A")])
    assert [one.id for one in queue.list_unloaded(NOON)] == [1, 2]
    assert queue.list_unloaded(NOON - SECOND) == []
    taken = queue.take(NOON)
    queue.put_back(taken)
    assert queue.take(NOON) is taken


def test_room_is_bounded(queue):
    assert queue.has_room
    queue.add(delivery(number, "A") for number in range(MAX_WAITING))
    assert not queue.has_room
    queue = EndpointQueue(ENDPOINT)
    queue.has_more = True
    assert not queue.has_room


def test_random_answers_keep_the_order_of_each_order_and_lose_nothing(queue):
    generator = random.Random(7)
    queue.add([delivery(number, f"O{number % 5}") for number in range(1, 150)])
    done: dict[str, list[int]] = {}
    sending, at = [], NOON
    while queue.waiting:
        at += SECOND
        while (taken := queue.take(at)) is not None:
            sending.append(taken)
        ended = sending.pop(generator.randrange(len(sending))) if sending else None
        if ended is not None and generator.random() < 0.3:
            ended.next_attempt_at = at + SECOND
            queue.finish(ended, FAILED, ended.next_attempt_at, at)
        elif ended is not None:
            queue.finish(ended, OK, None, at)
            done.setdefault(ended.subject, []).append(ended.id)
    assert sum(len(numbers) for numbers in done.values()) == 149
    assert all(numbers == sorted(numbers) for numbers in done.values())


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


def test_reloaded_queue_keeps_the_newer_state_of_an_attempt_that_ended_meanwhile(queue):
    queue.add([delivery(1, "O1")])
    sent = queue.take(NOON)
    sent.attempt, sent.next_attempt_at = 1, NOON + 5 * SECOND
    queue.finish(sent, FAILED, sent.next_attempt_at, NOON)
    reloaded = EndpointQueue(ENDPOINT)
    reloaded.add([delivery(1, "O1"), delivery(2, "O2")])  # as they were read before the attempt ended
    reloaded.adopt(queue)
    other = reloaded.take(NOON)
    assert other is not None
    assert other.id == 2
    reloaded.finish(other, OK, None, NOON)
    assert reloaded.take(NOON + 5 * SECOND) is sent
