"""Faults to inject, and how often."""

from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from simulator.errors import ActError

MAX_DELAY_SECONDS = 60.0
EVERY_METHOD = "*"
Fault = TypeVar("Fault", "CallFault", "DeliveryFault")


@dataclass
class CallFault:
    """The fault of the next calls of one Web API method.

    ``error`` is Slack's code; ``ratelimited`` becomes a 429 with ``retry_after`` seconds. ``status`` is a
    plain HTTP status. ``slow_seconds`` delays the call; ``drop`` closes the connection. With ``after``, the
    call fails after its effect.
    """

    method: str = EVERY_METHOD
    error: str = ""
    status: int = 0
    retry_after: int = 1
    slow_seconds: float = 0.0
    drop: bool = False
    after: bool = False
    times: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.slow_seconds <= MAX_DELAY_SECONDS:
            raise ActError(f"slow_seconds must be between 0 and {MAX_DELAY_SECONDS:.0f}.")
        if self.times < 1:
            raise ActError("times must be at least 1.")


@dataclass
class DeliveryFault:
    """Faults of the next deliveries.

    ``delay_seconds`` delays the request. ``lose`` sends no request. ``drop`` closes the connection before the
    response.
    """

    delay_seconds: float = 0.0
    lose: bool = False
    drop: bool = False
    times: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.delay_seconds <= MAX_DELAY_SECONDS:
            raise ActError(f"delay_seconds must be between 0 and {MAX_DELAY_SECONDS:.0f}.")
        if self.times < 1:
            raise ActError("times must be at least 1.")


class Faults:
    """The faults that are set."""

    def __init__(self) -> None:
        self.calls: list[CallFault] = []
        self.deliveries: list[DeliveryFault] = []

    def take_call_fault(self, method: str) -> CallFault | None:
        """Return the fault for this call, and count it down."""
        matching = next((fault for fault in self.calls if fault.method in (method, EVERY_METHOD)), None)
        return self._count_down(self.calls, matching)

    def take_delivery_fault(self) -> DeliveryFault | None:
        """Return the fault for this delivery, and count it down."""
        return self._count_down(self.deliveries, self.deliveries[0] if self.deliveries else None)

    def serialize(self) -> dict[str, Any]:
        """Return the faults as JSON."""
        return {"calls": [asdict(f) for f in self.calls], "deliveries": [asdict(f) for f in self.deliveries]}

    @staticmethod
    def _count_down(faults: list[Fault], fault: Fault | None) -> Fault | None:
        if fault is not None:
            fault.times -= 1
            if fault.times == 0:
                faults.remove(fault)
        return fault
