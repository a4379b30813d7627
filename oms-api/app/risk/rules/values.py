"""Inputs and outputs of the checks.

Amounts are decimals: quantities in units of the instrument, values in the portfolio's currency.
"""

from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from app.money import ZERO
from app.risk.rules.latches import Latch


class TradingState(StrEnum):
    """The state of a kill switch, which defines the trades that are allowed."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"  # only orders that reduce a position
    HALTED = "HALTED"  # no submissions, releases or replacements; cancels are allowed


class Denial(NamedTuple):
    """The reason why an order was denied.

    `limit` and `asked` are the limit and the denied value, as amounts or words, None if there is none.
    `largest_passing` is the largest quantity that passes all checks, rounded down to the lot size. If a price
    is at fault, `nearest_price` is the nearest price that passes tick size, price range and collar, and
    `largest_passing` is None.
    """

    code: str
    message: str
    limit: Decimal | str | None = None
    asked: Decimal | str | None = None
    largest_passing: Decimal | None = ZERO
    nearest_price: Decimal | None = None


class CandidateOrder(NamedTuple):
    """The order that is evaluated.

    `quantity` is its open quantity, `filled_quantity` its earlier filled quantity.

    Orders of one `group_id` do not count as each other's opposite side. Orders with one `oco_group_id` (an
    OCO pair, the exits of a bracket) share one quantity, so that they count once.
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
    oco_group_id: str | None = None
    is_closing: bool = False  # closes a position, and may be an odd lot
    filled_quantity: Decimal = ZERO


class WorkingOrder(NamedTuple):
    """An order of the portfolio that works or awaits approval.

    `leaves` is its open quantity, `charges` the charges for filling it.
    """

    side: str
    type: str
    leaves: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    is_triggered: bool = False
    group_id: str | None = None
    oco_group_id: str | None = None
    is_exit: bool = False  # only reduces the position; other orders that reduce it come first
    charges: Decimal = ZERO
    is_at_market: bool = True  # False while it awaits approval: it cannot match yet


class Prices(NamedTuple):
    """The prices of a quote."""

    bid: Decimal | None = None
    ask: Decimal | None = None
    last: Decimal | None = None


class TradedInstrument(NamedTuple):
    """The properties of an instrument. Quantities are multiples of the lot size, prices of the tick size."""

    tick_size: Decimal
    lot_size: Decimal
    is_tradable: bool = True
    is_restricted: bool = False
    asset_class: str = "equity"


class SymbolExposure(NamedTuple):
    """A portfolio's position in one symbol and product with its working orders.

    `exposure.build_symbol_exposure` builds it. Values are open quantity × price. Exits count only as far as
    other orders of their side leave something of the position: `buy_exits` and `sell_exits` are their part of
    the quantities. `shorting_value` is the part of the sells beyond the position. `lowest_offer` and
    `highest_bid` are resting limits outside the evaluated order's group. Prices are in the instrument's
    currency; if that is not the portfolio's, `rate` converts values. `buy_charges` are those of the buys.
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
    buy_charges: Decimal = ZERO


class ExposureTotals(NamedTuple):
    """The sum of several symbol exposures; see `exposure.sum_totals`.

    `shorts` is Σ |market value| of short positions. `gross` is the largest Σ |market value| that working
    orders can lead to, `net_high` and `net_low` the largest and smallest Σ market value.
    """

    shorts: Decimal = ZERO
    buy_value: Decimal = ZERO
    shorting_value: Decimal = ZERO
    gross: Decimal = ZERO
    net_high: Decimal = ZERO
    net_low: Decimal = ZERO
    orders: int = 0
    buy_charges: Decimal = ZERO


NO_TOTALS = ExposureTotals()


class Permission(NamedTuple):
    """The symbols, sides and products that may be traded; None means all.

    An order without a product has the product NONE.
    """

    symbols: frozenset[str] | None = None
    sides: frozenset[str] | None = None
    products: frozenset[str] | None = None


EVERYTHING_ALLOWED = Permission()


class OrderLimits(NamedTuple):
    """The resolved limits of one order; None is no limit.

    `missing` are codes that a live portfolio needs and that are not set. `firm_…` limits apply to the sum of
    all portfolios. `repeated_executions` are orders filled in a minute; zero is no limit.
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
    permission: Permission = EVERYTHING_ALLOWED


def charge_nothing(_: Decimal) -> Decimal:
    """Return zero: the order is charged nothing."""
    return ZERO


class RiskInput(NamedTuple):
    """The input of the checks.

    `instrument` is None if unknown. `symbol_exposure` is the portfolio's exposure in the order's symbol and
    product, without the order itself and the order that it replaces. `other_exposure` is the sum of the
    portfolio's other exposures. `firm` is the sum of the tenant's other portfolios in the tenant's currency
    (set only for firm-wide limits), and `firm_rate` converts to that currency, None if it is the portfolio's
    own. `same_order_seconds` is the age of the same person's identical order, None if there is none.
    `pnl_of_day` and `drawdown` are None if unknown. `latch` stops the order's strategy or key.
    `session_denial_reason` states why the session denies the order, None if it does not. `closed_until` is
    when the session opens, None if unknown. `no_rate` is a currency pair without a rate. `feed_silence` is
    the number of seconds since the quote's feed was last heard, None for a price set by hand. `waived` are
    codes that two people agreed to ignore for this order. `charges` returns the charges for filling a
    quantity of the order, in the portfolio's currency; it does not decrease with the quantity.
    `critical_issues` is the number of critical differences from the broker's books.
    """

    order: CandidateOrder
    instrument: TradedInstrument | None
    prices: Prices
    symbol_exposure: SymbolExposure
    limits: OrderLimits
    cash: Decimal
    other_exposure: ExposureTotals = NO_TOTALS
    firm: ExposureTotals = NO_TOTALS
    firm_rate: Decimal | None = None
    portfolio_name_key: str = ""
    state: TradingState = TradingState.ACTIVE
    state_scope: str = "tenant"
    latch: Latch | None = None
    is_person: bool = False
    confirm_repeat: bool = False
    same_order_seconds: Decimal | None = None
    pnl_of_day: Decimal | None = None
    firm_pnl_of_day: Decimal | None = None
    drawdown: Decimal | None = None
    session_denial_reason: str | None = None
    closed_until: str | None = None
    no_rate: str | None = None
    feed_silence: Decimal | None = None
    max_feed_silence: Decimal = Decimal(30)
    charges: Callable[[Decimal], Decimal] = charge_nothing
    waived: frozenset[str] = frozenset()
    critical_issues: int = 0
