"""Access, the files of the page, start and stop."""

import http.client
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import simulator
from simulator import config
from simulator.errors import ConfigError
from support.guarded_programs import start_guarded
from tests.simulator.doubles import SECRET, TOKEN

EVERYWHERE = "0.0.0.0"  # noqa: S104 - which is what must be refused
HOME = Path(simulator.__file__).parent
GOOD = {"SLACK_BOT_TOKEN": TOKEN, "SLACK_SIGNING_SECRET": SECRET, "BOT_URL": "http://127.0.0.1:9"}


def get_host(server):
    return urlsplit(server.url).netloc


@pytest.mark.parametrize("path", ["/", "/control/state", "/api/auth.test", "/static/main.js"])
def test_foreign_name_for_this_machine_is_refused(page, path):
    status, body = page.get(path, {"Host": "evil.example"})
    assert status == 403
    assert "evil.example" in body["error"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
    ],
)
def test_foreign_page_cannot_send_requests(page, headers):
    assert page.post("/control/reset", headers)[0] == 403


def test_own_page_may_send_requests(page, server):
    headers = {"Origin": server.url, "Sec-Fetch-Site": "same-origin"}
    assert page.post("/control/reset", headers)[0] == 200


def test_foreign_page_cannot_read(page):
    assert page.get("/control/stream", {"Sec-Fetch-Site": "cross-site"})[0] == 403
    assert page.get("/control/state", {"Origin": "http://evil.example"})[0] == 403


def test_page_runs_its_own_scripts_only(server):
    connection = http.client.HTTPConnection(get_host(server), timeout=60)
    connection.request("GET", "/")
    response = connection.getresponse()
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert b"<script>" not in response.read()
    connection.close()


def test_no_script_parses_html():
    forbidden = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|srcdoc"
    )
    for script in (HOME / "static").glob("*.js"):
        assert not forbidden.search(script.read_text(encoding="utf-8")), script.name


def test_every_file_of_the_page_is_served(page):
    for name in ("main.js", "base.css", "icon.svg"):
        assert page.get(f"/static/{name}")[0] == 200
    assert page.get("/static/../config.py")[0] == 404
    assert page.get("/health")[1]["status"] == "healthy"


def test_page_is_notified_of_changes(server, page):
    connection = http.client.HTTPConnection(get_host(server), timeout=60)
    connection.request("GET", "/control/stream")
    stream = connection.getresponse()
    assert stream.headers["Content-Type"].startswith("text/event-stream")
    assert [stream.readline()[:6], stream.readline()] == [b"data: ", b"\n"]
    stream.readline(), stream.readline()
    page.send_text("hello")
    assert stream.readline().startswith(b"data: ")
    connection.close()


def test_page_never_gets_a_secret(page):
    page.send_text("/trade")
    for path in ("/control/state", "/control/log", "/control/state?user=ava"):
        assert TOKEN not in str(page.get(path)[1])
        assert SECRET not in str(page.get(path)[1])


@pytest.mark.parametrize("host", [EVERYWHERE, "::", "192.168.1.5", "example.com", "127.0.0.1.example.com"])
def test_simulator_listens_on_loopback_only(host):
    with pytest.raises(ConfigError, match="this machine only"):
        config.load(GOOD | {"HOST": host})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "::1", "[::1]"])
def test_loopback_has_several_names(host):
    assert config.is_loopback(config.load(GOOD | {"HOST": host}).host)


@pytest.mark.parametrize("name", ["SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "BOT_URL"])
def test_missing_settings_are_named(name):
    with pytest.raises(ConfigError, match=name):
        config.load(GOOD | {name: " "})


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "x"), ("PORT", "70000"), ("BOT_URL", "ftp://x"), ("BOT_URL", "bot")]
)
def test_invalid_settings_are_named(name, value):
    with pytest.raises(ConfigError, match=name):
        config.load(GOOD | {name: value})


def start_simulator(**environment):
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(("SLACK", "BOT", "HOST"))
    }
    return start_guarded(
        [sys.executable, "-m", "simulator"],
        cwd=HOME.parent,
        env=variables | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("environment", "message"),
    [({}, "SLACK_BOT_TOKEN"), (GOOD | {"HOST": EVERYWHERE}, "HOST=0.0.0.0 is refused")],
)
def test_impossible_start_ends_with_a_sentence_and_status_2(environment, message):
    process = start_simulator(**environment)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert message in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_simulator_stops_with_open_pages(number):
    process = start_simulator(**GOOD, PORT="0")
    assert process.stdout
    line = process.stdout.readline()
    connection = http.client.HTTPConnection(urlsplit(line.split()[-1]).netloc, timeout=60)
    connection.request("GET", "/control/stream")
    connection.getresponse().readline()
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert errors == ""
    connection.close()


def test_taken_port_is_reported(server):
    process = start_simulator(**GOOD, PORT=str(urlsplit(server.url).port))
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "cannot listen" in errors
