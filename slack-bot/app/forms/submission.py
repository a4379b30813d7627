"""Parse a submitted trade form into a ticket, or into a sentence per invalid field."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, TypeVar

from app.errors import InvalidEntries
from app.forms import fields
from app.forms.numbers import InvalidAmount, format_plain, parse_amount, parse_quantity
from app.forms.price import resolve_gmv
from app.forms.text import InvalidName, parse_note, parse_portfolio, parse_symbol
from app.forms.ticket import MAX_GMV, MAX_PRICE, MAX_QUANTITY, MIN_AMOUNT, Draft, Side, Ticket

FormState = Mapping[str, Any]
T = TypeVar("T")


def read_draft(state: FormState) -> Draft:
    """Return the entries of a view's `state.values` as texts, without validation."""
    portfolio = get_entry(state, fields.PORTFOLIO)
    marked = _read_option_text(state, fields.PORTFOLIO).startswith(fields.NEW_PORTFOLIO)
    return Draft(
        symbol=get_entry(state, fields.SYMBOL),
        quantity=get_entry(state, fields.QUANTITY),
        price=get_entry(state, fields.PRICE),
        gmv=get_entry(state, fields.GMV),
        side=get_entry(state, fields.SIDE),
        portfolio=portfolio,
        note=get_entry(state, fields.NOTE),
        is_new_portfolio=marked,
    )


def parse_draft(draft: Draft) -> Ticket:
    """Return the ticket of the entries. Raises `InvalidEntries` with every invalid entry."""
    parser = _FormParser()
    symbol = parser.parse_field(fields.SYMBOL, parse_symbol, draft.symbol)
    quantity = parser.parse_field(
        fields.QUANTITY, lambda text: parse_quantity(text, MAX_QUANTITY), draft.quantity
    )
    price, typed_gmv = (
        parser.parse_optional_amount(fields.PRICE, draft.price),
        parser.parse_optional_amount(fields.GMV, draft.gmv),
    )
    gmv = parser.compute_gmv(draft, quantity, price, typed_gmv)
    side = parser.parse_field(fields.SIDE, parse_side, draft.side)
    portfolio = parser.parse_field(fields.PORTFOLIO, parse_portfolio, draft.portfolio)
    note = parser.parse_field(fields.NOTE, parse_note, draft.note)
    if symbol is None or quantity is None or gmv is None or side is None or portfolio is None or note is None:
        raise InvalidEntries(parser.errors)
    ticket = Ticket(
        symbol=symbol,
        quantity=quantity,
        gmv=gmv,
        side=side,
        portfolio=portfolio,
        note=note,
        is_new_portfolio=draft.is_new_portfolio,
        typed_price=price,
        is_gmv_typed=typed_gmv is not None,
    )
    _check_price(ticket)
    return ticket


def list_confirmed(state: FormState) -> list[str]:
    """Return the ids of the questions whose checkbox is ticked."""
    block_ids = (block_id for block_id in state if block_id.startswith(fields.QUESTION_PREFIXES))
    return [block_id for block_id in block_ids if get_entry(state, block_id)]


class FieldParser:
    """Parse fields, and collect an error sentence for each invalid field by its block id."""

    def __init__(self) -> None:
        self.errors: dict[str, str] = {}

    def parse_field(self, block_id: str, parse: Callable[[str], T], text: str) -> T | None:
        """Return the parsed text. None if it is invalid."""
        try:
            return parse(text)
        except (InvalidAmount, InvalidName) as error:
            self.errors[block_id] = str(error)
            return None


class _FormParser(FieldParser):
    def parse_optional_amount(self, block_id: str, text: str) -> Decimal | None:
        """Return a price or a GMV. None if the entry is empty or invalid."""
        largest = MAX_PRICE if block_id == fields.PRICE else MAX_GMV
        return (
            self.parse_field(block_id, lambda typed: parse_amount(typed, largest), text)
            if text.strip()
            else None
        )

    def compute_gmv(
        self, draft: Draft, quantity: Decimal | None, price: Decimal | None, gmv: Decimal | None
    ) -> Decimal | None:
        """Return the GMV of the entries.

        An error is reported at the GMV if one was typed, else at the price.
        """
        if not (draft.price.strip() or draft.gmv.strip()):
            self.errors[fields.PRICE] = "Enter a price per share or a GMV."
            return None
        if quantity is None or not self.errors.keys().isdisjoint((fields.PRICE, fields.GMV)):
            return None
        block_id = fields.PRICE if gmv is None else fields.GMV
        return self.parse_field(block_id, lambda _: resolve_gmv(quantity, price, gmv), "")


def find_amount_block(ticket: Ticket) -> str:
    """Return the block of the typed amount, where errors of price and GMV are reported."""
    return fields.GMV if ticket.is_gmv_typed else fields.PRICE


def _check_price(ticket: Ticket) -> None:
    if not MIN_AMOUNT <= ticket.price <= MAX_PRICE:
        limits = f"{format_plain(MIN_AMOUNT)} to {MAX_PRICE:,}"
        sentence = (
            f"GMV / quantity makes a price per share of {format_plain(ticket.price)}; {limits} can be traded."
        )
        raise InvalidEntries({find_amount_block(ticket): sentence})


def parse_side(text: str) -> Side:
    """Return the side. Raises `InvalidName`."""
    try:
        return Side(text)
    except ValueError:
        raise InvalidName("Choose buy or sell.") from None


def get_entry(state: FormState, block_id: str) -> str:
    """Return the value of one input: typed text, or the value of the chosen option."""
    element = _read_element(state, block_id)
    chosen = element.get("selected_option") or next(iter(element.get("selected_options") or []), None)
    return str(chosen["value"] if chosen else element.get("value") or "")


def _read_option_text(state: FormState, block_id: str) -> str:
    """Return the text of the chosen option."""
    chosen = _read_element(state, block_id).get("selected_option") or {}
    return str((chosen.get("text") or {}).get("text", ""))


def _read_element(state: FormState, block_id: str) -> Mapping[str, Any]:
    actions = state.get(block_id)
    return next(iter(actions.values())) if isinstance(actions, Mapping) and actions else {}
