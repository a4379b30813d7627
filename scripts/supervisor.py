"""Run several programs together: prefixed logs, restarts with backoff, and one shutdown for all."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

STOP_SECONDS = 20.0  # a write is answered or refused within 15 s
LAST_LINES_SECONDS = 1.0
MIN_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 15.0
STABLE_SECONDS = 30.0  # after this long alive, a crash counts as the first one again
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_print_lock = threading.Lock()


def print_line(name: str, line: str) -> None:
    """Print one line of a program atomically."""
    with _print_lock:
        print(f"{name:<9} | {line}", flush=True)


def describe_exit(returncode: int) -> str:
    """Describe the end of a process: its exit status, or the signal that killed it."""
    if returncode < 0:
        return f"was killed by {signal.Signals(-returncode).name}"
    return f"ended with status {returncode}"


@dataclass
class Program:
    """A program: its command, run in `folder` with `environment`, listening on a local `port`.

    `port` is 0 for a program that does not listen. `has_health` is whether it answers `GET /health` there.
    """

    name: str
    command: list[str]
    folder: Path
    environment: Mapping[str, str]
    port: int
    has_health: bool = True
    crash_count: int = 0
    started_at: float = 0.0
    restart_at: float = 0.0
    write_line: Callable[[str, str], None] = field(default=print_line, repr=False)
    process: subprocess.Popen[str] | None = field(default=None, repr=False)
    reader: threading.Thread | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start it in its own process group, so that Ctrl-C only reaches the supervisor."""
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(
            self.command,
            cwd=self.folder,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=_stop_with_parent if _LIBC else None,  # noqa: PLW1509  # one system call, no locks
        )
        assert self.process.stdout is not None  # noqa: S101  # PIPE was asked for
        self.reader = threading.Thread(target=self._forward_output, args=(self.process.stdout,), daemon=True)
        self.reader.start()

    def get_return_code(self) -> int | None:
        """Return the return code (as in subprocess), or None while it runs."""
        return self.process.poll() if self.process else None

    def schedule_restart(self, now: float) -> float:
        """Record a crash. Return the seconds until the next start, which increase up to a limit."""
        if now - self.started_at > STABLE_SECONDS:
            self.crash_count = 0
        wait = min(MIN_BACKOFF_SECONDS * 2.0**self.crash_count, MAX_BACKOFF_SECONDS)
        self.crash_count += 1
        self.process = None
        self.restart_at = now + wait
        return wait

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program and its children."""
        if self.process is not None:
            try:
                os.killpg(self.process.pid, number)
            except (ProcessLookupError, PermissionError):
                return

    def _forward_output(self, output: IO[str]) -> None:
        with output:
            for line in output:
                self.write_line(self.name, line.rstrip("\n"))


def stop_all(programs: list[Program]) -> bool:
    """Terminate all, wait a bounded time, and kill the rest. Return whether nothing had to be killed."""
    running = [program for program in programs if program.process is not None]
    for program in running:
        program.signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    clean = True
    for program in running:
        clean = _wait_for_end(program, deadline) and clean
    return clean


def _wait_for_end(program: Program, deadline: float) -> bool:
    assert program.process is not None  # noqa: S101  # only running ones are passed
    try:
        program.process.wait(timeout=max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        program.write_line(program.name, f"did not stop within {STOP_SECONDS:.0f} s: killing it.")
        program.signal(signal.SIGKILL)
        program.process.wait()
        return False
    program.signal(signal.SIGKILL)  # children left behind in its group
    if program.reader is not None:
        program.reader.join(timeout=LAST_LINES_SECONDS)
    return True


def _stop_with_parent() -> None:
    # If this process is killed, the kernel stops its children, so that no orphans hold the ports.
    if _LIBC:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
