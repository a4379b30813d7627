"""Lock and load what a batch of commands needs, in a few statements."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from itertools import chain

from sqlalchemy import Connection

from app.database import set_tenant_scope
from app.identity.queries.tenants import find_opening_cash
from app.ids import new_row_id
from app.ledger.errors import NoRate, NoSuchPortfolio
from app.ledger.queries import books as queries
from app.ledger.queries.canonical import format_trade
from app.ledger.rules.chain import GENESIS, TradeRow
from app.ledger.rules.keys import PortfolioKey, PortfolioNameKey, PositionKey, RateKey, RequestKey, TradeKey
from app.ledger.service.books import LedgerState, PortfolioState
from app.ledger.service.commands import Command, RecordTrade, ReverseTrade
from app.ledger.service.trade_guard import UNGUARDED, Guard
from app.money import ZERO, format_fixed
from app.timestamps import format_timestamp

BASE_CURRENCY = "USD"
_MAX_CACHED_PORTFOLIOS = 100_000

# The third argument is the signed position.
ReservedQuantity = Callable[[PortfolioState, RecordTrade, Decimal], Decimal]
# Takes a tenant id, a currency, the currency to convert to, and the instant.
Rates = Callable[[Connection, int, str, str, datetime], Decimal | None]


def find_no_rate(*_: object) -> None:
    """Return None: there are no exchange rates."""


class StalePortfolioIds(Exception):
    """Raised when a cached portfolio id is wrong: a restored database has other ids.

    The cache of names must be cleared then.
    """


class LedgerBatch:
    """The commands of one batch with their portfolios, the trades to reverse, and recorded request keys."""

    def __init__(
        self,
        books: LedgerState,
        commands: Sequence[Command],
        cached_ids: dict[PortfolioNameKey, int],
        names: Iterable[PortfolioNameKey] = (),
        portfolio_keys: Iterable[PortfolioKey] = (),
        tenants: Iterable[int] = (),
        guard: Guard = UNGUARDED,
        rates: Rates = find_no_rate,
    ) -> None:
        self.books = books
        self._rates = rates
        self._cached_rates: dict[RateKey, Decimal | None] = {}
        self._names = set(names)
        # The rows of portfolios that are not inserted yet.
        self._new: dict[PortfolioKey, tuple[str | int, ...]] = {}
        self._portfolio_keys = set(portfolio_keys)
        self.guard = guard
        self.get_reserved_quantity: ReservedQuantity = partial(guard.get_reserved_quantity, books.connection)
        self._tenants = {command.origin.tenant_id for command in commands}.union(tenants)
        self._records = [command for command in commands if isinstance(command, RecordTrade)]
        self._reversals = [command for command in commands if isinstance(command, ReverseTrade)]
        self._cached_ids = cached_ids
        self._ids: dict[PortfolioNameKey, int] = {}
        self.originals: dict[TradeKey, TradeRow] = {}
        self.reversed: dict[TradeKey, str] = {}
        self.rows_by_request_key: dict[RequestKey, list[TradeRow]] = {}

    def load(self) -> None:
        """Lock the portfolios, then read. Values read under the locks cannot change before the commit."""
        connection = self.books.connection
        set_tenant_scope(connection, self._tenants)
        commands: list[Command] = [*self._records, *self._reversals]
        self._lock_and_index_request_keys(commands)
        targets = [TradeKey(command.origin.tenant_id, command.trade_id) for command in self._reversals]
        originals = map(format_trade, queries.load_trades(connection, targets))
        self.originals = {row.trade_key: row for row in originals}
        self._resolve_portfolios()
        locked_keys = {PortfolioKey(name.tenant_id, portfolio_id) for name, portfolio_id in self._ids.items()}
        locked_keys |= self._portfolio_keys
        locked_keys -= self._new.keys()
        self.books.lock(locked_keys | {row.portfolio_key for row in self.originals.values()})
        self.reversed = queries.load_reversals(connection, targets)
        recorded = chain.from_iterable(self.rows_by_request_key.values())
        self.books.load_unlocked(row.portfolio_key for row in recorded)
        self.books.load_positions(self._position_keys())
        if self._records:
            tenants = {command.origin.tenant_id for command in self._records}
            self.guard.load(connection, tenants, max(command.origin.at for command in self._records))

    def portfolio_of(self, command: RecordTrade) -> PortfolioState:
        """Return the portfolio of a trade."""
        return self.portfolio_named(command.origin.tenant_id, command.portfolio_name_key)

    def rate(self, command: RecordTrade, currency: str, base: str) -> Decimal:
        """Return the price of one unit of a currency in another. Raises NoRate."""
        tenant_id, at = command.origin.tenant_id, command.origin.at
        rate_key = RateKey(tenant_id, currency, base)
        if rate_key not in self._cached_rates:
            self._cached_rates[rate_key] = self._rates(self.books.connection, *rate_key, at)
        rate = self._cached_rates[rate_key]
        if rate is None:
            raise NoRate(command.symbol, currency, base)
        return rate

    def portfolio_named(self, tenant_id: int, portfolio_name_key: str) -> PortfolioState:
        """Return a loaded portfolio by its name key."""
        state = self.books.portfolio(
            PortfolioKey(tenant_id, self._ids[PortfolioNameKey(tenant_id, portfolio_name_key)])
        )
        if state.name_key != portfolio_name_key:
            raise StalePortfolioIds
        return state

    def get_existing_portfolio(self, tenant_id: int, name: str, portfolio_name_key: str) -> PortfolioState:
        """Return a portfolio that exists, or that a trade of this batch created. Raises NoSuchPortfolio."""
        if PortfolioNameKey(tenant_id, portfolio_name_key) not in self._ids:
            raise NoSuchPortfolio(name)
        state = self.portfolio_named(tenant_id, portfolio_name_key)
        if not state.last_sequence and state.key in self._new:
            raise NoSuchPortfolio(name)
        return state

    def find_portfolio_id(self, tenant_id: int, portfolio_name_key: str) -> int | None:
        """Return the id of a portfolio by its name key, None if there is none."""
        return self._ids.get(PortfolioNameKey(tenant_id, portfolio_name_key))

    def list_named_portfolios(self) -> set[PortfolioKey]:
        """Return the portfolios of `names`, including those that a trade of this batch may create."""
        return {PortfolioKey(name.tenant_id, self._ids[name]) for name in self._names if name in self._ids}

    def insert_portfolios(self) -> None:
        """Insert the new portfolios in which a trade was recorded. Refused trades create none.

        Raises StalePortfolioIds if another process inserted one of them meanwhile.
        """
        opened = {
            PortfolioNameKey(portfolio_key.tenant_id, state.name_key): row
            for portfolio_key, row in self._new.items()
            if (state := self.books.portfolio(portfolio_key)).last_sequence
        }
        if not opened:
            return
        names = sorted(opened)
        queries.insert_portfolios(self.books.connection, [opened[name] for name in names])
        stored = queries.load_portfolio_ids(self.books.connection, names)
        if any(stored[name] != self._ids[name] for name in names):
            raise StalePortfolioIds

    def flush(self) -> None:
        """Write the rows recorded so far, new portfolios first, because later statements read them."""
        self.insert_portfolios()
        self.books.flush()

    def _resolve_portfolios(self) -> None:
        portfolio_name_keys = {_name(command) for command in self._records}
        portfolio_name_keys |= self._names
        self._ids = {name: self._cached_ids[name] for name in portfolio_name_keys if name in self._cached_ids}
        unknown = sorted(portfolio_name_keys - self._ids.keys())
        if not unknown:
            return
        found = queries.load_portfolio_ids(self.books.connection, unknown)
        self._cache_ids(found)
        if len(found) < len(unknown):
            found |= self._prepare_portfolios([name for name in unknown if name not in found])
        self._ids |= found

    def _prepare_portfolios(self, missing: list[PortfolioNameKey]) -> dict[PortfolioNameKey, int]:
        """Prepare the missing portfolios of reported trades.

        A portfolio is skipped if all its requests repeat recorded keys. The requests of a caller with limited
        portfolios never count as repeats here, because the recorded key may belong to a portfolio that this
        caller cannot see. The rows are inserted at the end, if a trade is recorded in them.
        """
        first: dict[PortfolioNameKey, RecordTrade] = {}
        request_keys = set(self.rows_by_request_key)
        for command in self._records:
            key = build_request_key(command)
            if key not in request_keys or command.origin.portfolios is not None:
                first.setdefault(_name(command), command)
            if key:
                request_keys.add(key)
        prepared = {}
        cash = find_opening_cash(self.books.connection, {name.tenant_id for name in first})
        for name in missing:
            if name in first:
                state = self.guard.opening_state(self.books.connection, *name)
                display_name, opening = first[name].portfolio_name, cash[name.tenant_id]
                portfolio = build_portfolio(
                    new_row_id(),
                    name.tenant_id,
                    display_name,
                    name.name_key,
                    opening_cash=opening,
                    trading_state=state,
                )
                self.books.add_hypothetical(portfolio)
                self._new[portfolio.key] = build_portfolio_row(portfolio, first[name].origin.at)
                prepared[name] = portfolio.id
        return prepared

    def _cache_ids(self, found: dict[PortfolioNameKey, int]) -> None:
        # Only portfolios that existed before this transaction: a new one may still be rolled back.
        if len(self._cached_ids) + len(found) > _MAX_CACHED_PORTFOLIOS:
            self._cached_ids.clear()
        self._cached_ids.update(found)

    def _lock_and_index_request_keys(self, commands: Sequence[Command]) -> None:
        """Lock the request keys of the commands, and read the rows that were recorded with them.

        Whoever records a row with such a key holds its lock until the commit.
        """
        keys = [key for key in map(build_request_key, commands) if key]
        for row in map(format_trade, queries.lock_trades_by_key(self.books.connection, keys)):
            self.rows_by_request_key.setdefault(
                RequestKey(row.tenant_id, row.kind, row.idempotency_key or ""), []
            ).append(row)

    def _position_keys(self) -> Iterable[PositionKey]:
        for command in self._records:
            portfolio_id = self._ids.get(_name(command))
            if portfolio_id is not None:
                yield PositionKey(command.origin.tenant_id, portfolio_id, command.symbol, command.product)
        for row in self.originals.values():
            yield row.position_key


def build_request_key(command: Command) -> RequestKey | None:
    """Return the key of the command's request, None without an idempotency key."""
    key = command.origin.idempotency_key
    return RequestKey(command.origin.tenant_id, command.kind, key) if key else None


def _name(command: RecordTrade) -> PortfolioNameKey:
    return PortfolioNameKey(command.origin.tenant_id, command.portfolio_name_key)


def build_portfolio(
    portfolio_id: int,
    tenant_id: int,
    name: str,
    name_key: str,
    *,
    opening_cash: Decimal,
    trading_state: str = "ACTIVE",
) -> PortfolioState:
    """Return a new paper portfolio without trades. `opening_cash` is in its base currency."""
    return PortfolioState(
        id=portfolio_id,
        tenant_id=tenant_id,
        name=name,
        name_key=name_key,
        cash=opening_cash,
        realized_pnl=ZERO,
        total_trades=0,
        total_buys=0,
        last_sequence=0,
        last_hash=GENESIS,
        last_trade_id=None,
        last_created_at=None,
        kind="paper",
        trading_state=trading_state,
        orders_stamp="",
        base_currency=BASE_CURRENCY,
        cost_schedule="none",
        fee_totals=None,
    )


def build_portfolio_row(portfolio: PortfolioState, at: datetime) -> tuple[str | int, ...]:
    """Return the row of a portfolio that is created at `at`."""
    cash = format_fixed(portfolio.cash)
    naming = (portfolio.tenant_id, portfolio.name, portfolio.name_key)
    terms = (portfolio.base_currency, portfolio.kind)
    counters = (format_fixed(ZERO), 0, 0, 0, GENESIS)
    return (
        portfolio.id,
        *naming,
        *terms,
        cash,
        cash,
        *counters,
        format_timestamp(at),
        portfolio.trading_state,
    )
