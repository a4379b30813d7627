"""A killed test run leaves neither servers nor their folders behind."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support import postgres
from tests.support.conditions import wait_until
from tests.support.postgres import ServerFolder, remove_stale_folders
from tests.support.processes import HOME

PREFIX = "oms-test-guard-"
# A run with a process that works in the folder of a server, as each server does, a forked program and others.
RUN = """
import subprocess, sys, time
from pathlib import Path
from tests.support import forks
from tests.support.guarded_programs import start_guarded
from tests.support.postgres import ServerFolder
forks._context.set_forkserver_preload([])
folder = ServerFolder("oms-test-guard-")
server = subprocess.Popen(["sleep", "600"], cwd=folder.path)
fork = forks.Fork("signal", "pause", {}, Path(sys.argv[1]))
ended = start_guarded(["true"])
ended.wait()
options = {"stdout": subprocess.PIPE, "text": True, "start_new_session": True}
group = start_guarded(["sh", "-c", "sleep 600 & echo $!; wait"], **options)
child = group.stdout.readline().strip()
program = start_guarded(["sleep", "600"])
print(folder.path, server.pid, fork.pid, program.pid, group.pid, child, flush=True)
time.sleep(600)
"""


def is_running(pid):
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.fixture
def test_run(tmp_path):
    """Provide a run, the folder of its server, and the process ids of its programs."""
    command = [sys.executable, "-c", RUN, str(tmp_path / "log")]
    with subprocess.Popen(command, cwd=HOME, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        folder, *pids = process.stdout.readline().split()
        yield process, Path(folder), [int(pid) for pid in pids]
        process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
def test_servers_and_programs_end_with_a_killed_run(test_run):
    process, folder, pids = test_run
    assert all(map(is_running, pids))
    process.kill()
    process.wait()
    wait_until(lambda: not folder.exists() and not any(map(is_running, pids)))


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
def test_next_run_deletes_remains_of_a_killed_guard(test_run, monkeypatch):
    process, folder, pids = test_run
    for guard in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        if b"server_guard.py" in Path(f"/proc/{guard}/cmdline").read_bytes():
            os.kill(int(guard), signal.SIGKILL)
    monkeypatch.setattr(postgres, "_MIN_AGE_SECONDS", 0.0)
    remove_stale_folders(PREFIX)
    assert folder.exists()  # its owner still runs
    process.kill()
    process.wait()
    wait_until(lambda: not is_running(pids[1]))
    assert is_running(pids[0])
    remove_stale_folders(PREFIX)
    assert not folder.exists()
    assert not is_running(pids[0])


def test_new_folder_without_a_lock_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    created = tmp_path / f"{PREFIX}new"
    created.mkdir()
    folder = ServerFolder(PREFIX)
    folder.remove()
    assert list(tmp_path.iterdir()) == [created]
