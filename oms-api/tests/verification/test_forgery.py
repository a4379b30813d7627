"""`app.verify` finds every forged column, except those that the runbook lists as unprovable."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Connection, Table
from sqlalchemy.exc import IntegrityError

from app.database import Base, connect_engine
from app.verify import verify_audit_logs, verify_database
from tests.support.event_schemas import find_undocumented_events
from tests.support.service import run_service
from tests.verification.forgery import (
    connect_without_guards,
    delete_row,
    find_row,
    forge_value,
    is_noticed,
    list_other_values,
    savepoint,
)
from tests.verification.workspace import fill_tables

TABLES = {table.name: table for table in Base.metadata.sorted_tables}
DOCUMENT = Path(__file__).parents[3] / "docs" / "runbooks" / "verify-and-rebuild.md"
EVERY_COLUMN = {name: {column.name for column in table.c} for name, table in TABLES.items()}
# The columns that verification cannot prove, by table. DELETED stands for a deleted row.
DELETED = "a deleted row"
UNPROVEN: dict[str, set[str]] = {
    "admin_requests": EVERY_COLUMN["admin_requests"] | {DELETED},
    "alerts": EVERY_COLUMN["alerts"] | {DELETED},
    "api_keys": {"secret_hash", "last_used_at"},
    "backtest_files": EVERY_COLUMN["backtest_files"] | {DELETED},
    "backtests": EVERY_COLUMN["backtests"] | {DELETED},
    "bars": EVERY_COLUMN["bars"] | {DELETED},
    "broker_connections": EVERY_COLUMN["broker_connections"] | {DELETED},
    "broker_rate_limits": EVERY_COLUMN["broker_rate_limits"] | {DELETED},
    "broker_requests": EVERY_COLUMN["broker_requests"] | {DELETED},
    "chain_verifications": EVERY_COLUMN["chain_verifications"] | {DELETED},
    "cancellations": EVERY_COLUMN["cancellations"] | {DELETED},
    "daily_bars": EVERY_COLUMN["daily_bars"] | {DELETED},
    "daily_stats": {DELETED},
    "duties": EVERY_COLUMN["duties"] | {DELETED},
    "duty_runs": EVERY_COLUMN["duty_runs"] | {DELETED},
    "equity_snapshots": EVERY_COLUMN["equity_snapshots"] | {DELETED},
    "events": {"id"},
    "kill_switch_changes": {"id", "idempotency_key", "request_hash"},
    "logins": {"password_hash", "changed_at"},
    "market_data_subscriptions": EVERY_COLUMN["market_data_subscriptions"] | {DELETED},
    "order_events": {"request_key"},
    "orders": {"trail_level", "idempotency_key", "request_hash"},
    "portfolio_grants": {"id"},
    "portfolio_cancellations": EVERY_COLUMN["portfolio_cancellations"] | {DELETED},
    "portfolios": {"accrued_until", "fee_totals", "orders_stamp"},
    "position_records": EVERY_COLUMN["position_records"] | {DELETED},
    "preferences": EVERY_COLUMN["preferences"] | {DELETED},
    "quotes": EVERY_COLUMN["quotes"] | {DELETED},
    "reconciliation_issues": EVERY_COLUMN["reconciliation_issues"] | {DELETED},
    "sessions": {"generation", "client_hash", "rotated_at", "expires_at"},
    "signal_hooks": EVERY_COLUMN["signal_hooks"] | {DELETED},
    "signal_strategies": EVERY_COLUMN["signal_strategies"] | {DELETED},
    "signals": EVERY_COLUMN["signals"] | {DELETED},
    "strategies": EVERY_COLUMN["strategies"] | {DELETED},
    "strategy_inputs": {DELETED},
    "strategy_states": {"state", "processed", "updated_at"},
    "strategy_versions": EVERY_COLUMN["strategy_versions"] | {DELETED},
    "ticks": EVERY_COLUMN["ticks"] | {DELETED},
    "users": {"id", "updated_at"},
    "webhook_deliveries": EVERY_COLUMN["webhook_deliveries"] | {DELETED},
    "webhooks": EVERY_COLUMN["webhooks"] | {DELETED},
}
_CORE = {"trades", "executions", "kill_switch_changes", "audit_log"}  # also on PostgreSQL each time
# The rows that are forged: those that the audit log knows, of each kind that there is.
_KINDS = {
    "api_keys": ["name = 'bot'", "name = 'feed'", "name = 'older'"],
    "corporate_actions": ["kind = 'split'", "kind = 'dividend'", "reversed_at IS NOT NULL"],
    "cash_movements": ["kind = 'transfer_in'", "kind = 'withdrawal'", "idempotency_key IS NOT NULL"],
    "events": [
        "type = 'trade.recorded' AND id ="
        " (SELECT max(id) FROM events WHERE type = 'trade.recorded' AND following LIKE 'position.changed%')",
        *(f"following LIKE '%{kind} {{%'" for kind in ("order.filled", "order.denied", "risk.denied")),
        *(
            f"type = '{kind}'"
            for kind in (
                *("order.initialized", "approval.requested", "approval.granted", "approval.rejected"),
                *("cash.deposit", "cash.transfer_in"),
                *("kill_switch.halted", "limit.changed", "latch.set", "latch.released"),
            )
        ),
    ],
    "executions": ["note IS NULL", "note = 'bust'", "note = 'correction'"],
    "kill_switches": ["scope = 'tenant'", "scope = 'portfolio'"],
    "latches": ["released_at IS NULL", "released_at IS NOT NULL"],
    "portfolios": ["name = 'Growth Fund'"],  # the audit log has its creation
    "limits": ["is_temporary = 1", "words IS NOT NULL", "code = 'REPEATED_EXECUTIONS'"],
    "order_events": [
        "sequence = 1",
        "execution_id IS NOT NULL",
        "request_key IS NOT NULL",
        "following IS NULL",
    ],
    "orders": [
        "status = 'ACCEPTED' AND type = 'LIMIT'",
        "status = 'FILLED'",
        *(
            f"status = '{status}'"
            for status in (
                *("CANCELED", "REPLACED", "HELD", "DENIED", "PARTIALLY_FILLED"),
                "AWAITING_APPROVAL",
            )
        ),
        "type = 'TRAILING_STOP'",
        "replaces IS NOT NULL",
        "notional IS NOT NULL",
    ],
    "sessions": ["revoked_at IS NULL", "revoked_at IS NOT NULL"],
    "tenants": ["slug = 'acme'"],
    "trades": [
        "order_id IS NULL",
        "kind = 'reversal'",
        "order_id IS NOT NULL",
        "currency IS NOT NULL",
        "backdated_reason IS NOT NULL",
        "kind = 'split'",
        "kind = 'transfer'",
    ],
    "users": ["email IS NOT NULL", "person IS NOT NULL"],
}


@pytest.fixture(scope="module")
def forged_database(backend, new_database) -> Iterator[Connection]:
    """Provide a connection to a database in which everything happened and which has no guards."""
    url = new_database(backend)
    with run_service(url) as service:
        fill_tables(service)
    engine = connect_engine(url)
    assert verify_database(engine).is_clean
    assert verify_audit_logs(engine).problem is None
    with connect_without_guards(engine) as connection:
        yield connection
    engine.dispose()


def test_every_published_event_fits_its_documented_schema(forged_database):
    assert find_undocumented_events(forged_database) == {}


@pytest.mark.parametrize("name", TABLES)
def test_forged_column_or_row_of_every_table_is_detected_or_listed(forged_database, name):
    if forged_database.dialect.name != "sqlite" and name not in _CORE:
        pytest.skip("a long test; see below")
    first = _KINDS.get(name, [""])[:1]
    assert list_unnoticed_columns(forged_database, TABLES[name], first, is_brief=True) == set()


@pytest.mark.long
@pytest.mark.parametrize("name", TABLES)
def test_forged_column_of_every_row_kind_is_detected_or_listed(forged_database, name):
    assert list_unnoticed_columns(forged_database, TABLES[name], _KINDS.get(name, [""])) == UNPROVEN.get(
        name, set()
    )


def test_runbook_lists_the_unprovable_columns():
    section = DOCUMENT.read_text().partition("### What cannot be proven")[2].partition("\n## ")[0]
    listed = {}
    for table, columns in re.findall(r"^\| `(\w+)` \| ([^|]*) \|", section, re.MULTILINE):
        column_names = set(re.findall(r"`(\w+)`", columns)) | ({DELETED} if DELETED in columns else set())
        listed[table] = EVERY_COLUMN[table] | column_names if "every column" in columns else column_names
    assert listed == UNPROVEN


def list_unnoticed_columns(
    connection: Connection, table: Table, kinds: list[str], *, is_brief: bool = False
) -> set[str]:
    """Return the columns of rows that can be forged unnoticed.

    If `is_brief` is true, each column is forged once, and unproven columns are left out.
    """
    tables = set()
    left_alone = UNPROVEN.get(table.name, set()) if is_brief else set()
    for where in kinds:
        row = find_row(connection, table, where)
        assert row is not None, f"no row of {table.name} where {where}"
        columns = [column for column in table.c if column.name not in left_alone]
        tables |= {
            column.name for column in columns if is_unnoticed(connection, table, row, column, is_brief)
        }
        if DELETED not in left_alone and is_deletion_unnoticed(connection, table, row):
            tables.add(DELETED)
    return tables


def is_unnoticed(
    connection: Connection, table: Table, row: dict[str, Any], column: Column[Any], is_brief: bool
) -> bool:
    """Return whether another value of a column goes unnoticed."""
    values = list_other_values(table, column, row[column.name])
    for value in values[-2:-1] or values if is_brief else values:
        with savepoint(connection):
            try:
                forge_value(connection, table, row, column, value)
            except IntegrityError:
                continue  # another row stands there
            if not is_noticed(connection, table.name):
                return True
    return False


def is_deletion_unnoticed(connection: Connection, table: Table, row: dict[str, Any]) -> bool:
    """Return whether it goes unnoticed that a row is gone."""
    with savepoint(connection):
        delete_row(connection, table, row)
        return not is_noticed(connection, table.name)
