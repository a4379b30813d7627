"""`python test_api.py`, the operators' smoke test, against a healthy and against faulty services."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import urlopen

import pytest
from typing_extensions import override

import test_api as command
from app.database import connect_engine
from app.verify import verify_database
from tests.factories import BOOTSTRAP_KEY, JWT_KEYS
from tests.support.guarded_programs import start_guarded
from tests.support.ports import find_free_port

HOME = Path(command.__file__).parent
START_SECONDS = 120


@pytest.fixture(scope="module")
def database(backend: str, new_database: Callable[..., str]) -> str:
    return new_database(backend)


@pytest.fixture(scope="module")
def service_url(database: str) -> Iterator[str]:
    """Provide the address of the service, which runs as operators run it."""
    url = f"http://127.0.0.1:{(port := find_free_port())}"
    settings = {
        "OMS_API_KEY": BOOTSTRAP_KEY,
        "DATABASE_URL": database,
        "PORT": str(port),
        "ENVIRONMENT": "production",
        "JWT_KEYS": JWT_KEYS,
    }
    program = [sys.executable, "-m", "app.main"]
    service = start_guarded(program, cwd=HOME, env=os.environ | settings, stdout=subprocess.DEVNULL)
    try:
        _await(f"{url}/health/ready", service)
        yield url
    finally:
        service.terminate()
        service.wait(30)


def _await(url: str, service: subprocess.Popen) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            urlopen(url, timeout=5).close()  # noqa: S310  # loopback
        except OSError:  # also a response that is late
            assert service.poll() is None, "the service ended"
            assert time.monotonic() < deadline, "the service did not become ready"
            time.sleep(0.05)
        else:
            return


def run_smoke_test(url: str, key: str = BOOTSTRAP_KEY) -> subprocess.CompletedProcess:
    environment = {"TEST_API_URL": url, "OMS_API_KEY": key, "PATH": ""}
    program = [sys.executable, "-S", "-s", str(HOME / "test_api.py")]  # -S: nothing that was installed
    return subprocess.run(program, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_healthy_service_passes_twice_and_is_left_flat(service_url, database):
    for _ in range(2):
        completed = run_smoke_test(service_url)
        assert completed.returncode == command.PASSED, completed.stdout + completed.stderr
        assert completed.stdout.count("\nok ") == len(command.CHECKS)
        assert completed.stdout.endswith("All is well.\n")
    engine = connect_engine(database)
    result = verify_database(engine)
    with engine.connect() as connection:
        names = connection.exec_driver_sql("SELECT name FROM portfolios").scalars().all()
        quantities = connection.exec_driver_sql("SELECT quantity FROM positions").scalars().all()
    engine.dispose()
    assert result.is_clean
    assert [name.startswith("smoke-test ") for name in names] == [True]
    assert [float(quantity) for quantity in quantities] == [0]


def test_invalid_key_fails_and_names_the_step(service_url):
    completed = run_smoke_test(service_url, "x" * 40)
    assert completed.returncode == command.FAILED
    assert "status 401 instead of 201" in completed.stdout
    assert "x" * 40 not in completed.stdout + completed.stderr


def test_unreachable_service_fails():
    completed = run_smoke_test(f"http://127.0.0.1:{find_free_port()}")
    assert completed.returncode == command.FAILED
    assert "no answer" in completed.stdout


@pytest.mark.parametrize(("url", "key"), [("ftp://example.com", BOOTSTRAP_KEY), ("http://127.0.0.1:1", "")])
def test_missing_address_or_key_names_the_setting(url, key):
    completed = run_smoke_test(url, key)
    assert completed.returncode == command.CANNOT
    assert "Set TEST_API_URL" in completed.stderr


class Impostor(BaseHTTPRequestHandler):
    """Answers 200 and the same JSON to everything, as a wrong address would."""

    def do_GET(self) -> None:
        body = json.dumps({"status": "healthy"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815  # the library's name

    @override
    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_other_service_at_the_address_is_not_accepted_as_the_oms():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Impostor)
    threading.Thread(target=server.serve_forever).start()
    completed = run_smoke_test(f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()
    assert completed.returncode == command.FAILED
    assert "status is 'healthy', must be 'ready'" in completed.stdout


@pytest.mark.parametrize(
    "check", [check for check in command.CHECKS if check is not command.check_flat_positions]
)
def test_each_check_can_fail(check, monkeypatch):
    wrong = command.Answer(418, {}, '{"status": "teapot"}')
    monkeypatch.setattr(command.ApiClient, "call", lambda *_, **__: wrong)
    api = command.ApiClient(
        "http://127.0.0.1:1", "key", trade={"trade_id": "T1", "sequence": 1, "hash": "", "position": {}}
    )
    assert command._find_failure(check, api)


def test_open_position_at_the_end_fails(monkeypatch):
    portfolio_answer = command.Answer(
        200, {}, json.dumps({"positions": {command.SYMBOL: {"quantity": "10"}}})
    )
    monkeypatch.setattr(command.ApiClient, "call", lambda *_, **__: portfolio_answer)
    assert "must be '0'" in command._find_failure(
        command.check_flat_positions, command.ApiClient("http://127.0.0.1:1", "key")
    )


def test_pytest_collects_no_tests_from_the_smoke_script():
    assert not [name for name in vars(command) if name.startswith(("test", "Test"))]
