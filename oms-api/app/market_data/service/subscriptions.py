"""Subscribe a tenant to symbols, and let this process follow them."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection

from app.database import Readers, set_all_tenants_scope
from app.identity.queries.tenants import lock_tenant
from app.instruments.queries import load_symbol
from app.instruments.rules import InstrumentKey
from app.market_data.errors import NoSubscription, TooManySubscriptions
from app.market_data.queries import subscriptions as queries
from app.market_data.queries.subscriptions import SUBSCRIPTIONS, Subscription
from app.market_data.rules.values import Quote
from app.market_data.service import Market
from app.periodic_tasks import repeat

MAX_SUBSCRIPTIONS = 1_000  # of a tenant
REFRESH_SECONDS = 2.0
_LOG = logging.getLogger(__name__)


def add_subscriptions(
    connection: Connection, tenant_id: int, names: Sequence[str], added_by: str, at: datetime
) -> list[Subscription]:
    """Subscribe a tenant to symbols or aliases. Return those subscriptions. Raises TooManySubscriptions."""
    lock_tenant(connection, tenant_id)
    symbols = {load_symbol(connection, tenant_id, name) for name in names}
    queries.insert_subscriptions(connection, tenant_id, sorted(symbols), added_by, at)
    if SUBSCRIPTIONS.count(connection, tenant_id=tenant_id) > MAX_SUBSCRIPTIONS:
        raise TooManySubscriptions(MAX_SUBSCRIPTIONS)
    return [
        subscription
        for subscription in queries.list_subscriptions(connection, tenant_id)
        if subscription.symbol in symbols
    ]


def remove_subscription(connection: Connection, tenant_id: int, name: str) -> str:
    """End the subscription of a symbol or alias, and return its symbol. Raises NoSubscription."""
    symbol = load_symbol(connection, tenant_id, name)
    if not SUBSCRIPTIONS.delete(connection, tenant_id=tenant_id, symbol=symbol):
        raise NoSubscription(symbol)
    return symbol


class SubscribedQuotes:
    """Lets the market of this process follow the subscriptions of all tenants."""

    def __init__(self, readers: Readers, market: Market) -> None:
        self._readers, self._market = readers, market
        self._followed: frozenset[InstrumentKey] = frozenset()
        self._unsubscribe: Callable[[], None] | None = None

    async def run(self) -> None:
        """Follow the subscriptions until canceled."""
        await repeat(self.refresh, REFRESH_SECONDS, "the subscriptions were not read", _LOG)

    async def refresh(self) -> None:
        """Follow exactly the symbols that tenants subscribe to now. Raises Unavailable."""
        instrument_keys = await self._readers.run(
            lambda connection: queries.list_all_symbols(set_all_tenants_scope(connection))
        )
        if instrument_keys == self._followed:
            return
        previous, self._followed = self._unsubscribe, instrument_keys
        self._unsubscribe = (
            self._market.subscribe(instrument_keys, _ignore_quote) if instrument_keys else None
        )
        if previous is not None:
            previous()


def _ignore_quote(_tenant_id: int, _quote: Quote) -> None:
    """Do nothing: the market keeps the last quote."""
