"""Keys of portfolios and positions."""

from typing import NamedTuple


class PortfolioKey(NamedTuple):
    """A portfolio of a tenant."""

    tenant_id: int
    portfolio_id: int


class HoldingKey(NamedTuple):
    """A position within its portfolio. `product` is empty outside of Indian brokers."""

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
    def holding_key(self) -> HoldingKey:
        """Its key within its portfolio."""
        return HoldingKey(self.symbol, self.product)
