"""Watch the prices of alerts, in the background of each API process.

Each quote that is not stale is compared with the nearest thresholds of its symbol, in memory. A crossing is
stored only if the row is still in the state that this process knows, so that each crossing counts once over
all processes. A new or reloaded alert is compared with the current price at once.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import islice
from threading import Lock
from typing import NamedTuple

from sqlalchemy import Connection

from app.alerts import queries
from app.alerts.rules.conditions import Alert, Transition
from app.alerts.rules.price_thresholds import AlertKey, PriceThresholds
from app.alerts.service.firing import record_transitions
from app.clock import Now
from app.database import Readers, set_all_tenants_scope, set_tenant_scope
from app.database.transactions import Transactions
from app.errors import OmsError
from app.instruments.rules import InstrumentKey
from app.market_data.rules.values import Quote, compute_mid
from app.market_data.service import Market

CHECK_PERIOD_SECONDS = 1.0  # alerts of other processes take effect within this time
COMMIT_DELAY = timedelta(seconds=5)  # a row may be committed that much later than its `updated_at`
RELOAD_PERIOD = timedelta(minutes=5)  # removes alerts that were deleted in other processes
MAX_TRANSITIONS = 500  # in one transaction
_LOG = logging.getLogger(__name__)


class WatchState(NamedTuple):
    """The watch state of a process: the last check, its error, and the number of transitions to store."""

    checked_at: datetime | None
    last_error: str | None
    pending: int


class PriceAlertWatcher:
    """Watches the price alerts of all tenants. One instance serves a process."""

    def __init__(self, readers: Readers, transactions: Transactions, market: Market, now: Now) -> None:
        self._readers, self._transactions = readers, transactions
        self._market, self._now = market, now
        self._lock = Lock()  # quotes arrive in several threads
        self._thresholds = PriceThresholds()
        self._pending_transitions: deque[Transition] = deque()
        self._fully_loaded_at: datetime | None = None
        self._changes_read_until: datetime | None = None
        self._subscribed_symbols: frozenset[InstrumentKey] = frozenset()
        self._unsubscribe: Callable[[], None] | None = None
        self._wake: Callable[[], object] = lambda: None
        self._checked_at: datetime | None = None
        self._last_error: str | None = None

    @property
    def state(self) -> WatchState:
        """The state of watching in this process."""
        return WatchState(self._checked_at, self._last_error, len(self._pending_transitions))

    async def run(self) -> None:
        """Watch until canceled."""
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()
        self._wake = lambda: loop.call_soon_threadsafe(woken.set)
        while True:
            try:
                await self.check()
                self._last_error = None
            except OmsError as error:
                _LOG.warning("the price alerts were not checked: %s", error.detail)
                self._last_error = error.detail
            except Exception as error:  # noqa: BLE001  # the task must survive any error and check again
                _LOG.exception("the price alerts were not checked")
                # Its alerts may be incomplete: load all again.
                self._last_error, self._fully_loaded_at = type(error).__name__, None
            woken.clear()
            await _wait_until_woken(woken)

    async def check(self) -> None:
        """Load the changed alerts, follow the symbols, and store the transitions that are due."""
        await self._store_pending()
        await self._load_alerts()
        self._subscribe_to_symbols()
        await self._readers.run_single(lambda connection: self._market.poll(connection, self._now()))
        await self._store_pending()
        self._checked_at = self._now()

    def add(self, alert: Alert) -> None:
        """Watch a new alert at once."""
        self._watch_alerts([alert])
        self._subscribe_to_symbols()

    def apply_quote(self, tenant_id: int, quote: Quote) -> None:
        """Compare a quote with the alerts of its symbol. It may be called in any thread, and does no I/O."""
        price = compute_alert_price(quote)
        if price is None or self._market.is_stale(quote, self._now()):
            return
        with self._lock:
            transitions = self._thresholds.apply_price(
                InstrumentKey(tenant_id, quote.symbol), price, quote.at
            )
            self._pending_transitions.extend(transitions)
        if transitions:
            self._wake()

    async def _load_alerts(self) -> None:
        now = self._now()
        is_full = self._fully_loaded_at is None or now - self._fully_loaded_at >= RELOAD_PERIOD
        since = (
            None if is_full or self._changes_read_until is None else self._changes_read_until - COMMIT_DELAY
        )

        def read(connection: Connection) -> list[Alert]:
            return queries.list_price_alerts(set_all_tenants_scope(connection), since, now)

        alerts = await self._readers.run(read)
        self._changes_read_until = now
        if since is None:
            self._fully_loaded_at = now
            with self._lock:
                self._thresholds = PriceThresholds()
        self._watch_alerts(alerts)

    def _watch_alerts(self, alerts: Iterable[Alert]) -> None:
        """Add alerts as they are stored, unless one of their transitions still has to be stored.

        They are compared with the last price that this process received.
        """
        with self._lock:
            pending_keys = {
                AlertKey(transition.alert.tenant_id, transition.alert.id)
                for transition in self._pending_transitions
            }
            keys = set()
            for alert in alerts:
                if AlertKey(alert.tenant_id, alert.id) not in pending_keys:
                    self._thresholds.set_alert(alert)
                    keys.add(InstrumentKey(alert.tenant_id, alert.symbol or ""))
        for key in keys:
            quote = self._market.get_last_quote(*key)
            if quote is not None:
                self.apply_quote(key.tenant_id, quote)

    def _subscribe_to_symbols(self) -> None:
        with self._lock:
            symbols = frozenset(self._thresholds.symbols)
        if symbols == self._subscribed_symbols:
            return
        previous = self._unsubscribe
        self._unsubscribe = self._market.subscribe(symbols, self.apply_quote)
        self._subscribed_symbols = symbols
        if previous is not None:
            previous()

    async def _store_pending(self) -> None:
        while self._pending_transitions:
            with self._lock:
                batch = list(islice(self._pending_transitions, MAX_TRANSITIONS))
            lost_alerts = await self._transactions.run(partial(self._record_transitions, batch=batch))
            with self._lock:
                for _ in batch:
                    self._pending_transitions.popleft()
            await self._reload_alerts(lost_alerts)

    def _record_transitions(self, connection: Connection, batch: list[Transition]) -> set[AlertKey]:
        """Store transitions. Return the alerts that had another state, were deleted, or lost their owner."""
        set_tenant_scope(connection, {transition.alert.tenant_id for transition in batch})
        updated = record_transitions(connection, batch, self._now())
        return {
            AlertKey(transition.alert.tenant_id, transition.alert.id)
            for transition, alert in zip(batch, updated, strict=True)
            if alert is None
        }

    async def _reload_alerts(self, keys: set[AlertKey]) -> None:
        if not keys:
            return
        now = self._now()

        def read(connection: Connection) -> dict[AlertKey, Alert | None]:
            set_tenant_scope(connection, {key.tenant_id for key in keys})
            return {key: queries.find_alert(connection, *key, now) for key in keys}

        alerts = await self._readers.run(read)
        with self._lock:
            for key, alert in alerts.items():
                if alert is None:
                    self._thresholds.remove(key)
        self._watch_alerts(alert for alert in alerts.values() if alert is not None)


def compute_alert_price(quote: Quote) -> Decimal | None:
    """Return the price that alerts watch: the last, as stop orders do, or else the mid."""
    return compute_mid(quote) if quote.last is None else quote.last


async def _wait_until_woken(woken: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(CHECK_PERIOD_SECONDS):
            await woken.wait()
    except TimeoutError:
        return
