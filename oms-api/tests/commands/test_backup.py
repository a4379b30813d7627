"""A backup under writes, restored to a new database, verifies; a changed one is refused."""

import threading

import pytest

import app.backup
import app.restore
from app.backup import CannotBackUp, back_up
from app.backup_files import InvalidBackup, read_manifest
from app.database import connect_engine
from app.encryption import KeyRing, derive_key_ring
from app.restore import CannotRestore, find_differences, restore
from tests.support.service import serving, settings_for

KEYS = KeyRing(derive_key_ring(["a secret of the backups"], "backups"))


@pytest.fixture(scope="module")
def backup(backend, new_database, tmp_path_factory):
    """Provide an encrypted backup that was made while trades were recorded."""
    url, folder = new_database(backend), tmp_path_factory.mktemp("backup") / "one"
    with serving(url) as service:
        api, stop = service.api(), threading.Event()
        for _ in range(5):
            api.trade()
        api.quote("AAPL", "99", "101", "100")
        api.order()
        recorded = []

        def trade():
            while not stop.is_set():
                recorded.append(api.trade()["trade_id"])

        writer = threading.Thread(target=trade)
        writer.start()
        try:
            while len(recorded) < 3:
                stop.wait(0.01)
            manifest = back_up(service.engine, folder, KEYS)
        finally:
            stop.set()
            writer.join()
    return folder, manifest, recorded


def new_url(backend, new_database, tmp_path):
    """Return the address of an empty database, or of a file that does not exist."""
    return f"sqlite:///{tmp_path}/new.db" if backend == "sqlite" else new_database(backend, migrated=False)


def test_restored_backup_verifies_and_the_service_goes_on_with_it(backend, new_database, tmp_path, backup):
    folder, manifest, _ = backup
    url = new_url(backend, new_database, tmp_path)
    assert restore(folder, url, KEYS) == manifest
    engine = connect_engine(url)
    assert list(find_differences(engine, manifest)) == []
    engine.dispose()
    with serving(url) as service:
        api = service.api()
        api.trade()
        assert api.portfolio()["total_trades"] == 1
    engine = connect_engine(url)
    assert any("ledger" in line for line in find_differences(engine, manifest))
    engine.dispose()


def test_files_are_encrypted_and_a_changed_one_is_refused(backend, new_database, tmp_path, backup):
    folder, manifest, recorded = backup
    assert all(recorded[0].encode() not in path.read_bytes() for path in folder.iterdir())
    url = new_url(backend, new_database, tmp_path)
    with pytest.raises(InvalidBackup, match="BACKUP_KEYS"):
        restore(folder, url, None)
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
def test_nothing_is_overwritten(backend, new_database, tmp_path, backup, engine):
    folder, _, _ = backup
    with pytest.raises(CannotBackUp):
        back_up(engine, folder, None)
    with pytest.raises(CannotRestore):
        restore(folder, new_database(backend), KEYS)


@pytest.mark.any_database
def test_commands_report_what_they_did(backend, new_database, tmp_path, monkeypatch, capsys):
    settings = settings_for(new_database(backend), backup_keys=f"one:{'A' * 43}=")
    monkeypatch.setattr("app.backup.load_settings", lambda: settings)
    monkeypatch.setattr("app.restore.load_settings", lambda: settings)
    folder, url = tmp_path / "two", new_url(backend, new_database, tmp_path)
    assert app.backup.main([str(folder)]) == 0
    assert "encrypted" in capsys.readouterr().out
    assert app.restore.main([str(folder), "--to", url, "--verify"]) == 0
    assert "Verified" in capsys.readouterr().out
    assert app.backup.main([str(folder)]) == 2
    assert app.restore.main([str(tmp_path / "missing"), "--to", url]) == 2
    assert app.restore.main([str(folder), "--to", url]) == 2
    assert "already" in capsys.readouterr().err
