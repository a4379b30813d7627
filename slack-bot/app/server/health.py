"""Whether Slack and the OMS answer, from a probe that is at most a few seconds old."""

import threading
import time
from collections.abc import Callable

from app.errors import Saturated, SlackError
from app.replies.desk import Desk

FRESH_SECONDS = 15.0
FRESH_FAILURE_SECONDS = 2.0  # what failed may be well soon: both services often start together


class Health:
    """Answers at once with what the last probe found; a stale one is renewed behind the answer."""

    def __init__(self, desk: Desk, clock: Callable[[], float] = time.monotonic):
        self._desk = desk
        self._clock = clock
        self._lock = threading.Lock()
        self._found = {"slack": "unknown", "oms": "unknown"}
        self._probed_at = float("-inf")

    def report(self) -> dict[str, str]:
        """Return a word each for bot, Slack and OMS: ok, failing or unknown."""
        self._renew_if_stale()
        with self._lock:
            return {"status": "ok", "service": "slack-bot", "bot": "ok", **self._found}

    def probe(self) -> None:
        """Ask both, once."""
        with self._lock:
            self._probed_at = self._clock()
        found = {"slack": _word(self._slack_answers()), "oms": _word(self._desk.oms.healthy())}
        with self._lock:
            self._found = found

    def _renew_if_stale(self) -> None:
        with self._lock:
            fresh_seconds = FRESH_FAILURE_SECONDS if "failing" in self._found.values() else FRESH_SECONDS
            if self._clock() - self._probed_at < fresh_seconds:
                return
            self._probed_at = self._clock()
        try:
            self._desk.pricing.submit("health", self.probe)
        except Saturated:
            return  # the next request tries again after the same while

    def _slack_answers(self) -> bool:
        try:
            self._desk.slack.identify()
        except SlackError:
            return False
        return True


def _word(answers: bool) -> str:
    return "ok" if answers else "failing"
