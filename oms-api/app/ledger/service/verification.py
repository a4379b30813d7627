"""Verify the ledger: every row, every projection and every event, in one snapshot."""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import groupby
from operator import attrgetter

from sqlalchemy import Connection

from app.ledger.queries import audit
from app.ledger.queries.cash import list_cash_movements
from app.ledger.queries.corporate_actions import find_booking_action, replay_position
from app.ledger.rules.accounting import Position
from app.ledger.rules.amounts import parse_row_amounts
from app.ledger.rules.balance import Balance
from app.ledger.rules.cash import CashRow
from app.ledger.rules.cash_verification import check_cash_row
from app.ledger.rules.chain import TradeRow
from app.ledger.rules.corporate_actions import ACTION_ROWS
from app.ledger.rules.keys import HoldingKey, PortfolioKey, PositionKey
from app.ledger.rules.ledger_state import REVERSAL, LedgerState
from app.ledger.rules.projections import (
    HoldingRow,
    PortfolioRow,
    build_holdings,
    check_holdings,
    check_portfolio,
)
from app.ledger.rules.verification import Check, Finding, check_action_row, check_row
from app.ledger.service.event_verification import (
    CashFact,
    build_cash_fact,
    build_event_fact,
    verify_cash_events,
    verify_events,
)
from app.ledger.service.verdict import Discrepancy, Verdict
from app.money import ZERO

__all__ = [
    "Discrepancy",
    "Verdict",
    "build_replay",
    "check_rows",
    "describe_location",
    "load_cash_movements",
    "verify_ledger",
]

_ROW_CHECKS = (
    Check.FORM, Check.SEQUENCE, Check.TIME, Check.TRADE_ID, Check.CHAIN, Check.VALUE, Check.POSITION,
    Check.CASH, Check.COUNTERS, Check.TENANT,
)  # fmt: skip
_BOOK = attrgetter("tenant_id", "portfolio_id")


@dataclass(slots=True)
class StoredPortfolioRows:
    """The rows of one portfolio in three tables. `portfolio` is None if only the other tables have rows."""

    key: PortfolioKey
    portfolio: PortfolioRow | None
    rows: Iterator[TradeRow]
    holdings: list[HoldingRow]


@dataclass(slots=True)
class CashMovements:
    """The cash movements of a portfolio that are not applied yet, and the findings about the others."""

    rows: deque[CashRow] = field(default_factory=deque)
    currency: str = ""
    findings: list[tuple[CashRow, list[Finding]]] = field(default_factory=list)

    def apply_before(self, state: LedgerState, sequence: int | None = None) -> None:
        """Apply the movements that precede the trade of that sequence, None for all that are left."""
        while self.rows and (sequence is None or self.rows[0].trade_sequence < sequence):
            row = self.rows.popleft()
            findings = check_cash_row(row, state, self.currency)
            if findings:
                self.findings.append((row, findings))
            state.advance_cash(row)


def load_cash_movements(connection: Connection, portfolio: PortfolioRow, after: int = 0) -> CashMovements:
    """Return the portfolio's cash movements after a sequence."""
    rows = list_cash_movements(connection, portfolio.tenant_id, portfolio.id, after)
    return CashMovements(deque(rows), portfolio.base_currency)


def verify_ledger(connection: Connection, verdict: Verdict | None = None) -> Verdict:
    """Check every invariant of the ledger and add the findings to `verdict`, or to a new one.

    `connection` must read one consistent snapshot.
    """
    verdict, balance = verdict or Verdict(), Balance()
    cash_events: Counter[CashFact] = Counter()
    for book in _iterate_portfolios(connection):
        _verify_book(connection, book, verdict, balance, cash_events)
    _verify_keys(connection, verdict)
    verify_events(connection, verdict, balance)
    verify_cash_events(connection, verdict, cash_events)
    return verdict


def check_rows(
    connection: Connection, rows: Iterator[TradeRow], state: LedgerState, movements: CashMovements
) -> Iterator[tuple[TradeRow, list[Finding]]]:
    """Yield each row with its findings, and advance `state` by it and the cash movements before it."""
    for row in rows:
        movements.apply_before(state, row.sequence)
        reversed_trade = audit.find_reversed_trade(connection, row) if row.kind == REVERSAL else None
        action = find_booking_action(connection, row)
        is_replayed = row.kind in ACTION_ROWS or action is not None
        replayed = _replay_action(connection, row) if is_replayed else None
        amounts = parse_row_amounts(row)
        findings = check_row(row, amounts, state, reversed_trade, replayed)
        findings += check_action_row(row, action)
        state.advance(row, amounts)
        yield row, findings


def _iterate_portfolios(connection: Connection) -> Iterator[StoredPortfolioRows]:
    """Yield the portfolios with their rows and positions, merged by key. Each table is read once."""
    portfolios = audit.iterate_portfolio_rows(connection)
    rows = groupby(audit.iterate_ledger_rows(connection), _BOOK)
    holdings = groupby(audit.iterate_holding_rows(connection), _BOOK)
    portfolio, group, holding_group = next(portfolios, None), next(rows, None), next(holdings, None)
    while portfolio or group or holding_group:
        keys = [(portfolio.tenant_id, portfolio.id)] if portfolio else []
        key = PortfolioKey(*min(keys + [part[0] for part in (group, holding_group) if part]))
        book = StoredPortfolioRows(key, None, iter(()), [])
        if portfolio and keys[0] == key:
            book.portfolio, portfolio = portfolio, next(portfolios, None)
        if holding_group and holding_group[0] == key:
            book.holdings, holding_group = list(holding_group[1]), next(holdings, None)
        owns = group is not None and group[0] == key
        if group and owns:
            book.rows = group[1]
        yield book
        if owns:
            group = next(rows, None)


def _verify_book(
    connection: Connection,
    book: StoredPortfolioRows,
    verdict: Verdict,
    balance: Balance,
    cash_events: Counter[CashFact],
) -> None:
    movements = load_cash_movements(connection, book.portfolio) if book.portfolio else CashMovements()
    cash_events.update(map(build_cash_fact, movements.rows))
    verdict.checked[Check.CASH_MOVEMENT] += len(movements.rows)
    state = LedgerState(Decimal(book.portfolio.opening_cash) if book.portfolio else ZERO)
    rows = reversals = keys = actions = 0
    for row, findings in check_rows(connection, book.rows, state, movements):
        if book.portfolio is None:
            findings.append(
                Finding(Check.TENANT, "portfolio_id", row.portfolio_id, "a portfolio of its tenant")
            )
        if findings:
            verdict.add_findings(describe_location(row, book.portfolio), findings)
        balance.add(build_event_fact(row))
        rows += 1
        reversals += row.kind == REVERSAL
        actions += row.kind in ACTION_ROWS
        keys += row.idempotency_key is not None
    movements.apply_before(state)
    for movement, movement_findings in movements.findings:
        name = _format_name(book.key, book.portfolio)
        verdict.add_findings(f"cash movement {movement.sequence} of {name}", movement_findings)
    verdict.checked.update(dict.fromkeys(_ROW_CHECKS, rows))
    verdict.checked.update({Check.REVERSAL: reversals, Check.ACTION: actions, Check.KEY: keys})
    verdict.checked[Check.HOLDING] += len(state.holdings)
    _verify_projections(connection, book, state, verdict)


def _replay_action(connection: Connection, row: TradeRow) -> Position:
    """Return the position that the rows up to a corporate action's give."""
    return replay_position(connection, row.position_key, until=row.sequence)


def build_replay(connection: Connection, key: PortfolioKey) -> Callable[[HoldingKey], Position]:
    """Return a function that replays the unreversed trades of a symbol and product of the portfolio."""
    return lambda holding: replay_position(connection, PositionKey(*key, *holding))


def _verify_projections(
    connection: Connection, book: StoredPortfolioRows, end: LedgerState, verdict: Verdict
) -> None:
    name = _format_name(book.key, book.portfolio)
    if book.portfolio:
        verdict.checked[Check.PORTFOLIO] += 1
        findings = check_portfolio(book.portfolio, end)
        if findings:
            verdict.add_findings(f"projections of {name}", findings)
    expected = build_holdings(*book.key, end, build_replay(connection, book.key))
    for (symbol, product), findings in check_holdings(book.holdings, expected):
        verdict.add_findings(f"position {symbol}{product and f' ({product})'} of {name}", findings)


def _verify_keys(connection: Connection, verdict: Verdict) -> None:
    row = audit.find_repeated_key(connection)
    if row:
        finding = Finding(Check.KEY, "idempotency_key", row.idempotency_key, "one row under one key")
        verdict.add_findings(describe_location(row, None), [finding])


def describe_location(row: TradeRow, portfolio: PortfolioRow | None) -> str:
    """Return the description of a row's location for reports."""
    name = _format_name(row.portfolio_key, portfolio)
    return f"trade {row.trade_id}, {name}, sequence {row.sequence}"


def _format_name(key: PortfolioKey, portfolio: PortfolioRow | None) -> str:
    quoted_name = f" {portfolio.name!r}" if portfolio else ""
    tenant = "" if key.tenant_id == 1 else f" of tenant {key.tenant_id}"
    return f"portfolio{quoted_name} (id {key.portfolio_id}){tenant}"
