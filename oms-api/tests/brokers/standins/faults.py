"""Faults of a stand-in: of requests, of the stream and of orders."""

import threading
from dataclasses import dataclass, field
from typing import Any

REQUEST_FAULTS = ("latency", "hang", "cut_before", "cut_after", "status", "status_after")


@dataclass
class RequestFault:
    """A fault of the next `times` requests whose method and path match.

    `latency` waits `seconds`. `hang` carries out the request, then waits `seconds` before it answers.
    `cut_before` and `cut_after` cut the connection before or after the request is carried out. `status`
    answers with `status` and carries out nothing; `status_after` carries the request out first. Both have the
    text `body`, if it is set, in the place of an error of the broker.
    """

    kind: str
    method: str = ""
    path: str = "/"
    times: int = 1
    seconds: float = 0.0
    status: int = 500
    retry_after: str | None = None
    body: bytes | None = None

    def matches(self, method: str, path: str) -> bool:
        return self.times > 0 and self.method in {"", method} and path.startswith(self.path)


@dataclass
class StreamFaults:
    """Faults of the stream. `duplicates`, `drops` and `swaps` count the next events that they apply to.

    `is_held` keeps events back until it ends. `is_mute` loses them, while the connection stays open.
    `refusals` counts the next log-ins that are refused.
    """

    duplicates: int = 0
    drops: int = 0
    swaps: int = 0
    refusals: int = 0
    is_held: bool = False
    is_mute: bool = False

    def distort(self, waiting: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Take the events to send now out of `waiting`, and return them."""
        if self.is_held or (self.swaps and len(waiting) < 2):
            return []
        released, waiting[:] = list(waiting), []
        if self.swaps and len(released) > 1:
            self.swaps -= 1
            released.reverse()
        return [copy for update in released for copy in [update] * self._count_copies()]

    def _count_copies(self) -> int:
        if self.is_mute:
            return 0
        if self.drops:
            self.drops -= 1
            return 0
        if self.duplicates:
            self.duplicates -= 1
            return 2
        return 1


@dataclass
class OrderFaults:
    """Faults of orders.

    `rejections` are the reasons for which the next orders are rejected after they were accepted. `crossing`
    is the quantity that fills when the next cancel or replacement arrives, before it takes effect.
    `renames_fills` lists executions under other ids than the stream reports. `hides_held_legs` reports no
    event that ends the holding of a linked order, as Alpaca's stream often does.
    """

    rejections: list[str] = field(default_factory=list)
    crossing: str | None = None
    is_cancel_ignored: bool = False
    renames_fills: bool = False
    hides_held_legs: bool = False


class Faults:
    """All scripted faults. Thread-safe."""

    def __init__(self) -> None:
        self.stream = StreamFaults()
        self.orders = OrderFaults()
        self._requests: list[RequestFault] = []
        self._lock = threading.Lock()

    def add(self, kind: str, **fields: Any) -> None:
        if kind not in REQUEST_FAULTS:
            raise ValueError(f"kind must be one of {', '.join(REQUEST_FAULTS)}")
        with self._lock:
            self._requests.append(RequestFault(kind, **fields))

    def take(self, method: str, path: str) -> RequestFault | None:
        """Return the fault of this request, and count it."""
        with self._lock:
            for fault in self._requests:
                if fault.matches(method, path):
                    fault.times -= 1
                    return fault
        return None

    def clear(self) -> None:
        with self._lock:
            self._requests.clear()
        self.stream, self.orders = StreamFaults(), OrderFaults()


def set_fields(faults: Any, fields: dict[str, Any]) -> None:
    """Set fields of faults by name. Raises ValueError if a field does not exist."""
    for name, value in fields.items():
        if not hasattr(faults, name):
            raise ValueError(f"there is no fault {name}")
        setattr(faults, name, value)
