"""The portfolios and positions of a batch: locked, loaded once, changed in memory, written together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Connection

from app.column_values import convert_instant, parse_decimal
from app.costs.rules.markets import MARKETS
from app.database import execute_writes
from app.database.bulk import BulkWrite, Row
from app.events.rules import NewEvent
from app.events.service.outbox import build_packed_insert
from app.ids import SortableIds
from app.instruments.rules import InstrumentKey
from app.ledger.errors import AmountTooLarge
from app.ledger.queries import books as queries
from app.ledger.rules.accounting import FLAT, Position, find_fill_currency
from app.ledger.rules.cash import CashKind, CashRow, build_cash_payload, build_cash_row, compute_moved_amount
from app.ledger.rules.chain import GENESIS, HASH_VERSION, TradeRow, hash_of
from app.ledger.rules.event_payloads import build_position_payload, build_trade_payload
from app.ledger.rules.keys import PortfolioKey, PositionKey
from app.ledger.rules.settings import schedule_for
from app.ledger.service.commands import Origin
from app.money import DIGITS, PLACES, ZERO, format_fixed
from app.timestamps import BEFORE_ALL, Timestamp, format_timestamp

MAX_AMOUNT = Decimal(10) ** (DIGITS - PLACES - 1)  # a tenth of a column's maximum, so that a sum of two fits


@dataclass(slots=True)
class PortfolioState:
    """A locked portfolio as the batch sees it.

    `last_created_at` is canonical text. `orders_stamp` changes when an open order changes or projections are
    repaired: see `service.stamps`. `cost_schedule` and `fee_totals` are as in `costs.rules.booking`; the
    settings after them as in `ledger.models.Portfolio`.
    """

    id: int
    tenant_id: int
    name: str
    name_key: str
    cash: Decimal
    realized_pnl: Decimal
    total_trades: int
    total_buys: int
    last_sequence: int
    last_hash: str
    last_trade_id: str | None
    last_created_at: Timestamp | None
    kind: str
    trading_state: str
    orders_stamp: str
    base_currency: str
    cost_schedule: str
    fee_totals: str | None
    cost_schedules: str | None = None
    calendar: str | None = None
    enforce_sessions: str = "off"
    approval: str | None = None
    participation: Decimal | None = None
    slippage: Decimal | None = None
    moved_cash: Decimal = ZERO
    cash_sequence: int = 0
    cash_hash: str = GENESIS
    broker: str = "paper"
    broker_connection: str | None = None
    when_broker_down: str = "refuse"

    @property
    def key(self) -> PortfolioKey:
        """The key of the portfolio."""
        return PortfolioKey(self.tenant_id, self.id)

    def schedule_in(self, exchange: str) -> str:
        """Return the cost schedule of trades at an exchange. `exchange` may be empty."""
        market = MARKETS.get(exchange)
        return schedule_for(self.cost_schedule, self.cost_schedules, None if market is None else market.code)


class Entry(NamedTuple):
    """The values of a ledger row that do not come from its portfolio's state. Amounts are decimals.

    `price` and `gmv` are in `currency` (None: the portfolio's own), `fx_rate` is the price of one unit of it.
    `executed_at` is None if it is the time of recording. `fee_totals` are the portfolio's after the row, None
    if they do not change.
    """

    kind: str
    symbol: str
    product: str
    side: str
    quantity: Decimal
    price: Decimal
    gmv: Decimal
    charges: Decimal
    cash_delta: Decimal
    trades: int
    buys: int
    note: str | None
    reverses: str | None
    order_id: str | None = None
    currency: str | None = None
    fx_rate: Decimal | None = None
    executed_at: Timestamp | None = None
    backdated_reason: str | None = None
    fee_totals: str | None = None


class CashEntry(NamedTuple):
    """The values of a cash movement. `amount` is signed; the other fields are as in `rules.cash.CashRow`."""

    kind: CashKind
    amount: Decimal
    reason: str | None = None
    counterpart_id: int | None = None
    symbol: str | None = None
    day: str | None = None


Held = dict[PositionKey, Position]


class LedgerState:
    """The portfolios and positions of one batch in its transaction."""

    def __init__(self, connection: Connection, ids: SortableIds) -> None:
        self.connection = connection
        self._ids = ids
        # By tenant id and portfolio id, and symbol and product: plain tuples are faster than the key types.
        self.portfolios: dict[tuple[int, int], PortfolioState] = {}
        self._locked: list[PortfolioKey] = []
        self._positions: dict[tuple[int, int, str, str], Position] = {}
        self._listed: dict[InstrumentKey, str] = {}  # currencies of listed instruments
        self._exchanges: dict[InstrumentKey, str] = {}  # of the same instruments
        self._symbols: dict[InstrumentKey, str] = {}  # symbols of instruments by alias
        self._complete_positions: dict[
            PortfolioKey, Held
        ] = {}  # of portfolios whose positions are all loaded
        self._rows: list[TradeRow] = []
        self._outbox_items: list[TradeRow | NewEvent] = []  # for the outbox, in order
        self._cash_rows: list[CashRow] = []
        self._last_rows: dict[PositionKey, TradeRow] = {}  # the last row of each position
        self._changed_portfolios: set[PortfolioKey] = set()
        self.changes = 0  # the number of changes, written or not

    def lock(self, keys: Iterable[PortfolioKey]) -> None:
        """Lock and load the portfolios."""
        self._locked = self._add_states(queries.lock_portfolios(self.connection, sorted(set(keys))))

    def load_unlocked(self, keys: Iterable[PortfolioKey]) -> None:
        """Load portfolios without a lock, for reading. A repeated request may use an old name."""
        self._add_states(
            queries.load_portfolio_states(self.connection, sorted(set(keys) - self.portfolios.keys()))
        )

    def _add_states(self, rows: Iterable[tuple[Any, ...]]) -> list[PortfolioKey]:
        states = [_build_state(row) for row in rows]
        self.portfolios.update((state.key, state) for state in states)
        return [state.key for state in states]

    def add_hypothetical(self, state: PortfolioState) -> None:
        """Add a new portfolio that is not inserted yet."""
        self.portfolios[state.key] = state

    def load_positions(self, keys: Iterable[PositionKey]) -> None:
        """Load the positions that the batch may change. For an alias, load the position of its instrument."""
        renamed = self._load_positions(keys)
        if renamed:
            self._load_positions(renamed)

    def _load_positions(self, keys: Iterable[PositionKey]) -> list[PositionKey]:
        """Load positions. Return the keys with instruments' symbols for those that name an alias."""
        renamed = []
        for row in queries.load_positions(self.connection, list(set(keys) - self._positions.keys())):
            *_, currency, exchange, symbol = row
            key = PositionKey(*row[:4])
            if row[4] is not None:
                self._positions[key] = queries.parse_position(row[4:-3])
            if currency is not None:
                self._listed[key.instrument_key] = currency
                self._exchanges[key.instrument_key] = exchange
            if symbol is not None:
                self._symbols[key.instrument_key] = symbol
                renamed.append(key._replace(symbol=symbol))
        return renamed

    def symbol_of(self, tenant_id: int, symbol: str) -> str:
        """Return the instrument's symbol: the given one, unless it is a loaded alias."""
        return self._symbols.get(InstrumentKey(tenant_id, symbol), symbol) if self._symbols else symbol

    def load_all_positions(self, cached: Mapping[PortfolioKey, tuple[Held, int]]) -> set[PositionKey]:
        """Load every position of the portfolios, and return the keys of those that were read.

        `cached` are positions as of a sequence number of the ledger. Only positions that later trades changed
        are read. A portfolio without cached positions has the number -1. The caller must not use the cached
        dictionaries afterwards, because this batch changes them.
        """
        outdated = []
        for portfolio_key, (held, sequence) in cached.items():
            self._complete_positions[portfolio_key] = held
            self._positions.update(held.items())
            if sequence < self.portfolio(portfolio_key).last_sequence:
                outdated.append((*portfolio_key, sequence + 1))
        read = set()
        for row in queries.load_positions_since(self.connection, outdated):
            key, position = PositionKey(*row[:4]), queries.parse_position(row[4:])
            self._positions[key] = self._complete_positions[key.portfolio_key][key] = position
            read.add(key)
        return read

    def positions(self, portfolio_key: PortfolioKey) -> Held:
        """Return the positions of a portfolio whose positions are all loaded."""
        return self._complete_positions.get(portfolio_key, {})

    def portfolio(self, key: PortfolioKey) -> PortfolioState:
        """Return a locked portfolio."""
        return self.portfolios[key]

    def locked_portfolios(self) -> list[PortfolioState]:
        """Return the locked portfolios."""
        return [self.portfolios[key] for key in self._locked]

    def position(self, key: tuple[int, int, str, str]) -> Position:
        """Return a loaded position, flat if there is none."""
        return self._positions.get(key, FLAT)

    def get_new_price(self, key: PositionKey) -> Decimal | None:
        """Return the price of the last trade that this batch made in a position, None if it made none."""
        row = self._last_rows.get(key)
        return None if row is None else Decimal(row.price)

    def currency_of(self, portfolio: PortfolioState, key: PositionKey) -> str | None:
        """Return the currency of a trade in a loaded position, None for the portfolio's own."""
        listed = self._listed.get(key.instrument_key) if self._listed else None
        return find_fill_currency(self.position(key), listed, portfolio.base_currency)

    def exchange_of(self, tenant_id: int, symbol: str) -> str:
        """Return the exchange of an instrument whose position was loaded, empty if it has none."""
        return self._exchanges.get(InstrumentKey(tenant_id, symbol), "") if self._exchanges else ""

    def append(self, portfolio: PortfolioState, origin: Origin, entry: Entry, after: Position) -> TradeRow:
        """Append a row to the ledger's hash chain and update the projections. Raises AmountTooLarge."""
        portfolio_key = portfolio.key
        key = PositionKey(*portfolio_key, entry.symbol, entry.product)
        before = self.position(key)
        amounts = (portfolio.cash + entry.cash_delta, after.cost, after.quantity, after.local_cost)
        if max(map(abs, amounts)) >= MAX_AMOUNT:
            raise AmountTooLarge(portfolio.name)
        self.changes += 1
        portfolio.cash += entry.cash_delta
        portfolio.realized_pnl += after.realized_pnl - before.realized_pnl
        portfolio.total_trades += entry.trades
        portfolio.total_buys += entry.buys
        portfolio.last_sequence += 1
        portfolio.fee_totals = entry.fee_totals or portfolio.fee_totals
        at = format_timestamp(origin.at)
        portfolio.last_created_at = max(at, portfolio.last_created_at or BEFORE_ALL)
        portfolio.last_trade_id = self._ids.next(portfolio.tenant_id, origin.at, portfolio.last_trade_id)
        row = _build_trade_row(portfolio, origin, at, entry, before, after)
        portfolio.last_hash = row.hash
        self._positions[key] = after
        if portfolio_key in self._complete_positions:
            self._complete_positions[portfolio_key][key] = after
        self._last_rows[key] = row
        self._changed_portfolios.add(portfolio_key)
        self._rows.append(row)
        self._outbox_items.append(row)
        return row

    def add_event(self, event: NewEvent) -> None:
        """Add an event to the outbox that is not about a trade."""
        self._outbox_items.append(event)

    def append_cash(self, portfolio: PortfolioState, origin: Origin, entry: CashEntry) -> CashRow:
        """Append a row to the cash ledger's hash chain and update the cash. Raises AmountTooLarge."""
        if abs(portfolio.cash + entry.amount) >= MAX_AMOUNT:
            raise AmountTooLarge(portfolio.name)
        self.changes += 1
        portfolio.cash += entry.amount
        portfolio.moved_cash += compute_moved_amount(entry.kind, entry.amount)
        portfolio.cash_sequence += 1
        values = (
            *(portfolio.tenant_id, portfolio.id, portfolio.cash_sequence, entry.kind.value),
            *(format_fixed(entry.amount), portfolio.base_currency, format_fixed(portfolio.cash)),
            *(portfolio.last_sequence, entry.counterpart_id, entry.symbol, entry.day, entry.reason),
            *(
                origin.source,
                origin.actor,
                origin.request_id,
                origin.idempotency_key,
                format_timestamp(origin.at),
            ),
        )
        row = build_cash_row(values, portfolio.cash_hash)
        portfolio.cash_hash = row.hash
        self._cash_rows.append(row)
        header = (row.tenant_id, row.created_at, f"cash {portfolio.id} {row.sequence}")
        self._outbox_items.append(
            _build_event(header, f"cash.{row.kind}", build_cash_payload(row, portfolio.name))
        )
        return row

    def has_cash_movement(
        self, portfolio: PortfolioState, kind: CashKind, symbol: str | None, day: str
    ) -> bool:
        """Return whether the portfolio has a movement of that kind, symbol and day, written or not."""
        key = (portfolio.tenant_id, portfolio.id, kind.value, symbol, day)
        return any(
            (row.tenant_id, row.portfolio_id, row.kind, row.symbol, row.day) == key for row in self._cash_rows
        ) or queries.has_cash_movement(self.connection, *key)

    def stamp(self, portfolio_key: PortfolioKey, stamp: str) -> None:
        """Set the orders stamp of a locked portfolio whose orders changed."""
        self.portfolios[portfolio_key].orders_stamp = stamp
        self._changed_portfolios.add(portfolio_key)

    def flush(self, *others: BulkWrite) -> None:
        """Write the changes so far, together with `others`."""
        portfolios = [_build_portfolio_update(self.portfolios[key]) for key in self._changed_portfolios]
        moved = {PortfolioKey(row.tenant_id, row.portfolio_id) for row in self._cash_rows}
        execute_writes(
            self.connection,
            queries.insert_trades(self._rows),
            queries.insert_cash_movements(self._cash_rows),
            queries.build_position_upsert([self._position_row(key) for key in self._last_rows]),
            queries.update_portfolios_and_stamps(portfolios),
            queries.update_cash([_build_cash_update(self.portfolios[key]) for key in sorted(moved)]),
            build_packed_insert(self._build_events()),
            *others,
        )
        for written in (
            self._rows,
            self._cash_rows,
            self._outbox_items,
            self._last_rows,
            self._changed_portfolios,
        ):
            written.clear()

    def _build_events(self) -> list[NewEvent]:
        """Return the events in order. The last trade of a position is followed by the position."""
        events: list[NewEvent] = []
        for outbox_item in self._outbox_items:
            if isinstance(outbox_item, NewEvent):
                events.append(outbox_item)
                continue
            name = self.portfolios[outbox_item.tenant_id, outbox_item.portfolio_id].name
            header = (
                outbox_item.tenant_id,
                outbox_item.created_at,
                outbox_item.order_id or outbox_item.trade_id,
            )
            events.append(_build_event(header, "trade.recorded", build_trade_payload(outbox_item, name)))
            if self._last_rows[outbox_item.position_key] is outbox_item:
                events.append(
                    _build_event(header, "position.changed", build_position_payload(outbox_item, name))
                )
        return events

    def _position_row(self, key: PositionKey) -> Row:
        row = self._last_rows[key]
        amounts = (row.position_quantity, row.position_cost, row.position_realized_pnl)
        position = self._positions[key]
        local = (row.currency, row.position_local_cost)
        return (*key, *amounts, row.sequence, *local, *position.times)


def _build_event(header: tuple[int, Timestamp, str], type_: str, payload: str) -> NewEvent:
    tenant_id, created_at, subject = header
    return NewEvent(tenant_id, type_, payload, created_at, subject)


def _build_trade_row(
    state: PortfolioState, origin: Origin, at: Timestamp, entry: Entry, before: Position, after: Position
) -> TradeRow:
    fields = (
        state.tenant_id,
        state.last_trade_id,
        state.id,
        state.last_sequence,
        entry.kind,
        entry.symbol,
        entry.product,
        entry.side,
        format_fixed(entry.quantity),
        format_fixed(entry.price),
        format_fixed(entry.gmv),
        format_fixed(entry.charges),
        format_fixed(after.realized_pnl - before.realized_pnl),
        origin.user_label,
        origin.source,
        entry.order_id,
        entry.note,
        *(origin.idempotency_key, origin.request_hash, entry.reverses),
        entry.executed_at or at,
        state.last_created_at,
        format_fixed(after.quantity - before.quantity),
        format_fixed(after.cost - before.cost),
        format_fixed(entry.cash_delta),
        format_fixed(after.quantity),
        format_fixed(after.cost),
        format_fixed(after.realized_pnl),
        state.total_trades,
        state.total_buys,
        format_fixed(state.realized_pnl),
        format_fixed(state.cash),
        origin.actor,
        origin.request_id,
        *(_NOT_LOCAL if entry.fx_rate is None else _build_local_amounts(entry, entry.fx_rate, before, after)),
        entry.backdated_reason,
        HASH_VERSION,
    )
    return TradeRow._make((*fields, hash_of(fields, state.last_hash)))


_NOT_LOCAL = (None, None, None, None)


def _build_local_amounts(
    entry: Entry, fx_rate: Decimal, before: Position, after: Position
) -> tuple[str | None, ...]:
    delta = after.local_cost - before.local_cost
    return (entry.currency, format_fixed(fx_rate), format_fixed(delta), format_fixed(after.local_cost))


def _build_portfolio_update(state: PortfolioState) -> Row:
    amounts = (format_fixed(state.cash), format_fixed(state.realized_pnl))
    chain = (state.last_sequence, state.last_hash, state.last_trade_id, state.last_created_at)
    counts = (state.total_trades, state.total_buys)
    return (*amounts, *counts, *chain, state.orders_stamp, state.fee_totals, state.tenant_id, state.id)


def _build_cash_update(state: PortfolioState) -> Row:
    chain = (state.cash_sequence, state.cash_hash)
    return (format_fixed(state.cash), format_fixed(state.moved_cash), *chain, state.tenant_id, state.id)


def _build_state(row: tuple[Any, ...]) -> PortfolioState:
    """Return the state of a `STATE` row. PostgreSQL returns decimals and datetimes, SQLite text."""
    values = dict(zip(queries.STATE, row, strict=True))
    for name in ("cash", "realized_pnl", "moved_cash", "participation", "slippage"):
        values[name] = parse_decimal(values[name])
    values["last_created_at"] = convert_instant(values["last_created_at"])
    return PortfolioState(**values)
