"""The viewers of the overview, their tabs, and the overviews that wait for a redraw."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass

from app.forms.overview_tabs import Tab
from app.oms_client import Person

MAX_VIEWERS = 1000
MAX_IDLE_SECONDS = 4 * 3600.0  # a person who opened the overview earlier gets a new one when opening it again


@dataclass
class Viewer:
    """A person who opened the overview, when (Unix seconds), and whether a redraw waits to begin."""

    person: Person
    tab: Tab
    active_at: float
    is_queued: bool = False


class OverviewViewers:
    """The people who opened the overview recently."""

    def __init__(self, clock: Callable[[], float] = time.time):
        self._clock = clock
        self._lock = threading.Lock()
        self._viewers: OrderedDict[Person, Viewer] = OrderedDict()

    def record(self, person: Person, tab: Tab | None = None, at: float | None = None) -> None:
        """Record that a person opened the overview, or chose a tab. A choice before the last one is ignored.

        `at` is when another bot recorded it.
        """
        with self._lock:
            viewer = self._viewers.setdefault(person, Viewer(person, Tab.OVERVIEW, 0.0))
            active_at = self._clock() if at is None else at
            if active_at < viewer.active_at:
                return
            viewer.tab = tab or viewer.tab
            viewer.active_at = active_at
            self._viewers.move_to_end(person)
            while len(self._viewers) > MAX_VIEWERS:
                self._viewers.popitem(last=False)

    def get(self, person: Person) -> tuple[Tab, float]:
        """Return the tab that a person chose last, and when, 0 if never."""
        with self._lock:
            viewer = self._viewers.get(person)
            return (viewer.tab, viewer.active_at) if viewer else (Tab.OVERVIEW, 0.0)

    def get_tab(self, person: Person) -> Tab:
        """Return the tab that a person chose last."""
        with self._lock:
            viewer = self._viewers.get(person)
            return viewer.tab if viewer else Tab.OVERVIEW

    def claim(self, person: Person) -> bool:
        """Return whether a redraw of this person's overview has to be queued. It is queued once."""
        with self._lock:
            viewer = self._viewers.get(person)
            if viewer is None or viewer.is_queued:
                return False
            viewer.is_queued = True
            return True

    def release(self, person: Person) -> None:
        """Record that the queued redraw begins: later changes queue another one."""
        with self._lock:
            if viewer := self._viewers.get(person):
                viewer.is_queued = False

    def list_active(self, tabs: Collection[Tab]) -> list[Person]:
        """Return the people who chose one of these tabs and were active within the last four hours."""
        with self._lock:
            since = self._clock() - MAX_IDLE_SECONDS
            viewers = self._viewers.values()
            return [viewer.person for viewer in viewers if viewer.tab in tabs and viewer.active_at >= since]
