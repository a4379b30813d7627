"""The program: start, stop and logs."""

import contextlib
import gc
import http.client
import json
import logging
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from app.server import logs, run
from app.server.run import configure_interpreter, connect_forever, load_charts
from support.guarded_programs import start_guarded
from support.ports import find_free_port
from tests import factories
from tests.conftest import create_test_bot
from tests.fakes import Response
from tests.server.bot_process import FOLDER, build_environment, post_payload, wait_for_health


def start_program(**values):
    return start_guarded(
        [sys.executable, "main.py"],
        cwd=FOLDER,
        env=build_environment(**values),
        stderr=subprocess.PIPE,
        text=True,
    )


def test_missing_configuration_stops_the_start_with_a_sentence():
    program = start_program(SLACK_BOT_TOKEN="", SLACK_SIGNING_SECRET="", OMS_API_KEY="", OMS_API_URL="")
    _, output = program.communicate(timeout=60)
    assert program.returncode == 2
    assert "Set SLACK_BOT_TOKEN" in output
    assert "Traceback" not in output


@pytest.fixture
def start_bot(slack, oms, tmp_path):
    """Start the program without its extras. Return it and its address."""
    programs = []
    without_extras = tmp_path / "sitecustomize.py"
    without_extras.write_text("import sys\n\nsys.modules['matplotlib'] = None\n")

    def start_once():
        port = find_free_port()
        program = start_program(
            SLACK_BOT_TOKEN=factories.TOKEN,
            SLACK_SIGNING_SECRET=factories.SECRET,
            SLACK_API_URL=slack.api_url,
            SLACK_APP_TOKEN="",
            OMS_API_URL=oms.url,
            OMS_API_KEY=factories.OMS_KEY,
            BOT_DATABASE_URL=f"sqlite:///{tmp_path / 'bot.db'}",
            HOST="127.0.0.1",
            PORT=str(port),
            ENVIRONMENT="production",
            LOG_FORMAT="json",
            PYTHONPATH=str(tmp_path),
        )
        programs.append(program)
        return program, f"http://127.0.0.1:{port}"

    yield start_once
    for program in programs:
        program.kill()
        program.communicate()


@pytest.fixture
def running_bot(start_bot):
    return start_bot()


def test_program_serves_stays_small_and_stops_cleanly(running_bot, slack):
    program, url = running_bot
    assert wait_for_health(url)["bot"] == "ok"
    assert post_payload(url, factories.build_command("AAPL")) == 200
    slack.wait_for("views.open")
    assert post_payload(url, factories.build_submission()) == 200
    slack.wait_for("chat.postMessage")
    resident_kib = int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{program.pid}/status").read_text())[0])
    assert resident_kib <= 60 * 1024
    program.send_signal(signal.SIGTERM)
    _, output = program.communicate(timeout=60)
    assert program.returncode == 0
    lines = [json.loads(line) for line in output.splitlines()]
    events = [line["event"] for line in lines]
    assert {"Listening", "Submission ended", "Stopped"} <= set(events)
    assert not any(secret in output for secret in (factories.TOKEN, factories.SECRET, factories.OMS_KEY))


def send_in_background(url, payload):
    def send():
        with contextlib.suppress(
            OSError, http.client.HTTPException
        ):  # the test kills the bot during this time
            post_payload(url, payload)

    threading.Thread(target=send, daemon=True).start()


def kill_program(program):
    program.kill()
    program.wait(60)


def test_bot_that_is_killed_confirms_after_its_restart_and_repeats_at_most_once(start_bot, slack, oms):
    body = {"symbol": "AAPL", "quantity": "100", "gmv": "17500", "side": "BUY", "portfolio_name": "Growth"}
    oms.queue_responses("place", Response(slow=60.0))
    slack.queue_responses("chat.postMessage", Response(slow=60.0), Response(slow=60.0))
    program, url = start_bot()
    wait_for_health(url)
    send_in_background(url, factories.build_submission())
    oms.wait_for("place")
    oms.record("T1:V1:0", body)
    kill_program(program)  # between the trade and its confirmation

    program, url = start_bot()
    first = slack.wait_for("chat.postMessage")[0].body
    assert first["channel"] == "C1"
    assert "BUY 100 AAPL" in first["text"]
    assert "twice" not in first["text"]
    kill_program(program)  # during the call to Slack

    program, url = start_bot()
    second = slack.wait_for("chat.postMessage", 2)[1].body
    assert second["channel"] == "C1"
    assert "see it twice" in second["text"]
    assert second["metadata"] == first["metadata"]
    kill_program(program)  # during the repeated call to Slack

    program, url = start_bot()
    wait_for_health(url)
    assert post_payload(url, factories.build_submission()) == 200
    slack.wait_for("chat.postMessage", 3)
    channels = [call.body["channel"] for call in slack.list_requests("chat.postMessage")]
    assert channels == ["C1", "C1", "D-U1"], "a later submission gets a private message"
    assert len(oms.trades) == 1


def test_port_in_use_is_reported_in_a_sentence(slack, oms):
    with socket.socket() as occupied_port:
        occupied_port.bind(("127.0.0.1", 0))
        occupied_port.listen()
        program = start_program(
            SLACK_BOT_TOKEN=factories.TOKEN,
            SLACK_SIGNING_SECRET=factories.SECRET,
            SLACK_API_URL=slack.api_url,
            OMS_API_URL=oms.url,
            OMS_API_KEY=factories.OMS_KEY,
            BOT_DATABASE_URL="sqlite://",
            PORT=str(occupied_port.getsockname()[1]),
        )
        _, output = program.communicate(timeout=60)
    assert program.returncode == 1
    assert "cannot listen" in output
    assert "Traceback" not in output


def test_socket_mode_is_retried_until_it_is_connected_or_the_bot_stops(slack, oms, caplog):
    caplog.set_level("INFO")
    bot = create_test_bot(slack, oms)
    slack.default_responses["apps.connections.open"] = Response(body={"ok": False, "error": "invalid_auth"})
    object.__setattr__(bot.settings, "slack_app_token", "xapp-1")
    thread = threading.Thread(target=connect_forever, args=(bot,))
    thread.start()
    slack.wait_for("apps.connections.open")
    bot.services.stop(1.0)
    thread.join(60)
    assert not thread.is_alive()
    assert "Slack refused the app token" in caplog.text


def build_record(**extra):
    log_record = logging.LogRecord("app.x", logging.INFO, "", 1, "Trade %s", ("T1",), None)
    log_record.__dict__.update(extra)
    return log_record


def test_json_line_has_the_named_values():
    line = json.loads(logs.JsonLines().format(build_record(request_id="req-1")))
    assert line | {"level": "info", "event": "Trade T1", "request_id": "req-1", "logger": "app.x"} == line
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])


def test_console_line_has_the_named_values_after_the_event():
    assert (
        logs.Console().format(build_record(request_id="req-1")).endswith("info    Trade T1 request_id=req-1")
    )


@pytest.mark.parametrize("formatter", [logs.JsonLines(), logs.Console()])
def test_exception_is_logged_with_its_traceback(formatter):
    log_record = build_record()
    error = ZeroDivisionError("no")
    log_record.exc_info = (type(error), error, None)
    assert "ZeroDivisionError" in formatter.format(log_record)


def test_libraries_do_not_log_bodies(monkeypatch):
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", list(root.handlers))
    level = root.level
    logs.configure_logging("json")
    root.setLevel(level)
    assert all(logging.getLogger(name).level == logging.ERROR for name in logs.QUIET_LOGGERS)
    for name in logs.QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_charts_are_loaded_before_requests_are_handled_but_not_waited_for_long(workspace, monkeypatch):
    loaded, released = threading.Event(), threading.Event()
    monkeypatch.setattr(run, "load_matplotlib", lambda _: loaded.set())
    load_charts(workspace.bot)
    assert loaded.is_set()
    monkeypatch.setattr(run, "MAX_CHARTS_SECONDS", 0.01)
    monkeypatch.setattr(run, "load_matplotlib", lambda _: released.wait(30))
    load_charts(workspace.bot)
    released.set()


@pytest.fixture
def interpreter_settings():
    thresholds, switch_seconds = gc.get_threshold(), sys.getswitchinterval()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    sys.setswitchinterval(switch_seconds)


@pytest.mark.usefixtures("interpreter_settings")
def test_garbage_collection_does_not_scan_objects_created_at_start():
    created_at_start: list[list[int]] = [[] for _ in range(1000)]
    configure_interpreter()
    scanned = {id(scanned_object) for scanned_object in gc.get_objects()}
    assert gc.get_freeze_count() > len(created_at_start)
    assert not scanned & {id(each) for each in created_at_start}
    created_later: list[list[int]] = [[]]
    assert any(created_later is scanned_object for scanned_object in gc.get_objects())
