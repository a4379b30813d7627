"""A submitted form with valid entries."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.forms.context import FormContext
from app.forms.submission import list_confirmed, parse_draft, read_draft
from app.forms.text import name_key
from app.forms.ticket import Ticket, Trade
from app.services.origin import Origin


@dataclass(frozen=True)
class Order:
    """A ticket and the form in which it was entered, with the idempotency key of the submission."""

    origin: Origin
    ticket: Ticket
    context: FormContext
    view_id: str
    root_view_id: str

    @property
    def key(self) -> str:
        """The idempotency key: workspace, root view and attempt."""
        return f"{self.origin.person.team}:{self.root_view_id}:{self.context.attempt}"

    def is_confirmed(self, question_id: str) -> bool:
        """Whether the person confirmed this question in this form."""
        return question_id in self.context.confirmed

    def matches(self, trade: Trade) -> bool:
        """Whether a recorded trade has the current entries of this form."""
        ticket = self.ticket
        return (
            (ticket.symbol, ticket.quantity, ticket.gmv) == (trade.symbol, trade.quantity, trade.gmv)
            and ticket.side.value == trade.side
            and name_key(ticket.portfolio) == name_key(trade.portfolio)
        )


def read_order(origin: Origin, view: Mapping[str, Any]) -> Order:
    """Return the order of a submitted view. Raises `BadFields`."""
    state = view["state"]["values"]
    ticket = parse_draft(read_draft(state))
    context = FormContext.load(str(view.get("private_metadata", "")))
    return Order(
        origin=origin,
        ticket=ticket,
        context=context.with_confirmed(*list_confirmed(state)),
        view_id=str(view["id"]),
        root_view_id=str(view.get("root_view_id") or view["id"]),
    )
