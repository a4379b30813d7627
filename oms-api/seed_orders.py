"""Demo orders: working, filled, denied and canceled ones, with their instruments and limits.

`seed_data.py` calls it. Orders go through the writer's own handler, at prices around the current quotes. If
the price source has none (`manual`), quotes are set first. Existing data is kept.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Engine

from app.assembly.components import create_market
from app.audit.service import AuditEntry, record_entries
from app.brokers.paper.environment import load_paper_settings
from app.brokers.rules.values import Rejected
from app.calendars.service import Calendars
from app.config import Settings
from app.database import Readers, set_tenant_scope, unit_of_work
from app.identity.queries.tenants import load_opening_cash
from app.identity.rules.access import FIRST_TENANT
from app.ids import generate_row_id
from app.instruments import queries as instruments
from app.instruments.rules import Instrument, InstrumentKey
from app.ledger.queries.batch_statements import insert_portfolios
from app.ledger.rules.chain import hash_request
from app.ledger.service.batch_handler import LedgerBatchHandler
from app.ledger.service.commands import CommandOrigin
from app.ledger.service.portfolio_state import build_portfolio, build_portfolio_row
from app.market_data.rules.base_prices import BASE_PRICES
from app.market_data.rules.values import Quote, compute_mark
from app.market_data.service import Market
from app.money import format_fixed, to_cents
from app.orders.rules.values import GroupKind, OrderType, StopLoss, TakeProfit, Ticket, TimeInForce
from app.orders.service.batch_state.batch_context import BatchServices
from app.orders.service.command_results import OrderResult
from app.orders.service.commands import CancelOrder, PlaceGroup, PlaceOrder, WriterCommand
from app.orders.service.internal_commands import ApplyBrokerReport, MatchQuote
from app.orders.service.trade_guard import OrderTradeGuard
from app.orders.service.write_path.batch_handler import OrderBatchHandler
from app.risk.queries.limits import find_limit
from app.risk.rules.limits import LimitCode, LimitScope, RiskLimit
from app.risk.service.controls import Controls
from app.risk.service.limit_store import set_limit
from app.text import name_key
from app.timestamps import format_timestamp

PORTFOLIO = "Swing"
SOURCE = "seed-data"
AVA, BEN = "U0AVACHEN01", "U0BENOKAF02"
CANCELLED, REJECTED = "seed-data-cancelled", "seed-data-rejected"
GOOD_FOR = timedelta(days=30)
_CENT, _PAISE, _FINE = Decimal("0.01"), Decimal("0.05"), Decimal("0.0001")
_WHOLE, _FINEST = Decimal(1), Decimal("0.00000001")
INSTRUMENTS = (
    *(
        Instrument(symbol, "NASDAQ", "equity", "USD", _CENT, _FINE)
        for symbol in ("AAPL", "AMZN", "GOOGL", "META", "MSFT", "NVDA")
    ),
    Instrument("KO", "NYSE", "equity", "USD", _CENT, _FINE),
    *(Instrument(symbol, "NSE", "equity", "INR", _PAISE, _WHOLE) for symbol in ("INFY", "RELIANCE", "TCS")),
    *(Instrument(symbol, "", "crypto", "USD", _CENT, _FINEST) for symbol in ("BTC/USD", "ETH/USD")),
)
LIMITS = (
    (LimitScope.PORTFOLIO, PORTFOLIO, LimitCode.MAX_ORDER_QUANTITY, "5000"),
    (LimitScope.PORTFOLIO, PORTFOLIO, LimitCode.MAX_POSITION_VALUE, "250000"),
    (LimitScope.PORTFOLIO, PORTFOLIO, LimitCode.MAX_OPEN_ORDERS, "50"),
    (LimitScope.INSTRUMENT, "BTC/USD", LimitCode.MAX_ORDER_QUANTITY, "5"),
)
SYMBOLS = ("AAPL", "MSFT", "NVDA", "AMZN", "META", "GOOGL", "KO", "BTC/USD")
Prices = Mapping[str, Decimal]


@dataclass(frozen=True)
class Seeded:
    """The number of new orders, instruments and limits."""

    orders: int
    instruments: int
    limits: int


def seed_orders(engine: Engine, settings: Settings, now: datetime) -> Seeded:
    """List instruments, set limits and place orders, unless they exist."""
    described_count, limited = _set_missing_terms(engine, now), _set_limits(engine, now)
    readers = Readers(engine, 1)
    market = create_market(settings, engine, readers, Calendars.load())
    tools = BatchServices(market, Controls(), load_paper_settings(settings))
    handler = OrderBatchHandler(LedgerBatchHandler(guard=OrderTradeGuard(tools.controls)), tools)
    with unit_of_work(engine) as connection:
        prices = _find_prices(connection, handler, market, now)
        _open_portfolio(connection, now)
        results = [_handle_command(handler, connection, command) for command in build_placements(prices, now)]
        fresh = [result for result in results if not result.replayed]
        for result in fresh:
            follow_up = _build_follow_up(result, now)
            if follow_up is not None:
                _handle_command(handler, connection, follow_up)
    readers.close()
    return Seeded(sum(len(result.orders) for result in fresh), described_count, limited)


def _open_portfolio(connection: Connection, now: datetime) -> None:
    """Create the portfolio of the orders unless it exists."""
    set_tenant_scope(connection, [FIRST_TENANT])
    cash = load_opening_cash(connection, [FIRST_TENANT])[FIRST_TENANT]
    naming = (FIRST_TENANT, PORTFOLIO, name_key(PORTFOLIO))
    portfolio = build_portfolio(generate_row_id(), *naming, opening_cash=cash)
    insert_portfolios(connection, [build_portfolio_row(portfolio, now)])


def build_placements(prices: Prices, now: datetime) -> Iterator[WriterCommand]:
    """Yield the commands that place the orders around these prices.

    A name identifies one order whatever its price, so that a run on another day finds it.
    """
    market, limit, stop = OrderType.MARKET, OrderType.LIMIT, OrderType.STOP

    def off(symbol: str, percent: int) -> Decimal:
        return to_cents(prices[symbol] * (100 + percent) / 100)

    def one(name: str, side: str, quantity: str, symbol: str, kind: OrderType, **more: Any) -> PlaceOrder:
        ticket = _build_ticket(name, side, quantity, symbol, kind, **more)
        return PlaceOrder(_build_origin(name, now), ticket, PORTFOLIO, name_key(PORTFOLIO))

    yield one("bought", "BUY", "40", "AAPL", market, reason="Momentum turned")
    yield one("bought-more", "BUY", "25", "MSFT", market, user_id=BEN)
    exits = (
        _build_ticket("either-target", "SELL", "40", "AAPL", limit, limit_price=off("AAPL", 6)),
        _build_ticket("either-stop", "SELL", "40", "AAPL", stop, stop_price=off("AAPL", -5)),
    )
    yield PlaceGroup(_build_origin("either", now), GroupKind.OCO, exits, PORTFOLIO, name_key(PORTFOLIO))
    yield one("trail", "SELL", "25", "MSFT", OrderType.TRAILING_STOP, trail_percent=Decimal(6), user_id=BEN)
    legs = {"take_profit": TakeProfit(off("AMZN", 7)), "stop_loss": StopLoss(off("AMZN", -4))}
    yield one("bracket", "BUY", "30", "AMZN", market, **legs)
    dip_exits = {"take_profit": TakeProfit(off("NVDA", 6)), "stop_loss": StopLoss(off("NVDA", -10))}
    yield one("dip", "BUY", "60", "NVDA", limit, limit_price=off("NVDA", -4), **dip_exits)
    breakout = {"stop_price": off("META", 4), "limit_price": off("META", 5)}
    yield one("breakout", "BUY", "10", "META", OrderType.STOP_LIMIT, user_id=BEN, **breakout)
    month = {"time_in_force": TimeInForce.GTD, "expires_at": format_timestamp(now + GOOD_FOR)}
    yield one("month", "BUY", "0.1", "BTC/USD", limit, limit_price=off("BTC/USD", -8), **month)
    yield one(CANCELLED, "BUY", "15", "GOOGL", limit, limit_price=off("GOOGL", -9))
    yield one(REJECTED, "BUY", "20", "META", limit, limit_price=off("META", -9), user_id=BEN)
    yield one("too-many", "BUY", "60000", "KO", market, reason="A slip of the finger")


def _build_ticket(name: str, side: str, quantity: str, symbol: str, kind: OrderType, **more: Any) -> Ticket:
    common_terms = {
        "time_in_force": TimeInForce.GTC,
        "client_order_id": _build_client_order_id(name),
        "user_id": AVA,
    }
    return Ticket(symbol, side, kind, Decimal(quantity), **common_terms | more)


def _build_client_order_id(name: str) -> str:
    return name if name.startswith(SOURCE) else f"{SOURCE}-{name}"


def _build_origin(name: str, now: datetime) -> CommandOrigin:
    return CommandOrigin(
        FIRST_TENANT,
        SOURCE,
        None,
        now,
        _build_client_order_id(name),
        hash_request(SOURCE, _build_client_order_id(name)),
    )


def _build_follow_up(result: OrderResult, now: datetime) -> WriterCommand | None:
    """Return the command that ends an order: its cancellation, or its rejection by the broker."""
    order = result.orders[0].order
    rejection = Rejected(order.id, "Trading was paused", now)
    if order.client_order_id == REJECTED:
        return ApplyBrokerReport(FIRST_TENANT, order.id, rejection, format_timestamp(now))
    return _build_cancellation(result, now) if order.client_order_id == CANCELLED else None


def _build_cancellation(result: OrderResult, now: datetime) -> CancelOrder:
    origin = _build_origin(f"{CANCELLED}-away", now)
    return CancelOrder(origin, result.orders[0].order.id, "Found a better price elsewhere")


def _handle_command(
    handler: OrderBatchHandler, connection: Connection, command: WriterCommand
) -> OrderResult:
    (outcome,) = handler.handle(connection, [command], {}).outcomes
    if not isinstance(outcome, OrderResult):
        raise RuntimeError(f"the demo desk was refused: {outcome}")  # noqa: TRY004  # an outcome, no argument
    return outcome


def _find_prices(connection: Connection, handler: OrderBatchHandler, market: Market, now: datetime) -> Prices:
    """Return each symbol's mark. If the price source has none, set a quote first."""
    keys = [InstrumentKey(FIRST_TENANT, symbol) for symbol in SYMBOLS]
    quotes = market.load_quotes(set_tenant_scope(connection, [FIRST_TENANT]), keys, now)
    for key in keys:
        if key not in quotes:
            base = BASE_PRICES[key[1]]
            quote = Quote(key.symbol, base.price - base.tick, base.price + base.tick, base.price, None, None,
                          now, SOURCE)  # fmt: skip
            _handle_command(
                handler, connection, MatchQuote(FIRST_TENANT, quote, format_timestamp(now), is_new=True)
            )
            quotes[key] = quote
    marks = {key.symbol: compute_mark(quotes[key]) for key in keys}
    return {symbol: price for symbol, price in marks.items() if price is not None}


def _set_missing_terms(engine: Engine, now: datetime) -> int:
    """Set the terms of the symbols that are not listed. Return their number."""
    with unit_of_work(engine) as connection:
        set_tenant_scope(connection, [FIRST_TENANT])
        keys = [InstrumentKey(FIRST_TENANT, instrument.symbol) for instrument in INSTRUMENTS]
        terms_by_key = instruments.load_instruments(connection, keys)
        missing = [
            instrument
            for key, instrument in zip(keys, INSTRUMENTS, strict=True)
            if not terms_by_key[key].is_listed
        ]
        for instrument in missing:
            instruments.set_terms(connection, FIRST_TENANT, instrument, now)
    return len(missing)


def _set_limits(engine: Engine, now: datetime) -> int:
    """Set the limits that are not set, with their audit entries. Return their number."""
    entries = []
    with unit_of_work(engine) as connection:
        set_tenant_scope(connection, [FIRST_TENANT])
        for scope, name, code, value in LIMITS:
            key = name_key(name) if scope is LimitScope.PORTFOLIO else name
            limit = RiskLimit(scope, key, name, code, Decimal(value), None, SOURCE, format_timestamp(now))
            if find_limit(connection, FIRST_TENANT, limit) is None:
                set_limit(connection, FIRST_TENANT, limit)
                entries.append(
                    AuditEntry(
                        FIRST_TENANT,
                        at=now,
                        actor=SOURCE,
                        via=SOURCE,
                        action="limit.set",
                        target=f"{code}:{scope}:{name}",
                        after={"value": format_fixed(limit.value), "until": None},
                    )
                )
        record_entries(connection, entries)
    return len(entries)
