"""Find the order that a signal asks for, by the rules of its strategy and the state of its portfolio."""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import Connection

from app.identity.queries.tenants import find_tenant
from app.identity.rules.access import FIRST_TENANT, Caller
from app.instruments.queries import find_instruments, find_symbol
from app.instruments.rules import InstrumentKey
from app.ledger.queries.reading import Book, Holding, find_books
from app.ledger.service.portfolio_lookup import require_portfolio
from app.ledger.service.reading import Statement
from app.ledger.service.valuation import Valuer, value_statements
from app.market_data.service import Market
from app.money import ZERO, to_places
from app.orders.queries.reading import OrderFilter, list_orders
from app.orders.rules.contingency import EXITS
from app.signals.errors import refuse_field
from app.signals.queries.signals import ListedSignal
from app.signals.queries.strategies import find_strategy
from app.signals.rules import completion
from app.signals.rules.sizing import SizedOrder, compute_notional, size_to_target
from app.signals.rules.values import (
    SIDED,
    Signal,
    SignalMode,
    SignalRequest,
    SignalStatus,
    Size,
    SizeKind,
    StrategyRules,
)
from app.strategies.service.signal_strategies import is_stopped
from app.text import name_key

MAX_WORKING_ORDERS = 1_000
NO_PRODUCT = ""


class SignalDefaults(NamedTuple):
    """The settings of the installation: the strategy and the portfolio of signals that name none.

    They apply to the tenant of that slug, None for the first.
    """

    strategy: str | None = None
    portfolio: str | None = None
    tenant: str | None = None


class SignalPlanner:
    """Plans signals. It only reads."""

    def __init__(self, market: Market, valuer: Valuer, defaults: SignalDefaults) -> None:
        self._market, self._valuer, self._defaults = market, valuer, defaults

    def plan(
        self, connection: Connection, caller: Caller, request: SignalRequest, now: datetime
    ) -> ListedSignal:
        """Return the signal to store. Raise Invalid if it cannot become an order.

        A late signal, one of a strategy that only records, and one whose target is reached are complete.
        """
        rules = self._find_rules(connection, caller, request)
        size = _require_size(request, rules)
        symbol = _require_allowed_symbol(find_symbol(connection, caller.tenant_id, request.symbol), rules)
        portfolio_name = self._require_portfolio_name(connection, caller, request, rules)
        book = require_portfolio(connection, caller, portfolio_name, "portfolio")
        signal = Signal(
            number=0,
            tenant_id=caller.tenant_id,
            id=request.id,
            channel=request.channel,
            source=caller.name,
            person=caller.person,
            strategy=None if rules is None else rules.name,
            portfolio_id=book.id,
            symbol=symbol,
            side=request.side,
            size_kind=size.kind,
            size_value=size.value,
            price=request.price,
            reason=request.reason,
            mode=SignalMode.TRADE if rules is None else rules.mode,
            expires_at=request.expires_at,
            request_hash=request.request_hash,
            received_at=now,
        )
        return ListedSignal(self._plan_order(connection, signal, book, size), book.name, {})

    def find_default_portfolio(self, connection: Connection, caller: Caller) -> str | None:
        """Return the portfolio of the tenant's signals that name none, None if it has none."""
        return self._defaults.portfolio if self._has_defaults(connection, caller) else None

    def _find_rules(
        self, connection: Connection, caller: Caller, request: SignalRequest
    ) -> StrategyRules | None:
        name = request.strategy
        if name is None and self._defaults.strategy and self._has_defaults(connection, caller):
            name = self._defaults.strategy
        if name is None:
            return None
        rules = find_strategy(connection, caller.tenant_id, name)
        if rules is None:
            raise refuse_field("strategy", _STRATEGY_MESSAGE, "unknown")
        if is_stopped(connection, caller.tenant_id, name):
            message = "The strategy does not run; start it with `POST /strategies/{strategy_name}:start`."
            raise refuse_field("strategy", message, "not_active")
        return rules

    def _require_portfolio_name(
        self, connection: Connection, caller: Caller, request: SignalRequest, rules: StrategyRules | None
    ) -> str:
        name = request.portfolio or (None if rules is None else rules.portfolio_name)
        name = name or self.find_default_portfolio(connection, caller)
        if name is None:
            raise refuse_field("portfolio", "Send the name of the portfolio that trades.", "missing")
        return name

    def _has_defaults(self, connection: Connection, caller: Caller) -> bool:
        if self._defaults.tenant is None:
            return caller.tenant_id == FIRST_TENANT
        tenant = find_tenant(connection, self._defaults.tenant)
        return tenant is not None and tenant.id == caller.tenant_id

    def _plan_order(self, connection: Connection, signal: Signal, book: Book, size: Size) -> Signal:
        """Return the signal with the size of its order, or complete if it has no order."""
        if completion.is_expired(signal.expires_at, signal.received_at):
            return _complete(signal, SignalStatus.EXPIRED, completion.EXPIRED_REASON)
        if signal.mode is SignalMode.RECORD:
            return _complete(signal, SignalStatus.RECORDED, completion.RECORDED_REASON)
        sized = self._size(connection, signal, book, size)
        if sized is None:
            return _complete(signal, SignalStatus.RECORDED, completion.AT_TARGET_REASON)
        return signal._replace(order_side=sized.side, quantity=sized.quantity, notional=sized.notional)

    def _size(self, connection: Connection, signal: Signal, book: Book, size: Size) -> SizedOrder | None:
        value = size.value or ZERO
        if size.kind is SizeKind.QTY:
            return SizedOrder(signal.side, quantity=value)
        if size.kind is SizeKind.NOTIONAL:
            return SizedOrder(signal.side, notional=value)
        if size.kind is SizeKind.CLOSE:
            return SizedOrder(None)
        _, holdings = find_books(connection, signal.tenant_id, [name_key(book.name)])[name_key(book.name)]
        if size.kind is SizeKind.TARGET_POSITION:
            position = sum((Decimal(one.quantity) for one in holdings if _is_held(one, signal.symbol)), ZERO)
            return size_to_target(value, position, _find_working(connection, signal, book))
        return self._size_by_equity(connection, signal, Statement(book, holdings), value)

    def _size_by_equity(
        self, connection: Connection, signal: Signal, statement: Statement, percent: Decimal
    ) -> SizedOrder:
        now = signal.received_at
        tenant_id, base = signal.tenant_id, statement.book.base_currency
        values = value_statements(connection, self._valuer, tenant_id, {0: statement}, now)
        key = InstrumentKey(tenant_id, signal.symbol)
        currency = find_instruments(connection, [key])[key].currency or base
        rate = self._market.rate(connection, tenant_id, currency, base, now)
        if rate is None:
            message = f"There is no exchange rate from {currency} to {base}; send `qty`."
            raise refuse_field("percent_of_equity", message, "no_rate")
        notional = to_places(compute_notional(values[0].equity, percent, rate))
        if not notional:
            raise refuse_field("percent_of_equity", "The portfolio has no equity; send `qty`.", "no_equity")
        return SizedOrder(signal.side, notional=notional)


_SIZE_MESSAGE = "Send `qty`, `notional`, `percent_of_equity`, `target_position` or `close`."
_STRATEGY_MESSAGE = (
    "There are no rules for this strategy; set them with `PUT /signals/strategies/{strategy_name}`."
)


def _require_size(request: SignalRequest, rules: StrategyRules | None) -> Size:
    size = request.size or (None if rules is None else rules.size)
    if size is None:
        raise refuse_field("qty", _SIZE_MESSAGE, "unsized")
    if size.kind in SIDED and request.side is None:
        raise refuse_field("side", "Send `buy` or `sell` with this size.", "missing")
    return size


def _require_allowed_symbol(symbol: str, rules: StrategyRules | None) -> str:
    if rules is not None and rules.symbols is not None and symbol not in rules.symbols:
        message = f"The strategy may trade {', '.join(rules.symbols)} only."
        raise refuse_field("symbol", message, "not_allowed")
    return symbol


def _is_held(holding: Holding, symbol: str) -> bool:
    return holding.symbol == symbol and holding.product == NO_PRODUCT


def _find_working(connection: Connection, signal: Signal, book: Book) -> Decimal:
    """Return the signed quantity that open orders of the strategy can still fill, without exits."""
    filters = OrderFilter(
        is_open=True, symbol=signal.symbol, portfolio_key=name_key(book.name), strategy=signal.strategy
    )
    found = list_orders(connection, signal.tenant_id, filters, MAX_WORKING_ORDERS, None)
    orders = [one.order for one in found if one.order.role not in EXITS]
    return sum((one.leaves_quantity * (1 if one.side == "BUY" else -1) for one in orders), ZERO)


def _complete(signal: Signal, status: SignalStatus, reason: str) -> Signal:
    return signal._replace(
        status=status, outcome_reason=reason, completed_at=signal.received_at, latency_ms=0
    )
