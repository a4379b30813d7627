"""Record which open forms people are typing in."""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

MAX_ENTRIES = 1000


@dataclass(eq=False)
class OpenForm:
    """The typing state of an open form.

    Each redraw changes the hash of the view. Slack's next request may still carry an earlier hash.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    newest: Decimal = Decimal(0)  # Slack's timestamp of the latest keystroke
    view: dict[str, Any] | None = None  # the view at that keystroke; None after it was redrawn
    active_at: float = 0.0  # time of the last keystroke in any field
    has_waiter: bool = False  # a thread is waiting for a pause in typing
    newer_hash: dict[str, str] = field(default_factory=dict)

    def latest(self, view_hash: str) -> str:
        """Return the current hash of the view, as far as this process changed it."""
        while newer := self.newer_hash.get(view_hash, ""):
            view_hash = newer
        return view_hash


class OpenForms:
    """The forms in which people typed recently, by view id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forms: OrderedDict[str, OpenForm] = OrderedDict()

    def has_keystrokes(self, view_id: str) -> bool:
        """Return whether the person has typed in the form."""
        return self.get(view_id).active_at > 0

    def get(self, view_id: str) -> OpenForm:
        """Return the state of a form."""
        with self._lock:
            form = self._forms.setdefault(view_id, OpenForm())
            self._forms.move_to_end(view_id)
            while len(self._forms) > MAX_ENTRIES:
                self._forms.popitem(last=False)
            return form


def record_keystroke(forms: OpenForms, view: dict[str, Any], typed_at: str) -> bool:
    """Record a keystroke. Return whether the caller must start a thread that waits for a pause."""
    form = forms.get(str(view["id"]))
    with form.lock:
        form.active_at = time.monotonic()
        timestamp = Decimal(typed_at)
        if timestamp < form.newest:
            return False
        form.newest = timestamp
        form.view = view
        must_wait = not form.has_waiter
        form.has_waiter = True
        return must_wait


def postpone_redraw(forms: OpenForms, view_id: str) -> None:
    """Postpone the redraw, because the person types in another field of the form."""
    form = forms.get(view_id)
    with form.lock:
        form.active_at = time.monotonic()


def release_waiter(forms: OpenForms, view_id: str) -> None:
    """Record that no thread was free to wait, so that the next keystroke starts one."""
    form = forms.get(view_id)
    with form.lock:
        form.has_waiter = False
