import threading

import pytest

from app.errors import QueueFull
from app.services.state.open_forms import MAX_ENTRIES as FORMS
from app.services.state.open_forms import OpenForms
from app.services.state.submission_registry import MAX_ENTRIES, Outcome, RecentIds, SubmissionRegistry
from app.services.state.workers import Workers

DONE = Outcome({}, {}, is_recorded=True)
DENIED = Outcome({}, {})


def test_work_beyond_the_capacity_is_refused_at_once():
    workers, release = Workers("test", threads=1, waiting=1), threading.Event()
    running = [workers.submit("req-1", release.wait) for _ in range(2)]
    with pytest.raises(QueueFull):
        workers.submit("req-1", release.wait)
    release.set()
    assert all(each.result(60) for each in running)
    assert workers.submit("req-1", lambda: 3).result(60) == 3
    workers.stop()


def test_failure_is_logged_with_its_request_id(caplog):
    workers = Workers("test", threads=1, waiting=0)
    with pytest.raises(ZeroDivisionError):
        workers.submit("req-9", lambda: 1 / 0).result(60)
    workers.stop()
    assert [getattr(record, "request_id", "") for record in caplog.records] == ["req-9"]


def test_first_delivery_owns_a_submission():
    claims = SubmissionRegistry()
    first, is_new = claims.claim("key", "one", {})
    again, is_new_again = claims.claim("key", "two", {})
    assert is_new
    assert not is_new_again
    assert first is again


def test_key_is_free_after_a_denial_but_the_denied_delivery_is_remembered():
    claims = SubmissionRegistry()
    first, _ = claims.claim("key", "one", {})
    claims.finish(first, DENIED)
    assert claims.claim("key", "one", {}) == (first, False)
    second, is_new = claims.claim("key", "two", {})
    assert is_new
    assert second is not first


def test_key_that_traded_is_never_released():
    claims = SubmissionRegistry()
    first, _ = claims.claim("key", "one", {})
    claims.finish(first, DONE)
    assert claims.claim("key", "two", {}) == (first, False)


def test_late_submission_has_to_be_redrawn():
    claims = SubmissionRegistry()
    submission, _ = claims.claim("key", "one", {})
    assert submission.wait(0) is None
    assert claims.finish(submission, DONE)
    assert submission.wait(0) is DONE


def test_submission_that_ended_in_time_needs_no_redraw():
    claims = SubmissionRegistry()
    submission, _ = claims.claim("key", "one", {})
    assert not claims.finish(submission, DONE)


def test_memory_is_bounded():
    recent_ids, claims, forms = RecentIds(), SubmissionRegistry(), OpenForms()
    for number in range(MAX_ENTRIES + 1):
        assert recent_ids.add(str(number))
        claims.claim(str(number), str(number), {})
    assert recent_ids.add("0")
    assert not recent_ids.add(str(MAX_ENTRIES))
    assert claims.claim("0", "0", {})[1]
    first = forms.get("0")
    for number in range(1, FORMS + 1):
        forms.get(str(number))
    assert forms.get("0") is not first
