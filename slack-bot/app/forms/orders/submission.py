"""Parse a submitted order form into a ticket, or into a sentence per invalid entry."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.errors import InvalidEntries
from app.forms.numbers import parse_amount, parse_quantity
from app.forms.orders import fields
from app.forms.orders.context import OrderContext
from app.forms.orders.ticket import (
    PRICE_ENTRIES,
    OrderDraft,
    OrderTicket,
    TimeInForce,
    Trail,
    to_instant,
)
from app.forms.submission import FieldParser, FormState, get_entry, parse_side
from app.forms.text import InvalidName, parse_note, parse_portfolio, parse_symbol
from app.forms.ticket import MAX_GMV, MAX_PRICE, MAX_QUANTITY

MAX_PERCENT = Decimal(100)
HIDEABLE_FIELDS = (fields.LIMIT, fields.STOP, fields.TRAIL, fields.EXPIRES)
FIXED_FIELDS = (fields.TYPE, fields.SYMBOL, fields.SIDE, fields.PORTFOLIO)  # of an order that is changed


def read_order_draft(state: FormState, context: OrderContext) -> OrderDraft:
    """Return the entries of a view's `state.values` as texts, without validation.

    The form does not show entries that an earlier choice has hidden.
    """
    block_ids = {block_id.partition(fields.REVISION_MARK)[0]: block_id for block_id in state}
    texts = dict(context.hidden)
    for entry in fields.LABELS.keys() & block_ids.keys():
        read = _read_moment if entry == fields.EXPIRES else get_entry
        texts[entry] = read(state, block_ids[entry])
    return replace(OrderDraft(), **{entry: text for entry, text in texts.items() if text})  # type: ignore[arg-type]


def hide_entries(draft: OrderDraft, context: OrderContext) -> OrderContext:
    """Return the context with the entries that the form may hide, or that cannot be changed."""
    names = (*HIDEABLE_FIELDS, *(FIXED_FIELDS if context.replaces else ()))
    texts = ((name, str(getattr(draft, name))) for name in names)
    return replace(context, hidden=tuple((name, text) for name, text in texts if text))


def parse_order_draft(draft: OrderDraft) -> OrderTicket:
    """Return the ticket of the entries. Raises `InvalidEntries` with every invalid entry."""
    parser = _OrderParser()
    prices = PRICE_ENTRIES[draft.order_type]
    symbol = parser.parse_field(fields.SYMBOL, parse_symbol, draft.symbol)
    side = parser.parse_field(fields.SIDE, parse_side, draft.side)
    portfolio = parser.parse_field(fields.PORTFOLIO, parse_portfolio, draft.portfolio)
    reason = parser.parse_field(fields.REASON, parse_note, draft.reason)
    quantity, value = parser.parse_size(draft)
    limit, stop = (
        parser.parse_price(name, getattr(draft, name), is_required=True) if name in prices else None
        for name in (fields.LIMIT, fields.STOP)
    )
    trail = parser.parse_field(fields.TRAIL, parse_trail, draft.trail) if fields.TRAIL in prices else None
    stop_loss, take_profit = (
        parser.parse_price(name, getattr(draft, name), is_required=False)
        for name in (fields.STOP_LOSS, fields.TAKE_PROFIT)
    )
    expires_at = parser.parse_expiry(draft)
    if parser.errors or symbol is None or side is None or portfolio is None:
        raise InvalidEntries(parser.errors)
    return OrderTicket(
        type=draft.order_type,
        symbol=symbol,
        side=side,
        quantity=quantity,
        value=value,
        time_in_force=TimeInForce(draft.time_in_force),
        portfolio=portfolio,
        limit_price=limit,
        stop_price=stop,
        trail=trail,
        expires_at=expires_at,
        stop_loss=stop_loss,
        take_profit=take_profit,
        reason=reason or "",
    )


def parse_trail(text: str) -> Trail:
    """Return the distance of a text such as `2.50` or `5%`. Raises `InvalidAmount`."""
    typed = text.strip()
    if typed.endswith("%"):
        return Trail(parse_amount(typed[:-1], MAX_PERCENT), is_percent=True)
    return Trail(parse_amount(typed, MAX_PRICE), is_percent=False)


class _OrderParser(FieldParser):
    def parse_price(self, entry: str, text: str, *, is_required: bool) -> Decimal | None:
        if not (is_required or text.strip()):
            return None
        return self.parse_field(entry, lambda typed: parse_amount(typed, MAX_PRICE), text)

    def parse_size(self, draft: OrderDraft) -> tuple[Decimal | None, Decimal | None]:
        """Return the quantity and the value. One of them is None, or both if the entries are invalid."""
        if draft.quantity.strip() and draft.value.strip():
            self.errors[fields.VALUE] = "Enter a quantity or a value, not both."
            return None, None
        if draft.value.strip():
            return None, self.parse_field(
                fields.VALUE, lambda typed: parse_amount(typed, MAX_GMV), draft.value
            )
        if not draft.quantity.strip():
            self.errors[fields.QUANTITY] = "Enter a quantity or a value."
            return None, None
        parsed = self.parse_field(
            fields.QUANTITY, lambda typed: parse_quantity(typed, MAX_QUANTITY), draft.quantity
        )
        return parsed, None

    def parse_expiry(self, draft: OrderDraft) -> datetime | None:
        if draft.time_in_force != TimeInForce.GTD:
            return None
        return self.parse_field(fields.EXPIRES, _parse_moment, draft.expires_at)


def _parse_moment(seconds: str) -> datetime:
    moment = to_instant(seconds) if seconds.isascii() and seconds.isdigit() else None
    if moment is None:
        raise InvalidName("Choose when the order expires.")
    return moment


def _read_moment(state: FormState, block_id: str) -> str:
    element: Mapping[str, Any] = next(iter((state.get(block_id) or {}).values()), {})
    return str(element.get("selected_date_time") or "")
