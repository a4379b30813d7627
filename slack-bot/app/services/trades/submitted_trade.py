"""A submitted form with valid entries."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from app.forms.context import FormContext
from app.forms.submission import list_confirmed, parse_draft, read_draft
from app.forms.text import name_key
from app.forms.ticket import Ticket, Trade
from app.services.request_origin import RequestOrigin


class SubmittedForm(Protocol):
    """A submitted form: where it came from, and the views to redraw."""

    @property
    def origin(self) -> RequestOrigin:
        """The origin of the submission."""

    @property
    def context(self) -> FormContext:
        """The state of the form."""

    @property
    def view_id(self) -> str:
        """The id of the submitted view."""

    @property
    def root_view_id(self) -> str:
        """The id of the first view of the stack."""


def build_key(form: SubmittedForm) -> str:
    """Return the idempotency key of a submission: workspace, root view and attempt."""
    return f"{form.origin.person.team}:{form.root_view_id}:{form.context.attempt}"


@dataclass(frozen=True)
class TradeSubmission:
    """A ticket and the form in which it was entered, with the idempotency key of the submission."""

    origin: RequestOrigin
    ticket: Ticket
    context: FormContext
    view_id: str
    root_view_id: str

    @property
    def key(self) -> str:
        """The idempotency key."""
        return build_key(self)

    def is_confirmed(self, question_id: str) -> bool:
        """Return whether the person confirmed this question in this form."""
        return question_id in self.context.confirmed

    def matches(self, trade: Trade) -> bool:
        """Return whether a recorded trade has the current entries of this form."""
        ticket = self.ticket
        return (
            (ticket.symbol, ticket.quantity, ticket.gmv) == (trade.symbol, trade.quantity, trade.gmv)
            and ticket.side.value == trade.side
            and name_key(ticket.portfolio) == name_key(trade.portfolio)
        )


def read_submitted_trade(origin: RequestOrigin, view: Mapping[str, Any]) -> TradeSubmission:
    """Return the trade of a submitted view. Raises `InvalidEntries`."""
    state = view["state"]["values"]
    ticket = parse_draft(read_draft(state))
    context = FormContext.load(str(view.get("private_metadata", "")))
    return TradeSubmission(
        origin=origin,
        ticket=ticket,
        context=context.with_confirmed(*list_confirmed(state)),
        view_id=str(view["id"]),
        root_view_id=str(view.get("root_view_id") or view["id"]),
    )
