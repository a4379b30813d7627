"""Publish events when the price feed becomes stale, and when it is fresh again: a job."""

import orjson
from sqlalchemy import Engine

from app.clock import Now
from app.database import execute_writes, set_all_tenants_scope, unit_of_work
from app.events.service.outbox import build_event_insert
from app.identity.queries.tenants import list_active_tenants
from app.jobs.queries import mark_state
from app.jobs.service import Lease
from app.market_data.service import Market
from app.timestamps import format_timestamp

STALE, FRESH = "market_data.stale", "market_data.fresh"
_STATE = "the price feed is stale"  # in the database, so that each change counts once with several processes


class FeedWatch:
    """Compares the silence of the price feed with the maximum, for all tenants."""

    def __init__(self, engine: Engine, market: Market, now: Now) -> None:
        self._engine, self._market, self._now = engine, market, now
        self._was_stale: bool | None = None

    def check(self, _: Lease) -> None:
        """Publish an event to each tenant if the feed became stale or fresh."""
        now = self._now()
        silence = self._market.compute_feed_silence(now)
        is_stale = silence is not None and silence > self._market.max_silence
        if is_stale == self._was_stale:
            return
        payload = {
            "price_source": self._market.source_name,
            "last_heard_at": None if silence is None else format_timestamp(now - silence),
            "max_silence_seconds": self._market.max_silence.total_seconds(),
        }
        kind, text = STALE if is_stale else FRESH, orjson.dumps(payload).decode()
        with unit_of_work(self._engine) as connection:
            if mark_state(connection, _STATE, now, is_on=is_stale):
                tenant_ids = list_active_tenants(set_all_tenants_scope(connection))
                execute_writes(
                    connection,
                    build_event_insert(
                        [(tenant_id, kind, text, format_timestamp(now)) for tenant_id in tenant_ids]
                    ),
                )
        self._was_stale = is_stale
