"""The client's journal: each intended request and its answer. The judge compares the database with it."""

import threading
from dataclasses import dataclass, field
from typing import Any

NOT_PLACED, UNKNOWN = "/not-placed", "/outcome-unknown"


@dataclass
class Intent:
    """One trade or reversal under its idempotency key, written down before it is sent."""

    key: str
    path: str
    body: dict[str, Any]
    acknowledged: list[str] = field(default_factory=list)
    refused: bool = False

    @property
    def kind(self) -> str:
        """The name of the trade in the ledger."""
        return "reversal" if self.path.endswith(":reverse") else "trade"

    @property
    def unresolved(self) -> bool:
        """Whether no answer has confirmed the outcome yet."""
        return not self.acknowledged and not self.refused


class Journal:
    """All intents of a run, the answers that should not have been, and the slowest answer in seconds."""

    def __init__(self) -> None:
        self.intents: dict[str, Intent] = {}
        self.unexpected: list[str] = []
        self.slowest = 0.0
        self._lock = threading.Lock()
        self._reversible: list[str] = []

    def record_intent(self, key: str, path: str, body: dict[str, Any]) -> Intent:
        """Record a request before it is sent."""
        intent = Intent(key, path, body)
        with self._lock:
            assert key not in self.intents, f"{key} is used twice by the client"
            self.intents[key] = intent
        return intent

    def acknowledge(self, intent: Intent, trade: dict[str, Any]) -> None:
        """Write down that the service said 201."""
        with self._lock:
            intent.acknowledged.append(trade["trade_id"])
            intent.refused = False
            if intent.kind == "trade" and len(intent.acknowledged) == 1:
                self._reversible.append(trade["trade_id"])

    def record_answer(
        self, intent: Intent, status: int, body: dict[str, Any], retry_after: bool = True
    ) -> None:
        """Write down an answer: 201 with a trade, or a problem."""
        if status == 201:
            self.acknowledge(intent, body)
            return
        kind = str(body.get("type"))
        if status != 503 or not retry_after or not kind.endswith((NOT_PLACED, UNKNOWN)):
            self.record_problem(f"{intent.key}: {status} {body}")
        intent.refused = kind.endswith(NOT_PLACED)

    def record_problem(self, label: str) -> None:
        """Write down an answer that the service should never give."""
        with self._lock:
            self.unexpected.append(label)

    def compute_duration(self, seconds: float) -> None:
        """Note how long an answer took."""
        with self._lock:
            self.slowest = max(self.slowest, seconds)

    def take_reversible(self) -> str | None:
        """Return an acknowledged trade that no request reverses."""
        with self._lock:
            return self._reversible.pop() if self._reversible else None

    def unresolved(self) -> list[Intent]:
        """Return the requests whose outcome is unknown."""
        with self._lock:
            return [intent for intent in self.intents.values() if intent.unresolved]

    def acknowledged(self) -> list[Intent]:
        """Return the acknowledged requests."""
        with self._lock:
            return [intent for intent in self.intents.values() if intent.acknowledged]
