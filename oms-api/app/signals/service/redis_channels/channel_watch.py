"""Publish an event when signals are not received over Redis any more, and when they are again."""

import asyncio
import logging

from sqlalchemy import Connection

from app.clock import Now
from app.database import set_tenant_scope
from app.database.transactions import Transactions
from app.errors import OmsError
from app.events.service.outbox import publish_event
from app.jobs.queries import mark_state
from app.metrics import SignalMetrics
from app.signals.rules.values import SignalChannel
from app.signals.service.redis_channels.channel_state import ChannelProblem, ChannelState
from app.signals.service.redis_channels.intake import SignalIntake
from app.timestamps import format_timestamp

DOWN, UP = "signal_channel.down", "signal_channel.up"
CHECK_SECONDS = 0.5
_STATE = "no signals arrive over Redis"  # in the database, so that each change counts once


class ChannelWatch:
    """Watches the state of one process. The event goes to the tenant of the signals."""

    def __init__(
        self, state: ChannelState, intake: SignalIntake, transactions: Transactions, metrics: SignalMetrics,
        now: Now,
    ) -> None:  # fmt: skip
        self._state, self._intake, self._transactions = state, intake, transactions
        self._metrics, self._now = metrics, now
        self._was_down: bool | None = None

    async def run(self) -> None:
        """Watch until canceled."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                await self.check()
            except OmsError as error:
                logging.getLogger(__name__).warning("the event was not published: %s", error.detail)

    async def check(self) -> None:
        """Publish an event if the state has changed. Raises Unavailable."""
        problem = self._state.problem
        is_down = problem is not None
        self._metrics.set_channel(SignalChannel.REDIS, is_up=not is_down)
        if is_down != self._was_down:
            tenant_id = (await self._intake.find_caller()).tenant_id
            await self._transactions.run(
                lambda connection: self._publish_state(connection, tenant_id, problem)
            )
            self._was_down = is_down

    def _publish_state(self, connection: Connection, tenant_id: int, problem: ChannelProblem | None) -> None:
        now = self._now()
        is_down = problem is not None
        if not mark_state(connection, _STATE, now, is_on=is_down):
            return
        payload = {
            "channel": SignalChannel.REDIS,
            "reason": None if problem is None else problem.reason,
            "since": format_timestamp(now if problem is None else problem.since),
        }
        set_tenant_scope(connection, [tenant_id])
        publish_event(connection, tenant_id, DOWN if is_down else UP, payload, now)
