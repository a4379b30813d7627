"""End programs whose starter has ended: a program, started by `tests.support.guarded_programs`.

Each line of its standard input is the process id of a program. When the input ends, which is when the starter
does, however that ended, it kills those that still run. It knows them by the time of their start, because the
system gives the id of a process that has ended to another one. This needs Linux; elsewhere programs outlive a
killed test run.
"""

import os
import signal
import sys
from pathlib import Path


def read_start_time(pid: int) -> str | None:
    """Return when a process started, in ticks since the start of the system, None if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[19]


def kill(pid: int) -> None:
    """Kill a process and the group that it leads."""
    try:
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it ended by itself


def main() -> None:
    """Wait until the input ends, and kill the programs."""
    started: dict[int, str | None] = {}
    for line in sys.stdin:
        pid = int(line)
        started[pid] = read_start_time(pid)
    for pid, start_time in started.items():
        if start_time is not None and read_start_time(pid) == start_time:
            kill(pid)


if __name__ == "__main__":
    main()
