"""Limits and latches as this process knows them: never older than MOST_AGE_SECONDS when they decide."""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from app.clock import iso, monotonic_seconds
from app.risk.queries.latches import Standing, standing_latches
from app.risk.queries.limits import limits_of_tenants
from app.risk.rules.latches import Holder, Latch
from app.risk.rules.limits import (
    LimitCode,
    Place,
    Rows,
    Subject,
    limits_for,
    narrowed,
    places_in,
    rows_of,
    standing,
)
from app.risk.rules.permissions import Lists, lists_of, permission_for
from app.risk.rules.values import Limits

MOST_AGE_SECONDS = 0.4  # a change acts within 1 s in every process: this, and a slow statement
_MOST_TENANTS = 10_000
_BATCH_SECONDS = 30.0  # no batch takes longer: what was read within them may be asked for again
_MOST_SUBJECTS = 10_000


@dataclass(slots=True)
class _Known:
    """What is known of a tenant since an instant of the monotonic clock, -inf where it must be read again."""

    since: float
    read_at: float
    rows: Rows
    lists: Lists
    latches: Standing
    places: frozenset[Place]  # where there are limits
    resolved: dict[Subject, Limits]
    watches: bool = field(init=False)  # whether executions are counted anywhere

    def __post_init__(self) -> None:
        self.watches = any(code is LimitCode.REPEATED_EXECUTIONS for code, _, _ in self.rows)


class Controls:
    """One for each process. `refresh` comes first; the others answer from memory."""

    def __init__(self, clock: Callable[[], float] = monotonic_seconds) -> None:
        self._clock = clock
        self._known: dict[int, _Known] = {}

    def refresh(self, connection: Connection, tenant_ids: Collection[int], now: datetime) -> None:
        """Read again what is known of these tenants for longer than MOST_AGE_SECONDS, or not at all."""
        moment = self._clock()
        stale = [one for one in tenant_ids if not self._is_fresh(one, moment)]
        if not stale:
            return
        limits, latches = limits_of_tenants(connection, stale), standing_latches(connection, stale)
        self._make_room(len(stale), moment)
        for tenant_id in stale:
            hold = standing(limits[tenant_id], iso(now))
            rows, lists = rows_of(hold), lists_of(hold)
            before = self._known.pop(tenant_id, None)
            is_same = before is not None and (before.rows, before.lists) == (rows, lists)
            resolved = before.resolved if before is not None and is_same else {}
            known = _Known(moment, moment, rows, lists, latches[tenant_id], places_in(rows), resolved)
            self._known[tenant_id] = known  # at the end: the one that was read first is the first to go

    def _make_room(self, count: int, moment: float) -> None:
        """Drop tenants that no batch under way can have read, where there are too many."""
        while self._known and len(self._known) + count > _MOST_TENANTS:
            tenant_id = next(iter(self._known))
            if moment - self._known[tenant_id].read_at < _BATCH_SECONDS:
                return
            del self._known[tenant_id]

    def refresh_latches(self, connection: Connection, tenant_ids: Collection[int]) -> None:
        """Read the latches of those tenants again whose executions are counted; of others they are as old as
        their limits.
        """
        counted = [tenant_id for tenant_id in tenant_ids if self.watches(tenant_id)]
        if counted:
            for tenant_id, latches in standing_latches(connection, counted).items():
                self._known[tenant_id].latches = latches

    def limits(self, tenant_id: int, subject: Subject) -> Limits:
        """Return the limits of an order."""
        known = self._known[tenant_id]
        subject = narrowed(subject, known.places)
        found = known.resolved.get(subject)
        if found is None:
            if len(known.resolved) >= _MOST_SUBJECTS:
                known.resolved.clear()
            found = limits_for(subject, known.rows)
            found = found._replace(permission=permission_for(subject, known.lists))
            known.resolved[subject] = found
        return found

    def has_lists(self, tenant_id: int) -> bool:
        """Tell whether it is set anywhere what may be traded."""
        return bool(self._known[tenant_id].lists)

    def watches(self, tenant_id: int) -> bool:
        """Tell whether the tenant's executions are counted anywhere."""
        return self._known[tenant_id].watches

    def has_latches(self, tenant_id: int) -> bool:
        """Tell whether any latch of the tenant stands."""
        return bool(self._known[tenant_id].latches)

    def latch(self, tenant_id: int, holder: Holder) -> Latch | None:
        """Return the latch that stands against the holder."""
        return self._known[tenant_id].latches.get(holder)

    def forget(self, tenant_id: int) -> None:
        """Read the tenant's anew next time: something was changed by this process. A batch that is under way
        in the writer's thread goes on with what it has read.
        """
        known = self._known.get(tenant_id)
        if known is not None:
            known.since = -math.inf

    def _is_fresh(self, tenant_id: int, moment: float) -> bool:
        known = self._known.get(tenant_id)
        return known is not None and moment - known.since < MOST_AGE_SECONDS
