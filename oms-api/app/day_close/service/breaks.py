"""Find the breaks that are open in a portfolio when a day is signed off."""

from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

from sqlalchemy import Connection

from app.day_close import queries
from app.day_close.queries import ClosedPortfolio
from app.instruments.rules import InstrumentKey
from app.ledger.queries.audit import iterate_rows_after
from app.ledger.queries.cash import list_cash_movements
from app.ledger.rules.cash import hash_cash
from app.ledger.rules.chain import GENESIS, compute_row_hash
from app.ledger.rules.marks import STALE_AFTER
from app.ledger.service.portfolio_statements import PortfolioStatement
from app.ledger.service.valuation import list_statement_positions
from app.market_data.rules.values import compute_mark
from app.market_data.service import Market
from app.money import format_plain_amount
from app.orders.rules.values import Status
from app.performance.queries.closes import StoredClose
from app.risk.rules.values import TradingState
from app.timestamps import format_timestamp

MAX_ORDERS = 100  # of a portfolio that are listed one by one


class FoundBreak(NamedTuple):
    """An open break: its kind, the order, symbol or row that it is about, and a sentence."""

    kind: str
    subject: str
    detail: str


class SequenceRange(NamedTuple):
    """The rows of a day in a portfolio's ledger: after the sequence `first` up to `last`."""

    first: int
    last: int


def list_order_breaks(connection: Connection, tenant_id: int, portfolio_id: int) -> Iterator[FoundBreak]:
    """Yield the open orders of a portfolio. Beyond MAX_ORDERS, the last one states that there are more."""
    open_orders = queries.list_open_orders(connection, tenant_id, portfolio_id, MAX_ORDERS + 1)
    for order in open_orders[:MAX_ORDERS]:
        kind = "awaiting_approval" if order.status == Status.AWAITING_APPROVAL else "working_order"
        quantity = format_plain_amount(order.quantity)
        ticket = f"{order.side} {quantity} {order.symbol}, {order.type}, {order.status}"
        yield FoundBreak(kind, order.id, ticket)
    if len(open_orders) > MAX_ORDERS:
        yield FoundBreak("working_order", "", f"More than {MAX_ORDERS} orders are open.")


def list_state_breaks(portfolio: ClosedPortfolio) -> Iterator[FoundBreak]:
    """Yield that trading is stopped, if it is."""
    if portfolio.trading_state != TradingState.ACTIVE:
        yield FoundBreak("trading_stopped", "", f"The trading state is {portfolio.trading_state}.")


def list_mark_breaks(
    connection: Connection, market: Market, tenant_id: int, statement: PortfolioStatement, close: StoredClose
) -> Iterator[FoundBreak]:
    """Yield the open positions whose mark was old at the close, or was the price of their last trade."""
    symbols = {position.symbol for position in list_statement_positions(tenant_id, statement)}
    keys = [InstrumentKey(tenant_id, symbol) for symbol in sorted(symbols)]
    quotes = market.load_past_marks(connection, keys, close.at)
    for key in keys:
        symbol, quote = key.symbol, quotes.get(key)
        if quote is None or compute_mark(quote) is None:
            yield FoundBreak("stale_mark", symbol, "Without a quote it was valued at its last trade's price.")
        elif close.at - quote.at > STALE_AFTER:
            yield FoundBreak("stale_mark", symbol, f"Its last quote was of {format_timestamp(quote.at)}.")


def list_row_breaks(
    connection: Connection, tenant_id: int, portfolio_id: int, day: SequenceRange, close: StoredClose
) -> Iterator[FoundBreak]:
    """Yield the rows of the day in both ledgers whose hash does not follow from the row before."""
    predecessor = GENESIS
    with closing(iterate_rows_after(connection, tenant_id, portfolio_id, max(day.first - 1, 0))) as rows:
        for row in rows:
            if row.sequence > day.last:
                break
            if row.sequence > day.first and row.hash != compute_row_hash(tuple(row[:-1]), predecessor):
                yield FoundBreak("unverified_row", str(row.trade_id), "Its hash does not match the ledger.")
            predecessor = str(row.hash)
    predecessor, closed_at = GENESIS, format_timestamp(close.at)
    for movement in list_cash_movements(connection, tenant_id, portfolio_id):
        if movement.created_at > closed_at:
            break
        if movement.hash != hash_cash(tuple(movement[:-1]), predecessor):
            subject = f"cash {movement.sequence}"
            yield FoundBreak("unverified_row", subject, "Its hash does not match the cash ledger.")
        predecessor = movement.hash
