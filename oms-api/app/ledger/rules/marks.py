"""Value a position at its mark."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from app.ledger.rules.accounting import compute_average_cost
from app.ledger.rules.position_extremes import Extremes
from app.market_data.rules.values import CLOSE, OVERRIDE
from app.money import ZERO, divide, multiply

STALE_AFTER = timedelta(seconds=60)  # a mark older than this is stale


class Mark(NamedTuple):
    """The price per unit that a position is valued at.

    `source` is "override" if a person set it, "quote", "close" for the last quote of a session that closed,
    or "trade" if there is no quote.
    """

    price: Decimal
    at: datetime
    source: str


class PositionValuation(NamedTuple):
    """The value of a position at its mark.

    Market value and unrealized P&L (value - cost) are signed and in the portfolio's currency. The age is the
    mark's, in seconds.
    """

    market_value: Decimal
    unrealized_pnl: Decimal
    age_seconds: float
    is_stale: bool


class PositionNameKey(NamedTuple):
    """The key of a position that names the portfolio instead of its id."""

    portfolio_name_key: str
    symbol: str
    product: str


class ListedPosition(NamedTuple):
    """A position with its portfolio and its last trade.

    `currency` is None if it trades in the portfolio's currency, `base_currency`. `opened_at` is None when
    flat, `closed_at` is when it last became flat.
    """

    portfolio_name_key: str
    portfolio_name: str
    base_currency: str
    symbol: str
    product: str
    quantity: Decimal
    cost: Decimal
    realized_pnl: Decimal
    currency: str | None
    local_cost: Decimal | None
    opened_at: datetime | None
    closed_at: datetime | None
    last_price: Decimal
    last_at: datetime
    portfolio_id: int

    @property
    def name_key(self) -> PositionNameKey:
        """The sort key of the position in lists."""
        return PositionNameKey(self.portfolio_name_key, self.symbol, self.product)


class ExitPrices(NamedTuple):
    """The prices at which working orders close a position, None if no order does."""

    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None


NO_EXIT_PRICES = ExitPrices()


class MarkedPosition(NamedTuple):
    """A position with its mark and the exchange rate used, None for the portfolio's own currency.

    `charges` are the charges of all its trades. `extremes` is None while it is flat.
    """

    position: ListedPosition
    mark: Mark
    valuation: PositionValuation
    rate: Decimal | None = None
    exits: ExitPrices = NO_EXIT_PRICES
    charges: Decimal = ZERO
    extremes: Extremes | None = None

    @property
    def total_pnl(self) -> Decimal:
        """Realized and unrealized P&L less charges, in the portfolio's currency."""
        return self.position.realized_pnl + self.valuation.unrealized_pnl - self.charges

    @property
    def risk_reward(self) -> Decimal | None:
        """The distance of the take-profit from the average cost, divided by the distance of the stop-loss.

        None if an exit is missing or is not beyond the average cost.
        """
        listed_position, (stop_loss, take_profit) = self.position, self.exits
        if not listed_position.quantity or stop_loss is None or take_profit is None:
            return None
        entry = compute_average_cost(
            listed_position.quantity,
            listed_position.cost if listed_position.local_cost is None else listed_position.local_cost,
        )
        sign = 1 if listed_position.quantity > 0 else -1
        risk, reward = sign * (entry - stop_loss), sign * (take_profit - entry)
        return divide(reward, risk) if risk > 0 and reward > 0 else None


def compute_valuation(
    quantity: Decimal, cost: Decimal, mark: Mark, now: datetime, rate: Decimal | None = None
) -> PositionValuation:
    """Return the valuation of a position. `rate` converts the mark's currency to the portfolio's.

    A mark from a clock that runs ahead has the age zero. Neither a mark that a person set nor a close is
    stale.
    """
    worth = multiply(quantity, mark.price)
    if rate is not None:
        worth = multiply(worth, rate)
    age = max(now - mark.at, timedelta(0))
    is_stale = age > STALE_AFTER and mark.source not in {OVERRIDE, CLOSE}
    return PositionValuation(worth, worth - cost, round(age.total_seconds(), 3), is_stale)
