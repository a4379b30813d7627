"""Migrations up, down, without drift and concurrently, on both databases; no start on unsafe settings."""

import json
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event, inspect, text

import app.models  # noqa: F401  # fills the metadata
from app.database import METADATA, connect_engine, require_safe_durability
from app.database.engine import UnsafeDatabase
from app.ledger.queries.batch_statements import insert_portfolios
from app.ledger.rules.verification import LedgerCheck
from app.ledger.service.portfolio_state import build_portfolio, build_portfolio_row
from app.migrate import MIGRATIONS, build_alembic_config, is_current, list_earlier_revisions, migrate
from app.text import name_key
from app.verify import verify_database
from tests.commands.histories import forge_chain, record_history
from tests.factories import BOOTSTRAP_KEY, NOON
from tests.support.postgres import Databases, PostgresServer
from tests.support.processes import build_environment

HOME = Path(__file__).parents[2]


@contextmanager
def create_engine_for(url):
    engine = connect_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


@pytest.fixture
def empty_url(backend, new_database):
    """Provide an empty database."""
    return new_database(backend, migrated=False)


def list_tables(engine):
    return set(inspect(engine).get_table_names())


def list_schema_objects(engine):
    """Everything in the schema that has a separate definition."""
    if engine.dialect.name == "sqlite":
        statement = "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"
    else:
        statement = "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1"
    with engine.connect() as connection:
        return list(connection.execute(text(statement)))


def test_migrated_tables_match_the_models(engine):
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_migrations_run_up_down_and_up_again(empty_url):
    with create_engine_for(empty_url) as engine:
        migrate(engine)
        first = list_schema_objects(engine)
        assert {"tenants", "portfolios", "trades", "positions", "events", "api_keys"} <= list_tables(engine)
        with engine.begin() as connection:
            command.downgrade(build_alembic_config(connection), "base")
        assert list_tables(engine) <= {"alembic_version"}
        migrate(engine)
        assert list_schema_objects(engine) == first


def test_repeated_migration_changes_nothing(engine):
    before = list_schema_objects(engine)
    migrate(engine)
    assert list_schema_objects(engine) == before


def test_database_is_current_after_migration(empty_url):
    with create_engine_for(empty_url) as engine:
        with engine.connect() as connection:
            assert not is_current(connection)
        migrate(engine)
        with engine.connect() as connection:
            assert is_current(connection)


def migrate_in_a_process(url):
    return subprocess.run(
        [sys.executable, "-m", "app.migrate"],
        cwd=HOME,
        env=build_environment(DATABASE_URL=url),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_sqlite_migrates_while_a_service_writes(new_database):
    refused: list[object] = []

    def write_too(_, __, statement, *___):
        if not statement.startswith("ALTER TABLE") or refused:
            return
        with closing(sqlite3.connect(engine.url.database, timeout=0, isolation_level=None)) as other:
            with pytest.raises(sqlite3.OperationalError, match="locked") as waits:
                other.execute("UPDATE tenants SET name = 'Another'")
            refused.append(waits)

    with create_engine_for(new_database("sqlite", migrated=False)) as engine:
        migrate(engine, "0001")
        event.listen(engine, "before_cursor_execute", write_too)
        migrate(engine)
        assert refused
        with engine.connect() as connection:
            assert is_current(connection)


def test_failed_migration_prints_a_message_without_a_traceback():
    ended = migrate_in_a_process("postgresql://nobody@127.0.0.1:1/none")
    assert ended.returncode == 2
    assert ended.stderr.startswith("The database cannot be migrated: ")
    assert "Traceback" not in ended.stderr


def test_several_processes_can_migrate_concurrently(empty_url):
    with ThreadPoolExecutor(2) as starters:
        ended = list(starters.map(migrate_in_a_process, [empty_url] * 2))
    assert [process.returncode for process in ended] == [0] * 2, [process.stderr for process in ended]
    assert all("at revision" in process.stdout for process in ended)
    with create_engine_for(empty_url) as engine, engine.connect() as connection:
        assert is_current(connection)
        assert connection.execute(text("SELECT count(*) FROM tenants")).scalar_one() == 1


def start_service(url):
    """Start the service as an operator would and return how that ended."""
    command_line = [sys.executable, "-m", "app.main"]
    environment = build_environment(DATABASE_URL=url, OMS_API_KEY=BOOTSTRAP_KEY, PORT="1")
    return subprocess.run(
        command_line, cwd=HOME, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture(scope="module")
def unsafe_server():
    """Provide a server of this module's own, to be misconfigured."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes", "synchronous_commit"])
def test_server_settings_that_may_lose_a_commit_are_rejected(unsafe_server, setting):
    databases = Databases(unsafe_server.url)
    databases.run(f"ALTER SYSTEM SET {setting} = off")
    unsafe_server.reload(setting, "off")
    error = pytest.raises(UnsafeDatabase, match=f"{setting} = off: .*ALTER SYSTEM SET {setting} = on")
    with create_engine_for(unsafe_server.url) as engine, engine.connect() as connection, error:
        require_safe_durability(connection)
    databases.run(f"ALTER SYSTEM RESET {setting}")
    unsafe_server.reload(setting, "on")
    with create_engine_for(unsafe_server.url) as engine, engine.connect() as connection:
        require_safe_durability(connection)


def test_database_settings_that_may_lose_a_commit_are_rejected(databases, new_database):
    url = new_database("postgresql")
    name = url.rpartition("/")[2]
    databases.run(f"ALTER DATABASE {name} SET synchronous_commit = off")
    ended = start_service(url)
    assert ended.returncode != 0
    assert (
        "synchronous_commit = off: trades that were acknowledged could be lost" in ended.stdout + ended.stderr
    )
    assert "Traceback" not in ended.stdout + ended.stderr


def test_sqlite_flushes_every_commit(new_database):
    with create_engine_for(new_database("sqlite")) as engine, engine.connect() as connection:
        messages = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert messages == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_head_revision_from_file_names_matches_alembic():
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    revisions = {step.revision for step in scripts.walk_revisions()}
    assert list_earlier_revisions() == revisions - {scripts.get_current_head()}


def test_current_database_does_not_import_alembic(new_database):
    program = "import sys, app.main; sys.exit('alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=HOME, check=False).returncode == 0


def test_downgrade_that_would_lose_verifiable_data_is_rejected(serve, engine):
    with serve() as service:  # it ends before the downgrade, since its background work locks the database
        service.create_client().record_trade()
    with engine.connect() as connection, pytest.raises(RuntimeError, match="restore a backup instead"):
        command.downgrade(build_alembic_config(connection), "0001")
    with engine.connect() as connection:
        count = text("SELECT count(*) FROM trades WHERE hash_version > 1")
        assert connection.execute(count).scalar_one() == 1


def downgrade_to_previous_format(engine):
    """Make the ledger one of hash version 2, and take the database down to the revision of that version."""
    rewrite_ledger(engine, hash_version=2)
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        command.downgrade(build_alembic_config(connection), "0003")


def rewrite_ledger(engine, hash_version):
    """Make the ledger one of an older hash version."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        drop_guards(connection)
        connection.execute(
            text("UPDATE trades SET hash_version = :version, backdated_reason = NULL"),
            {"version": hash_version},
        )
        for (portfolio_id,) in connection.execute(text("SELECT id FROM portfolios")).all():
            forge_chain(connection, portfolio_id)
        forget_execution_times(connection)
        restore_guards(connection)


def forget_execution_times(connection):
    """Remove the fields of events that the previous version did not write."""
    for number, payload in connection.execute(
        text("SELECT id, payload FROM events WHERE type = 'trade.recorded'")
    ).all():
        fields = json.loads(payload)
        del fields["executed_at"]
        written = json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
        connection.execute(
            text("UPDATE events SET payload = :payload WHERE id = :id"), {"id": number, "payload": written}
        )


def drop_guards(connection):
    if connection.dialect.name == "sqlite":
        connection.execute(text("DROP TRIGGER trades_refuse_update"))
    else:
        connection.execute(text("ALTER TABLE trades DISABLE TRIGGER USER"))


def restore_guards(connection):
    if connection.dialect.name == "sqlite":
        refuse = "SELECT RAISE(ABORT, 'trades is append-only: UPDATE is refused')"
        connection.execute(
            text(f"CREATE TRIGGER trades_refuse_update BEFORE UPDATE ON trades BEGIN {refuse}; END")
        )
    else:
        connection.execute(text("ALTER TABLE trades ENABLE TRIGGER USER"))


def test_migration_adds_opening_times_to_existing_positions(engine):
    rows = record_history(engine, seed=3, with_euros=False)
    times = text(
        "SELECT portfolio_id, symbol, opened_at, closed_at, last_executed_at FROM positions ORDER BY 1, 2"
    )
    with engine.connect() as connection:
        before = connection.execute(times).all()
    downgrade_to_previous_format(engine)
    migrate(engine)
    with engine.connect() as connection:
        assert connection.execute(times).all() == before
    result = verify_database(engine)
    assert result.is_clean, result.first
    assert result.checked[LedgerCheck.CHAIN] == len(rows)


def test_downgrade_that_would_lose_exchange_rates_is_rejected(engine):
    record_history(engine, seed=3, batches=1)
    with engine.connect() as connection, pytest.raises(RuntimeError, match="restore a backup instead"):
        command.downgrade(build_alembic_config(connection), "0003")


def test_migration_sets_the_tenant_currency_shared_by_its_portfolios(engine):
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        for tenant_id, currencies in ((2, ["INR", "INR"]), (3, ["INR", "EUR"]), (4, [])):
            open_tenant(connection, tenant_id, currencies)
        scopes = {"asset_class": "crypto", "strategy": "momentum"}
        for scope, key in scopes.items():
            connection.execute(text(_LIMIT), {"scope": scope, "key": key, "at": NOON.isoformat()})
        command.downgrade(build_alembic_config(connection), "0005")
        assert connection.execute(text("SELECT scope FROM limits")).scalars().all() == ["strategy"]
    migrate(engine)
    with engine.connect() as connection:
        tenants = connection.execute(text("SELECT id, base_currency FROM tenants ORDER BY id")).all()
        assert [tuple(row) for row in tenants] == [(1, "USD"), (2, "INR"), (3, "USD"), (4, "USD")]
        assert connection.execute(text("SELECT name_key FROM limits")).scalars().all() == ["momentum"]


_LIMIT = """
    INSERT INTO limits (tenant_id, scope, name_key, code, is_temporary, name, value, set_by, set_at)
    VALUES (2, :scope, :key, 'MAX_ORDER_VALUE', 0, :key, '5', 'tests', :at)
"""
_TENANT = "INSERT INTO tenants (id, slug, name, created_at) VALUES (:id, :slug, :slug, :at)"


def open_tenant(connection, tenant_id, currencies):
    values = {"id": tenant_id, "slug": f"tenant-{tenant_id}", "at": NOON.isoformat()}
    connection.execute(text(_TENANT), values)
    for number, currency in enumerate(currencies):
        names = (f"Book {number}", f"book {number}")
        portfolio = build_portfolio(
            10 * tenant_id + number, tenant_id, *names, opening_cash=Decimal(1_000_000)
        )
        insert_portfolios(connection, [build_portfolio_row(replace(portfolio, base_currency=currency), NOON)])


def test_migrated_keys_are_unique_within_a_portfolio_and_sqlite_is_intact(engine):
    record_history(engine, seed=3, batches=1)
    with engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            assert connection.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"
        unique = {
            tuple(unique_constraint["column_names"])
            for table in ("trades", "orders")
            for unique_constraint in inspect(connection).get_unique_constraints(table)
            if unique_constraint["name"].split("_")[2] in {"idempotency", "client", "tenant"}
        }
    assert {
        ("idempotency_key", "tenant_id", "portfolio_id"),
        ("client_order_id", "tenant_id", "portfolio_id"),
    } <= unique
    assert ("idempotency_key", "tenant_id", "portfolio_id", "kind") in unique


def test_migration_recomputes_name_keys_of_existing_rows(engine):
    record_history(engine, seed=3, batches=1)
    rewrite_ledger(engine, hash_version=3)
    before = ["Growth  A", "Bob\u2019s", "Growth A", "Space \N{WOMAN}\u200d\N{ROCKET}"]
    with engine.begin() as connection:
        ids = connection.execute(text("SELECT id FROM portfolios WHERE tenant_id = 1 ORDER BY id")).scalars()
        for portfolio_id, name in zip(list(ids), before, strict=False):
            values = {"id": portfolio_id, "name": name, "key": name.casefold(), "at": "2026-01-01T00:00:00Z"}
            statement = "UPDATE portfolios SET name = :name, name_key = :key, created_at = :at WHERE id = :id"
            connection.execute(text(statement), values)
        stop = (
            "INSERT INTO kill_switches (tenant_id, scope, name_key, name, state, set_by, set_at) "
            "VALUES (1, :scope, :key, :key, 'HALTED', 'a', '2026-01-01T00:00:00Z')"
        )
        scopes = [{"scope": "portfolio", "key": "bob\u2019s"}, {"scope": "strategy", "key": "a \u2013  b"}]
        connection.execute(text(stop), scopes)
    with engine.connect() as connection:
        command.downgrade(build_alembic_config(connection), "0005")
    migrate(engine)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT name, name_key FROM portfolios WHERE tenant_id = 1")).all()
        stopped = connection.execute(text("SELECT scope, name_key FROM kill_switches ORDER BY 1")).all()
    names = {name for name, _ in rows}
    assert names >= {"Growth A", "Bob\u2019s"}
    assert all(key == name_key(name) for name, key in rows)
    assert [tuple(row) for row in stopped] == [("portfolio", "bob's"), ("strategy", "a - b")]
