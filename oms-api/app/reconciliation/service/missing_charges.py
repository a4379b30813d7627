"""Book the charges of executions that were booked after their broker had reported the charges."""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from app.brokers.protocol import HasExecutionCharges
from app.brokers.queries import StoredConnection
from app.brokers.rules.values import Charged
from app.clock import Now
from app.orders.rules.execution_ids import get_bust_id
from app.reconciliation import queries
from app.reconciliation.queries import ComparedPortfolio
from app.reconciliation.rules.charges import select_unbooked_charges

_RETRY_INTERVAL = timedelta(hours=1)  # the order's history records each failed attempt
_RETENTION = timedelta(days=2)  # longer than a broker reports an execution


class MissingCharges:
    """Lists the charges to book. A booking that fails, for example without an exchange rate, is retried."""

    def __init__(self, now: Now) -> None:
        self._now = now
        self._attempted_at: dict[tuple[str, str], datetime] = {}  # by connection id and execution id

    def list_due(
        self,
        connection: Connection,
        stored: StoredConnection,
        portfolio: ComparedPortfolio,
        broker: HasExecutionCharges,
    ) -> list[Charged]:
        """Return the reported charges that are not booked and whose booking is due."""
        reported = broker.list_execution_charges()
        ids = {charged.execution_id for charged in reported}
        ids_and_bust_ids = ids | set(map(get_bust_id, ids))
        executions = queries.load_booked_executions(
            connection, stored.tenant_id, portfolio.id, stored.broker, ids_and_bust_ids
        )
        keys = queries.load_charge_keys(connection, stored.tenant_id, portfolio.id, executions)
        missing = select_unbooked_charges(reported, executions, keys, portfolio.base_currency)
        return [charged for charged in missing if self._begin_if_due(stored.id, charged.execution_id)]

    def _begin_if_due(self, connection_id: str, execution_id: str) -> bool:
        """Return whether the booking of a charge is due, and record this attempt."""
        now, key = self._now(), (connection_id, execution_id)
        if key in self._attempted_at and now - self._attempted_at[key] < _RETRY_INTERVAL:
            return False
        self._attempted_at = {key: at for key, at in self._attempted_at.items() if now - at < _RETENTION}
        self._attempted_at[key] = now
        return True
