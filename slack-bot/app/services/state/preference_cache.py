"""The preferences of people, as the OMS described them last."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from app.forms.preferences import Preferences
from app.oms_client import Person

MAX_PEOPLE = 5000


class PreferenceCache:
    """Preferences by person, with the time of the last read."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[Person, tuple[Preferences, float]] = OrderedDict()

    def find(self, person: Person, max_age_seconds: float = float("inf")) -> Preferences | None:
        """Return the preferences of a person, None if they were not read within that time."""
        with self._lock:
            entry = self._entries.get(person)
            return entry[0] if entry and self._clock() - entry[1] <= max_age_seconds else None

    def put(self, person: Person, preferences: Preferences) -> None:
        """Store the preferences that the OMS returned."""
        with self._lock:
            self._entries[person] = (preferences, self._clock())
            self._entries.move_to_end(person)
            while len(self._entries) > MAX_PEOPLE:
                self._entries.popitem(last=False)
