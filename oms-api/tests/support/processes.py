"""The service as separate processes on free loopback ports."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx

from tests.factories import BOOTSTRAP_KEY, JWT_KEYS
from tests.support.forks import Fork
from tests.support.guarded_programs import start_guarded
from tests.support.ports import find_free_port

HOME = Path(__file__).parents[2]
START_SECONDS = 120  # on a slow, shared machine
# Coverage begins to measure, and Uvicorn's supervisor to start workers, where Python itself starts.
_IN_A_FRESH_PROCESS = ("COVERAGE_PROCESS_START", "WEB_CONCURRENCY")
_INHERITED = ("PATH", "HOME", "TMPDIR", "LANG", "COVERAGE_FILE", "COVERAGE_PROCESS_START")
Program = subprocess.Popen[bytes] | Fork


def build_environment(**settings: str) -> dict[str, str]:
    """Return an environment that holds these settings and no other of the service."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return (
        inherited
        | {
            "OMS_API_KEY": BOOTSTRAP_KEY,
            "JWT_KEYS": JWT_KEYS,
            "RATE_LIMIT_PER_MINUTE": "0",
            "BROKER_SESSIONS": "off",  # tests never call a broker outside
            "PYTHONUNBUFFERED": "1",
        }
        | settings
    )


@dataclass
class Process:
    """A running service."""

    process: Program
    url: str
    output: IO[bytes]

    def log(self) -> str:
        """Return the output so far."""
        self.output.seek(0)
        return self.output.read().decode()

    def stop(self) -> int:
        """Ask it to end, wait, and return its exit status."""
        self.process.terminate()
        return self.process.wait(START_SECONDS)


def start_program(module: str, function: str, settings: dict[str, str], log: Path) -> Program:
    """Start the program of `python -m module` by its function, and append its output to a file."""
    if settings.keys().isdisjoint(_IN_A_FRESH_PROCESS):
        return Fork(module, function, settings, log)
    with log.open("ab") as output:
        command = [sys.executable, "-m", module]
        return start_guarded(
            command, cwd=HOME, env=settings, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )


@contextmanager
def run_process(**settings: str) -> Iterator[Process]:
    """Run the service until the block ends."""
    port = find_free_port()
    environment = build_environment(PORT=str(port), **settings)
    with tempfile.NamedTemporaryFile() as output:
        process = start_program("app.main", "run", environment, Path(output.name))
        service = Process(process, f"http://127.0.0.1:{port}", output)
        try:
            _wait_until_ready(service)
            yield service
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(60)


def _wait_until_ready(service: Process) -> None:
    deadline = time.monotonic() + START_SECONDS
    with httpx.Client(base_url=service.url, timeout=2) as client:
        while time.monotonic() < deadline:
            assert service.process.poll() is None, service.log()
            try:
                if client.get("/health/ready").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.02)  # it does not listen yet; the deadline ends this
    raise AssertionError(f"not ready within {START_SECONDS} s:\n{service.log()}")
