"""The ticket and the outcome of a signal."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from app.orders.rules.values import Order, OrderType, Status, Ticket
from app.signals.rules.values import Signal, SignalMode, SignalOutcome, SignalStatus
from app.timestamps import format_timestamp

_REJECTED_BY_BROKER = "The broker rejected the order."
EXPIRED_REASON = "The signal arrived after its expiry."
AT_TARGET_REASON = "The position is at the target."
RECORDED_REASON = "The mode of the strategy is `record`."
_SIGNAL_STATUS_BY_ORDER_STATUS = {
    Status.FILLED: SignalStatus.FILLED,
    Status.AWAITING_APPROVAL: SignalStatus.AWAITING_APPROVAL,
    Status.DENIED: SignalStatus.REJECTED,
    Status.REJECTED: SignalStatus.REJECTED,
}


def is_expired(expires_at: datetime | None, now: datetime) -> bool:
    """Return whether a signal is expired."""
    return expires_at is not None and expires_at <= now


def choose_outcome_without_order(signal: Signal, now: datetime) -> SignalOutcome | None:
    """Return the outcome of a signal that is expired or only recorded. None if it needs an order."""
    if is_expired(signal.expires_at, now):
        return SignalOutcome(SignalStatus.EXPIRED, EXPIRED_REASON)
    if signal.mode is SignalMode.RECORD:
        return SignalOutcome(SignalStatus.RECORDED, RECORDED_REASON)
    return None


def build_ticket(signal: Signal) -> Ticket:
    """Return the ticket of the order of a signal."""
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


def complete_signal(signal: Signal, outcome: SignalOutcome, now: datetime) -> Signal:
    """Return the signal with its outcome."""
    return signal._replace(
        status=outcome.status,
        outcome_reason=outcome.reason,
        order_ids=" ".join(outcome.order_ids),
        completed_at=now,
        latency_ms=compute_latency_ms(signal.received_at, now),
    )


def build_outcome(orders: Sequence[Order], denial: str | None) -> SignalOutcome:
    """Return the outcome of a signal by its orders. `denial` is the message of the first order's denial."""
    order = orders[0]
    status = _SIGNAL_STATUS_BY_ORDER_STATUS.get(order.status, SignalStatus.ORDERED)
    reason = denial
    if order.status is Status.REJECTED:
        reason = _REJECTED_BY_BROKER
    return SignalOutcome(status, reason, tuple(item.id for item in orders))


def compute_latency_ms(received_at: datetime, now: datetime) -> int:
    """Return the milliseconds since a signal was received, 0 if the clock was set back."""
    return max(int((now - received_at).total_seconds() * 1000), 0)


def build_signal_payload(signal: Signal) -> dict[str, Any]:
    """Return the payload of the event of a completed signal."""
    return {
        "signal_id": signal.id,
        "channel": signal.channel,
        "strategy": signal.strategy,
        "portfolio_id": signal.portfolio_id,
        "symbol": signal.symbol,
        "side": signal.order_side or signal.side,
        "mode": signal.mode,
        "order_ids": signal.order_ids.split(),
        "reason": signal.outcome_reason,
        "latency_ms": signal.latency_ms,
        "received_at": format_timestamp(signal.received_at),
    }
