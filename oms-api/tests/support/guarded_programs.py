"""Programs that end with this process, also if it is killed."""

import atexit
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

_GUARD = Path(__file__).with_name("program_guard.py")


def start_guarded(command: list[str], **options: Any) -> "subprocess.Popen[Any]":
    """Start a program as `subprocess.Popen` does."""
    process = subprocess.Popen(command, **options)
    guard = _start_guard()
    assert guard.stdin is not None, "it has a pipe"
    guard.stdin.write(f"{process.pid}\n")
    guard.stdin.flush()
    return process


@cache
def _start_guard() -> "subprocess.Popen[str]":
    """Start the guard of this process. It has a session of its own, so that Ctrl-C does not end it."""
    command = [sys.executable, "-I", "-S", str(_GUARD)]
    guard = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)
    atexit.register(guard.communicate)  # the end of its input ends it
    return guard
