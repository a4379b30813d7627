"""The state that a batch reads under its locks before it decides on its commands."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from app.brokers.queries import StoredConnection
from app.instruments.rules import Instrument, InstrumentKey
from app.ledger.rules.chain import TradeRow
from app.ledger.rules.keys import PortfolioKey, PortfolioNameKey, PositionKey
from app.ledger.service.corporate_actions import ActionInputs
from app.market_data.rules.values import MarkOverride, Quote, compute_mark
from app.orders.errors import NoSuchOrder
from app.orders.queries.orders import RepeatKey
from app.orders.rules.approvals import ApprovalRequest
from app.orders.rules.broker_requests import BrokerRequest
from app.orders.rules.rows import ExecutionKey, ExecutionRow, OrderEvent
from app.orders.rules.values import Order, OrderKey
from app.orders.service.batch_state.open_orders import RecentOrders
from app.orders.service.commands import CommandNamingOrder, ReviewApprovals, get_order_key
from app.orders.service.internal_commands import ExpireOrders
from app.risk.queries.switches import SwitchChange
from app.risk.rules.latches import LatchSubject
from app.risk.rules.losses import LossBaseline
from app.risk.rules.switches import Switches, SwitchScope
from app.risk.rules.values import ExposureTotals, Prices, TradedInstrument

_NO_PRICES = Prices()


class SymbolState(NamedTuple):
    """The instrument and the quote of a symbol, their terms and prices for the risk rules, and the mark.

    The mark is the price that a person set, else the mid or last of the quote; None without either.
    """

    instrument: Instrument
    quote: Quote | None
    tradable: TradedInstrument
    prices: Prices
    mark: Decimal | None


def build_symbol_state(
    instrument: Instrument, quote: Quote | None, override: MarkOverride | None
) -> SymbolState:
    """Return the state of a symbol. `override` is the price of the mark override."""
    tradable = TradedInstrument(
        tick_size=instrument.tick_size,
        lot_size=instrument.lot_size,
        is_tradable=instrument.is_tradable,
        is_restricted=instrument.is_restricted,
        asset_class=instrument.asset_class,
    )
    mark = compute_optional_mark(quote) if override is None else override.price
    return SymbolState(instrument, quote, tradable, get_prices(quote), mark)


def compute_optional_mark(quote: Quote | None) -> Decimal | None:
    """Return the mark of a quote: mid, else last. None if there is no quote, or it has no price."""
    return None if quote is None else compute_mark(quote)


def get_prices(quote: Quote | None) -> Prices:
    """Return the quote's prices as input for the risk rules."""
    return Prices(quote.bid, quote.ask, quote.last) if quote else _NO_PRICES


# Plain tuples of a tenant id and a symbol are faster to create than `InstrumentKey`.
SymbolKey = tuple[int, str]


@dataclass(slots=True)
class LoadedState:
    """The state that the commands of a batch read, other than the ledger and the order store.

    The commands add their own changes to it: a quote that arrives, the keys of their orders, their requests
    for approval and their executions.
    """

    # The portfolios to find by name, and those to lock: see `lock_plan`.
    portfolio_names: set[PortfolioNameKey] = field(default_factory=set)
    portfolio_keys: set[PortfolioKey] = field(default_factory=set)
    portfolios_by_order: dict[OrderKey, PortfolioKey] = field(default_factory=dict)
    portfolios_by_symbol: dict[InstrumentKey, list[PortfolioKey]] = field(default_factory=dict)
    portfolios_with_overdue_orders: dict[ExpireOrders, list[PortfolioKey]] = field(default_factory=dict)
    portfolios_with_intraday_positions: dict[int, list[PortfolioKey]] = field(default_factory=dict)
    portfolios_with_loss_limits: dict[int, list[PortfolioKey]] = field(default_factory=dict)
    approvals_to_review: dict[ReviewApprovals, list[ApprovalRequest]] = field(default_factory=dict)
    expired_requests: dict[int, list[ApprovalRequest]] = field(default_factory=dict)
    # By tenant id, and idempotency key or "/" + client order id.
    orders_by_request_key: dict[tuple[int, str], list[Order]] = field(default_factory=dict)

    quotes: dict[SymbolKey, Quote | None] = field(default_factory=dict)
    instruments: dict[SymbolKey, Instrument] = field(default_factory=dict)
    # New quotes that are only stored, with their times: too many orders to match in this batch.
    deferred_quote_times: dict[InstrumentKey, str] = field(default_factory=dict)
    # The symbols whose stored quote is not matched yet.
    symbols_with_unmatched_quotes: Collection[InstrumentKey] = ()
    last_trade_prices: dict[PositionKey, Decimal] = field(default_factory=dict)  # see `exposure`
    last_rates: dict[PositionKey, Decimal | None] = field(default_factory=dict)  # see `currency_conversion`
    stored_quotes: dict[InstrumentKey, Quote | None] = field(default_factory=dict)  # see `restate_prices`
    stored_mark_overrides: dict[InstrumentKey, MarkOverride | None] = field(default_factory=dict)
    closing_quotes: dict[OrderKey, Quote | None] = field(default_factory=dict)  # see `match_at_close`
    # Executions of earlier batches by (tenant id, symbol, time of the quote).
    consumed_liquidity: dict[tuple[int, str, str], list[tuple[Any, ...]]] = field(default_factory=dict)

    has_sessions: bool = False  # whether any portfolio enforces trading sessions
    switches: dict[int, Switches] = field(default_factory=dict)  # by tenant
    broker_connections: dict[tuple[int, str], StoredConnection | None] = field(default_factory=dict)
    unlocked_totals: dict[int, dict[str, ExposureTotals]] = field(default_factory=dict)  # see `aggregates`
    # By tenant, the name keys of the portfolios that a loss limit halted today: see `loss_limits`.
    portfolios_halted_by_losses: dict[int, set[str]] = field(default_factory=dict)
    loss_baselines: dict[PortfolioKey, LossBaseline] = field(default_factory=dict)  # see `loss_limits`
    # All kill switches ever set, by tenant, scope and name key: see `loss_limits`.
    switch_changes: dict[int, dict[tuple[SwitchScope, str], SwitchChange]] = field(default_factory=dict)
    firm_currencies: dict[int, str] = field(default_factory=dict)  # by tenant
    # The ids of the orders that a latch subject executed lately: see `execution_latch`.
    recent_executions: dict[tuple[int, LatchSubject], set[str]] = field(default_factory=dict)
    recent_orders: dict[RepeatKey, RecentOrders] = field(default_factory=dict)

    approval_requests: dict[OrderKey, ApprovalRequest | None] = field(default_factory=dict)
    decider_names: dict[tuple[int, str], frozenset[str]] = field(default_factory=dict)  # see `load_decider`
    key_creators: dict[tuple[int, str], str | None] = field(default_factory=dict)
    order_events: dict[OrderKey, list[OrderEvent]] = field(default_factory=dict)  # see `order_records`
    executions: dict[OrderKey, list[ExecutionRow]] = field(default_factory=dict)
    executed_orders: dict[ExecutionKey, str | None] = field(default_factory=dict)
    broker_charges: dict[ExecutionKey, Decimal | None] = field(default_factory=dict)  # see `broker_charges`
    broker_requests: dict[OrderKey, list[BrokerRequest]] = field(default_factory=dict)
    # Of corporate actions by id.
    action_inputs: dict[tuple[PortfolioKey, str], ActionInputs] = field(default_factory=dict)
    # By portfolio, symbol and time: see `load_adoption`.
    adopted_trades: dict[tuple[PortfolioKey, str, datetime], TradeRow | None] = field(default_factory=dict)
    has_override: dict[OrderKey, bool] = field(default_factory=dict)  # whether a denied order has an override
    # The ids of the orders that a cancellation canceled in a portfolio, None if it has not run there.
    canceled_orders: dict[tuple[str, PortfolioKey], list[str] | None] = field(default_factory=dict)
    # The exits that were open after a time: see `exit_restoration`.
    recent_exits: dict[tuple[PositionKey, str], list[Order]] = field(default_factory=dict)

    def index_request_keys(self, orders: Iterable[Order]) -> None:
        """Index recorded orders by client order id and by idempotency key."""
        for order in orders:
            for name in (f"/{order.client_order_id}", order.idempotency_key):
                if name:
                    self.orders_by_request_key.setdefault((order.tenant_id, name), []).append(order)

    def list_locked_portfolios(self, tenant_id: int) -> list[PortfolioKey]:
        """Return the tenant's portfolios that the batch locks."""
        return sorted(key for key in self.portfolio_keys if key.tenant_id == tenant_id)

    def list_portfolios(self, tenant_id: int, *symbols: str) -> list[PortfolioKey]:
        """Return the portfolios with open orders in one of the symbols."""
        keys_by_symbol = (
            self.portfolios_by_symbol.get(InstrumentKey(tenant_id, symbol), []) for symbol in symbols
        )
        return sorted({portfolio_key for keys in keys_by_symbol for portfolio_key in keys})

    def has_order(self, command: CommandNamingOrder) -> bool:
        """Return whether the command's order was found."""
        return get_order_key(command) in self.portfolios_by_order

    def require_order(self, command: CommandNamingOrder) -> None:
        """Raise NoSuchOrder if the command's order was not found."""
        if not self.has_order(command):
            raise NoSuchOrder(command.order_id)
