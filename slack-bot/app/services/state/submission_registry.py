"""Match repeated deliveries of a submission. The first one executes it; the others share its response."""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from app.blocks.text import Json

MAX_ENTRIES = 10_000


@dataclass(frozen=True)
class Outcome:
    """The outcome of a submission: the response to Slack, and the view for a later redraw."""

    response: Json  # response to Slack's request, if the outcome is in time
    view: Json  # view that replaces the form, if the outcome is late
    is_recorded: bool = False  # a trade or an order is recorded under the key
    is_unknown: bool = False  # it is unknown whether one is recorded under the key
    notice: str = ""  # message to the person if the form cannot be redrawn


@dataclass(eq=False)
class Submission:
    """A submission in progress. Deliveries wait for its outcome; a worker sets it."""

    key: str
    waiting_view: Json
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _finished: threading.Event = field(default_factory=threading.Event)
    _outcome: Outcome | None = None
    _late_since: float | None = None

    def wait(self, seconds: float) -> Outcome | None:
        """Return the outcome, or None after the timeout. In that case, the worker redraws the form."""
        self._finished.wait(seconds)
        with self._lock:
            if self._outcome is None and self._late_since is None:
                self._late_since = time.monotonic()
            return self._outcome

    def get_late_since(self) -> float | None:
        """Return when a delivery got a response without an outcome (monotonic seconds), None if none did."""
        with self._lock:
            return self._late_since

    def finish(self, outcome: Outcome) -> bool:
        """Set the outcome. Return whether the form has to be redrawn."""
        with self._lock:
            self._outcome = outcome
            self._finished.set()
            return self._late_since is not None


class SubmissionRegistry:
    """The latest MAX_ENTRIES submissions, by idempotency key and by delivery."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_key: OrderedDict[str, Submission] = OrderedDict()
        self._by_delivery: OrderedDict[str, Submission] = OrderedDict()

    def claim(self, key: str, delivery: str, waiting_view: Json) -> tuple[Submission, bool]:
        """Return the submission of this key or delivery, and whether the caller must execute it."""
        with self._lock:
            existing = self._by_delivery.get(delivery) or self._by_key.get(key)
            submission = existing or Submission(key, waiting_view)
            if existing is None:
                self._by_key[key] = submission
            self._by_delivery[delivery] = submission
            _remove_oldest(self._by_key)
            _remove_oldest(self._by_delivery)
            return submission, existing is None

    def finish(self, submission: Submission, outcome: Outcome) -> bool:
        """Set the outcome of a submission. Return whether the form has to be redrawn.

        A key under which nothing was recorded can be claimed again.
        """
        with self._lock:
            if not outcome.is_recorded and self._by_key.get(submission.key) is submission:
                del self._by_key[submission.key]
        return submission.finish(outcome)


class RecentIds:
    """A set that keeps the latest MAX_ENTRIES ids."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: OrderedDict[str, None] = OrderedDict()

    def add(self, entry: str) -> bool:
        """Add the id. Return whether it is new."""
        with self._lock:
            is_new = entry not in self._ids
            self._ids[entry] = None
            _remove_oldest(self._ids)
            return is_new

    def remove(self, entry: str) -> None:
        """Remove the id, if it is there."""
        with self._lock:
            self._ids.pop(entry, None)

    def __contains__(self, entry: str) -> bool:
        """Return whether the id is in the set."""
        with self._lock:
            return entry in self._ids


def _remove_oldest(entries: "OrderedDict[str, Submission] | OrderedDict[str, None]") -> None:
    while len(entries) > MAX_ENTRIES:
        entries.popitem(last=False)
