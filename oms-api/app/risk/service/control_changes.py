"""Changes of risk controls in the form in which two records of the same change are equal."""

from typing import Any, NamedTuple

from app.audit.rules.actions import AuditedAction
from app.audit.service import mask_secrets
from app.risk.rules.verification import FieldValues, RiskEvent
from app.timestamps import Timestamp

_EVENT_TYPES_BY_STATE = {
    "ACTIVE": "kill_switch.activated",
    "REDUCING": "kill_switch.reducing",
    "HALTED": "kill_switch.halted",
}
_SWITCH_EVENT_FIELDS = ("scope", "name", "state", "reason", "set_by")
_LIMIT_EVENT_FIELDS = ("scope", "name", "code", "before", "after", "set_by")


class PublishedSwitchChange(NamedTuple):
    """A change of a kill switch, as rows and events contain it. `fields` are the names of its fields."""

    tenant_id: int
    scope: Any
    name: Any
    state: Any
    event_type: str | None
    reason: Any
    set_by: Any
    at: Timestamp
    fields: tuple[str, ...]


class AuditedSwitchChange(NamedTuple):
    """A change of a kill switch, as rows and the audit log contain it. The audit log masks secrets."""

    tenant_id: int
    target: str
    state: Any
    reason: Any
    set_by: str
    at: Timestamp


class ComparedLimitChange(NamedTuple):
    """A change of a limit, as events and the audit log contain it. `fields` are those of the event."""

    tenant_id: int
    event_type: str
    target: str
    before: str
    after: str
    set_by: Any
    at: Timestamp
    fields: tuple[str, ...]


class ComparedLatchChange(NamedTuple):
    """A latch that was set or released, as events and the audit log contain it. Values are text."""

    tenant_id: int
    event_type: str
    at: Timestamp
    values: tuple[tuple[str, str], ...]


def build_published_change_of_row(row: FieldValues) -> PublishedSwitchChange:
    """Return the change of a row, with the fields and the type that its event must have."""
    values = {name: row[name] for name in _SWITCH_EVENT_FIELDS}
    event_type = _EVENT_TYPES_BY_STATE.get(row["state"])
    return _build_published_change(row["tenant_id"], values, row["set_at"], event_type)


def build_published_change_of_event(event: RiskEvent) -> PublishedSwitchChange:
    """Return the change of an event."""
    return _build_published_change(event.tenant_id, event.payload, event.at, event.type)


def _build_published_change(
    tenant_id: int, values: FieldValues, at: Timestamp, event_type: str | None
) -> PublishedSwitchChange:
    return PublishedSwitchChange(
        tenant_id=tenant_id,
        scope=values.get("scope"),
        name=values.get("name") or "",
        state=values.get("state"),
        event_type=event_type,
        reason=values.get("reason"),
        set_by=values.get("set_by"),
        at=at,
        fields=tuple(sorted(values)),
    )


def build_audited_change_of_row(row: FieldValues) -> AuditedSwitchChange:
    """Return the change of a row, with the values that its audit entry must have."""
    return AuditedSwitchChange(
        tenant_id=row["tenant_id"],
        target=f"{row['scope']}:{row['name']}",
        state=row["state"],
        reason=mask_secrets({"reason": row["reason"]})["reason"],
        set_by=row["set_by"],
        at=row["set_at"],
    )


def build_audited_change_of_entry(entry: AuditedAction) -> AuditedSwitchChange:
    """Return the change of an audit entry."""
    return AuditedSwitchChange(
        tenant_id=entry.tenant_id,
        target=entry.target,
        state=entry.after["state"],
        reason=entry.after["reason"],
        set_by=_get_actor_name(entry),
        at=entry.at,
    )


def build_limit_change_of_event(event: RiskEvent) -> ComparedLimitChange:
    """Return the change of an event."""
    values = event.payload
    return ComparedLimitChange(
        tenant_id=event.tenant_id,
        event_type=event.type,
        target=f"{values.get('code')}:{values.get('scope')}:{values.get('name') or ''}",
        before=str(values.get("before")),
        after=str(values.get("after")),
        set_by=values.get("set_by"),
        at=event.at,
        fields=tuple(sorted(values)),
    )


def build_limit_change_of_entry(entry: AuditedAction) -> ComparedLimitChange:
    """Return the change of an audit entry."""
    return ComparedLimitChange(
        tenant_id=entry.tenant_id,
        event_type="limit.changed",
        target=entry.target,
        before=str(_order_like_event(entry.before)),
        after=str(_order_like_event(entry.after)),
        set_by=_get_actor_name(entry),
        at=entry.at,
        fields=tuple(sorted(_LIMIT_EVENT_FIELDS)),
    )


def _get_actor_name(entry: AuditedAction) -> str:
    """Return the actor as rows and events contain it: the person, or the name of the key."""
    return entry.actor.removeprefix("key:")


def _order_like_event(value: Any) -> Any:
    """Return the values of a limit in the order of its events. The audit log sorts them by name."""
    return {name: value.get(name) for name in ("value", "until")} if isinstance(value, dict) else value


def build_latch_change_of_event(event: RiskEvent) -> ComparedLatchChange:
    """Return the change of an event."""
    return _build_latch_change(event.tenant_id, event.type, event.payload, event.at)


def build_latch_change_of_entry(entry: AuditedAction) -> ComparedLatchChange:
    """Return the change of an audit entry, with the payload that its event must have."""
    after: FieldValues = (
        entry.after
        if entry.action == "latch.set"
        else entry.before | entry.after | {"released_by": entry.actor}
    )
    payload = after | {"latch_id": entry.target}
    return _build_latch_change(entry.tenant_id, entry.action, payload, entry.at)


def _build_latch_change(
    tenant_id: int, event_type: str, values: FieldValues, at: Timestamp
) -> ComparedLatchChange:
    masked_values = mask_secrets(values)  # as in the audit log
    texts = tuple(sorted((name, str(value)) for name, value in masked_values.items()))
    return ComparedLatchChange(tenant_id, event_type, at, texts)
