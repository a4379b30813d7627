"""Read and write kill switches."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, Select, Table, case, func, select

from app.column_values import convert_instant
from app.database import build_insert, build_update, build_upsert, load_matching_rows
from app.database.bulk import BulkWrite
from app.database.locks import set_short_lock_timeout
from app.identity.models import Tenant
from app.ledger.models import Portfolio
from app.risk.models import KillSwitchChangeRow, KillSwitchRow
from app.risk.rules.switches import ALL_ACTIVE, Switches, SwitchScope
from app.risk.rules.values import TradingState
from app.timestamps import Timestamp

SWITCHES = cast("Table", KillSwitchRow.__table__)
CHANGES = cast("Table", KillSwitchChangeRow.__table__)
PORTFOLIOS = cast("Table", Portfolio.__table__)
_KEY = ("tenant_id", "scope", "name_key")
_STATE_COLUMNS = ("name", "state", "reason", "set_by", "set_at")


class HaltedSwitch(NamedTuple):
    """A kill switch that was set to HALTED at an instant."""

    scope: str
    name_key: str
    set_at: datetime


class PortfolioIdentity(NamedTuple):
    """The id and the name of a portfolio."""

    id: int
    name: str


class PortfolioTradingState(NamedTuple):
    """A portfolio with its current trading state."""

    id: int
    name_key: str
    trading_state: str


class SwitchChange(NamedTuple):
    """A change of a kill switch. `key` is the key of `name`; both are empty for the tenant's own."""

    scope: SwitchScope
    key: str
    name: str
    state: TradingState
    reason: str | None
    set_by: str
    set_at: Timestamp
    idempotency_key: str | None = None
    request_hash: str | None = None


def select_switches(tenant_id: int) -> Select[Any]:
    """Return the query of the tenant's kill switches, for other queries to extend."""
    columns = ("scope", "name_key", *_STATE_COLUMNS)
    return select(*(getattr(KillSwitchRow, name) for name in columns)).where(
        KillSwitchRow.tenant_id == tenant_id
    )


def list_switches(connection: Connection, tenant_id: int) -> list[SwitchChange]:
    """Return every kill switch that was ever set, the tenant's own first, then by name."""
    order = ((KillSwitchRow.scope == "tenant").desc(), KillSwitchRow.scope, KillSwitchRow.name_key)
    return [_parse_change(row) for row in connection.execute(select_switches(tenant_id).order_by(*order))]


def find_switch(connection: Connection, tenant_id: int, change: SwitchChange) -> SwitchChange | None:
    """Return the switch that a change is about, None if it was never set."""
    is_match = (KillSwitchRow.scope == change.scope, KillSwitchRow.name_key == change.key)
    row = connection.execute(select_switches(tenant_id).where(*is_match)).one_or_none()
    return _parse_change(row) if row else None


def load_switches(connection: Connection, tenant_ids: Iterable[int]) -> dict[int, Switches]:
    """Return the switches that are not ACTIVE, by tenant, by one statement.

    Under the portfolios' locks the result is exact, because a request that sets a switch takes the same locks
    before it responds.
    """
    tenant_keys = sorted(set(tenant_ids))
    states: dict[int, dict[tuple[SwitchScope, str], TradingState]] = {}
    columns = ("tenant_id", "scope", "name_key", "state")
    keys = [(tenant_id,) for tenant_id in tenant_keys]
    for tenant_id, scope, key, state in load_matching_rows(
        connection, SWITCHES, columns, ("tenant_id",), keys
    ):
        if state != TradingState.ACTIVE:
            states.setdefault(tenant_id, {})[SwitchScope(scope), key] = TradingState(state)
    return {
        tenant_key: Switches(states[tenant_key]) if tenant_key in states else ALL_ACTIVE
        for tenant_key in tenant_keys
    }


def load_halts(connection: Connection, until: datetime) -> dict[int, set[HaltedSwitch]]:
    """Return by tenant the kill switches that were set to HALTED at `until` or before.

    They are of every tenant that `connection` sees.
    """
    columns = ("tenant_id", "scope", "name_key", "set_at")
    statement = select(*(SWITCHES.c[name] for name in columns)).where(
        SWITCHES.c.state == TradingState.HALTED, SWITCHES.c.set_at <= until
    )
    halts: dict[int, set[HaltedSwitch]] = {}
    for tenant_id, *key in connection.execute(statement):
        halts.setdefault(tenant_id, set()).add(HaltedSwitch._make(key))
    return halts


def load_opening_state(connection: Connection, tenant_id: int, name_key: str) -> str:
    """Return the trading state of a portfolio that is about to be created.

    The shared lock of the tenant's row comes first: a request that sets a switch waits for it, and then sees
    the new portfolio.
    """
    tenant = select(Tenant.id).where(Tenant.id == tenant_id)
    connection.execute(tenant.with_for_update(read=True, key_share=True))
    return load_switches(connection, [tenant_id])[tenant_id].get_state(name_key).state.value


def store_switch(tenant_id: int, change: SwitchChange) -> list[BulkWrite]:
    """Return the statements that set a switch and record the change."""
    row = (tenant_id, *change[:7])
    names = _KEY + _STATE_COLUMNS
    binding = (change.idempotency_key, change.request_hash)
    return [
        build_upsert(SWITCHES, names, _KEY, [row]),
        build_insert(CHANGES, (*names, "idempotency_key", "request_hash"), [(*row, *binding)]),
    ]


def find_change_by_key(connection: Connection, tenant_id: int, idempotency_key: str) -> SwitchChange | None:
    """Return the change that was recorded under the idempotency key, None if there is none."""
    names = ("name_key" if name == "key" else name for name in SwitchChange._fields)
    statement = select(*(getattr(KillSwitchChangeRow, name) for name in names)).where(
        KillSwitchChangeRow.tenant_id == tenant_id, KillSwitchChangeRow.idempotency_key == idempotency_key
    )
    row = connection.execute(statement).one_or_none()
    return _parse_change(row) if row else None


def is_latest_change(connection: Connection, tenant_id: int, change: SwitchChange) -> bool:
    """Return whether the change is the newest of its switch."""
    statement = select(SWITCHES.c.state).where(
        SWITCHES.c.tenant_id == tenant_id,
        SWITCHES.c.scope == change.scope,
        SWITCHES.c.name_key == change.key,
        SWITCHES.c.set_at == datetime.fromisoformat(change.set_at),
    )
    return connection.execute(statement).scalar_one_or_none() == change.state


def has_room_for_switch(
    connection: Connection, tenant_id: int, change: SwitchChange, max_switches: int
) -> bool:
    """Return whether the switch exists, or fewer than `max_switches` do."""
    is_match = (SWITCHES.c.scope == change.scope) & (SWITCHES.c.name_key == change.key)
    counts = (func.count(), func.coalesce(func.sum(case((is_match, 1), else_=0)), 0))
    switches, is_set = connection.execute(select(*counts).where(SWITCHES.c.tenant_id == tenant_id)).one()
    return bool(is_set) or int(switches) < max_switches


def lock_portfolios(
    connection: Connection, tenant_id: int, only: int | None = None, *, skips_locked: bool = False
) -> list[PortfolioTradingState]:
    """Return id, name key and trading state of the tenant's portfolios, or of one, locked.

    They are locked in the order of ids. The statement waits only briefly for locks; with `skips_locked` it
    skips locked portfolios. Afterwards no transaction that began before is still using these portfolios. The
    tenant's own row is locked first: a transaction that creates a portfolio holds a shared lock of it through
    the foreign key, so that this waits for it too.
    """
    set_short_lock_timeout(connection)
    if only is None and not skips_locked:
        connection.execute(select(Tenant.id).where(Tenant.id == tenant_id).with_for_update())
    columns = (Portfolio.id, Portfolio.name_key, Portfolio.trading_state)
    statement = select(*columns).where(Portfolio.tenant_id == tenant_id)
    if only is not None:
        statement = statement.where(Portfolio.id == only)
    locked = connection.execute(statement.order_by(Portfolio.id).with_for_update(skip_locked=skips_locked))
    return [PortfolioTradingState._make(row) for row in locked]


def list_portfolio_names(connection: Connection, tenant_id: int) -> list[PortfolioIdentity]:
    """Return the ids and names of the tenant's portfolios."""
    statement = select(Portfolio.id, Portfolio.name).where(Portfolio.tenant_id == tenant_id)
    return [PortfolioIdentity._make(row) for row in connection.execute(statement.order_by(Portfolio.id))]


def update_trading_states(
    tenant_id: int, portfolios: Sequence[PortfolioTradingState], switches: Switches
) -> list[BulkWrite]:
    """Return the statement that writes the switches' states to portfolios.

    Reported trades obey the state of the portfolio.
    """
    changed = []
    for portfolio in portfolios:
        state = switches.get_state(portfolio.name_key).state
        if state != portfolio.trading_state:
            changed.append((state.value, tenant_id, portfolio.id))
    return [build_update(PORTFOLIOS, ("trading_state",), ("tenant_id", "id"), changed)] if changed else []


def _parse_change(row: Sequence[Any]) -> SwitchChange:
    scope, key, name, state, reason, set_by, set_at, *binding = row
    at = convert_instant(set_at)
    return SwitchChange(SwitchScope(scope), key, name, TradingState(state), reason, set_by, at, *binding)
