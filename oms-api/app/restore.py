"""Restores a backup to a new database: `python -m app.restore FOLDER --to URL --verify`.

The database must be empty, and of the same kind as that of the backup. With --verify, the ends of all hash
chains are compared with the manifest, and every invariant is checked as by `app.verify`.

Exit status: 0 restored, 1 the copy does not verify, 2 it could not be restored.
"""

import argparse
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from app.backup import ROWS_IN_MEMORY, CannotBackUp, create_backup_keys, read_heads
from app.backup_files import BackupReader, FileEntry, InvalidBackup, Manifest, read_manifest
from app.config import ConfigurationError, load_settings
from app.database import ALL_TENANTS, connect_engine, snapshot, unit_of_work
from app.database.failures import format_reason
from app.database.tenants import NoVisibleRows
from app.database.timeouts import response_timeout
from app.encryption import EncryptionKeys
from app.migrate import migrate
from app.verify import format_report, verify_audit_logs, verify_database

DONE, DIFFERS, CANNOT = 0, 1, 2
SCAN_SECONDS = 3600.0


class CannotRestore(Exception):
    """Raised when the database is not empty, or of another kind than the backup."""


def restore_backup(folder: Path, url: str, keys: EncryptionKeys | None) -> Manifest:
    """Load a backup into an empty database. Raises InvalidBackup or CannotRestore."""
    manifest = read_manifest(folder)
    if manifest.is_encrypted and keys is None:
        raise InvalidBackup("The backup is encrypted; set BACKUP_KEYS.")
    keys = keys if manifest.is_encrypted else None
    with response_timeout(SCAN_SECONDS):
        if manifest.database == "sqlite":
            _load_sqlite(folder, manifest, url, keys)
        else:
            _load_postgresql(folder, manifest, url, keys)
    return manifest


def find_differences(engine: Engine, manifest: Manifest) -> Iterator[str]:
    """Yield the chains whose end is not that of the manifest, and the report if an invariant fails."""
    with snapshot(engine, ALL_TENANTS) as connection:
        restored_heads = read_heads(connection)
    for name, heads in manifest.heads.items():
        if restored_heads.get(name) != heads:
            yield f"The ends of the chains of the {name} differ from the manifest."
    result, audit_result = verify_database(engine), verify_audit_logs(engine)
    if not result.is_clean or audit_result.problem is not None:
        yield from format_report(result, 0.0, is_audit_log_clean=audit_result.problem is None)


def _load_sqlite(folder: Path, manifest: Manifest, url: str, keys: EncryptionKeys | None) -> None:
    parsed_url = make_url(url)
    if not parsed_url.drivername.startswith("sqlite"):
        raise CannotRestore("The backup is of SQLite; name a database `sqlite:///FILE`.")
    target = Path(parsed_url.database or "")
    try:
        with target.open("xb") as file, (folder / manifest.files[0].name).open("rb") as source:
            reader = BackupReader(source, keys, f"{manifest.id}/{manifest.files[0].name}")
            while chunk := reader.read(1 << 20):
                file.write(chunk)
    except FileExistsError:
        raise CannotRestore(f"{target} exists already; name a new file.") from None


def _load_postgresql(folder: Path, manifest: Manifest, url: str, keys: EncryptionKeys | None) -> None:
    if make_url(url).drivername.startswith("sqlite"):
        raise CannotRestore("The backup is of PostgreSQL; name an empty PostgreSQL database.")
    engine = connect_engine(url, readers=1)
    try:
        with engine.connect() as connection:
            if inspect(connection).get_table_names():
                raise CannotRestore("The database has tables already; name an empty one.")
        migrate(engine, manifest.revision)
        with unit_of_work(engine) as connection:
            _load_tables(connection, folder, manifest, keys)
        migrate(engine)
    finally:
        engine.dispose()


def _load_tables(
    connection: Connection, folder: Path, manifest: Manifest, keys: EncryptionKeys | None
) -> None:
    """Replace the rows of the migrations by the rows of the backup, with triggers and policies off."""
    tables = [(entry, entry.table) for entry in manifest.files if entry.table is not None]
    forced = _list_forced_tables(connection)
    for _, table in tables:
        connection.execute(text(f'ALTER TABLE "{table}" DISABLE TRIGGER USER'))
    for table in forced:
        connection.execute(text(f'ALTER TABLE "{table}" NO FORCE ROW LEVEL SECURITY'))
    names = ", ".join(f'"{table}"' for _, table in tables)
    connection.execute(text(f"TRUNCATE {names} CASCADE"))
    for entry, table in tables:
        _copy_table(connection, folder, entry, table, keys, f"{manifest.id}/{entry.name}")
    for name, last in manifest.sequences.items():
        connection.execute(text("SELECT setval(:name, :last)"), {"name": name, "last": last})
    for _, table in tables:
        connection.execute(text(f'ALTER TABLE "{table}" ENABLE TRIGGER USER'))
    for table in forced:
        connection.execute(text(f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY'))


def _copy_table(
    connection: Connection,
    folder: Path,
    entry: FileEntry,
    table: str,
    keys: EncryptionKeys | None,
    context: str,
) -> None:
    columns = ", ".join(f'"{name}"' for name in entry.columns)
    rows = f'json_populate_recordset(NULL::"{table}", CAST(:rows AS json))'
    statement = text(f'INSERT INTO "{table}" ({columns}) SELECT {columns} FROM {rows}')  # noqa: S608
    with (folder / entry.name).open("rb") as source:
        lines = BackupReader(source, keys, context).iterate_lines()
        while batch := list(islice(lines, ROWS_IN_MEMORY)):
            connection.execute(statement, {"rows": f"[{b','.join(batch).decode()}]"})


def _list_forced_tables(connection: Connection) -> list[str]:
    statement = """
        SELECT relname FROM pg_class WHERE relforcerowsecurity AND relkind = 'r'
            AND relnamespace = current_schema()::regnamespace
    """
    return list(connection.execute(text(statement)).scalars())


def main(arguments: Sequence[str] = ()) -> int:
    """Restore a backup, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m app.restore", description="Restore a backup.")
    parser.add_argument("folder", type=Path, help="the folder of the backup")
    parser.add_argument("--to", required=True, metavar="URL", help="an empty database of the same kind")
    parser.add_argument("--verify", action="store_true", help="prove the copy afterwards")
    args = parser.parse_args(arguments)
    try:
        manifest = restore_backup(args.folder, args.to, create_backup_keys(load_settings()))
        sys.stdout.write(f"Restored the backup of {manifest.created_at}.\n")
        return _verify_restored(args.to, manifest) if args.verify else DONE
    except (ConfigurationError, InvalidBackup, CannotRestore, CannotBackUp, NoVisibleRows) as error:
        sys.stderr.write(f"{error}\n")
        return CANNOT
    except (SQLAlchemyError, OSError, sqlite3.Error) as error:
        reason = format_reason(error) if isinstance(error, SQLAlchemyError) else str(error)
        sys.stderr.write(f"The backup was not restored: {reason}\n")
        return CANNOT


def _verify_restored(url: str, manifest: Manifest) -> int:
    engine = connect_engine(url, readers=1)
    try:
        differences = list(find_differences(engine, manifest))
    finally:
        engine.dispose()
    sys.stdout.writelines(f"{line}\n" for line in differences or ["Verified: the copy is complete."])
    return DIFFERS if differences else DONE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
