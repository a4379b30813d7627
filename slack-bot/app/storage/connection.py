"""Open the database of a `BOT_DATABASE_URL`."""

from pathlib import Path

from app.storage.database import Database
from app.storage.postgres import PostgresDatabase
from app.storage.sqlite import SqliteDatabase

IN_MEMORY_URL = "sqlite://"
FILE_URL_PREFIX = "sqlite:///"


def open_database(url: str, *, is_locked: bool = True) -> Database:
    """Open the database. `is_locked`: no other bot may open the same file. Raises `DatabaseError`."""
    if url == IN_MEMORY_URL:
        return SqliteDatabase()
    if url.startswith(FILE_URL_PREFIX):
        path = str(Path(url.removeprefix(FILE_URL_PREFIX)).absolute())
        return SqliteDatabase(path, is_locked=is_locked)
    return PostgresDatabase(url)
