"""Read all limits, kill switches and latches with their events and changes, for the verification."""

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import orjson
from sqlalchemy import Connection, Table, select

from app.audit.queries.entries import list_actions
from app.column_values import convert_instant
from app.events.models import Event
from app.events.queries import iterate_events
from app.ledger.models import Portfolio
from app.risk.models import KillSwitchChangeRow, KillSwitchRow, LatchRow, LimitRow
from app.risk.rules.verification import RENAMED, RiskEvent
from app.timestamps import Timestamp

_EVENTS = cast("Table", Event.__table__)


class StoredTradingState(NamedTuple):
    """A portfolio of any tenant with its stored trading state."""

    tenant_id: int
    id: int
    name_key: str
    trading_state: str


def iterate_rows(connection: Connection, table: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a risk table, sorted by primary key. Instants are canonical text."""
    rows = cast("Table", _TABLES[table])
    for row in connection.execute(select(rows).order_by(*rows.primary_key)).mappings():
        yield {name: convert_instant(value) for name, value in row.items()}


def list_risk_events(connection: Connection, prefix: str) -> list[RiskEvent]:
    """Return the events whose type starts with `prefix` (such as "limit."), oldest first.

    A payload that is not an object becomes an empty one.
    """
    return [
        RiskEvent(tenant_id, Timestamp(convert_instant(at)), kind, _parse_payload(payload))
        for _, tenant_id, kind, payload, at in iterate_events(connection, [f"{prefix}*"], [_EVENTS.c.id])
    ]


def list_renamings(connection: Connection) -> list[RiskEvent]:
    """Return the renamings of portfolios, oldest first."""
    return [
        RiskEvent(
            entry.tenant_id, entry.at, RENAMED, {"before": entry.before["name"], "after": entry.after["name"]}
        )
        for entry in list_actions(connection, RENAMED)
    ]


def list_portfolio_states(connection: Connection) -> list[StoredTradingState]:
    """Return the trading state of every portfolio."""
    columns = (getattr(Portfolio, name) for name in StoredTradingState._fields)
    return [StoredTradingState._make(row) for row in connection.execute(select(*columns))]


_TABLES = {
    "kill_switches": KillSwitchRow.__table__,
    "kill_switch_changes": KillSwitchChangeRow.__table__,
    "limits": LimitRow.__table__,
    "latches": LatchRow.__table__,
}


def _parse_payload(payload: str) -> dict[str, Any]:
    try:
        fields = orjson.loads(payload)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}
