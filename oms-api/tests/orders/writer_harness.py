"""The writer's handler alone: commands at given instants, each batch in a transaction."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
from sqlalchemy import Engine, text

from app.brokers.rules.settings import IDEAL_MARKET, PaperSettings
from app.database import set_tenant_scope, unit_of_work
from app.events.queries import iterate_events
from app.instruments.queries import set_terms
from app.instruments.rules import Instrument
from app.ledger.rules.chain import hash_request
from app.ledger.service.batch_handler import LedgerBatchHandler
from app.ledger.service.commands import CommandOrigin
from app.market_data.rules.values import Quote
from app.market_data.service import Market
from app.market_data.sources import PriceSource
from app.market_data.sources.manual import ManualSource
from app.orders.queries.orders import load_orders_by_id
from app.orders.rules.order_views import OrderChanges
from app.orders.rules.values import GroupKind, Order, OrderType, Ticket, TimeInForce
from app.orders.service.batch_state.batch_context import BatchServices
from app.orders.service.broker_request_notifier import BrokerRequestNotifier
from app.orders.service.command_results import OrderResult
from app.orders.service.commands import (
    CancelOrder,
    ClosePosition,
    PlaceGroup,
    PlaceOrder,
    ReplaceOrder,
    WriterCommand,
)
from app.orders.service.internal_commands import ApplyBrokerReport, ExpireOrders, MatchQuote, ReleaseOrders
from app.orders.service.trade_guard import OrderTradeGuard
from app.orders.service.write_path.batch_handler import OrderBatchHandler
from app.risk.service.controls import Controls
from app.text import name_key
from app.timestamps import format_timestamp
from tests.support.portfolios import open_portfolio

TENANT = 1
START = datetime(2026, 11, 20, 12, tzinfo=UTC)
_ENUMS = {"type": OrderType, "time_in_force": TimeInForce}
_AMOUNTS = {"quantity", "notional", "limit_price", "stop_price", "trail_amount", "trail_percent"}


def build_ticket(**changes: Any) -> Ticket:
    """Return a ticket; amounts may be text."""
    values: dict[str, Any] = {"symbol": "AAPL", "side": "BUY", "type": "MARKET", "quantity": "10"} | changes
    for name, value in values.items():
        if name in _AMOUNTS and value is not None:
            values[name] = Decimal(value)
        if name in _ENUMS:
            values[name] = _ENUMS[name](value)
    return Ticket(**values)


@dataclass
class WriterHarness:
    """One process's handler on a database, and its clock."""

    engine: Engine
    paper: PaperSettings = IDEAL_MARKET
    now: datetime = START
    tenant: int = TENANT
    source: PriceSource = field(default_factory=ManualSource)
    enforcement: str = "off"
    handler: OrderBatchHandler = field(init=False)
    recording: LedgerBatchHandler = field(init=False)
    services: BatchServices = field(init=False)
    broker_notifier: BrokerRequestNotifier = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin again, with nothing in memory."""
        market = Market(self.source, None)  # type: ignore[arg-type]  # only routes read by it
        self.services = BatchServices(market, Controls(), self.paper, enforce_sessions=self.enforcement)
        self.broker_notifier = self.services.broker_notifier
        self.recording = LedgerBatchHandler(guard=OrderTradeGuard(self.services.controls))
        self.handler = OrderBatchHandler(self.recording, self.services)

    def list_instrument(self, symbol: str = "AAPL", exchange: str = "NASDAQ", **terms: Any) -> None:
        """List an instrument in US dollars, in cents and whole units."""
        values = {"tick_size": Decimal("0.01"), "lot_size": Decimal(1)} | terms
        with unit_of_work(self.engine) as connection:
            set_terms(
                connection, self.tenant, Instrument(symbol, exchange, is_listed=True, **values), self.now
            )

    def enforce_sessions(self, setting: str, portfolio: str = "Growth") -> None:
        """Let a portfolio enforce the sessions of its instruments."""
        self.open_portfolio(portfolio)
        change = "UPDATE portfolios SET enforce_sessions = :setting WHERE name = :name"
        with unit_of_work(self.engine) as connection:
            set_tenant_scope(connection, [self.tenant])
            connection.execute(text(change), {"setting": setting, "name": portfolio})

    def release_orders(self, symbol: str = "AAPL") -> None:
        """Release the orders in a symbol that waited for its session."""
        self.run(ReleaseOrders(self.tenant, (symbol,), format_timestamp(self.now)))

    def advance_clock(self, **spans: float) -> None:
        """Let time pass: a second, or as given."""
        self.now += timedelta(**(spans or {"seconds": 1}))

    def run(self, *works: WriterCommand, retained: dict[Any, Any] | None = None) -> list[Any]:
        """Do the commands in one transaction and return their outcomes."""
        with unit_of_work(self.engine) as connection:
            result = self.handler.handle(connection, works, {} if retained is None else retained)
        result.on_commit()
        return result.outcomes

    def build_origin(self, key: str | None = None, request_text: str = "") -> CommandOrigin:
        """Return who asks, now."""
        return CommandOrigin(self.tenant, "key", None, self.now, key, hash_request(request_text))

    def open_portfolio(self, name: str = "Growth") -> None:
        """Open a portfolio where there is none of that name."""
        with unit_of_work(self.engine) as connection:
            open_portfolio(connection, self.tenant, name, self.now)

    def place_order(self, portfolio: str = "Growth", **changes: Any) -> Order:
        """Place an order and return it as it stands."""
        self.open_portfolio(portfolio)
        ticket = build_ticket(**changes)
        origin = self.build_origin(request_text=repr(ticket))
        return self.run_order_command(PlaceOrder(origin, ticket, portfolio, name_key(portfolio)))

    def place_pair(self, kind: str, *tickets: Ticket) -> list[Order]:
        """Place two joined orders."""
        self.open_portfolio()
        command = PlaceGroup(self.build_origin(), GroupKind(kind), tickets, "Growth", "growth")
        return [order.order for order in self.run_accepted(command).orders]

    def publish_quote(self, bid: str, ask: str, last: str, symbol: str = "AAPL", **sizes: str) -> None:
        """Let a quote arrive, a second later."""
        self.advance_clock()
        amounts = {name: Decimal(size) for name, size in sizes.items()}
        quote = self.build_quote(symbol, bid, ask, last)._replace(**amounts)  # type: ignore[arg-type]  # sizes alone
        self.run(MatchQuote(self.tenant, quote, format_timestamp(self.now), is_new=True))

    def build_quote(self, symbol: str, bid: str, ask: str, last: str) -> Quote:
        """Return a quote of now, without sizes."""
        prices = (Decimal(bid), Decimal(ask), Decimal(last))
        return Quote(symbol, prices[0], prices[1], prices[2], None, None, self.now, "manual")

    def check_quote_again(self, bid: str, ask: str, last: str, symbol: str = "AAPL") -> None:
        """Look at the quote that stands, as the market job does."""
        quote = self.build_quote(symbol, bid, ask, last)
        self.run(MatchQuote(self.tenant, quote, format_timestamp(self.now), is_new=False))

    def cancel(self, order: Order) -> Any:
        """Cancel an order and return the outcome."""
        (outcome,) = self.run(CancelOrder(self.build_origin(), order.id, None))
        return outcome

    def replace(self, order: Order, **changes: Any) -> Any:
        """Replace an order and return the outcome."""
        order_values: dict[str, Any] = {
            name: Decimal(value) if name in _AMOUNTS else value for name, value in changes.items()
        }
        (outcome,) = self.run(ReplaceOrder(self.build_origin(), order.id, OrderChanges(**order_values)))
        return outcome

    def report_broker_event(self, order: Order, event: Any) -> Order:
        """Let the broker say something of an order."""
        return self.run_order_command(
            ApplyBrokerReport(self.tenant, order.id, event, format_timestamp(self.now))
        )

    def expire_orders(self) -> None:
        """Expire the due orders."""
        self.run(ExpireOrders(self.tenant, format_timestamp(self.now)))

    def close_position(self, symbol: str = "AAPL", quantity: str | None = None, **fields: Any) -> Any:
        """Close a position and return the outcome."""
        size = None if quantity is None else Decimal(quantity)
        (outcome,) = self.run(
            ClosePosition(self.build_origin(), "Growth", "growth", symbol, "", size, None, **fields)
        )
        return outcome

    def run_order_command(self, command: WriterCommand) -> Order:
        """Do a command that is about one order."""
        return self.run_accepted(command).orders[0].order

    def run_accepted(self, command: WriterCommand) -> OrderResult:
        """Do a command that is not refused."""
        (outcome,) = self.run(command)
        assert isinstance(outcome, OrderResult), outcome
        return outcome

    def get_order(self, order: Order) -> Order:
        """Return the order as the database has it."""
        with self.engine.connect() as connection:
            return load_orders_by_id(connection, [order.key])[0]

    def query(self, statement: str) -> list[Any]:
        """Return the rows of a statement. `:tenant` is the tenant of this harness."""
        parameters = {"tenant": self.tenant} if ":tenant" in statement else {}
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement), parameters)]

    def list_events(self, kind: str) -> list[dict[str, Any]]:
        """Return the payloads of this tenant's events of a type."""
        with self.engine.connect() as connection:
            events = list(iterate_events(connection, [kind]))
        return [orjson.loads(payload) for _, tenant_id, _, payload, _ in events if tenant_id == self.tenant]


def to_decimal(value: Any) -> Decimal:
    """Return an amount that either database gave."""
    return Decimal(str(value))
