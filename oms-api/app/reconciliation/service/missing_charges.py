"""Book the charges of executions that were booked after their broker had reported the charges."""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from app.brokers.protocol import HasExecutionCharges
from app.brokers.queries import StoredConnection
from app.brokers.rules.values import Charged
from app.clock import Now
from app.orders.rules.execution_verification import get_bust_id
from app.reconciliation import queries
from app.reconciliation.queries import ComparedPortfolio
from app.reconciliation.rules.charges import select_unbooked_charges

_RETRY_INTERVAL = timedelta(hours=1)  # each attempt that fails is noted in the history of the order
_RETENTION = timedelta(days=2)  # longer than a broker reports an execution


class MissingCharges:
    """Lists the charges to book, and remembers when each was tried: an exchange rate may be missing."""

    def __init__(self, now: Now) -> None:
        self._now = now
        self._tried: dict[tuple[str, str], datetime] = {}  # by connection and execution

    def list_due(
        self,
        connection: Connection,
        stored: StoredConnection,
        portfolio: ComparedPortfolio,
        broker: HasExecutionCharges,
    ) -> list[Charged]:
        """Return the reported charges of booked executions that are not booked, if it is time to try."""
        reported = broker.list_execution_charges()
        ids = {charged.execution_id for charged in reported}
        both = ids | set(map(get_bust_id, ids))
        executions = queries.load_booked_executions(
            connection, stored.tenant_id, portfolio.id, stored.broker, both
        )
        keys = queries.load_charge_keys(connection, stored.tenant_id, portfolio.id, executions)
        missing = select_unbooked_charges(reported, executions, keys, portfolio.base_currency)
        return [charged for charged in missing if self._is_due(stored.id, charged.execution_id)]

    def _is_due(self, connection_id: str, execution_id: str) -> bool:
        """Return whether the charge is to be tried now, and note that it is."""
        now, key = self._now(), (connection_id, execution_id)
        if key in self._tried and now - self._tried[key] < _RETRY_INTERVAL:
            return False
        self._tried = {key: at for key, at in self._tried.items() if now - at < _RETENTION}
        self._tried[key] = now
        return True
