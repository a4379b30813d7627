"""Find the source files of folders that have changed, by their time of modification."""

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

SUFFIXES = (".py", ".csv", ".json", ".txt", ".env", ".html", ".js", ".css")
SKIPPED_FOLDERS = {"__pycache__", ".venv", ".cache", ".git", ".hypothesis", "node_modules"}


class FileWatcher:
    """Compares the files of folders with those of the previous call, at most once in `interval_seconds`."""

    def __init__(self, folders: Iterable[Path], interval_seconds: float = 0.0) -> None:
        self._folders, self._interval_seconds = list(folders), interval_seconds
        self._read_at = time.monotonic()
        self._known_times = self._read_times()

    def find_changes(self) -> list[Path]:
        """Return the files that were written, added or deleted since the previous call, sorted."""
        if time.monotonic() - self._read_at < self._interval_seconds:
            return []
        current, self._read_at = self._read_times(), time.monotonic()
        previous, self._known_times = self._known_times, current
        names = previous.keys() | current.keys()
        return sorted(Path(name) for name in names if previous.get(name) != current.get(name))

    def _read_times(self) -> dict[str, int]:
        return {
            entry.path: entry.stat().st_mtime_ns for folder in self._folders for entry in _walk_folder(folder)
        }


def _walk_folder(folder: Path | str) -> Iterator["os.DirEntry[str]"]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in SKIPPED_FOLDERS:
                    yield from _walk_folder(entry.path)
            elif entry.name.endswith(SUFFIXES) and entry.is_file():
                yield entry
