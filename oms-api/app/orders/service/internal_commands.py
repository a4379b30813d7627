"""Commands without a request: the clock, a price or a broker causes them."""

from typing import NamedTuple

from app.brokers.rules.values import BrokerEvent
from app.instruments.rules import InstrumentKey
from app.ledger.rules.keys import PortfolioKey
from app.market_data.rules.values import Quote
from app.timestamps import Timestamp


class MatchQuote(NamedTuple):
    """Match the working orders of the quote's symbol. With `is_new`, store the quote too.

    `portfolio_keys` are the portfolios to match, None for all that have orders in the symbol.
    """

    tenant_id: int
    quote: Quote
    at: Timestamp
    is_new: bool
    portfolio_keys: tuple[PortfolioKey, ...] | None = None

    @property
    def instrument_key(self) -> InstrumentKey:
        """The key of the quote's instrument."""
        return InstrumentKey(self.tenant_id, self.quote.symbol)


class FinishQuote(NamedTuple):
    """Record that the stored quote of time `at` was matched against the orders of all portfolios."""

    tenant_id: int
    symbol: str
    at: Timestamp

    @property
    def instrument_key(self) -> InstrumentKey:
        """The key of the quote's instrument."""
        return InstrumentKey(self.tenant_id, self.symbol)


MAX_EXPIRIES = (
    1_000  # of one command, so that other commands do not wait long when many orders expire at once
)


class ExpireOrders(NamedTuple):
    """Expire the orders of a portfolio whose end time has passed, or of all portfolios of the tenant.

    At most MAX_EXPIRIES orders expire, and the other orders of their groups. Without a portfolio, orders that
    were not approved in time expire too.
    """

    tenant_id: int
    at: Timestamp
    portfolio_id: int | None = None


class ReleaseOrders(NamedTuple):
    """Release the held orders of these symbols whose session is open."""

    tenant_id: int
    symbols: tuple[str, ...]
    at: Timestamp


class SquareOff(NamedTuple):
    """Cancel a tenant's intraday orders and close its intraday positions after their square-off time."""

    tenant_id: int
    at: Timestamp


class CancelHalted(NamedTuple):
    """Cancel open orders that a kill switch forbids.

    The process that set the switch may have ended before it canceled them.
    """

    tenant_id: int
    at: Timestamp


class CheckLosses(NamedTuple):
    """Compare the losses of a tenant's portfolios with their limits."""

    tenant_id: int
    at: Timestamp


class ApplyBrokerReport(NamedTuple):
    """An event that a broker reports of an order after it was sent."""

    tenant_id: int
    order_id: str
    event: BrokerEvent
    at: Timestamp


InternalCommand = (  # commands without a request: the clock, a price or a broker causes them
    MatchQuote
    | FinishQuote
    | ExpireOrders
    | ReleaseOrders
    | SquareOff
    | CancelHalted
    | CheckLosses
    | ApplyBrokerReport
)
