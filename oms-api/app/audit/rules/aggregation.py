"""Aggregation of equal actions, so that denials or failed logins cannot flood the audit log.

Each minute adds at most two rows per tenant, actor, action and target: the first action immediately, and the
others after the minute. A minute distinguishes MOST_DISTINCT of these per tenant and action; the rest are
counted together.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from app.audit.rules.entries import AuditEntry, truncate_entry

MAX_DISTINCT = 30
MAX_GROUPS = 10_000
OTHERS = "(others)"
_MINUTE = 60


class ActionKey(NamedTuple):
    """The common fields of equal actions."""

    tenant_id: int
    action: str
    minute: int
    actor: str
    target: str


@dataclass(frozen=True, slots=True)
class CountedEntry:
    """An action and the number of its repetitions."""

    entry: AuditEntry
    count: int


@dataclass(slots=True)
class _EntryGroup:
    """The entries of one key: `waiting` arrived since the last row, `in_progress` is being written."""

    waiting: CountedEntry | None = None
    in_progress: CountedEntry | None = None
    is_reported: bool = False

    @property
    def is_done(self) -> bool:
        return self.waiting is None and self.in_progress is None

    def start_writing(self) -> CountedEntry:
        assert self.waiting is not None, "only what waits is taken"  # noqa: S101  # for the type checker
        self.in_progress, self.waiting = self.waiting, None
        return self.in_progress


class Aggregator:
    """Actions that are not written yet, in bounded memory. Not thread-safe."""

    def __init__(self, max_groups: int = MAX_GROUPS) -> None:
        self._max_groups = max_groups
        self._groups: dict[ActionKey, _EntryGroup] = {}
        self._distinct: Counter[tuple[int, str, int]] = Counter()

    def __len__(self) -> int:
        return len(self._groups)

    def add(self, entry: AuditEntry) -> bool:
        """Add an action. Return False if there is no room."""
        entry = truncate_entry(entry)
        key = self._build_key(entry)
        group = self._groups.get(key)
        if group is None:
            if len(self._groups) >= self._max_groups:
                return False
            group = self._groups[key] = _EntryGroup()
            self._distinct[key[:3]] += 1
        if key.actor == OTHERS:
            entry = _remove_details(entry)
        group.waiting = _merge_counts(group.waiting, CountedEntry(entry, 1))
        return True

    def take_due(self, now: datetime, *, include_recent: bool = False) -> dict[ActionKey, CountedEntry]:
        """Return the actions that are due. Call `confirm_written` or `restore_unwritten` for each key."""
        minute = _get_minute(now)
        for key in [key for key, group in self._groups.items() if key.minute != minute and group.is_done]:
            self._remove_group(key)
        return {
            key: group.start_writing()
            for key, group in self._groups.items()
            if group.waiting and (include_recent or not group.is_reported or key.minute != minute)
        }

    def confirm_written(self, key: ActionKey) -> None:
        """Drop the actions taken under this key: they were written or given up."""
        self._groups[key].in_progress = None
        self._groups[key].is_reported = True

    def restore_unwritten(self, key: ActionKey) -> None:
        """Keep the actions taken under this key, which are due again since they were not written."""
        group = self._groups[key]
        group.waiting = _merge_counts(group.in_progress, group.waiting)
        group.in_progress = None

    def count_waiting(self) -> int:
        """Return the number of actions that are not written yet."""
        parts = (part for group in self._groups.values() for part in (group.waiting, group.in_progress))
        return sum(part.count for part in parts if part)

    def _build_key(self, entry: AuditEntry) -> ActionKey:
        kind = (entry.tenant_id, entry.action, _get_minute(entry.at))
        key = ActionKey(*kind, entry.actor, entry.target)
        if key in self._groups or self._distinct[kind] < MAX_DISTINCT:
            return key
        return ActionKey(*kind, OTHERS, OTHERS)

    def _remove_group(self, key: ActionKey) -> None:
        del self._groups[key]
        kind = key[:3]
        self._distinct[kind] -= 1
        if not self._distinct[kind]:
            del self._distinct[kind]


def _get_minute(instant: datetime) -> int:
    return int(instant.timestamp()) // _MINUTE


def _remove_details(entry: AuditEntry) -> AuditEntry:
    """Return the entry without the fields in which equal actions differ."""
    return AuditEntry(entry.tenant_id, entry.at, OTHERS, OTHERS, entry.action, OTHERS)


def _merge_counts(earlier: CountedEntry | None, later: CountedEntry | None) -> CountedEntry | None:
    """Combine both. Keep the details of the earlier one."""
    if earlier is None or later is None:
        return earlier or later
    return CountedEntry(earlier.entry, earlier.count + later.count)
