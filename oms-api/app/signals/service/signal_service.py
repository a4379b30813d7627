"""The entry point for signals: store a signal, place its order, and store what became of it.

Each signal becomes at most one order: the idempotency key of the order is derived from the signal's id, so
that a repeat finds the order. `resumption.SignalResumption` resumes signals that are stored but not acted on,
because their process ended.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import orjson
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from app.clock import Now
from app.database import Readers, set_tenant_scope
from app.errors import OmsError, Unavailable
from app.identity.rules.access import Caller, Scope
from app.ids import TradeIds
from app.instruments.rules import InstrumentKey
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
from app.signals.service.batching import Batcher
from app.signals.service.planning import NO_PRODUCT, SignalPlanner
from app.signals.service.signal_store import SignalStore, Stored

_LOG = logging.getLogger(__name__)


class _PlanInput(NamedTuple):
    caller: Caller
    request: SignalRequest
    now: datetime

    @property
    def key(self) -> SignalKey:
        return SignalKey(self.caller.tenant_id, self.request.id)


class AcceptedSignals(NamedTuple):
    """Several signals that were sent together: why each was refused (None: stored), and the work on them."""

    refusals: list[OmsError | None]
    acting: "list[asyncio.Future[Signal]]"

    async def finish(self) -> None:
        """Wait until all of them were acted on. Errors are logged; the signals are resumed later."""
        for result in await asyncio.gather(*self.acting, return_exceptions=True):
            if isinstance(result, Exception):
                _LOG.error("a signal was not acted on", exc_info=result)


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
        self._plans: Batcher[_PlanInput, ListedSignal | Exception] = Batcher(self._plan_all)
        self._ids = TradeIds("S")
        self._acting: dict[SignalKey, asyncio.Task[Signal]] = {}
        self._locks: WeakValueDictionary[InstrumentKey, asyncio.Lock] = WeakValueDictionary()

    async def accept(self, caller: Caller, request: SignalRequest, *, waits: bool = True) -> Signal:
        """Store a signal, act on it, and return it with its outcome. A repeat returns the same signal.

        Without `waits`, return it once it is stored. Raise Invalid, and SignalIdReused if the id belongs to
        another signal. While the database or the writer is not available, a stored signal is returned
        without an outcome; it is resumed later.
        """
        if not request.may_be_relative:
            return await self._accept(caller, request, waits=waits)
        # Two signals that both read the position before the order of the other would exceed the target.
        lock = self._locks.setdefault(InstrumentKey(caller.tenant_id, request.symbol), asyncio.Lock())
        async with lock:
            return await self._accept(caller, request, waits=True)

    async def accept_all(self, caller: Caller, requests: Sequence[SignalRequest]) -> "AcceptedSignals":
        """Store signals in one transaction, and start to act on them in their order.

        None of them may be relative to a position. Raise Unavailable if none is stored.
        """
        now = self._now()
        plans = [self._plans.submit(_PlanInput(caller, request, now)) for request in requests]
        planned = await asyncio.gather(*plans)
        work = [self._store_planned(*pair) for pair in zip(requests, planned, strict=True)]
        results = await asyncio.gather(*work)
        acting: list[asyncio.Future[Signal]] = []
        for result, listed in zip(results, planned, strict=True):
            if isinstance(result, Stored) and isinstance(listed, ListedSignal) and not result.is_complete:
                act = self._act(result.signal, listed.portfolio_name, is_repeat=not result.is_new)
                acting.append(asyncio.ensure_future(act))
        return AcceptedSignals([_get_refusal(result) for result in results], acting)

    async def resume(self, listed: ListedSignal) -> Signal:
        """Act on a signal that was stored but perhaps not acted on."""
        return await self._act(listed.signal, listed.portfolio_name, is_repeat=True)

    async def _accept(self, caller: Caller, request: SignalRequest, *, waits: bool) -> Signal:
        now, tenant_id = self._now(), caller.tenant_id
        if not request.id:
            request = request._replace(id=self._ids.next(tenant_id, now))
        planned = await self._plans.submit(_PlanInput(caller, request, now))
        if isinstance(planned, Exception):
            raise planned
        stored, is_new = await self._store_signal(request, planned)
        if stored.is_complete:
            return stored
        acting = self._act(stored, planned.portfolio_name, is_repeat=not is_new)
        if waits:
            return await acting
        asyncio.ensure_future(acting).add_done_callback(_log_failure)
        return stored

    async def _plan_all(self, inputs: "Sequence[_PlanInput]") -> "list[ListedSignal | Exception]":
        """Return the signals to store of concurrent requests, or why one fails. Raise Unavailable."""

        def read(connection: Connection) -> list[ListedSignal | Exception]:
            set_tenant_scope(connection, {one.caller.tenant_id for one in inputs})
            known = queries.find_signals(connection, [one.key for one in inputs])
            return [self._find_or_plan(connection, one, is_known=one.key in known) for one in inputs]

        return await self._readers.run(read)

    def _find_or_plan(
        self, connection: Connection, one: "_PlanInput", *, is_known: bool
    ) -> ListedSignal | Exception:
        try:
            found = queries.find_signal(connection, *one.key, None) if is_known else None
            return found or self._planner.plan(connection, one.caller, one.request, one.now)
        except (Unavailable, SQLAlchemyError):
            raise  # it concerns all
        except Exception as error:  # noqa: BLE001  # it is raised again for its request alone
            return error

    async def _store_signal(self, request: SignalRequest, planned: ListedSignal) -> Stored:
        """Store a planned signal unless it is stored. Raise SignalIdReused if its id has another one."""
        stored = Stored(planned.signal, is_new=False)
        if not planned.signal.number:
            stored = await self._insert(planned.signal)
        if stored.signal.request_hash != request.request_hash and request.channel is not Channel.HOOK:
            raise SignalIdReused(request.id)
        return stored

    async def _store_planned(
        self, request: SignalRequest, planned: ListedSignal | Exception
    ) -> Stored | OmsError:
        """Store a planned signal, or return why it is not stored."""
        if isinstance(planned, OmsError):
            return planned
        if isinstance(planned, Exception):
            raise planned
        try:
            return await self._store_signal(request, planned)
        except SignalIdReused as refusal:
            return refusal

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
        key = SignalKey(signal.tenant_id, signal.id)
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


def _get_refusal(result: Stored | OmsError) -> OmsError | None:
    return result if isinstance(result, OmsError) else None


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
