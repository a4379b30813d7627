"""A child ends with the process that started it, even if that process is killed while the child computes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.conditions import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the layers are those of Linux")
CODE = "from slackoms_strategy import Strategy\nwhile True: pass\nclass Mine(Strategy): pass\n"
LAUNCHER = """
import sys
from app.sandbox.rules.sources import StrategySource
from app.sandbox.service.children import SandboxSpec, launch_child
source = StrategySource("endless", "Mine", sys.argv[1])
program = "app.backtests.service.sandbox_child:prepare_inspection"
child = launch_child(SandboxSpec(source, program, {"sets": []}))
print(*list_group(child.pid), flush=True)
child.receive()
"""
LIST_GROUP = '''
from pathlib import Path
def list_group(pid):
    """Return a process and its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in list_group(child))]
'''


def test_child_that_computes_ends_when_its_parent_is_killed(tmp_path):
    path = tmp_path / "endless.py"
    path.write_text(CODE, encoding="utf-8")
    command = [sys.executable, "-c", LIST_GROUP + LAUNCHER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdout is not None
        pids = [int(pid) for pid in launcher.stdout.readline().split()]
        assert pids
        os.kill(launcher.pid, signal.SIGKILL)
    wait_until(lambda: not any(_is_running(pid) for pid in pids), "the end of the child")


def _is_running(pid):
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"  # nobody may have waited for it yet
