"""Run the API and the bot as separate processes, configured as in production, and put load on them."""

import json
import os
import secrets
import subprocess
import sys
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from typing_extensions import override

from bench.load import PORTFOLIOS
from bench.postgres import Server, find_free_port
from bench.processor_time import read_processor_seconds

ROOT = Path(__file__).resolve().parent.parent
OMS_API, SLACK_BOT = ROOT / "oms-api", ROOT / "slack-bot"
START_SECONDS = 120
_POLL_SECONDS = 0.02
_READY = b'"event":"ready"'
_DAILY_JOB = b'oms_duty_runs_total{duty="verify chains"'

Environment = dict[str, str]


@dataclass(frozen=True, slots=True)
class LoadResult:
    """The result of a load generator: responses per second, latencies in ms, and its own share of a core.

    `api_microseconds` is the processor time of the service per request, `database_microseconds` that of the
    database server, or 0.
    """

    rate: float
    p50: float
    p90: float
    p99: float
    max: float
    cpu: float
    requests: int
    api_microseconds: float
    database_microseconds: float

    @override
    def __str__(self) -> str:
        return (
            f"p50 {self.p50:.1f} ms, p99 {self.p99:.1f} ms, max {self.max:.1f} ms "
            f"(load generator: {self.cpu:.0%} of a core); "
            f"processor time per request: API {self.api_microseconds:.0f} µs, "
            f"server {self.database_microseconds:.0f} µs"
        )


@dataclass(frozen=True, slots=True)
class Service:
    """A running service. `key` authenticates its callers."""

    port: int
    key: str
    process_id: int

    def open_portfolios(self, names: Iterable[str]) -> None:
        """Create the portfolios that orders need."""
        for name in names:
            body = json.dumps({"name": name}).encode()
            headers = {"X-API-Key": self.key, "Content-Type": "application/json"}
            url = f"http://127.0.0.1:{self.port}/api/v1/portfolios"
            request = urllib.request.Request(url, body, headers)
            urllib.request.urlopen(request, timeout=10).close()  # noqa: S310  # as above

    def load(
        self,
        path: str,
        seconds: float = 8.0,
        connections: int = 64,
        warm: float = 2.0,
        portfolios: int = PORTFOLIOS,
        server: Server | None = None,
    ) -> LoadResult:
        """Put load on the service and return the result. `path` is as in `bench.load`."""
        timing = ["--seconds", str(seconds), "--warm", str(warm), "--connections", str(connections)]
        command = [sys.executable, "-m", "bench.load", path, "--port", str(self.port), *timing]
        command += ["--portfolios", str(portfolios)]
        limit = seconds + warm + 60
        processes = (self.process_id, *([server.process_id] if server else []))
        before = [read_processor_seconds(process_id) for process_id in processes]
        process = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | {"OMS_API_KEY": self.key},
            stdout=subprocess.PIPE,
            check=True,
            timeout=limit,
        )
        used = [
            read_processor_seconds(process) - earlier
            for process, earlier in zip(processes, before, strict=True)
        ]
        result = json.loads(process.stdout)
        api_time, server_time = (1e6 * microseconds / result["requests"] for microseconds in (*used, 0.0)[:2])
        return LoadResult(**result, api_microseconds=api_time, database_microseconds=server_time)


def generate_key() -> str:
    """Return a random API key."""
    return secrets.token_urlsafe(40)


def build_api_environment(database_url: str, key: str, port: int = 8001, workers: int = 1) -> Environment:
    """Return the environment of the API and its commands."""
    settings = {
        "OMS_API_KEY": key,
        "JWT_KEYS": f"bench:{key[::-1]}",
        "DATABASE_URL": database_url,
        "PORT": str(port),
        "ENVIRONMENT": "production",
        "RATE_LIMIT_PER_MINUTE": "0",
        "WEB_CONCURRENCY": str(workers),
    }
    return os.environ | settings


def build_bot_environment(api_port: int, key: str, port: int) -> Environment:
    """Return the environment of a bot without Slack, which only needs to run."""
    settings = {
        "SLACK_BOT_TOKEN": f"xoxb-{secrets.token_hex(24)}",
        "SLACK_SIGNING_SECRET": secrets.token_hex(16),
        "SLACK_APP_TOKEN": "",
        "SLACK_API_URL": f"http://127.0.0.1:{find_free_port()}/api/",
        "OMS_API_URL": f"http://127.0.0.1:{api_port}",
        "OMS_API_KEY": key,
        "PORT": str(port),
        "ENVIRONMENT": "production",
    }
    return os.environ | settings


def migrate(database_url: str, key: str, folder: Path = OMS_API) -> None:
    """Create the tables. `folder` holds the code of the service."""
    command = [sys.executable, "-m", "app.migrate"]
    environment = build_api_environment(database_url, key)
    subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)


@contextmanager
def run_api(
    database_url: str,
    log: Path,
    key: str,
    folder: Path = OMS_API,
    workers: int = 1,
    settings: Environment | None = None,
) -> Iterator[Service]:
    """Run the API on a migrated database until the block ends. `folder` holds its code."""
    port = find_free_port()
    command = [sys.executable, "-m", "app.main"]
    environment = build_api_environment(database_url, key, port, workers) | (settings or {})
    with _run_process(command, folder, environment, log) as process:
        _wait_for_response(f"http://127.0.0.1:{port}/health/ready", process, log)
        _await_workers(workers, log)
        service = Service(port, key, process.pid)
        _await_daily_job(service)
        yield service


@contextmanager
def run_bot(served: Service, log: Path) -> Iterator[Service]:
    """Run the bot against a running API until the block ends."""
    port = find_free_port()
    environment = build_bot_environment(served.port, served.key, port)
    with _run_process([sys.executable, "main.py"], SLACK_BOT, environment, log) as process:
        _wait_for_response(f"http://127.0.0.1:{port}/health", process, log)
        yield Service(port, served.key, process.pid)


@contextmanager
def _run_process(
    command: list[str], folder: Path, environment: Environment, log: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as log_file:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log_file, stderr=log_file)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(25)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_workers(workers: int, log: Path) -> None:
    """Wait until each worker process is ready. Otherwise the first one would get all connections."""
    deadline = monotonic() + START_SECONDS
    while log.read_bytes().count(_READY) < workers:
        if monotonic() > deadline:
            raise RuntimeError(f"not all of {workers} processes start: {log.read_text()[-2000:]}")
        sleep(_POLL_SECONDS)


def _await_daily_job(service: Service) -> None:
    """Wait until the daily verification has run once, which it does soon after the start of a new database.

    It would otherwise compete with the seconds of the load.
    """
    request = urllib.request.Request(f"http://127.0.0.1:{service.port}/metrics")
    request.add_header("X-API-Key", service.key)
    deadline = monotonic() + START_SECONDS
    while monotonic() < deadline:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310  # our own http address
            if _DAILY_JOB in response.read():
                return
        sleep(_POLL_SECONDS)
    raise RuntimeError("the daily verification does not run")


def _wait_for_response(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = monotonic() + START_SECONDS
    while process.poll() is None and monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310  # our own http address
                return
        except OSError:
            sleep(_POLL_SECONDS)
    raise RuntimeError(f"{url} does not come up: {log.read_text(errors='replace')[-2000:]}")
