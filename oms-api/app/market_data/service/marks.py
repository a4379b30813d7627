"""Set and remove marks by hand, and verify them."""

from collections.abc import Iterator
from datetime import datetime
from threading import Lock
from typing import Any, NamedTuple

from sqlalchemy import Connection

from app.audit.queries.entries import list_actions
from app.audit.rules.actions import ActionDifference, find_differences
from app.database import execute_writes
from app.identity.queries.tenants import lock_tenant
from app.instruments.queries import load_symbol
from app.instruments.rules import InstrumentKey
from app.market_data.errors import NoOverride, PairNotMarkable
from app.market_data.queries import marks
from app.market_data.rules.base_prices import is_currency_pair
from app.market_data.rules.values import MarkOverride
from app.money import format_money
from app.timestamps import format_timestamp

SET, REMOVED = "mark.set", "mark.removed"  # actions of the audit log


class CurrentOverrides:
    """The overrides of all tenants as this process last read them, for the writer. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._overrides: dict[InstrumentKey, MarkOverride] = {}
        self.version = 0  # increases with each change of the overrides

    def refresh(self, connection: Connection, at: datetime) -> None:
        """Read the overrides that are in force. `connection` sees every tenant."""
        overrides = {
            InstrumentKey(tenant_id, mark_override.symbol): mark_override
            for tenant_id, mark_override in marks.list_all_overrides(connection)
            if mark_override.set_at <= at < mark_override.expires_at
        }
        with self._lock:
            if overrides != self._overrides:
                self._overrides, self.version = overrides, self.version + 1

    def get(self, key: InstrumentKey, at: datetime) -> MarkOverride | None:
        """Return the override of a symbol that is in force."""
        override = self._overrides.get(key)
        return override if override is not None and override.set_at <= at < override.expires_at else None


class MarkChange(NamedTuple):
    """The mark that was in force, None if there was none, and the new one."""

    previous: MarkOverride | None
    updated: MarkOverride


def set_mark(connection: Connection, tenant_id: int, override: MarkOverride) -> MarkChange:
    """Set the mark of a symbol or alias.

    Raises PairNotMarkable for a currency pair.
    """
    lock_tenant(connection, tenant_id)  # a concurrent change of the same symbol waits here
    key = InstrumentKey(tenant_id, load_symbol(connection, tenant_id, override.symbol))
    if is_currency_pair(key.symbol):
        raise PairNotMarkable(key.symbol)
    previous = marks.load_overrides(connection, [key], override.set_at).get(key)
    updated = override._replace(symbol=key.symbol)
    execute_writes(connection, marks.build_override_upsert(tenant_id, updated))
    return MarkChange(previous, updated)


def remove_mark(connection: Connection, tenant_id: int, symbol: str, at: datetime) -> MarkOverride:
    """Remove the mark of a symbol or alias and return it. Raises NoOverride."""
    lock_tenant(connection, tenant_id)
    key = InstrumentKey(tenant_id, load_symbol(connection, tenant_id, symbol))
    previous = marks.load_overrides(connection, [key], at).get(key)
    if previous is None:
        raise NoOverride(key.symbol)
    marks.delete_override(connection, key)
    return previous


def serialize_mark(override: MarkOverride) -> dict[str, Any]:
    """Return the mark as the API and the audit log show it."""
    fields = override._asdict()
    instants = {name: format_timestamp(fields[name]) for name in ("set_at", "expires_at")}
    return fields | {"price": format_money(override.price)} | instants


def verify_marks(connection: Connection) -> Iterator[ActionDifference]:
    """Yield each mark that differs from the last one in the audit log."""
    stored = {
        InstrumentKey(tenant_id, mark_override.symbol): mark_override
        for tenant_id, mark_override in marks.list_all_overrides(connection)
    }
    expected = {
        InstrumentKey(entry.tenant_id, entry.target): entry.after for entry in list_actions(connection, SET)
    }
    newest = {
        InstrumentKey(entry.tenant_id, entry.target): entry.sequence
        for entry in list_actions(connection, SET)
    }
    for entry in list_actions(connection, REMOVED):
        key = InstrumentKey(entry.tenant_id, entry.target)
        if entry.sequence > newest.get(key, 0):
            expected.pop(key, None)
    for key in sorted(stored.keys() | expected.keys()):
        location = f"mark of {key.symbol} of tenant {key.tenant_id}"
        if key not in stored or key not in expected:
            yield ActionDifference(
                location, "row", *(("a row", "none") if key in stored else ("none", "a row"))
            )
        else:
            yield from find_differences(location, serialize_mark(stored[key]), expected[key])
