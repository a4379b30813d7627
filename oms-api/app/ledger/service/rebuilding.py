"""Rebuilding a portfolio's projections from its ledger, while it is traded.

The ledger only grows, so all but its newest rows are read before the portfolio is locked; the lock is held
for what came since and for the writing.
"""

import secrets
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection

from app.database import write
from app.ledger.queries import audit
from app.ledger.queries import books as queries
from app.ledger.rules.projections import (
    HoldingRow,
    PortfolioRow,
    examine_holdings,
    examine_portfolio,
    holdings_of,
    projection,
)
from app.ledger.rules.verification import (
    Finding,
    LedgerState,
)
from app.ledger.service.verification import BookKey, Lie, follow, place_of, replayer


class LedgerLies(Exception):
    """The ledger itself is not in order; nothing is rebuilt from it."""

    def __init__(self, lie: Lie) -> None:
        super().__init__(f"the ledger lies at {lie.place}")
        self.lie = lie


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A portfolio whose projections are right now, and what was not before: (what, its findings)."""

    name: str
    rows: int
    differences: tuple[tuple[str, list[Finding]], ...]


def read_ahead(connection: Connection, key: BookKey) -> LedgerState:
    """Return where the portfolio's ledger stands. Raises LedgerLies."""
    portfolio = audit.portfolio_row(connection, *key)
    state = LedgerState(Decimal(portfolio.opening_cash))
    _catch_up(connection, portfolio, state)
    return state


def rebuild_portfolio(connection: Connection, key: BookKey, state: LedgerState) -> Rebuilt:
    """Lock the portfolio, follow its ledger from `state` on, and write what differs. Raises LedgerLies.

    A new version is written in any case: what a process has cached may be wrong where the rows are right.
    """
    queries.lock_portfolios(connection, [key])
    portfolio = audit.portfolio_row(connection, *key)
    _catch_up(connection, portfolio, state)
    differences = [("portfolio", examine_portfolio(portfolio, state))]
    held = list(audit.holding_rows_of(connection, *key))
    due = holdings_of(*key, state, replayer(connection, key))
    for (symbol, product), findings in examine_holdings(held, due):
        differences.append((f"position {symbol}{product and f' ({product})'}", findings))
    differences = [difference for difference in differences if difference[1]]
    if differences:
        _write(connection, projection(portfolio, state), held, due)
    write(connection, queries.stamped_portfolios([(secrets.token_hex(8), *key)]))
    return Rebuilt(portfolio.name, state.sequence, tuple(differences))


def _catch_up(connection: Connection, portfolio: PortfolioRow, state: LedgerState) -> None:
    with closing(audit.rows_after(connection, portfolio.tenant_id, portfolio.id, state.sequence)) as rows:
        for row, findings in follow(connection, rows, state):
            if findings:
                raise LedgerLies(Lie(place_of(row, portfolio), tuple(findings)))


def _write(
    connection: Connection, portfolio: PortfolioRow, held: list[HoldingRow], due: list[HoldingRow]
) -> None:
    stored = set(held)
    write(
        connection,
        queries.moved_positions([row for row in due if row not in stored]),
        queries.moved_portfolios([(*portfolio[4:], portfolio.tenant_id, portfolio.id)]),
    )
    keys = {row[:4] for row in due}
    for row in held:
        if row[:4] not in keys:
            audit.remove_holding(connection, row)
