"""Actions without a transaction (denials, failed logins), written to the audit log in the background."""

import logging
import threading
from collections.abc import Callable
from itertools import groupby

from sqlalchemy import Engine
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.audit.rules.aggregation import MAX_GROUPS, ActionKey, Aggregator, CountedEntry
from app.audit.rules.entries import AuditEntry
from app.audit.service.entries import append_actions
from app.clock import Now
from app.database import unit_of_work

FLUSH_SECONDS = 1.0
CLOSE_SECONDS = 15.0
_LATER = (OperationalError, InterfaceError, PoolTimeout)
_LOG = logging.getLogger(__name__)

EntryBatch = list[tuple[ActionKey, CountedEntry]]


class AuditWriter:
    """Collects actions and writes them once a second in its own thread.

    Actions that cannot be written are kept in bounded memory. Further actions are dropped, and
    `report_dropped` is called with their number.
    """

    def __init__(
        self, engine: Engine, now: Now, report_dropped: Callable[[int], None], max_groups: int = MAX_GROUPS
    ) -> None:
        self._engine = engine
        self._now = now
        self._report_dropped = report_dropped
        self._aggregator = Aggregator(max_groups)
        self._lock = threading.Lock()  # protects memory, and is never held during database calls
        self._flushing = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._flush_repeatedly, name="audit-writer", daemon=True)

    @property
    def is_running(self) -> bool:
        """Whether its thread is alive."""
        return self._thread.is_alive()

    def add(self, entry: AuditEntry) -> None:
        """Add an action, without blocking."""
        with self._lock:
            has_room = self._aggregator.add(entry)
        if not has_room:
            self._report_dropped(1)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Write the remaining actions, if the database is available, and stop the thread."""
        self._closing.set()
        if self.is_running:
            self._thread.join(CLOSE_SECONDS)
        if not self.is_running:
            self.flush(include_recent=True)
        with self._lock:
            lost = self._aggregator.count_waiting()
        if lost:
            _LOG.error("actions were not written to the audit log", extra={"acts": lost})
            self._report_dropped(lost)

    def flush(self, *, include_recent: bool = False) -> None:
        """Write the actions that are due, tenant by tenant."""
        with self._flushing:
            with self._lock:
                due_entries = self._aggregator.take_due(self._now(), include_recent=include_recent)
            batches = [
                (tenant_id, list(batch))
                for tenant_id, batch in groupby(sorted(due_entries.items(), key=_get_tenant), _get_tenant)
            ]
            for index, (tenant_id, batch) in enumerate(batches):
                if not self._write_batch(tenant_id, batch):
                    self._restore_batches(batches[index:])
                    return

    def _flush_repeatedly(self) -> None:
        while not self._closing.wait(FLUSH_SECONDS):
            self.flush()

    def _write_batch(self, tenant_id: int, batch: EntryBatch) -> bool:
        """Write a tenant's actions. Return False if the database is unavailable."""
        try:
            with unit_of_work(self._engine, tenant_id) as connection:
                append_actions(connection, [entry for _, entry in batch])
        except _LATER:
            _LOG.warning("the audit log waits for the database", exc_info=True)
            return False
        except Exception:  # noqa: BLE001  # the thread must go on; a retry would fail again
            _LOG.exception("actions cannot be written to the audit log", extra={"tenant_id": tenant_id})
            self._report_dropped(sum(entry.count for _, entry in batch))
        with self._lock:
            for key, _ in batch:
                self._aggregator.confirm_written(key)
        return True

    def _restore_batches(self, batches: list[tuple[int, EntryBatch]]) -> None:
        with self._lock:
            for _, batch in batches:
                for key, _ in batch:
                    self._aggregator.restore_unwritten(key)


def _get_tenant(noted: tuple[ActionKey, CountedEntry]) -> int:
    return noted[0].tenant_id
