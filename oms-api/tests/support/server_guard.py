"""End a server whose owner has ended: a program, started by `tests.support.postgres.ServerFolder`.

It waits until its standard input ends, which is when the owner does, however that ended. Then it ends the
processes that work in the folder, and deletes the folder. Processes are found by their working folder, which
needs Linux; elsewhere a server outlives a killed test run.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

END_SECONDS = 10.0


def stop_server(folder: Path) -> None:
    """End the processes that work in a folder, and delete it."""
    deadline = time.monotonic() + END_SECONDS
    number = signal.SIGQUIT  # PostgreSQL ends at once, and frees its shared memory
    while pids := _list_processes(folder):
        for pid in pids:
            _send(pid, number)
        time.sleep(0.02)
        number = signal.SIGKILL if time.monotonic() > deadline else number
    # The folder has hundreds of thousands of files, which Python takes several times as long to delete.
    subprocess.run(["/bin/rm", "-rf", str(folder)], check=False)


def _list_processes(folder: Path) -> list[int]:
    return [int(process.name) for process in Path("/proc").glob("[0-9]*") if _is_in_folder(process, folder)]


def _is_in_folder(process: Path, folder: Path) -> bool:
    try:
        return (process / "cwd").readlink().is_relative_to(folder)
    except OSError:  # it has ended, or is of another user
        return False


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # it ended by itself


def main() -> None:
    """Wait until the standard input ends, which is when the owner does, and end the server."""
    folder = Path(sys.argv[1])
    sys.stdin.buffer.read()
    stop_server(folder)


if __name__ == "__main__":
    main()
