"""Restate the open orders of a backtest after a split, by the rules of the service."""

from app.backtests.service.exits import ExitManager
from app.backtests.service.orders import BacktestOrder
from app.ledger.rules.corporate_actions import Ratio
from app.orders.rules.split_adjustments import InstrumentIncrements, RestatedOrder, restate_order
from app.orders.rules.values import StopLoss, TakeProfit


def restate_after_split(order: BacktestOrder, ratio: Ratio, exits: ExitManager) -> bool:
    """Change the terms of an open order, and of exits that it asks for. Return whether a lot is left."""
    restated = _compute_restated_terms(order, ratio)
    if restated is None:
        return False
    for leg in exits.build_tickets(order):
        exit_order = BacktestOrder("", leg, order.instrument, order.quantity, order.created_at, order.id)
        exit_terms = _compute_restated_terms(exit_order, ratio)
        if exit_terms is not None:
            _restate_exit(order, exit_terms)
    order.restate(restated)
    return True


def _compute_restated_terms(order: BacktestOrder, ratio: Ratio) -> RestatedOrder | None:
    instrument = order.instrument
    return restate_order(
        order.build_order(), ratio, InstrumentIncrements(instrument.tick_size, instrument.lot_size)
    )


def _restate_exit(entry: BacktestOrder, terms: RestatedOrder) -> None:
    if terms.stop_price is not None:
        protection = StopLoss(terms.stop_price, terms.limit_price)
        entry.ticket = entry.ticket._replace(stop_loss=protection)
    elif terms.limit_price is not None:
        entry.ticket = entry.ticket._replace(take_profit=TakeProfit(terms.limit_price))
