"""`make run` in a copy of the tree: start, interrupt, stop."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
from dotenv import dotenv_values

import run
from deployment import build_environment, wait_until
from support.guarded_programs import start_guarded
from support.ports import find_free_ports

ROOT = Path(__file__).resolve().parent.parent
# The bytecode remains, since to compile it again takes seconds of each start.
IGNORED_FILES = shutil.ignore_patterns(".env", "*.db*", "tests", ".venv", ".*_cache", ".hypothesis")
START_SECONDS = 60
END_SECONDS = 30
pytestmark = pytest.mark.e2e


class Run:
    """A running scripts/run.py, with its output."""

    def __init__(self, tree, ports, **environment):
        self.tree, self.ports = tree, ports
        self.lines: list[str] = []
        self.output_changed = threading.Condition()
        self.has_ended = False
        self.process = start_guarded(
            [sys.executable, "scripts/run.py"],
            cwd=tree,
            env=build_environment() | {name: str(port) for name, port in ports.items()} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        assert self.process.stdout
        for line in self.process.stdout:
            with self.output_changed:
                self.lines.append(line.rstrip("\n"))
                self.output_changed.notify_all()
        with self.output_changed:
            self.has_ended = True
            self.output_changed.notify_all()

    @property
    def printed(self):
        return "\n".join(self.lines)

    def wait_for(self, text, seconds=START_SECONDS):
        """Wait until the text was printed or the output ended. Fail after the timeout."""
        with self.output_changed:
            self.output_changed.wait_for(lambda: self.has_ended or text in self.printed, timeout=seconds)
        assert text in self.printed, self.printed

    def stop(self, number=signal.SIGTERM):
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        return self.wait_for_exit()

    def wait_for_exit(self):
        status = self.process.wait(timeout=END_SECONDS)
        self.reader.join(timeout=END_SECONDS)
        return status

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.reader.join(timeout=END_SECONDS)
        if self.process.stdout:
            self.process.stdout.close()


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Provide a copy of the files that are needed to run, as after a clone: no settings, no database."""
    tree = tmp_path_factory.mktemp("clone")
    for name in ("oms-api", "slack-bot", "scripts"):
        shutil.copytree(ROOT / name, tree / name, ignore=IGNORED_FILES)
    return tree


@pytest.fixture
def ports():
    return dict(zip(run.PORTS, find_free_ports(len(run.PORTS)), strict=True))


@pytest.fixture
def start_run(tree, ports):
    runs = []

    def start_program(**environment):
        runs.append(Run(tree, ports, **environment))
        return runs[-1]

    yield start_program
    for each in runs:
        each.close()


def read_key(tree):
    return dotenv_values(tree / "oms-api" / ".env")["OMS_API_KEY"] or ""


def find_oms_process(ports):
    """Return the id of the process that listens on the OMS's port (Linux only)."""
    marker = f":{ports['OMS_PORT']:04X} 00000000:0000 0A"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines() if marker in line]
    inode = f"socket:[{rows[0][9]}]"
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(descriptor.readlink()) == inode:
                return int(descriptor.parts[2])
        except OSError:
            continue
    raise AssertionError("nobody listens on the OMS's port")


def test_first_start_makes_keys_prints_three_addresses_and_stops_cleanly(start_run, tree, ports):
    for service in ("oms-api", "slack-bot"):
        (tree / service / ".env").unlink(missing_ok=True)
    running = start_run()
    running.wait_for("Press Ctrl-C to stop.")
    assert [oct((tree / name / ".env").stat().st_mode & 0o777) for name in ("oms-api", "slack-bot")] == [
        "0o600"
    ] * 2
    for port in ports.values():
        assert f"http://127.0.0.1:{port}" in running.printed
        assert run.is_healthy(port)
    assert running.stop() == 0
    assert not any(run.is_port_open(port) for port in ports.values())


def test_ctrl_c_stops_all_programs(start_run, ports):
    running = start_run()
    running.wait_for("Press Ctrl-C to stop.")
    assert running.stop(signal.SIGINT) == 0
    assert not any(run.is_port_open(port) for port in ports.values())


def test_no_secret_is_printed(start_run, tree):
    running = start_run()
    running.wait_for("Press Ctrl-C to stop.")
    running.stop()
    key = read_key(tree)
    assert key not in running.printed
    assert "xoxb-" not in running.printed


@pytest.mark.skipif(sys.platform != "linux", reason="finds the process through /proc")
def test_killed_oms_is_started_again_and_the_others_go_on(start_run, ports):
    running = start_run()
    running.wait_for("Press Ctrl-C to stop.")
    os.kill(find_oms_process(ports), signal.SIGKILL)
    running.wait_for("oms-api   | was killed by SIGKILL")
    assert run.is_healthy(ports["BOT_PORT"])
    running.wait_for("started again")
    wait_until(lambda: run.is_healthy(ports["OMS_PORT"]))
    assert running.stop() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel to stop children with their parent")
def test_killed_run_leaves_no_orphans(start_run, ports):
    running = start_run()
    running.wait_for("Press Ctrl-C to stop.")
    running.process.kill()
    wait_until(lambda: not any(run.is_port_open(port) for port in ports.values()))


def test_taken_port_is_reported_in_a_sentence(start_run, ports):
    with socket.create_server(("127.0.0.1", ports["BOT_PORT"])):
        running = start_run()
        assert running.wait_for_exit() == 1
    assert f"Port {ports['BOT_PORT']}, which slack-bot needs, is taken" in running.printed
    assert "Traceback" not in running.printed


def test_invalid_setting_stops_all_programs_and_is_named(start_run, ports):
    running = start_run(OMS_API_KEY="short")
    assert running.wait_for_exit() == 1
    assert "OMS_API_KEY" in running.printed
    assert "Traceback" not in running.printed
    assert not any(run.is_port_open(port) for port in ports.values())


def test_trades_survive_a_stop_and_a_start(start_run, tree, ports):
    running = start_run()
    running.wait_for("Press Ctrl-C to stop.")
    key = read_key(tree)
    trade = {"symbol": "AAPL", "quantity": "1", "gmv": "175", "side": "BUY", "portfolio_name": "Kept"}
    oms = httpx.Client(
        base_url=f"http://127.0.0.1:{ports['OMS_PORT']}/api/v1",
        headers={"X-API-Key": key},
        trust_env=False,
        timeout=60,
    )
    with oms:
        placed = oms.post("/trade", json=trade).raise_for_status().json()
        running.stop()
        again = start_run()
        again.wait_for("Press Ctrl-C to stop.")
        assert oms.get(f"/trades/{placed['trade_id']}").raise_for_status().json() == placed["trade"]
