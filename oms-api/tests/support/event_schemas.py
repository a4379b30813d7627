"""Compare published events with their documented schemas."""

from collections import Counter

import jsonschema_rs
import orjson
from sqlalchemy import Connection, select

from app.event_catalog import build_data_schema, list_event_types
from app.events.models import Event
from app.events.rules import unpack_outbox_events

# Without fields that are not documented: clients may ignore those, but the documents must not.
VALIDATORS = {
    event_type.name: jsonschema_rs.validator_for(
        {**build_data_schema(event_type), "additionalProperties": False}
    )
    for event_type in list_event_types()
}


def find_undocumented_events(connection: Connection) -> Counter[str]:
    """Return the problems of stored events, with the number of events of each problem."""
    problems: Counter[str] = Counter()
    rows = connection.execute(select(Event.type, Event.payload, Event.following))
    for row in rows:
        for kind, payload in unpack_outbox_events(*row):
            validator = VALIDATORS.get(kind)
            if validator is None:
                problems[f"{kind} is no documented type"] += 1
                continue
            for error in validator.iter_errors(orjson.loads(payload)):
                problems[f"{kind} {'/'.join(map(str, error.instance_path))}: {error.message}"[:300]] += 1
    return problems
