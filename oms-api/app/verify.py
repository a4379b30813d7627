"""Prove the books: `python -m app.verify` checks every invariant on a live database.

It names the first row that lies.

Exit status: 0 all is well, 1 something lies, 2 the database cannot be checked.
"""

import sys
from collections.abc import Iterator
from enum import StrEnum

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from app.clock import monotonic_seconds
from app.config import ConfigurationError, load_settings
from app.database import connect_engine, snapshot
from app.database.failures import reason
from app.database.waits import patience
from app.ledger.rules.verification import Check
from app.ledger.service.verification import Verdict, verify
from app.migrate import is_current
from app.orders.rules.verification import OrderCheck
from app.orders.service.verification import verify_orders

SCAN_SECONDS = 3600.0  # one answer of the server, a sort of the whole ledger included
CLEAN, LIES, CANNOT = 0, 1, 2
_MEANING: dict[StrEnum, str] = {
    Check.FORM: "amounts, instants and words are in their canonical form",
    Check.SEQUENCE: "sequence numbers run from 1 without gaps",
    Check.TIME: "created_at never precedes its predecessor's",
    Check.TRADE_ID: "trade ids ascend",
    Check.CHAIN: "each hash covers its row and its predecessor's hash",
    Check.VALUE: "price and gross market value belong together",
    Check.POSITION: "each row's changes and position are what its trade makes of the position before",
    Check.CASH: "cash moves by each row's value",
    Check.COUNTERS: "counters and realised P&L add up",
    Check.REVERSAL: "a reversal mirrors one earlier trade of its portfolio, once",
    Check.KEY: "a key is bound to one request, with its hash",
    Check.PORTFOLIO: "portfolios stand where their ledgers end",
    Check.HOLDING: "positions are what the ledger gives",
    Check.HOME: "rows belong to a portfolio of their tenant",
    Check.EVENT: "each row has its one event",
    OrderCheck.HISTORY: "orders moved along the table of states, and stand where their histories end",
    OrderCheck.QUANTITY: "filled and remaining quantity make the quantity of open orders",
    OrderCheck.FILLS: "orders filled what their executions add up to",
    OrderCheck.TRADE: "each execution is one trade of its order",
}


class CannotVerify(Exception):
    """There is nothing to check yet."""


def verify_database(engine: Engine) -> Verdict:
    """Check the database at one moment. Raises CannotVerify where it has not this version's tables."""
    with patience(SCAN_SECONDS), snapshot(engine) as connection:
        if not is_current(connection):
            raise CannotVerify("The database is not at this version's revision: run `python -m app.migrate`.")
        verdict = verify(connection)
        verify_orders(connection, verdict)
        return verdict


def report(verdict: Verdict, seconds: float) -> Iterator[str]:
    """Yield the lines that tell the verdict."""
    for check, meaning in _MEANING.items():
        failed = verdict.failed[check]
        state = f"FAILED {failed:,}" if failed else "ok"
        yield f"{state:<10} {verdict.checked[check]:>11,}  {check.value}: {meaning}"
        if failed:
            yield f"{'':<24}first: {verdict.first_of[check]}"
    if verdict.first is None:
        yield f"Clean: {verdict.checked[Check.CHAIN]:,} rows in {seconds:.1f} s."
        return
    yield f"The first that lies: {verdict.first.place}"
    for finding in verdict.first.findings:
        yield f"  {finding.check.value}: {finding.field} is {finding.stored}, must be {finding.expected}"


def main() -> int:
    """Verify the configured database."""
    started = monotonic_seconds()
    try:
        engine = connect_engine(load_settings().database_url, readers=1)
        verdict = verify_database(engine)
    except (ConfigurationError, CannotVerify) as error:
        sys.stderr.write(f"{error}\n")
        return CANNOT
    except SQLAlchemyError as error:
        sys.stderr.write(f"The database cannot be read: {reason(error)}\n")
        return CANNOT
    engine.dispose()
    sys.stdout.writelines(f"{line}\n" for line in report(verdict, monotonic_seconds() - started))
    return CLEAN if verdict.clean else LIES


if __name__ == "__main__":
    sys.exit(main())
