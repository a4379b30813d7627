"""The OMS as a process that can be killed, and the events that it sends."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.support.guarded_programs import start_guarded

OMS_API = Path(__file__).parents[2]
MIN_LIFE_SECONDS = 10.0  # of a program, which a slow machine needs to start


class Program:
    """A program that is started again whenever it has ended."""

    def __init__(self, folder, arguments, log, **environment):
        self._folder, self._arguments, self._log = folder, arguments, log
        self._environment = {"PATH": os.environ["PATH"], **environment}
        self._process, self._started_at = None, 0.0

    @property
    def has_run(self):
        """Whether the process has run for long enough to do some work."""
        return time.monotonic() - self._started_at > MIN_LIFE_SECONDS

    def keep_running(self):
        """Start it unless it runs."""
        if self._process is None or self._process.poll() is not None:
            self._started_at = time.monotonic()
            with self._log.open("ab") as log:
                self._process = start_guarded(
                    [sys.executable, *self._arguments], cwd=self._folder, env=self._environment,
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                )  # fmt: skip

    def kill(self):
        """Kill it without a chance to tidy up."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)


def read_events(file):
    """Return the events of a receiver in the order of their first arrival."""
    events: dict[str, dict] = {}
    for line in file.read_bytes().splitlines() if file.exists() else []:
        try:
            event = json.loads(line)
        except ValueError:
            continue  # the receiver was killed while it wrote, and before it answered
        assert events.setdefault(event["id"], event) == event, "the same id with another content"
    return events
