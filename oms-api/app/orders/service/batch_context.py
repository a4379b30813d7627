"""The state that a batch of order commands shares: books, orders, prices and limits, read under the locks."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from app.audit.service import AuditEntry, record
from app.brokers.rules.settings import IDEAL_MARKET, PaperSettings
from app.calendars.service import Calendars
from app.database.bulk import Write
from app.database.versioned_cache import VersionedCache
from app.ids import TradeIds
from app.instruments.queries import find_instruments
from app.instruments.rules import Instrument, InstrumentKey
from app.ledger.rules.accounting import Position
from app.ledger.rules.keys import HoldingKey, PortfolioKey, PositionKey
from app.ledger.service.batch import Batch
from app.ledger.service.books import Books, Held, PortfolioState
from app.ledger.service.commands import Origin
from app.market_data.rules.values import Quote
from app.market_data.service import Market
from app.metrics import Metrics
from app.orders.errors import NoSuchOrder
from app.orders.queries import book as queries
from app.orders.rules.approvals import ApprovalRequest
from app.orders.rules.trading_sessions import Enforcement, get_enforcement
from app.orders.rules.values import Order, OrderKey
from app.orders.service.loss_baselines import BaselineCache, create_baseline_cache, read_loss_baselines
from app.orders.service.open_orders import OpenOrders, RecentOrders, open_order_cache
from app.orders.service.order_store import OrderStore
from app.risk.queries.losses import BaselineReader
from app.risk.queries.switches import switches_of
from app.risk.rules.latches import Holder, Latch
from app.risk.rules.switches import ALL_ACTIVE, Switches, SwitchScope, strictest
from app.risk.rules.values import NOTHING, SymbolBook, Totals, TradingState
from app.risk.service.controls import Controls
from app.risk.service.messages import MessageRate

MAX_BOOKS = 5_000  # cached portfolios


@dataclass(slots=True)
class Exposure:
    """A portfolio's books by position, the quotes and instruments that they were valued with, and the sum.

    Between batches, `held` and `orders` are the positions and open orders that it was computed from, and
    `stale` are those that changed after the last valuation.
    """

    books: dict[HoldingKey, SymbolBook] = field(default_factory=dict)
    valued_with: dict[HoldingKey, tuple[Quote | None, Instrument]] = field(default_factory=dict)
    rates: dict[HoldingKey, Decimal] = field(default_factory=dict)  # only of other currencies
    stale: set[HoldingKey] = field(default_factory=set)
    total: Totals = NOTHING
    held: Held = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)

    def find_differences(self, held: Held, orders: dict[str, Order]) -> set[HoldingKey]:
        """Return the positions whose quantity, cost or open orders are others than in `held` and `orders`."""
        found: set[HoldingKey] = set()
        if held is not self.held:
            found |= {
                key.holding_key
                for key in held.keys() | self.held.keys()
                if held.get(key) != self.held.get(key)
            }
        if orders is not self.orders:
            for order_id in orders.keys() | self.orders.keys():
                pair = (orders.get(order_id), self.orders.get(order_id))
                if pair[0] != pair[1]:
                    found |= {order.holding_key for order in pair if order is not None}
        return found


@dataclass(frozen=True, slots=True)
class BatchServices:
    """The services that all batches of a process share."""

    market: Market
    controls: Controls
    paper: PaperSettings = IDEAL_MARKET
    calendars: Calendars = field(default_factory=Calendars.load)
    enforce_sessions: str = "off"  # the environment's setting, for portfolios without one
    rate: MessageRate = field(default_factory=MessageRate)
    read_loss_baselines: BaselineReader = read_loss_baselines
    order_ids: TradeIds = field(default_factory=lambda: TradeIds("O"))
    latch_ids: TradeIds = field(default_factory=lambda: TradeIds("L"))
    open_orders: VersionedCache[PortfolioKey, OpenOrders] = field(default_factory=open_order_cache)
    positions: VersionedCache[PortfolioKey, Held] = field(default_factory=lambda: VersionedCache(MAX_BOOKS))
    loss_baselines: BaselineCache = field(default_factory=create_baseline_cache)
    exposures: VersionedCache[PortfolioKey, Exposure] = field(
        default_factory=lambda: VersionedCache(MAX_BOOKS)
    )  # by the version of the marks that people set; otherwise compared with what they were computed from
    metrics: Metrics | None = None


class BatchContext:
    """The state of one batch."""

    def __init__(
        self, batch: Batch, services: BatchServices, now: datetime, messages: dict[int, int] | None = None
    ) -> None:
        self.batch = batch
        self.now = now  # the newest request time of the batch
        self.services = services
        self.books: Books = batch.books
        self.connection: Connection = batch.books.connection
        self.order_store = OrderStore(self.books, services.open_orders)
        self.arrivals: list[Order] = []  # released orders that are not matched yet
        self.writes: list[Write] = []  # further statements of the batch
        self.entries: list[AuditEntry] = []  # audit entries, written last
        self.request_id: str | None = None  # of the current command, None for a quote
        self.approval_requests: dict[OrderKey, ApprovalRequest] = {}  # loaded, and of this batch
        self.latched: dict[tuple[int, Holder], Latch] = {}  # set by this batch: see `execution_latch`
        self.last_trade_prices: dict[PositionKey, Decimal] = {}  # see `marks`
        self.repeats: dict[tuple[int, Holder], set[str]] = {}  # ids of recently executed orders
        # The values of the keys are idempotency keys, and "/" + client order ids.
        self.orders_by_request_key: dict[queries.OrderName, list[Order]] = {}
        self.repeat_keys: set[queries.RepeatKey] = set()  # of the orders of the batch
        self.recent_orders: dict[queries.RepeatKey, RecentOrders] = {}
        self.exposures: dict[PortfolioKey, Exposure] = {}  # see `exposure`
        self.unlocked_totals: dict[int, Any] = {}  # by tenant, then currency: see `aggregates`
        self.firm_currencies: dict[int, str] = {}  # by tenant
        # Executions of earlier batches by (tenant id, symbol, time of the quote).
        self.consumed_liquidity: dict[tuple[int, str, str], list[tuple[Any, ...]]] = {}
        self._counted_messages = {} if messages is None else messages  # by command, over all its attempts
        self._command, self._messages = 0, 0  # the current command, and its messages in this attempt
        self._marks_version = str(services.market.overrides.version)
        self._quotes: dict[InstrumentKey, Quote | None] = {}
        self._instruments: dict[InstrumentKey, Instrument] = {}
        self._switches: dict[int, Switches] = {}

    def load(self, portfolio_keys: Iterable[PortfolioKey], symbols: Iterable[InstrumentKey]) -> None:
        """Load the locked portfolios, and the quotes that risk checks need."""
        keys = sorted(set(portfolio_keys))
        stamps = {portfolio_key: self.books.portfolio(portfolio_key).orders_stamp for portfolio_key in keys}
        self.order_store.load(stamps)
        self._load_positions(stamps)
        needed = {*symbols}
        for portfolio_key in keys:
            held = self.books.positions(portfolio_key).items()
            needed |= {key.instrument_key for key, position in held if position.quantity}
            needed |= {
                InstrumentKey(portfolio_key.tenant_id, symbol)
                for symbol in self.order_store.symbols_in(portfolio_key)
            }
        self.load_quotes(sorted(needed))
        for portfolio_key in keys:
            self._load_cached_exposure(portfolio_key)
        self._load_switches(*sorted({portfolio_key.tenant_id for portfolio_key in keys}))
        if any(map(self._enforces_sessions, keys)):
            self.services.calendars.refresh(self.connection)

    def _enforces_sessions(self, portfolio_key: PortfolioKey) -> bool:
        state = self.books.portfolio(portfolio_key)
        setting = get_enforcement(state.enforce_sessions, self.services.enforce_sessions, state.kind)
        return setting is not Enforcement.OFF

    def _load_positions(self, stamps: dict[PortfolioKey, str]) -> None:
        missing = []
        for portfolio_key, stamp in stamps.items():
            held = self.services.positions.take(portfolio_key, self._version_of(portfolio_key, stamp))
            if held is None:
                missing.append(portfolio_key)
            else:
                self.books.take_positions(portfolio_key, held)
        self.books.load_all_positions(missing)

    def _load_cached_exposure(self, portfolio_key: PortfolioKey) -> None:
        """Reuse the portfolio's last exposure. Positions that differ are marked for revaluation.

        Another process may have changed the portfolio since. Most of its positions are the same nevertheless.
        """
        exposure = self.services.exposures.take(portfolio_key, self._marks_version)
        if exposure is None:
            return
        self.exposures[portfolio_key] = exposure
        revalued = {
            holding_key
            for holding_key, (quote, instrument) in exposure.valued_with.items()
            if self._quotes.get(key := InstrumentKey(portfolio_key.tenant_id, holding_key.symbol), quote)
            != quote
            or self._instruments.get(key, instrument) != instrument
        }
        held, orders = self.books.positions(portfolio_key), self.order_store.find_open(portfolio_key)
        self.order_store.dirty[portfolio_key] = (
            exposure.stale | revalued | exposure.find_differences(held, orders)
        )

    def _version_of(self, portfolio_key: PortfolioKey, stamp: str) -> str:
        """Return the version of a portfolio's books and orders, for the caches.

        The last hash changes with each trade. The stamp changes when an order changes or a position is
        repaired. Together they identify one state.
        """
        return f"{self.books.portfolio(portfolio_key).last_hash} {stamp}"

    def update_caches(self) -> None:
        """Cache the state after the flush for the next batch."""
        for portfolio_key in self.order_store.portfolio_keys:
            version = self._version_of(portfolio_key, self.order_store.stamp_of(portfolio_key))
            self.services.positions.put(portfolio_key, version, self.books.positions(portfolio_key))
            exposure = self.exposures.get(portfolio_key)
            if exposure is not None:
                exposure.stale = self.order_store.dirty.get(portfolio_key, set())
                exposure.held = self.books.positions(portfolio_key)
                exposure.orders = self.order_store.find_open(portfolio_key)
                self.services.exposures.put(portfolio_key, self._marks_version, exposure)

    def load_quotes(self, keys: Sequence[InstrumentKey]) -> None:
        """Load quotes and instruments that are not loaded yet."""
        missing = [key for key in keys if key not in self._quotes]
        if missing:
            found = self.services.market.quotes_for(self.connection, missing, self.now)
            self._quotes.update((key, found.get(key)) for key in missing)
            self._instruments.update(find_instruments(self.connection, missing))

    def _load_switches(self, *tenants: int) -> None:
        missing = [tenant_id for tenant_id in tenants if tenant_id not in self._switches]
        if missing:
            self._switches.update(switches_of(self.connection, missing))
            self.services.controls.refresh(self.connection, missing, self.now)
            self.services.controls.refresh_latches(self.connection, missing)

    def begin(self, command: int, request_id: str | None) -> None:
        """Begin a command, given its identity and the id of its request."""
        self.request_id = request_id
        self._command, self._messages = command, 0

    def count_message(self, sender: Hashable, per_minute: Decimal | None) -> None:
        """Count a message of the command, only once if the command is retried. Raises TooManyMessages."""
        self._messages += 1
        if self._messages > self._counted_messages.get(self._command, 0):
            self.services.rate.take(sender, per_minute)
            self._counted_messages[self._command] = self._messages

    def quote(self, tenant_id: int, symbol: str) -> Quote | None:
        """Return the symbol's quote, None if there is none."""
        key = InstrumentKey(tenant_id, symbol)
        if key not in self._quotes:
            self.load_quotes([key])
        return self._quotes[key]

    def apply_quote(self, tenant_id: int, quote: Quote) -> None:
        """Use a quote that has just arrived, and mark its positions for revaluation."""
        instrument_key = InstrumentKey(tenant_id, quote.symbol)
        self.load_quotes([instrument_key])
        if self._quotes[instrument_key] != quote:
            self._quotes[instrument_key] = quote
            for portfolio_key, exposure in self.exposures.items():
                if portfolio_key.tenant_id == tenant_id:
                    holding_keys = {key for key in exposure.books if key.symbol == quote.symbol}
                    self.order_store.dirty.setdefault(portfolio_key, set()).update(holding_keys)

    def instrument(self, tenant_id: int, symbol: str) -> Instrument:
        """Return the instrument, with default rules if it is not listed."""
        key = InstrumentKey(tenant_id, symbol)
        if key not in self._instruments:
            self.load_quotes([key])
        return self._instruments[key]

    def get_portfolio_key(self, tenant_id: int, name: str, portfolio_key: str) -> PortfolioKey:
        """Return the key of the portfolio with that name. Raises NoSuchPortfolio."""
        return self.batch.open_portfolio(tenant_id, name, portfolio_key).key

    @property
    def changes(self) -> int:
        """The number of changes so far. It differs after any change."""
        return self.books.changes + self.order_store.changes + len(self.entries)

    def portfolio(self, order: Order) -> PortfolioState:
        """Return the order's portfolio."""
        return self.books.portfolio(order.portfolio_key)

    def position(self, order: Order) -> Position:
        """Return the position in the order's symbol and product."""
        return self.books.position(order.position_key)

    def sees(self, origin: Origin, portfolio_key: PortfolioKey) -> bool:
        """Return whether the caller may see the portfolio."""
        return origin.portfolios is None or self.books.portfolio(portfolio_key).name_key in origin.portfolios

    def order_for(self, origin: Origin, order_id: str) -> Order:
        """Return an order. Raises NoSuchOrder, also if the caller may not see its portfolio."""
        order = self.order_store.get(origin.tenant_id, order_id)
        if not self.sees(origin, order.portfolio_key):
            raise NoSuchOrder(order_id)
        return order

    def state(self, order: Order) -> tuple[TradingState, str]:
        """Return the strictest trading state of the kill switches that apply to the order, and its scope."""
        portfolio = self.portfolio(order)
        switches = self._switches.get(order.tenant_id, ALL_ACTIVE)
        state, scope = switches.state(portfolio.name_key, order.strategy)
        own = TradingState(portfolio.trading_state)  # kept when the portfolio is renamed
        return (own, SwitchScope.PORTFOLIO) if strictest(state, own) is not state else (state, scope)

    def is_any_halted(self, portfolio_key: PortfolioKey) -> bool:
        """Return whether the portfolio, or any kill switch of its tenant, is HALTED."""
        if self.books.portfolio(portfolio_key).trading_state == TradingState.HALTED:
            return True
        return TradingState.HALTED in self._switches.get(portfolio_key.tenant_id, ALL_ACTIVE).states.values()

    def has_request_key(self, order: Order, request_key: str) -> bool:
        """Return whether the order was changed under that idempotency key."""
        return queries.has_request_key(self.connection, order.tenant_id, order.id, request_key)

    def index_request_keys(self, orders: Iterable[Order]) -> None:
        """Index recorded orders by client order id and by idempotency key."""
        for order in orders:
            for name in filter(None, (f"/{order.client_order_id}", order.idempotency_key)):
                key = queries.OrderName(order.tenant_id, name)
                self.orders_by_request_key.setdefault(key, []).append(order)

    def flush(self) -> None:
        """Write all changes of the batch."""
        self.batch.insert_portfolios()
        for portfolio_key, stamp in self.order_store.stamp().items():
            self.books.stamp(portfolio_key, stamp)
        self.books.flush(*self.order_store.writes(), *self.writes)
        if self.entries:
            record(self.connection, self.entries)


def shortest(amount: Decimal) -> str:
    """Return an amount without trailing zeros, for messages."""
    text = f"{amount:.8f}"
    return text.rstrip("0").rstrip(".")
