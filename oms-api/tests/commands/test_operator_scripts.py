"""`make shell` reads and cannot write; `make makemigrations` numbers the next migration."""

import pytest
from sqlalchemy.exc import DBAPIError

import new_migration
import shell
from app.migrate import MIGRATIONS


def test_console_reads_rows_of_all_tenants_and_cannot_change_them(engine):
    assert shell.run_query(engine, "SELECT slug FROM tenants WHERE id = :id", id=1) == [{"slug": "default"}]
    with pytest.raises(DBAPIError, match=r"(?i)read-?only"):
        shell.run_query(engine, "UPDATE tenants SET name = 'changed'")
    assert shell.run_query(engine, "SELECT name FROM tenants WHERE name = 'changed'") == []


@pytest.mark.any_database
def test_new_migration_follows_the_newest_one(backend, tmp_path, monkeypatch, capsys):
    newest = max(path.name for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))
    assert new_migration.find_next_revision(MIGRATIONS / "versions") == f"{int(newest[:4]) + 1:04d}"
    monkeypatch.setattr(new_migration, "write_migration", lambda name: tmp_path / f"0099_{name}.py")
    assert new_migration.main(["Order", "tags"]) == 0
    assert "0099_order_tags.py" in capsys.readouterr().out
    assert new_migration.main([]) == 2
    assert new_migration.main(["../x"]) == 2
