"""Verify kill switches, limits and latches against their events, changes and the audit log."""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

from app.ledger.rules.verification import Finding
from app.money import format_fixed
from app.risk.rules.limits import RiskLimit
from app.risk.rules.switches import get_strictest_state
from app.risk.rules.values import TradingState
from app.text import name_key
from app.timestamps import Timestamp

FieldValues = dict[str, Any]


class SwitchKey(NamedTuple):
    """The key of a kill switch. `name_key` is empty for the tenant's own switch."""

    tenant_id: int
    scope: Any
    name_key: str


class LimitKey(NamedTuple):
    """The key of a limit. A permanent and a temporary limit (`is_temporary` is 1) can both be set."""

    tenant_id: int
    scope: Any
    name_key: str
    code: str
    is_temporary: int


class LatchKey(NamedTuple):
    """The key of a latch."""

    tenant_id: int
    latch_id: Any


ControlKeyT = TypeVar("ControlKeyT", SwitchKey, LimitKey, LatchKey)


class RiskCheck(StrEnum):
    """The checks of risk controls, in the order of the report."""

    SWITCH = "kill switch"
    STATE = "trading state"
    LIMIT = "limit"
    LATCH = "latch"


class RiskEvent(NamedTuple):
    """An event of risk controls, or the renaming of a portfolio (`payload` has both names)."""

    tenant_id: int
    at: Timestamp
    type: str
    payload: FieldValues


RENAMED = "portfolio.renamed"


def build_switch_key(tenant_id: int, scope: Any, name: Any) -> SwitchKey:
    """Return the key of the kill switch of a name. Portfolio names are case-insensitive."""
    text = name or ""
    return SwitchKey(tenant_id, scope, name_key(text) if scope == "portfolio" else text)


def build_expected_switches(events: Iterable[RiskEvent]) -> dict[SwitchKey, FieldValues]:
    """Return the expected kill switches: the last change of each, under the portfolio's current name."""
    switches: dict[SwitchKey, FieldValues] = {}
    for event in events:
        if event.type == RENAMED:
            _rename_switch(switches, event)
        else:
            fields = {name: event.payload.get(name) for name in ("state", "reason", "set_by")}
            key = build_switch_key(event.tenant_id, event.payload.get("scope"), event.payload.get("name"))
            switches[key] = fields | {"name": event.payload.get("name") or "", "set_at": event.at}
    return switches


def _rename_switch(switches: dict[SwitchKey, FieldValues], event: RiskEvent) -> None:
    previous_key, current_key = (
        build_switch_key(event.tenant_id, "portfolio", event.payload[name]) for name in ("before", "after")
    )
    renamed_switch = switches.pop(previous_key, None)
    existing_switch = switches.pop(current_key, None)
    if renamed_switch is None and existing_switch is None:
        return
    if renamed_switch is None or existing_switch is None:
        remaining_switch = renamed_switch or existing_switch or {}
    else:
        states = TradingState(renamed_switch["state"]), TradingState(existing_switch["state"])
        remaining_switch = renamed_switch if get_strictest_state(*states) is states[0] else existing_switch
    switches[current_key] = remaining_switch | {"name": event.payload["after"]}


def build_expected_limits(events: Iterable[RiskEvent]) -> tuple[dict[LimitKey, FieldValues], list[Finding]]:
    """Return the expected limits, and findings about events with a wrong previous value."""
    limits: dict[LimitKey, FieldValues] = {}
    findings = []
    for event in events:
        if event.type == RENAMED:
            _rename_limits(limits, event)
            continue
        permanent_key, temporary_key = _build_limit_keys(event)
        stated = event.payload.get("before")
        after = event.payload.get("after")
        permanent_limit = limits.get(permanent_key)
        temporary_limit = limits.get(temporary_key)
        before = (
            (temporary_limit if after["until"] else permanent_limit)
            if after
            else permanent_limit or temporary_limit
        )
        expected = before and {"value": before["value"], "until": before["until"]}
        if stated != expected:
            findings.append(Finding(RiskCheck.LIMIT, "before of limit.changed", str(stated), str(expected)))
        if after is None:
            limits.pop(permanent_key, None)
            limits.pop(temporary_key, None)
        else:
            fields = {
                "name": event.payload.get("name") or "",
                "set_by": event.payload["set_by"],
                "set_at": event.at,
            }
            limits[temporary_key if after["until"] is not None else permanent_key] = after | fields
    return limits, findings


def _build_limit_keys(event: RiskEvent) -> tuple[LimitKey, LimitKey]:
    """Return the keys of the permanent and the temporary limit of an event."""
    payload = event.payload
    switch_key = build_switch_key(event.tenant_id, payload.get("scope"), payload.get("name"))
    return LimitKey(*switch_key, payload["code"], 0), LimitKey(*switch_key, payload["code"], 1)


def _rename_limits(limits: dict[LimitKey, FieldValues], event: RiskEvent) -> None:
    previous_key, current_key = (
        build_switch_key(event.tenant_id, "portfolio", event.payload[name]) for name in ("before", "after")
    )
    renamed_limits = {key: limits.pop(key) for key in list(limits) if _belongs_to(key, previous_key)}
    for key, fields in renamed_limits.items():
        limits[key._replace(name_key=current_key.name_key)] = fields
    for key in [key for key in limits if _belongs_to(key, current_key)]:
        limits[key] = limits[key] | {"name": event.payload["after"]}


def _belongs_to(key: LimitKey, portfolio: SwitchKey) -> bool:
    """Return whether the limit has the tenant, the scope and the name of the portfolio."""
    return (key.tenant_id, key.scope, key.name_key) == portfolio


def build_limit_fields(limit: RiskLimit) -> FieldValues:
    """Return the values of a limit row in the form of its events."""
    value = limit.allowed_values or format_fixed(limit.value)
    fields = {"name": limit.name, "set_by": limit.set_by, "set_at": limit.set_at}
    return {"value": value, "until": limit.until, **fields}


def build_expected_latches(events: Iterable[RiskEvent]) -> dict[LatchKey, FieldValues]:
    """Return the expected latches, from their events."""
    latches: dict[LatchKey, FieldValues] = {}
    for event in events:
        key = LatchKey(event.tenant_id, event.payload.get("latch_id"))
        fields = {name: event.payload.get(name) for name in ("scope", "name", "symbol", "executions", "most")}
        if event.type == "latch.set":
            empty_release = dict.fromkeys(("released_at", "released_by", "reason"))
            latches[key] = fields | empty_release | {"set_at": event.at}
        else:
            release = {name: event.payload.get(name) for name in ("released_by", "reason")}
            latches[key] = latches.get(key, {}) | fields | release | {"released_at": event.at}
    return latches


def find_row_differences(
    check: RiskCheck, stored: Mapping[ControlKeyT, FieldValues], expected: Mapping[ControlKeyT, FieldValues]
) -> Iterator[tuple[ControlKeyT, list[Finding]]]:
    """Yield rows that differ from the expected ones, are missing, or are too many."""
    for key in {**stored, **expected}:
        stored_row, expected_row = stored.get(key), expected.get(key)
        if stored_row is None or expected_row is None:
            descriptions = ("none" if fields is None else "a row" for fields in (stored_row, expected_row))
            yield key, [Finding(check, "row", *descriptions)]
        elif stored_row != expected_row:
            names = [
                name
                for name in {**stored_row, **expected_row}
                if stored_row.get(name) != expected_row.get(name)
            ]
            yield (
                key,
                [
                    Finding(
                        check,
                        name,
                        _format_value(stored_row.get(name)),
                        _format_value(expected_row.get(name)),
                    )
                    for name in names
                ],
            )


def find_unmatched(
    check: StrEnum, field: str, stored: Iterable[Hashable], expected: Iterable[Hashable]
) -> Iterator[Finding]:
    """Yield changes that only one of two records of the same changes contains."""
    stored_counts, expected_counts = Counter(stored), Counter(expected)
    for change in stored_counts - expected_counts:
        yield Finding(check, field, str(change), "nothing of that kind")
    for change in expected_counts - stored_counts:
        yield Finding(check, field, "none", str(change))


def _format_value(value: Any) -> str | int | None:
    return value if value is None or isinstance(value, str | int) else str(value)
