"""Results of the commands of the order writer."""

from typing import Any, NamedTuple

from app.ledger.service.commands import RecordedTrade
from app.orders.rules.order_views import ApprovalView, OrderPreview, OrderView


class OrderResult(NamedTuple):
    """The orders that a command created or changed.

    `replayed` marks the repeated outcome of an earlier request.
    """

    orders: tuple[OrderView, ...]
    replayed: bool = False


NO_ORDERS = OrderResult(())  # the outcome of a command that no caller waits for


class WaitingApprovals(NamedTuple):
    """The orders that wait and on which the caller may decide."""

    approvals: tuple[ApprovalView, ...]


class CorporateActionResult(NamedTuple):
    """Whether a corporate action changed a portfolio."""

    is_changed: bool


class SignalProcessed(NamedTuple):
    """A stored signal with its outcome. `replayed` marks a signal of an earlier request."""

    signal: Any
    replayed: bool = False


class QuoteStored(NamedTuple):
    """A new quote was stored but not matched: its symbol has too many orders for one transaction."""


Outcome = (
    RecordedTrade
    | OrderResult
    | OrderPreview
    | WaitingApprovals
    | CorporateActionResult
    | SignalProcessed
    | QuoteStored
)
