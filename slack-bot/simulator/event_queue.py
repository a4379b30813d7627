"""Deliver events to the bot on one thread, with three retries as Slack does."""

import heapq
import threading
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from simulator import ids, payloads
from simulator.request_delivery import Reply, RequestSender
from simulator.workspace import HOME, Team
from simulator.workspace_state import WorkspaceState

RETRY_AFTER_SECONDS = (0.0, 60.0, 300.0)
MAX_QUEUED = 200


@dataclass(order=True)
class Attempt:
    """One attempt to deliver an event. ``due_at`` is a time of the simulator's clock."""

    due_at: float
    number: int
    envelope: dict[str, Any] = field(compare=False)
    retries: int = field(default=0, compare=False)
    reason: str = field(default="", compare=False)


class EventQueue:
    """Events to deliver, and their retries."""

    def __init__(self, workspace_state: WorkspaceState, request_sender: RequestSender) -> None:
        self._state = workspace_state
        self._request_sender = request_sender
        self._numbers = count()
        self._waiting: list[Attempt] = []
        self._is_closing = False
        self._thread = threading.Thread(target=self._deliver_all, name="events", daemon=True)
        self._thread.start()

    def put(self, inner: dict[str, Any], team: Team = HOME) -> str:
        """Queue an event for the app in a workspace. Return its event id."""
        event_id = ids.generate_id("Ev")
        with self._state.change():
            now = self._state.clock.now()
            envelope = payloads.build_event_envelope(inner, event_id, int(now), team.id)
            self._add_attempt(Attempt(now, next(self._numbers), envelope))
        return event_id

    def add_if_subscribed(self, name: str, inner: dict[str, Any], team: Team = HOME) -> None:
        """Queue an event if the manifest subscribes to it."""
        if name in self._state.manifest.bot_events:
            self.put(inner, team)

    def clear(self) -> None:
        """Remove all queued events."""
        with self._state.change():
            self._waiting.clear()

    def close(self) -> None:
        """Stop the thread."""
        with self._state.change():
            self._is_closing = True
        self._thread.join(timeout=0.2)

    def _add_attempt(self, attempt: Attempt) -> None:
        if len(self._waiting) < MAX_QUEUED:
            heapq.heappush(self._waiting, attempt)

    def _deliver_all(self) -> None:
        while (attempt := self._find_next_due()) is not None:
            self._deliver_attempt(attempt)

    def _find_next_due(self) -> Attempt | None:
        with self._state.news:
            while not self._is_closing:
                wait = self._waiting[0].due_at - self._state.clock.now() if self._waiting else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._waiting)
                self._state.news.wait(wait)
        return None

    def _deliver_attempt(self, attempt: Attempt) -> None:
        reply = self._request_sender.send(payloads.event(attempt.envelope, attempt.retries, attempt.reason))
        is_delivered = reply.ok or reply.headers.get("x-slack-no-retry") == "1"
        if is_delivered or attempt.retries >= len(RETRY_AFTER_SECONDS):
            return
        with self._state.change():
            due_at = attempt.due_at + RETRY_AFTER_SECONDS[attempt.retries]
            number = next(self._numbers)
            self._add_attempt(
                Attempt(due_at, number, attempt.envelope, attempt.retries + 1, _get_reason(reply))
            )


def _get_reason(reply: Reply) -> str:
    return {"timeout": "http_timeout", "unreachable": "connection_failed"}.get(reply.failure, "http_error")
