"""Record the transitions of alerts, with the event of each firing in the same transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import orjson
from sqlalchemy import Connection

from app.alerts import queries
from app.alerts.rules.conditions import Alert, Transition
from app.alerts.rules.event_payloads import build_firing_payload
from app.database import execute_writes
from app.events.service.outbox import build_event_insert
from app.timestamps import format_timestamp

ALERT_FIRED = "alert.fired"


def record_transitions(
    connection: Connection,
    transitions: Sequence[Transition],
    now: datetime,
    portfolio_names: Mapping[int, str] | None = None,
) -> list[Alert | None]:
    """Store the transitions in order, and return the alerts after them.

    An alert is None if another process was first or it was deleted: then its transition has no effect.
    `portfolio_names` are by portfolio id.
    """
    names = portfolio_names or {}
    updated, events = [], []
    for transition in transitions:
        alert = queries.apply_to_row(connection, transition, now)
        updated.append(alert)
        if alert is not None and transition.is_firing:
            payload = build_firing_payload(alert, names.get(alert.portfolio_id or 0))
            events.append(
                (alert.tenant_id, ALERT_FIRED, orjson.dumps(payload).decode(), format_timestamp(now))
            )
    execute_writes(connection, build_event_insert(events))
    return updated
