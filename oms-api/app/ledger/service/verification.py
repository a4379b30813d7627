"""Proving the books: every row of the ledger, every projection, every event, at one moment."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from itertools import groupby
from operator import attrgetter
from typing import Any

import orjson
from sqlalchemy import Connection

from app.ledger.queries import audit
from app.ledger.queries.audit import RecordedEvent
from app.ledger.queries.books import standing_fills
from app.ledger.rules.accounting import Position, replay
from app.ledger.rules.amounts import amounts_of
from app.ledger.rules.balance import Balance, bucket_of
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
from app.money import ZERO

BookKey = tuple[int, int]  # tenant id, portfolio id
Told = tuple[int, str, int, int, str, str]  # what an event tells of its trade

_ROW_CHECKS = (
    *(Check.FORM, Check.SEQUENCE, Check.TIME, Check.TRADE_ID, Check.CHAIN, Check.VALUE, Check.POSITION),
    *(Check.CASH, Check.COUNTERS, Check.HOME),
)
_PROBED_BUCKETS = 8
_BOOK = attrgetter("tenant_id", "portfolio_id")


@dataclass(frozen=True, slots=True)
class Lie:
    """Where something is not as it must be, and all that is wrong there."""

    place: str
    findings: tuple[Finding, ...]


@dataclass(slots=True)
class Verdict:
    """What was checked, how often each check failed, and the first lie, of all and of each check."""

    checked: Counter[StrEnum] = field(default_factory=Counter)
    failed: Counter[StrEnum] = field(default_factory=Counter)
    first: Lie | None = None
    first_of: dict[StrEnum, str] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Whether nothing lies."""
        return self.first is None

    def blame(self, place: str, findings: list[Finding]) -> None:
        """Note a lie."""
        self.first = self.first or Lie(place, tuple(findings))
        for check in dict.fromkeys(finding.check for finding in findings):
            self.failed[check] += 1
            self.first_of.setdefault(check, place)


@dataclass(slots=True)
class Book:
    """What the three tables hold of one portfolio; `portfolio` is None where only the others know it."""

    key: BookKey
    portfolio: PortfolioRow | None
    rows: Iterator[TradeRow]
    holdings: list[HoldingRow]


def verify(connection: Connection) -> Verdict:
    """Check every invariant of the books as `connection` sees them; it must see one moment."""
    verdict, balance = Verdict(), Balance()
    for book in _books(connection):
        _verify_book(connection, book, verdict, balance)
    _verify_keys(connection, verdict)
    _verify_events(connection, verdict, balance)
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
        balance.add(_due(row))
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


def _verify_events(connection: Connection, verdict: Verdict, balance: Balance) -> None:
    for event in audit.recorded_events(connection):
        balance.take(_told(event))
        verdict.checked[Check.EVENT] += 1
    odd = balance.odd_buckets()
    if odd:
        _blame_events(connection, verdict, odd)


def _blame_events(connection: Connection, verdict: Verdict, odd: list[int]) -> None:
    """Look once more, at a few of the odd buckets alone, for what the ledger and the outbox do not share."""
    probed = frozenset(odd[:_PROBED_BUCKETS])
    due = Counter(fact for row in audit.ledger_rows(connection) if bucket_of(fact := _due(row)) in probed)
    surplus: list[tuple[int, Hashable]] = []
    for event in audit.recorded_events(connection):
        fact = _told(event)
        if bucket_of(fact) in probed:
            due[fact] -= 1
            if due[fact] < 0:
                surplus.append((event.id, fact))
    missing = [fact for fact, count in due.items() if count > 0]
    if missing:
        _, trade_id, portfolio_id, sequence, *_ = missing[0]
        place = f"trade {trade_id}, portfolio (id {portfolio_id}), sequence {sequence}"
        finding = Finding(Check.EVENT, audit.RECORDED, "no event tells just this", str(missing[0]))
    else:
        place = f"event {surplus[0][0]}"
        finding = Finding(Check.EVENT, audit.RECORDED, str(surplus[0][1]), "one event for each row")
    verdict.blame(place, [finding])
    verdict.failed[Check.EVENT] = max(len(missing), len(surplus), len(odd) // 2)


def _due(row: TradeRow) -> Told:
    return (row.tenant_id, row.trade_id, row.portfolio_id, row.sequence, row.kind, row.created_at)


def _told(event: RecordedEvent) -> tuple[Any, ...]:
    try:
        facts = orjson.loads(event.payload)
        trade = (facts["trade_id"], facts["portfolio_id"], facts["sequence"], facts["kind"])
        fact = (event.tenant_id, *trade, event.created_at)
        hash(fact)
    except (ValueError, KeyError, TypeError):
        return (event.tenant_id, event.payload)
    return fact


def place_of(row: TradeRow, portfolio: PortfolioRow | None) -> str:
    """Return the words that say where a row is."""
    name = _name((row.tenant_id, row.portfolio_id), portfolio)
    return f"trade {row.trade_id}, {name}, sequence {row.sequence}"


def _name(key: BookKey, portfolio: PortfolioRow | None) -> str:
    named = f" {portfolio.name!r}" if portfolio else ""
    tenant = "" if key[0] == 1 else f" of tenant {key[0]}"
    return f"portfolio{named} (id {key[1]}){tenant}"
