"""Backs up the database while it is in use: `python -m app.backup FOLDER`.

All tables are read on one snapshot, through the database's driver. With BACKUP_KEYS the files are encrypted.
The manifest holds their hashes and the ends of all hash chains; `app.restore --verify` compares them.

Exit status: 0 the backup is complete, 2 it could not be made.
"""

import argparse
import secrets
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, inspect, text
from sqlalchemy.exc import SQLAlchemyError

import app.models  # noqa: F401  # fills the metadata
from app.backup_files import BackupWriter, FileEntry, Manifest, write_manifest
from app.clock import utc_now
from app.config import ConfigurationError, Settings, load_settings
from app.database import METADATA, connect_engine, set_all_tenants_scope, snapshot
from app.database.failures import format_reason
from app.database.tenants import NoVisibleRows
from app.database.timeouts import response_timeout
from app.encryption import EncryptionKeys, parse_key_ring
from app.migrate import get_current_revision, get_migration_url, is_current

DONE, CANNOT = 0, 2
SCAN_SECONDS = 3600.0
ROWS_IN_MEMORY = 1_000  # that are in memory at a time
SQLITE_FILE = "database.sqlite"
_HEAD_QUERIES = {
    "ledger": "SELECT tenant_id, id, last_sequence, last_hash FROM portfolios ORDER BY tenant_id, id",
    "audit": "SELECT tenant_id, last_sequence, last_hash FROM audit_heads ORDER BY tenant_id",
}
_SEQUENCES_QUERY = """
    SELECT sequencename, last_value FROM pg_sequences
    WHERE schemaname = current_schema() AND last_value IS NOT NULL ORDER BY sequencename
"""


class CannotBackUp(Exception):
    """Raised when the database does not have exactly the tables of this version, or the folder exists."""


def write_backup(
    engine: Engine, folder: Path, keys: EncryptionKeys | None, on_progress: Callable[[], None] = lambda: None
) -> Manifest:
    """Write a backup of the database to a new folder. Raises CannotBackUp. Nothing remains of a failure.

    `on_progress` is called often. An error that it raises ends the backup.
    """
    try:
        folder.mkdir(parents=True, mode=0o700)
    except FileExistsError:
        raise CannotBackUp(f"{folder} exists already; name a new folder.") from None
    try:
        with response_timeout(SCAN_SECONDS):
            copy = _copy_sqlite if engine.dialect.name == "sqlite" else _copy_postgresql
            manifest = copy(engine, folder, keys, secrets.token_hex(16), on_progress)
        write_manifest(folder, manifest)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return manifest


def read_heads(connection: Connection) -> dict[str, list[list[Any]]]:
    """Return the ends of all hash chains."""
    return {
        name: [list(row) for row in connection.execute(text(query))] for name, query in _HEAD_QUERIES.items()
    }


def create_backup_keys(settings: Settings) -> EncryptionKeys | None:
    """Return the keys that encrypt backups, None if there are none."""
    return None if settings.backup_keys is None else EncryptionKeys(parse_key_ring(settings.backup_keys))


def _copy_postgresql(
    engine: Engine, folder: Path, keys: EncryptionKeys | None, backup_id: str, on_progress: Callable[[], None]
) -> Manifest:
    with snapshot(engine) as connection:
        _require_tables(connection)
        set_all_tenants_scope(connection).execute(text("SELECT 1"))  # sends the scope
        heads, revision = read_heads(connection), get_current_revision(connection) or ""
        sequences = {str(row[0]): int(row[1]) for row in connection.execute(text(_SEQUENCES_QUERY))}
        files = [
            _copy_table(connection, table, folder, keys, backup_id, on_progress)
            for table in METADATA.sorted_tables
        ]
    return _build_manifest(backup_id, "postgresql", revision, keys, files, heads, sequences)


def _copy_table(
    connection: Connection, table: Table, folder: Path, keys: EncryptionKeys | None, backup_id: str,
    on_progress: Callable[[], None],
) -> FileEntry:  # fmt: skip
    """Write a table as a JSON object a line, which keeps all digits of amounts."""
    columns = tuple(column.name for column in table.columns)
    quoted_names = ", ".join(f'"{name}"' for name in columns)
    statement = f'SELECT row_to_json(one)::text FROM (SELECT {quoted_names} FROM "{table.name}") one'  # noqa: S608
    name = f"{table.name}.jsonl.gz"
    writer = BackupWriter(folder / name, keys, f"{backup_id}/{name}")
    options = {"stream_results": True, "yield_per": ROWS_IN_MEMORY}
    for number, row in enumerate(connection.execution_options(**options).execute(text(statement))):
        writer.write(row[0].encode() + b"\n")
        if number % ROWS_IN_MEMORY == 0:
            on_progress()
    return writer.close()._replace(table=table.name, columns=columns)


def _copy_sqlite(
    engine: Engine, folder: Path, keys: EncryptionKeys | None, backup_id: str, on_progress: Callable[[], None]
) -> Manifest:
    with tempfile.TemporaryDirectory(dir=folder) as place:
        copy = Path(place) / SQLITE_FILE
        with engine.connect() as connection:
            _require_tables(connection)
            source: Any = connection.connection.driver_connection
            with _open_sqlite(copy) as target:
                source.backup(target)  # in one step, so that writers wait and the copy is consistent
        own = connect_engine(f"sqlite:///{copy}", readers=1)
        with own.connect() as connection:
            heads, revision = read_heads(connection), get_current_revision(connection) or ""
        own.dispose()
        name = f"{SQLITE_FILE}.gz"
        writer = BackupWriter(folder / name, keys, f"{backup_id}/{name}")
        with copy.open("rb") as file:
            while chunk := file.read(1 << 20):
                writer.write(chunk)
                on_progress()
    return _build_manifest(backup_id, "sqlite", revision, keys, [writer.close()], heads, {})


@contextmanager
def _open_sqlite(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path)
    try:
        yield connection
    finally:
        connection.close()


def _build_manifest(
    backup_id: str,
    database: str,
    revision: str,
    keys: EncryptionKeys | None,
    files: Sequence[FileEntry],
    heads: dict[str, list[list[Any]]],
    sequences: dict[str, int],
) -> Manifest:
    created_at = utc_now().isoformat()
    is_encrypted = keys is not None
    return Manifest(backup_id, created_at, database, revision, is_encrypted, tuple(files), heads, sequences)


def _require_tables(connection: Connection) -> None:
    table_names = set(inspect(connection).get_table_names()) - {"alembic_version"}
    if not is_current(connection) or not set(METADATA.tables) <= table_names:
        raise CannotBackUp("The tables are not those of this version. Run `python -m app.migrate`.")
    if unknown := sorted(table_names - set(METADATA.tables)):
        raise CannotBackUp(f"The database has tables that a backup would leave out: {', '.join(unknown)}.")


def main(arguments: Sequence[str] = ()) -> int:
    """Back up the configured database, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m app.backup", description="Back up the database.")
    parser.add_argument("folder", type=Path, help="a new folder for the files")
    args = parser.parse_args(arguments)
    try:
        settings = load_settings()
        engine = connect_engine(get_migration_url(settings), readers=1)
        manifest = write_backup(engine, args.folder, create_backup_keys(settings))
    except (ConfigurationError, CannotBackUp, NoVisibleRows) as error:
        sys.stderr.write(f"{error}\n")
        return CANNOT
    except (SQLAlchemyError, OSError, sqlite3.Error) as error:
        reason = format_reason(error) if isinstance(error, SQLAlchemyError) else str(error)
        sys.stderr.write(f"The backup was not made: {reason}\n")
        return CANNOT
    engine.dispose()
    size, state = (
        sum(file.bytes for file in manifest.files),
        "encrypted" if manifest.is_encrypted else "plain",
    )
    sys.stdout.write(f"Complete: {len(manifest.files)} files, {size:,} bytes, {state}, in {args.folder}.\n")
    return DONE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
