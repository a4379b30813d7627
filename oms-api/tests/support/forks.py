"""Programs of the service, forked from a process that has imported it: each start takes seconds less.

Other tests cover the work of `python -m` before the first line of such a program: see
tests/test_startup.py and the end-to-end tests.
"""

import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from threading import Thread

_context = get_context("forkserver")
_context.set_forkserver_preload([__name__, "tests.support.preloaded"])


class Fork:
    """A running program, with the methods of `subprocess.Popen` that tests need."""

    def __init__(self, module: str, function: str, environment: Mapping[str, str], log: Path) -> None:
        arguments = (module, function, dict(environment), str(log))
        self._process = _context.Process(target=_run, args=arguments, daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process.pid is not None, "it was started"
        return self._process.pid

    def poll(self) -> int | None:
        """Return its exit status, None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its exit status."""
        self._process.join(timeout)
        status = self._process.exitcode
        if status is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)


def _run(module: str, function: str, environment: dict[str, str], log: str) -> None:
    run = parent_process()
    assert run is not None
    Thread(target=_stop_with_run, args=(run.sentinel,), name="end-with-run", daemon=True).start()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(descriptor, stream.fileno())
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # as PYTHONUNBUFFERED does
    os.close(descriptor)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[:] = [module]
    sys.exit(getattr(importlib.import_module(module), function)())


def _stop_with_run(sentinel: int) -> None:
    """End this process when the test run that started it has ended for any reason."""
    wait([sentinel])
    os.kill(os.getpid(), signal.SIGKILL)
