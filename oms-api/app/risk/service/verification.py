"""Verify the risk controls: rows, events and the audit log must contain the same changes."""

from collections.abc import Iterable
from decimal import Decimal
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection

from app.audit.queries.entries import list_actions
from app.audit.rules.actions import AuditedAction
from app.audit.service import mask_secrets
from app.ledger.rules.verification import Finding
from app.ledger.service.verification_result import VerificationResult
from app.risk.queries import audit
from app.risk.queries.switches import load_switches
from app.risk.rules import verification as rules
from app.risk.rules.limits import LimitCode, LimitScope, RiskLimit
from app.risk.rules.verification import ControlKey, FieldValues, RiskCheck, RiskEvent, build_key
from app.timestamps import Timestamp

_SWITCH_EVENTS = {
    "ACTIVE": "kill_switch.activated",
    "REDUCING": "kill_switch.reducing",
    "HALTED": "kill_switch.halted",
}
_OF_LIMIT = ("scope", "name", "code", "before", "after", "set_by")


def verify_risk(connection: Connection, result: VerificationResult) -> None:
    """Check kill switches, limits and latches. `connection` must read one consistent snapshot."""
    renamed = audit.list_renamings(connection)
    entries = list(list_actions(connection, "kill_switch.", "limit.", "latch."))
    _verify_switches(connection, result, renamed, entries)
    _verify_states(connection, result)
    _verify_limits(connection, result, renamed, entries)
    _verify_latches(connection, result, entries)


def _verify_switches(
    connection: Connection, result: VerificationResult, renamed: list[RiskEvent], entries: list[AuditedAction]
) -> None:
    events = audit.list_risk_events(connection, "kill_switch.")
    changes = list(audit.iterate_rows(connection, "kill_switch_changes"))
    events_seen = [
        _build_switch_key(event.tenant_id, event.payload, event.at, event.type) for event in events
    ]
    names = ("scope", "name", "state", "reason", "set_by")
    expected_rows = [
        _build_switch_key(
            row["tenant_id"],
            {name: row[name] for name in names},
            row["set_at"],
            _get_event_type(row["state"]),
        )
        for row in changes
    ]
    table = "kill_switch_changes"
    _add_findings(result, table, rules.find_unmatched(RiskCheck.SWITCH, "change", expected_rows, events_seen))
    audited_changes = [_build_change_key(entry) for entry in entries if entry.action == "kill_switch.turned"]
    _add_findings(
        result,
        table,
        rules.find_unmatched(RiskCheck.SWITCH, "turn", map(_change_fact, changes), audited_changes),
    )
    for row in changes:
        key = build_key(row["tenant_id"], row["scope"], row["name"])
        if row["name_key"] != key[2]:
            finding = Finding(RiskCheck.SWITCH, "name_key", row["name_key"], str(key[2]))
            result.add_findings(f"kill switch change {row['id']}", [finding])
    stored: dict[ControlKey, FieldValues] = {}
    for row in audit.iterate_rows(connection, "kill_switches"):
        names = ("state", "reason", "set_by", "name", "set_at")
        stored[row["tenant_id"], row["scope"], row["name_key"]] = {name: row[name] for name in names}
    expected = rules.build_expected_switches(_merge_by_time(events, renamed))
    _compare(result, "kill switch", RiskCheck.SWITCH, stored, expected)


def _get_event_type(state: str) -> str | None:
    return _SWITCH_EVENTS.get(state)


def _build_switch_key(tenant_id: int, values: FieldValues, at: Timestamp, kind: str | None) -> ControlKey:
    row_fields = (tenant_id, values.get("scope"), values.get("name") or "", values.get("state"), kind)
    return (*row_fields, values.get("reason"), values.get("set_by"), at, *sorted(values))


def _change_fact(row: FieldValues) -> ControlKey:
    reason = mask_secrets({"reason": row["reason"]})["reason"]
    target = f"{row['scope']}:{row['name']}"
    return (row["tenant_id"], target, row["state"], reason, row["set_by"], row["set_at"])


def _build_change_key(entry: AuditedAction) -> ControlKey:
    return (
        entry.tenant_id,
        entry.target,
        entry.after["state"],
        entry.after["reason"],
        _get_actor_name(entry),
        entry.at,
    )


def _verify_states(connection: Connection, result: VerificationResult) -> None:
    portfolios = audit.list_portfolio_states(connection)
    switches = load_switches(connection, {tenant_id for tenant_id, *_ in portfolios})
    for tenant_id, portfolio_id, key, stored in portfolios:
        result.checked[RiskCheck.STATE] += 1
        expected = switches[tenant_id].get_state(key).state.value
        if stored != expected:
            location = f"portfolio (id {portfolio_id}) of tenant {tenant_id}"
            result.add_findings(location, [Finding(RiskCheck.STATE, "trading_state", stored, expected)])


def _verify_limits(
    connection: Connection, result: VerificationResult, renamed: list[RiskEvent], entries: list[AuditedAction]
) -> None:
    events = audit.list_risk_events(connection, "limit.")
    expected, findings = rules.build_expected_limits(_merge_by_time(events, renamed))
    _add_findings(result, "limit events", findings)
    event_keys = [_build_limit_key(event) for event in events]
    recorded_keys = [
        _build_limit_key_of_entry(entry)
        for entry in entries
        if entry.action.startswith("limit.") and _is_change(entry)
    ]
    _add_findings(
        result, "limit events", rules.find_unmatched(RiskCheck.LIMIT, "event", event_keys, recorded_keys)
    )
    stored: dict[ControlKey, FieldValues] = {}
    for row in audit.iterate_rows(connection, "limits"):
        key = (row["tenant_id"], row["scope"], row["name_key"], row["code"], row["is_temporary"])
        stored[key] = rules.build_limit_fields(_parse_limit(row))
        if row["words"] and row["value"] != 0:
            finding = Finding(RiskCheck.LIMIT, "value", str(row["value"]), "0: its value is a list")
            result.add_findings(f"limit {key}", [finding])
    _compare(result, "limit", RiskCheck.LIMIT, stored, expected)


def _is_change(entry: AuditedAction) -> bool:
    """Return whether a limit existed that could be removed."""
    return entry.before is not None or entry.after is not None


def _build_limit_key(event: RiskEvent) -> ControlKey:
    values = event.payload
    target = f"{values.get('code')}:{values.get('scope')}:{values.get('name') or ''}"
    change = (target, str(values.get("before")), str(values.get("after")), values.get("set_by"))
    return (event.tenant_id, event.type, *change, event.at, *sorted(values))


def _build_limit_key_of_entry(entry: AuditedAction) -> ControlKey:
    before, after = (_sort_values(value) for value in (entry.before, entry.after))
    change = (entry.target, str(before), str(after), _get_actor_name(entry))
    return (entry.tenant_id, "limit.changed", *change, entry.at, *sorted(_OF_LIMIT))


def _get_actor_name(entry: AuditedAction) -> str:
    """Return the actor in the form of rows and events: the person, else the name of the key."""
    return entry.actor.removeprefix("key:")


def _sort_values(value: Any) -> Any:
    """Return the values of a limit in the order of its events, because the audit log sorts names."""
    return {name: value.get(name) for name in ("value", "until")} if isinstance(value, dict) else value


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
        words=row["words"],
    )


def _verify_latches(connection: Connection, result: VerificationResult, entries: list[AuditedAction]) -> None:
    events = audit.list_risk_events(connection, "latch.")
    event_keys = [_build_latch_key(event.tenant_id, event.type, event.payload, event.at) for event in events]
    recorded_keys = [
        _build_latch_key(entry.tenant_id, entry.action, _get_latch_payload(entry), entry.at)
        for entry in entries
        if entry.action.startswith("latch.")
    ]
    _add_findings(
        result, "latch events", rules.find_unmatched(RiskCheck.LATCH, "event", event_keys, recorded_keys)
    )
    stored: dict[ControlKey, FieldValues] = {}
    for row in audit.iterate_rows(connection, "latches"):
        key = (row.pop("tenant_id"), row.pop("id"))
        stored[key] = row
    _compare(result, "latch", RiskCheck.LATCH, stored, rules.build_expected_latches(events))


def _get_latch_payload(entry: AuditedAction) -> FieldValues:
    """Return the values of a latch in the audit log in the form of an event."""
    after: FieldValues = (
        entry.after
        if entry.action == "latch.set"
        else entry.before | entry.after | {"released_by": entry.actor}
    )
    return after | {"latch_id": entry.target}


def _build_latch_key(tenant_id: int, kind: str, values: FieldValues, at: Timestamp) -> ControlKey:
    fields = mask_secrets(values)  # in the form of the audit log
    return (tenant_id, kind, at, *sorted((name, str(value)) for name, value in fields.items()))


def _merge_by_time(events: list[RiskEvent], renamed: list[RiskEvent]) -> list[RiskEvent]:
    return sorted([*events, *renamed], key=attrgetter("at")) if renamed else events


def _compare(
    result: VerificationResult,
    name: str,
    check: RiskCheck,
    stored: dict[ControlKey, FieldValues],
    expected: dict[ControlKey, FieldValues],
) -> None:
    result.checked[check] += len(stored)
    for key, findings in rules.find_row_differences(check, stored, expected):
        result.add_findings(
            f"{name} {' '.join(str(part) for part in key[1:] if part != '')} of tenant {key[0]}", findings
        )


def _add_findings(result: VerificationResult, location: str, findings: Iterable[Finding]) -> None:
    for finding in findings:
        result.add_findings(location, [finding])
