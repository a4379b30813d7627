"""Rebuild positions and portfolio counters from the ledger: `python -m app.rebuild`. Safe on a live system.

Exit status: 0 all projections are correct now, 1 a ledger is corrupt and its portfolio was not changed, 2 the
settings or the database cannot be used.
"""

import sys

from sqlalchemy import Engine

from app.command_line import run_program
from app.config import load_settings
from app.database import ALL_TENANTS, connect_engine, set_all_tenants_scope, snapshot, unit_of_work
from app.database.tenants import NoVisibleRows
from app.database.timeouts import response_timeout
from app.ledger.queries.audit import load_portfolio_keys
from app.ledger.rules.keys import PortfolioKey
from app.ledger.service.projection_rebuild import (
    LedgerCorrupted,
    RebuiltPortfolio,
    load_ledger_state,
    rebuild_portfolio,
)
from app.migrate import get_migration_url, is_current

SCAN_SECONDS = 3600.0  # one response of the server may include a sort of a whole ledger
REBUILT, LIES = 0, 1


class CannotRebuild(Exception):
    """Raised when there is no database to rebuild yet."""


def rebuild_book(engine: Engine, key: PortfolioKey) -> RebuiltPortfolio:
    """Rebuild one portfolio. Raises LedgerCorrupted."""
    with snapshot(engine, ALL_TENANTS) as connection:
        state = load_ledger_state(connection, key)
    with unit_of_work(engine, ALL_TENANTS) as connection:
        return rebuild_portfolio(connection, key, state)


def rebuild_all(engine: Engine) -> int:
    """Rebuild every portfolio, report the differences, and return the exit status."""
    with snapshot(engine) as connection:
        if not is_current(connection):
            raise CannotRebuild(
                "The database is not at this version's revision: run `python -m app.migrate`."
            )
        keys = load_portfolio_keys(set_all_tenants_scope(connection))
    differed_count = skipped_count = row_count = 0
    for key in keys:
        try:
            rebuilt = rebuild_book(engine, key)
        except LedgerCorrupted as error:
            skipped_count += 1
            sys.stdout.write(f"LEFT ALONE: {error}; `python -m app.verify` says more\n")
            continue
        row_count += rebuilt.rows
        differed_count += bool(rebuilt.differences)
        sys.stdout.writelines(_format_lines(rebuilt))
    sys.stdout.write(
        f"{len(keys):,} portfolios of {row_count:,} rows: {differed_count:,} differed, "
        f"{skipped_count:,} left alone.\n"
    )
    return LIES if skipped_count else REBUILT


def main() -> int:
    """Rebuild the configured database."""

    def work() -> int:
        engine = connect_engine(get_migration_url(load_settings()), readers=1)
        with response_timeout(SCAN_SECONDS):
            status = rebuild_all(engine)
        engine.dispose()
        return status

    message = "Not finished; run it again. The database says: {reason}"
    return run_program(work, CannotRebuild, NoVisibleRows, message=message)


def _format_lines(rebuilt: RebuiltPortfolio) -> list[str]:
    return [
        f"{rebuilt.name!r}, {table_name}: {finding.field} was {finding.stored}, is {finding.expected}\n"
        for table_name, findings in rebuilt.differences
        for finding in findings
    ]


if __name__ == "__main__":
    sys.exit(main())
