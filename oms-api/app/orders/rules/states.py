"""The state machine of an order: the table of transitions and the functions that apply it.

It follows the order table of nautilus_trader and FIX 5.0 SP2, appendix D.
"""

from decimal import Decimal

from app.orders.errors import InvalidTransition
from app.orders.rules.values import FINAL_STATUSES, Status

# The statuses after a refused request. SUBMITTED: the broker has not accepted the order yet.
_STATUSES_AFTER_REFUSAL = {Status.SUBMITTED, Status.ACCEPTED, Status.TRIGGERED, Status.PARTIALLY_FILLED}

TRANSITIONS: dict[Status, frozenset[Status]] = {
    start: frozenset(ends)
    for start, ends in {
        Status.INITIALIZED: {
            Status.AWAITING_APPROVAL, Status.HELD, Status.SUBMITTED, Status.DENIED, Status.CANCELED,
            Status.EXPIRED,
        },
        Status.AWAITING_APPROVAL: {
            Status.SUBMITTED, Status.HELD, Status.DENIED, Status.REPLACED, Status.EXPIRED, Status.CANCELED,
        },
        Status.HELD: {
            Status.SUBMITTED, Status.AWAITING_APPROVAL, Status.REPLACED, Status.CANCELED, Status.EXPIRED,
            Status.DENIED,
        },
        Status.SUBMITTED: {
            Status.ACCEPTED, Status.TRIGGERED, Status.REJECTED, Status.PARTIALLY_FILLED, Status.FILLED,
            Status.CANCELED, Status.EXPIRED, Status.PENDING_CANCEL, Status.PENDING_REPLACE,
        },
        Status.ACCEPTED: {
            Status.TRIGGERED, Status.PARTIALLY_FILLED, Status.FILLED, Status.CANCELED, Status.EXPIRED,
            Status.REJECTED, Status.PENDING_CANCEL, Status.PENDING_REPLACE,
        },
        Status.TRIGGERED: {
            Status.PARTIALLY_FILLED, Status.FILLED, Status.CANCELED, Status.EXPIRED, Status.REJECTED,
            Status.PENDING_CANCEL, Status.PENDING_REPLACE,
        },
        Status.PARTIALLY_FILLED: {
            Status.PARTIALLY_FILLED, Status.FILLED, Status.CANCELED, Status.EXPIRED, Status.PENDING_CANCEL,
            Status.PENDING_REPLACE,
        },
        # While a request is pending, a partial fill keeps the status; a completing fill ends the order.
        Status.PENDING_CANCEL: {
            Status.CANCELED, Status.EXPIRED, Status.REJECTED, Status.FILLED, *_STATUSES_AFTER_REFUSAL,
        },
        Status.PENDING_REPLACE: {
            Status.REPLACED, Status.PENDING_CANCEL, Status.CANCELED, Status.EXPIRED, Status.REJECTED,
            Status.FILLED, *_STATUSES_AFTER_REFUSAL,
        },
        Status.CANCELED: {Status.FILLED},  # a fill can cross the cancel request
        Status.EXPIRED: {Status.FILLED},  # the report of a fill can arrive after the expiry
        Status.REPLACED: set(),  # a late fill counts for the successor
        Status.FILLED: set(),
        Status.DENIED: set(),
        Status.REJECTED: set(),
    }.items()
}  # fmt: skip


def require_transition(order_id: str, start: Status, end: Status) -> Status:
    """Return `end`. Raises InvalidTransition if the table does not allow the transition."""
    if end not in TRANSITIONS[start]:
        raise InvalidTransition(order_id, start, end)
    return end


def get_status_after_fill(status: Status, quantity: Decimal, filled_quantity: Decimal) -> Status:
    """Return the status of an order after a fill. `status` is the status before the fill.

    A completing fill ends the order. An order with a pending request, or that awaits approval, stays pending.
    A late fill changes a final order only if it completes it.
    """
    if status in {
        Status.REPLACED,
        Status.REJECTED,
        Status.FILLED,
        Status.DENIED,
        Status.AWAITING_APPROVAL,  # a late fill of the order that it replaced
    }:
        return status
    if filled_quantity >= quantity:
        return Status.FILLED
    if status in FINAL_STATUSES or status in {Status.PENDING_CANCEL, Status.PENDING_REPLACE}:
        return status
    return Status.PARTIALLY_FILLED


def get_resting_status(filled_quantity: Decimal, *, is_triggered: bool, is_accepted: bool = True) -> Status:
    """Return the status of a working order without a pending request.

    It applies after a refused request, and to a successor that continues a partly filled order.
    """
    if filled_quantity:
        return Status.PARTIALLY_FILLED
    if is_triggered:
        return Status.TRIGGERED
    return Status.ACCEPTED if is_accepted else Status.SUBMITTED


def format_diagram() -> str:
    """Return the table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", "    [*] --> INITIALIZED"]
    for start, ends in TRANSITIONS.items():
        lines += [f"    {start} --> {end}" for end in Status if end in ends]
        if start in FINAL_STATUSES:
            lines.append(f"    {start} --> [*]")
    return "\n".join(lines) + "\n"
