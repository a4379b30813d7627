"""Backs up the database by schedule, and deletes old backups."""

import re
import shutil
from datetime import datetime, timedelta
from pathlib import Path

from app.backup import write_backup
from app.backup_files import MANIFEST_FILE
from app.clock import Now
from app.database import connect_engine
from app.encryption import EncryptionKeys
from app.jobs.service import Lease

_FOLDER_FORMAT = "%Y%m%dT%H%M%SZ"
_FOLDER_PATTERN = re.compile(r"\d{8}T\d{6}Z")


class BackupJob:
    """Makes a backup in a separate folder, and keeps those of the last `retention`.

    The newest complete backup is never deleted. A folder without a manifest is the rest of a run whose
    process was killed, because the lease allows one run at a time.
    """

    def __init__(
        self, database_url: str, folder: Path, keys: EncryptionKeys | None, retention: timedelta, now: Now
    ) -> None:
        self._database_url, self._folder, self._keys = database_url, folder, keys
        self._retention, self._now = retention, now

    def run(self, lease: Lease) -> None:
        """Make a backup, then delete old ones. Raises OSError, SQLAlchemyError or CannotBackUp."""
        now = self._now()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._delete_incomplete()
        target = self._folder / now.strftime(_FOLDER_FORMAT)
        if not target.exists():
            engine = connect_engine(self._database_url, readers=1)
            try:
                write_backup(engine, target, self._keys, lease.renew_if_old)
            finally:
                engine.dispose()
        self._delete_old(now)

    def _delete_incomplete(self) -> None:
        for path in self._list_folders():
            if not (path / MANIFEST_FILE).is_file():
                shutil.rmtree(path)

    def _delete_old(self, now: datetime) -> None:
        oldest = (now - self._retention).strftime(_FOLDER_FORMAT)
        for path in self._list_folders()[:-1]:
            if path.name < oldest:
                shutil.rmtree(path)

    def _list_folders(self) -> list[Path]:
        """Return the folders of backups, the oldest first. Other files of the folder are ignored."""
        folders = (
            path for path in self._folder.iterdir() if _FOLDER_PATTERN.fullmatch(path.name) and path.is_dir()
        )
        return sorted(folders)
