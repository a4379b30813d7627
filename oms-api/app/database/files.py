"""The file of a SQLite database, and checks that writes to it persist."""

import os
from pathlib import Path

from sqlalchemy import Engine

MIN_FREE_BYTES = 1_000_000  # below this, the next commits fail


class DatabaseFile:
    """The file that the service opened at its start. `path` is None for a database server."""

    def __init__(self, path: str | None) -> None:
        self._path = None if path is None else Path(path).absolute()
        self._identity: tuple[int, int] | None = None

    @classmethod
    def from_engine(cls, engine: Engine) -> "DatabaseFile":
        """Return the file of an engine's database."""
        return cls(engine.url.database if engine.dialect.name == "sqlite" else None)

    def find_problem(self) -> str | None:
        """Return a sentence that states why writes would fail or be lost, or None.

        It names no path, since it is public. The first file found must stay in place.
        """
        if self._path is None:
            return None
        try:
            file_status = self._path.stat()
            is_full = _get_free_bytes(self._path) < MIN_FREE_BYTES
        except FileNotFoundError:
            return "The database file was moved or deleted. Put it back, and restart the service."
        except OSError as error:
            return f"The database file cannot be reached: {error.strerror}."
        if self._identity not in {None, (file_status.st_dev, file_status.st_ino)}:
            return "The database file was replaced by another one. Restart the service."
        self._identity = (file_status.st_dev, file_status.st_ino)
        if not (os.access(self._path, os.W_OK) and os.access(self._path.parent, os.W_OK)):
            return "The database file, or its folder, is read-only. Let the service write to both."
        return "The disk that holds the database is full. Make room on it." if is_full else None


def _get_free_bytes(path: Path) -> int:
    system = os.statvfs(path)
    return system.f_bavail * system.f_frsize
