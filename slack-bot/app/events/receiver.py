"""Receive events over the webhook, and list missed events. Each event is handled once."""

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from app.delivery.event_store import EventClaim
from app.errors import OmsError, OmsForbidden
from app.events.registry import Event, EventRegistry
from app.events.webhook_signature import is_event_signed
from app.oms_client.event_api import EventApi
from app.services.dependencies import Services
from app.storage.claimed_ids import ClaimedIds

log = logging.getLogger(__name__)

OVERLAP = timedelta(minutes=5)  # events of concurrent transactions arrive in another order than their times
MAX_KEPT_PAGES = 20  # of missed events in memory; newer pages are read again
RELOAD_INTERVAL_SECONDS = 2.0  # another bot may have rotated the secret
ROTATION_INTERVAL_SECONDS = 60.0  # one bot rotates a secret in this time


class EventReceiver:
    """Pass each event to the registry once. Events that were handled are skipped.

    Bots that share the database claim each event. An event is stored after it was handled. If the bot is
    killed between the two, it is handled again.
    """

    def __init__(
        self,
        services: Services,
        registry: EventRegistry,
        clock: Callable[[], float] = time.time,
    ):
        self._services = services
        self._registry = registry
        self._store = services.handled_events
        self._clock = clock
        self._handling = threading.Lock()
        self._webhook_id = ""
        self._secret = ""
        self._reloaded_at = 0.0

    @property
    def patterns(self) -> list[str]:
        """The event types that the functions of the registry subscribe to."""
        return self._registry.list_patterns()

    def receive(self, headers: Mapping[str, str], body: bytes) -> HTTPStatus:
        """Verify a delivery and handle its event. Return the status of the response to the OMS."""
        if not self._is_signed(headers, body):
            return HTTPStatus.UNAUTHORIZED
        event = parse_event(body)
        if event is None:
            log.warning("Event that cannot be read", extra={"event_id": headers.get("webhook-id", "")})
            return HTTPStatus.BAD_REQUEST
        if self._claim_and_handle(event) is EventClaim.TAKEN:
            return HTTPStatus.SERVICE_UNAVAILABLE  # if the other bot crashes, the OMS sends it again
        return HTTPStatus.NO_CONTENT

    def handle_once(self, event: Event) -> bool:
        """Handle the event. Return False if it was handled before, or another bot handles it."""
        return self._claim_and_handle(event) is EventClaim.NEW

    def _claim_and_handle(self, event: Event) -> EventClaim:
        with self._handling:
            claim = self._store.claim(event.id, event.created_at)
            if claim is EventClaim.NEW:
                self._registry.handle(self._services, event)
                self._store.add(event.id, event.created_at)
            return claim

    def register(self, api: EventApi, url: str) -> None:
        """Register the webhook, then handle the events that were missed. Raises `OmsError`."""
        registration = api.register(url, self.patterns)
        self._webhook_id = registration.id
        self._secret = (
            self._save_secret(registration.secret)
            or self._services.webhook_secrets.find(registration.id)
            or self._secret
            or self._rotate_secret(api)
        )
        cursor = self._store.find_cursor()
        if cursor is None:
            self._store.add("start", registration.created_at)
        else:
            self.handle_missed(api, cursor)

    def handle_missed(self, api: EventApi, cursor: str) -> int:
        """Handle the events since the cursor, oldest first. Return their number. Raises `OmsError`."""
        since = (datetime.fromisoformat(cursor) - OVERLAP).isoformat().replace("+00:00", "Z")
        newest_page, next_cursor = api.list_events(since, self.patterns)
        cursors: list[str] = []
        oldest_pages: deque[list[dict[str, Any]]] = deque(maxlen=MAX_KEPT_PAGES)
        while next_cursor:
            cursors.append(next_cursor)
            page, next_cursor = api.list_events(since, self.patterns, next_cursor)
            oldest_pages.append(page)
        count = 0
        for page_cursor in reversed(cursors):
            page = (
                oldest_pages.pop() if oldest_pages else api.list_events(since, self.patterns, page_cursor)[0]
            )
            count += self._handle_page(page)
        count += self._handle_page(newest_page)
        if count:
            log.info("Missed events handled", extra={"count": count, "since": since})
        return count

    def _handle_page(self, rows: list[dict[str, Any]]) -> int:
        """Handle a page of events, which is newest first. Return how many had not been handled."""
        events = [event for row in reversed(rows) if (event := _build_event(row)) is not None]
        return sum(self.handle_once(event) for event in events)

    def _save_secret(self, secret: str) -> str:
        if secret:
            self._services.webhook_secrets.save(self._webhook_id, secret)
        return secret

    def _rotate_secret(self, api: EventApi) -> str:
        """Replace a lost secret. Of several bots that lost it, one does. Raises `OmsError`."""
        slot = int(self._clock() / ROTATION_INTERVAL_SECONDS)
        if not ClaimedIds(self._services.storage).claim(f"rotate:{self._webhook_id}:{slot}"):
            raise OmsError("Another bot replaces the secret of the webhook.")
        return self._save_secret(api.rotate_secret(self._webhook_id))

    def _is_signed(self, headers: Mapping[str, str], body: bytes) -> bool:
        if self._has_signature(headers, body):
            return True
        if not self._webhook_id or self._clock() < self._reloaded_at + RELOAD_INTERVAL_SECONDS:
            return False
        self._reloaded_at = self._clock()
        self._secret = self._services.webhook_secrets.find(self._webhook_id) or self._secret
        return self._has_signature(headers, body)

    def _has_signature(self, headers: Mapping[str, str], body: bytes) -> bool:
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        message_id, timestamp, signatures = (headers.get(name, "") for name in names)
        return bool(self._secret) and is_event_signed(
            self._secret, message_id, timestamp, signatures, body, self._clock()
        )


def run_registration(receiver: EventReceiver, services: Services, api: EventApi, url: str) -> None:
    """Register for events repeatedly until the bot stops.

    The repetition enables a webhook that was disabled while the bot was not reachable.
    """
    while not services.stopping.is_set():
        wait = services.waits.register_every
        try:
            receiver.register(api, url)
        except OmsForbidden:
            log.warning("Not registered for events: the API key needs the scope `bot`")
        except OmsError as error:
            log.warning("Not registered for events", extra={"fault": str(error)})
            wait = services.waits.register_again
        except Exception:  # an unreadable response must not end the thread
            log.exception("Not registered for events")
        services.stopping.wait(wait)


def parse_event(body: bytes) -> Event | None:
    """Parse the body of a delivery. None if it is not an event."""
    try:
        return _build_event(json.loads(body))
    except (ValueError, RecursionError):
        return None


def _build_event(values: Any) -> Event | None:
    if not isinstance(values, dict) or not isinstance(values.get("data"), dict):
        return None
    texts = [text for name in ("id", "type", "created_at") if isinstance(text := values.get(name), str)]
    if len(texts) != 3 or not all(texts):
        return None
    event_id, event_type, created_at = texts
    return Event(event_id, event_type, created_at, values["data"])
