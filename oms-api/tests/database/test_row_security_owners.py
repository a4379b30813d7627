"""Row-level security of databases whose owner is an ordinary user, with or without CREATEROLE."""

import subprocess

import pytest
from sqlalchemy import text

import app.models  # noqa: F401  # fills the metadata
from app.database import METADATA, connect_engine
from app.database.tenants import APP_ROLE, set_all_tenants_scope
from app.database.timeouts import response_timeout
from app.ledger.rules.verification import LedgerCheck
from app.migrate import migrate
from app.rebuild import main as rebuild_main
from app.verify import main as verify_main
from app.verify import verify_database
from tests.database.row_security import TENANT_TABLES, find_visible_tenants
from tests.factories import BOOTSTRAP_KEY
from tests.support.postgres import find_program
from tests.support.service import run_service


@pytest.fixture
def create_owned_database(databases):
    """Provide a function that creates a database with an ordinary owner, with or without CREATEROLE."""
    owners = []

    def make(name: str, attributes: str) -> str:
        url = databases.new()
        databases.run(f"CREATE ROLE {name} LOGIN {attributes}")
        database = url.rpartition("/")[2]
        databases.run(f"ALTER DATABASE {database} OWNER TO {name}")
        owners.append((name, database))
        head, _, tail = url.partition("@")
        return f"{head.rpartition('//')[0]}//{name}@{tail}"

    yield make
    with response_timeout(60.0):  # to drop a database takes its time where all else is busy
        for name, database in owners:
            databases.run(f"DROP DATABASE {database} WITH (FORCE)")
            databases.run(f"DROP ROLE {name}")


def test_owner_without_createrole_is_bound_by_the_policies(databases, create_owned_database):
    exists = databases.run(f"SELECT count(*) FROM pg_roles WHERE rolname = '{APP_ROLE}'")  # noqa: S608  # ours
    assert exists == 1, "the template's migration made it, and this owner is no member"
    url = create_owned_database("owner_without_createrole", "NOCREATEROLE")
    owner = connect_engine(url)
    migrate(owner)
    with run_service(url) as service:
        ready = service.client.get("/health/ready").json()
        assert ready["row_level_security"] == "enforced on the owner"
        service.create_client().record_trade()
    with owner.connect() as connection:
        assert find_visible_tenants(connection, METADATA.tables["trades"]) == set()
        assert len(find_visible_tenants(set_all_tenants_scope(connection), METADATA.tables["trades"])) == 1
    assert verify_database(owner).is_clean
    owner.dispose()


def test_owner_with_createrole_needs_no_superuser(create_owned_database, databases):
    url = create_owned_database("owner_with_createrole", "CREATEROLE")
    databases.run(f"GRANT {APP_ROLE} TO owner_with_createrole WITH ADMIN OPTION")
    owner = connect_engine(url)
    migrate(owner)
    with run_service(url) as service:
        assert service.client.get("/health/ready").json()["row_level_security"] == "enforced"
        service.create_client().record_trade()
    assert verify_database(owner).is_clean
    owner.dispose()
    databases.run(f"REVOKE {APP_ROLE} FROM owner_with_createrole")


def test_owner_not_admitted_to_an_existing_role_is_bound_by_the_policies(create_owned_database, databases):
    url = create_owned_database(
        "other_owner", "CREATEROLE"
    )  # the template's migration made the role: only it may admit
    owner = connect_engine(url)
    migrate(owner)
    with run_service(url) as service:
        ready = service.client.get("/health/ready").json()
        assert ready["row_level_security"] == "enforced on the owner"
        service.create_client().record_trade()
    assert verify_database(owner).is_clean
    owner.dispose()


def test_dump_by_the_owner_contains_rows_of_every_tenant(create_owned_database, databases, tmp_path):
    url = create_owned_database("dumping_owner", "CREATEROLE")
    databases.run(f"GRANT {APP_ROLE} TO dumping_owner WITH ADMIN OPTION")
    migrate(connect_engine(url))
    with run_service(url) as service:
        apis = service.create_client(), service.create_client()
        for api in apis:
            api.record_trade(note=f"Dumped of {api.tenant_id}")
    dump = tmp_path / "books.sql"
    subprocess.run(
        [find_program("pg_dump"), "--enable-row-security", f"--file={dump}", url], check=True, timeout=60
    )
    text_of_it = dump.read_text()
    assert all(f"Dumped of {api.tenant_id}" in text_of_it for api in apis)
    databases.run(f"REVOKE {APP_ROLE} FROM dumping_owner")


def test_restored_database_of_another_owner_is_not_treated_as_empty(
    create_owned_database, databases, monkeypatch, capsys
):
    url = create_owned_database("restoring_owner", "CREATEROLE")
    databases.run(f"GRANT {APP_ROLE} TO restoring_owner WITH ADMIN OPTION")
    owner = connect_engine(url)
    migrate(owner)
    with run_service(url) as service:
        service.create_client().record_trade()
    databases.run("CREATE ROLE previous_owner")
    with owner.begin() as connection:  # as pg_restore --no-owner leaves it
        for table in TENANT_TABLES:
            connection.execute(text(f"ALTER POLICY owner_rows ON {table.name} TO previous_owner"))
    databases.run(f"REVOKE {APP_ROLE} FROM restoring_owner")
    monkeypatch.setenv("OMS_API_KEY", BOOTSTRAP_KEY)
    monkeypatch.setenv("DATABASE_URL", url)
    assert (verify_main(), rebuild_main()) == (2, 2)
    assert "hides all rows from this database user" in capsys.readouterr().err
    migrate(owner)
    assert verify_database(owner).checked[LedgerCheck.CHAIN] == 1
    with owner.begin() as connection:
        connection.execute(text("DROP OWNED BY CURRENT_USER"))
    owner.dispose()
    databases.run("DROP ROLE previous_owner")


def test_service_before_its_migration_reports_not_ready(create_owned_database, databases):
    url = create_owned_database("new_owner", "CREATEROLE")
    databases.run(f"GRANT {APP_ROLE} TO new_owner WITH ADMIN OPTION")
    owner = connect_engine(url)
    migrate(owner, "0001")
    with run_service(url) as service:
        early = service.client.get("/health/ready")
        assert (early.status_code, early.json()["migrations"]) == (503, "failed")
        migrate(owner)
        assert service.client.get("/health/ready").status_code == 200
    owner.dispose()
    databases.run(f"REVOKE {APP_ROLE} FROM new_owner")
