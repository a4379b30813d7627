"""The entry point for signals: submit each to the order writer, and wait for the commit.

The writer stores a signal and its order in one transaction: see `signal_batch`. A signal that the writer
cannot take now may be stored without its order; `resumption.SignalResumption` acts on it later.
"""

import asyncio
from collections.abc import Sequence

from app.clock import Now
from app.errors import Unavailable
from app.group_commit import GroupCommit
from app.identity.rules.access import Caller
from app.ids import SortableIds
from app.ledger.service.commands import CommandOrigin
from app.orders.service.command_results import Outcome, SignalProcessed
from app.orders.service.commands import PlaceSignal, WriterCommand
from app.signals.queries.signals import ListedSignal
from app.signals.rules.planning import PreparedSignal, rebuild_prepared_signal
from app.signals.rules.values import Signal, SignalRequest
from app.signals.service.signal_store import SignalStore
from app.text import name_key

_REQUEST_ID_LENGTH = 100


class SignalService:
    """Accepts signals. One instance serves a process."""

    def __init__(self, writer: GroupCommit[WriterCommand, Outcome], store: SignalStore, now: Now) -> None:
        self._writer, self._store, self._now = writer, store, now
        self._ids = SortableIds("S")

    def build_command(self, caller: Caller, request: SignalRequest) -> PlaceSignal:
        """Return the command that stores a signal and places its order. A signal without an id gets one."""
        now = self._now()
        if not request.id:
            request = request._replace(id=self._ids.generate(caller.tenant_id, now))
        origin = CommandOrigin(
            tenant_id=caller.tenant_id,
            source=caller.name,
            user_label=None,
            at=now,
            idempotency_key=None,
            request_hash=request.request_hash,
            actor=caller.person,
            request_id=_build_request_id(request.id),
            portfolios=caller.portfolios,
        )
        name = request.portfolio or ""
        return PlaceSignal(origin, PreparedSignal(request), request.symbol, name, name_key(name))

    def submit(self, command: PlaceSignal) -> "asyncio.Future[Outcome]":
        """Queue a signal. The future resolves once it is committed, with its order."""
        return self._writer.submit(command)

    def submit_all(self, commands: Sequence[PlaceSignal]) -> "list[asyncio.Future[Outcome]]":
        """Queue signals in their order, all of them or none."""
        return self._writer.submit_all(commands)

    async def accept(self, caller: Caller, request: SignalRequest) -> Signal:
        """Store a signal with its order, and return it with its outcome. A repeat returns the same signal.

        Raises Invalid, SignalIdReused if the id belongs to another signal, and Unavailable.
        """
        return get_processed_signal(await self.submit(self.build_command(caller, request)))

    async def accept_or_store(self, caller: Caller, request: SignalRequest) -> Signal:
        """Accept a signal whose sender cannot send it again.

        If the writer cannot take it now, store it without an outcome, to act on it later.
        """
        command = self.build_command(caller, request)
        try:
            return get_processed_signal(await self.submit(command))
        except Unavailable:
            return await self._store.store(command)

    async def resume(self, listed_signal: ListedSignal) -> Signal:
        """Act on a signal that is stored but perhaps not acted on."""
        signal = listed_signal.signal
        origin = CommandOrigin(
            tenant_id=signal.tenant_id,
            source=signal.source,
            user_label=None,
            at=self._now(),
            idempotency_key=None,
            request_hash=signal.request_hash,
            actor=signal.person,
            request_id=_build_request_id(signal.id),
        )
        prepared = rebuild_prepared_signal(signal, listed_signal.portfolio_name)
        key = name_key(listed_signal.portfolio_name)
        command = PlaceSignal(origin, prepared, signal.symbol, listed_signal.portfolio_name, key)
        return get_processed_signal(await self.submit(command))


def get_processed_signal(outcome: Outcome) -> Signal:
    """Return the signal of an outcome of `submit`."""
    assert isinstance(outcome, SignalProcessed)  # noqa: S101  # for the type checker
    signal: Signal = outcome.signal
    return signal


def _build_request_id(signal_id: str) -> str:
    return f"signal {signal_id}"[:_REQUEST_ID_LENGTH]
