"""Resume signals that were stored but not acted on, because the writer could not take them."""

import logging
from datetime import timedelta

from sqlalchemy import Connection

from app.clock import Now
from app.database import Readers, set_all_tenants_scope
from app.errors import OmsError, Unavailable, WriteRefused
from app.periodic_tasks import repeat
from app.signals.queries import signals as queries
from app.signals.queries.signals import ListedSignal
from app.signals.service.signal_service import SignalService

RESUME_AFTER = timedelta(seconds=5)
RESUME_PERIOD_SECONDS = 2.0
MAX_RESUMED = 500
_LOG = logging.getLogger(__name__)


class SignalResumption:
    """Resumes signals that were stored but not acted on, in each process that has a writer."""

    def __init__(self, service: SignalService, readers: Readers, now: Now) -> None:
        self._service, self._readers, self._now = service, readers, now

    async def run(self) -> None:
        """Resume repeatedly, until canceled."""
        await repeat(self.resume_pending, RESUME_PERIOD_SECONDS, "signals were not resumed", _LOG)

    async def resume_pending(self) -> int:
        """Resume the signals of all tenants that wait for longer than RESUME_AFTER; return how many.

        Raises Unavailable if the writer takes no signals now.
        """
        before = self._now() - RESUME_AFTER

        def read(connection: Connection) -> list[ListedSignal]:
            return queries.list_pending_signals(set_all_tenants_scope(connection), before, MAX_RESUMED)

        pending_signals = await self._readers.run(read)
        for listed_signal in pending_signals:
            try:
                await self._service.resume(listed_signal)
            except OmsError as error:
                if isinstance(error, Unavailable) and not isinstance(error, WriteRefused):
                    raise
                # The error concerns this signal alone: the others must be resumed.
                _LOG.error("the signal %s was not resumed: %s", listed_signal.signal.id, error.detail)
        return len(pending_signals)
