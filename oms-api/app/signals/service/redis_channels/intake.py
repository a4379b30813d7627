"""Accept the signals of messages for the tenant of the settings."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from app.database import Readers, set_all_tenants_scope
from app.errors import OmsError, Unavailable
from app.identity.queries.tenants import TenantRow, find_tenant, get_tenant
from app.identity.rules.access import FIRST_TENANT, Caller, Scope
from app.metrics import SignalMetrics
from app.orders.service.commands import PlaceSignal
from app.signals.rules.values import SignalChannel, SignalRequest
from app.signals.service.signal_service import SignalService

SENDER = "redis"
_LOG = logging.getLogger(__name__)


class SignalIntake:
    """Turns messages into signals. A program that may write to Redis may trade."""

    def __init__(
        self, signals: SignalService, readers: Readers, parse: Callable[[bytes], SignalRequest],
        tenant: str | None, metrics: SignalMetrics,
    ) -> None:  # fmt: skip
        self._signals, self._readers, self._parse = signals, readers, parse
        self._tenant, self._metrics = tenant, metrics

    async def find_caller(self) -> Caller:
        """Return the sender of signals. Raises Unavailable if the tenant of the settings is not active."""

        def read(connection: Connection) -> TenantRow | None:
            set_all_tenants_scope(connection)
            if self._tenant is None:
                return get_tenant(connection, FIRST_TENANT)
            return find_tenant(connection, self._tenant)

        tenant = await self._readers.run(read)
        if tenant is None or tenant.status != "active":
            raise Unavailable(f"There is no active tenant {self._tenant!r}; set SIGNALS_TENANT.")
        return Caller(tenant.id, SENDER, SENDER, frozenset({Scope.READ, Scope.TRADE}))

    async def accept(self, messages: Sequence[bytes]) -> list[OmsError | None]:
        """Store the signals of messages in their order, with their orders.

        Return the error of each that is not stored, None for the others. Raises Unavailable if none is.
        """
        caller = await self.find_caller()
        refusals: list[OmsError | None] = [None] * len(messages)
        commands: dict[int, PlaceSignal] = {}
        for index, message in enumerate(messages):
            try:
                commands[index] = self._signals.build_command(caller, self._parse(message))
            except OmsError as error:
                refusals[index] = error
        outcomes = await asyncio.gather(
            *self._signals.submit_all(list(commands.values())), return_exceptions=True
        )
        for index, outcome in zip(commands, outcomes, strict=True):
            if isinstance(outcome, OmsError):
                refusals[index] = outcome
            elif isinstance(outcome, BaseException):
                raise outcome
        self._report_refusals(refusals)
        return refusals

    def _report_refusals(self, refusals: Sequence[OmsError | None]) -> None:
        for refusal in refusals:
            if refusal is not None and not isinstance(refusal, Unavailable):
                self._metrics.count_refusal(SignalChannel.REDIS)
                _LOG.warning("a signal was refused: %s", refusal.detail)
