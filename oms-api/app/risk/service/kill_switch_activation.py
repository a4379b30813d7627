"""Set kill switches in a transaction, and apply them to portfolios under their locks."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection

from app.database import execute_writes
from app.database.bulk import BulkWrite
from app.events.service.outbox import build_event_insert
from app.identity.queries.people import find_key_creator, list_person_names
from app.identity.rules.access import Caller
from app.risk.errors import OwnStop, SwitchKeyReused, TooManyControls
from app.risk.queries import switches as queries
from app.risk.queries.switches import SwitchChange
from app.risk.rules.switches import SwitchScope
from app.risk.rules.values import TradingState

UNCONFIRMED = "cancellation.unconfirmed"
MAX_SWITCHES = 5_000  # of a tenant
_EVENTS = {
    TradingState.ACTIVE: "kill_switch.activated",
    TradingState.REDUCING: "kill_switch.reducing",
    TradingState.HALTED: "kill_switch.halted",
}


class AppliedChange(NamedTuple):
    """A change of a kill switch.

    `is_replay` marks an earlier change under the same idempotency key. `is_latest` is whether it is the
    newest of its switch.
    """

    change: SwitchChange
    is_replay: bool = False
    is_latest: bool = True


def set_state(
    connection: Connection, tenant_id: int, change: SwitchChange, caller: Caller | None = None
) -> AppliedChange:
    """Set a switch and publish an event. From the commit on, every batch that takes its locks obeys it.

    Without a caller, a program sets it. Raises SwitchKeyReused, OwnStop, and TooManyControls except for the
    tenant's own switch or an existing switch.
    """
    if change.idempotency_key:
        bound = queries.find_change_by_key(connection, tenant_id, change.idempotency_key)
        if bound is not None:
            if bound.request_hash != change.request_hash:
                raise SwitchKeyReused(change.idempotency_key)
            return AppliedChange(
                bound, is_replay=True, is_latest=queries.is_latest_change(connection, tenant_id, bound)
            )
    if caller is not None and change.state is TradingState.ACTIVE:
        _require_other_person(connection, caller, change)
    if change.scope is not SwitchScope.TENANT:
        _require_room(connection, tenant_id, change)
    execute_writes(connection, *build_switch_writes(tenant_id, change))
    return AppliedChange(change)


def build_switch_writes(tenant_id: int, change: SwitchChange) -> list[BulkWrite]:
    """Return the statements that set a switch and publish its event."""
    payload = orjson.dumps(_build_payload(change)).decode()
    event = build_event_insert([(tenant_id, _EVENTS[change.state], payload, change.set_at)])
    return [*queries.build_switch_upserts(tenant_id, change), event]


def _require_other_person(connection: Connection, caller: Caller, change: SwitchChange) -> None:
    """Raise OwnStop if the person who stopped trading resumes it, directly or by a key of that person.

    If a key or the service has stopped trading, every person with the permission may resume it.
    """
    current = queries.find_switch(connection, caller.tenant_id, change)
    if current is None or current.state is TradingState.ACTIVE:
        return
    person = caller.person or find_key_creator(connection, caller.tenant_id, caller.name)
    if person is not None and current.set_by in list_person_names(connection, caller.tenant_id, person):
        raise OwnStop(current.state)


def _require_room(connection: Connection, tenant_id: int, change: SwitchChange) -> None:
    if not queries.has_room_for_switch(connection, tenant_id, change, MAX_SWITCHES):
        raise TooManyControls(f"A tenant has at most {MAX_SWITCHES:,} kill switches; change an existing one.")


def apply_states(
    connection: Connection, tenant_id: int, only: int | None = None, *, skips_locked: bool = False
) -> set[int]:
    """Write the switches' states to the tenant's portfolios and return their ids.

    They are written to all portfolios, to one, or to the portfolios that are not locked. Taking their locks
    in order waits for every batch that began before the change. After the commit none of these is in progress
    in any process.
    """
    portfolios = queries.lock_portfolios(connection, tenant_id, only, skips_locked=skips_locked)
    switches = queries.load_switches(connection, [tenant_id])[tenant_id]
    execute_writes(connection, *queries.build_trading_state_updates(tenant_id, portfolios, switches))
    return {portfolio.id for portfolio in portfolios}


def build_unconfirmed_event(
    tenant_id: int, change: SwitchChange, orders: Sequence[Mapping[str, str]]
) -> BulkWrite:
    """Return the insert of the event that names the orders that their brokers have not canceled yet."""
    payload = orjson.dumps(_build_payload(change) | {"orders": orders}).decode()
    return build_event_insert([(tenant_id, UNCONFIRMED, payload, change.set_at)])


def _build_payload(change: SwitchChange) -> dict[str, Any]:
    return {
        "scope": change.scope,
        "name": change.name or None,
        "state": change.state,
        "reason": change.reason,
        "set_by": change.set_by,
    }
