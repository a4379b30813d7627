"""Compute the changes by a corporate action, without applying them."""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection

from app.corporate_actions import queries
from app.corporate_actions.rules.values import (
    ActionPreview,
    AffectedPortfolio,
    OpenOrderChange,
    PositionChange,
)
from app.instruments.queries import load_instruments
from app.instruments.rules import InstrumentKey
from app.ledger.errors import NoRate
from app.ledger.queries.corporate_actions import list_steps
from app.ledger.rules.accounting import Fill, Position, Side, compute_average_cost
from app.ledger.rules.corporate_actions import (
    ActionKind,
    CorporateActionTerms,
    FractionSale,
    Split,
    Step,
    compute_dividend,
    compute_fraction,
    compute_fraction_price,
    replay_before,
    replay_steps,
    replay_to_close,
)
from app.ledger.rules.keys import PortfolioKey, PositionKey
from app.ledger.service.batch import RateLookup
from app.ledger.service.corporate_actions import require_no_later_fill, require_unchanged_symbol
from app.money import ZERO, multiply
from app.orders.queries.orders import list_open_orders_in_symbol
from app.orders.rules.split_adjustments import InstrumentIncrements, RestatedOrder, restate_order
from app.orders.rules.values import Order, Status


def preview_action(
    connection: Connection, action: CorporateActionTerms, rates: RateLookup, now: datetime
) -> ActionPreview:
    """Return the changes of positions and open orders. Raises NoRate and TradedAfterSymbolChange."""
    positions: list[PositionChange] = []
    orders: list[OpenOrderChange] = []
    for portfolio in queries.list_portfolios(connection, action.tenant_id, action.symbol):

        def find_rate(currency: str | None, base: str = portfolio.base_currency) -> Decimal | None:
            if currency is None or currency == base:
                return None
            rate = rates(connection, action.tenant_id, currency, base, now)
            if rate is None:
                raise NoRate(action.symbol, currency, base)
            return rate

        products = queries.list_products(connection, action.tenant_id, portfolio.id, action.symbol)
        for name in products:
            change = _preview_position(connection, action, portfolio, name, find_rate)
            positions += [] if change is None else [change]
        orders += _preview_orders(connection, action, portfolio)
    return ActionPreview(positions, orders)


def _preview_position(
    connection: Connection,
    action: CorporateActionTerms,
    portfolio: AffectedPortfolio,
    product_name: str,
    find_rate: Callable[[str | None], Decimal | None],
) -> PositionChange | None:
    key = PositionKey(action.tenant_id, portfolio.id, action.symbol, product_name)
    steps = list_steps(connection, key)
    at = action.effective_at
    if action.kind is ActionKind.SPLIT:
        require_unchanged_symbol(action, steps, portfolio.name)
    position = (replay_to_close if action.kind is ActionKind.DIVIDEND else replay_before)(steps, at)
    if not position.quantity:
        return None
    before = replay_steps(steps)
    after, cash = before, ZERO
    match action.kind:
        case ActionKind.SPLIT:
            after, cash = _preview_split(action, steps, position, find_rate)
        case ActionKind.SYMBOL_CHANGE:
            require_no_later_fill(action, steps, portfolio.name)
        case ActionKind.DIVIDEND:
            dividend = compute_dividend(position.quantity, action, find_rate(action.currency))
            cash = dividend.gross - dividend.withheld
    return PositionChange(
        portfolio=portfolio,
        symbol=action.symbol,
        product=product_name,
        quantity=before.quantity,
        average=compute_average_cost(before.quantity, before.cost),
        new_quantity=after.quantity,
        new_average=compute_average_cost(after.quantity, after.cost),
        cash=cash,
    )


def _preview_split(
    action: CorporateActionTerms,
    steps: Sequence[Step],
    position: Position,
    find_rate: Callable[[str | None], Decimal | None],
) -> tuple[Position, Decimal]:
    """Return the position after a split, less the fraction that is paid, and the cash for it."""
    split = Split(action.effective_at, action.ratio)
    fraction = compute_fraction(position.quantity, action.ratio)
    if not fraction:
        return replay_steps([*steps, split]), ZERO
    side, quantity = (Side.SELL if fraction > 0 else Side.BUY), abs(fraction)
    _, value = compute_fraction_price(action, position, quantity)
    rate = find_rate(position.currency)
    fill = Fill(side, quantity, value, at=split.at)
    if rate is not None:
        fill = Fill(side, quantity, multiply(value, rate), value, position.currency, split.at)
    after = replay_steps([*steps, split, FractionSale(split.at, fill)])
    return after, -side.sign * fill.value


def _preview_orders(
    connection: Connection, action: CorporateActionTerms, portfolio: AffectedPortfolio
) -> list[OpenOrderChange]:
    if action.kind is ActionKind.DIVIDEND:
        return []
    portfolio_key = PortfolioKey(action.tenant_id, portfolio.id)
    orders = list_open_orders_in_symbol(connection, portfolio_key, action.symbol)
    if action.kind is ActionKind.SYMBOL_CHANGE:
        return [OpenOrderChange(portfolio, order, None) for order in orders]
    key = InstrumentKey(action.tenant_id, action.symbol)
    instrument = load_instruments(connection, [key])[key]
    increments = InstrumentIncrements(instrument.tick_size, instrument.lot_size)
    return [
        OpenOrderChange(portfolio, order, _restate(order, action, increments))
        for order in orders
        if order.created_at < action.effective_at
    ]


def _restate(
    order: Order, action: CorporateActionTerms, increments: InstrumentIncrements
) -> RestatedOrder | None:
    if order.status is Status.AWAITING_APPROVAL:
        return None
    return restate_order(order, action.ratio, increments)
