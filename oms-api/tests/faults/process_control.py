"""Processes that tests can kill, freeze and restart: PostgreSQL and the service."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
from typing_extensions import override

from app.database import connect_engine
from app.verify import format_report, verify_database
from tests.factories import BOOTSTRAP_KEY, JWT_KEYS
from tests.faults.load import Connection
from tests.support.guarded_programs import start_guarded
from tests.support.ports import find_free_port
from tests.support.postgres import PostgresServer
from tests.support.processes import Program, start_program

HERE = Path(__file__).resolve().parents[2]
START_SECONDS = 120.0


def wait_until(condition: Callable[[], bool], seconds: float, label: str) -> float:
    """Wait until `condition` is true, and return the seconds. Fails after `seconds`."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, f"after {seconds:g} s still not: {label}"
        time.sleep(0.01)
    return time.monotonic() - started


class PostgresProcess(PostgresServer):
    """A PostgreSQL server, a child of this process, whose every process can be hit at once."""

    def __init__(self) -> None:
        super().__init__()
        self._postmaster: subprocess.Popen[bytes] | None = None

    @override
    def start(self) -> None:
        """Start, and wait until connections are taken."""
        server_options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
        }
        options = [part for name, value in server_options.items() for part in ("-c", f"{name}={value}")]
        with (self.home / "server.log").open("ab") as log:
            self._postmaster = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", str(self._data_folder), *options], cwd="/",
                user=self._user, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        wait_until(self._is_ready, START_SECONDS, "PostgreSQL takes connections")

    @override
    def stop(self) -> None:
        """Stop; connections are cut."""
        self._signal(signal.SIGINT)

    @override
    def kill(self) -> None:
        """Kill the postmaster and all its backends."""
        pids = self.freeze()  # so that none is forked meanwhile
        _signal(pids, signal.SIGKILL)
        self._signal(signal.SIGKILL)
        wait_until(lambda: not any(map(_is_running, pids)), 60, "PostgreSQL's processes are gone")

    def freeze(self) -> list[int]:
        """Stop all processes where they stand, and return them; connections stay open, nothing answers."""
        assert self._postmaster is not None, "not started"
        postmaster = self._postmaster.pid
        _signal([postmaster], signal.SIGSTOP)
        pids = [postmaster, *(pid for pid, parent in _list_parents() if parent == postmaster)]
        _signal(pids, signal.SIGSTOP)
        return pids

    def _is_ready(self) -> bool:
        assert self._postmaster is not None, "not started"
        assert self._postmaster.poll() is None, (self.home / "server.log").read_text()
        return self.accepts()

    def accepts(self) -> bool:
        """Whether a connection is taken."""
        try:
            psycopg2.connect(self.url, connect_timeout=2).close()
        except psycopg2.OperationalError:
            return False
        return True

    @override
    def remove(self) -> None:
        """Stop and delete everything."""
        self._signal(signal.SIGQUIT)  # at once: nothing of it is needed any more
        self.folder.remove()

    def _signal(self, number: signal.Signals) -> None:
        if self._postmaster is not None:
            self._postmaster.send_signal(number)
            self._postmaster.wait(START_SECONDS)
            self._postmaster = None


def resume_processes(pids: list[int]) -> None:
    """Let frozen processes go on."""
    _signal(pids, signal.SIGCONT)


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue  # it ended by itself


class OmsProcess:
    """The service as a separate process; `fault` names the fault of `tests.faults.sabotaged_service`."""

    def __init__(self, database_url: str, logs: Path, fault: str = "", **environment: str) -> None:
        self.home = HERE  # the folder of its source
        self.port = find_free_port()
        self.fault = fault
        self._logs = logs / f"oms-{self.port}.log"
        self._process: Program | None = None
        body = {"OMS_API_KEY": BOOTSTRAP_KEY, "JWT_KEYS": JWT_KEYS, "DATABASE_URL": database_url}
        body["PORT"] = str(self.port)
        body |= {"ENVIRONMENT": "production", "RATE_LIMIT_PER_MINUTE": "0", "LOG_LEVEL": "WARNING"}
        self._environment = {"PATH": os.environ.get("PATH", ""), "HOST": "127.0.0.1"} | body | environment

    @property
    def process(self) -> Program:
        """The running process."""
        assert self._process is not None, "not started"
        return self._process

    def start(self, ready: bool = True) -> None:
        """Start it, and wait until it is ready."""
        environment = self._environment | {"FAULT": self.fault}
        program = "tests.faults.sabotaged_service"
        if self.home == HERE:
            self._process = start_program(program, "main", environment, self._logs)
        else:
            with self._logs.open("ab") as log:
                self._process = start_guarded(
                    [sys.executable, "-m", program], cwd=self.home, env=environment,
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                )  # fmt: skip
        if ready:
            self.wait_ready()

    def wait_ready(self, seconds: float = START_SECONDS) -> float:
        """Wait for readiness; return how many seconds it took."""

        def is_ready() -> bool:
            assert self.process.poll() is None, f"the service ended:\n{self.log()[-3000:]}"
            return self.readiness() == 200

        return wait_until(is_ready, seconds, "the service is ready")

    def readiness(self) -> int:
        """Return the status of /health/ready, 0 without an answer."""
        try:
            with Connection(self.port) as connection:
                return connection.call("GET", "/health/ready")[0]
        except ConnectionError:
            return 0

    def kill(self) -> None:
        """Kill it without a chance to tidy up."""
        self.process.kill()
        self.process.wait(60)

    def stop(self, seconds: float = 120) -> None:
        """Ask it to stop, and wait until it has."""
        self.process.terminate()
        assert self.process.wait(seconds) in {0, -signal.SIGTERM}, self.log()[-3000:]

    def died(self, seconds: float) -> None:
        """Wait until it has killed itself."""
        assert self.process.wait(seconds) == -signal.SIGKILL, self.log()[-3000:]

    def log(self) -> str:
        """Return the log of the process."""
        return self._logs.read_text(errors="replace")

    def remove(self) -> None:
        """Kill it if it runs."""
        if self._process and self._process.poll() is None:
            self.kill()


@contextmanager
def run_services(*services: OmsProcess) -> Iterator[None]:
    """Start services, and make sure that none of them outlives the block."""
    try:
        for service in services:
            service.start(ready=False)
        for service in services:
            service.wait_ready()
        yield
    finally:
        for service in services:
            service.remove()


def verify_books(database_url: str) -> None:
    """Prove the books as the operator's command does; it must find nothing."""
    engine = connect_engine(database_url, readers=1)
    try:
        result = verify_database(engine)
    finally:
        engine.dispose()
    assert result.is_clean, "\n".join(format_report(result, 0))


def _list_parents() -> Iterator[tuple[int, int]]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        yield int(folder.name), int(fields[1])


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False
