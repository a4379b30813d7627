"""Remind people before the market opens to log in at brokers whose sessions end every day: a job."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, Engine

from app.brokers.queries import StoredConnection, list_connections, load_names_by_connection
from app.brokers.rules.connections import ConnectionStatus
from app.brokers.rules.sessions import needs_log_in
from app.calendars.rules.values import MarketIdentifier, MarketSegment
from app.calendars.service import Calendars
from app.clock import Now
from app.database import set_all_tenants_scope, unit_of_work
from app.events.service.outbox import publish_event
from app.jobs.queries import mark_state
from app.jobs.service import Lease
from app.timestamps import format_optional_timestamp

LOG_IN_NEEDED = "broker_connection.log_in_needed"


class LogInReminder:
    """Publishes an event, once a day, for each connection over which a portfolio trades."""

    def __init__(self, engine: Engine, calendars: Calendars, brokers: Collection[str], now: Now) -> None:
        self._engine, self._calendars, self._brokers, self._now = engine, calendars, brokers, now

    def check(self, _: Lease) -> None:
        """Publish the events that are due."""
        now = self._now()
        clock = self._calendars.compute_clock(MarketIdentifier.XNSE, MarketSegment.SHARES, now)
        opens_at = now if clock.is_open else clock.next_open
        with unit_of_work(self._engine) as connection:
            connections = list_connections(set_all_tenants_scope(connection))
            for stored in connections:
                if stored.broker in self._brokers and stored.status != ConnectionStatus.AWAITING_LIVE:
                    self._remind(connection, stored, opens_at, now)

    def _remind(
        self, connection: Connection, stored: StoredConnection, opens_at: datetime | None, now: datetime
    ) -> None:
        portfolio_name = load_names_by_connection(connection, stored.tenant_id).get(stored.name)
        expires_at = stored.session_expires_at
        is_needed = portfolio_name is not None and needs_log_in(expires_at, opens_at, now)
        if not mark_state(connection, f"log in {stored.id}", now, is_on=is_needed) or not is_needed:
            return
        payload = {
            "connection": stored.name,
            "broker": stored.broker,
            "portfolio_name": portfolio_name,
            "session_expires_at": format_optional_timestamp(expires_at),
            "opens_at": format_optional_timestamp(opens_at),
        }
        publish_event(connection, stored.tenant_id, LOG_IN_NEEDED, payload, now)
