"""Deliver events to webhooks, in one event loop. `DeliveryRunner` runs it in the process that has the lease.

Each cycle stores results, reads new events below the horizon, stores their deliveries, and starts requests.
Endpoints that answer share one limit of concurrent requests, those that failed or are new have another. So
endpoints that hang delay only each other. No tenant can take all requests of a limit: see `SharedSlots`.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import ParamSpec, TypeVar

from app.clock import Now, monotonic_seconds
from app.correlation import build_traceparent, set_correlation
from app.encryption import DecryptionFailed, EncryptionKeys
from app.events.queries import StoredEvent
from app.events.rules import Horizon, advance_horizon
from app.webhooks.queries.dispatch_statements import CursorUpdate, DeliveryUpdate, Disabling
from app.webhooks.rules.attempts import AttemptResult, DeliveryStatus, decide_next_attempt, describe_attempt
from app.webhooks.rules.endpoint_queue import MAX_WAITING, EndpointQueue, choose_position, take_turns
from app.webhooks.rules.fair_share import SharedSlots
from app.webhooks.rules.signatures import build_headers
from app.webhooks.rules.values import Delivery, Endpoint, OutgoingEvent
from app.webhooks.service.dispatch_store import DispatchChanges, DispatchStore, build_update
from app.webhooks.service.sender import WebhookSender
from app.webhooks.service.webhooks import get_secret_context

POLL_SECONDS = 0.05
REFRESH_SECONDS = 0.5
CURSOR_SECONDS = 30.0  # after which cursors of endpoints without deliveries are stored
MAX_PROVEN_REQUESTS = 200
MAX_UNPROVEN_REQUESTS = 200
CATCH_UP_ENDPOINTS = 20  # per cycle
LOADED_ENDPOINTS = 200  # whose waiting deliveries are read by one query
_LOG = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class Dispatcher:
    """The state of the deliveries of all tenants. `run_cycle` is called repeatedly."""

    def __init__(
        self,
        store: DispatchStore,
        sender: WebhookSender,
        keys: EncryptionKeys,
        now: Now,
        draw: Callable[[], float] = random.random,
        observe: Callable[[str, float], None] = lambda *_: None,
    ) -> None:
        self._observe = observe  # called with the outcome and the seconds of each request
        self._store, self._sender, self._keys, self._now, self._draw = store, sender, keys, now, draw
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="webhooks")
        self._queues: dict[str, EndpointQueue] = {}
        self._secrets: dict[str, tuple[str, ...]] = {}
        self._horizon = Horizon()
        self._position: int | None = None  # events up to here were considered for endpoints that keep up
        self._updates: dict[int, DeliveryUpdate] = {}
        self._disablings: list[Disabling] = []
        self._requests: set[asyncio.Task[None]] = set()
        # requests to proven endpoints, and to others
        self._slots = {True: SharedSlots(MAX_PROVEN_REQUESTS), False: SharedSlots(MAX_UNPROVEN_REQUESTS)}
        self._refreshed_at = self._cursors_saved_at = -REFRESH_SECONDS

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to poll for: no endpoints and no results to store."""
        return not self._queues and not self._updates

    async def run_cycle(self) -> None:
        """Plan and start due deliveries, and store results. Raises SQLAlchemyError; call it again then."""
        if monotonic_seconds() - self._refreshed_at >= REFRESH_SECONDS:
            await self._refresh_endpoints()
        await self._plan_new_events()
        await self._plan_missed_events()
        await self._save_results(DispatchChanges(cursors=self._list_cursors()))
        await self._load_missing_events()
        self.start_requests()

    def start_requests(self) -> None:
        """Start as many requests as the limits allow, one per endpoint and round, the tenants in turn."""
        now = self._now()
        queues = take_turns(self._queues.values())
        while queues:
            queues = [queue for queue in queues if self._start_next(queue, now)]

    async def close(self, seconds: float) -> None:
        """Wait for the running requests, cancel those that take longer, and store the results."""
        if self._requests:
            _, unfinished = await asyncio.wait(self._requests, timeout=seconds)
            for request in unfinished:
                request.cancel()
        await self._save_results(DispatchChanges())
        self._thread.shutdown(wait=False)

    def _start_next(self, queue: EndpointQueue, now: datetime) -> bool:
        slots, tenant_id = self._slots[queue.is_proven], queue.endpoint.tenant_id
        if not slots.has_room(tenant_id):
            return False
        delivery = queue.take(now)
        if delivery is None:
            return False
        if delivery.event is None:
            queue.put_back(delivery)
            return False
        slots.take(tenant_id)
        request = asyncio.create_task(self._send_delivery(queue.endpoint, delivery, delivery.event, slots))
        self._requests.add(request)
        request.add_done_callback(self._requests.discard)
        return True

    async def _send_delivery(
        self, endpoint: Endpoint, delivery: Delivery, event: OutgoingEvent, slots: SharedSlots
    ) -> None:
        at = self._now()
        set_correlation(webhook_id=endpoint.id, event_id=event.id)
        try:
            headers = build_headers(endpoint, self._secrets[endpoint.id], event, at)
            headers["traceparent"] = build_traceparent(event.id, f"{endpoint.id} {delivery.attempt}")
            result = await self._sender.send(endpoint.tenant_id, endpoint.url, headers, event.body)
        finally:
            slots.release(endpoint.tenant_id)
        self._record_result(delivery, at, result)
        queue = self._queues.get(endpoint.id)
        now = self._now()
        while queue is not None and self._start_next(queue, now):
            pass

    def _record_result(self, delivery: Delivery, at: datetime, result: AttemptResult) -> None:
        now = self._now()
        delivery.attempt += 1
        delivery.history.append(describe_attempt(delivery.attempt, at, result))
        decision = decide_next_attempt(delivery.attempt, result, now, self._draw())
        if decision.next_attempt_at is not None:
            delivery.next_attempt_at = decision.next_attempt_at
            delivery.event = None  # it is loaded again when it is due
        completed_at = now if decision.next_attempt_at is None else None
        outcome = (result.status, result.latency_ms, result.error)
        self._observe(decision.status.value, result.latency_ms / 1000)
        self._updates[delivery.id] = build_update(delivery, decision.status.value, outcome, completed_at)
        if decision.disable_reason is not None:
            self._disablings.append(
                Disabling(delivery.webhook_id, delivery.tenant_id, decision.disable_reason)
            )
            self._queues.pop(delivery.webhook_id, None)
        queue = self._queues.get(delivery.webhook_id)
        if queue is not None:
            queue.finish(delivery, result, decision.next_attempt_at, now)

    async def _refresh_endpoints(self) -> None:
        """Read the endpoints, and the waiting deliveries of those that changed."""
        await self._save_results(DispatchChanges())
        endpoints = {
            endpoint.id: endpoint
            for endpoint in await self._run_blocking(partial(self._store.list_endpoints, self._now()))
        }
        self._refreshed_at = monotonic_seconds()
        for webhook_id in self._queues.keys() - endpoints.keys():
            del self._queues[webhook_id]
        changed_endpoints = [endpoint for endpoint in endpoints.values() if self._needs_loading(endpoint)]
        for start in range(0, len(changed_endpoints), LOADED_ENDPOINTS):
            batch = changed_endpoints[start : start + LOADED_ENDPOINTS]
            webhook_ids = [endpoint.id for endpoint in batch]
            pending_deliveries = await self._run_blocking(
                self._store.load_pending_deliveries, webhook_ids, MAX_WAITING
            )
            for endpoint in batch:
                self._load_queue(endpoint, pending_deliveries.get(endpoint.id, []))

    def _needs_loading(self, endpoint: Endpoint) -> bool:
        endpoint_queue = self._queues.get(endpoint.id)
        is_changed = endpoint_queue is None or endpoint_queue.endpoint.version != endpoint.version
        return is_changed or (
            endpoint_queue is not None and endpoint_queue.has_more and not endpoint_queue.waiting
        )

    def _load_queue(self, endpoint: Endpoint, deliveries: Sequence[Delivery]) -> None:
        secrets = self._decrypt_secrets(endpoint)
        if secrets is None:
            return
        endpoint_queue, queue = self._queues.get(endpoint.id), EndpointQueue(endpoint)
        queue.has_more = len(deliveries) == MAX_WAITING
        queue.add(delivery for delivery in deliveries if not self._is_complete(delivery))
        if endpoint_queue is not None:
            queue.cursor = max(endpoint_queue.cursor, endpoint.cursor)
            queue.continue_requests(endpoint_queue)
        self._secrets[endpoint.id] = secrets
        self._queues[endpoint.id] = queue

    def _is_complete(self, delivery: Delivery) -> bool:
        """Return whether the delivery ended after it was read, and the result is not stored yet."""
        update = self._updates.get(delivery.id)
        return update is not None and update.status != DeliveryStatus.PENDING.value

    def _decrypt_secrets(self, endpoint: Endpoint) -> tuple[str, ...] | None:
        ciphertexts = filter(None, (endpoint.secret, endpoint.previous_secret))
        context = get_secret_context(endpoint.tenant_id, endpoint.id)
        try:
            return tuple(self._keys.decrypt(ciphertext, context) for ciphertext in ciphertexts)
        except DecryptionFailed:
            _LOG.warning("the secret of a webhook cannot be decrypted", extra={"webhook_id": endpoint.id})
            return None

    async def _plan_new_events(self) -> None:
        """Consider new events for all endpoints that keep up."""
        if not self._queues:
            return
        outbox_state = await self._run_blocking(self._store.read_outbox_state, self._horizon.safe)
        if outbox_state is not None:
            self._horizon = advance_horizon(self._horizon, outbox_state)
        horizon = self._horizon.safe
        if self._position is None:
            if not horizon:
                return  # there are no events, or it is not known yet which are final
            cursors = [queue.cursor for queue in self._queues.values()]
            self._position = choose_position(cursors, horizon)
        tenant_ids = {queue.endpoint.tenant_id for queue in self._queues.values()}
        while self._position < horizon:
            after = self._position
            page = await self._run_blocking(self._store.list_new_events, tenant_ids, after, horizon)
            await self._plan_page(page.events, after, page.position)

    async def _plan_page(self, events: list[tuple[int, StoredEvent]], after: int, position: int) -> None:
        current: dict[int, list[EndpointQueue]] = {}
        for queue in self._queues.values():
            if queue.cursor >= after:
                current.setdefault(queue.endpoint.tenant_id, []).append(queue)
        planned: list[tuple[EndpointQueue, OutgoingEvent]] = []
        cursors = {queue: position for queues in current.values() for queue in queues}
        free_slots: dict[EndpointQueue, int] = {}
        for tenant_id, event in events:
            subscribed = [
                queue
                for queue in current.get(tenant_id, ())
                if queue.cursor < event.number and queue.endpoint.is_subscribed_to(event.type)
            ]
            if not subscribed:
                continue
            prepared = self._store.build_outgoing_event(tenant_id, event)
            for queue in subscribed:
                room = free_slots.setdefault(queue, 0 if queue.has_more else MAX_WAITING - queue.waiting)
                if room > 0:
                    planned.append((queue, prepared))
                    free_slots[queue] = room - 1
                else:
                    current[tenant_id].remove(queue)
                    cursors[queue] = event.number - 1
        await self._commit_plan(planned, cursors)
        self._position = position

    async def _plan_missed_events(self) -> None:
        """Consider the events that endpoints have missed because too many deliveries were waiting."""
        position = self._position
        if position is None:
            return
        behind = [queue for queue in self._queues.values() if queue.cursor < position and queue.has_room]
        for queue in take_turns(behind)[:CATCH_UP_ENDPOINTS]:
            limit = MAX_WAITING - queue.waiting
            endpoint, after = queue.endpoint, queue.cursor
            stored_events = await self._run_blocking(
                self._store.list_missed_events, endpoint, after, position, limit
            )
            planned = [
                (queue, self._store.build_outgoing_event(endpoint.tenant_id, event))
                for event in stored_events
                if endpoint.is_subscribed_to(event.type)
            ]
            await self._commit_plan(
                planned, {queue: stored_events[-1].number if len(stored_events) == limit else position}
            )

    async def _commit_plan(
        self, planned: list[tuple[EndpointQueue, OutgoingEvent]], cursors: dict[EndpointQueue, int]
    ) -> None:
        with_deliveries = {queue for queue, _ in planned}
        changes = DispatchChanges(
            deliveries=[(queue.endpoint, event) for queue, event in planned],
            cursors=[CursorUpdate(cursors[queue], queue.endpoint.id) for queue in with_deliveries],
        )
        new = await self._save_results(changes) if planned else []
        for (queue, _), delivery in zip(planned, new, strict=True):
            queue.add([delivery])
        for queue, cursor in cursors.items():
            queue.cursor = max(queue.cursor, cursor)

    def _list_cursors(self) -> list[CursorUpdate]:
        """Return all cursors every CURSOR_SECONDS, and none in between."""
        if monotonic_seconds() - self._cursors_saved_at < CURSOR_SECONDS:
            return []
        self._cursors_saved_at = monotonic_seconds()
        return [CursorUpdate(queue.cursor, webhook_id) for webhook_id, queue in self._queues.items()]

    async def _save_results(self, changes: DispatchChanges) -> list[Delivery]:
        """Store results together with `changes`. If it fails, the results are stored by the next call."""
        updates, disablings = dict(self._updates), list(self._disablings)
        changes = changes._replace(updates=list(updates.values()), disablings=disablings)
        if not any(changes):
            return []
        now = self._now()
        new = await self._run_blocking(self._store.save_changes, changes, now)
        for delivery_id, update in updates.items():
            if self._updates.get(delivery_id) is update:
                del self._updates[delivery_id]
        del self._disablings[: len(disablings)]
        return new

    async def _load_missing_events(self) -> None:
        """Load the events of due deliveries. Only new deliveries have their event in memory."""
        now = self._now()
        due_deliveries = [
            delivery for queue in self._queues.values() for delivery in queue.list_unloaded(now)
        ]
        if not due_deliveries:
            return
        events = await self._run_blocking(self._store.load_events, due_deliveries)
        for delivery in due_deliveries:
            delivery.event = events.get((delivery.tenant_id, delivery.event_number))
            if delivery.event is None:
                self._abandon_delivery(delivery)

    def _abandon_delivery(self, delivery: Delivery) -> None:
        now = self._now()
        outcome = (None, 0, "The event does not exist any more.")
        self._updates[delivery.id] = build_update(delivery, DeliveryStatus.FAILED.value, outcome, now)
        self._queues[delivery.webhook_id].remove(delivery)

    async def _run_blocking(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function of the store in the thread of the database."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(work, *args, **kwargs))
