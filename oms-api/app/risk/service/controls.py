"""Limits and kill switches as this process knows them: never older than MOST_AGE_SECONDS when they decide."""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from app.clock import iso, monotonic_seconds
from app.risk.queries.limits import limits_of_tenants
from app.risk.queries.switches import switches_of
from app.risk.rules.limits import (
    Place,
    Rows,
    Subject,
    limits_for,
    narrowed,
    places_in,
    rows_of,
    standing,
)
from app.risk.rules.switches import ALL_ACTIVE, Switches, SwitchScope
from app.risk.rules.values import Limits, TradingState

MOST_AGE_SECONDS = 0.4  # a change acts within 1 s in every process: this, and a slow statement
_MOST_TENANTS = 10_000
_MOST_SUBJECTS = 10_000


@dataclass(slots=True)
class _Known:
    """What is known of a tenant since an instant of the monotonic clock."""

    since: float
    rows: Rows
    switches: Switches
    places: frozenset[Place]  # where there are limits
    resolved: dict[Subject, Limits]


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
        limits, switches = limits_of_tenants(connection, stale), switches_of(connection, stale)
        if len(self._known) + len(stale) > _MOST_TENANTS:
            self._known.clear()
        for tenant_id in stale:
            rows = rows_of(standing(limits[tenant_id], iso(now)))
            before = self._known.get(tenant_id)
            resolved = before.resolved if before is not None and before.rows == rows else {}
            self._known[tenant_id] = _Known(moment, rows, switches[tenant_id], places_in(rows), resolved)

    def limits(self, tenant_id: int, subject: Subject) -> Limits:
        """Return the limits of an order."""
        known = self._known[tenant_id]
        subject = narrowed(subject, known.places)
        found = known.resolved.get(subject)
        if found is None:
            if len(known.resolved) >= _MOST_SUBJECTS:
                known.resolved.clear()
            found = known.resolved[subject] = limits_for(subject, known.rows)
        return found

    def state(
        self, tenant_id: int, portfolio_key: str, strategy: str | None = None
    ) -> tuple[TradingState, SwitchScope]:
        """Return what the kill switches say as of the last refresh, and whose says so.

        For orders, which reach a broker, read `queries.switches.switches_of` under the portfolios' locks
        instead.
        """
        known = self._known.get(tenant_id)
        return (known.switches if known else ALL_ACTIVE).state(portfolio_key, strategy)

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
