"""Keys of portfolios, positions, trades and requests, and of exchange rates."""

from typing import NamedTuple

from app.instruments.rules import InstrumentKey

ADOPTION_KEY_PREFIX = "reconciliation:"  # of the idempotency key, before the id of the issue


def build_adoption_key(issue_id: str) -> str:
    """Return the idempotency key of the trade that resolves an issue."""
    return f"{ADOPTION_KEY_PREFIX}{issue_id}"


def is_adoption_key(idempotency_key: str | None) -> bool:
    """Return whether a trade with this idempotency key adopted a position."""
    return (idempotency_key or "").startswith(ADOPTION_KEY_PREFIX)


class PortfolioKey(NamedTuple):
    """A portfolio of a tenant."""

    tenant_id: int
    portfolio_id: int


class SymbolProductKey(NamedTuple):
    """The key of a position within its portfolio. `product` is empty outside of Indian brokers."""

    symbol: str
    product: str


class PositionKey(NamedTuple):
    """A position in a portfolio of a tenant."""

    tenant_id: int
    portfolio_id: int
    symbol: str
    product: str

    @property
    def portfolio_key(self) -> PortfolioKey:
        """The key of its portfolio."""
        return PortfolioKey(self.tenant_id, self.portfolio_id)

    @property
    def instrument_key(self) -> InstrumentKey:
        """The key of its instrument."""
        return InstrumentKey(self.tenant_id, self.symbol)

    @property
    def symbol_product_key(self) -> SymbolProductKey:
        """Its key within its portfolio."""
        return SymbolProductKey(self.symbol, self.product)


class PortfolioNameKey(NamedTuple):
    """A portfolio of a tenant by the key of its name."""

    tenant_id: int
    name_key: str


class TradeKey(NamedTuple):
    """A trade of a tenant."""

    tenant_id: int
    trade_id: str


class LedgerRowKey(NamedTuple):
    """A row of a portfolio's ledger."""

    tenant_id: int
    portfolio_id: int
    sequence: int


class RequestKey(NamedTuple):
    """A request of a kind by its idempotency key."""

    tenant_id: int
    kind: str
    idempotency_key: str


class RateKey(NamedTuple):
    """The exchange rate of a currency in another one, among the quotes of a tenant."""

    tenant_id: int
    currency: str
    base_currency: str
