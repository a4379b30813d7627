"""The entry point for signals: store a signal, place its order, and store what became of it.

Each signal becomes at most one order: the idempotency key of the order is derived from the signal's id, so
that a repeat finds the order. `SignalResumption` resumes signals that are stored but not acted on, because
their process ended.
"""

import asyncio
import logging
from datetime import timedelta
from typing import Any
from weakref import WeakValueDictionary

import orjson
from sqlalchemy import Connection

from app.clock import Now
from app.database import Readers, set_all_tenants_scope
from app.errors import OmsError, Unavailable
from app.identity.rules.access import Caller, Scope
from app.ids import TradeIds
from app.ledger.service.trade_service import RequestSource
from app.metrics import SignalMetrics
from app.orders.queries.reading import find_order
from app.orders.rules.values import Order, OrderType, Ticket
from app.orders.service.commands import Done
from app.orders.service.order_service import OrderService
from app.signals.errors import SignalIdReused
from app.signals.queries import signals as queries
from app.signals.queries.signals import ListedSignal, SignalKey
from app.signals.rules import completion
from app.signals.rules.values import (
    Channel,
    Outcome,
    Signal,
    SignalMode,
    SignalRequest,
    SignalStatus,
    SizeKind,
)
from app.signals.service.planning import NO_PRODUCT, SignalPlanner
from app.signals.service.signal_store import SignalStore, Stored

RESUME_AFTER = timedelta(seconds=5)
RESUME_PERIOD_SECONDS = 2.0
MAX_RESUMED = 500
_LOG = logging.getLogger(__name__)


class SignalService:
    """Accepts signals. One instance serves a process."""

    def __init__(
        self,
        orders: OrderService,
        readers: Readers,
        store: SignalStore,
        planner: SignalPlanner,
        now: Now,
        metrics: SignalMetrics,
    ) -> None:
        self._orders, self._readers, self._store = orders, readers, store
        self._planner, self._now, self._metrics = planner, now, metrics
        self._ids = TradeIds("S")
        self._acting: dict[SignalKey, asyncio.Task[Signal]] = {}
        self._locks: WeakValueDictionary[SignalKey, asyncio.Lock] = WeakValueDictionary()

    async def accept(self, caller: Caller, request: SignalRequest, *, waits: bool = True) -> Signal:
        """Store a signal, act on it, and return it with its outcome. A repeat returns the same signal.

        Without `waits`, return it once it is stored. Raise Invalid, and SignalIdReused if the id belongs to
        another signal. While the database or the writer is not available, a stored signal is returned
        without an outcome; it is resumed later.
        """
        if request.size is not None and request.size.kind is not SizeKind.TARGET_POSITION:
            return await self._accept(caller, request, waits=waits)
        # Two signals that both read the position before the order of the other would exceed the target.
        lock = self._locks.setdefault((caller.tenant_id, request.symbol), asyncio.Lock())
        async with lock:
            return await self._accept(caller, request, waits=True)

    async def resume(self, listed: ListedSignal) -> Signal:
        """Act on a signal that was stored but perhaps not acted on."""
        return await self._act(listed.signal, listed.portfolio_name, is_repeat=True)

    async def _accept(self, caller: Caller, request: SignalRequest, *, waits: bool) -> Signal:
        now, tenant_id = self._now(), caller.tenant_id
        if not request.id:
            request = request._replace(id=self._ids.next(tenant_id, now))

        def read(connection: Connection) -> ListedSignal:
            known = queries.find_signal(connection, tenant_id, request.id, None)
            if known is not None:
                return known
            return self._planner.plan(connection, caller, request, now)

        planned = await self._readers.run(read, tenant_id)
        stored, is_new = planned.signal, False
        if not planned.signal.number:
            stored, is_new = await self._insert(planned.signal)
        if stored.request_hash != request.request_hash and request.channel is Channel.REST:
            raise SignalIdReused(request.id)
        if stored.is_complete:
            return stored
        acting = self._act(stored, planned.portfolio_name, is_repeat=not is_new)
        if waits:
            return await acting
        asyncio.ensure_future(acting).add_done_callback(_log_failure)
        return stored

    async def _insert(self, signal: Signal) -> Stored:
        stored = await self._store.insert(signal)
        if stored.is_new and stored.signal.is_complete:
            self._metrics.count(signal.channel, signal.status, 0)
        return stored

    async def _complete(self, signal: Signal, outcome: Outcome) -> Signal:
        now = self._now()
        latency = completion.compute_latency_ms(signal.received_at, now)
        facts: dict[str, Any] = {"status": outcome.status, "outcome_reason": outcome.reason}
        facts |= {"order_ids": " ".join(outcome.order_ids), "completed_at": now, "latency_ms": latency}
        completed = await self._store.complete(signal._replace(**facts))
        self._metrics.count(completed.channel, completed.status, latency)
        return completed

    async def _act(self, signal: Signal, portfolio_name: str, *, is_repeat: bool) -> Signal:
        """Act on a signal in a task of its own, which goes on if the request is cancelled."""
        key = (signal.tenant_id, signal.id)
        task = self._acting.get(key)
        if task is None:
            task = asyncio.create_task(self._execute(signal, portfolio_name, is_repeat=is_repeat))
            self._acting[key] = task
            task.add_done_callback(lambda _: self._acting.pop(key, None))
        return await asyncio.shield(task)

    async def _execute(self, signal: Signal, portfolio_name: str, *, is_repeat: bool) -> Signal:
        try:
            outcome = await self._find_earlier_outcome(signal) if is_repeat else None
            outcome = outcome or await self._place(signal, portfolio_name)
            return await self._complete(signal, outcome)
        except Unavailable as error:
            _LOG.warning("the signal %s is resumed later: %s", signal.id, error.detail)
            return signal

    async def _find_earlier_outcome(self, signal: Signal) -> Outcome | None:
        """Return the outcome by the order that the signal has already, or if it is too late by now."""

        def read(connection: Connection) -> Order | None:
            keys = [f"{operation}:{_build_key(signal)}" for operation in ("place", "close")]
            order_id = queries.find_order_id(connection, signal.tenant_id, keys)
            found = None if order_id is None else find_order(connection, signal.tenant_id, order_id, None)
            return None if found is None else found.order

        order = await self._readers.run(read, signal.tenant_id)
        if order is not None:
            return _find_outcome([order])
        if completion.is_expired(signal.expires_at, self._now()):
            return Outcome(SignalStatus.EXPIRED, completion.EXPIRED_REASON)
        return None

    async def _place(self, signal: Signal, portfolio_name: str) -> Outcome:
        source = RequestSource(_build_caller(signal), f"signal {signal.id}"[:100], _build_key(signal))
        try:
            if signal.size_kind is SizeKind.CLOSE:
                done = await self._orders.close(
                    source, portfolio_name, signal.symbol, NO_PRODUCT, None, signal.reason
                )
            else:
                done = await self._place_ticket(source, portfolio_name, signal)
        except Unavailable:
            raise
        except OmsError as refusal:
            return Outcome(SignalStatus.REJECTED, refusal.detail)
        return _find_outcome([view.order for view in done.orders])

    async def _place_ticket(self, source: RequestSource, portfolio_name: str, signal: Signal) -> Done:
        command = self._orders.build_place_command(source, portfolio_name, _build_ticket(signal))
        needs_approval = signal.mode is SignalMode.APPROVE
        outcome = await self._orders.submit(command._replace(requires_approval=needs_approval))
        assert isinstance(outcome, Done)  # noqa: S101  # for the type checker
        return outcome


class SignalResumption:
    """Resumes signals that were stored but not acted on, in each process that has a writer."""

    def __init__(self, service: SignalService, readers: Readers, now: Now) -> None:
        self._service, self._readers, self._now = service, readers, now

    async def run(self) -> None:
        """Resume repeatedly, until cancelled."""
        while True:
            try:
                await self.resume_pending()
            except OmsError as refusal:
                _LOG.warning("signals were not resumed: %s", refusal.detail)
            except Exception:  # noqa: BLE001  # the task must survive any error and try again
                _LOG.exception("signals were not resumed")
            await asyncio.sleep(RESUME_PERIOD_SECONDS)

    async def resume_pending(self) -> int:
        """Resume the signals of all tenants that wait for longer than RESUME_AFTER; return how many."""
        before = self._now() - RESUME_AFTER

        def read(connection: Connection) -> list[ListedSignal]:
            return queries.list_pending_signals(set_all_tenants_scope(connection), before, MAX_RESUMED)

        pending = await self._readers.run(read)
        for listed in pending:
            await self._service.resume(listed)
        return len(pending)


def _build_key(signal: Signal) -> str:
    return f"signal:{signal.id}"


def _build_caller(signal: Signal) -> Caller:
    """Return the sender. Whether it may trade in the portfolio was checked when the signal was stored."""
    scopes = frozenset({Scope.READ, Scope.TRADE})
    return Caller(signal.tenant_id, "signal", signal.source, scopes, person=signal.person)


def _build_ticket(signal: Signal) -> Ticket:
    return Ticket(
        symbol=signal.symbol,
        side=signal.order_side or "",
        type=OrderType.MARKET if signal.price is None else OrderType.LIMIT,
        quantity=signal.quantity,
        notional=signal.notional,
        limit_price=signal.price,
        reason=signal.reason,
        strategy=signal.strategy,
        confirm_repeat=True,
    )


def _find_outcome(orders: list[Order]) -> Outcome:
    denial = orders[0].denial
    return completion.find_outcome(orders, None if denial is None else orjson.loads(denial)["message"])


def _log_failure(task: "asyncio.Future[Signal]") -> None:
    if not task.cancelled() and task.exception() is not None:
        _LOG.error("a signal was not acted on", exc_info=task.exception())
