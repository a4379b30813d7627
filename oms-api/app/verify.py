"""Verifies the books: `python -m app.verify` checks every invariant of a database in use.

It lists each wrong row with its stored and expected values. With `--audit FILE` it verifies an export of the
audit log or of the ledger instead, without database and settings, against the heads in `--head FILE`.

Exit status: 0 all checks passed, 1 differences were found, 2 the checks could not run.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from app.audit.rules.actions import ActionDifference
from app.audit.rules.export_verification import AUDIT_LOG
from app.audit.service.export_verification import ExportResult, InvalidHeads, read_heads, verify_export
from app.audit.service.log_verification import AuditLogResult, check_audit_logs
from app.calendars.service import verify_calendars
from app.clock import monotonic_seconds
from app.config import ConfigurationError, load_settings
from app.corporate_actions.service.verification import verify_corporate_actions
from app.database import ALL_TENANTS, connect_engine, set_all_tenants_scope, snapshot
from app.database.failures import format_reason
from app.database.tenants import NoVisibleRows
from app.database.timeouts import response_timeout
from app.day_close.service.verification import verify_day_closes
from app.identity.service.verification import verify_identities
from app.instruments.service import verify_instruments
from app.ledger.rules.exports import EARLIER_LEDGER, LEDGER
from app.ledger.rules.verification import Finding, LedgerCheck
from app.ledger.service.portfolio_verification import verify_portfolios
from app.ledger.service.verification import VerificationResult, verify_ledger
from app.market_data.service.marks import verify_marks
from app.migrate import get_migration_url, is_current
from app.orders.rules.verification import OrderCheck
from app.orders.service.approval.approval_verification import verify_approvals
from app.orders.service.verification import verify_orders
from app.reports.service.daily_stats import verify_daily_stats
from app.risk.rules.verification import RiskCheck
from app.risk.service.verification import verify_risk
from app.strategies.service.verification import verify_journals

SCAN_SECONDS = 3600.0  # one response of the server may include a sort of the whole ledger
CLEAN, LIES, CANNOT = 0, 1, 2


def _build_check(
    check: StrEnum, differences: Callable[[Connection], Iterator[ActionDifference]]
) -> Callable[[Connection, VerificationResult], None]:
    def part(connection: Connection, result: VerificationResult) -> None:
        result.checked[check] += 1
        for difference in differences(connection):
            result.add_findings(
                difference.location,
                [Finding(check, difference.field, difference.stored, difference.expected)],
            )

    return part


class RecordCheck(StrEnum):
    """A comparison of tables with the audit log or the ledger, in the order of the report."""

    PORTFOLIO = "portfolio record"
    INSTRUMENT = "instrument record"
    CALENDAR = "calendar record"
    MARK = "mark record"
    CORPORATE_ACTION = "corporate action record"
    IDENTITY = "identity record"
    DAY_CLOSE = "day close"
    DAILY_STATS = "daily statistics"
    STRATEGY_JOURNAL = "strategy journal"


PARTS: dict[str, Callable[[Connection, VerificationResult], object]] = {
    "the ledger": verify_ledger,
    "the orders": verify_orders,
    "the approvals": verify_approvals,
    "the risk controls": verify_risk,
    "the portfolios": _build_check(RecordCheck.PORTFOLIO, verify_portfolios),
    "the instruments": _build_check(RecordCheck.INSTRUMENT, verify_instruments),
    "the calendars": _build_check(RecordCheck.CALENDAR, verify_calendars),
    "the marks": _build_check(RecordCheck.MARK, verify_marks),
    "the corporate actions": _build_check(RecordCheck.CORPORATE_ACTION, verify_corporate_actions),
    "the identities": _build_check(RecordCheck.IDENTITY, verify_identities),
    "the day closes": _build_check(RecordCheck.DAY_CLOSE, verify_day_closes),
    "the daily statistics": _build_check(RecordCheck.DAILY_STATS, verify_daily_stats),
    "the journals of strategies": _build_check(RecordCheck.STRATEGY_JOURNAL, verify_journals),
}
_MEANING: dict[StrEnum, str] = {
    LedgerCheck.FORM: "amounts, times and text are in canonical form",
    LedgerCheck.SEQUENCE: "sequence numbers run from 1 without gaps",
    LedgerCheck.TIME: "created_at never precedes its predecessor's",
    LedgerCheck.TRADE_ID: "trade ids ascend",
    LedgerCheck.CHAIN: "each hash covers its row and its predecessor's hash",
    LedgerCheck.VALUE: "price and gross market value are consistent",
    LedgerCheck.POSITION: "each row's P&L and position follow from its trade and the previous position",
    LedgerCheck.CASH: "cash moves by each row's value",
    LedgerCheck.COUNTERS: "counters and realized P&L add up",
    LedgerCheck.REVERSAL: "a reversal offsets one earlier trade of its portfolio, once",
    LedgerCheck.ACTION: "rows of corporate actions match their actions",
    LedgerCheck.KEY: "an idempotency key belongs to one request and its hash",
    LedgerCheck.PORTFOLIO: "portfolios match the end of their ledgers",
    LedgerCheck.HOLDING: "positions match the ledger",
    LedgerCheck.CASH_MOVEMENT: "cash movements are chained, and each adds its amount to the cash before it",
    LedgerCheck.TENANT: "rows belong to a portfolio of their tenant",
    LedgerCheck.EVENT: "each row has one event with the same content",
    LedgerCheck.POSITION_EVENT: "each position event matches its row of the ledger",
    LedgerCheck.CASH_MOVEMENT_EVENT: "each cash movement has one event with the same content",
    OrderCheck.HISTORY: "orders followed the state machine and match the end of their history",
    OrderCheck.QUANTITY: "filled and remaining quantity add up to the quantity of open orders",
    OrderCheck.FILLS: "filled quantities match the sum of the executions",
    OrderCheck.TRADE: "each execution has one trade and one state change of its order",
    RecordCheck.PORTFOLIO: "name, currency, opening cash and settings of portfolios match the audit log",
    RecordCheck.INSTRUMENT: "terms of instruments match the audit log",
    RecordCheck.CALENDAR: "dates of calendars that the operator set match the audit log",
    RecordCheck.MARK: "marks that people set match the audit log",
    RecordCheck.CORPORATE_ACTION: "corporate actions match the audit log, and dividends the positions",
    RecordCheck.IDENTITY: "tenants, users, keys, sessions and workspaces match the audit log",
    RecordCheck.DAY_CLOSE: "signed days match their digest, the audit log and their events",
    RecordCheck.DAILY_STATS: "stored statistics of days match the ledger",
    RecordCheck.STRATEGY_JOURNAL: "inputs of strategies are chained up to the saved state",
    RiskCheck.SWITCH: "kill switches match their history, their events and the audit log",
    RiskCheck.STATE: "the trading state of each portfolio matches the kill switches",
    RiskCheck.LIMIT: "limits match their events and the audit log",
    RiskCheck.LATCH: "latches match their events and the audit log",
    OrderCheck.EVENT: "each state change of an order has one event with the same content",
    OrderCheck.APPROVAL: "requests and decisions match their orders, their events and the audit log",
}


class CannotVerify(Exception):
    """Raised when there is no database to check yet."""


def verify_database(engine: Engine) -> VerificationResult:
    """Check the database on one snapshot. Raises CannotVerify if its schema is not of this version."""
    with response_timeout(SCAN_SECONDS), snapshot(engine) as connection:
        if not is_current(connection):
            raise CannotVerify("The database is not at this version's revision: run `python -m app.migrate`.")
        return check_database(set_all_tenants_scope(connection))


def check_database(connection: Connection) -> VerificationResult:
    """Run all checks except those of the audit log. `connection` must be on one snapshot."""
    result = VerificationResult()
    for name, part in PARTS.items():
        try:
            part(connection, result)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            message = f"{type(error).__name__}: {error}"
            result.add_findings(name, [Finding(LedgerCheck.FORM, "a row", message, "one that can be read")])
    return result


def verify_audit_logs(engine: Engine) -> AuditLogResult:
    """Verify the audit logs of the database on one snapshot."""
    with response_timeout(SCAN_SECONDS), snapshot(engine, ALL_TENANTS) as connection:
        return check_audit_logs(connection)


def format_report(
    result: VerificationResult, seconds: float, *, is_audit_log_clean: bool = True
) -> Iterator[str]:
    """Yield the lines of the report. It only says "Clean" if the audit log is clean as well."""
    for check, meaning in _MEANING.items():
        failed_count = result.failed[check]
        state = f"FAILED {failed_count:,}" if failed_count else "ok"
        yield f"{state:<10} {result.checked[check]:>11,}  {check.value}: {meaning}"
        if failed_count:
            yield f"{'':<24}first: {result.first_of[check]}"
    if result.first is None and not is_audit_log_clean:
        yield "The books are clean. The audit log is not: see its first finding above."
        return
    if result.first is None:
        yield f"Clean: {result.checked[LedgerCheck.CHAIN]:,} rows in {seconds:.1f} s."
        return
    yield from report_findings(result)


def report_findings(result: VerificationResult) -> Iterator[str]:
    """Yield a sentence for each finding that the result keeps."""
    for number, discrepancy in enumerate(result.reported):
        yield f"Also: {discrepancy.location}" if number else f"The first finding: {discrepancy.location}"
        for finding in discrepancy.findings:
            yield f"  {finding.check.value}: {_format_finding(finding)}"
    if result.count > len(result.reported):
        yield f"And {result.count - len(result.reported):,} more."


def _format_finding(finding: Finding) -> str:
    """Describe the stored and the expected value."""
    stored_text, expected_text = (
        "empty" if value is None else value for value in (finding.stored, finding.expected)
    )
    return f"{finding.field} is {stored_text}, must be {expected_text}"


def report_audit_logs(audit_result: AuditLogResult) -> Iterator[str]:
    """Yield the lines of the report on the audit logs."""
    state = "ok" if audit_result.problem is None else "FAILED"
    yield f"{state:<10} {audit_result.entries:>11,}  audit log: entries are chained, as far as each log goes"
    if audit_result.problem:
        yield f"{'':<24}first: {audit_result.problem}"


def report_export(proven: ExportResult, *, with_heads: bool) -> Iterator[str]:
    """Yield the lines of the report on an export."""
    verifier, finding = proven
    if finding:
        yield f"The first bad line is {finding.line}: {finding.problem}."
        return
    kind = verifier.line_format.name if verifier.line_format else "lines"
    chains = "1 unbroken chain" if verifier.chains == 1 else f"{verifier.chains:,} unbroken chains"
    yield f"Clean: {verifier.lines:,} {kind}, {chains}."
    if not with_heads:
        yield "Without a head (--head FILE) this does not show whether lines are missing at the end."
    elif verifier.uncovered_lines:
        count = f"{verifier.uncovered_lines:,}"
        yield f"No head covers {count} of the lines: they are newer, or of another portfolio."


def main(arguments: Sequence[str] = ()) -> int:
    """Verify the configured database, or the export that the arguments name."""
    parser = argparse.ArgumentParser(
        prog="python -m app.verify", description="Verify the ledger and the audit log."
    )
    exports = "what GET /audit/export or GET /trades/export answered"
    heads = "what GET /audit/head or GET /trades/heads answered, at any time"
    parser.add_argument("--audit", type=Path, metavar="FILE", help=exports)
    parser.add_argument("--head", type=Path, metavar="FILE", help=heads)
    args = parser.parse_args(arguments)
    if args.head and not args.audit:
        parser.error("--head needs --audit")
    return _verify_export(args.audit, args.head) if args.audit else _verify_configured()


def _verify_export(export: Path, heads: Path | None) -> int:
    try:
        stated = {}
        if heads:
            with heads.open("rb") as file:
                stated = dict(read_heads(file))
        with export.open("rb") as file:
            proven = verify_export(file, (AUDIT_LOG, LEDGER, EARLIER_LEDGER), stated)
    except InvalidHeads as error:
        sys.stderr.write(f"{heads} cannot be used: {error}.\n")
        return CANNOT
    except OSError as error:
        sys.stderr.write(f"{error.filename} cannot be read: {error.strerror}.\n")
        return CANNOT
    sys.stdout.writelines(f"{line}\n" for line in report_export(proven, with_heads=bool(stated)))
    return LIES if proven.finding else CLEAN


def _verify_configured() -> int:
    started = monotonic_seconds()
    try:
        engine = connect_engine(get_migration_url(load_settings()), readers=1)
        result, audit_result = verify_database(engine), verify_audit_logs(engine)
    except (ConfigurationError, CannotVerify, NoVisibleRows) as error:
        sys.stderr.write(f"{error}\n")
        return CANNOT
    except SQLAlchemyError as error:
        sys.stderr.write(f"The database cannot be read: {format_reason(error)}\n")
        return CANNOT
    engine.dispose()
    sys.stdout.writelines(f"{line}\n" for line in report_audit_logs(audit_result))
    seconds, is_audit_log_clean = monotonic_seconds() - started, audit_result.problem is None
    lines = format_report(result, seconds, is_audit_log_clean=is_audit_log_clean)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return CLEAN if result.is_clean and is_audit_log_clean else LIES


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
