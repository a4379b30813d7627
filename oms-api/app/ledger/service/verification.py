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
from app.ledger.rules.cash import CashRow
from app.ledger.rules.cash_verification import check_cash_row
from app.ledger.rules.chain import TradeRow
from app.ledger.rules.corporate_actions import ACTION_ROWS
from app.ledger.rules.keys import PortfolioKey, PositionKey, SymbolProductKey
from app.ledger.rules.ledger_state import REVERSAL, LedgerState
from app.ledger.rules.projections import (
    PortfolioProjection,
    PositionProjection,
    build_position_projections,
    check_portfolio,
    check_positions,
)
from app.ledger.rules.stream_comparison import StreamComparison
from app.ledger.rules.verification import Finding, LedgerCheck, check_action_row, check_row
from app.ledger.service.event_verification import (
    CashEventKey,
    build_cash_event_key,
    build_event_key,
    verify_cash_events,
    verify_events,
)
from app.ledger.service.verification_result import Discrepancy, VerificationResult
from app.money import ZERO

__all__ = [
    "Discrepancy",
    "VerificationResult",
    "build_replay",
    "check_rows",
    "describe_location",
    "load_cash_movements",
    "verify_ledger",
]

_ROW_CHECKS = (
    LedgerCheck.FORM, LedgerCheck.SEQUENCE, LedgerCheck.TIME, LedgerCheck.TRADE_ID, LedgerCheck.CHAIN,
    LedgerCheck.VALUE, LedgerCheck.POSITION, LedgerCheck.CASH, LedgerCheck.COUNTERS, LedgerCheck.TENANT,
)  # fmt: skip
_get_portfolio_key = attrgetter("tenant_id", "portfolio_id")


@dataclass(slots=True)
class StoredPortfolioRows:
    """The rows of one portfolio in three tables. `portfolio` is None if only the other tables have rows."""

    key: PortfolioKey
    portfolio: PortfolioProjection | None
    rows: Iterator[TradeRow]
    positions: list[PositionProjection]


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


def load_cash_movements(
    connection: Connection, portfolio: PortfolioProjection, after: int = 0
) -> CashMovements:
    """Return the portfolio's cash movements after a sequence."""
    rows = list_cash_movements(connection, portfolio.tenant_id, portfolio.id, after)
    return CashMovements(deque(rows), portfolio.base_currency)


def verify_ledger(connection: Connection, result: VerificationResult | None = None) -> VerificationResult:
    """Check every invariant of the ledger and add the findings to `result`, or to a new one.

    `connection` must read one consistent snapshot.
    """
    result, comparison = result or VerificationResult(), StreamComparison()
    cash_events: Counter[CashEventKey] = Counter()
    for stored_rows in _iterate_portfolios(connection):
        _verify_portfolio(connection, stored_rows, result, comparison, cash_events)
    _verify_keys(connection, result)
    verify_events(connection, result, comparison)
    verify_cash_events(connection, result, cash_events)
    return result


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
    rows = groupby(audit.iterate_ledger_rows(connection), _get_portfolio_key)
    positions = groupby(audit.iterate_position_rows(connection), _get_portfolio_key)
    portfolio, group, position_group = next(portfolios, None), next(rows, None), next(positions, None)
    while portfolio or group or position_group:
        keys = [(portfolio.tenant_id, portfolio.id)] if portfolio else []
        key = PortfolioKey(*min(keys + [part[0] for part in (group, position_group) if part]))
        stored_rows = StoredPortfolioRows(key, None, iter(()), [])
        if portfolio and keys[0] == key:
            stored_rows.portfolio, portfolio = portfolio, next(portfolios, None)
        if position_group and position_group[0] == key:
            stored_rows.positions, position_group = list(position_group[1]), next(positions, None)
        owns = group is not None and group[0] == key
        if group and owns:
            stored_rows.rows = group[1]
        yield stored_rows
        if owns:
            group = next(rows, None)


def _verify_portfolio(
    connection: Connection,
    stored_rows: StoredPortfolioRows,
    result: VerificationResult,
    comparison: StreamComparison,
    cash_events: Counter[CashEventKey],
) -> None:
    movements = (
        load_cash_movements(connection, stored_rows.portfolio) if stored_rows.portfolio else CashMovements()
    )
    cash_events.update(map(build_cash_event_key, movements.rows))
    result.checked[LedgerCheck.CASH_MOVEMENT] += len(movements.rows)
    state = LedgerState(Decimal(stored_rows.portfolio.opening_cash) if stored_rows.portfolio else ZERO)
    rows = reversals = keys = actions = 0
    for row, findings in check_rows(connection, stored_rows.rows, state, movements):
        if stored_rows.portfolio is None:
            findings.append(
                Finding(LedgerCheck.TENANT, "portfolio_id", row.portfolio_id, "a portfolio of its tenant")
            )
        if findings:
            result.add_findings(describe_location(row, stored_rows.portfolio), findings)
        comparison.add(build_event_key(row))
        rows += 1
        reversals += row.kind == REVERSAL
        actions += row.kind in ACTION_ROWS
        keys += row.idempotency_key is not None
    movements.apply_before(state)
    for movement, movement_findings in movements.findings:
        name = _format_name(stored_rows.key, stored_rows.portfolio)
        result.add_findings(f"cash movement {movement.sequence} of {name}", movement_findings)
    result.checked.update(dict.fromkeys(_ROW_CHECKS, rows))
    result.checked.update(
        {LedgerCheck.REVERSAL: reversals, LedgerCheck.ACTION: actions, LedgerCheck.KEY: keys}
    )
    result.checked[LedgerCheck.HOLDING] += len(state.positions)
    _verify_projections(connection, stored_rows, state, result)


def _replay_action(connection: Connection, row: TradeRow) -> Position:
    """Return the position that results from the rows up to a row of a corporate action."""
    return replay_position(connection, row.position_key, until=row.sequence)


def build_replay(connection: Connection, key: PortfolioKey) -> Callable[[SymbolProductKey], Position]:
    """Return a function that replays the unreversed trades of a symbol and product of the portfolio."""
    return lambda symbol_product_key: replay_position(connection, PositionKey(*key, *symbol_product_key))


def _verify_projections(
    connection: Connection, stored_rows: StoredPortfolioRows, end: LedgerState, result: VerificationResult
) -> None:
    name = _format_name(stored_rows.key, stored_rows.portfolio)
    if stored_rows.portfolio:
        result.checked[LedgerCheck.PORTFOLIO] += 1
        findings = check_portfolio(stored_rows.portfolio, end)
        if findings:
            result.add_findings(f"projections of {name}", findings)
    expected = build_position_projections(*stored_rows.key, end, build_replay(connection, stored_rows.key))
    for (symbol, product), findings in check_positions(stored_rows.positions, expected):
        result.add_findings(f"position {symbol}{product and f' ({product})'} of {name}", findings)


def _verify_keys(connection: Connection, result: VerificationResult) -> None:
    row = audit.find_repeated_key(connection)
    if row:
        finding = Finding(LedgerCheck.KEY, "idempotency_key", row.idempotency_key, "one row under one key")
        result.add_findings(describe_location(row, None), [finding])


def describe_location(row: TradeRow, portfolio: PortfolioProjection | None) -> str:
    """Return the description of a row's location for reports."""
    name = _format_name(row.portfolio_key, portfolio)
    return f"trade {row.trade_id}, {name}, sequence {row.sequence}"


def _format_name(key: PortfolioKey, portfolio: PortfolioProjection | None) -> str:
    quoted_name = f" {portfolio.name!r}" if portfolio else ""
    tenant = "" if key.tenant_id == 1 else f" of tenant {key.tenant_id}"
    return f"portfolio{quoted_name} (id {key.portfolio_id}){tenant}"
