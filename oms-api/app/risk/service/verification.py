"""Verify the risk controls: rows, events and the audit log must contain the same changes."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from operator import attrgetter

from sqlalchemy import Connection

from app.audit.queries.entries import list_actions
from app.audit.rules.actions import AuditedAction
from app.ledger.rules.verification import Finding
from app.ledger.service.verification_result import VerificationResult
from app.risk.queries import audit
from app.risk.queries.switches import load_switches
from app.risk.rules import verification as rules
from app.risk.rules.limits import LimitCode, LimitScope, RiskLimit
from app.risk.rules.verification import (
    ControlKeyT,
    FieldValues,
    LatchKey,
    LimitKey,
    RiskCheck,
    RiskEvent,
    SwitchKey,
    build_switch_key,
)
from app.risk.service.control_changes import (
    build_audited_change_of_entry,
    build_audited_change_of_row,
    build_latch_change_of_entry,
    build_latch_change_of_event,
    build_limit_change_of_entry,
    build_limit_change_of_event,
    build_published_change_of_event,
    build_published_change_of_row,
)


def verify_risk(connection: Connection, result: VerificationResult) -> None:
    """Check kill switches, the trading states of portfolios, limits and latches.

    `connection` must read one consistent snapshot.
    """
    renamings = audit.list_renamings(connection)
    entries = list(list_actions(connection, "kill_switch.", "limit.", "latch."))
    _verify_switches(connection, result, renamings, entries)
    _verify_trading_states(connection, result)
    _verify_limits(connection, result, renamings, entries)
    _verify_latches(connection, result, entries)


def _verify_switches(
    connection: Connection,
    result: VerificationResult,
    renamings: list[RiskEvent],
    entries: list[AuditedAction],
) -> None:
    """Compare the changes of kill switches with events and the audit log, then the switches with events."""
    events = audit.list_risk_events(connection, "kill_switch.")
    changes = list(audit.iterate_rows(connection, "kill_switch_changes"))
    _compare_switch_changes(result, changes, events, entries)
    for row in changes:
        key = build_switch_key(row["tenant_id"], row["scope"], row["name"])
        if row["name_key"] != key.name_key:
            finding = Finding(RiskCheck.SWITCH, "name_key", row["name_key"], key.name_key)
            result.add_findings(f"kill switch change {row['id']}", [finding])
    stored: dict[SwitchKey, FieldValues] = {}
    for row in audit.iterate_rows(connection, "kill_switches"):
        names = ("state", "reason", "set_by", "name", "set_at")
        key = SwitchKey(row["tenant_id"], row["scope"], row["name_key"])
        stored[key] = {name: row[name] for name in names}
    expected = rules.build_expected_switches(_merge_by_time(events, renamings))
    _compare_rows(result, "kill switch", RiskCheck.SWITCH, stored, expected)


def _compare_switch_changes(
    result: VerificationResult,
    changes: list[FieldValues],
    events: list[RiskEvent],
    entries: list[AuditedAction],
) -> None:
    """Compare the stored changes of kill switches with their events and their audit entries."""
    table = "kill_switch_changes"
    stored = map(build_published_change_of_row, changes)
    published = map(build_published_change_of_event, events)
    _add_findings(result, table, rules.find_unmatched(RiskCheck.SWITCH, "change", stored, published))
    stored_audited = map(build_audited_change_of_row, changes)
    audited = [
        build_audited_change_of_entry(entry) for entry in entries if entry.action == "kill_switch.turned"
    ]
    _add_findings(
        result, table, rules.find_unmatched(RiskCheck.SWITCH, "audit entry", stored_audited, audited)
    )


def _verify_trading_states(connection: Connection, result: VerificationResult) -> None:
    """Compare the trading state of each portfolio with the kill switches that apply to it."""
    portfolios = audit.list_portfolio_states(connection)
    switches = load_switches(connection, {portfolio.tenant_id for portfolio in portfolios})
    for portfolio in portfolios:
        result.checked[RiskCheck.STATE] += 1
        expected = switches[portfolio.tenant_id].get_state(portfolio.name_key).state.value
        if portfolio.trading_state != expected:
            location = f"portfolio (id {portfolio.id}) of tenant {portfolio.tenant_id}"
            finding = Finding(RiskCheck.STATE, "trading_state", portfolio.trading_state, expected)
            result.add_findings(location, [finding])


def _verify_limits(
    connection: Connection,
    result: VerificationResult,
    renamings: list[RiskEvent],
    entries: list[AuditedAction],
) -> None:
    """Compare the events of limits with the audit log, and the limits with their events."""
    events = audit.list_risk_events(connection, "limit.")
    expected, findings = rules.build_expected_limits(_merge_by_time(events, renamings))
    _add_findings(result, "limit events", findings)
    published = map(build_limit_change_of_event, events)
    audited = [
        build_limit_change_of_entry(entry)
        for entry in entries
        if entry.action.startswith("limit.") and _changed_limit(entry)
    ]
    _add_findings(result, "limit events", rules.find_unmatched(RiskCheck.LIMIT, "event", published, audited))
    stored: dict[LimitKey, FieldValues] = {}
    for row in audit.iterate_rows(connection, "limits"):
        key = LimitKey(row["tenant_id"], row["scope"], row["name_key"], row["code"], row["is_temporary"])
        stored[key] = rules.build_limit_fields(_parse_limit(row))
        if row["words"] and row["value"] != 0:
            finding = Finding(RiskCheck.LIMIT, "value", str(row["value"]), "0, because the limit is a list")
            result.add_findings(f"limit {_format_names(key)} of tenant {key.tenant_id}", [finding])
    _compare_rows(result, "limit", RiskCheck.LIMIT, stored, expected)


def _changed_limit(entry: AuditedAction) -> bool:
    """Return whether the entry changed a limit.

    The removal of a limit that does not exist is audited without values, and has no event.
    """
    return entry.before is not None or entry.after is not None


def _parse_limit(row: FieldValues) -> RiskLimit:
    return RiskLimit(
        scope=LimitScope(row["scope"]),
        key=row["name_key"],
        name=row["name"],
        code=LimitCode(row["code"]),
        value=Decimal(row["value"]),
        until=row["until"],
        set_by=row["set_by"],
        set_at=row["set_at"],
        allowed_values=row["words"],
    )


def _verify_latches(connection: Connection, result: VerificationResult, entries: list[AuditedAction]) -> None:
    """Compare the events of latches with the audit log, and the latches with their events."""
    events = audit.list_risk_events(connection, "latch.")
    published = map(build_latch_change_of_event, events)
    audited = [build_latch_change_of_entry(entry) for entry in entries if entry.action.startswith("latch.")]
    _add_findings(result, "latch events", rules.find_unmatched(RiskCheck.LATCH, "event", published, audited))
    stored: dict[LatchKey, FieldValues] = {}
    for row in audit.iterate_rows(connection, "latches"):
        key = LatchKey(row.pop("tenant_id"), row.pop("id"))
        stored[key] = row
    _compare_rows(result, "latch", RiskCheck.LATCH, stored, rules.build_expected_latches(events))


def _merge_by_time(events: list[RiskEvent], renamings: list[RiskEvent]) -> list[RiskEvent]:
    return sorted([*events, *renamings], key=attrgetter("at")) if renamings else events


def _compare_rows(
    result: VerificationResult,
    label: str,
    check: RiskCheck,
    stored: Mapping[ControlKeyT, FieldValues],
    expected: Mapping[ControlKeyT, FieldValues],
) -> None:
    """Count the stored rows, and add the findings about rows that differ from the expected ones."""
    result.checked[check] += len(stored)
    for key, findings in rules.find_row_differences(check, stored, expected):
        result.add_findings(f"{label} {_format_names(key)} of tenant {key.tenant_id}", findings)


def _format_names(key: SwitchKey | LimitKey | LatchKey) -> str:
    """Return the parts of the key after the tenant, without empty ones."""
    _, *parts = key
    return " ".join(str(part) for part in parts if part != "")


def _add_findings(result: VerificationResult, location: str, findings: Iterable[Finding]) -> None:
    for finding in findings:
        result.add_findings(location, [finding])
