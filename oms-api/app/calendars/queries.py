"""Statements about the dates that the operator set. They belong to no tenant."""

from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Any, cast

import orjson
from sqlalchemy import Connection, Table, func, select, text

from app.calendars.models import CalendarDayRow
from app.calendars.rules.overrides import CalendarOverride, LocalHours
from app.calendars.rules.values import DayKind, MarketIdentifier
from app.column_values import convert_instant
from app.database import build_upsert, execute_writes
from app.timestamps import format_timestamp

_TABLE = cast("Table", CalendarDayRow.__table__)
_KEY = ("market", "date")
_FACT_COLUMNS = ("kind", "sessions", "name", "source")
_COLUMNS = (*_KEY, *_FACT_COLUMNS, "version", "set_by", "set_at")


def load_version(connection: Connection) -> int:
    """Return the version of the last change, 0 before the first."""
    return int(connection.execute(select(func.coalesce(func.max(_TABLE.c.version), 0))).scalar_one())


def list_overrides(connection: Connection) -> list[CalendarOverride]:
    """Return every date that the operator set."""
    columns = [_TABLE.c[name] for name in (*_KEY, *_FACT_COLUMNS)]
    return [_parse_override(*row) for row in connection.execute(select(*columns))]


def list_rows(connection: Connection) -> list[dict[str, Any]]:
    """Return the rows by column, with canonical times."""
    columns = [_TABLE.c[name] for name in _COLUMNS]
    rows = (dict(row._mapping) for row in connection.execute(select(*columns)))  # public despite its name
    return [row | {"set_at": convert_instant(row["set_at"])} for row in rows]


def lock_days(connection: Connection) -> None:
    """Lock the table until the transaction ends, so that each change gets its own version.

    SQLite has one writer anyway.
    """
    if connection.dialect.name != "sqlite":
        connection.execute(text("LOCK TABLE calendar_days IN SHARE ROW EXCLUSIVE MODE"))


def set_day(
    connection: Connection, override: CalendarOverride, version: int, set_by: str, at: datetime
) -> None:
    """Set the sessions of a date."""
    row = (
        override.market, override.date.isoformat(), override.kind, format_sessions(override.sessions),
        override.name, override.source, version, set_by, format_timestamp(at),
    )  # fmt: skip
    execute_writes(connection, build_upsert(_TABLE, _COLUMNS, _KEY, [row]))


def format_sessions(sessions: Sequence[LocalHours]) -> str:
    """Return the sessions as JSON text."""
    return orjson.dumps([[edge.isoformat("minutes") for edge in session] for session in sessions]).decode()


def _parse_override(
    market: str, day: str, kind: str, sessions: str, name: str, source: str
) -> CalendarOverride:
    hours = tuple(
        LocalHours(*map(time.fromisoformat, open_and_close)) for open_and_close in orjson.loads(sessions)
    )
    return CalendarOverride(
        MarketIdentifier(market), date.fromisoformat(day), DayKind(kind), hours, name, source
    )
