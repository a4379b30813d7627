"""Lists the risk limits that a caller may see, in pages."""

from typing import NamedTuple

from sqlalchemy import Connection

from app.identity.rules.access import Caller
from app.risk.queries.limits import list_limits
from app.risk.rules.limits import LimitScope, RiskLimit, filter_active_limits
from app.timestamps import Timestamp


class ListedLimit(NamedTuple):
    """A limit, and whether it applies now."""

    limit: RiskLimit
    is_active: bool


class LimitPage(NamedTuple):
    """A page of limits. `next_key` is the sort key of its last limit if more follow, otherwise None."""

    limits: list[ListedLimit]
    next_key: str | None


def list_visible_limits(
    connection: Connection, caller: Caller, after: str, size: int, now: Timestamp
) -> LimitPage:
    """Return the limits that the caller may see after the sort key `after`, by scope, name and code."""
    limits = list_limits(connection, caller.tenant_id)
    active_limits = set(filter_active_limits(limits, now))  # of all limits, visible or not
    remaining = sorted(
        (limit for limit in limits if _is_visible(caller, limit) and _build_sort_key(limit) > after),
        key=_build_sort_key,
    )
    page = [ListedLimit(limit, limit in active_limits) for limit in remaining[:size]]
    return LimitPage(page, _build_sort_key(page[-1].limit) if len(remaining) > size else None)


def _is_visible(caller: Caller, limit: RiskLimit) -> bool:
    """Return whether the caller may see a limit.

    A caller with restricted portfolios sees no other users' limits.
    """
    if limit.scope is LimitScope.PORTFOLIO:
        return caller.can_see(limit.key)
    return limit.scope is not LimitScope.USER or caller.portfolios is None or limit.key == caller.actor


def _build_sort_key(limit: RiskLimit) -> str:
    return "\n".join((limit.scope, limit.key, limit.code, str(int(limit.until is not None))))
