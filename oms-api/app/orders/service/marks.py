"""Find the marks of positions in a batch.

The mark is what a person set, else the mid or last of the quote, else the price of the last trade.
"""

from collections.abc import Mapping
from decimal import Decimal

from app.ledger.queries.valuation import find_last_prices
from app.ledger.rules.accounting import Position
from app.ledger.rules.keys import PositionKey
from app.orders.service.batch_context import BatchContext
from app.orders.service.symbol_state import mark_of


def find_mark(context: BatchContext, key: PositionKey, held: Position) -> Decimal | None:
    """Return the mark of a position in its currency, None for a flat one without a quote."""
    price = context.symbol_state(key.tenant_id, key.symbol).mark
    return _find_last_trade_price(context, key) if price is None and held.quantity else price


def load_last_trade_prices(context: BatchContext, held: Mapping[PositionKey, Position]) -> None:
    """Load the last trade's price of those open positions whose symbols have no mark in a quote."""
    keys = [
        key
        for key, position in held.items()
        if position.quantity
        and key not in context.last_trade_prices
        and mark_of(context.quote(key.tenant_id, key.symbol)) is None
    ]
    context.last_trade_prices.update(find_last_prices(context.connection, sorted(keys)))


def _find_last_trade_price(context: BatchContext, key: PositionKey) -> Decimal | None:
    """Return the price of the newest trade in a position, of this batch or stored."""
    price = context.ledger.get_new_price(key)
    if price is None and key not in context.last_trade_prices:
        load_last_trade_prices(context, context.ledger.positions(key.portfolio_key))
    return context.last_trade_prices.get(key) if price is None else price
