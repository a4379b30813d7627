"""Read positions with their marks and values."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection

from app.errors import FieldError, Invalid
from app.identity.rules.access import Caller
from app.instruments.queries import load_symbol
from app.instruments.rules import InstrumentKey
from app.ledger.errors import NoSuchPosition
from app.ledger.queries.positions import PositionFilter, list_positions
from app.ledger.rules.equity import compute_rate_of_cost
from app.ledger.rules.marks import (
    NO_EXIT_PRICES,
    ExitPrices,
    ListedPosition,
    Mark,
    MarkedPosition,
    PositionNameKey,
    compute_valuation,
)
from app.market_data.rules.rates import find_rate, list_pairs
from app.market_data.rules.values import CLOSE, OVERRIDE, Quote
from app.market_data.rules.values import compute_mark as mark_of
from app.market_data.service import Market
from app.text import name_key

MAX_PRODUCTS = 100  # of one symbol


def list_positions_at_marks(
    connection: Connection,
    market: Market,
    tenant_id: int,
    filters: PositionFilter,
    now: datetime,
    limit: int,
    after: tuple[str, str, str] | None = None,
) -> list[MarkedPosition]:
    """Return positions by portfolio, symbol and product, each at its mark.

    The mark is the price that a person set, else mid, else last, else the price of the last trade.
    """
    if filters.symbol is not None:
        filters = replace(filters, symbol=load_symbol(connection, tenant_id, filters.symbol))
    positions = list_positions(connection, tenant_id, filters, limit, after)
    return _value_at_marks(connection, market, tenant_id, positions, now)


def load_marked_position(
    connection: Connection,
    market: Market,
    caller: Caller,
    portfolio: str,
    symbol: str,
    product: str | None,
    now: datetime,
) -> MarkedPosition:
    """Return a position by its symbol or an alias, even if it is flat.

    `product` selects one of several products of a symbol. Raises NoSuchPosition, and Invalid if a product
    must be given.
    """
    symbol = load_symbol(connection, caller.tenant_id, symbol)
    filters = PositionFilter(
        name_key(portfolio), symbol, product, include_closed=True, portfolios=caller.portfolios
    )
    positions = list_positions(connection, caller.tenant_id, filters, MAX_PRODUCTS)
    if not positions:
        raise NoSuchPosition(portfolio, symbol)
    if len(positions) > 1 and positions[0].product:
        message = f"Must be one of: {', '.join(listed_position.product for listed_position in positions)}."
        raise Invalid(
            f"{symbol} is held in several products; send `product`.",
            [FieldError("product", message, "product")],
        )
    return _value_at_marks(connection, market, caller.tenant_id, positions[:1], now)[0]


def _value_at_marks(
    connection: Connection, market: Market, tenant_id: int, positions: Iterable[ListedPosition], now: datetime
) -> list[MarkedPosition]:
    held_positions = list(positions)
    symbols = {position.symbol for position in held_positions}
    for listed_position in held_positions:
        if listed_position.currency is not None:
            symbols.update(list_pairs(listed_position.currency, listed_position.base_currency))
    quotes = market.load_marks(
        connection, sorted(InstrumentKey(tenant_id, symbol) for symbol in symbols), now
    )
    by_symbol = {key.symbol: quote for key, quote in quotes.items()}
    marked = []
    for listed_position in held_positions:
        quote = by_symbol.get(listed_position.symbol)
        price = mark_of(quote) if quote else None
        if quote is None or price is None:
            mark = Mark(listed_position.last_price, listed_position.last_at, "trade")
        else:
            mark = Mark(price, quote.at, quote.source if quote.source in {OVERRIDE, CLOSE} else "quote")
        rate = _find_rate(listed_position, by_symbol)
        marked.append(
            MarkedPosition(
                listed_position,
                mark,
                compute_valuation(listed_position.quantity, listed_position.cost, mark, now, rate),
                rate,
            )
        )
    return marked


def _find_rate(listed_position: ListedPosition, quotes: Mapping[str, Quote]) -> Decimal | None:
    """Return the current rate, or else the rate of the position's cost."""
    if listed_position.currency is None:
        return None
    rate = find_rate(listed_position.currency, listed_position.base_currency, quotes)
    return compute_rate_of_cost(listed_position.cost, listed_position.local_cost) if rate is None else rate


ExitsReader = Callable[[Connection, int, Sequence[ListedPosition]], Mapping[PositionNameKey, ExitPrices]]


def add_exit_prices(
    connection: Connection, tenant_id: int, marked_positions: Sequence[MarkedPosition], read: ExitsReader
) -> list[MarkedPosition]:
    """Return the positions with their stop-loss and take-profit prices. Flat positions have none."""
    held_positions = [
        marked_position.position for marked_position in marked_positions if marked_position.position.quantity
    ]
    exits = read(connection, tenant_id, held_positions) if held_positions else {}
    return [
        marked_position._replace(exits=exits.get(marked_position.position.name_key, NO_EXIT_PRICES))
        for marked_position in marked_positions
    ]
