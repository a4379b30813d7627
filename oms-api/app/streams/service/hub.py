"""The services that all connections of a process share."""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.clock import Now
from app.database import Readers
from app.events.service.feed import EventFeed
from app.http.opaque_ids import OpaqueIds
from app.ledger.service.valuation import Valuer
from app.market_data.rules.values import Quote
from app.market_data.service import Market
from app.rate_limit import SlotLimits, Slots
from app.streams.service.event_fanout import EventFanout
from app.streams.service.quote_fanout import QuoteFanout
from app.streams.service.session import Fanouts
from app.streams.service.value_fanout import ValueFanout

MAX_CONNECTIONS = SlotLimits(key=600, tenant=1_000, total=4_000)
MAX_UNAUTHENTICATED = SlotLimits(key=600, tenant=2_000, total=2_000)  # `key` is an address, for 5 seconds


@dataclass(frozen=True, slots=True)
class StreamHub:
    """The fan-outs, and the slots of connections: authenticated, and not yet authenticated.

    `origins` are those of pages on other hosts that may connect.
    """

    fanouts: Fanouts
    connections: Slots
    unauthenticated: Slots
    origins: Sequence[str]

    @property
    def background_tasks(self) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
        """Return the tasks that run as long as the process."""
        return (self.fanouts.quotes.run, self.fanouts.values.run)


def create_hub(
    feed: EventFeed, readers: Readers, opaque_ids: OpaqueIds, market: Market, valuer: Valuer,
    serialize_quote: Callable[[Quote, datetime], dict[str, Any]], now: Now, origins: Sequence[str],
) -> StreamHub:  # fmt: skip
    """Return the hub of a process."""
    fanouts = Fanouts(
        events=EventFanout(feed, readers, opaque_ids),
        quotes=QuoteFanout(market, readers, serialize_quote, now),
        values=ValueFanout(readers, valuer, now),
        feed=feed,
        opaque_ids=opaque_ids,
    )
    slots = (Slots("WebSockets", MAX_CONNECTIONS), Slots("WebSockets", MAX_UNAUTHENTICATED))
    return StreamHub(fanouts, *slots, origins)
