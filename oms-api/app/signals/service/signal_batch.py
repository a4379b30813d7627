"""Process the signals of a batch of the order writer: one transaction stores an order and its signal."""

from collections.abc import Sequence

import orjson
from sqlalchemy import Connection

from app.clock import Now
from app.database import set_tenant_scope
from app.database.bulk import BulkWrite
from app.errors import Invalid, OmsError, Unavailable
from app.group_commit import CommitCheck
from app.ledger.errors import NoSuchPortfolio
from app.ledger.rules.keys import PortfolioKey
from app.ledger.service.commands import CommandOrigin
from app.metrics import SignalMetrics
from app.orders.rules.values import Order
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.changes.position_closes import close_position
from app.orders.service.command_results import OrderResult, SignalProcessed
from app.orders.service.commands import ClosePosition, PlaceOrder, PlaceSignal
from app.orders.service.execution.placement import place_order
from app.orders.service.request_values import validate_ticket
from app.signals.errors import SignalIdReused
from app.signals.queries import signals as queries
from app.signals.queries.signals import SignalKey
from app.signals.rules import completion
from app.signals.rules.planning import NO_PRODUCT, PreparedSignal, SignalPlan, require_allowed_symbol
from app.signals.rules.values import (
    Signal,
    SignalChannel,
    SignalMode,
    SignalOutcome,
    SignalRequest,
    SignalStatus,
    SizeKind,
)
from app.signals.service.order_sizing import size_order
from app.signals.service.planning import SignalPlanner, build_unknown_portfolio_error
from app.timestamps import format_timestamp


class SignalHandler:
    """Implements `SignalHandlerProtocol`. One instance serves a process."""

    def __init__(self, planner: SignalPlanner, metrics: SignalMetrics, now: Now) -> None:
        self._planner, self._metrics, self._now = planner, metrics, now

    def begin(self, connection: Connection, commands: Sequence[PlaceSignal]) -> "SignalBatch":
        """Return the signals of a batch, after reading the rules by which they trade."""
        return SignalBatch(self._planner.plan_commands(connection, commands), self._metrics, self._now)


class SignalBatch:
    """Implements `SignalBatchProtocol`: the signals of one batch."""

    def __init__(self, commands: list[PlaceSignal], metrics: SignalMetrics, now: Now) -> None:
        self._commands, self._metrics, self._now = commands, metrics, now
        self._stored_signals: dict[SignalKey, Signal] = {}
        self._inserted_signals: list[Signal] = []
        self._updated_signals: list[Signal] = []

    @property
    def commands(self) -> Sequence[PlaceSignal]:
        """The commands with their portfolios and the idempotency keys of their orders."""
        return self._commands

    def load(self, connection: Connection) -> None:
        """Read which of the signals are stored. The keys of their orders are locked."""
        self._stored_signals = queries.load_signals(connection, set(map(_get_key, self._commands)))

    def process(self, context: BatchContext, command: PlaceSignal) -> SignalProcessed:
        """Place the order of a signal. A repeat returns the stored signal.

        Raises SignalIdReused if the id belongs to another signal, and Invalid if it cannot become an order.
        """
        key, signal = _get_key(command), command.signal
        stored_signal = self._stored_signals.get(key)
        if stored_signal is not None:
            _require_same(stored_signal, signal)
            if stored_signal.is_complete:
                return SignalProcessed(stored_signal, replayed=True)
        elif isinstance(signal.plan, Invalid):
            raise signal.plan
        completed_signal = self._act_on_signal(context, command, stored_signal)
        self._stored_signals[key] = completed_signal
        (self._inserted_signals if stored_signal is None else self._updated_signals).append(completed_signal)
        payload = completion.build_signal_payload(completed_signal)
        at = completed_signal.completed_at or self._now()
        context.order_store.add_event(
            key.tenant_id, f"signal.{completed_signal.status}", payload, format_timestamp(at)
        )
        return SignalProcessed(completed_signal)

    def build_writes(self) -> Sequence[BulkWrite]:
        """Return the statements that store the processed signals."""
        writes = []
        if self._inserted_signals:
            writes.append(queries.build_signal_insert(self._inserted_signals))
        if self._updated_signals:
            writes.append(queries.build_outcome_update(self._updated_signals))
        return writes

    def build_commit_check(self) -> CommitCheck | None:
        """Return a function that checks whether the batch was committed, None if it stores no signal."""
        if not (changed_signals := [*self._inserted_signals, *self._updated_signals]):
            return None
        last = changed_signals[-1]

        def is_stored(connection: Connection) -> bool:
            set_tenant_scope(connection, [last.tenant_id])
            key = SignalKey(last.tenant_id, last.id)
            signal = queries.load_signals(connection, [key]).get(key)
            return signal is not None and signal.is_complete

        return is_stored

    def count_committed(self) -> None:
        """Count the stored signals in the metrics, after the commit."""
        now = self._now()
        for signal in (*self._inserted_signals, *self._updated_signals):
            latency = completion.compute_latency_ms(signal.received_at, now)
            self._metrics.count(signal.channel, signal.status, latency)

    def _act_on_signal(
        self, context: BatchContext, command: PlaceSignal, stored_signal: Signal | None
    ) -> Signal:
        portfolio_key = _get_portfolio_key(context, command)
        signal = stored_signal or _prepare_signal(command, portfolio_key)
        outcome = None if stored_signal is None else _find_earlier_outcome(context, command)
        outcome = outcome or completion.choose_outcome_without_order(signal, command.origin.at)
        if outcome is None:
            signal, outcome = _size_and_place(
                context, command, signal, portfolio_key, is_stored=stored_signal is not None
            )
        return completion.complete_signal(signal, outcome, self._now())


def _get_key(command: PlaceSignal) -> SignalKey:
    return SignalKey(command.origin.tenant_id, command.signal.request.id)


def _require_same(stored_signal: Signal, signal: PreparedSignal) -> None:
    """Raise SignalIdReused if another signal with that id is stored.

    Messages of a hook are compared by their ids only.
    """
    request = signal.request
    if stored_signal.request_hash != request.request_hash and request.channel is not SignalChannel.HOOK:
        raise SignalIdReused(request.id)


def _get_portfolio_key(context: BatchContext, command: PlaceSignal) -> PortfolioKey:
    try:
        return context.get_portfolio_key(command)
    except NoSuchPortfolio:
        raise build_unknown_portfolio_error() from None


def _prepare_signal(command: PlaceSignal, portfolio_key: PortfolioKey) -> Signal:
    origin, prepared = command.origin, command.signal
    plan: SignalPlan = prepared.plan
    require_allowed_symbol(plan, command.symbol)
    return build_signal(prepared.request, plan, origin, portfolio_key.portfolio_id, command.symbol)


def build_signal(
    request: SignalRequest, plan: SignalPlan, origin: CommandOrigin, portfolio_id: int, symbol: str
) -> Signal:
    """Return a received signal that has no outcome yet."""
    return Signal(
        number=0,
        tenant_id=origin.tenant_id,
        id=request.id,
        channel=request.channel,
        source=origin.source,
        person=origin.actor,
        strategy=plan.strategy,
        portfolio_id=portfolio_id,
        symbol=symbol,
        side=request.side,
        size_kind=plan.size.kind,
        size_value=plan.size.value,
        price=request.price,
        reason=request.reason,
        mode=plan.mode,
        expires_at=request.expires_at,
        request_hash=request.request_hash,
        received_at=origin.at,
    )


def _find_earlier_outcome(context: BatchContext, command: PlaceSignal) -> SignalOutcome | None:
    """Return the outcome of a signal whose order is placed already, None if it has no order.

    The previous release placed the order of a signal before it stored the outcome.
    """
    key = (command.origin.tenant_id, command.origin.idempotency_key or "")
    orders = context.loaded.orders_by_request_key.get(key, [])
    return _build_outcome(orders[:1]) if orders else None


def _size_and_place(
    context: BatchContext,
    command: PlaceSignal,
    signal: Signal,
    portfolio_key: PortfolioKey,
    *,
    is_stored: bool,
) -> tuple[Signal, SignalOutcome]:
    """Place the order of a signal. Return the signal with the size of its order, and its outcome.

    A refused order is an outcome too. Raises Invalid if a signal that is not stored has no size now.
    """
    change_count = context.change_count
    try:
        sized = size_order(context, signal, portfolio_key)
    except Invalid as error:
        if not is_stored:
            raise
        return signal, SignalOutcome(SignalStatus.REJECTED, error.errors[0].message)
    if sized is None:
        return signal, SignalOutcome(SignalStatus.RECORDED, completion.AT_TARGET_REASON)
    signal = signal._replace(order_side=sized.side, quantity=sized.quantity, notional=sized.notional)
    try:
        result = _place_order(context, command, signal)
    except Unavailable:
        raise
    except OmsError as error:
        if context.change_count != change_count:
            raise
        return signal, SignalOutcome(SignalStatus.REJECTED, error.detail)
    return signal, _build_outcome([view.order for view in result.orders])


def _place_order(context: BatchContext, command: PlaceSignal, signal: Signal) -> OrderResult:
    if signal.size_kind is SizeKind.CLOSE:
        return close_position(
            context,
            ClosePosition(
                origin=command.origin,
                portfolio_name=command.portfolio_name,
                portfolio_name_key=command.portfolio_name_key,
                symbol=signal.symbol,
                product=NO_PRODUCT,
                quantity=None,
                reason=signal.reason,
            ),
        )
    ticket = completion.build_ticket(signal)
    validate_ticket(ticket)
    needs_approval = signal.mode is SignalMode.APPROVE
    place_command = PlaceOrder(
        command.origin,
        ticket,
        command.portfolio_name,
        command.portfolio_name_key,
        requires_approval=needs_approval,
    )
    return place_order(context, place_command)


def _build_outcome(orders: Sequence[Order]) -> SignalOutcome:
    denial = orders[0].denial
    return completion.build_outcome(orders, None if denial is None else orjson.loads(denial)["message"])
