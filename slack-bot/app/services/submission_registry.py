"""The first delivery of a submission owns it; the others share its answer and tell nobody."""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from app.blocks.text import Json

REMEMBERED = 10_000


@dataclass(frozen=True)
class Outcome:
    """How a submission ended, ready to be shown either way."""

    response: Json  # what Slack's delivery is answered, in time
    view: Json  # what the form turns into, when it was too late for that
    placed: bool = False  # the key is bound to a trade
    unsettled: bool = False  # it is still not known whether it is
    notice: str = ""  # what the person is told where the form cannot be redrawn


@dataclass(eq=False)
class Submission:
    """A trade on its way. Deliveries wait for it; the worker finishes it."""

    key: str
    waiting_view: Json
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _done: threading.Event = field(default_factory=threading.Event)
    _outcome: Outcome | None = None
    _late_since: float | None = None

    def wait(self, seconds: float) -> Outcome | None:
        """Return the outcome, or None after so many seconds: then the worker redraws the form."""
        self._done.wait(seconds)
        with self._lock:
            if self._outcome is None and self._late_since is None:
                self._late_since = time.monotonic()
            return self._outcome

    def late_since(self) -> float | None:
        """Return when a delivery was answered without an outcome (monotonic seconds), None if none was."""
        with self._lock:
            return self._late_since

    def finish(self, outcome: Outcome) -> bool:
        """Set the outcome; returns whether the form has to be redrawn."""
        with self._lock:
            self._outcome = outcome
            self._done.set()
            return self._late_since is not None


class SubmissionRegistry:
    """Submissions by idempotency key and by delivery, the latest ten thousand."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_key: OrderedDict[str, Submission] = OrderedDict()
        self._by_delivery: OrderedDict[str, Submission] = OrderedDict()

    def claim(self, key: str, delivery: str, waiting_view: Json) -> tuple[Submission, bool]:
        """Return the submission of this key or delivery, and whether it is the caller's to carry out."""
        with self._lock:
            known = self._by_delivery.get(delivery) or self._by_key.get(key)
            submission = known or Submission(key, waiting_view)
            if known is None:
                self._by_key[key] = submission
            self._by_delivery[delivery] = submission
            _trim(self._by_key)
            _trim(self._by_delivery)
            return submission, known is None

    def finish(self, submission: Submission, outcome: Outcome) -> bool:
        """Finish a submission; a key without a trade may be claimed again. Returns whether to redraw."""
        with self._lock:
            if not outcome.placed and self._by_key.get(submission.key) is submission:
                del self._by_key[submission.key]
        return submission.finish(outcome)


class Seen:
    """Ids that came by already (deliveries, portfolios that exist), the latest ten thousand."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: OrderedDict[str, None] = OrderedDict()

    def first(self, seen: str) -> bool:
        """Whether this id is new; from now on it is not."""
        with self._lock:
            new = seen not in self._ids
            self._ids[seen] = None
            _trim(self._ids)
            return new

    def __contains__(self, seen: str) -> bool:
        """Whether this id came by."""
        with self._lock:
            return seen in self._ids


def _trim(entries: "OrderedDict[str, Submission] | OrderedDict[str, None]") -> None:
    while len(entries) > REMEMBERED:
        entries.popitem(last=False)
