"""Row-level security isolates tenants without the application's own filter."""

import subprocess

import pytest
from sqlalchemy import Table, create_engine, event, insert, select, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

import app.models  # noqa: F401  # fills the metadata
from app.database import METADATA, connect_engine, normalize_url, set_tenant_scope
from app.database.tenants import APP_ROLE, describe_row_security, set_all_tenants_scope
from app.database.timeouts import response_timeout
from app.ledger.queries.books import lock_trades_by_key
from app.ledger.rules.keys import RequestKey
from app.ledger.rules.verification import Check
from app.migrate import migrate
from app.rebuild import main as rebuild_main
from app.verify import main as verify_main
from app.verify import verify_database
from tests.factories import BOOTSTRAP_KEY, trade_body
from tests.support.postgres import program
from tests.support.service import serving

# Read by exact key before the tenant is known, in one module: app.identity.queries.credentials.
OF_NO_TENANT = {"tenants", "calendar_days", "duties", "duty_runs", "broker_rate_limits"}
BEFORE_THE_WALL = OF_NO_TENANT | {"api_keys", "logins", "sessions", "slack_workspaces"}
WALLED = sorted(
    (table for table in METADATA.tables.values() if table.name not in BEFORE_THE_WALL),
    key=lambda table: table.name,
)


@pytest.fixture(scope="module")
def two(new_database):
    """Provide the service on PostgreSQL with two desks that use the same names for everything."""
    with serving(new_database("postgresql")) as service:
        apis = service.api(), service.api()
        for api in apis:
            api.trade(key="the-same-key")
            api.trade(side="SELL", portfolio_name="Income")
        yield service, apis


@pytest.fixture
def tenant_scoped(two):
    """Provide a connection like those of the service."""
    engine = connect_engine(two[0].database_url, readers=1, tenant_scoped=True)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def tenants_seen(connection, table: Table) -> set[int]:
    return set(connection.execute(select(table.c.tenant_id)).scalars())


def test_every_tenant_table_has_row_level_security_or_is_listed(two):
    with two[0].engine.connect() as connection:
        forced = connection.execute(
            text("SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity")
        ).scalars()
        assert set(forced) == {table.name for table in WALLED}
    assert {name for name, table in METADATA.tables.items() if "tenant_id" not in table.c} == OF_NO_TENANT


def test_service_role_owns_no_tables_and_bypasses_no_policy(tenant_scoped):
    assert describe_row_security(tenant_scoped) == "enforced"
    role = (
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcanlogin FROM pg_roles WHERE rolname = current_user"
    )
    assert tenant_scoped.execute(text(role)).one() == (False, False, False, False)
    owned = "SELECT count(*) FROM pg_class WHERE relowner = current_user::regrole"
    assert tenant_scoped.execute(text(owned)).scalar_one() == 0


@pytest.mark.parametrize("table", WALLED, ids=lambda table: table.name)
def test_query_without_a_tenant_scope_returns_no_rows(tenant_scoped, table):
    assert tenants_seen(tenant_scoped, table) == set()


@pytest.mark.parametrize("table", WALLED, ids=lambda table: table.name)
def test_tenant_scope_limits_queries_without_a_filter(two, tenant_scoped, table):
    _, (one, other) = two
    set_tenant_scope(tenant_scoped, [one.tenant_id])
    assert tenants_seen(tenant_scoped, table) <= {one.tenant_id}
    tenant_scoped.rollback()
    set_tenant_scope(tenant_scoped, [one.tenant_id, other.tenant_id])
    assert tenants_seen(tenant_scoped, table) <= {one.tenant_id, other.tenant_id}


@pytest.mark.parametrize("table", ["portfolios", "positions", "trades", "events"])
def test_both_tenants_have_rows_in_every_table(two, tenant_scoped, table):
    _, (one, other) = two
    set_tenant_scope(tenant_scoped, [one.tenant_id])
    assert tenants_seen(tenant_scoped, METADATA.tables[table]) == {one.tenant_id}
    set_tenant_scope(tenant_scoped, [other.tenant_id])
    assert tenants_seen(tenant_scoped, METADATA.tables[table]) == {other.tenant_id}


def test_tenant_scope_ends_with_its_transaction(two, tenant_scoped):
    _, (one, _) = two
    trades = METADATA.tables["trades"]
    set_tenant_scope(tenant_scoped, [one.tenant_id])
    assert tenants_seen(tenant_scoped, trades) == {one.tenant_id}
    tenant_scoped.commit()
    with tenant_scoped.connection.cursor() as plain:  # past what SQLAlchemy would add
        plain.execute("SELECT count(*), current_setting('app.tenants', true) FROM trades")
        assert plain.fetchone() == (0, "")


def test_row_of_another_tenant_cannot_be_inserted(two, tenant_scoped):
    _, (one, other) = two
    set_tenant_scope(tenant_scoped, [one.tenant_id])
    foreign = insert(METADATA.tables["events"]).values(
        tenant_id=other.tenant_id, type="trade.recorded", payload="{}", created_at=None
    )
    with pytest.raises(ProgrammingError, match="row-level security"):
        tenant_scoped.execute(foreign)


@pytest.mark.parametrize("table", ["portfolios", "positions"])
def test_row_of_another_tenant_cannot_be_updated_or_deleted(two, tenant_scoped, table):
    _, (one, other) = two
    set_tenant_scope(tenant_scoped, [one.tenant_id])
    changed = tenant_scoped.execute(
        text(f"UPDATE {table} SET realized_pnl = 1 WHERE tenant_id = {other.tenant_id}")  # noqa: S608  # ours
    )
    assert changed.rowcount == 0


@pytest.mark.parametrize("table", ["trades", "audit_log"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET tenant_id = 1", "DELETE FROM {}", "TRUNCATE {}"])
def test_service_role_cannot_change_append_only_tables(tenant_scoped, table, statement):
    with pytest.raises(ProgrammingError, match="permission denied"):
        tenant_scoped.execute(text(statement.format(table)))


@pytest.mark.parametrize(("tenant_scoped", "sees_it"), [(True, False), (False, True)])
def test_unfiltered_query_finds_a_foreign_row_only_without_row_level_security(two, tenant_scoped, sees_it):
    service, (one, other) = two
    other.trade(portfolio_name="Secret Book")
    engine = connect_engine(service.database_url, readers=1, tenant_scoped=tenant_scoped)
    with engine.connect() as connection:
        set_tenant_scope(connection, [one.tenant_id])
        names = set(connection.execute(select(METADATA.tables["portfolios"].c.name)).scalars())
    engine.dispose()
    assert ("Secret Book" in names) == sees_it


def test_streamed_read_has_the_tenant_scope(two, tenant_scoped):
    _, (one, _) = two
    set_tenant_scope(tenant_scoped, [one.tenant_id])
    streamed = tenant_scoped.execution_options(yield_per=10).execute(
        select(METADATA.tables["trades"].c.tenant_id)
    )
    assert set(streamed.scalars()) == {one.tenant_id}


@pytest.fixture
def create_owned_database(databases):
    """Provide a function that creates a database with an ordinary owner, with or without CREATEROLE."""
    made = []

    def make(name: str, attributes: str) -> str:
        url = databases.new()
        databases.run(f"CREATE ROLE {name} LOGIN {attributes}")
        database = url.rpartition("/")[2]
        databases.run(f"ALTER DATABASE {database} OWNER TO {name}")
        made.append((name, database))
        head, _, tail = url.partition("@")
        return f"{head.rpartition('//')[0]}//{name}@{tail}"

    yield make
    with response_timeout(60.0):  # to drop a database takes its time where all else is busy
        for name, database in made:
            databases.run(f"DROP DATABASE {database} WITH (FORCE)")
            databases.run(f"DROP ROLE {name}")


def test_owner_without_createrole_is_bound_by_the_policies(databases, create_owned_database):
    exists = databases.run(f"SELECT count(*) FROM pg_roles WHERE rolname = '{APP_ROLE}'")  # noqa: S608  # ours
    assert exists == 1, "the template's migration made it, and this owner is no member"
    url = create_owned_database("modest", "NOCREATEROLE")
    owner = connect_engine(url)
    migrate(owner)
    with serving(url) as service:
        ready = service.client.get("/health/ready").json()
        assert ready["row_level_security"] == "enforced on the owner"
        service.api().trade()
    with owner.connect() as connection:
        assert tenants_seen(connection, METADATA.tables["trades"]) == set()
        assert len(tenants_seen(set_all_tenants_scope(connection), METADATA.tables["trades"])) == 1
    assert verify_database(owner).clean
    owner.dispose()


def test_owner_with_createrole_needs_no_superuser(create_owned_database, databases):
    url = create_owned_database("able", "CREATEROLE")
    databases.run(f"GRANT {APP_ROLE} TO able WITH ADMIN OPTION")
    owner = connect_engine(url)
    migrate(owner)
    with serving(url) as service:
        assert service.client.get("/health/ready").json()["row_level_security"] == "enforced"
        service.api().trade()
    assert verify_database(owner).clean
    owner.dispose()
    databases.run(f"REVOKE {APP_ROLE} FROM able")


def test_owner_not_admitted_to_an_existing_role_is_bound_by_the_policies(create_owned_database, databases):
    url = create_owned_database(
        "neighbour", "CREATEROLE"
    )  # the template's migration made the role: only it may admit
    owner = connect_engine(url)
    migrate(owner)
    with serving(url) as service:
        ready = service.client.get("/health/ready").json()
        assert ready["row_level_security"] == "enforced on the owner"
        service.api().trade()
    assert verify_database(owner).clean
    owner.dispose()


def test_user_outside_the_service_role_has_no_access(two, databases):
    url = two[0].database_url
    databases.run("CREATE ROLE stranger LOGIN")
    try:
        engine = create_engine(normalize_url(url.replace("postgres@", "stranger@")))
        with engine.connect() as connection, pytest.raises(DBAPIError, match="permission denied"):
            connection.execute(text("SELECT * FROM trades"))
        engine.dispose()
    finally:
        databases.run("DROP ROLE stranger")


def test_dump_by_the_owner_contains_rows_of_every_tenant(create_owned_database, databases, tmp_path):
    url = create_owned_database("keeper", "CREATEROLE")
    databases.run(f"GRANT {APP_ROLE} TO keeper WITH ADMIN OPTION")
    migrate(connect_engine(url))
    with serving(url) as service:
        apis = service.api(), service.api()
        for api in apis:
            api.trade(note=f"Dumped of {api.tenant_id}")
    dump = tmp_path / "books.sql"
    subprocess.run(
        [program("pg_dump"), "--enable-row-security", f"--file={dump}", url], check=True, timeout=60
    )
    text_of_it = dump.read_text()
    assert all(f"Dumped of {api.tenant_id}" in text_of_it for api in apis)
    databases.run(f"REVOKE {APP_ROLE} FROM keeper")


def key_look_up(connection, tenant_id) -> tuple[str, tuple]:
    """Return the writer's look-up of idempotency keys, with its parameters."""
    seen = []
    event.listen(connection, "before_cursor_execute", lambda *facts: seen.append(facts[2:4]))
    lock_trades_by_key(connection, [RequestKey(tenant_id, "trade", f"page-1:{n}") for n in range(40)])
    connection.rollback()
    (statement, parameters) = seen[-1]
    return statement.rpartition(";")[2], parameters[-1:]  # the locks come before it


def test_row_level_security_keeps_index_lookups(new_database):
    """On a table that was never analysed, as after a restore: keys are looked up, not searched for."""
    with serving(new_database("postgresql")) as service:
        api = service.api()
        for page in range(8):
            trades = [trade_body(symbol=f"S{number % 50}") for number in range(1000)]
            api.post("/trades:batch", {"trades": trades}, {"Idempotency-Key": f"page-{page}"})
        engine = connect_engine(service.database_url, readers=1, tenant_scoped=True)
        with engine.connect() as connection:
            set_tenant_scope(connection, [api.tenant_id])
            statement, parameters = key_look_up(connection, api.tenant_id)
            plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars())
        engine.dispose()
    assert "uq_trades_idempotency_key_tenant_id_portfolio_id_kind" in plan, plan


def test_restored_database_of_another_owner_is_not_treated_as_empty(
    create_owned_database, databases, monkeypatch, capsys
):
    url = create_owned_database("heir", "CREATEROLE")
    databases.run(f"GRANT {APP_ROLE} TO heir WITH ADMIN OPTION")
    owner = connect_engine(url)
    migrate(owner)
    with serving(url) as service:
        service.api().trade()
    databases.run("CREATE ROLE testator")
    with owner.begin() as connection:  # as pg_restore --no-owner leaves it
        for table in WALLED:
            connection.execute(text(f"ALTER POLICY owner_rows ON {table.name} TO testator"))
    databases.run(f"REVOKE {APP_ROLE} FROM heir")
    monkeypatch.setenv("OMS_API_KEY", BOOTSTRAP_KEY)
    monkeypatch.setenv("DATABASE_URL", url)
    assert (verify_main(), rebuild_main()) == (2, 2)
    assert "hides all rows from this database user" in capsys.readouterr().err
    migrate(owner)
    assert verify_database(owner).checked[Check.CHAIN] == 1
    with owner.begin() as connection:
        connection.execute(text("DROP OWNED BY CURRENT_USER"))
    owner.dispose()
    databases.run("DROP ROLE testator")


def test_service_before_its_migration_reports_not_ready(create_owned_database, databases):
    url = create_owned_database("early", "CREATEROLE")
    databases.run(f"GRANT {APP_ROLE} TO early WITH ADMIN OPTION")
    owner = connect_engine(url)
    migrate(owner, "0001")
    with serving(url) as service:
        early = service.client.get("/health/ready")
        assert (early.status_code, early.json()["migrations"]) == (503, "failed")
        migrate(owner)
        assert service.client.get("/health/ready").status_code == 200
    owner.dispose()
    databases.run(f"REVOKE {APP_ROLE} FROM early")


def test_pooled_connection_has_no_tenant_scope(two):
    service, (one, _) = two
    engine = connect_engine(service.database_url, readers=1, tenant_scoped=True)
    with engine.connect() as connection:
        set_tenant_scope(connection, [one.tenant_id])
        assert tenants_seen(connection, METADATA.tables["trades"]) == {one.tenant_id}
    with engine.connect() as connection:
        assert tenants_seen(connection, METADATA.tables["trades"]) == set()
    engine.dispose()
