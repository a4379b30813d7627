"""Verify kill switches, limits and latches against their events, changes and the audit log."""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from app.ledger.rules.verification import Finding
from app.money import format_fixed
from app.risk.rules.limits import SetLimit
from app.risk.rules.switches import get_strictest_state
from app.risk.rules.values import TradingState
from app.text import name_key
from app.timestamps import Timestamp

Facts = dict[str, Any]
Key = tuple[Hashable, ...]


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
    payload: Facts


RENAMED = "portfolio.renamed"


def build_key(tenant_id: int, scope: Any, name: Any) -> Key:
    """Return the key of a switch or of the limits of a name. Portfolio names are case-insensitive."""
    text = name or ""
    return (tenant_id, scope, name_key(text) if scope == "portfolio" else text)


def build_expected_switches(events: Iterable[RiskEvent]) -> dict[Key, Facts]:
    """Return the expected kill switches: the last change of each, under the portfolio's current name."""
    due: dict[Key, Facts] = {}
    for event in events:
        if event.type == RENAMED:
            _rename_switch(due, event)
        else:
            fields = {name: event.payload.get(name) for name in ("state", "reason", "set_by")}
            key = build_key(event.tenant_id, event.payload.get("scope"), event.payload.get("name"))
            due[key] = fields | {"name": event.payload.get("name") or "", "set_at": event.at}
    return due


def _rename_switch(due: dict[Key, Facts], event: RiskEvent) -> None:
    before, after = (
        build_key(event.tenant_id, "portfolio", event.payload[name]) for name in ("before", "after")
    )
    own = due.pop(before, None)
    waiting = due.pop(after, None)
    if own is None and waiting is None:
        return
    if own is None or waiting is None:
        left = own or waiting or {}
    else:
        states = TradingState(own["state"]), TradingState(waiting["state"])
        left = own if get_strictest_state(*states) is states[0] else waiting
    due[after] = left | {"name": event.payload["after"]}


def build_expected_limits(events: Iterable[RiskEvent]) -> tuple[dict[Key, Facts], list[Finding]]:
    """Return the expected limits, and findings about events with a wrong previous value."""
    due: dict[Key, Facts] = {}
    findings = []
    for event in events:
        if event.type == RENAMED:
            _rename_limits(due, event)
            continue
        place = (
            *build_key(event.tenant_id, event.payload.get("scope"), event.payload.get("name")),
            event.payload["code"],
        )
        stated, after = event.payload.get("before"), event.payload.get("after")
        lasting, ending = due.get((*place, 0)), due.get((*place, 1))
        before = (ending if after["until"] else lasting) if after else lasting or ending
        expected = before and {"value": before["value"], "until": before["until"]}
        if stated != expected:
            findings.append(Finding(RiskCheck.LIMIT, "before of limit.changed", str(stated), str(expected)))
        if after is None:
            due.pop((*place, 0), None)
            due.pop((*place, 1), None)
        else:
            fields = {
                "name": event.payload.get("name") or "",
                "set_by": event.payload["set_by"],
                "set_at": event.at,
            }
            due[*place, int(after["until"] is not None)] = after | fields
    return due, findings


def _rename_limits(due: dict[Key, Facts], event: RiskEvent) -> None:
    before, after = (
        build_key(event.tenant_id, "portfolio", event.payload[name]) for name in ("before", "after")
    )
    moved = {key: due.pop(key) for key in list(due) if key[:3] == before}
    for key, fields in moved.items():
        due[*after, *key[3:]] = fields
    for key in [key for key in due if key[:3] == after]:
        due[key] = due[key] | {"name": event.payload["after"]}


def build_limit_facts(limit: SetLimit) -> Facts:
    """Return the values of a limit row in the form of its events."""
    value = limit.words or format_fixed(limit.value)
    fields = {"name": limit.name, "set_by": limit.set_by, "set_at": limit.set_at}
    return {"value": value, "until": limit.until, **fields}


def build_expected_latches(events: Iterable[RiskEvent]) -> dict[Key, Facts]:
    """Return the expected latches."""
    due: dict[Key, Facts] = {}
    for event in events:
        key = (event.tenant_id, event.payload.get("latch_id"))
        fields = {name: event.payload.get(name) for name in ("scope", "name", "symbol", "executions", "most")}
        if event.type == "latch.set":
            released = dict.fromkeys(("released_at", "released_by", "reason"))
            due[key] = fields | released | {"set_at": event.at}
        else:
            by = {name: event.payload.get(name) for name in ("released_by", "reason")}
            due[key] = due.get(key, {}) | fields | by | {"released_at": event.at}
    return due


def find_row_differences(
    check: RiskCheck, stored: Mapping[Key, Facts], expected: Mapping[Key, Facts]
) -> Iterator[tuple[Key, list[Finding]]]:
    """Yield rows that differ from the expected ones, are missing, or are too many."""
    for key in {**stored, **expected}:
        row, due = stored.get(key), expected.get(key)
        if row is None or due is None:
            words = ("none" if fields is None else "a row" for fields in (row, due))
            yield key, [Finding(check, "row", *words)]
        elif row != due:
            names = [name for name in {**row, **due} if row.get(name) != due.get(name)]
            yield (
                key,
                [
                    Finding(check, name, _format_value(row.get(name)), _format_value(due.get(name)))
                    for name in names
                ],
            )


def find_unmatched(
    check: StrEnum, field: str, stored: Iterable[Key], expected: Iterable[Key]
) -> Iterator[Finding]:
    """Yield changes that only one of two records of the same changes contains."""
    left, right = Counter(stored), Counter(expected)
    for fact in left - right:
        yield Finding(check, field, str(fact), "nothing of that kind")
    for fact in right - left:
        yield Finding(check, field, "none", str(fact))


def _format_value(value: Any) -> str | int | None:
    return value if value is None or isinstance(value, str | int) else str(value)
