"""The writer prepares its statements once for each connection; discarded plans are made again."""

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, text
from sqlalchemy.exc import OperationalError

from app.database import build_insert, connect_engine, execute_writes, load_matching_rows
from app.database.engine import discard_plans
from app.database.locks import is_row_locked, set_short_lock_timeout

THINGS = Table("things", MetaData(), Column("id", Integer), Column("name", String(20)))
PREPARED = text(
    "SELECT count(*), coalesce(sum(generic_plans), 0), sum(custom_plans) FROM pg_prepared_statements"
)


@pytest.fixture
def owner(new_database):
    engine = connect_engine(new_database("postgresql", migrated=False))
    with engine.begin() as connection:
        THINGS.create(connection)
        connection.execute(text("GRANT ALL ON things TO PUBLIC"))
    yield engine
    engine.dispose()


@pytest.fixture
def engine(owner):
    engine = connect_engine(owner.url.render_as_string(hide_password=False), tenant_scoped=True)
    yield engine
    engine.dispose()


def find_rows(connection, *ids):
    return sorted(
        load_matching_rows(connection, THINGS, ("id", "name"), ("id",), [(row_id,) for row_id in ids])
    )


def test_statement_is_prepared_once_with_a_generic_plan(engine):
    with engine.connect().execution_options(prepares=True) as connection:
        for number in range(7):
            execute_writes(connection, build_insert(THINGS, ("id", "name"), [(number, "100 %s $1")]))
            assert find_rows(connection, number, 99) == [(number, "100 %s $1")]
            connection.commit()
        assert tuple(connection.execute(PREPARED).one()) == (2, 14, 0)


def test_prepared_statement_survives_rollback_and_discard_but_not_its_connection(engine):
    with engine.connect().execution_options(prepares=True) as connection:
        execute_writes(connection, build_insert(THINGS, ("id", "name"), [(1, "one")]))
        connection.rollback()
        discard_plans(connection)
        execute_writes(connection, build_insert(THINGS, ("id", "name"), [(2, "two")]))
        connection.commit()
        connection.invalidate()
        assert find_rows(connection, 1, 2) == [(2, "two")]
        assert connection.execute(PREPARED).one()[0] == 1


def test_statement_is_prepared_again_after_a_column_change(owner, engine):
    with engine.connect().execution_options(prepares=True) as connection:
        assert find_rows(connection, 1) == []
        connection.commit()
        with owner.begin() as other:
            other.execute(text("ALTER TABLE things ALTER COLUMN name TYPE text"))
            other.execute(text("INSERT INTO things VALUES (1, 'one')"))
        with pytest.raises(Exception, match="cached plan must not change result type"):
            find_rows(connection, 1)
        connection.rollback()
        assert find_rows(connection, 1) == [(1, "one")]


def test_other_connections_prepare_no_statements(engine):
    with engine.connect() as connection:
        assert find_rows(connection, 1) == []
        assert connection.execute(PREPARED).one()[0] == 0


def test_read_of_a_locked_row_is_reported_as_locked(owner, engine):
    with engine.connect().execution_options(prepares=True) as connection, owner.connect() as other:
        execute_writes(connection, build_insert(THINGS, ("id", "name"), [(1, "one")]))
        connection.commit()
        other.execute(text("SELECT FROM things FOR UPDATE"))
        set_short_lock_timeout(connection)
        with pytest.raises(OperationalError) as caught:
            load_matching_rows(connection, THINGS, ("id",), ("id",), [(1,)], lock_order_column="id")
        assert is_row_locked(caught.value)
        assert not caught.value.connection_invalidated


def test_read_on_a_lost_connection_invalidates_it(owner, engine):
    with engine.connect().execution_options(prepares=True) as connection:
        assert find_rows(connection, 1) == []
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with owner.begin() as other:
            other.execute(text(f"SELECT pg_terminate_backend({pid})"))
        with pytest.raises(OperationalError) as caught:
            find_rows(connection, 1)
        assert caught.value.connection_invalidated
        connection.rollback()
        assert find_rows(connection, 1) == []
