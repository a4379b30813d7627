"""The ledger in a batch: portfolios and positions, loaded once, changed in memory, and written together."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial

from sqlalchemy import Connection

from app.database import execute_writes
from app.database.bulk import BulkWrite
from app.events.rules import NewEvent
from app.ids import SortableIds
from app.instruments.rules import InstrumentKey
from app.ledger.errors import AmountTooLarge, NoRate, NoSuchPortfolio, StalePortfolioIds
from app.ledger.queries import batch_statements as queries
from app.ledger.rules.accounting import FLAT, Position, choose_fill_currency
from app.ledger.rules.cash import CashKind, CashRow, build_cash_row, compute_moved_amount
from app.ledger.rules.chain import TradeRow
from app.ledger.rules.keys import PortfolioKey, PortfolioNameKey, PositionKey, RateKey, RequestKey, TradeKey
from app.ledger.service.commands import CommandOrigin, RecordTrade
from app.ledger.service.ledger_cache import LedgerCache, LockedLedgers
from app.ledger.service.pending_rows import PendingRows
from app.ledger.service.portfolio_state import (
    MAX_AMOUNT,
    CashEntry,
    PortfolioState,
    PositionsByKey,
    ReversalInputs,
    TradeEntry,
    build_state,
    build_trade_row,
)
from app.ledger.service.trade_guard import UNGUARDED, Guard, ReservedQuantity
from app.money import format_fixed
from app.timestamps import BEFORE_ALL, format_timestamp

# Takes a tenant id, a currency, the currency to convert to, and the instant.
RateLookup = Callable[[Connection, int, str, str, datetime], Decimal | None]
_NO_PORTFOLIO = 0  # of a look-up of an instrument alone


def find_no_rate(*_: object) -> None:
    """Return None: there are no exchange rates."""


class LedgerBatch:
    """The portfolios and positions of one transaction, and all changes of them.

    `command_loading` loads the state that commands need:

    - `portfolio_ids`: the ids of the portfolios that the commands name;
    - `originals`: the trades to reverse;
    - `reversals`: the ids of recorded reversals by the trade that they reverse;
    - `rows_by_request_key`: the trades recorded under the idempotency keys of the commands.
    """

    def __init__(
        self,
        connection: Connection,
        ids: SortableIds,
        guard: Guard = UNGUARDED,
        rates: RateLookup = find_no_rate,
        cache: LedgerCache | None = None,
    ) -> None:
        self.connection = connection
        self.guard = guard
        self.get_reserved_quantity: ReservedQuantity = partial(guard.get_reserved_quantity, connection)
        self._ids = ids
        self._rates = rates
        self._cached_rates: dict[RateKey, Decimal | None] = {}
        self.portfolio_ids: dict[PortfolioNameKey, int] = {}
        # The rows of portfolios that are not inserted yet.
        self.new_portfolios: dict[PortfolioKey, tuple[str | int, ...]] = {}
        self.originals: dict[TradeKey, TradeRow] = {}
        self.reversals: dict[TradeKey, str] = {}
        self.reversal_inputs: dict[TradeKey, ReversalInputs] = {}
        self.rows_by_request_key: dict[RequestKey, list[TradeRow]] = {}
        # By tenant id and portfolio id, and symbol and product: plain tuples are faster than the key types.
        self.portfolios: dict[tuple[int, int], PortfolioState] = {}
        self.switch_scopes: dict[PortfolioKey, str] = {}  # of kill switches that stop locked portfolios
        self._locked: list[PortfolioKey] = []
        self._ledgers = LockedLedgers(connection, cache)
        self._positions: dict[tuple[int, int, str, str], Position] = {}
        self._instruments: dict[InstrumentKey, queries.LoadedPosition] = {}  # listed ones, also by alias
        # Of portfolios whose positions are all loaded.
        self._complete_positions: dict[PortfolioKey, PositionsByKey] = {}
        self._pending = PendingRows()
        self.change_count = 0  # the number of changes, written or not

    def lock(self, keys: Iterable[PortfolioKey]) -> None:
        """Lock and load the portfolios."""
        rows = queries.lock_portfolios(self.connection, self._ledgers.list_versions(sorted(set(keys))))
        self._locked = self._add_states([self._ledgers.get_state(row) for row in rows])

    def load_unlocked(self, keys: Iterable[PortfolioKey]) -> None:
        """Load portfolios without a lock, for reading. A repeated request may use an old name."""
        missing = sorted(set(keys) - self.portfolios.keys())
        self._add_states(map(build_state, queries.load_portfolio_states(self.connection, missing)))

    def _add_states(self, states: Iterable[PortfolioState]) -> list[PortfolioKey]:
        states = list(states)
        self.portfolios.update((state.key, state) for state in states)
        return [state.key for state in states]

    def add_new_portfolio(self, state: PortfolioState, row: tuple[str | int, ...]) -> None:
        """Add a portfolio that is inserted if a trade is recorded in it."""
        self.portfolios[state.key] = state
        self.new_portfolios[state.key] = row

    def load_positions(self, keys: Iterable[PositionKey]) -> None:
        """Load the positions that the batch may change. For an alias, load the position of its instrument."""
        missing = set(keys) - self._positions.keys()
        self._read_positions(missing)
        names = ((key, self.get_symbol(key.tenant_id, key.symbol)) for key in missing)
        renamed = [key._replace(symbol=name) for key, name in names if name != key.symbol]
        if renamed:
            self._read_positions(renamed)

    def _read_positions(self, keys: Iterable[PositionKey]) -> None:
        for loaded in queries.load_positions(self.connection, self._replace_cached(keys)):
            if loaded.position is not None:
                self._positions[loaded.key] = loaded.position
            if loaded.exchange is not None or loaded.instrument_symbol is not None:
                self._instruments[loaded.key.instrument_key] = loaded

    def _replace_cached(self, keys: Iterable[PositionKey]) -> list[PositionKey]:
        """Add the cached positions. Return the keys of the others, and of the instruments of all."""
        keys_to_read = set()
        for key in keys:
            position = self._ledgers.find_position(key)
            if position is None:
                keys_to_read.add(key)
            else:
                self._positions[key] = position
                keys_to_read.add(PositionKey(key.tenant_id, _NO_PORTFOLIO, key.symbol, ""))
        return list(keys_to_read)

    def get_symbol(self, tenant_id: int, symbol: str) -> str:
        """Return the instrument's symbol: the given one, unless it is a loaded alias."""
        loaded = self._instruments.get(InstrumentKey(tenant_id, symbol)) if self._instruments else None
        return symbol if loaded is None else loaded.instrument_symbol or symbol

    def load_all_positions(
        self, cached: Mapping[PortfolioKey, tuple[PositionsByKey, int]]
    ) -> set[PositionKey]:
        """Load every position of the portfolios, and return the keys of the positions that were read.

        `cached` are positions as of a sequence number of the ledger. Only positions that later trades changed
        are read. A portfolio without cached positions has the number -1. The caller must not use the cached
        dictionaries afterwards, because this batch changes them.
        """
        outdated = []
        for portfolio_key, (positions, sequence) in cached.items():
            self._complete_positions[portfolio_key] = positions
            self._positions.update(positions.items())
            if sequence < self.get_portfolio(portfolio_key).last_sequence:
                outdated.append((*portfolio_key, sequence + 1))
        read = set()
        for key, position in queries.load_positions_since(self.connection, outdated):
            self._positions[key] = self._complete_positions[key.portfolio_key][key] = position
            read.add(key)
        return read

    def get_positions(self, portfolio_key: PortfolioKey) -> PositionsByKey:
        """Return the positions of a portfolio whose positions are all loaded."""
        return self._complete_positions.get(portfolio_key, {})

    def get_portfolio(self, key: PortfolioKey) -> PortfolioState:
        """Return a locked portfolio."""
        return self.portfolios[key]

    def list_locked_portfolios(self) -> list[PortfolioState]:
        """Return the locked portfolios."""
        return [self.portfolios[key] for key in self._locked]

    def get_position(self, key: tuple[int, int, str, str]) -> Position:
        """Return a loaded position, flat if there is none."""
        return self._positions.get(key, FLAT)

    def list_new_trades(self, key: PositionKey) -> list[TradeRow]:
        """Return the rows of a position that are not written yet."""
        return [row for row in self._pending.trades if row.position_key == key]

    def get_new_price(self, key: PositionKey) -> Decimal | None:
        """Return the price of the last trade that this batch made in a position, None if it made none."""
        row = self._pending.last_trades.get(key)
        return None if row is None else Decimal(row.price)

    def get_currency(self, portfolio: PortfolioState, key: PositionKey) -> str | None:
        """Return the currency of a trade in a loaded position, None for the portfolio's own."""
        loaded = self._instruments.get(key.instrument_key) if self._instruments else None
        listed_currency = None if loaded is None else loaded.listed_currency
        return choose_fill_currency(self.get_position(key), listed_currency, portfolio.base_currency)

    def get_exchange(self, tenant_id: int, symbol: str) -> str:
        """Return the exchange of an instrument whose position was loaded, empty if it has none."""
        loaded = self._instruments.get(InstrumentKey(tenant_id, symbol)) if self._instruments else None
        return "" if loaded is None else loaded.exchange or ""

    def append(
        self, portfolio: PortfolioState, origin: CommandOrigin, entry: TradeEntry, after: Position
    ) -> TradeRow:
        """Append a row to the ledger's hash chain and update the projections."""
        portfolio_key = portfolio.key
        key = PositionKey(*portfolio_key, entry.symbol, entry.product)
        before = self.get_position(key)
        amounts = (portfolio.cash + entry.cash_delta, after.cost, after.quantity, after.local_cost)
        if max(map(abs, amounts)) >= MAX_AMOUNT:
            raise AmountTooLarge(portfolio.name)
        self.change_count += 1
        portfolio.cash += entry.cash_delta
        portfolio.realized_pnl += after.realized_pnl - before.realized_pnl
        portfolio.total_trades += entry.trades
        portfolio.total_buys += entry.buys
        portfolio.last_sequence += 1
        portfolio.fee_totals = entry.fee_totals or portfolio.fee_totals
        at = format_timestamp(origin.at)
        portfolio.last_created_at = max(at, portfolio.last_created_at or BEFORE_ALL)
        portfolio.last_trade_id = self._ids.generate(portfolio.tenant_id, origin.at, portfolio.last_trade_id)
        row = build_trade_row(portfolio, origin, at, entry, before, after)
        portfolio.last_hash = row.hash
        self._positions[key] = after
        if portfolio_key in self._complete_positions:
            self._complete_positions[portfolio_key][key] = after
        self._pending.add_trade(portfolio_key, key, row)
        return row

    def add_event(self, event: NewEvent) -> None:
        """Add an event to the outbox that is not about a trade."""
        self._pending.outbox_items.append(event)

    def append_cash(self, portfolio: PortfolioState, origin: CommandOrigin, entry: CashEntry) -> CashRow:
        """Append a row to the cash ledger's hash chain and update the cash. Raises AmountTooLarge."""
        if abs(portfolio.cash + entry.amount) >= MAX_AMOUNT:
            raise AmountTooLarge(portfolio.name)
        self.change_count += 1
        portfolio.cash += entry.amount
        portfolio.moved_cash += compute_moved_amount(entry.kind, entry.amount)
        portfolio.cash_sequence += 1
        values = (
            portfolio.tenant_id, portfolio.id, portfolio.cash_sequence, entry.kind.value,
            format_fixed(entry.amount), portfolio.base_currency, format_fixed(portfolio.cash),
            portfolio.last_sequence, entry.counterpart_id, entry.symbol, entry.day, entry.reason,
            origin.source, origin.actor, origin.request_id, origin.idempotency_key,
            format_timestamp(origin.at),
        )  # fmt: skip
        row = build_cash_row(values, portfolio.cash_hash)
        portfolio.cash_hash = row.hash
        self._pending.add_cash_movement(row, portfolio.name)
        return row

    def has_cash_movement(
        self, portfolio: PortfolioState, kind: CashKind, symbol: str | None, day: str
    ) -> bool:
        """Return whether the portfolio has a movement of that kind, symbol and day, written or not."""
        key = (portfolio.tenant_id, portfolio.id, kind.value, symbol, day)
        return any(
            (row.tenant_id, row.portfolio_id, row.kind, row.symbol, row.day) == key
            for row in self._pending.cash_movements
        ) or queries.has_cash_movement(self.connection, *key)

    def set_open_orders_version(self, portfolio_key: PortfolioKey, version: str) -> None:
        """Set the version of the open orders of a locked portfolio, because they changed."""
        self.portfolios[portfolio_key].open_orders_version = version
        self._pending.changed_portfolios.add(portfolio_key)

    def flush(self, *further_writes: BulkWrite) -> None:
        """Write the changes so far, together with `further_writes`. Later statements read them."""
        if self.new_portfolios:
            self._insert_portfolios()
        pending, self._pending = self._pending, PendingRows()
        self._ledgers.written |= pending.changed_portfolios.union(
            pending.list_portfolios_with_cash_movements()
        )
        execute_writes(
            self.connection, *pending.build_writes(self.portfolios, self._positions), *further_writes
        )

    def create_cache_update(self) -> Callable[[], None]:
        """Return a function that caches the written portfolios and positions. Call it after the commit."""
        return self._ledgers.create_cache_update(self.portfolios, self._positions)

    def get_rate(self, command: RecordTrade, currency: str, base: str) -> Decimal:
        """Return the price of one unit of a currency in another. Raises NoRate."""
        tenant_id, at = command.origin.tenant_id, command.origin.at
        rate_key = RateKey(tenant_id, currency, base)
        if rate_key not in self._cached_rates:
            self._cached_rates[rate_key] = self._rates(self.connection, *rate_key, at)
        rate = self._cached_rates[rate_key]
        if rate is None:
            raise NoRate(command.symbol, currency, base)
        return rate

    def list_portfolio_keys(self, names: Iterable[PortfolioNameKey]) -> set[PortfolioKey]:
        """Return the portfolios of the names, including those that a trade of this batch may create."""
        ids = self.portfolio_ids
        return {PortfolioKey(name.tenant_id, ids[name]) for name in names if name in ids}

    def get_portfolio_by_name(self, tenant_id: int, portfolio_name_key: str) -> PortfolioState:
        """Return a loaded portfolio by its name key."""
        state = self.get_portfolio(
            PortfolioKey(tenant_id, self.portfolio_ids[PortfolioNameKey(tenant_id, portfolio_name_key)])
        )
        if state.name_key != portfolio_name_key:
            raise StalePortfolioIds
        return state

    def get_existing_portfolio(self, tenant_id: int, name: str, portfolio_name_key: str) -> PortfolioState:
        """Return a portfolio that exists, or that a trade of this batch created. Raises NoSuchPortfolio."""
        if PortfolioNameKey(tenant_id, portfolio_name_key) not in self.portfolio_ids:
            raise NoSuchPortfolio(name)
        state = self.get_portfolio_by_name(tenant_id, portfolio_name_key)
        if not state.last_sequence and state.key in self.new_portfolios:
            raise NoSuchPortfolio(name)
        return state

    def _insert_portfolios(self) -> None:
        """Insert the new portfolios in which a trade was recorded. Refused trades create none.

        Raises StalePortfolioIds if another process inserted one of them meanwhile.
        """
        new_rows = {
            PortfolioNameKey(portfolio_key.tenant_id, state.name_key): row
            for portfolio_key, row in self.new_portfolios.items()
            if (state := self.get_portfolio(portfolio_key)).last_sequence
        }
        if not new_rows:
            return
        names = sorted(new_rows)
        queries.insert_portfolios(self.connection, [new_rows[name] for name in names])
        stored = queries.load_portfolio_ids(self.connection, names)
        if any(stored[name] != self.portfolio_ids[name] for name in names):
            raise StalePortfolioIds
