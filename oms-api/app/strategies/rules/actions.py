"""The actions on orders that a strategy requests after an input."""

from typing import NamedTuple

from app.orders.rules.order_views import OrderChanges
from app.orders.rules.values import Ticket


class PlaceAction(NamedTuple):
    """Place an order. Its id, which the ticket has as `client_order_id`, makes a repeat find the order."""

    ticket: Ticket

    @property
    def order_id(self) -> str:
        """The id as the strategy knows it."""
        return self.ticket.client_order_id or ""


class CancelAction(NamedTuple):
    """Cancel an order."""

    order_id: str


class ReplaceAction(NamedTuple):
    """Replace an order by a new order with the id `changes.client_order_id`."""

    order_id: str
    changes: OrderChanges


Action = PlaceAction | CancelAction | ReplaceAction


class Reaction(NamedTuple):
    """The actions of a strategy after an input, in order, and its state after them as JSON."""

    actions: tuple[Action, ...]
    state: str
