"""The collection of denials and failed logins for the audit log.

They are recorded after the response, aggregated, and held in bounded memory. They are not lost while the
database is unavailable.
"""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from app.audit.rules.aggregation import MAX_DISTINCT
from app.audit.service import AuditTrail
from app.database import unit_of_work
from tests.audit.entries import assert_unbroken, build_entry, read_trail
from tests.factories import NOON
from tests.support.conditions import WAIT_SECONDS

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


class Clock:
    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now


class Noted:
    """A trail with its clock, its database, and the numbers of its dropped entries."""

    def __init__(self, engine, **options):
        self.engine, self.clock = engine, Clock()
        self.drops: list[int] = []
        self.trail = AuditTrail(engine, self.clock, self.drops.append, **options)

    def note(self, number=0, **changes):
        self.trail.note(
            build_entry(
                **({"at": self.clock.now, "action": "denied", "target": f"operation {number}"} | changes)
            )
        )

    def flush(self, after=timedelta(0)):
        self.clock.now += after
        self.trail.flush()

    def counts(self, tenant_id=1):
        rows, head = read_trail(self.engine, tenant_id)
        if rows:
            assert_unbroken(rows, head)
        return [row.count for row in rows]


@pytest.fixture
def observed_trail(trail_engine):
    return Noted(trail_engine)


def test_similar_actions_make_one_row_at_once_and_one_after_the_minute(observed_trail):
    observed_trail.note()
    observed_trail.flush()
    for _ in range(998):
        observed_trail.note()
    observed_trail.flush(59 * SECOND)
    assert observed_trail.counts() == [1]
    observed_trail.flush(SECOND)
    assert observed_trail.counts() == [1, 998]
    observed_trail.flush(MINUTE)
    assert observed_trail.counts() == [1, 998]


def test_each_tenant_has_its_own_audit_log(observed_trail):
    for tenant_id in (1, 2, 3, 2):
        observed_trail.note(tenant_id=tenant_id)
    observed_trail.flush()
    assert [observed_trail.counts(tenant_id) for tenant_id in (1, 2, 3)] == [[1], [2], [1]]


def test_flood_of_20_000_actions_makes_few_rows(observed_trail):
    observed_trail.note()
    observed_trail.flush()
    for number in range(20_000):
        observed_trail.note(number, actor=f"slack:T1:U{number}")
    observed_trail.flush(MINUTE)
    assert len(observed_trail.counts()) <= 2 * (MAX_DISTINCT + 1)
    assert sum(observed_trail.counts()) == 20_001
    assert observed_trail.drops == []


def break_engine(engine):
    """Let every statement of the engine fail as if the database were away; return how to end it."""

    def away(*_):
        raise OperationalError("", None, Exception("the database is away"))

    event.listen(engine, "before_cursor_execute", away)
    return lambda: event.remove(engine, "before_cursor_execute", away)


def test_actions_wait_for_an_unavailable_database_without_loss(observed_trail):
    come_back = break_engine(observed_trail.engine)
    for tenant_id in (1, 2):
        observed_trail.note(tenant_id=tenant_id)
    observed_trail.flush()
    observed_trail.note()
    observed_trail.flush(MINUTE)
    come_back()
    assert observed_trail.counts() == []
    observed_trail.flush()
    assert (observed_trail.counts(), observed_trail.counts(2)) == ([2], [1])
    assert observed_trail.drops == []


def test_overflow_is_reported_as_dropped_until_space_is_free(trail_engine):
    noted = Noted(trail_engine, max_groups=3)
    come_back = break_engine(trail_engine)
    for _ in range(10):
        for number in range(2):
            noted.note(number)
        noted.flush(MINUTE)
    come_back()
    assert sum(noted.drops) == 17
    noted.flush()
    assert noted.counts() == [1, 1, 1]
    noted.flush(MINUTE)
    noted.note()
    noted.flush()
    assert noted.counts() == [1, 1, 1, 1]
    assert sum(noted.drops) == 17


def test_unwritable_action_does_not_block_others(observed_trail):
    observed_trail.note(tenant_id=99)  # there is no such tenant
    observed_trail.note(tenant_id=1)
    observed_trail.note(tenant_id=2)
    observed_trail.flush()
    assert (observed_trail.counts(1), observed_trail.counts(2), observed_trail.drops) == ([1], [1], [1])
    observed_trail.flush(MINUTE)
    assert observed_trail.drops == [1]


def test_recording_does_not_wait_for_a_hanging_flush(trail_engine):
    noted, reached, go_on = Noted(trail_engine), threading.Event(), threading.Event()

    def hang(*_):
        reached.set()
        assert go_on.wait(WAIT_SECONDS)

    event.listen(trail_engine, "commit", hang)
    noted.note()
    flushing = threading.Thread(target=noted.flush)
    flushing.start()
    assert reached.wait(WAIT_SECONDS)
    noted.note()  # would wait for ever if it waited for the flush
    go_on.set()
    flushing.join(WAIT_SECONDS)
    event.remove(trail_engine, "commit", hang)
    noted.flush(MINUTE)
    assert noted.counts() == [1, 1]


def test_thread_writes_periodically_and_shutdown_writes_the_rest(observed_trail):
    committed = threading.Event()
    event.listen(observed_trail.engine, "commit", lambda _: committed.set())
    observed_trail.trail.start()
    observed_trail.note()
    assert committed.wait(WAIT_SECONDS)
    observed_trail.note()
    observed_trail.note(1)
    observed_trail.trail.close()
    assert sorted(observed_trail.counts()) == [1, 1, 1]
    assert not observed_trail.trail.is_running


def test_entries_not_written_at_shutdown_are_reported_as_dropped(observed_trail):
    come_back = break_engine(observed_trail.engine)
    observed_trail.trail.start()
    for number in range(3):
        observed_trail.note(number)
    observed_trail.trail.close()
    come_back()
    assert (observed_trail.counts(), sum(observed_trail.drops)) == ([], 3)


def test_shutdown_waits_a_limited_time_for_a_hanging_database(trail_engine, monkeypatch):
    noted, reached, go_on = Noted(trail_engine), threading.Event(), threading.Event()

    def hang(*_):
        reached.set()
        assert go_on.wait(WAIT_SECONDS)

    monkeypatch.setattr("app.audit.service.trail.CLOSE_SECONDS", 0.01)
    event.listen(trail_engine, "commit", hang)
    noted.trail.start()
    noted.note()
    assert reached.wait(WAIT_SECONDS)
    noted.note(1)
    noted.trail.close()
    assert sum(noted.drops) == 2  # whether the one under way is written is not known
    monkeypatch.undo()
    go_on.set()
    noted.trail.close()
    assert not noted.trail.is_running


def test_recorder_that_never_started_can_be_closed(observed_trail):
    observed_trail.note()
    observed_trail.trail.close()
    assert observed_trail.counts() == [1]


def test_concurrent_flushes_of_two_processes_make_one_chain(trail_engine):
    processes = [Noted(trail_engine) for _ in range(3)]
    for process in processes:
        for number in range(10):
            process.note(number)
    threads = [threading.Thread(target=process.flush) for process in processes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_SECONDS)
    assert processes[0].counts() == [1] * 30


def test_lock_of_another_session_delays_but_loses_no_action(observed_trail, engine, backend):
    observed_trail.note()
    observed_trail.flush()
    observed_trail.note(1)
    with unit_of_work(engine) as connection:
        connection.execute(text("UPDATE audit_heads SET last_sequence = last_sequence"))
        observed_trail.flush()
    assert observed_trail.counts() == [1]
    observed_trail.flush()
    assert observed_trail.counts() == [1, 1]
