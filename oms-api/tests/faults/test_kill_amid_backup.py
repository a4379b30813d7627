"""kill -9 of the service, PostgreSQL and a running backup under load: the last complete backup restores."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.backup_files import InvalidBackup, Manifest, read_manifest
from app.database import connect_engine
from app.restore import find_differences, restore_backup
from tests.faults.conftest import FaultSetup
from tests.faults.journal import Journal
from tests.faults.load import resolve_open_requests, run_load, wait_for_more
from tests.faults.process_control import HERE, run_services, wait_until
from tests.support.guarded_programs import start_guarded
from tests.support.postgres import Databases
from tests.support.processes import build_environment


def start_backup(stage: FaultSetup, folder: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "app.backup", str(folder)]
    return start_guarded(
        command, cwd=HERE, env=build_environment(DATABASE_URL=stage.database_url), stdout=subprocess.DEVNULL
    )


def restore_verified(folder: Path, url: str) -> Manifest:
    """Restore a backup to a new database, and prove it as `app.restore --verify` does."""
    manifest = restore_backup(folder, url, None)
    engine = connect_engine(url, readers=1)
    assert list(find_differences(engine, manifest)) == []
    engine.dispose()
    return manifest


@pytest.mark.long
def test_complete_backup_restores_after_everything_was_killed(
    postgres_setup: FaultSetup, journal: Journal, tmp_path: Path
):
    stage, databases = postgres_setup, Databases(postgres_setup.postgres.url)
    oms = stage.oms()
    with run_services(oms):
        with run_load(journal, [oms.port], "backup"):
            wait_for_more(journal, 50)
            before = {trade_id for intent in journal.acknowledged() for trade_id in intent.acknowledged}
            assert start_backup(stage, tmp_path / "first").wait(60) == 0
            wait_for_more(journal, 20)
            cut_off = start_backup(stage, tmp_path / "second")
            wait_until((tmp_path / "second").is_dir, 60, "the backup has begun")
            cut_off.send_signal(signal.SIGKILL)
            cut_off.wait(60)
            oms.kill()
            stage.postgres.kill()
            stage.postgres.start()
            oms.start()
            wait_for_more(journal, 10)
        resolve_open_requests(journal, oms.port)
        stage.assert_books_consistent(journal)
    with pytest.raises(InvalidBackup):
        read_manifest(tmp_path / "second")
    url = databases.new("template0")
    restore_verified(tmp_path / "first", url)
    engine = connect_engine(url, readers=1)
    with engine.connect() as connection:
        stored_ids = set(connection.exec_driver_sql("SELECT trade_id FROM trades").scalars())
    engine.dispose()
    assert before <= stored_ids
