"""A submitted trade form: the state of its view becomes a ticket, or a sentence per bad field."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from app.errors import BadFields
from app.forms import fields
from app.forms.numbers import NotAnAmount, parse_amount, parse_quantity, plain
from app.forms.text import NotAName, parse_note, parse_portfolio, parse_symbol
from app.forms.ticket import MAX_GMV, MAX_PRICE, MAX_QUANTITY, MIN_AMOUNT, Draft, Side, Ticket

State = Mapping[str, Any]
T = TypeVar("T")


def read_draft(state: State) -> Draft:
    """Return the entries of a view's `state.values` as texts, whatever they are."""
    portfolio = _entry(state, fields.PORTFOLIO)
    marked = _option_text(state, fields.PORTFOLIO).startswith(fields.NEW_PORTFOLIO)
    return Draft(
        symbol=_entry(state, fields.SYMBOL),
        quantity=_entry(state, fields.QUANTITY),
        gmv=_entry(state, fields.GMV),
        side=_entry(state, fields.SIDE),
        portfolio=portfolio,
        note=_entry(state, fields.NOTE),
        new_portfolio=marked,
    )


def parse_draft(draft: Draft) -> Ticket:
    """Return the ticket that the entries make; raises `BadFields` naming every bad one at once."""
    reading = _Reading()
    symbol = reading.field(fields.SYMBOL, parse_symbol, draft.symbol)
    quantity = reading.field(fields.QUANTITY, lambda text: parse_quantity(text, MAX_QUANTITY), draft.quantity)
    gmv = reading.field(fields.GMV, lambda text: parse_amount(text, MAX_GMV), draft.gmv)
    side = reading.field(fields.SIDE, _side, draft.side)
    portfolio = reading.field(fields.PORTFOLIO, parse_portfolio, draft.portfolio)
    note = reading.field(fields.NOTE, parse_note, draft.note)
    if symbol is None or quantity is None or gmv is None or side is None or portfolio is None or note is None:
        raise BadFields(reading.faults)
    ticket = Ticket(symbol, quantity, gmv, side, portfolio, note, draft.new_portfolio)
    _check_price(ticket)
    return ticket


def answers(state: State) -> list[str]:
    """Return the ids of the questions that were answered with a tick."""
    asked = (block_id for block_id in state if block_id.startswith(fields.QUESTION_PREFIXES))
    return [block_id for block_id in asked if _entry(state, block_id)]


class _Reading:
    def __init__(self) -> None:
        self.faults: dict[str, str] = {}

    def field(self, block_id: str, parse: Callable[[str], T], text: str) -> T | None:
        try:
            return parse(text)
        except (NotAnAmount, NotAName) as fault:
            self.faults[block_id] = str(fault)
            return None


def _check_price(ticket: Ticket) -> None:
    if not MIN_AMOUNT <= ticket.price <= MAX_PRICE:
        limits = f"{plain(MIN_AMOUNT)} to {MAX_PRICE:,}"
        sentence = f"GMV / quantity makes a price per share of {plain(ticket.price)}; {limits} can be traded."
        raise BadFields({fields.GMV: sentence})


def _side(text: str) -> Side:
    try:
        return Side(text)
    except ValueError:
        raise NotAName("Choose buy or sell.") from None


def _entry(state: State, block_id: str) -> str:
    """Return what one input holds: typed text, or the value of what was chosen or ticked."""
    element = _element(state, block_id)
    chosen = element.get("selected_option") or next(iter(element.get("selected_options") or []), None)
    return str(chosen["value"] if chosen else element.get("value") or "")


def _option_text(state: State, block_id: str) -> str:
    """Return how the chosen option reads."""
    chosen = _element(state, block_id).get("selected_option") or {}
    return str((chosen.get("text") or {}).get("text", ""))


def _element(state: State, block_id: str) -> Mapping[str, Any]:
    actions = state.get(block_id)
    return next(iter(actions.values())) if isinstance(actions, Mapping) and actions else {}
