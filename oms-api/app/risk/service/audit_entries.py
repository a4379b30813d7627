"""Build the audit log entries of limits, kill switches and latches."""

from datetime import datetime

from app.audit.service import AuditEntry, mask_secrets
from app.http.direct_routes import RequestInfo
from app.identity.rules.access import Caller
from app.identity.service.caller_entries import build_caller_entry
from app.risk.queries.switches import SwitchChange
from app.risk.rules.latches import Latch
from app.risk.rules.limits import RiskLimit
from app.risk.service.limit_store import LimitChange, serialize_limit_values

RISK = "risk"  # the actor of changes that the risk checks make themselves


def build_limit_entry(
    caller: Caller, request: RequestInfo, at: datetime, limit: RiskLimit, change: LimitChange
) -> AuditEntry:
    """Return the entry of a limit that was set or removed."""
    action = "limit.set" if change.after else "limit.removed"
    target = f"{limit.code}:{limit.scope}:{limit.name}"
    before, after = serialize_limit_values(change.before), serialize_limit_values(change.after)
    return build_caller_entry(caller, request, at, action, target, before, after)


def build_switch_entry(
    caller: Caller, request: RequestInfo, at: datetime, change: SwitchChange
) -> AuditEntry:
    """Return the entry of a kill switch that was set."""
    target = f"{change.scope}:{change.name}"
    after = mask_secrets({"state": change.state.value, "reason": change.reason})
    return build_caller_entry(caller, request, at, "kill_switch.turned", target, None, after)


def build_automatic_switch_entry(tenant_id: int, at: datetime, change: SwitchChange) -> AuditEntry:
    """Return the entry of a kill switch that a limit of losses set."""
    target = f"{change.scope}:{change.name}"
    after = mask_secrets({"state": change.state.value, "reason": change.reason})
    return AuditEntry(tenant_id, at, change.set_by, RISK, "kill_switch.turned", target, after=after)


def serialize_latch_values(latch: Latch) -> dict[str, str | int]:
    """Return the values of a latch for audit entries and events."""
    scope, name, symbol = latch.subject
    counts = {"executions": latch.executions, "most": latch.max_executions}
    return {"scope": scope.value, "name": name, "symbol": symbol, **counts}
