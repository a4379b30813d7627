"""Audit entries are written in the transaction of their change, in one unbroken chain per tenant."""

import threading
import time

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.audit.queries import entries as queries
from app.audit.rules.chain import START, Head
from app.audit.service import record_entries
from app.database import connect_engine, set_tenant_scope, unit_of_work
from tests.audit.databases import prepare_engine
from tests.audit.entries import assert_unbroken, build_entry, read_audit_log
from tests.support.conditions import WAIT_SECONDS


def list_written_entries(engine, *entries):
    with unit_of_work(engine) as connection:
        record_entries(set_tenant_scope(connection, {entry.tenant_id for entry in entries}), entries)


def test_entry_contains_the_action(audited_engine):
    list_written_entries(audited_engine, build_entry())
    (row,), head = read_audit_log(audited_engine)
    assert row[:-2] == (
        *(
            1,
            1,
            "2026-11-20T12:00:00.000000Z",
            "slack:T1:U1",
            "desk-bot",
            "user.changed",
            "user 7",
            "192.0.2.7",
        ),
        *("r1", '{"role":"viewer"}', '{"role":"trader"}', 1),
    )
    assert head == Head(1, row.hash)


def test_unknown_values_are_null(audited_engine):
    list_written_entries(audited_engine, build_entry(address=None, request_id=None, before=None, after=None))
    (row,), head = read_audit_log(audited_engine)
    assert row.address is None
    assert row.request_id is None
    assert row.before is None
    assert row.after is None
    assert_unbroken([row], head)


def test_entries_of_several_transactions_make_one_chain(audited_engine):
    for number in range(3):
        list_written_entries(
            audited_engine, build_entry(target=f"user {number}"), build_entry(target=f"key {number}")
        )
    rows, head = read_audit_log(audited_engine)
    assert [row.target for row in rows] == ["user 0", "key 0", "user 1", "key 1", "user 2", "key 2"]
    assert_unbroken(rows, head)


def test_tenants_have_separate_chains(audited_engine):
    list_written_entries(audited_engine, *(build_entry(tenant_id=tenant_id) for tenant_id in (3, 1, 2, 3)))
    assert [len(read_audit_log(audited_engine, tenant_id)[0]) for tenant_id in (1, 2, 3)] == [1, 1, 2]
    for tenant_id in (1, 2, 3):
        assert_unbroken(*read_audit_log(audited_engine, tenant_id))


def test_empty_audit_log_has_sequence_zero(audited_engine):
    assert read_audit_log(audited_engine) == ([], START)
    list_written_entries(audited_engine)
    assert read_audit_log(audited_engine) == ([], START)


def change_and_fail(engine):
    with unit_of_work(engine) as connection:
        record_entries(set_tenant_scope(connection, [1]), [build_entry()])
        connection.execute(text("SELECT nothing FROM nowhere"))


def test_entry_of_a_failed_change_is_rolled_back(audited_engine):
    with pytest.raises(DBAPIError):
        change_and_fail(audited_engine)
    assert read_audit_log(audited_engine) == ([], START)
    list_written_entries(audited_engine, build_entry())
    assert_unbroken(*read_audit_log(audited_engine))


def test_long_or_unprintable_text_is_recorded_after_cleaning(audited_engine):
    long = "\0" + "é" * 1000
    list_written_entries(
        audited_engine,
        build_entry(actor=long, via=long, action=long, target=long, address=long, request_id=long),
    )
    assert_unbroken(*read_audit_log(audited_engine))


def test_audit_log_requires_a_tenant_scope_to_read_and_write(audited_engine, backend):
    if backend == "sqlite":
        return  # it has no second wall
    list_written_entries(audited_engine, build_entry())
    with audited_engine.connect() as connection:
        assert queries.get_head(connection, 1) == START
        assert queries.list_entries_between(connection, 1, 0, 10, 10) == []
        assert queries.get_head(set_tenant_scope(connection, [2]), 1) == START
    with pytest.raises(DBAPIError, match="row-level security"), unit_of_work(audited_engine) as connection:
        record_entries(set_tenant_scope(connection, [2]), [build_entry(tenant_id=1)])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET actor = 'nobody'",
        "UPDATE audit_log SET hash = hash",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "TRUNCATE tenants CASCADE",
        "REPLACE INTO audit_log SELECT * FROM audit_log",
        "INSERT INTO audit_log SELECT * FROM audit_log WHERE true"
        " ON CONFLICT (tenant_id, sequence) DO UPDATE SET actor = 'nobody'",
    ],
)
def test_audit_log_is_append_only_even_for_the_database_owner(audited_engine, engine, backend, statement):
    if statement.startswith("TRUNCATE" if backend == "sqlite" else "REPLACE"):
        statement = "DELETE FROM audit_log"  # the other database has no such statement
    list_written_entries(audited_engine, build_entry(), build_entry())
    before = read_audit_log(audited_engine)
    with pytest.raises(DBAPIError, match="append-only"), unit_of_work(engine) as connection:
        connection.execute(text(statement))
    assert read_audit_log(audited_engine) == before


def test_parallel_writers_make_one_chain_without_gaps(audited_engine):
    failures = run_together(
        *[
            lambda: list_written_entries(audited_engine, build_entry(), build_entry(target="user 8"))
            for _ in range(4)
        ],
        times=25,
    )
    rows, head = read_audit_log(audited_engine)
    assert failures == []
    assert len(rows) == 200
    assert_unbroken(rows, head)


def test_writers_of_several_audit_logs_do_not_deadlock(audited_engine):
    orders = [(1, 2, 3), (3, 2, 1), (2, 3, 1)]
    failures = run_together(
        *[
            lambda order=order: list_written_entries(
                audited_engine, *(build_entry(tenant_id=tenant_id) for tenant_id in order)
            )
            for order in orders
        ],
        times=20,
    )
    assert failures == []
    for tenant_id in (1, 2, 3):
        rows, head = read_audit_log(audited_engine, tenant_id)
        assert len(rows) == 60
        assert_unbroken(rows, head)


def test_audit_heads_are_created_in_tenant_sequence_without_deadlock(new_database):
    url = new_database("postgresql")
    with prepare_engine(url) as engine:
        second = threading.Thread(
            target=list_written_entries, args=(engine, build_entry(tenant_id=3), build_entry(tenant_id=2))
        )
        with unit_of_work(engine) as connection:
            record_entries(set_tenant_scope(connection, [2, 3]), [build_entry(tenant_id=2)])
            second.start()
            wait_until_blocked(url)  # on the head of tenant 2: it must not hold that of tenant 3 by now
            record_entries(connection, [build_entry(tenant_id=3)])
        second.join(WAIT_SECONDS)
        assert [len(read_audit_log(engine, tenant_id)[0]) for tenant_id in (2, 3)] == [2, 2]


def wait_until_blocked(url):
    here = "datname = current_database() AND wait_event_type = 'Lock'"
    blocked = text(f"SELECT count(*) FROM pg_stat_activity WHERE {here}")  # noqa: S608  # a literal of the test
    deadline = time.monotonic() + WAIT_SECONDS
    owner = connect_engine(url)  # the service's role is not shown what others wait for
    with owner.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while not connection.execute(blocked).scalar_one():
            assert time.monotonic() < deadline, "nobody is blocked"
    owner.dispose()


def run_together(*works, times):
    """Run each function so many times in a separate thread. Return the exceptions."""
    failures, begin = [], threading.Barrier(len(works))

    def repeat(work):
        try:
            begin.wait(WAIT_SECONDS)
            for _ in range(times):
                work()
        except Exception as error:  # noqa: BLE001  # the test expects none
            failures.append(error)

    threads = [threading.Thread(target=repeat, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_SECONDS)
    assert not any(thread.is_alive() for thread in threads)
    return failures
