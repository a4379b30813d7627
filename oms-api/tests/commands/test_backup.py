"""A backup under writes, restored to a new database, verifies; a changed one is refused."""

import subprocess
import sys
import threading
from datetime import timedelta

import pytest

import app.backup
import app.restore
from app.backup import CannotBackUp, create_backup_keys, write_backup
from app.backup_files import InvalidBackup, read_manifest
from app.backup_job import BackupJob
from app.database import METADATA, connect_engine, unit_of_work
from app.encryption import EncryptionKeys, derive_key_ring
from app.restore import CannotRestore, find_differences, restore_backup
from tests.faults.process_control import verify_books
from tests.support.clock import SetClock
from tests.support.jobs import EndlessLease
from tests.support.processes import HOME
from tests.support.service import build_settings, run_service

KEYS = EncryptionKeys(derive_key_ring(["a secret of the backups"], "backups"))


@pytest.fixture(scope="module")
def backup(backend, new_database, tmp_path_factory):
    """Provide an encrypted backup that was made while trades were recorded."""
    url, folder = new_database(backend), tmp_path_factory.mktemp("backup") / "one"
    with run_service(url) as service:
        api, stop = service.create_client(), threading.Event()
        for _ in range(5):
            api.record_trade()
        api.set_quote("AAPL", "99", "101", "100")
        api.place_order()
        recorded = []

        def trade():
            while not stop.is_set():
                recorded.append(api.record_trade()["trade_id"])

        writer = threading.Thread(target=trade)
        writer.start()
        try:
            while len(recorded) < 3:
                stop.wait(0.01)
            manifest = write_backup(service.engine, folder, KEYS)
        finally:
            stop.set()
            writer.join()
    return folder, manifest, recorded


def create_url(backend, new_database, tmp_path):
    """Return the address of an empty database, or of a file that does not exist."""
    return f"sqlite:///{tmp_path}/new.db" if backend == "sqlite" else new_database(backend, migrated=False)


def test_restored_backup_verifies_and_the_service_goes_on_with_it(backend, new_database, tmp_path, backup):
    folder, manifest, _ = backup
    url = create_url(backend, new_database, tmp_path)
    assert restore_backup(folder, url, KEYS) == manifest
    engine = connect_engine(url)
    assert list(find_differences(engine, manifest)) == []
    engine.dispose()
    with run_service(url) as service:
        api = service.create_client()
        api.record_trade()
        assert api.get_portfolio()["total_trades"] == 1
    engine = connect_engine(url)
    assert any("ledger" in line for line in find_differences(engine, manifest))
    engine.dispose()


def test_files_are_encrypted_and_a_changed_one_is_refused(backend, new_database, tmp_path, backup):
    folder, manifest, recorded = backup
    assert all(recorded[0].encode() not in path.read_bytes() for path in folder.iterdir())
    url = create_url(backend, new_database, tmp_path)
    with pytest.raises(InvalidBackup, match="BACKUP_KEYS"):
        restore_backup(folder, url, None)
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    changed = copy / manifest.files[-1].name
    changed.write_bytes(changed.read_bytes()[:-1])
    with pytest.raises(InvalidBackup, match="changed"):
        read_manifest(copy)
    (copy / "manifest.json").unlink()
    with pytest.raises(InvalidBackup, match="manifest"):
        read_manifest(copy)


@pytest.mark.any_database
def test_backup_and_restore_overwrite_nothing(backend, new_database, tmp_path, backup, engine):
    folder, _, _ = backup
    with pytest.raises(CannotBackUp):
        write_backup(engine, folder, None)
    with pytest.raises(CannotRestore):
        restore_backup(folder, new_database(backend), KEYS)


@pytest.mark.any_database
def test_commands_report_their_result(backend, new_database, tmp_path, monkeypatch, capsys):
    settings = build_settings(new_database(backend), backup_keys=f"one:{'A' * 43}=")
    monkeypatch.setattr("app.backup.load_settings", lambda: settings)
    monkeypatch.setattr("app.restore.load_settings", lambda: settings)
    folder, url = tmp_path / "two", create_url(backend, new_database, tmp_path)
    assert app.backup.main([str(folder)]) == 0
    assert "encrypted" in capsys.readouterr().out
    assert app.restore.main([str(folder), "--to", url, "--verify"]) == 0
    assert "Verified" in capsys.readouterr().out
    assert app.backup.main([str(folder)]) == 2
    assert app.restore.main([str(tmp_path / "missing"), "--to", url]) == 2
    assert app.restore.main([str(folder), "--to", url]) == 2
    assert "already" in capsys.readouterr().err


@pytest.mark.any_database
def test_scheduled_backups_are_kept_for_the_retention_and_rests_of_killed_runs_deleted(
    database_url, tmp_path
):
    clock, folder = SetClock("2026-11-20T00:00"), tmp_path / "backups"
    job = BackupJob(database_url, folder, KEYS, timedelta(days=2), clock)
    for name in ("20261119T000000Z", "notes"):
        (folder / name).mkdir(parents=True)
        (folder / name / "trades.jsonl.gz").touch()
    for day in range(20, 25):
        clock.set(f"2026-11-{day}T00:00")
        job.run(EndlessLease())
        job.run(EndlessLease())  # again in another process, after the first one was killed
    complete = ["20261122T000000Z", "20261123T000000Z", "20261124T000000Z"]
    assert sorted(path.name for path in folder.iterdir()) == [*complete, "notes"]
    assert read_manifest(folder / complete[-1]).is_encrypted
    clock.set("2027-11-24T00:00")
    with pytest.raises(CannotBackUp):
        BackupJob(f"sqlite:///{tmp_path}/empty.db", folder, KEYS, timedelta(days=2), clock).run(
            EndlessLease()
        )
    assert (folder / complete[-1]).is_dir()


@pytest.mark.any_database
def test_backups_are_a_job_where_a_folder_is_named(serve, tmp_path):
    with serve(backup_folder=tmp_path / "backups") as service:
        assert "back up" in service.app.state.job_runner.run_due()
        assert len(list((tmp_path / "backups").glob("*/manifest.json"))) == 1


def test_command_knows_all_tables_without_the_service():
    code = "import app.backup; print(len(app.backup.METADATA.tables))"
    completed = subprocess.run(
        [sys.executable, "-c", code], cwd=HOME, capture_output=True, text=True, check=True
    )
    assert int(completed.stdout) == len(METADATA.tables)


@pytest.mark.any_database
def test_backup_that_would_leave_a_table_out_is_refused(engine, tmp_path):
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE notes (id INTEGER)")
    with pytest.raises(CannotBackUp, match="notes"):
        write_backup(engine, tmp_path / "three", None)


def test_rotated_key_reads_old_backups_as_long_as_it_is_in_the_list(new_database, tmp_path):
    url = new_database("sqlite")
    with run_service(url) as service:
        service.create_client().record_trade()
    old, new = f"one:{'A' * 43}=", f"two:{'B' * 43}="

    def make_keys(listed):
        return create_backup_keys(build_settings(url, backup_keys=listed))

    engine = connect_engine(url)
    try:
        write_backup(engine, tmp_path / "before", make_keys(old))
        write_backup(engine, tmp_path / "after", make_keys(f"{new},{old}"))
    finally:
        engine.dispose()
    with pytest.raises(InvalidBackup):
        restore_backup(tmp_path / "before", f"sqlite:///{tmp_path}/refused.db", make_keys(new))
    for name, listed in (("before", f"{new},{old}"), ("after", new)):
        restored = f"sqlite:///{tmp_path}/{name}.db"
        restore_backup(tmp_path / name, restored, make_keys(listed))
        verify_books(restored)
