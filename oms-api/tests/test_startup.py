"""Starting and stopping: tables in development, an error message, and answers to accepted requests."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest
import uvicorn

from app import main
from app.assembly import startup
from app.assembly.startup import CannotStart
from app.config import ConfigurationError
from app.http_server import protocol
from tests.factories import BOOTSTRAP_KEY, build_trade_body
from tests.support.conditions import WAIT_SECONDS
from tests.support.processes import HOME, build_environment, run_process
from tests.support.service import run_service


@pytest.fixture
def empty_url(backend, new_database):
    return new_database(backend, migrated=False)


def test_development_migrates_at_start(empty_url):
    with run_service(empty_url, environment="development") as service:
        assert service.client.get("/health/ready").status_code == 200
        assert service.create_client().post_trade().status_code == 201


def test_production_does_not_migrate_at_start(empty_url):
    with run_service(empty_url) as service:
        response = service.client.get("/health/ready")
        assert (response.status_code, response.json()["migrations"]) == (503, "failed")


def test_several_processes_can_start_concurrently_on_an_empty_database(empty_url):
    with ExitStack() as stack, ThreadPoolExecutor(2) as starters:
        contexts = [run_process(DATABASE_URL=empty_url) for _ in range(2)]
        services = list(starters.map(stack.enter_context, contexts))
        responses = [
            httpx.post(
                f"{service.url}/api/v1/trade",
                json=build_trade_body(),
                headers={"X-API-Key": BOOTSTRAP_KEY},
                timeout=WAIT_SECONDS,
            )
            for service in services
        ]
    assert [response.json()["trade"]["sequence"] for response in responses] == [1, 2]


def test_unavailable_database_is_reported_without_its_password():
    url = "postgresql://someone:canary@127.0.0.1:1/oms"
    refusal = pytest.raises(CannotStart, match=r"The database cannot be used: .*Check DATABASE_URL\.")
    with refusal as refused, run_service(url, environment="development"):
        pass
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("environment", ["development", "production"])
@pytest.mark.parametrize("place", ["folder", "text", "text/oms.db", "read-only"])
def test_invalid_database_file_is_reported_in_a_sentence(tmp_path, monkeypatch, environment, place):
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("This is no database. " * 10)
    if place == "read-only":
        monkeypatch.setattr(os, "access", lambda _, mode: mode != os.W_OK)
    refusal = pytest.raises((CannotStart, ConfigurationError), match=r"^The (database|folder).*\.$")
    with refusal as refused, run_service(f"sqlite:///{tmp_path / place}", environment=environment):
        pass
    assert str(tmp_path) not in str(refused.value)


@pytest.mark.parametrize(
    "program",
    [["-m", "app.main"], ["-m", "uvicorn", "app.main:app", "--port", "1"]],
    ids=["python", "uvicorn"],
)
def test_start_error_prints_only_the_message(program):
    environment = build_environment(DATABASE_URL="postgresql://someone:canary@127.0.0.1:1/oms", PORT="1")
    ended = subprocess.run(
        [sys.executable, *program],
        cwd=HOME,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    output = ended.stdout + ended.stderr
    assert ended.returncode != 0
    assert "The database cannot be used" in output
    assert "canary" not in output
    assert "Traceback" not in output


def test_uvicorn_start_with_an_invalid_setting_prints_only_the_message():
    program = [sys.executable, "-m", "uvicorn", "app.main:app", "--port", "1"]
    environment = build_environment(OMS_API_KEY="too-short")
    ended = subprocess.run(
        program, cwd=HOME, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode != 0
    assert "OMS_API_KEY must be at least 32" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "too-short" not in ended.stderr


def test_requests_accepted_before_shutdown_are_answered(new_database):
    url = new_database("sqlite")
    with run_process(DATABASE_URL=url, LOG_LEVEL="ERROR") as service, ThreadPoolExecutor(8) as senders:

        def send(number):
            try:
                answer = httpx.post(
                    f"{service.url}/api/v1/trade",
                    json=build_trade_body(),
                    headers={"X-API-Key": BOOTSTRAP_KEY, "Idempotency-Key": str(number)},
                    timeout=20,
                )
            except httpx.TransportError:
                return None  # never taken, or cut: the count below does not rely on it
            return answer.status_code

        sent = [senders.submit(send, number) for number in range(200)]
        assert sent[20].result() == 201
        service.stop()
        statuses = [future.result() for future in sent]
    assert set(statuses) <= {201, 503, None}
    with run_service(url) as again:
        response = again.client.get("/api/v1/trades?limit=1000", headers={"X-API-Key": BOOTSTRAP_KEY})
    recorded = {int(trade["sequence"]) for trade in response.json()}
    assert recorded == set(range(1, len(recorded) + 1))
    acknowledged = statuses.count(201)
    assert acknowledged <= len(recorded) <= acknowledged + statuses.count(None)


def test_worker_processes_have_one_minute_to_start(monkeypatch):
    started = {}
    monkeypatch.setattr(uvicorn, "run", lambda _, **options: started.update(options))
    monkeypatch.setattr(startup, "raise_file_limit", lambda: None)
    monkeypatch.setattr(protocol, "set_timeouts", lambda *_: None)
    for name, value in build_environment(WEB_CONCURRENCY="2").items():
        monkeypatch.setenv(name, value)
    assert main.run() == 0
    assert (started["workers"], started["timeout_worker_healthcheck"]) == (2, 60)
