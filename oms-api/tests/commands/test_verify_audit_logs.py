"""`python -m app.verify` also verifies the audit logs of a live database."""

import pytest
from sqlalchemy import text

from app import verify as command
from app.audit.service import AuditEntry, record_entries
from app.audit.service.log_verification import check_audit_logs
from app.database import unit_of_work
from tests.factories import BOOTSTRAP_KEY, NOON


@pytest.fixture
def audited_engine(engine):
    with unit_of_work(engine) as connection:
        for number in range(5):
            entry = AuditEntry(1, NOON, "key:admin", "admin", "user.created", f"user:{number}")
            record_entries(connection, [entry])
    return engine


def find_after_tampering(engine, *statements):
    """Return the findings after the owner of the database has changed the audit log. Roll back the change."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin() as transaction:
        if connection.dialect.name == "sqlite":
            for verb in ("update", "delete"):
                connection.execute(text(f"DROP TRIGGER audit_log_refuse_{verb}"))
        else:
            connection.execute(text("ALTER TABLE audit_log DISABLE TRIGGER USER"))
        for statement in statements:
            connection.execute(text(statement))
        examined = check_audit_logs(connection)
        transaction.rollback()
    return examined


def test_intact_audit_log_has_no_findings(audited_engine):
    assert command.verify_audit_logs(audited_engine) == (1, 5, None)


def test_database_without_an_audit_log_has_no_findings(engine):
    assert command.verify_audit_logs(engine) == (0, 0, None)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE audit_log SET actor = 'nobody' WHERE sequence = 3", "tenant 1, entry 3: hash is"),
        ("DELETE FROM audit_log WHERE sequence = 3", "tenant 1, entry 3: sequence is 4, must be 3"),
        ("DELETE FROM audit_log WHERE sequence = 5", "tenant 1, entry 4: "),
        ("DELETE FROM audit_log", "tenant 1, entry 0: "),
        ("DELETE FROM audit_heads", "no head covers this entry"),
        ("UPDATE audit_heads SET last_sequence = 4", "tenant 1, entry 4: "),
    ],
)
def test_changed_audit_entry_is_reported(audited_engine, statement, message):
    assert message in (find_after_tampering(audited_engine, statement).problem or "nothing")


def test_command_reports_the_audit_finding_and_fails(audited_engine, monkeypatch, capsys, database_url):
    monkeypatch.setenv("OMS_API_KEY", BOOTSTRAP_KEY)
    monkeypatch.setenv("DATABASE_URL", database_url)
    assert command.main() == command.CLEAN
    assert "audit log" in capsys.readouterr().out
    with unit_of_work(audited_engine) as connection:
        connection.execute(text("UPDATE audit_heads SET last_sequence = 4"))
    assert command.main() == command.LIES
    out = capsys.readouterr().out
    assert "FAILED" in out
    assert "Clean" not in out
