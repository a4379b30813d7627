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
from app.audit.service import AuditWriter
from app.database import unit_of_work
from tests.audit.entries import assert_unbroken, build_entry, read_audit_log
from tests.factories import NOON
from tests.support.conditions import WAIT_SECONDS

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


class Clock:
    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now


class ObservedWriter:
    """An audit writer with its clock, its database, and the numbers of its dropped entries."""

    def __init__(self, engine, **how):
        self.engine, self.clock = engine, Clock()
        self.drops: list[int] = []
        self.audit_writer = AuditWriter(engine, self.clock, self.drops.append, **how)

    def add(self, number=0, **changes):
        self.audit_writer.add(
            build_entry(
                **({"at": self.clock.now, "action": "denied", "target": f"operation {number}"} | changes)
            )
        )

    def flush(self, after=timedelta(0)):
        self.clock.now += after
        self.audit_writer.flush()

    def counts(self, tenant_id=1):
        rows, head = read_audit_log(self.engine, tenant_id)
        if rows:
            assert_unbroken(rows, head)
        return [row.count for row in rows]


@pytest.fixture
def observed_writer(audited_engine):
    return ObservedWriter(audited_engine)


def test_similar_actions_make_one_row_at_once_and_one_after_the_minute(observed_writer):
    observed_writer.add()
    observed_writer.flush()
    for _ in range(998):
        observed_writer.add()
    observed_writer.flush(59 * SECOND)
    assert observed_writer.counts() == [1]
    observed_writer.flush(SECOND)
    assert observed_writer.counts() == [1, 998]
    observed_writer.flush(MINUTE)
    assert observed_writer.counts() == [1, 998]


def test_each_tenant_has_its_own_audit_log(observed_writer):
    for tenant_id in (1, 2, 3, 2):
        observed_writer.add(tenant_id=tenant_id)
    observed_writer.flush()
    assert [observed_writer.counts(tenant_id) for tenant_id in (1, 2, 3)] == [[1], [2], [1]]


def test_flood_of_20_000_actions_makes_few_rows(observed_writer):
    observed_writer.add()
    observed_writer.flush()
    for number in range(20_000):
        observed_writer.add(number, actor=f"slack:T1:U{number}")
    observed_writer.flush(MINUTE)
    assert len(observed_writer.counts()) <= 2 * (MAX_DISTINCT + 1)
    assert sum(observed_writer.counts()) == 20_001
    assert observed_writer.drops == []


def break_engine(engine):
    """Let every statement of the engine fail as if the database were away; return how to end it."""

    def away(*_):
        raise OperationalError("", None, Exception("the database is away"))

    event.listen(engine, "before_cursor_execute", away)
    return lambda: event.remove(engine, "before_cursor_execute", away)


def test_actions_wait_for_an_unavailable_database_without_loss(observed_writer):
    come_back = break_engine(observed_writer.engine)
    for tenant_id in (1, 2):
        observed_writer.add(tenant_id=tenant_id)
    observed_writer.flush()
    observed_writer.add()
    observed_writer.flush(MINUTE)
    come_back()
    assert observed_writer.counts() == []
    observed_writer.flush()
    assert (observed_writer.counts(), observed_writer.counts(2)) == ([2], [1])
    assert observed_writer.drops == []


def test_overflow_is_reported_as_dropped_until_space_is_free(audited_engine):
    observed_writer = ObservedWriter(audited_engine, max_groups=3)
    come_back = break_engine(audited_engine)
    for _ in range(10):
        for number in range(2):
            observed_writer.add(number)
        observed_writer.flush(MINUTE)
    come_back()
    assert sum(observed_writer.drops) == 17
    observed_writer.flush()
    assert observed_writer.counts() == [1, 1, 1]
    observed_writer.flush(MINUTE)
    observed_writer.add()
    observed_writer.flush()
    assert observed_writer.counts() == [1, 1, 1, 1]
    assert sum(observed_writer.drops) == 17


def test_unwritable_action_does_not_block_others(observed_writer):
    observed_writer.add(tenant_id=99)  # there is no such tenant
    observed_writer.add(tenant_id=1)
    observed_writer.add(tenant_id=2)
    observed_writer.flush()
    assert (observed_writer.counts(1), observed_writer.counts(2), observed_writer.drops) == ([1], [1], [1])
    observed_writer.flush(MINUTE)
    assert observed_writer.drops == [1]


def test_recording_does_not_wait_for_a_hanging_flush(audited_engine):
    observed_writer, reached, go_on = ObservedWriter(audited_engine), threading.Event(), threading.Event()

    def hang(*_):
        reached.set()
        assert go_on.wait(WAIT_SECONDS)

    event.listen(audited_engine, "commit", hang)
    observed_writer.add()
    flushing = threading.Thread(target=observed_writer.flush)
    flushing.start()
    assert reached.wait(WAIT_SECONDS)
    observed_writer.add()  # would wait for ever if it waited for the flush
    go_on.set()
    flushing.join(WAIT_SECONDS)
    event.remove(audited_engine, "commit", hang)
    observed_writer.flush(MINUTE)
    assert observed_writer.counts() == [1, 1]


def test_thread_writes_periodically_and_shutdown_writes_the_rest(observed_writer):
    committed = threading.Event()
    event.listen(observed_writer.engine, "commit", lambda _: committed.set())
    observed_writer.audit_writer.start()
    observed_writer.add()
    assert committed.wait(WAIT_SECONDS)
    observed_writer.add()
    observed_writer.add(1)
    observed_writer.audit_writer.close()
    assert sorted(observed_writer.counts()) == [1, 1, 1]
    assert not observed_writer.audit_writer.is_running


def test_entries_not_written_at_shutdown_are_reported_as_dropped(observed_writer):
    come_back = break_engine(observed_writer.engine)
    observed_writer.audit_writer.start()
    for number in range(3):
        observed_writer.add(number)
    observed_writer.audit_writer.close()
    come_back()
    assert (observed_writer.counts(), sum(observed_writer.drops)) == ([], 3)


def test_shutdown_waits_a_limited_time_for_a_hanging_database(audited_engine, monkeypatch):
    observed_writer, reached, go_on = ObservedWriter(audited_engine), threading.Event(), threading.Event()

    def hang(*_):
        reached.set()
        assert go_on.wait(WAIT_SECONDS)

    monkeypatch.setattr("app.audit.service.audit_writer.CLOSE_SECONDS", 0.01)
    event.listen(audited_engine, "commit", hang)
    observed_writer.audit_writer.start()
    observed_writer.add()
    assert reached.wait(WAIT_SECONDS)
    observed_writer.add(1)
    observed_writer.audit_writer.close()
    assert sum(observed_writer.drops) == 2  # whether the one under way is written is not known
    monkeypatch.undo()
    go_on.set()
    observed_writer.audit_writer.close()
    assert not observed_writer.audit_writer.is_running


def test_recorder_that_never_started_can_be_closed(observed_writer):
    observed_writer.add()
    observed_writer.audit_writer.close()
    assert observed_writer.counts() == [1]


def test_concurrent_flushes_of_two_processes_make_one_chain(audited_engine):
    processes = [ObservedWriter(audited_engine) for _ in range(3)]
    for process in processes:
        for number in range(10):
            process.add(number)
    threads = [threading.Thread(target=process.flush) for process in processes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_SECONDS)
    assert processes[0].counts() == [1] * 30


def test_lock_of_another_session_delays_but_loses_no_action(observed_writer, engine, backend):
    observed_writer.add()
    observed_writer.flush()
    observed_writer.add(1)
    with unit_of_work(engine) as connection:
        connection.execute(text("UPDATE audit_heads SET last_sequence = last_sequence"))
        observed_writer.flush()
    assert observed_writer.counts() == [1]
    observed_writer.flush()
    assert observed_writer.counts() == [1, 1]
