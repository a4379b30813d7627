"""The state that a batch of order commands shares: books, orders, prices and limits, read under the locks."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection

from app.audit.service import AuditEntry, record_entries
from app.brokers.rules.settings import IDEAL_MARKET, PaperSettings
from app.calendars.service import Calendars
from app.database.bulk import BulkWrite
from app.database.commit_status import get_row_version
from app.ids import SortableIds
from app.instruments.queries import load_instruments
from app.instruments.rules import Instrument, InstrumentKey
from app.ledger.rules.accounting import Position
from app.ledger.rules.keys import PortfolioKey
from app.ledger.service.batch import LedgerBatch
from app.ledger.service.commands import CommandOrigin
from app.ledger.service.portfolio_state import PortfolioState
from app.market_data.rules.values import Quote
from app.market_data.service import Market
from app.metrics import Metrics
from app.orders.errors import NoSuchOrder
from app.orders.rules.trading_sessions import Enforcement, get_enforcement
from app.orders.rules.values import Order
from app.orders.service.batch_state.loaded_state import (
    LoadedState,
    SymbolKey,
    SymbolState,
    build_symbol_state,
)
from app.orders.service.batch_state.loss_baselines import read_loss_baselines
from app.orders.service.batch_state.order_store import OrderStore
from app.orders.service.batch_state.portfolio_cache import PortfolioCache, PortfolioRisk, RecentValues
from app.orders.service.broker_request_notifier import BrokerRequestNotifier, CommittedOrder
from app.orders.service.commands import CommandNamingPortfolio
from app.orders.service.signal_orders import SignalBatchProtocol, SignalHandlerProtocol
from app.risk.queries.losses import LossBaselineReader
from app.risk.rules.latches import Latch, LatchSubject
from app.risk.rules.losses import LossBaseline
from app.risk.rules.switches import ALL_ACTIVE, ScopedTradingState, SwitchScope, get_strictest_state
from app.risk.rules.values import OrderLimits, TradingState
from app.risk.service.controls import Controls
from app.risk.service.messages import MessageRate


@dataclass(frozen=True, slots=True)
class BatchServices:
    """The services that all batches of a process share."""

    market: Market
    controls: Controls
    paper_settings: PaperSettings = IDEAL_MARKET
    calendars: Calendars = field(default_factory=Calendars.load)
    enforce_sessions: str = "off"  # the environment's setting, for portfolios without one
    message_rate: MessageRate = field(default_factory=MessageRate)
    read_loss_baselines: LossBaselineReader = read_loss_baselines
    broker_notifier: BrokerRequestNotifier = field(default_factory=BrokerRequestNotifier)
    order_ids: SortableIds = field(default_factory=lambda: SortableIds("O"))
    latch_ids: SortableIds = field(default_factory=lambda: SortableIds("L"))
    portfolios: PortfolioCache = field(default_factory=PortfolioCache)
    # The loss baselines: the version is the last hash of the portfolio's cash ledger.
    loss_baselines: RecentValues[PortfolioKey, LossBaseline | None] = field(default_factory=RecentValues)
    # The P&L of the day by tenant id, and in it by currency.
    firm_profits: RecentValues[int, dict[str, Decimal]] = field(default_factory=RecentValues)
    metrics: Metrics | None = None
    signals: "SignalHandlerProtocol[BatchContext] | None" = None


_ALL_ACTIVE = ScopedTradingState(TradingState.ACTIVE, SwitchScope.TENANT)


class BatchContext:
    """The state of one batch: the loaded state, and the changes by its commands.

    The ledger and the orders hold both. `flush` writes all changes.
    """

    def __init__(
        self,
        ledger: LedgerBatch,
        services: BatchServices,
        now: datetime,
        loaded: LoadedState | None = None,
        message_counts: dict[int, int] | None = None,
    ) -> None:
        self.ledger = ledger  # portfolios and positions, and their changes
        self.order_store = OrderStore(ledger)  # orders, and their changes
        self.loaded = loaded or LoadedState()  # all else that the commands read
        self.now = now  # the newest request time of the batch
        self.services = services
        self.connection: Connection = ledger.connection
        # The changes by the commands, besides the ledger and the orders.
        self.released_orders: list[Order] = []  # child orders that are not matched yet
        self.extra_writes: list[BulkWrite] = []  # further statements of the batch
        self.audit_entries: list[AuditEntry] = []  # written last
        self.new_latches: dict[tuple[int, LatchSubject], Latch] = {}  # see `execution_latch`
        self.has_broker_requests = False  # whether the batch stores requests to brokers
        self.committed_orders: list[CommittedOrder] = []  # for sessions of this process
        self.signals: SignalBatchProtocol[BatchContext] | None = None
        # Values that are computed from the loaded state.
        self.exposures: dict[PortfolioKey, PortfolioRisk] = {}  # see `exposure`
        self.limits: dict[tuple[int, str], OrderLimits] = {}  # of orders of the batch
        self.marks_version = str(services.market.overrides.version)
        self._symbol_states: dict[SymbolKey, SymbolState] = {}
        # The current command: the id of its request, None for a quote, and its messages in this attempt.
        self.request_id: str | None = None
        self._command_id = 0
        self._messages = 0
        self._message_counts = (
            {} if message_counts is None else message_counts
        )  # by command, over all attempts

    def get_enforcement(self, portfolio_key: PortfolioKey) -> Enforcement:
        """Return how a portfolio enforces trading sessions."""
        state = self.ledger.get_portfolio(portfolio_key)
        return get_enforcement(state.enforce_sessions, self.services.enforce_sessions, state.kind)

    def load_quotes(self, keys: Sequence[InstrumentKey]) -> None:
        """Load quotes and instruments that are not loaded yet."""
        missing = [key for key in keys if key not in self.loaded.quotes]
        if missing:
            quotes = self.services.market.load_quotes(self.connection, missing, self.now)
            for key, instrument in load_instruments(self.connection, missing).items():
                self.loaded.quotes[key], self.loaded.instruments[key] = quotes.get(key), instrument
                self.services.portfolios.prices.update(key, quotes.get(key), instrument)

    def begin_command(self, command_id: int, request_id: str | None) -> None:
        """Begin a command. `command_id` stays the same if the batch is retried."""
        self.request_id = request_id
        self._command_id = command_id
        self._messages = 0

    def count_order_message(self, sender: Hashable, per_minute: Decimal | None) -> None:
        """Count a message of the command, only once if the command is retried. Raises TooManyMessages."""
        self._messages += 1
        if self._messages > self._message_counts.get(self._command_id, 0):
            self.services.message_rate.take(sender, per_minute)
            self._message_counts[self._command_id] = self._messages

    def find_quote(self, tenant_id: int, symbol: str) -> Quote | None:
        """Return the symbol's quote, None if there is none."""
        if (tenant_id, symbol) not in self.loaded.quotes:
            self.load_quotes([InstrumentKey(tenant_id, symbol)])
        return self.loaded.quotes[tenant_id, symbol]

    def apply_quote(self, tenant_id: int, quote: Quote) -> None:
        """Use a quote that has just arrived, and mark its positions for revaluation."""
        instrument_key = InstrumentKey(tenant_id, quote.symbol)
        if self.find_quote(*instrument_key) != quote:
            self.loaded.quotes[instrument_key] = quote
            self.services.portfolios.prices.update(
                instrument_key, quote, self.find_instrument(*instrument_key)
            )
            self._symbol_states.pop(instrument_key, None)
            for portfolio_key, exposure in self.exposures.items():
                if portfolio_key.tenant_id == tenant_id:
                    symbol_product_keys = exposure.by_symbol.get(quote.symbol, ())
                    self.order_store.positions_to_revalue.setdefault(portfolio_key, set()).update(
                        symbol_product_keys
                    )

    def find_symbol_state(self, tenant_id: int, symbol: str) -> SymbolState:
        """Return the symbol's instrument and quote with its prices and mark."""
        state = self._symbol_states.get((tenant_id, symbol))
        if state is None:
            override = self.services.market.overrides.get(InstrumentKey(tenant_id, symbol), self.now)
            quote, instrument = self.find_quote(tenant_id, symbol), self.find_instrument(tenant_id, symbol)
            state = build_symbol_state(instrument, quote, override)
            self._symbol_states[tenant_id, symbol] = state
        return state

    def find_instrument(self, tenant_id: int, symbol: str) -> Instrument:
        """Return the instrument, with default rules if it is not listed."""
        if (tenant_id, symbol) not in self.loaded.instruments:
            self.load_quotes([InstrumentKey(tenant_id, symbol)])
        return self.loaded.instruments[tenant_id, symbol]

    def get_portfolio_key(self, command: CommandNamingPortfolio) -> PortfolioKey:
        """Return the key of the portfolio that the command names. Raises NoSuchPortfolio."""
        names = (command.portfolio_name, command.portfolio_name_key)
        return self.ledger.get_existing_portfolio(command.origin.tenant_id, *names).key

    @property
    def change_count(self) -> int:
        """The number of changes so far. It differs after any change."""
        return self.ledger.change_count + self.order_store.change_count + len(self.audit_entries)

    def get_portfolio(self, order: Order) -> PortfolioState:
        """Return the order's portfolio."""
        return self.ledger.portfolios[order.tenant_id, order.portfolio_id]

    def get_position(self, order: Order) -> Position:
        """Return the position in the order's symbol and product."""
        return self.ledger.get_position((order.tenant_id, order.portfolio_id, order.symbol, order.product))

    def can_see(self, origin: CommandOrigin, portfolio_key: PortfolioKey) -> bool:
        """Return whether the caller may see the portfolio."""
        return (
            origin.portfolios is None
            or self.ledger.get_portfolio(portfolio_key).name_key in origin.portfolios
        )

    def get_visible_order(self, origin: CommandOrigin, order_id: str) -> Order:
        """Return an order. Raises NoSuchOrder if it does not exist or its portfolio is hidden."""
        order = self.order_store.get(origin.tenant_id, order_id)
        if not self.can_see(origin, order.portfolio_key):
            raise NoSuchOrder(order_id)
        return order

    def get_trading_state(self, order: Order) -> ScopedTradingState:
        """Return the strictest trading state of the kill switches that apply to the order, and its scope."""
        portfolio = self.get_portfolio(order)
        switches = self.loaded.switches.get(order.tenant_id, ALL_ACTIVE)
        if not switches.states and portfolio.trading_state == TradingState.ACTIVE:
            return _ALL_ACTIVE  # the usual case
        scoped = switches.get_state(portfolio.name_key, order.strategy)
        portfolio_state = TradingState(portfolio.trading_state)  # kept when the portfolio is renamed
        if get_strictest_state(scoped.state, portfolio_state) is not scoped.state:
            return ScopedTradingState(portfolio_state, SwitchScope.PORTFOLIO)
        return scoped

    def is_any_halted(self, portfolio_key: PortfolioKey) -> bool:
        """Return whether the portfolio, or any kill switch of its tenant, is HALTED."""
        if self.ledger.get_portfolio(portfolio_key).trading_state == TradingState.HALTED:
            return True
        switches = self.loaded.switches.get(portfolio_key.tenant_id, ALL_ACTIVE)
        return TradingState.HALTED in switches.states.values()

    def flush(self) -> None:
        """Write all changes of the batch."""
        self.order_store.renew_open_orders_versions()
        self.ledger.flush(*self.order_store.list_writes(), *self.extra_writes)
        self.order_store.set_row_version(get_row_version(self.connection))
        if self.audit_entries:
            record_entries(self.connection, self.audit_entries)
