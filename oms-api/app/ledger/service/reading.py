"""Read portfolios, now and as of an earlier time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from sqlalchemy import Connection

from app.errors import FieldError, Invalid
from app.ledger.errors import NoSuchPortfolio, NoSuchTrade
from app.ledger.queries import reading as queries
from app.ledger.queries.reading import Book, Holding, ListedTrade
from app.money import ZERO, fixed, money_text
from app.text import name_key

MAX_COMPARED_NAMES = 2_000
MAX_NEAREST_NAMES = 3
AsOf = int | datetime  # a sequence number or an instant


@dataclass(frozen=True, slots=True)
class Statement:
    """A portfolio with its positions."""

    book: Book
    holdings: list[Holding]


def get_trade(
    connection: Connection, tenant_id: int, trade_id: str, portfolios: frozenset[str] | None
) -> ListedTrade:
    """Return one trade of the portfolios (name keys; None: all). Raises NoSuchTrade."""
    found = queries.find_trade(connection, tenant_id, trade_id, portfolios)
    if found is None:
        raise NoSuchTrade(trade_id)
    return found


def get_statement(connection: Connection, tenant_id: int, name: str, as_of: AsOf | None = None) -> Statement:
    """Return a portfolio, now or as of an instant or a sequence number. Raises NoSuchPortfolio."""
    key = name_key(name)
    found = queries.find_books(connection, tenant_id, [key])
    if key not in found:
        raise NoSuchPortfolio(name)
    book, held = found[key]
    if as_of is None:
        return Statement(book, held)
    return _statement_at(connection, tenant_id, book, _sequence(connection, tenant_id, book, as_of))


def get_statement_at_instant(
    connection: Connection, tenant_id: int, book: Book, instant: datetime
) -> Statement:
    """Return a portfolio by the rows of its ledger that were recorded at an instant or before."""
    return _statement_at(
        connection, tenant_id, book, queries.sequence_at(connection, tenant_id, book, instant)
    )


def get_statements(connection: Connection, tenant_id: int, name_keys: Sequence[str]) -> dict[str, Statement]:
    """Return the portfolios that exist, by name key, by one statement."""
    found = queries.find_books(connection, tenant_id, name_keys)
    return {key: Statement(*state) for key, state in found.items()}


def nearest_names(
    connection: Connection, tenant_id: int, name: str, portfolios: frozenset[str] | None
) -> list[str]:
    """Return the names of portfolios most similar to `name` that the caller may see (name keys; None: all).

    If a tenant has very many portfolios, only the first in alphabetical order are compared.
    """
    books = queries.list_books(connection, tenant_id, None, MAX_COMPARED_NAMES, None, portfolios)
    names = {name_key(book.name): book.name for book in books}
    return [names[key] for key in get_close_matches(name_key(name), names, MAX_NEAREST_NAMES)]


def build_summary(book: Book) -> dict[str, Any]:
    """Return the response body of a portfolio without its positions."""
    return {
        "portfolio_name": book.name,
        "base_currency": book.base_currency,
        "total_trades": book.total_trades,
        "total_buys": book.total_buys,
        "total_sells": book.total_trades - book.total_buys,
        "realized_pnl": money_text(book.realized_pnl),
        "cash": money_text(book.cash),
        "cost_schedule": book.cost_schedule,
        "last_sequence": book.last_sequence,
    }


def charges_of(statement: Statement) -> Decimal:
    """Return the charges of all trades: what is missing of opening cash and realised P&L in cash and cost."""
    book = statement.book
    cost = sum((Decimal(held.cost) for held in statement.holdings), ZERO)
    return Decimal(book.opening_cash) + Decimal(book.realized_pnl) - cost - Decimal(book.cash)


def _sequence(connection: Connection, tenant_id: int, book: Book, as_of: AsOf) -> int:
    if isinstance(as_of, datetime):
        return queries.sequence_at(connection, tenant_id, book, as_of)
    if as_of > book.last_sequence:
        message = f"The ledger of this portfolio ends at {book.last_sequence}."
        raise Invalid("There is no such sequence number yet.", [FieldError("as_of", message, "beyond_end")])
    return as_of


def _statement_at(connection: Connection, tenant_id: int, book: Book, sequence: int) -> Statement:
    if sequence == 0:
        opened = book._replace(total_trades=0, total_buys=0, realized_pnl=fixed(ZERO), last_sequence=0)
        return Statement(opened._replace(cash=book.opening_cash), [])
    held = queries.holdings_at(connection, tenant_id, book, sequence)
    return Statement(queries.book_at(connection, tenant_id, book, sequence), held)
