"""A submitted order form with valid entries."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.blocks.orders.form import PREVIEW_PROMPT, build_order_form, get_shown_order_lines
from app.errors import InvalidEntries
from app.forms.instruments import SYMBOL_PROMPT
from app.forms.orders import fields
from app.forms.orders.context import OrderContext
from app.forms.orders.submission import parse_order_draft, read_order_draft
from app.forms.orders.ticket import OrderDraft, OrderTicket
from app.forms.submission import list_confirmed
from app.services.request_origin import RequestOrigin
from app.services.trades.submitted_trade import build_key


@dataclass(frozen=True)
class SubmittedOrder:
    """An order and the form in which it was entered."""

    origin: RequestOrigin
    ticket: OrderTicket
    draft: OrderDraft
    context: OrderContext
    view_id: str
    root_view_id: str
    lines: tuple[str, str] = (SYMBOL_PROMPT, PREVIEW_PROMPT)  # that the form shows

    @property
    def key(self) -> str:
        """The idempotency key of the submission, which is also the client order id."""
        return build_key(self)


def read_submitted_order(origin: RequestOrigin, view: Mapping[str, Any]) -> SubmittedOrder:
    """Return the order of a submitted view. Raises `InvalidEntries` with the block ids of the form."""
    state = view["state"]["values"]
    context = OrderContext.load(str(view.get("private_metadata", "")))
    draft = read_order_draft(state, context)
    try:
        ticket = parse_order_draft(draft)
    except InvalidEntries as bad:
        raise InvalidEntries(find_block_errors(bad.sentences, draft, context)) from None
    return SubmittedOrder(
        origin=origin,
        ticket=ticket,
        draft=draft,
        context=context.with_confirmed(*list_confirmed(state)),
        view_id=str(view["id"]),
        root_view_id=str(view.get("root_view_id") or view["id"]),
        lines=get_shown_order_lines(dict(view)),
    )


def find_block_errors(
    sentences: Mapping[str, str], draft: OrderDraft, context: OrderContext
) -> dict[str, str]:
    """Return sentences by entry as sentences by block id.

    The sentence of an entry that the form does not show is reported at its first input.
    """
    blocks = build_order_form(draft, context)["blocks"]
    block_ids = [block["block_id"] for block in blocks if block["type"] == "input"]
    errors: dict[str, str] = {}
    for entry, sentence in sentences.items():
        block_id = fields.build_block_id(entry, context.revision)
        block_id = block_id if block_id in block_ids else block_ids[0]
        errors[block_id] = f"{errors.get(block_id, '')} {sentence}".strip()
    return errors
