"""The database refuses rows that the rules would never write."""

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from app.database import unit_of_work
from tests.support.service import run_service


@pytest.fixture(scope="module")
def service_with_trades(backend, new_database):
    """Provide a service with two trades of one portfolio, one of them reversed; every change is refused."""
    with run_service(new_database(backend)) as service:
        api = service.create_client()
        first = api.record_trade("K")
        api.record_trade()
        api.post_reversal(first["trade_id"])
        yield service


def assert_refused(service, statement):
    with pytest.raises(DBAPIError) as caught, unit_of_work(service.engine) as connection:
        connection.execute(text(statement))
    return str(caught.value.orig)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE trades SET note = 'x'",
        "UPDATE trades SET hash = hash",
        "DELETE FROM trades",
        "TRUNCATE trades",
        "TRUNCATE trades CASCADE",
        "TRUNCATE tenants CASCADE",
        "DELETE FROM trades WHERE sequence = 2",
        "INSERT INTO trades SELECT * FROM trades WHERE sequence = 1"
        " ON CONFLICT (tenant_id, trade_id) DO UPDATE SET note = 'x'",
        "REPLACE INTO trades SELECT * FROM trades WHERE sequence = 1",
    ],
)
def test_ledger_is_append_only(service_with_trades, statement, backend):
    if (backend == "sqlite") == statement.startswith("TRUNCATE") or (
        backend != "sqlite"
    ) == statement.startswith("REPLACE"):
        statement = "DELETE FROM trades"  # the other database has no such statement
    before = read_ledger(service_with_trades)
    assert "append-only" in assert_refused(service_with_trades, statement)
    assert read_ledger(service_with_trades) == before


def read_ledger(service):
    with service.open_connection() as connection:
        return list(connection.execute(text("SELECT * FROM trades ORDER BY sequence")))


COLUMNS = "INSERT INTO trades SELECT {} FROM trades WHERE sequence = {}"


@pytest.mark.parametrize(
    ("sequence", "changes", "constraint"),
    [
        (1, {}, "pk_trades"),
        (2, {"trade_id": "'T2'"}, "uq_trades_tenant_id_portfolio_id_sequence"),
        (1, {"trade_id": "'T2'", "sequence": "9"}, "uq_trades_idempotency_key_tenant_id_portfolio_id_kind"),
        (3, {"trade_id": "'T2'", "sequence": "9"}, "uq_trades_tenant_id_reverses"),
        (2, {"trade_id": "'T2'", "sequence": "9", "side": "'HOLD'"}, "ck_trades_side_is_known"),
        (2, {"trade_id": "'T2'", "sequence": "9", "kind": "'gift'"}, "ck_trades_kind_is_known"),
        (
            2,
            {"trade_id": "'T2'", "sequence": "9", "kind": "'reversal'"},
            "ck_trades_reversal_names_its_trade",
        ),
        (2, {"trade_id": "'T2'", "sequence": "9", "reverses": "'T1'"}, "ck_trades_reversal_names_its_trade"),
        (
            2,
            {"trade_id": "'T2'", "sequence": "9", "idempotency_key": "'X'"},
            "ck_trades_key_has_request_hash",
        ),
        (2, {"trade_id": "'T2'", "sequence": "0"}, "ck_trades_sequence_is_positive"),
        (2, {"trade_id": "'T2'", "sequence": "9", "quantity": "0"}, "ck_trades_quantity_is_positive"),
        (2, {"trade_id": "'T2'", "sequence": "9", "gmv": "-1"}, "ck_trades_gmv_is_not_negative"),
        (2, {"trade_id": "'T2'", "sequence": "9", "price": "0"}, "ck_trades_price_is_positive"),
        (2, {"trade_id": "'T2'", "sequence": "9", "portfolio_id": "999"}, "FOREIGN KEY"),
        (2, {"trade_id": "'T2'", "sequence": "9", "tenant_id": "999"}, "FOREIGN KEY"),
        (2, {"trade_id": "'T2'", "sequence": "9", "executed_at": "NULL"}, "executed_at"),
    ],
)
def test_invalid_ledger_row_is_rejected(service_with_trades, sequence, changes, constraint):
    names = [column["name"] for column in inspect(service_with_trades.engine).get_columns("trades")]
    statement = COLUMNS.format(", ".join(changes.get(name, name) for name in names), sequence)
    with pytest.raises(IntegrityError) as caught, unit_of_work(service_with_trades.engine) as connection:
        connection.execute(text(statement))
    message = str(caught.value.orig)
    if "UNIQUE" in message:  # SQLite names the columns of a unique constraint, not the constraint
        assert message.rsplit("trades.", maxsplit=1)[-1] in constraint or constraint == "pk_trades"
    else:
        assert constraint.lower() in message.lower() or "foreign key" in message


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE portfolios SET kind = 'dream'", "ck_portfolios_kind_is_known"),
        ("UPDATE portfolios SET total_buys = total_trades + 1", "ck_portfolios_counters_add_up"),
        ("UPDATE portfolios SET total_trades = last_sequence + 1", "ck_portfolios_sequence_covers_trades"),
        ("UPDATE positions SET portfolio_id = 999", "foreign key"),
        ("DELETE FROM tenants", "foreign key"),
    ],
)
def test_invalid_projection_row_is_rejected(service_with_trades, statement, constraint):
    assert constraint in assert_refused(service_with_trades, statement).replace("FOREIGN KEY", "foreign key")


def test_every_tenant_table_has_a_tenant_id(service_with_trades):
    tables = inspect(service_with_trades.engine)
    for table in set(tables.get_table_names()) - {
        *("tenants", "calendar_days", "duties", "duty_runs", "broker_rate_limits", "alembic_version")
    }:
        tenant = next(column for column in tables.get_columns(table) if column["name"] == "tenant_id")
        assert tenant["nullable"] is False, table
