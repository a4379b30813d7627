"""The slots of a server's worker processes: files in a directory that only the server's user can read.

A worker owns the slot whose file it has locked. The system releases the lock when the process ends, however
it ends, and its successor takes the slot.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

DIRECTORY_VARIABLE = "OMS_WORKER_DIRECTORY"  # set by the supervisor for its workers
_MAX_SOCKET_PATH_BYTES = 100  # bytes; the system allows 104 to 108


class WorkerSlots:
    """The slots of `count` worker processes in `directory`."""

    def __init__(self, directory: Path, count: int) -> None:
        self.count = count
        self._directory = directory
        self._lock: int | None = None

    @classmethod
    def from_environment(cls, count: int) -> "WorkerSlots | None":
        """Return the slots of the supervisor's directory, or None without one."""
        directory = os.environ.get(DIRECTORY_VARIABLE)
        return cls(Path(directory), count) if directory and count > 1 else None

    def acquire(self) -> int | None:
        """Lock a free slot and return its number, or None if each has a worker."""
        import fcntl  # noqa: PLC0415  # Windows has none, and no slots

        for number in range(self.count):
            lock = os.open(self._directory / f"{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                continue
            self._lock = lock
            return number
        return None

    def release(self) -> None:
        """Release the slot of this process."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def get_socket_path(self, number: int) -> Path:
        """Return the path of the socket on which the worker of a slot listens."""
        return self._directory / f"{number}.sock"


@contextmanager
def worker_directory() -> Iterator[None]:
    """Create the directory of the slots, name it in the environment, and remove it afterwards.

    Does nothing on systems without Unix sockets.
    """
    if os.name != "posix":
        yield
        return
    folder = tempfile.gettempdir()
    if len(os.fsencode(folder)) > _MAX_SOCKET_PATH_BYTES - 30:
        folder = "/tmp"  # noqa: S108  # only for the path's length; `mkdtemp` creates a private directory
    directory = tempfile.mkdtemp(prefix="oms-workers-", dir=folder)
    os.environ[DIRECTORY_VARIABLE] = directory
    try:
        yield
    finally:
        os.environ.pop(DIRECTORY_VARIABLE, None)
        with suppress(OSError):
            shutil.rmtree(directory)
