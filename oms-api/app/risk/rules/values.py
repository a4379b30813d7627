"""What the checks are given, and what they say. Amounts are decimals: quantities in units of the instrument,
values in the portfolio's currency.
"""

from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from app.money import ZERO
from app.risk.rules.latches import Latch


class TradingState(StrEnum):
    """What a kill switch allows."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"  # only what makes a position smaller
    HALTED = "HALTED"  # no submissions, releases or replaces; cancels always


class Denial(NamedTuple):
    """Why an order was denied: which limit, what was asked, and the largest quantity that passes all checks,
    floored to the lot, at least zero. `limit` and `asked` are canonical amounts or words, None where the fact
    has no number. Where a price is at fault, `nearest_price` is the nearest one that passes the tick, the
    price range and the collar, and there is no `largest_passing`.
    """

    code: str
    message: str
    limit: Decimal | str | None = None
    asked: Decimal | str | None = None
    largest_passing: Decimal | None = ZERO
    nearest_price: Decimal | None = None


class Candidate(NamedTuple):
    """The order that is judged; its quantity is what may still be filled.

    Orders of one `group_id` do not count as each other's opposite side; of one `exclusive_id` (an OCO pair,
    the exits of a bracket) only one can fill, so that they count once.
    """

    symbol: str
    side: str
    type: str
    quantity: Decimal
    product: str = ""
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    is_triggered: bool = False
    extended_hours: bool = False
    group_id: str | None = None
    exclusive_id: str | None = None
    is_closing: bool = False  # it closes a position, so that it may be an odd lot


class WorkingOrder(NamedTuple):
    """An order of the portfolio that is at the market; `leaves` is what may still be filled."""

    side: str
    type: str
    leaves: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    is_triggered: bool = False
    group_id: str | None = None
    exclusive_id: str | None = None
    is_exit: bool = False  # it only takes the position off, and yields to any other order that does


class Prices(NamedTuple):
    """A quote as risk sees it."""

    bid: Decimal | None = None
    ask: Decimal | None = None
    last: Decimal | None = None


class Tradable(NamedTuple):
    """An instrument as risk sees it: quantities are multiples of the lot, prices of the tick."""

    tick_size: Decimal
    lot_size: Decimal
    is_tradable: bool = True
    is_restricted: bool = False
    asset_class: str = "equity"


class SymbolBook(NamedTuple):
    """A portfolio's position in one symbol and product with the orders that work in it: see
    `exposure.book_of`.

    Exits count as far as the other orders of their side leave something of the position to them:
    `buy_exits` and `sell_exits` are what they have of the quantities. Values are leaves × price.
    `shorting_value` is the part of the sells beyond the position. `lowest_offer` and `highest_bid` are limits
    that rest outside the judged order's group. Prices are in the instrument's currency, and where that is not
    the portfolio's, `rate` converts what they make of quantities.
    """

    position: Decimal = ZERO
    mark: Decimal | None = None
    buy_quantity: Decimal = ZERO
    buy_value: Decimal = ZERO
    sell_quantity: Decimal = ZERO
    sell_value: Decimal = ZERO
    shorting_value: Decimal = ZERO
    orders: int = 0
    lowest_offer: Decimal | None = None
    highest_bid: Decimal | None = None
    rate: Decimal | None = None
    buy_exits: Decimal = ZERO
    sell_exits: Decimal = ZERO


class Totals(NamedTuple):
    """What several books add up to: see `exposure.totals_of`.

    `shorts` is Σ |market value| of short positions. `gross` is the largest Σ |market value| that the working
    orders can lead to, `net_high` and `net_low` the largest and smallest Σ market value.
    """

    shorts: Decimal = ZERO
    buy_value: Decimal = ZERO
    shorting_value: Decimal = ZERO
    gross: Decimal = ZERO
    net_high: Decimal = ZERO
    net_low: Decimal = ZERO
    orders: int = 0


NOTHING = Totals()


class Permission(NamedTuple):
    """What may be traded; None means everything. An order without a product has the product NONE."""

    symbols: frozenset[str] | None = None
    sides: frozenset[str] | None = None
    products: frozenset[str] | None = None


EVERYTHING = Permission()


class Limits(NamedTuple):
    """The limits that hold for one order, resolved; None is no limit. `missing` are codes that a live
    portfolio needs and nobody set. Those of the firm hold for the sum of all portfolios.
    `repeated_executions` are orders filled in a minute; zero is no limit.
    """

    max_order_quantity: Decimal | None = None
    max_order_value: Decimal | None = None
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    price_collar_percent: Decimal | None = None
    max_position_value: Decimal | None = None
    max_gross_exposure: Decimal | None = None
    max_net_exposure: Decimal | None = None
    short_selling: bool = True
    repeat_order_seconds: Decimal = ZERO
    max_open_orders: Decimal | None = None
    max_daily_loss: Decimal | None = None
    max_drawdown: Decimal | None = None
    messages_per_minute: Decimal | None = None
    firm_gross_exposure: Decimal | None = None
    firm_net_exposure: Decimal | None = None
    firm_open_orders: Decimal | None = None
    firm_daily_loss: Decimal | None = None
    missing: tuple[str, ...] = ()
    repeated_executions: Decimal = ZERO
    permission: Permission = EVERYTHING


class RiskInput(NamedTuple):
    """All that the checks look at.

    `instrument` is None for an unknown one. `book` is the portfolio in the order's symbol and product without
    the order itself and what it replaces; `elsewhere` are its other books, `firm` the tenant's other
    portfolios in the tenant's currency (needed only where the limits have a firm-wide aggregate), and
    `firm_rate` converts to it, None where the portfolio is in it. `same_order_seconds` is the age of
    the same order of the same person, None where there was none. `pnl_of_day` and `drawdown` are None while
    unknown. `latch` stands against who placed the order. `closed_until` is when the session opens again, None
    while it is open. `no_rate` is the pair of currencies whose rate is missing. `feed_silence` are the
    seconds since the feed of the quote was heard, None for a price given by hand. `waived` are codes that two
    people agreed to pass over for this one order.
    """

    order: Candidate
    instrument: Tradable | None
    prices: Prices
    book: SymbolBook
    limits: Limits
    cash: Decimal
    elsewhere: Totals = NOTHING
    firm: Totals = NOTHING
    firm_rate: Decimal | None = None
    portfolio_key: str = ""
    state: TradingState = TradingState.ACTIVE
    state_scope: str = "tenant"
    latch: Latch | None = None
    is_person: bool = False
    confirms_repeat: bool = False
    same_order_seconds: Decimal | None = None
    pnl_of_day: Decimal | None = None
    firm_pnl_of_day: Decimal | None = None
    drawdown: Decimal | None = None
    closed_until: str | None = None
    no_rate: str | None = None
    feed_silence: Decimal | None = None
    max_feed_silence: Decimal = Decimal(30)
    waived: frozenset[str] = frozenset()
