"""Each worker process has its own slot, and the next process gets the slot of a process that ended."""

import os
import stat
import subprocess
import sys
from pathlib import Path

from app.forwarding.worker_slots import DIRECTORY_VARIABLE, WorkerSlots, worker_directory

HOLD_A_SLOT = """
import sys
from pathlib import Path
from app.forwarding.worker_slots import WorkerSlots
slots = WorkerSlots(Path(sys.argv[1]), 2)
print(slots.acquire(), flush=True)
sys.stdin.read()
"""


def test_each_worker_gets_another_slot_until_none_is_free(tmp_path):
    workers = [WorkerSlots(tmp_path, 2) for _ in range(3)]
    assert [worker.acquire() for worker in workers] == [0, 1, None]
    workers[0].release()
    assert workers[2].acquire() == 0
    for worker in workers[1:]:
        worker.release()


def test_a_killed_process_frees_its_slot(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD_A_SLOT, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    own = WorkerSlots(tmp_path, 1)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"0\n"
        assert own.acquire() is None
    finally:
        process.kill()
        process.communicate(timeout=60)
    assert own.acquire() == 0
    own.release()


def test_the_directory_is_private_and_removed_in_the_end(monkeypatch):
    monkeypatch.delenv(DIRECTORY_VARIABLE, raising=False)
    assert WorkerSlots.from_environment(2) is None
    with worker_directory():
        directory = Path(os.environ[DIRECTORY_VARIABLE])
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert WorkerSlots.from_environment(1) is None
        slots = WorkerSlots.from_environment(2)
        assert slots is not None
        assert slots.acquire() == 0
        slots.release()
    assert not directory.exists()
    assert DIRECTORY_VARIABLE not in os.environ


def test_a_long_path_of_temporary_files_still_gives_short_socket_paths(monkeypatch, tmp_path):
    folder = tmp_path / ("x" * 90)
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setenv(DIRECTORY_VARIABLE, "")
    with worker_directory():
        slots = WorkerSlots.from_environment(2)
        assert slots is not None
        assert len(str(slots.get_socket_path(1))) < 100
