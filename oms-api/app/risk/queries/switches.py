"""Statements about kill switches."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, Select, Table, case, func, select

from app.clock import iso
from app.database import build_insert, build_update, build_upsert, find_matching_rows
from app.database.bulk import Write
from app.database.locks import set_short_lock_timeout
from app.identity.models import Tenant
from app.ledger.models import Portfolio
from app.risk.models import KillSwitchChangeRow, KillSwitchRow
from app.risk.rules.switches import ALL_ACTIVE, Switches, SwitchScope
from app.risk.rules.values import TradingState

SWITCHES = cast("Table", KillSwitchRow.__table__)
CHANGES = cast("Table", KillSwitchChangeRow.__table__)
PORTFOLIOS = cast("Table", Portfolio.__table__)
_KEY = ("tenant_id", "scope", "name_key")
_SAID = ("name", "state", "reason", "set_by", "set_at")


class SwitchChange(NamedTuple):
    """A turn of a kill switch; `key` is the key of `name`, both empty for the tenant's own."""

    scope: SwitchScope
    key: str
    name: str
    state: TradingState
    reason: str | None
    set_by: str
    set_at: str
    idempotency_key: str | None = None
    request_hash: str | None = None


def switches_of_tenant(tenant_id: int) -> Select[Any]:
    """Return the tenant's kill switches, for other queries to build on."""
    columns = ("scope", "name_key", *_SAID)
    return select(*(getattr(KillSwitchRow, name) for name in columns)).where(
        KillSwitchRow.tenant_id == tenant_id
    )


def list_switches(connection: Connection, tenant_id: int) -> list[SwitchChange]:
    """Return every switch that was ever turned, the tenant's own first, then by name."""
    order = ((KillSwitchRow.scope == "tenant").desc(), KillSwitchRow.scope, KillSwitchRow.name_key)
    return [_change(row) for row in connection.execute(switches_of_tenant(tenant_id).order_by(*order))]


def switches_of(connection: Connection, tenant_ids: Iterable[int]) -> dict[int, Switches]:
    """Return what is not ACTIVE, by tenant: one statement. Read under the portfolios' locks it is exact, for
    who turns a switch answers only after taking the same locks.
    """
    wanted = sorted(set(tenant_ids))
    states: dict[int, dict[tuple[SwitchScope, str], TradingState]] = {}
    columns = ("tenant_id", "scope", "name_key", "state")
    keys = [(tenant_id,) for tenant_id in wanted]
    for tenant_id, scope, key, state in find_matching_rows(
        connection, SWITCHES, columns, ("tenant_id",), keys
    ):
        if state != TradingState.ACTIVE:
            states.setdefault(tenant_id, {})[SwitchScope(scope), key] = TradingState(state)
    return {one: Switches(states[one]) if one in states else ALL_ACTIVE for one in wanted}


def opening_state(connection: Connection, tenant_id: int, name_key: str) -> str:
    """Return the trading state of a portfolio that is about to be made.

    A share of the tenant's row comes first: who turns a switch waits for it, and sees the new portfolio.
    """
    tenant = select(Tenant.id).where(Tenant.id == tenant_id)
    connection.execute(tenant.with_for_update(read=True, key_share=True))
    return switches_of(connection, [tenant_id])[tenant_id].state(name_key)[0].value


def turned_switch(tenant_id: int, change: SwitchChange) -> list[Write]:
    """Turn a switch, and record that it was turned."""
    row = (tenant_id, *change[:7])
    names = _KEY + _SAID
    binding = (change.idempotency_key, change.request_hash)
    return [
        build_upsert(SWITCHES, names, _KEY, [row]),
        build_insert(CHANGES, (*names, "idempotency_key", "request_hash"), [(*row, *binding)]),
    ]


def change_by_key(connection: Connection, tenant_id: int, idempotency_key: str) -> SwitchChange | None:
    """Return the turn that was recorded under the idempotency key."""
    columns = (getattr(KillSwitchChangeRow, name) for name in SwitchChange._fields if name != "key")
    statement = select(KillSwitchChangeRow.name_key, *columns).where(
        KillSwitchChangeRow.tenant_id == tenant_id, KillSwitchChangeRow.idempotency_key == idempotency_key
    )
    row = connection.execute(statement).one_or_none()
    return _change((row[1], row[0], *row[2:])) if row else None


def stands(connection: Connection, tenant_id: int, change: SwitchChange) -> bool:
    """Tell whether a turn is the newest of its switch."""
    statement = select(SWITCHES.c.state).where(
        SWITCHES.c.tenant_id == tenant_id,
        SWITCHES.c.scope == change.scope,
        SWITCHES.c.name_key == change.key,
        SWITCHES.c.set_at == datetime.fromisoformat(change.set_at),
    )
    return connection.execute(statement).scalar_one_or_none() == change.state


def has_room(connection: Connection, tenant_id: int, change: SwitchChange, most: int) -> bool:
    """Tell whether the switch was turned before, or fewer than `most` were."""
    is_it = (SWITCHES.c.scope == change.scope) & (SWITCHES.c.name_key == change.key)
    counts = (func.count(), func.coalesce(func.sum(case((is_it, 1), else_=0)), 0))
    switches, known = connection.execute(select(*counts).where(SWITCHES.c.tenant_id == tenant_id)).one()
    return bool(known) or int(switches) < most


def lock_portfolios_of(
    connection: Connection, tenant_id: int, only: int | None = None, *, skips_locked: bool = False
) -> list[tuple[int, str, str]]:
    """Return id, name key and trading state of the tenant's portfolios, or of one, locked in the order of
    their ids; nobody waits for a lock that is held for long. Those that are locked may be skipped instead.

    After it, no transaction that began before is still under way with them. The tenant's own row comes first:
    who makes a portfolio holds a share of it by the foreign key, so this waits for those too.
    """
    set_short_lock_timeout(connection)
    if only is None and not skips_locked:
        connection.execute(select(Tenant.id).where(Tenant.id == tenant_id).with_for_update())
    columns = (Portfolio.id, Portfolio.name_key, Portfolio.trading_state)
    statement = select(*columns).where(Portfolio.tenant_id == tenant_id)
    if only is not None:
        statement = statement.where(Portfolio.id == only)
    locked = connection.execute(statement.order_by(Portfolio.id).with_for_update(skip_locked=skips_locked))
    return [(row[0], row[1], row[2]) for row in locked]


def portfolios_of(connection: Connection, tenant_id: int) -> list[tuple[int, str]]:
    """Return id and name of the tenant's portfolios."""
    statement = select(Portfolio.id, Portfolio.name).where(Portfolio.tenant_id == tenant_id)
    return [(row[0], row[1]) for row in connection.execute(statement.order_by(Portfolio.id))]


def trading_states(
    tenant_id: int, portfolios: Sequence[tuple[int, str, str]], switches: Switches
) -> list[Write]:
    """Write what the switches say of the tenant's portfolios (id, name key, state so far): what a report of a
    trade obeys.
    """
    changed = []
    for portfolio_id, name_key, before in portfolios:
        state, _ = switches.state(name_key)
        if state != before:
            changed.append((state.value, tenant_id, portfolio_id))
    return [build_update(PORTFOLIOS, ("trading_state",), ("tenant_id", "id"), changed)] if changed else []


def _change(row: Sequence[Any]) -> SwitchChange:
    scope, key, name, state, reason, set_by, set_at, *binding = row
    at = iso(set_at) if isinstance(set_at, datetime) else set_at
    return SwitchChange(SwitchScope(scope), key, name, TradingState(state), reason, set_by, at, *binding)
