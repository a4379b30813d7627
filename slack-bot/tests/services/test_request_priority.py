"""Background work waits for requests, runs alone, and lets others run while it waits."""

import threading

import pytest

from app import request_priority
from app.delivery.send_queue import SendJob, SendQueue
from app.request_priority import RequestCounter, count_requests, run_in_background, run_outside
from app.services.state.workers import Workers


@pytest.fixture
def counter(monkeypatch):
    request_counter = RequestCounter()
    monkeypatch.setattr(request_priority, "REQUESTS", request_counter)
    monkeypatch.setattr(request_priority, "QUIET_SECONDS", 0.0)
    return request_counter


def test_background_work_waits_for_the_end_of_a_request(counter, monkeypatch):
    monkeypatch.setattr(request_priority, "MAX_PAUSE_SECONDS", 60.0)
    workers = Workers("test", threads=1, waiting=0, is_background=True)
    with counter.count():
        future = workers.submit("r", counter.is_busy)
        assert not future.done()
    assert future.result(timeout=60) is False
    workers.stop(wait=True)


def test_queued_redraws_of_the_overview_wait_for_the_end_of_a_request(counter, monkeypatch):
    monkeypatch.setattr(request_priority, "MAX_PAUSE_SECONDS", 60.0)
    waiting, event = threading.Event(), threading.Event()
    busy: list[bool] = []
    monkeypatch.setattr("app.request_priority.time.sleep", lambda _seconds: waiting.set())

    def work() -> None:
        busy.append(counter.is_busy())
        event.set()

    send_queue = SendQueue(is_background=True)
    with counter.count():
        send_queue.put("overview:U1", SendJob(work, event.set))
        assert waiting.wait(60)
        assert not event.is_set()
    assert event.wait(60)
    assert busy == [False]
    assert send_queue.close(60.0)


def test_request_that_never_ends_does_not_stop_background_work(counter, monkeypatch):
    monkeypatch.setattr(request_priority, "MAX_PAUSE_SECONDS", 0.01)
    with counter.count(), run_in_background():
        assert counter.is_busy()


def test_waiting_request_does_not_delay_background_work(counter):
    with counter.count(), counter.exclude():
        assert not counter.is_busy()


def test_request_counts_until_its_application_has_responded(counter):
    application = count_requests(lambda _environ, _start: [str(counter.is_busy()).encode()])
    assert application({}, lambda *_: None) == [b"True"]
    assert not counter.is_busy()


def test_background_work_runs_alone_except_where_it_waits(counter, monkeypatch):
    monkeypatch.setattr(request_priority, "MAX_PAUSE_SECONDS", 60.0)
    workers = Workers("test", threads=1, waiting=0, is_background=True)
    event = threading.Event()
    with run_in_background():
        future = workers.submit("r", event.set)
        assert not future.done()
        with run_outside():
            assert event.wait(60), "the other work runs in the meantime"
    workers.stop(wait=True)


def test_long_computation_pauses_for_a_request(counter, monkeypatch):
    monkeypatch.setattr(request_priority, "MAX_PAUSE_SECONDS", 60.0)
    paused = threading.Event()
    monkeypatch.setattr("app.request_priority.time.sleep", lambda _seconds: paused.set())
    request_priority.pause_background_work()  # this thread does not run background work
    with run_in_background(), counter.count():
        thread = threading.Thread(target=lambda: (paused.wait(60), counter._change_count(-1)))
        thread.start()
        request_priority.pause_background_work()
        assert not counter.is_busy()
        thread.join()
        counter._change_count(1)
