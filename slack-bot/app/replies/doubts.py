"""What a slip of the finger may have caused is asked about before it trades: the price, the portfolio."""

from dataclasses import dataclass

from app.forms.price import doubt
from app.forms.text import name_key
from app.replies.desk import Desk
from app.replies.order import Order


@dataclass(frozen=True)
class Doubts:
    """A sentence about the price, if there is one; whether nobody ever traded in the portfolio."""

    price: str | None
    portfolio_is_unknown: bool

    def __bool__(self) -> bool:
        """Whether something has to be asked."""
        return self.price is not None or self.portfolio_is_unknown


def doubts_about(desk: Desk, order: Order) -> Doubts:
    """Compare with the books, unless the person has said that it is meant.

    Raises `OmsError`: an OMS that does not answer this gets no trade sent either.
    """
    ticket, person, request_id = order.ticket, order.origin.person, order.origin.request_id
    price = None
    if not order.price_confirmed:
        quoted = desk.oms.quoted_price(person, ticket.symbol, request_id=request_id)
        last = desk.oms.last_price(person, ticket.symbol, request_id=request_id) if quoted is None else None
        price = doubt(ticket.price, last) if quoted is None else doubt(ticket.price, quoted, of="quote")
    return Doubts(price, portfolio_is_unknown=not (order.portfolio_confirmed or _exists(desk, order)))


def _exists(desk: Desk, order: Order) -> bool:
    name, person, request_id = order.ticket.portfolio, order.origin.person, order.origin.request_id
    known = f"{person.actor}:{name_key(name)}"  # what one person sees is no news to another
    if known in desk.known_portfolios:
        return True
    if desk.oms.portfolio_named(person, name, request_id=request_id) is None:
        return False
    desk.known_portfolios.first(known)
    return True
