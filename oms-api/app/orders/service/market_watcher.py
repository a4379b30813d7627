"""Match working orders against moving prices, and release held orders, in the background of each API process.

It handles events that no request triggers: simulated prices, and an order and a quote that two processes
store at the same time. Correctness does not depend on it, nor on the number of processes that run it. Changes
that only the clock causes are in `order_jobs`.
"""

import asyncio
import logging
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from sqlalchemy import Connection

from app.calendars.service import Calendars
from app.clock import EPOCH, Now
from app.database import Readers, set_all_tenants_scope
from app.group_commit import GroupCommit
from app.instruments.queries import load_instruments
from app.instruments.rules import InstrumentKey
from app.market_data.queries import list_unmatched_quotes
from app.market_data.rules.values import Quote
from app.market_data.service import Market
from app.orders.queries import orders as queries
from app.orders.queries.due_orders import (
    list_instruments_waiting_for_session,
    list_instruments_with_held_orders,
)
from app.orders.service.command_results import Outcome
from app.orders.service.commands import WriterCommand
from app.orders.service.internal_commands import CancelHalted, CheckLosses, MatchQuote, ReleaseOrders
from app.orders.service.quote_matcher import QuoteMatcher
from app.periodic_tasks import repeat
from app.risk.queries.losses import list_tenants_with_loss_limits
from app.risk.queries.switches import HaltedSwitch, load_halts
from app.timestamps import format_timestamp

CHECK_PERIOD_SECONDS = 0.4
HALT_GRACE = timedelta(seconds=10)  # the request that sets a kill switch has to cancel the orders itself
LOSS_INTERVAL = timedelta(seconds=2)  # between two comparisons of losses with their limits
MATCH_GRACE = timedelta(seconds=2)  # the process that stored a quote has to match it
MAX_CHECKS = 2  # an order stored at the same time as its quote is visible at the second check
_LOG = logging.getLogger(__name__)


class _MarketState(NamedTuple):
    """The state that one check reads from the database.

    `quotes` are the quotes that are not stale, `opened_symbols` the symbols by tenant whose session has
    opened, and `halts` the halts by tenant. `unmatched_symbols` are the symbols whose quote still has to be
    matched.
    """

    quotes: dict[InstrumentKey, Quote]
    symbols_with_held_orders: set[InstrumentKey]
    opened_symbols: dict[int, list[str]]
    halts: dict[int, set[HaltedSwitch]]
    tenants_with_loss_limits: list[int]
    unmatched_symbols: list[InstrumentKey]


class _CheckedQuote(NamedTuple):
    quote: Quote
    check_count: int


class MarketWatcher:
    """The background task of one process and one event loop."""

    def __init__(
        self,
        readers: Readers,
        writer: "GroupCommit[WriterCommand, Outcome]",
        market: Market,
        now: Now,
        calendars: Calendars,
        is_delayed: bool = False,
    ) -> None:
        self._readers = readers
        self._writer = writer
        self._market = market
        self._now = now
        self._matcher = QuoteMatcher(writer, readers, market, now)
        self._calendars = calendars
        self._is_delayed = is_delayed  # with latency, the current quote is still new to orders that arrive
        self._checked_quotes: dict[InstrumentKey, _CheckedQuote] = {}
        self._next_loss_check = EPOCH
        self._halts: dict[int, set[HaltedSwitch]] = {}  # the halts whose orders were canceled

    async def run(self) -> None:
        """Check the market repeatedly, until canceled."""
        await asyncio.sleep(CHECK_PERIOD_SECONDS)
        await repeat(self.check, CHECK_PERIOD_SECONDS, "the market was not checked", _LOG)

    async def check(self) -> None:
        """Send the quotes and releases that are due to the writer, and wait for their outcomes."""
        at = self._now()
        checks_losses = at >= self._next_loss_check
        state = await self._readers.run(partial(self._read_state, at, checks_losses))
        self._market.follow(at)
        now = format_timestamp(at)
        commands: list[WriterCommand] = [
            CancelHalted(tenant_id, now) for tenant_id in self._list_newly_halted(state.halts)
        ]
        commands += [
            ReleaseOrders(tenant_id, tuple(symbols), now)
            for tenant_id, symbols in state.opened_symbols.items()
        ]
        commands += [CheckLosses(tenant_id, now) for tenant_id in state.tenants_with_loss_limits]
        if commands:
            await asyncio.gather(*self._writer.submit_all(commands))
        for key in state.unmatched_symbols:
            await self._matcher.finish(key)
        due_quotes = self._select_due_quotes(state.quotes, state.symbols_with_held_orders)
        await self._matcher.match(
            [MatchQuote(key.tenant_id, quote, now, is_new=False) for key, quote in due_quotes.items()]
        )
        self._halts = state.halts
        if checks_losses:
            self._next_loss_check = at + LOSS_INTERVAL

    def _read_state(self, at: datetime, checks_losses: bool, connection: Connection) -> _MarketState:
        self._market.overrides.refresh(set_all_tenants_scope(connection), at)
        keys = queries.list_instruments_with_open_orders(connection)
        quotes = self._market.load_quotes(connection, keys, at)
        # A stale quote counts as none, so it is checked again once its feed is back.
        current_quotes = {key: quote for key, quote in quotes.items() if not self._market.is_stale(quote, at)}
        tenant_ids = {key.tenant_id for key in keys}
        halts = load_halts(connection, at - HALT_GRACE)
        halts = {tenant_id: symbols for tenant_id, symbols in halts.items() if tenant_id in tenant_ids}
        symbols_with_held_orders = list_instruments_with_held_orders(connection)
        opened_symbols = self._load_opened_symbols(connection, at)
        tenants_with_loss_limits = list_tenants_with_loss_limits(connection) if checks_losses else []
        unmatched_symbols = list_unmatched_quotes(connection, at - MATCH_GRACE)
        return _MarketState(
            current_quotes,
            symbols_with_held_orders,
            opened_symbols,
            halts,
            tenants_with_loss_limits,
            unmatched_symbols,
        )

    def _load_opened_symbols(self, connection: Connection, at: datetime) -> dict[int, list[str]]:
        """Return by tenant the symbols whose session is open now and which have orders that wait for it."""
        self._calendars.refresh(connection)
        waiting_instruments = list_instruments_waiting_for_session(connection, at)
        opened_symbols: dict[int, list[str]] = {}
        for key, terms in (
            load_instruments(connection, waiting_instruments) if waiting_instruments else {}
        ).items():
            if self._calendars.may_be_open(terms.exchange, terms.asset_class, at):
                opened_symbols.setdefault(key.tenant_id, []).append(key.symbol)
        return opened_symbols

    def _list_newly_halted(self, halts: dict[int, set[HaltedSwitch]]) -> list[int]:
        """Return the tenants with a halt since the last check that succeeded; at start, all that have one."""
        return [
            tenant_id
            for tenant_id, switch_keys in halts.items()
            if switch_keys - self._halts.get(tenant_id, set())
        ]

    def _select_due_quotes(
        self, quotes: dict[InstrumentKey, Quote], symbols_with_held_orders: set[InstrumentKey]
    ) -> dict[InstrumentKey, Quote]:
        """Return the quotes that were not sent often enough, and all quotes of symbols with held orders."""
        checks = {key: self._count_checks(key, quote) for key, quote in quotes.items()}
        self._checked_quotes = {key: _CheckedQuote(quote, checks[key] + 1) for key, quote in quotes.items()}
        again = quotes.keys() if self._is_delayed else symbols_with_held_orders
        return {key: quote for key, quote in quotes.items() if key in again or checks[key] < MAX_CHECKS}

    def _count_checks(self, key: InstrumentKey, quote: Quote) -> int:
        checked = self._checked_quotes.get(key)
        return checked.check_count if checked is not None and checked.quote == quote else 0
