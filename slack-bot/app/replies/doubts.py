"""What a slip of the finger may have caused is asked about before it trades: the price, the portfolio."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from app.errors import NotAllowed
from app.forms.price import doubt
from app.forms.text import name_key
from app.replies.desk import Desk
from app.replies.order import Order

log = logging.getLogger(__name__)

T = TypeVar("T")


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
    ticket, request_id = order.ticket, order.origin.request_id
    price = None
    if not order.price_confirmed:
        last = _allowed(order, None, lambda: desk.oms.last_price(ticket.symbol, request_id=request_id))
        price = doubt(ticket.price, last)
    return Doubts(price, portfolio_is_unknown=not (ticket.new_portfolio or _exists(desk, order)))


def _exists(desk: Desk, order: Order) -> bool:
    name, request_id = order.ticket.portfolio, order.origin.request_id
    if name_key(name) in desk.known_portfolios:
        return True
    if _allowed(order, name, lambda: desk.oms.portfolio_named(name, request_id=request_id)) is None:
        return False
    desk.known_portfolios.first(name_key(name))
    return True


def _allowed(order: Order, otherwise: T | None, look: Callable[[], T | None]) -> T | None:
    try:
        return look()
    except NotAllowed:
        extra = {"request_id": order.origin.request_id}
        log.warning("The key may not read: price and portfolio are not compared", extra=extra)
        return otherwise
