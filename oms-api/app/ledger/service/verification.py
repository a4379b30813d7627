"""Proving the books: every row of the ledger, every projection, every event, at one moment."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from operator import attrgetter

from sqlalchemy import Connection

from app.ledger.queries import audit
from app.ledger.queries.books import standing_fills
from app.ledger.rules.accounting import Position, replay
from app.ledger.rules.amounts import amounts_of
from app.ledger.rules.balance import Balance
from app.ledger.rules.chain import TradeRow
from app.ledger.rules.projections import (
    HoldingRow,
    PortfolioRow,
    examine_holdings,
    examine_portfolio,
    holdings_of,
)
from app.ledger.rules.verification import (
    REVERSAL,
    Check,
    Finding,
    HoldingKey,
    LedgerState,
    examine,
)
from app.ledger.service.event_verification import fact_of, verify_events
from app.ledger.service.verdict import Lie, Verdict
from app.money import ZERO

__all__ = ["BookKey", "Lie", "Verdict", "follow", "place_of", "replayer", "verify"]

BookKey = tuple[int, int]  # tenant id, portfolio id

_ROW_CHECKS = (
    *(Check.FORM, Check.SEQUENCE, Check.TIME, Check.TRADE_ID, Check.CHAIN, Check.VALUE, Check.POSITION),
    *(Check.CASH, Check.COUNTERS, Check.HOME),
)
_BOOK = attrgetter("tenant_id", "portfolio_id")


@dataclass(slots=True)
class Book:
    """What the three tables hold of one portfolio; `portfolio` is None where only the others know it."""

    key: BookKey
    portfolio: PortfolioRow | None
    rows: Iterator[TradeRow]
    holdings: list[HoldingRow]


def verify(connection: Connection, verdict: Verdict | None = None) -> Verdict:
    """Check every invariant of the books as `connection` sees them; it must see one moment. What is found is
    added to `verdict`, or to a new one.
    """
    verdict, balance = verdict or Verdict(), Balance()
    for book in _books(connection):
        _verify_book(connection, book, verdict, balance)
    _verify_keys(connection, verdict)
    verify_events(connection, verdict, balance)
    return verdict


def follow(
    connection: Connection, rows: Iterator[TradeRow], state: LedgerState
) -> Iterator[tuple[TradeRow, list[Finding]]]:
    """Yield each row with what is wrong with it, and move `state` along."""
    for row in rows:
        undone = audit.undone_by(connection, row) if row.kind == REVERSAL else None
        amounts = amounts_of(row)
        findings = examine(row, amounts, state, undone)
        state.advance(row, amounts)
        yield row, findings


def _books(connection: Connection) -> Iterator[Book]:
    """Yield the portfolios with their rows and positions, merged by key; each table is read once."""
    portfolios = audit.portfolio_rows(connection)
    rows = groupby(audit.ledger_rows(connection), _BOOK)
    holdings = groupby(audit.holding_rows(connection), _BOOK)
    portfolio, group, held = next(portfolios, None), next(rows, None), next(holdings, None)
    while portfolio or group or held:
        keys = [(portfolio.tenant_id, portfolio.id)] if portfolio else []
        key = min(keys + [part[0] for part in (group, held) if part])
        book = Book(key, None, iter(()), [])
        if portfolio and keys[0] == key:
            book.portfolio, portfolio = portfolio, next(portfolios, None)
        if held and held[0] == key:
            book.holdings, held = list(held[1]), next(holdings, None)
        owns = group is not None and group[0] == key
        if group and owns:
            book.rows = group[1]
        yield book
        if owns:
            group = next(rows, None)


def _verify_book(connection: Connection, book: Book, verdict: Verdict, balance: Balance) -> None:
    state = LedgerState(Decimal(book.portfolio.opening_cash) if book.portfolio else ZERO)
    rows = reversals = keys = 0
    for row, findings in follow(connection, book.rows, state):
        if book.portfolio is None:
            findings.append(
                Finding(Check.HOME, "portfolio_id", row.portfolio_id, "a portfolio of its tenant")
            )
        if findings:
            verdict.blame(place_of(row, book.portfolio), findings)
        balance.add(fact_of(row))
        rows += 1
        reversals += row.kind == REVERSAL
        keys += row.idempotency_key is not None
    verdict.checked.update(dict.fromkeys(_ROW_CHECKS, rows))
    verdict.checked.update({Check.REVERSAL: reversals, Check.KEY: keys, Check.HOLDING: len(state.holdings)})
    _verify_projections(connection, book, state, verdict)


def replayer(connection: Connection, key: BookKey) -> Callable[[HoldingKey], Position]:
    """Return what replays the trades of a symbol and product of the portfolio that stand."""
    return lambda holding: replay(standing_fills(connection, (*key, *holding)))


def _verify_projections(connection: Connection, book: Book, end: LedgerState, verdict: Verdict) -> None:
    name = _name(book.key, book.portfolio)
    if book.portfolio:
        verdict.checked[Check.PORTFOLIO] += 1
        findings = examine_portfolio(book.portfolio, end)
        if findings:
            verdict.blame(f"projections of {name}", findings)
    due = holdings_of(*book.key, end, replayer(connection, book.key))
    for (symbol, product), findings in examine_holdings(book.holdings, due):
        verdict.blame(f"position {symbol}{product and f' ({product})'} of {name}", findings)


def _verify_keys(connection: Connection, verdict: Verdict) -> None:
    row = audit.repeated_key(connection)
    if row:
        finding = Finding(Check.KEY, "idempotency_key", row.idempotency_key, "one row under one key")
        verdict.blame(place_of(row, None), [finding])


def place_of(row: TradeRow, portfolio: PortfolioRow | None) -> str:
    """Return the words that say where a row is."""
    name = _name((row.tenant_id, row.portfolio_id), portfolio)
    return f"trade {row.trade_id}, {name}, sequence {row.sequence}"


def _name(key: BookKey, portfolio: PortfolioRow | None) -> str:
    named = f" {portfolio.name!r}" if portfolio else ""
    tenant = "" if key[0] == 1 else f" of tenant {key[0]}"
    return f"portfolio{named} (id {key[1]}){tenant}"
