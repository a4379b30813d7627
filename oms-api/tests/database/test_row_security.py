"""Row-level security isolates tenants without the application's own filter."""

import pytest
from sqlalchemy import create_engine, event, insert, select, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

import app.models  # noqa: F401  # fills the metadata
from app.database import METADATA, connect_engine, normalize_url, set_tenant_scope
from app.database.tenants import describe_row_security
from app.ledger.queries.batch_statements import lock_request_keys_and_load_trades
from app.ledger.rules.keys import RequestKey
from tests.database.row_security import TABLES_WITHOUT_TENANT, TENANT_TABLES, find_visible_tenants
from tests.factories import build_trade_body
from tests.support.service import run_service


@pytest.fixture(scope="module")
def two_tenants(new_database):
    """Provide the service on PostgreSQL with two tenants that use the same names for everything."""
    with run_service(new_database("postgresql")) as service:
        apis = service.create_client(), service.create_client()
        for api in apis:
            api.record_trade(key="the-same-key")
            api.record_trade(side="SELL", portfolio_name="Income")
        yield service, apis


@pytest.fixture
def tenant_scoped(two_tenants):
    """Provide a connection like those of the service."""
    engine = connect_engine(two_tenants[0].database_url, readers=1, tenant_scoped=True)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_every_tenant_table_has_row_level_security_or_is_listed(two_tenants):
    with two_tenants[0].engine.connect() as connection:
        forced = connection.execute(
            text("SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity")
        ).scalars()
        assert set(forced) == {table.name for table in TENANT_TABLES}
    assert {
        name for name, table in METADATA.tables.items() if "tenant_id" not in table.c
    } == TABLES_WITHOUT_TENANT


def test_service_role_owns_no_tables_and_bypasses_no_policy(tenant_scoped):
    assert describe_row_security(tenant_scoped) == "enforced"
    role = (
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcanlogin FROM pg_roles WHERE rolname = current_user"
    )
    assert tenant_scoped.execute(text(role)).one() == (False, False, False, False)
    owned = "SELECT count(*) FROM pg_class WHERE relowner = current_user::regrole"
    assert tenant_scoped.execute(text(owned)).scalar_one() == 0


@pytest.mark.parametrize("table", TENANT_TABLES, ids=lambda table: table.name)
def test_query_without_a_tenant_scope_returns_no_rows(tenant_scoped, table):
    assert find_visible_tenants(tenant_scoped, table) == set()


@pytest.mark.parametrize("table", TENANT_TABLES, ids=lambda table: table.name)
def test_tenant_scope_limits_queries_without_a_filter(two_tenants, tenant_scoped, table):
    _, (first, second) = two_tenants
    set_tenant_scope(tenant_scoped, [first.tenant_id])
    assert find_visible_tenants(tenant_scoped, table) <= {first.tenant_id}
    tenant_scoped.rollback()
    set_tenant_scope(tenant_scoped, [first.tenant_id, second.tenant_id])
    assert find_visible_tenants(tenant_scoped, table) <= {first.tenant_id, second.tenant_id}


@pytest.mark.parametrize("table", ["portfolios", "positions", "trades", "events"])
def test_both_tenants_have_rows_in_every_table(two_tenants, tenant_scoped, table):
    _, (first, second) = two_tenants
    set_tenant_scope(tenant_scoped, [first.tenant_id])
    assert find_visible_tenants(tenant_scoped, METADATA.tables[table]) == {first.tenant_id}
    set_tenant_scope(tenant_scoped, [second.tenant_id])
    assert find_visible_tenants(tenant_scoped, METADATA.tables[table]) == {second.tenant_id}


def test_tenant_scope_ends_with_its_transaction(two_tenants, tenant_scoped):
    _, (tenant, _) = two_tenants
    trades = METADATA.tables["trades"]
    set_tenant_scope(tenant_scoped, [tenant.tenant_id])
    assert find_visible_tenants(tenant_scoped, trades) == {tenant.tenant_id}
    tenant_scoped.commit()
    with tenant_scoped.connection.cursor() as plain:  # without the statements of SQLAlchemy
        plain.execute("SELECT count(*), current_setting('app.tenants', true) FROM trades")
        assert plain.fetchone() == (0, "")


def test_row_of_another_tenant_cannot_be_inserted(two_tenants, tenant_scoped):
    _, (first, second) = two_tenants
    set_tenant_scope(tenant_scoped, [first.tenant_id])
    foreign = insert(METADATA.tables["events"]).values(
        tenant_id=second.tenant_id, type="trade.recorded", payload="{}", created_at=None
    )
    with pytest.raises(ProgrammingError, match="row-level security"):
        tenant_scoped.execute(foreign)


@pytest.mark.parametrize("table", ["portfolios", "positions"])
def test_row_of_another_tenant_cannot_be_updated(two_tenants, tenant_scoped, table):
    _, (first, second) = two_tenants
    set_tenant_scope(tenant_scoped, [first.tenant_id])
    changed = tenant_scoped.execute(
        text(f"UPDATE {table} SET realized_pnl = 1 WHERE tenant_id = {second.tenant_id}")  # noqa: S608  # ours
    )
    assert changed.rowcount == 0


@pytest.mark.parametrize("table", ["trades", "audit_log"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET tenant_id = 1", "DELETE FROM {}", "TRUNCATE {}"])
def test_service_role_cannot_change_append_only_tables(tenant_scoped, table, statement):
    with pytest.raises(ProgrammingError, match="permission denied"):
        tenant_scoped.execute(text(statement.format(table)))


@pytest.mark.parametrize(("tenant_scoped", "sees_it"), [(True, False), (False, True)])
def test_unfiltered_query_finds_a_foreign_row_only_without_row_level_security(
    two_tenants, tenant_scoped, sees_it
):
    service, (first, second) = two_tenants
    second.record_trade(portfolio_name="Secret Book")
    engine = connect_engine(service.database_url, readers=1, tenant_scoped=tenant_scoped)
    with engine.connect() as connection:
        set_tenant_scope(connection, [first.tenant_id])
        names = set(connection.execute(select(METADATA.tables["portfolios"].c.name)).scalars())
    engine.dispose()
    assert ("Secret Book" in names) == sees_it


def test_streamed_read_has_the_tenant_scope(two_tenants, tenant_scoped):
    _, (tenant, _) = two_tenants
    set_tenant_scope(tenant_scoped, [tenant.tenant_id])
    streamed = tenant_scoped.execution_options(yield_per=10).execute(
        select(METADATA.tables["trades"].c.tenant_id)
    )
    assert set(streamed.scalars()) == {tenant.tenant_id}


def test_user_outside_the_service_role_has_no_access(two_tenants, databases):
    url = two_tenants[0].database_url
    databases.run("CREATE ROLE unrelated_user LOGIN")
    try:
        engine = create_engine(normalize_url(url.replace("postgres@", "unrelated_user@")))
        with engine.connect() as connection, pytest.raises(DBAPIError, match="permission denied"):
            connection.execute(text("SELECT * FROM trades"))
        engine.dispose()
    finally:
        databases.run("DROP ROLE unrelated_user")


def build_key_query(connection, tenant_id) -> tuple[str, tuple]:
    """Return the writer's look-up of idempotency keys, with its parameters."""
    statements = []
    event.listen(connection, "before_cursor_execute", lambda *args: statements.append(args[2:4]))
    lock_request_keys_and_load_trades(
        connection, [RequestKey(tenant_id, "trade", f"page-1:{n}") for n in range(40)]
    )
    connection.rollback()
    (statement, parameters) = statements[-1]
    return statement.rpartition(";")[2], parameters[-1:]  # the locks come before it


def test_row_level_security_keeps_index_lookups(new_database):
    """On a table that was never analyzed, as after a restore: keys are looked up, not searched for."""
    with run_service(new_database("postgresql")) as service:
        api = service.create_client()
        for page in range(8):
            trades = [build_trade_body(symbol=f"S{number % 50}") for number in range(1000)]
            api.post("/trades:batch", {"trades": trades}, {"Idempotency-Key": f"page-{page}"})
        engine = connect_engine(service.database_url, readers=1, tenant_scoped=True)
        with engine.connect() as connection:
            set_tenant_scope(connection, [api.tenant_id])
            statement, parameters = build_key_query(connection, api.tenant_id)
            plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars())
        engine.dispose()
    assert "uq_trades_idempotency_key_tenant_id_portfolio_id_kind" in plan, plan


def test_pooled_connection_has_no_tenant_scope(two_tenants):
    service, (tenant, _) = two_tenants
    engine = connect_engine(service.database_url, readers=1, tenant_scoped=True)
    with engine.connect() as connection:
        set_tenant_scope(connection, [tenant.tenant_id])
        assert find_visible_tenants(connection, METADATA.tables["trades"]) == {tenant.tenant_id}
    with engine.connect() as connection:
        assert find_visible_tenants(connection, METADATA.tables["trades"]) == set()
    engine.dispose()
