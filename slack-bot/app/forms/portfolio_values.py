"""Positions, portfolios, orders and other values of the OMS, as the bot shows them.

The fields have the names of the OMS's JSON, so that rows are parsed by their types.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class Position:
    """A position at its mark. `mark` is in the instrument's currency, other amounts in the portfolio's."""

    portfolio_name: str
    symbol: str
    product: str | None
    quantity: Decimal
    avg_cost: Decimal
    mark: Decimal
    mark_is_stale: bool
    market_value: Decimal
    unrealized_pnl: Decimal
    realized_pnl: Decimal
    stop_loss: Decimal | None
    take_profit: Decimal | None
    currency: str
    base_currency: str

    @property
    def key(self) -> str:
        """The value of an option that names the position. A portfolio's name contains no slash."""
        return f"{self.product or ''}/{self.portfolio_name}/{self.symbol}"


@dataclass(frozen=True)
class PositionKey:
    """The portfolio, symbol and product of a position."""

    portfolio_name: str
    symbol: str
    product: str = ""

    @classmethod
    def load(cls, text: str) -> "PositionKey":
        """Parse the value of an option. Raises ValueError."""
        product, portfolio, symbol = text.split("/", 2)
        return cls(portfolio, symbol, product)

    def dump(self) -> str:
        """Return the value of an option."""
        return f"{self.product}/{self.portfolio_name}/{self.symbol}"


@dataclass(frozen=True)
class PortfolioValue:
    """A portfolio at current marks, in its base currency."""

    portfolio_name: str
    base_currency: str
    cash: Decimal
    equity: Decimal | None
    buying_power: Decimal | None
    gross_exposure: Decimal | None
    net_exposure: Decimal | None
    unrealized_pnl: Decimal | None
    net_realized_pnl: Decimal
    day_pnl: Decimal | None
    total_pnl: Decimal | None


@dataclass(frozen=True)
class EquityPoint:
    """The equity of a portfolio at an instant (ISO 8601, UTC)."""

    at: str
    equity: Decimal


@dataclass(frozen=True)
class OrderSummary:
    """An order. `actor` is the person who placed it."""

    id: str
    status: str
    portfolio_name: str
    symbol: str
    side: str
    quantity: Decimal
    filled_quantity: Decimal
    average_price: Decimal | None
    type: str
    limit_price: Decimal | None
    stop_price: Decimal | None
    trail_amount: Decimal | None
    trail_percent: Decimal | None
    time_in_force: str
    role: str | None
    actor: str | None
    created_at: str


@dataclass(frozen=True)
class TradeSummary:
    """A row of the ledger: a trade or a reversal. `actor` is the person who recorded it."""

    trade_id: str
    kind: str
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    realized_pnl: Decimal
    portfolio_name: str
    actor: str | None
    executed_at: str


@dataclass(frozen=True)
class ProfitSummary:
    """The P&L of a portfolio over a period."""

    key: str | None
    currency: str
    realized_pnl: Decimal
    unrealized_pnl: Decimal | None
    charges: Decimal
    net_pnl: Decimal


@dataclass(frozen=True)
class ExposureSummary:
    """The exposure of a portfolio in the tenant's currency."""

    key: str | None
    positions: int
    long_value: Decimal
    short_value: Decimal
    gross_exposure: Decimal
    net_exposure: Decimal


@dataclass(frozen=True)
class RiskLimit:
    """A limit that was set. `name` is None for the whole tenant."""

    scope: str
    name: str | None
    code: str
    value: str | None
    in_force: bool


@dataclass(frozen=True)
class KillSwitch:
    """The state of a kill switch: of the tenant, a portfolio or a strategy."""

    scope: str
    name: str | None
    state: str
    reason: str | None
    set_by: str | None
    set_at: str | None

    @property
    def is_active(self) -> bool:
        """Whether trading is normal."""
        return self.state == "ACTIVE"


@dataclass(frozen=True)
class KillSwitchResult:
    """The result of setting a kill switch: canceled orders, and portfolios that are not finished yet."""

    state: str
    canceled: tuple[str, ...]
    pending_portfolios: tuple[str, ...]
    unclosed: tuple[str, ...]  # positions whose closing orders wait for a price
    unconfirmed: tuple[str, ...] = ()  # orders that their brokers have not canceled yet


@dataclass(frozen=True)
class QuoteDetail:
    """The newest quote of a symbol."""

    symbol: str
    bid: Decimal | None
    ask: Decimal | None
    last: Decimal | None
    age_seconds: float
    source: str

    @property
    def price(self) -> Decimal | None:
        """The last price, else the middle of bid and ask, else the known side."""
        if self.last is not None:
            return self.last
        if self.bid is not None and self.ask is not None:
            return (self.bid + self.ask) / 2
        return self.ask if self.bid is None else self.bid


@dataclass(frozen=True)
class ApprovalSummary:
    """An order that waits for a decision. `price` and `value` are estimates at current prices."""

    order: OrderSummary
    requested_by: str
    expires_at: str
    rule: str
    price: Decimal | None
    value: Decimal | None
    reason: str | None


@dataclass(frozen=True)
class Member:
    """A person's role and permissions. `portfolios` is None if the person may see all."""

    actor: str
    tenant_name: str
    name: str | None
    role: str | None
    scopes: tuple[str, ...]
    portfolios: tuple[str, ...] | None

    def has_scope(self, *scopes: str) -> bool:
        """Return whether the person has one of the scopes."""
        return any(scope in self.scopes for scope in scopes)


@dataclass(frozen=True)
class AlertSummary:
    """An alert with its state. `above` or `below` is its threshold."""

    id: str
    kind: str
    symbol: str | None
    portfolio_name: str | None
    above: str | None
    below: str | None
    repeat: bool
    deliver_to: str
    status: str


@dataclass(frozen=True)
class BrokerLogin:
    """A connection to a broker that needs a daily login: the broker's page, and the end of its session."""

    connection: str
    login_url: str
    expires_at: str


def describe_unconfirmed_cancel(row: Mapping[str, Any]) -> str:
    """Return an order that its broker has not canceled yet as text."""
    what = f"{row['side']} {row['leaves']} {row['symbol']}"
    return f"{row['order_id']}: {what} in {row['portfolio_name']} at {row['broker']}"
