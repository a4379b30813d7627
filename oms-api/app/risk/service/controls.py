"""Cache limits and latches in the process. They are never older than MAX_AGE_SECONDS in a decision."""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection

from app.clock import monotonic_seconds
from app.risk.queries.latches import ActiveLatches, list_active_latches
from app.risk.queries.limits import load_limits
from app.risk.rules.latches import Latch, LatchSubject
from app.risk.rules.limits import (
    LimitCode,
    LimitSubject,
    ScopedLimitValues,
    ScopeKey,
    filter_active_limits,
    index_limits,
    list_limited_scopes,
    remove_unlimited_names,
    resolve_limits,
)
from app.risk.rules.permissions import PermissionLists, index_permission_lists, resolve_permission
from app.risk.rules.values import OrderLimits
from app.timestamps import format_timestamp

MAX_AGE_SECONDS = 0.4  # a change takes effect within 1 s in every process, including a slow statement
_MAX_TENANTS = 10_000
_BATCH_SECONDS = 30.0  # maximum time of a batch, which may read the same tenant again
_MAX_SUBJECTS = 10_000


@dataclass(slots=True)
class _TenantControls:
    """The cached controls of a tenant. `since` is a monotonic time, -inf if they must be read again."""

    since: float
    read_at: float
    rows: ScopedLimitValues
    lists: PermissionLists
    latches: ActiveLatches
    limited_scopes: frozenset[ScopeKey]  # scopes with limits
    resolved: dict[LimitSubject, OrderLimits]
    largest: dict[LimitCode, Decimal] = field(init=False)  # the largest value of each code

    def __post_init__(self) -> None:
        self.largest = {}
        for (code, _, _), value in self.rows.items():
            self.largest[code] = max(value, self.largest.get(code, value))


class Controls:
    """Cached limits and latches. One instance serves a process.

    `refresh` is called first in a batch. The other methods then read only memory.
    """

    def __init__(self, clock: Callable[[], float] = monotonic_seconds) -> None:
        self._clock = clock
        self._cache: dict[int, _TenantControls] = {}

    def refresh(self, connection: Connection, tenant_ids: Collection[int], now: datetime) -> None:
        """Read the controls of tenants whose cache is older than MAX_AGE_SECONDS or empty."""
        moment = self._clock()
        stale = [tenant_id for tenant_id in tenant_ids if not self._is_fresh(tenant_id, moment)]
        if not stale:
            return
        limits, latches = load_limits(connection, stale), list_active_latches(connection, stale)
        self._make_room(len(stale), moment)
        for tenant_id in stale:
            active_limits = filter_active_limits(limits[tenant_id], format_timestamp(now))
            rows, lists = index_limits(active_limits), index_permission_lists(active_limits)
            before = self._cache.pop(tenant_id, None)
            is_same = before is not None and (before.rows, before.lists) == (rows, lists)
            resolved = before.resolved if before is not None and is_same else {}
            controls = _TenantControls(
                since=moment,
                read_at=moment,
                rows=rows,
                lists=lists,
                latches=latches[tenant_id],
                limited_scopes=list_limited_scopes(rows),
                resolved=resolved,
            )
            self._cache[tenant_id] = controls  # inserted last: the first read is removed first

    def _make_room(self, count: int, moment: float) -> None:
        """Remove cached tenants if there are too many, except those that a batch in progress may use."""
        while self._cache and len(self._cache) + count > _MAX_TENANTS:
            tenant_id = next(iter(self._cache))
            if moment - self._cache[tenant_id].read_at < _BATCH_SECONDS:
                return
            del self._cache[tenant_id]

    def refresh_latches(self, connection: Connection, tenant_ids: Collection[int]) -> None:
        """Read the latches again of tenants that count executions.

        The latches of other tenants are as old as the limits.
        """
        counting_tenants = [tenant_id for tenant_id in tenant_ids if self.has_execution_limit(tenant_id)]
        if counting_tenants:
            for tenant_id, latches in list_active_latches(connection, counting_tenants).items():
                self._cache[tenant_id].latches = latches

    def get_limits(self, tenant_id: int, subject: LimitSubject) -> OrderLimits:
        """Return the limits of an order."""
        controls = self._cache[tenant_id]
        subject = remove_unlimited_names(subject, controls.limited_scopes)
        limits = controls.resolved.get(subject)
        if limits is None:
            if len(controls.resolved) >= _MAX_SUBJECTS:
                controls.resolved.clear()
            limits = resolve_limits(subject, controls.rows)
            limits = limits._replace(permission=resolve_permission(subject, controls.lists))
            controls.resolved[subject] = limits
        return limits

    def get_firm_limits(self, tenant_id: int) -> OrderLimits:
        """Return the limits of the tenant: those of the sum of its portfolios are the same for all orders."""
        return self.get_limits(tenant_id, LimitSubject(portfolio_name_key="", symbol=""))

    def has_lists(self, tenant_id: int) -> bool:
        """Return whether the tenant has any list that restricts trading."""
        return bool(self._cache[tenant_id].lists)

    def has_execution_limit(self, tenant_id: int) -> bool:
        """Return whether the tenant limits repeated executions."""
        return LimitCode.REPEATED_EXECUTIONS in self._cache[tenant_id].largest

    def has_loss_limit(self, tenant_id: int) -> bool:
        """Return whether the tenant limits the losses of any portfolio."""
        largest = self._cache[tenant_id].largest
        return LimitCode.MAX_DAILY_LOSS in largest or LimitCode.MAX_DRAWDOWN in largest

    def get_max_repeat_seconds(self, tenant_id: int) -> Decimal:
        """Return the longest time in seconds within which any order of the tenant counts as a repetition."""
        default = self.get_firm_limits(tenant_id).repeat_order_seconds
        return max(default, self._cache[tenant_id].largest.get(LimitCode.REPEAT_ORDER_SECONDS, default))

    def has_latches(self, tenant_id: int) -> bool:
        """Return whether the tenant has any active latch."""
        return bool(self._cache[tenant_id].latches)

    def find_latch(self, tenant_id: int, subject: LatchSubject) -> Latch | None:
        """Return the active latch of the subject, None if there is none."""
        return self._cache[tenant_id].latches.get(subject)

    def invalidate(self, tenant_id: int) -> None:
        """Read the tenant's controls again next time, because this process changed them.

        A batch in progress in the writer's thread continues with the values that it has read.
        """
        controls = self._cache.get(tenant_id)
        if controls is not None:
            controls.since = -math.inf

    def _is_fresh(self, tenant_id: int, moment: float) -> bool:
        controls = self._cache.get(tenant_id)
        return controls is not None and moment - controls.since < MAX_AGE_SECONDS
