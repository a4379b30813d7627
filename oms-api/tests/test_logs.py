"""Logs: readable lines or JSON, a request id in each access line, no secrets and no bodies."""

import asyncio
import json
import logging
import os
import signal
from typing import Any

import httpx
import pytest

from app.clock import EPOCH
from app.correlation import build_traceparent, correlate, parse_trace_id, set_correlation
from app.database.thread_pool import BoundedThreadPool
from app.logs import AccessLog, ConsoleFormatter, JsonFormatter
from tests.factories import BOOTSTRAP_KEY, build_trade_body
from tests.support.conditions import WAIT_SECONDS
from tests.support.processes import run_process

CANARY = "canary-7f3a9c"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"


def build_record(message="reported", **fields):
    log_record = logging.makeLogRecord(
        {"name": "app.test", "levelname": "INFO", "levelno": 20, "msg": message, "created": 0.0}
    )
    vars(log_record).update(fields)
    return log_record


def test_json_log_line_contains_the_fields():
    line = json.loads(JsonFormatter().format(build_record(items=3)))
    values = {
        "timestamp": "1970-01-01T00:00:00.000000Z",
        "level": "INFO",
        "logger": "app.test",
        "event": "reported",
        "items": 3,
        "process": os.getpid(),
        "thread": "MainThread",
    }
    assert line == values


def test_lines_name_the_request_or_the_job_that_they_belong_to():
    async def handle(number):
        set_correlation(request_id=f"req-{number}", trace_id=None)
        pool = BoundedThreadPool(1, 10, "reader", "too many")
        try:
            return await pool.run(lambda: json.loads(JsonFormatter().format(build_record())))
        finally:
            pool.close()

    async def handle_all():
        return await asyncio.gather(*(handle(number) for number in range(3)))

    lines = asyncio.run(handle_all())
    assert [line["request_id"] for line in lines] == ["req-0", "req-1", "req-2"]
    assert not {"process", "trace_id"} & lines[0].keys()
    with correlate(job="day closes", slot="2026-11-20T12:00:00.000000Z"):
        assert "job=day closes slot=2026-11-20" in ConsoleFormatter().format(build_record())
    assert "job=" not in ConsoleFormatter().format(build_record())


@pytest.mark.parametrize(
    ("header", "trace_id"),
    [
        (TRACEPARENT.encode(), TRACE_ID),
        (b"cc-" + TRACEPARENT.encode()[3:] + b"-later", TRACE_ID),
        (b"ff-" + TRACEPARENT.encode()[3:], None),
        (b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-01", None),
        (TRACEPARENT.upper().encode(), None),
        (b"canary", None),
        (None, None),
    ],
)
def test_trace_id_is_read_from_a_valid_header_only(header, trace_id):
    assert parse_trace_id(header) == trace_id


def test_requests_of_the_same_name_belong_to_one_trace():
    first, second, other = (build_traceparent(*each) for each in (("E1", "1"), ("E1", "2"), ("E2", "1")))
    assert parse_trace_id(first.encode()) == parse_trace_id(second.encode()) is not None
    assert first != second
    assert parse_trace_id(other.encode()) != parse_trace_id(first.encode())


def test_console_log_entry_is_always_one_line():
    line = ConsoleFormatter().format(build_record(path="/a\nb\x1b[31m"))
    assert line.startswith("00:00:00.000 INFO    reported logger=app.test process=")
    assert line.endswith(" path=/a\\nb\\x1b[31m")


@pytest.mark.parametrize("formatter", [JsonFormatter(), ConsoleFormatter()])
def test_logged_error_contains_its_traceback(formatter):
    with pytest.raises(ValueError, match="why") as raised:
        int("why")
    line = formatter.format(build_record(exc_info=(raised.type, raised.value, raised.tb)))
    assert "ValueError: invalid literal for int() with base 10: 'why'" in line


@pytest.mark.parametrize("as_json", [True, False])
def test_access_log_lines_are_written_in_batches(as_json):
    written: list[str] = []
    scheduled: list[tuple[Any, ...]] = []
    log = AccessLog(as_json, written.append)
    for number in range(3):
        log.add(
            lambda *call: scheduled.append(call), EPOCH, "GET", f"/a\n{number}", 200, 0.0123, "req-1", "desk"
        )
    assert len(scheduled) == 1
    scheduled[0][1]()
    log.flush()
    assert len(written) == 1
    lines = written[0].splitlines()
    assert len(lines) == 3
    assert "req-1" in lines[0]
    if as_json:
        body = json.loads(lines[0])
        assert (body["path"], body["status"], body["milliseconds"]) == ("/a\n0", 200, 12.3)


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_secrets_and_bodies_are_not_logged(log_format, new_database):
    settings = {"DATABASE_URL": new_database("sqlite"), "LOG_FORMAT": log_format, "LOG_LEVEL": "DEBUG"}
    with (
        run_process(**settings) as service,
        httpx.Client(base_url=service.url, timeout=WAIT_SECONDS) as client,
    ):
        good = {"X-API-Key": BOOTSTRAP_KEY, "X-Request-ID": "req-of-the-canary"} | {
            "traceparent": TRACEPARENT
        }
        client.post(
            "/api/v1/trade",
            json=build_trade_body(note=CANARY, user_id=CANARY),
            headers=good | {"Idempotency-Key": CANARY},
        )
        client.post("/api/v1/trade", json=build_trade_body(note=CANARY, quantity=CANARY), headers=good)
        client.post("/api/v1/trade", content=CANARY, headers=good)
        client.post("/api/v1/trades:batch", json={"trades": [{CANARY: CANARY}]}, headers=good)
        client.post("/api/v1/trades/T1:reverse", json={"reason": CANARY}, headers=good)
        client.get("/api/v1/trades", params={"user": CANARY, "cursor": CANARY}, headers=good)
        client.get("/api/v1/trades", headers={"X-API-Key": CANARY, "Cookie": CANARY})
        client.get("/api/v1/trades", headers={"Authorization": f"Bearer {CANARY}"})
        client.get("/api/v1/trades", headers=good | {"X-On-Behalf-Of": CANARY})
        logging_in = {"tenant": "default", "email": f"{CANARY}@example.com", "password": CANARY}
        client.post("/api/v1/auth/login", json=logging_in)
        client.post("/api/v1/auth/refresh", json={"refresh_token": CANARY})
        assert service.stop() in {0, -signal.SIGTERM}  # uvicorn ends by the signal that it received
        log = service.log()
    assert CANARY not in log
    assert BOOTSTRAP_KEY not in log
    assert log.count("req-of-the-canary") == 7
    assert log.count(TRACE_ID) == 7
    lines = [line for line in log.splitlines() if "/api/v1/trade" in line]
    assert len(lines) == 9
    if log_format == "json":
        assert {json.loads(line)["status"] for line in lines} == {201, 422, 404, 200, 401, 403, 415}
