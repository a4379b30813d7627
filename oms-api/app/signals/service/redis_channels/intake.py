"""Accept the signals of messages for the tenant of the settings."""

import logging
from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from app.database import Readers, set_all_tenants_scope
from app.errors import OmsError, Unavailable
from app.identity.queries.tenants import TenantRow, find_tenant, get_tenant
from app.identity.rules.access import FIRST_TENANT, Caller, Scope
from app.metrics import SignalMetrics
from app.signals.rules.values import Channel, SignalRequest
from app.signals.service.signal_service import AcceptedSignals, SignalService

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
        """Return the sender of signals. Raise Unavailable if the tenant of the settings is not active."""

        def read(connection: Connection) -> TenantRow | None:
            set_all_tenants_scope(connection)
            if self._tenant is None:
                return get_tenant(connection, FIRST_TENANT)
            return find_tenant(connection, self._tenant)

        tenant = await self._readers.run(read)
        if tenant is None or tenant.status != "active":
            raise Unavailable(f"There is no active tenant {self._tenant!r}; set SIGNALS_TENANT.")
        return Caller(tenant.id, SENDER, SENDER, frozenset({Scope.READ, Scope.TRADE}))

    async def accept(self, messages: Sequence[bytes]) -> AcceptedSignals:
        """Store the signals of messages in their order, and start to act on them. Raise Unavailable."""
        caller = await self.find_caller()
        refusals: list[OmsError | None] = [None] * len(messages)
        accepted = AcceptedSignals(refusals, [])
        batch: dict[int, SignalRequest] = {}
        for index, message in enumerate(messages):
            try:
                request = self._parse(message)
            except OmsError as refusal:
                refusals[index] = refusal
                continue
            if not request.may_be_relative:
                batch[index] = request
                continue
            # It depends on the position that the signals before it lead to.
            await self._accept_batch(caller, batch, accepted)
            await accepted.finish()
            refusals[index] = await self._accept_relative(caller, request)
        await self._accept_batch(caller, batch, accepted)
        for refused in filter(None, refusals):
            self._metrics.count_refusal(Channel.REDIS)
            _LOG.warning("a signal was refused: %s", refused.detail)
        return accepted

    async def _accept_batch(
        self, caller: Caller, batch: dict[int, SignalRequest], accepted: AcceptedSignals
    ) -> None:
        if not batch:
            return
        found = await self._signals.accept_all(caller, list(batch.values()))
        for index, refusal in zip(batch, found.refusals, strict=True):
            accepted.refusals[index] = refusal
        accepted.acting.extend(found.acting)
        batch.clear()

    async def _accept_relative(self, caller: Caller, request: SignalRequest) -> OmsError | None:
        try:
            await self._signals.accept(caller, request)
        except Unavailable:
            raise
        except OmsError as refusal:
            return refusal
        return None
