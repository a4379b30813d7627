"""Read portfolios, now and as of an earlier time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

import orjson
from sqlalchemy import Connection

from app.database import set_tenant_scope
from app.errors import FieldError, Invalid
from app.ledger.errors import NoSuchPortfolio, NoSuchTrade
from app.ledger.queries import reading as queries
from app.ledger.queries.cash import list_cash_movements
from app.ledger.queries.reading import Holding, ListedTrade, PortfolioSummary
from app.ledger.rules.cash import compute_moved_amount
from app.ledger.rules.keys import PortfolioNameKey
from app.ledger.rules.settings import SESSIONS_OFF
from app.ledger.service.cash_figures import CashFigures, CashReader
from app.money import ZERO, format_fixed, shorten_amount, shorten_quantity
from app.text import name_key
from app.timestamps import Timestamp, format_timestamp

MAX_COMPARED_NAMES = 2_000
MAX_NEAREST_NAMES = 3
AsOf = int | datetime  # a sequence number or an instant


@dataclass(frozen=True, slots=True)
class PortfolioStatement:
    """A portfolio with its positions, and its cash figures unless it is of an earlier time."""

    book: PortfolioSummary
    holdings: list[Holding]
    figures: CashFigures | None = None


def get_trade(
    connection: Connection, tenant_id: int, trade_id: str, portfolios: frozenset[str] | None
) -> ListedTrade:
    """Return one trade of the portfolios (name keys; None: all). Raises NoSuchTrade."""
    trade = queries.find_trade(connection, tenant_id, trade_id, portfolios)
    if trade is None:
        raise NoSuchTrade(trade_id)
    return trade


def get_statement(
    connection: Connection,
    tenant_id: int,
    name: str,
    cash_reader: CashReader,
    now: datetime,
    as_of: AsOf | None = None,
) -> PortfolioStatement:
    """Return a portfolio, now or as of an instant or a sequence number. Raises NoSuchPortfolio."""
    key = name_key(name)
    books = queries.find_books(connection, tenant_id, [key])
    if key not in books:
        raise NoSuchPortfolio(name)
    book, holdings = books[key]
    if as_of is None:
        return PortfolioStatement(
            book, holdings, cash_reader.read(connection, tenant_id, [book], now)[book.id]
        )
    sequence = _find_sequence(connection, tenant_id, book, as_of)
    until = format_timestamp(as_of) if isinstance(as_of, datetime) else None
    return _build_statement_at(connection, tenant_id, book, sequence, until)


def get_statement_at_instant(
    connection: Connection, tenant_id: int, book: PortfolioSummary, instant: datetime
) -> PortfolioStatement:
    """Return a portfolio by the rows of its ledger that were recorded at an instant or before."""
    sequence = queries.find_sequence(connection, tenant_id, book, instant)
    return _build_statement_at(connection, tenant_id, book, sequence, format_timestamp(instant))


def get_statements(
    connection: Connection, keys: Sequence[PortfolioNameKey], cash_reader: CashReader, now: datetime
) -> dict[PortfolioNameKey, PortfolioStatement]:
    """Return the portfolios that exist, by a few statements for each tenant."""
    names: dict[int, list[str]] = {}
    for key in keys:
        names.setdefault(key.tenant_id, []).append(key.name_key)
    statements = {}
    for tenant_id, name_keys in names.items():
        found_books = queries.find_books(set_tenant_scope(connection, [tenant_id]), tenant_id, name_keys)
        books = [book for book, _ in found_books.values()]
        long_only = {
            book.id
            for book, positions in found_books.values()
            if not any(_is_short(holding) for holding in positions)
        }
        figures = cash_reader.read(connection, tenant_id, books, now, long_only)
        for name, (book, holdings) in found_books.items():
            statements[PortfolioNameKey(tenant_id, name)] = PortfolioStatement(
                book, holdings, figures[book.id]
            )
    return statements


def _is_short(holding: Holding) -> bool:
    return holding.quantity.startswith("-")


def find_similar_names(
    connection: Connection, tenant_id: int, name: str, portfolios: frozenset[str] | None
) -> list[str]:
    """Return the names of portfolios most similar to `name` that the caller may see (name keys; None: all).

    If a tenant has very many portfolios, only the first in alphabetical order are compared.
    """
    books = queries.list_books(connection, tenant_id, None, MAX_COMPARED_NAMES, None, portfolios)
    names = {name_key(book.name): book.name for book in books}
    return [names[key] for key in get_close_matches(name_key(name), names, MAX_NEAREST_NAMES)]


def build_summary(book: PortfolioSummary) -> dict[str, Any]:
    """Return the response body of a portfolio without its positions."""
    return {
        "portfolio_name": book.name,
        "base_currency": book.base_currency,
        "total_trades": book.total_trades,
        "total_buys": book.total_buys,
        "total_sells": book.total_trades - book.total_buys,
        "realized_pnl": shorten_amount(book.realized_pnl),
        "cash": shorten_amount(book.cash),
        "opening_cash": shorten_amount(book.opening_cash),
        "cost_schedule": book.cost_schedule,
        "cost_schedules": _parse_json(book.cost_schedules),
        "calendar": book.calendar,
        "enforce_sessions": False if book.enforce_sessions == SESSIONS_OFF else book.enforce_sessions,
        "approval": _parse_json(book.approval),
        "participation": None if book.participation is None else shorten_quantity(book.participation),
        "slippage": None if book.slippage is None else shorten_quantity(book.slippage),
        "carry_rates": _parse_json(book.carry_rates),
        "broker": book.broker,
        "connection": book.broker_connection,
        "when_broker_down": book.when_broker_down,
        "last_sequence": book.last_sequence,
    }


def _parse_json(text: str | None) -> Any:  # an object or a list, None for null
    return None if text is None else orjson.loads(text)


def compute_total_charges(statement: PortfolioStatement) -> Decimal:
    """Return all charges: what is missing in cash and cost of what was paid in and the realized P&L."""
    book = statement.book
    cost = sum((Decimal(holding.cost) for holding in statement.holdings), ZERO)
    paid_in = Decimal(book.opening_cash) + Decimal(book.moved_cash)
    return paid_in + Decimal(book.realized_pnl) - cost - Decimal(book.cash)


def _find_sequence(connection: Connection, tenant_id: int, book: PortfolioSummary, as_of: AsOf) -> int:
    if isinstance(as_of, datetime):
        return queries.find_sequence(connection, tenant_id, book, as_of)
    if as_of > book.last_sequence:
        message = f"The ledger of this portfolio ends at {book.last_sequence}."
        raise Invalid(
            "`as_of` is beyond the last sequence number.", [FieldError("as_of", message, "beyond_end")]
        )
    return as_of


def _build_statement_at(
    connection: Connection, tenant_id: int, book: PortfolioSummary, sequence: int, until: Timestamp | None
) -> PortfolioStatement:
    """Return the portfolio after the trade `sequence`, and the cash movements up to the instant `until`.

    Without an instant, it is the state just after that trade.
    """
    if sequence:
        holdings = queries.load_holdings(connection, tenant_id, book, sequence)
        at = queries.find_portfolio_at(connection, tenant_id, book, sequence)
    else:
        holdings = []
        at = book._replace(total_trades=0, total_buys=0, realized_pnl=format_fixed(ZERO), last_sequence=0)
        at = at._replace(cash=book.opening_cash)
    cash, moved_cash = Decimal(at.cash), ZERO
    for row in list_cash_movements(connection, tenant_id, book.id):
        is_later = row.trade_sequence >= sequence
        if is_later and (until is None or row.created_at > until):
            continue
        amount = Decimal(row.amount)
        moved_cash += compute_moved_amount(row.kind, amount)
        cash += amount if is_later else ZERO  # the trade's cash includes the earlier movements
    return PortfolioStatement(
        at._replace(cash=format_fixed(cash), moved_cash=format_fixed(moved_cash)), holdings
    )
