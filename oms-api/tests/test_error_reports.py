"""Errors are reported to Sentry without anything that a client sent. A stand-in receives its envelopes."""

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import sentry_sdk
from typing_extensions import override

from app.config import ConfigurationError
from app.correlation import correlate
from app.error_reports import ALLOWED_HEADERS, configure_error_reports, filter_event
from tests.support.service import build_settings

pytestmark = pytest.mark.any_database
CANARY = "canary-7f3a9c"


@pytest.fixture
def sentry_stub():
    """Provide the address and the received envelopes of a stand-in of Sentry."""
    received = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_packed = self.headers.get("Content-Encoding") == "gzip"
            received.append((self.path, gzip.decompress(body) if is_packed else body))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        @override
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://public@127.0.0.1:{server.server_port}/1", received
    sentry_sdk.get_client().close(timeout=2)
    sentry_sdk.init()
    server.shutdown()
    server.server_close()
    thread.join()


def test_unexpected_error_is_reported_without_the_request(serve, sentry_stub, monkeypatch):
    dsn, received = sentry_stub
    with serve(sentry_dsn=dsn) as service:

        def fail(*_args, **_kwargs):
            secret = CANARY
            raise RuntimeError(f"failed with {secret}")

        monkeypatch.setattr(service.app.state.readers, "run", fail)
        headers = {
            "X-API-Key": service.create_key("read"), "X-Request-ID": "req-of-the-error", "Cookie": CANARY,
            "X-Slack-Signature": CANARY, "APCA-API-SECRET-KEY": CANARY, "X-Forwarded-For": CANARY,
        }  # fmt: skip
        response = service.client.get("/api/v1/trades", params={"user": CANARY}, headers=headers)
        assert response.status_code == 500
        sentry_sdk.flush(timeout=60)
        key = headers["X-API-Key"]
    everything = b"".join(body for _, body in received).decode()  # background tasks fail too
    assert {path for path, _ in received} == {"/api/1/envelope/"}
    assert CANARY not in everything
    assert key not in everything
    events = [json.loads(line) for line in everything.splitlines() if '"exception"' in line]
    [event] = [item for item in events if "request_id" in item["tags"]]
    assert event["tags"]["request_id"] == "req-of-the-error"
    assert event["exception"]["values"][-1]["type"] == "RuntimeError"
    assert event["exception"]["values"][-1]["stacktrace"]["frames"][-1]["function"] == "fail"
    assert event["logentry"] == {"message": "unexpected error"}


def test_nothing_is_sent_without_a_dsn(serve, sentry_stub):
    _, received = sentry_stub
    configure_error_reports(build_settings("sqlite:///none.db"))
    assert sentry_sdk.get_client().dsn is None
    assert received == []


def test_dsn_without_the_package_stops_the_start(monkeypatch):
    monkeypatch.setattr("app.error_reports.find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"requirements-sentry\.txt"):
        configure_error_reports(build_settings("sqlite:///none.db", sentry_dsn="http://public@127.0.0.1:9/1"))


def test_event_is_built_from_an_allow_list():
    secrets = {"vars": {"key": CANARY}, "context_line": CANARY, "pre_context": [CANARY]}
    frame = {"filename": "app/http_server/request_middleware.py", "function": "serve", "lineno": 1, **secrets}
    event = {
        "event_id": "e1", "level": "error", "user": {"id": CANARY}, "extra": {"body": CANARY},
        "breadcrumbs": [{"message": CANARY}], "contexts": {"trace": {"data": CANARY}},
        "modules": {CANARY: "1"},
        "message": CANARY, "logentry": {"message": "failed for %s", "params": [CANARY]},
        "exception": {"values": [{"type": "ValueError", "value": CANARY, "stacktrace": {"frames": [frame]}}]},
        "request": {
            "method": "POST", "url": f"http://127.0.0.1/api/v1/trades?user={CANARY}", "query_string": CANARY,
            "data": {"note": CANARY}, "cookies": {"session": CANARY}, "env": {"REMOTE_ADDR": CANARY},
            "headers": {"User-Agent": "desk", "X-API-Key": CANARY, "APCA-API-SECRET-KEY": CANARY},
        },
    }  # fmt: skip
    with correlate(request_id="req-1"):
        filtered = filter_event(event)
    assert CANARY not in json.dumps(filtered)
    assert filtered["request"] == {
        "method": "POST",
        "url": "http://127.0.0.1/api/v1/trades",
        "headers": {"User-Agent": "desk"},
    }
    assert filtered["exception"]["values"][0]["stacktrace"]["frames"] == [
        {"filename": "app/http_server/request_middleware.py", "function": "serve", "lineno": 1}
    ]
    assert filtered["tags"] == {"request_id": "req-1"}
    assert not {name for name in ALLOWED_HEADERS if "key" in name or "auth" in name or "cookie" in name}
