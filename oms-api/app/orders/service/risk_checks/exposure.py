"""Compute the exposure of locked portfolios: positions and working orders, kept up to date within a batch."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from app.costs.rules.values import Schedule
from app.instruments.rules import InstrumentKey
from app.ledger.queries.valuation import load_last_prices
from app.ledger.rules.accounting import Position
from app.ledger.rules.keys import PortfolioKey, PositionKey, SymbolProductKey
from app.orders.rules.contingency import can_only_close, find_oco_group_id
from app.orders.rules.values import EXPOSURE_STATUSES, WORKING_STATUSES, Order
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.batch_state.loaded_state import compute_optional_mark
from app.orders.service.batch_state.portfolio_cache import PortfolioRisk, PositionRisk
from app.orders.service.risk_checks.currency_conversion import (
    find_portfolio_valuation_rate,
    find_trading_currency,
)
from app.orders.service.risk_checks.fill_charges import ChargedMarket, estimate_charges
from app.risk.rules.exposure import NO_PRICES, build_symbol_exposure, compute_totals, find_order_price
from app.risk.rules.values import CandidateOrder, Prices, SymbolExposure, WorkingOrder


def compute_exposure(context: BatchContext, portfolio_key: PortfolioKey) -> PortfolioRisk:
    """Return the portfolio's exposure after revaluing the positions that changed."""
    exposure = context.exposures.get(portfolio_key)
    if exposure is None:
        exposure = context.exposures[portfolio_key] = PortfolioRisk()
        positions = context.ledger.get_positions(portfolio_key)
        keys_to_revalue = {key.symbol_product_key for key, position in positions.items() if position.quantity}
        keys_to_revalue |= {
            order.symbol_product_key for order in context.order_store.list_open_orders(portfolio_key)
        }
        context.order_store.positions_to_revalue.pop(portfolio_key, None)
    else:
        keys_to_revalue = context.order_store.positions_to_revalue.pop(portfolio_key, set())
        if exposure.foreign:
            keys_to_revalue |= {
                key for key in exposure.foreign if _has_new_rate(context, portfolio_key, exposure, key)
            }
    for symbol_product_key in keys_to_revalue:
        _update_valuation(context, portfolio_key, exposure, symbol_product_key)
    return exposure


def build_book(
    context: BatchContext,
    position_key: PositionKey,
    orders: list[Order],
    candidate: CandidateOrder | None = None,
) -> SymbolExposure:
    """Return the exposure of a position of a locked portfolio, with its open orders that count."""
    portfolio_key, symbol = position_key.portfolio_key, position_key.symbol
    position = context.ledger.get_position(position_key)
    mark = find_mark(context, position_key, position)
    rate = find_portfolio_valuation_rate(context, portfolio_key, symbol, position)
    if not orders:
        return SymbolExposure(position.quantity, mark, rate=rate)
    prices = context.find_symbol_state(position_key.tenant_id, symbol).prices
    market = build_charged_market(context, portfolio_key, symbol, position, rate)
    working_orders = list_working_orders(orders, position, prices, mark, market)
    return build_symbol_exposure(position.quantity, mark, working_orders, prices, candidate, rate)


def _has_new_rate(
    context: BatchContext,
    portfolio_key: PortfolioKey,
    exposure: PortfolioRisk,
    symbol_product_key: SymbolProductKey,
) -> bool:
    position = context.ledger.get_position(PositionKey(*portfolio_key, *symbol_product_key))
    rate = find_portfolio_valuation_rate(context, portfolio_key, symbol_product_key.symbol, position)
    return rate != exposure.valuations[symbol_product_key].book.rate


def _update_valuation(
    context: BatchContext,
    portfolio_key: PortfolioKey,
    exposure: PortfolioRisk,
    symbol_product_key: SymbolProductKey,
) -> None:
    symbol, product = symbol_product_key
    open_orders = context.order_store.list_open_orders_of_symbol(portfolio_key, symbol)
    counted_orders = [
        order for order in open_orders if order.product == product and order.status in EXPOSURE_STATUSES
    ]
    book = build_book(context, PositionKey(*portfolio_key, symbol, product), counted_orders)
    exposure.put(symbol_product_key, PositionRisk(book, compute_totals(book)))


def list_working_orders(
    orders: list[Order],
    position: Position,
    prices: Prices = NO_PRICES,
    mark_price: Decimal | None = None,
    market: ChargedMarket | None = None,
) -> list[WorkingOrder]:
    """Return the orders of a position that work or await approval, for the risk rules.

    Buys have an estimate of their charges in `market`, at the price that they are valued at.
    """
    working_orders = []
    for order in orders:
        if order.status not in EXPOSURE_STATUSES:
            continue
        working_order = WorkingOrder(
            side=order.side,
            type=order.type.value,
            leaves=order.leaves_quantity,
            limit_price=order.limit_price,
            stop_price=order.stop_price if order.trail_level is None else order.trail_level,
            is_triggered=order.is_triggered,
            group_id=order.group_id,
            oco_group_id=find_oco_group_id(order),
            is_exit=can_only_close(order, position.quantity),
            is_at_market=order.status in WORKING_STATUSES,
        )
        if market is not None and order.side == "BUY" and order.cost_schedule != Schedule.NONE:
            price = find_order_price(working_order, prices) or mark_price
            charges = estimate_charges(order, market, working_order.leaves, price)
            working_order = working_order._replace(charges=charges)
        working_orders.append(working_order)
    return working_orders


def build_charged_market(
    context: BatchContext, portfolio_key: PortfolioKey, symbol: str, position: Position, rate: Decimal | None
) -> ChargedMarket:
    """Return where the portfolio's orders in a symbol are charged."""
    currency = find_trading_currency(context, portfolio_key, symbol, position)
    base = context.ledger.get_portfolio(portfolio_key).base_currency
    return ChargedMarket(
        context.find_instrument(portfolio_key.tenant_id, symbol).exchange, currency or base, rate
    )


def find_mark(context: BatchContext, key: PositionKey, position: Position) -> Decimal | None:
    """Return the mark of a position in its currency, None for a flat position without a quote."""
    price = context.find_symbol_state(key.tenant_id, key.symbol).mark
    return _find_last_trade_price(context, key) if price is None and position.quantity else price


def load_marks(context: BatchContext, portfolio_keys: Iterable[PortfolioKey]) -> None:
    """Load the last trade's price of the positions that are valued next, where no quote gives a mark."""
    for key in portfolio_keys:
        positions = context.ledger.get_positions(key)
        if key in context.exposures:
            position_keys = [
                PositionKey(*key, *symbol_product_key)
                for symbol_product_key in context.order_store.positions_to_revalue.get(key, ())
            ]
            positions = {
                position_key: context.ledger.get_position(position_key) for position_key in position_keys
            }
        if positions:
            load_last_trade_prices(context, positions)


def load_marks_of_symbols(context: BatchContext, instruments: Iterable[InstrumentKey]) -> None:
    """Load the last trade's price of the positions in instruments whose quotes give no mark."""
    unquoted = [key for key in instruments if compute_optional_mark(context.find_quote(*key)) is None]
    position_keys = [
        PositionKey(*portfolio_key, *symbol_product_key)
        for portfolio_key, exposure in (context.exposures.items() if unquoted else ())
        for tenant_id, symbol in unquoted
        if tenant_id == portfolio_key.tenant_id
        for symbol_product_key in exposure.by_symbol.get(symbol, ())
    ]
    load_last_trade_prices(context, {key: context.ledger.get_position(key) for key in position_keys})


def load_last_trade_prices(context: BatchContext, positions: Mapping[PositionKey, Position]) -> None:
    """Load the last trade's price of those open positions whose symbols have no mark in a quote."""
    keys = [
        key
        for key, position in positions.items()
        if position.quantity
        and key not in context.loaded.last_trade_prices
        and compute_optional_mark(context.find_quote(key.tenant_id, key.symbol)) is None
    ]
    if keys:
        context.loaded.last_trade_prices.update(load_last_prices(context.connection, sorted(keys)))


def _find_last_trade_price(context: BatchContext, key: PositionKey) -> Decimal | None:
    """Return the price of the newest trade in a position, of this batch or stored."""
    price = context.ledger.get_new_price(key)
    if price is None and key not in context.loaded.last_trade_prices:
        load_last_trade_prices(context, context.ledger.get_positions(key.portfolio_key))
    return context.loaded.last_trade_prices.get(key) if price is None else price
