"""Rebuild a portfolio's projections from its ledger while it is in use.

The ledger is append-only, so most rows are read before the portfolio is locked. The lock is held only for the
newest rows and for writing.
"""

from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from itertools import takewhile

from sqlalchemy import Connection

from app.database import execute_writes
from app.ledger.queries import audit
from app.ledger.queries import batch_statements as queries
from app.ledger.rules.keys import PortfolioKey
from app.ledger.rules.ledger_state import LedgerState
from app.ledger.rules.projections import (
    PortfolioProjection,
    PositionProjection,
    build_portfolio_projection,
    build_position_projections,
    check_portfolio,
    check_positions,
)
from app.ledger.rules.verification import Finding
from app.ledger.service.portfolio_state import create_open_orders_version
from app.ledger.service.verification import (
    Discrepancy,
    build_replay,
    check_rows,
    describe_location,
    load_cash_movements,
)


class LedgerCorrupted(Exception):
    """Raised when the ledger itself does not verify. Nothing is rebuilt from it."""

    def __init__(self, discrepancy: Discrepancy) -> None:
        super().__init__(f"the ledger lies at {discrepancy.location}")
        self.discrepancy = discrepancy


@dataclass(frozen=True, slots=True)
class RebuiltPortfolio:
    """A rebuilt portfolio and the differences that were repaired: (portfolio or position, its findings)."""

    name: str
    rows: int
    differences: tuple[tuple[str, list[Finding]], ...]


def load_ledger_state(connection: Connection, key: PortfolioKey) -> LedgerState:
    """Return the current state of the portfolio's ledger. Raises LedgerCorrupted."""
    portfolio = audit.load_portfolio_row(connection, *key)
    state = LedgerState(Decimal(portfolio.opening_cash))
    _apply_later_rows(connection, portfolio, state, until=portfolio.last_sequence)
    return state


def rebuild_portfolio(connection: Connection, key: PortfolioKey, state: LedgerState) -> RebuiltPortfolio:
    """Lock the portfolio, read its ledger from `state` on, and correct different values.

    Raises LedgerCorrupted.

    A new version of the open orders is always written, because a process may have cached wrong values
    although the rows are right.
    """
    queries.lock_portfolios(connection, [(*key, None)])
    portfolio = audit.load_portfolio_row(connection, *key)
    _apply_later_rows(connection, portfolio, state)
    differences = [("portfolio", check_portfolio(portfolio, state))]
    positions = list(audit.iterate_position_rows_of_portfolio(connection, *key))
    expected = build_position_projections(*key, state, build_replay(connection, key))
    for (symbol, product), findings in check_positions(positions, expected):
        differences.append((f"position {symbol}{product and f' ({product})'}", findings))
    differences = [difference for difference in differences if difference[1]]
    if differences:
        _write_projections(connection, build_portfolio_projection(portfolio, state), positions, expected)
    execute_writes(connection, queries.build_orders_version_update([(create_open_orders_version(), *key)]))
    return RebuiltPortfolio(portfolio.name, state.sequence, tuple(differences))


def _apply_later_rows(
    connection: Connection, portfolio: PortfolioProjection, state: LedgerState, until: int | None = None
) -> None:
    """Apply the rows after `state` and the cash movements before each of them.

    Without a lock, rows after `until` are left: a movement before them may be newer than the rows read.
    """
    movements = load_cash_movements(connection, portfolio, state.cash_sequence)
    with closing(
        audit.iterate_rows_after(connection, portfolio.tenant_id, portfolio.id, state.sequence)
    ) as rows:
        rows_to_apply = rows if until is None else takewhile(lambda row: row.sequence <= until, rows)
        for row, findings in check_rows(connection, rows_to_apply, state, movements):
            if findings:
                raise LedgerCorrupted(Discrepancy(describe_location(row, portfolio), tuple(findings)))
    if until is None:
        movements.apply_before(state)
    if movements.findings:
        movement, findings_of_movement = movements.findings[0]
        location = f"cash movement {movement.sequence} of portfolio {portfolio.name!r}"
        raise LedgerCorrupted(Discrepancy(location, tuple(findings_of_movement)))


def _write_projections(
    connection: Connection,
    portfolio: PortfolioProjection,
    positions: list[PositionProjection],
    expected: list[PositionProjection],
) -> None:
    stored = set(positions)
    projected = (getattr(portfolio, name) for name in queries.PROJECTED_COLUMNS)
    cash_ledger_end = (portfolio.moved_cash, portfolio.cash_sequence, portfolio.cash_hash)
    execute_writes(
        connection,
        queries.build_position_upsert([row for row in expected if row not in stored]),
        queries.build_portfolio_update([(*projected, portfolio.tenant_id, portfolio.id)]),
        queries.build_moved_cash_update([(*cash_ledger_end, portfolio.tenant_id, portfolio.id)]),
    )
    keys = {row[:4] for row in expected}
    for row in positions:
        if row[:4] not in keys:
            audit.delete_position(connection, row)
