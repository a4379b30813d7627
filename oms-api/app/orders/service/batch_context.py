"""What a batch of order commands works on: books, orders, prices and limits, as they are under the locks."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from app.audit.service import AuditEntry, record
from app.brokers.rules.settings import KIND, PaperSettings
from app.database.bulk import Write
from app.database.versioned_cache import VersionedCache
from app.ids import TradeIds
from app.instruments.queries import find_instruments
from app.instruments.rules import Instrument
from app.ledger.rules.accounting import Position
from app.ledger.service.batch import Batch
from app.ledger.service.books import Books, Held, PortfolioState
from app.ledger.service.commands import Origin
from app.market_data.rules.values import Quote
from app.market_data.service import Market
from app.orders.errors import NoSuchOrder
from app.orders.queries import book as queries
from app.orders.rules.values import Order
from app.orders.service.open_orders import OpenOrders, open_order_cache
from app.orders.service.order_store import OrderStore
from app.risk.queries.switches import switches_of
from app.risk.rules.latches import Holder, Latch
from app.risk.rules.switches import ALL_ACTIVE, Switches, SwitchScope, strictest
from app.risk.rules.values import NOTHING, SymbolBook, Totals, TradingState
from app.risk.service.controls import Controls
from app.risk.service.messages import MessageRate

InstrumentKey = tuple[int, str]  # tenant id, symbol
PortfolioKey = tuple[int, int]  # tenant id, portfolio id
PositionKey = tuple[str, str]  # symbol, product

MAX_BOOKS = 5_000  # cached portfolios


@dataclass(slots=True)
class Exposure:
    """A portfolio's books, symbol by symbol, with the quotes that they are valued at, and their sum.

    `stale` are those that changed after a batch looked at them last.
    """

    books: dict[PositionKey, SymbolBook] = field(default_factory=dict)
    quotes: dict[PositionKey, Quote | None] = field(default_factory=dict)
    rates: dict[PositionKey, Decimal] = field(default_factory=dict)  # of what is in another currency
    stale: set[PositionKey] = field(default_factory=set)
    total: Totals = NOTHING


@dataclass(frozen=True, slots=True)
class BatchServices:
    """What every batch of a process uses."""

    market: Market
    controls: Controls
    paper: PaperSettings = KIND
    rate: MessageRate = field(default_factory=MessageRate)
    order_ids: TradeIds = field(default_factory=lambda: TradeIds("O"))
    latch_ids: TradeIds = field(default_factory=lambda: TradeIds("L"))
    open_orders: VersionedCache[PortfolioKey, OpenOrders] = field(default_factory=open_order_cache)
    positions: VersionedCache[PortfolioKey, Held] = field(default_factory=lambda: VersionedCache(MAX_BOOKS))
    exposures: VersionedCache[PortfolioKey, Exposure] = field(
        default_factory=lambda: VersionedCache(MAX_BOOKS)
    )


class BatchContext:
    """One batch."""

    def __init__(
        self, batch: Batch, tools: BatchServices, now: datetime, messages: dict[int, int] | None = None
    ) -> None:
        self.batch = batch
        self.now = now  # the newest instant at which something of the batch was asked for
        self.tools = tools
        self.books: Books = batch.books
        self.connection: Connection = batch.books.connection
        self.order_store = OrderStore(self.books, tools.open_orders)
        self.arrivals: list[Order] = []  # released orders that have yet to meet the market
        self.writes: list[Write] = []  # what else this batch writes
        self.entries: list[AuditEntry] = []  # what the audit trail is told, last of all
        self.request_id: str | None = None  # of the request that is being done; none of a quote's
        self.latched: dict[tuple[int, Holder], Latch] = {}  # set by this batch: see `latching`
        self.repeats: dict[tuple[int, Holder], set[str]] = {}  # orders that executed lately
        self.bound: dict[tuple[int, str], Order] = {}  # orders by client order id, or by idempotency key
        self.exposures: dict[PortfolioKey, Exposure] = {}  # see `exposing`
        self.elsewhere: dict[int, Any] = {}  # by tenant: see `aggregates`
        self.firm_currencies: dict[int, str] = {}  # by tenant
        self.used: dict[tuple[int, str, str], list[tuple[Any, ...]]] = {}  # of quotes, by earlier batches
        self._counted_messages = {} if messages is None else messages  # by command, of all its attempts
        self._command, self._messages = 0, 0  # the command that is done, its messages in this attempt
        self._quotes: dict[InstrumentKey, Quote | None] = {}
        self._instruments: dict[InstrumentKey, Instrument] = {}
        self._switches: dict[int, Switches] = {}

    def load(self, places: Iterable[PortfolioKey], symbols: Iterable[InstrumentKey]) -> None:
        """Load what stands in the locked portfolios, and the prices that judging it needs."""
        wanted = sorted(set(places))
        stamps = {place: self.books.portfolio(*place).orders_stamp for place in wanted}
        self.order_store.load(stamps)
        self._load_positions(stamps)
        needed = {*symbols}
        for place in wanted:
            held = self.books.positions(place).items()
            needed |= {(key[0], key[2]) for key, position in held if position.quantity}
            needed |= {(place[0], symbol) for symbol in self.order_store.symbols_in(place)}
        self.load_quotes(sorted(needed))
        for place in wanted:
            self._recall_exposure(place, stamps[place])
        self._load_switches(*sorted({tenant_id for tenant_id, _ in wanted}))

    def _load_positions(self, stamps: dict[PortfolioKey, str]) -> None:
        missing = []
        for place, stamp in stamps.items():
            held = self.tools.positions.take(place, self._version_of(place, stamp))
            if held is None:
                missing.append(place)
            else:
                self.books.take_positions(place, held)
        self.books.load_all_positions(missing)

    def _recall_exposure(self, place: PortfolioKey, stamp: str) -> None:
        """Take up what the portfolio was valued at last; what has another quote by now is valued anew."""
        exposure = self.tools.exposures.take(place, self._version_of(place, stamp))
        if exposure is None:
            return
        self.exposures[place] = exposure
        requoted = {
            position_key
            for position_key, quote in exposure.quotes.items()
            if self._quotes.get((place[0], position_key[0]), quote) != quote
        }
        self.order_store.dirty[place] = exposure.stale | requoted

    def _version_of(self, place: PortfolioKey, stamp: str) -> str:
        """Return the version of a portfolio's books: no two states share the last hash of its ledger and the
        stamp, which whoever changes its orders, or repairs its positions, writes anew.
        """
        return f"{self.books.portfolio(*place).last_hash} {stamp}"

    def remember(self) -> None:
        """Cache what the next batch can use, once this one is flushed."""
        for place in self.order_store.places:
            version = self._version_of(place, self.order_store.stamp_of(place))
            self.tools.positions.put(place, version, self.books.positions(place))
            exposure = self.exposures.get(place)
            if exposure is not None:
                exposure.stale = self.order_store.dirty.get(place, set())
                self.tools.exposures.put(place, version, exposure)

    def load_quotes(self, keys: Sequence[InstrumentKey]) -> None:
        """Read quotes and instruments that are not known yet."""
        missing = [key for key in keys if key not in self._quotes]
        if missing:
            found = self.tools.market.quotes_for(self.connection, missing, self.now)
            self._quotes.update((key, found.get(key)) for key in missing)
            self._instruments.update(find_instruments(self.connection, missing))

    def _load_switches(self, *tenants: int) -> None:
        missing = [tenant_id for tenant_id in tenants if tenant_id not in self._switches]
        if missing:
            self._switches.update(switches_of(self.connection, missing))
            self.tools.controls.refresh(self.connection, missing, self.now)
            self.tools.controls.refresh_latches(self.connection, missing)

    def begin(self, command: int, request_id: str | None) -> None:
        """Begin a command, by its identity, on behalf of a request."""
        self.request_id = request_id
        self._command, self._messages = command, 0

    def count_message(self, sender: Hashable, per_minute: Decimal | None) -> None:
        """Count a message of the command, once however often the command is tried. Raises TooManyMessages."""
        self._messages += 1
        if self._messages > self._counted_messages.get(self._command, 0):
            self.tools.rate.take(sender, per_minute)
            self._counted_messages[self._command] = self._messages

    def quote(self, tenant_id: int, symbol: str) -> Quote | None:
        """Return the symbol's quote, None where there is none."""
        key = (tenant_id, symbol)
        if key not in self._quotes:
            self.load_quotes([key])
        return self._quotes[key]

    def apply_quote(self, tenant_id: int, quote: Quote) -> None:
        """Take a quote that has just arrived."""
        self.load_quotes([(tenant_id, quote.symbol)])
        if self._quotes[tenant_id, quote.symbol] != quote:
            self._quotes[tenant_id, quote.symbol] = quote
            for place, exposure in self.exposures.items():
                if place[0] == tenant_id:
                    position_keys = {
                        position_key for position_key in exposure.books if position_key[0] == quote.symbol
                    }
                    self.order_store.dirty.setdefault(place, set()).update(position_keys)

    def instrument(self, tenant_id: int, symbol: str) -> Instrument:
        """Return the instrument; an unlisted one is as its rules say."""
        key = (tenant_id, symbol)
        if key not in self._instruments:
            self.load_quotes([key])
        return self._instruments[key]

    def place_named(self, tenant_id: int, name: str, portfolio_key: str) -> PortfolioKey:
        """Return the portfolio of that name. Raises NoSuchPortfolio."""
        return (tenant_id, self.batch.open_portfolio(tenant_id, name, portfolio_key).id)

    @property
    def changes(self) -> int:
        """Return a number that differs after whatever was changed in this batch."""
        return self.books.changes + self.order_store.changes + len(self.entries)

    def portfolio(self, order: Order) -> PortfolioState:
        """Return the order's portfolio."""
        return self.books.portfolio(order.tenant_id, order.portfolio_id)

    def position(self, order: Order) -> Position:
        """Return what is held of the order's symbol and product."""
        return self.books.position((order.tenant_id, order.portfolio_id, order.symbol, order.product))

    def sees(self, origin: Origin, place: PortfolioKey) -> bool:
        """Tell whether the portfolio is the caller's to see."""
        return origin.portfolios is None or self.books.portfolio(*place).name_key in origin.portfolios

    def order_for(self, origin: Origin, order_id: str) -> Order:
        """Return an order of the caller's. Raises NoSuchOrder, also for those of portfolios not theirs."""
        order = self.order_store.get(origin.tenant_id, order_id)
        if not self.sees(origin, (order.tenant_id, order.portfolio_id)):
            raise NoSuchOrder(order_id)
        return order

    def state(self, order: Order) -> tuple[TradingState, str]:
        """Return the strictest kill switch that holds for the order, and its scope."""
        portfolio = self.portfolio(order)
        switches = self._switches.get(order.tenant_id, ALL_ACTIVE)
        state, scope = switches.state(portfolio.name_key, order.strategy)
        own = TradingState(portfolio.trading_state)  # a portfolio that was renamed keeps what was said of it
        return (own, SwitchScope.PORTFOLIO) if strictest(state, own) is not state else (state, scope)

    def is_any_halted(self, place: PortfolioKey) -> bool:
        """Tell whether a kill switch of the portfolio, or any other of its tenant, says HALTED."""
        if self.books.portfolio(*place).trading_state == TradingState.HALTED:
            return True
        return TradingState.HALTED in self._switches.get(place[0], ALL_ACTIVE).states.values()

    def was_asked(self, order: Order, request_key: str) -> bool:
        """Tell whether something was done to the order under that idempotency key."""
        return queries.request_of(self.connection, order.tenant_id, order.id, request_key)

    def index_request_keys(self, orders: Iterable[Order]) -> None:
        """Bind the names of orders that stand already: what they are called, and which request made them."""
        for order in orders:
            self.bound[order.tenant_id, f"/{order.client_order_id}"] = order
            if order.idempotency_key:
                self.bound[order.tenant_id, order.idempotency_key] = order

    @property
    def proof(self) -> tuple[int, str, int, str] | None:
        """Return a row of an order's history that stands if, and only if, this batch was committed."""
        return self.order_store.proof

    def flush(self) -> None:
        """Write all that the batch did."""
        self.batch.insert_portfolios()
        for place, stamp in self.order_store.stamp().items():
            self.books.stamp(place, stamp)
        self.books.flush(*self.order_store.writes(), *self.writes, events=self.order_store.events)
        if self.entries:
            record(self.connection, self.entries)


def shortest(amount: Decimal) -> str:
    """Return an amount without trailing zeros, for words."""
    text = f"{amount:.8f}"
    return text.rstrip("0").rstrip(".")
