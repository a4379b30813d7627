"""Build the trade form.

Its block and action ids never change, so that Slack keeps entries when it redraws.
"""

from collections.abc import Sequence
from typing import NamedTuple

from app.blocks.inputs import (
    LIVE,
    build_context_line,
    build_input,
    build_number_input,
    build_text_input,
    omit_empty,
)
from app.blocks.text import Json, build_option, build_plain_text, build_section, escape, format_literal
from app.forms import fields
from app.forms.context import FormContext
from app.forms.instruments import Instrument, build_symbol_line
from app.forms.price import Quote, build_price_line
from app.forms.questions import Question, build_typed_price_id
from app.forms.ticket import (
    MAX_GMV,
    MAX_NOTE_CHARACTERS,
    MAX_PRICE,
    MAX_QUANTITY,
    MAX_SYMBOL_CHARACTERS,
    Draft,
    Side,
    Ticket,
)

SIDES = {Side.BUY: build_option("Buy", Side.BUY.value), Side.SELL: build_option("Sell", Side.SELL.value)}

BANNER = "banner"
MAX_SYMBOL_ENTRY = MAX_SYMBOL_CHARACTERS + 10  # the parser removes quotes, blanks and a `$`
ASKING = "Nothing was sent yet. Please confirm below, or change the entry, and submit the form again."


def build_trade_form(
    draft: Draft, context: FormContext, banner: str = "", questions: Sequence[Json] = ()
) -> Json:
    """Return the view with the given entries, a banner in mrkdwn, and the blocks of questions."""
    texts = "\n".join(part for part in (banner, escape(draft.read_as)) if part)
    banners = [build_section(texts, BANNER)] if texts else []
    return {
        "type": "modal",
        "callback_id": fields.TRADE_FORM,
        "title": build_plain_text("New trade"),
        "submit": build_plain_text("Place trade"),
        "close": build_plain_text("Cancel"),
        "private_metadata": context.dump(),
        "blocks": [*banners, *questions, *_set_focus(_build_entries(draft), draft)],
    }


def _set_focus(blocks: list[Json], draft: Draft) -> list[Json]:
    """Return the blocks with the focus on the first required entry that is empty."""
    amount = [] if draft.gmv else [fields.PRICE]  # either the price or the GMV is required
    entries = (fields.SYMBOL, fields.QUANTITY, *amount, fields.SIDE, fields.PORTFOLIO)
    empty = next((name for name in entries if not getattr(draft, name)), None)
    return [
        block | {"element": block["element"] | {"focus_on_load": True}}
        if block["block_id"] == empty
        else block
        for block in blocks
    ]


def build_question_blocks(question: Question) -> list[Json]:
    """Return the reason for a question and its checkbox.

    The checkbox is optional, because the person may change the entry instead.
    """
    element = {
        "type": "checkboxes",
        "action_id": fields.ACTION,
        "options": [build_option(question.yes, "yes")],
    }
    return [
        build_section(format_question(question), fields.REASON_PREFIX + question.id),
        build_input(question.id, question.label, element, is_optional=True),
    ]


def format_question(question: Question) -> str:
    """Return the reason for a question in mrkdwn."""
    return f"*Please check the {question.subject}.* {format_literal(question.reason)}"


class SymbolLookup(NamedTuple):
    """The OMS's data on the typed symbol.

    `quote` is None without a quote. `instruments` is None if the OMS did not respond.
    """

    quote: Quote | None = None
    instruments: Sequence[Instrument] | None = None


def build_form_lines(draft: Draft, symbol_lookup: SymbolLookup = SymbolLookup()) -> dict[str, str]:  # noqa: B008 - immutable
    """Return the lines that describe the current entries: by block id, in mrkdwn."""
    return {
        fields.SYMBOL_LINE: escape(build_symbol_line(draft.symbol, symbol_lookup.instruments)),
        fields.PRICE_LINE: escape(build_price_line(draft, symbol_lookup.quote)),
    }


def get_shown_lines(view: Json) -> dict[str, str]:
    """Return the lines that an open view shows. `view` has the form of Slack's payloads."""
    lines = (fields.SYMBOL_LINE, fields.PRICE_LINE)
    return {
        block["block_id"]: block["elements"][0]["text"]
        for block in view["blocks"]
        if block.get("block_id") in lines
    }


def update_lines(view: Json, draft: Draft, symbol_lookup: SymbolLookup = SymbolLookup()) -> Json:  # noqa: B008 - immutable
    """Return the content of an open view for `views.update`, with its lines updated.

    `view` has the form of Slack's payloads. Questions about a price other than the typed price are removed.
    """
    lines = build_form_lines(draft, symbol_lookup)
    blocks = [
        build_context_line(block["block_id"], lines[block["block_id"]])
        if block.get("block_id") in lines
        else block
        for block in view["blocks"]
    ]
    blocks = _remove_old_price_question(blocks, build_typed_price_id(draft))
    copied_fields = ("type", "callback_id", "title", "submit", "close", "private_metadata")
    return {name: view[name] for name in copied_fields if view.get(name)} | {"blocks": blocks}


def _remove_old_price_question(blocks: list[Json], current_id: str) -> list[Json]:
    """Return the blocks without questions about another price.

    Without any question left, the banner is removed too.
    """
    prefixes = (fields.PRICE_OK_PREFIX, fields.REASON_PREFIX + fields.PRICE_OK_PREFIX)
    current = (current_id, fields.REASON_PREFIX + current_id)
    remaining_blocks = [
        block
        for block in blocks
        if not block["block_id"].startswith(prefixes) or block["block_id"] in current
    ]
    is_asking = any(block["block_id"].startswith(fields.QUESTION_PREFIXES) for block in remaining_blocks)
    if len(remaining_blocks) == len(blocks) or is_asking:
        return remaining_blocks
    return [block for block in remaining_blocks if block["block_id"] != BANNER]


def build_question_form(ticket: Ticket, context: FormContext, questions: Sequence[Question]) -> Json:
    """Return the form of a ticket with all questions that need a confirmation. Entries are kept."""
    blocks = [block for question in questions for block in build_question_blocks(question)]
    return build_trade_form(ticket.draft(), context, ASKING, blocks)


def _build_entries(draft: Draft) -> list[Json]:
    lines = build_form_lines(draft)
    return [
        _build_entry(
            fields.SYMBOL,
            build_text_input(fields.ACTION, draft.symbol, "AAPL", MAX_SYMBOL_ENTRY) | LIVE,
            is_live=True,
        ),
        build_context_line(fields.SYMBOL_LINE, lines[fields.SYMBOL_LINE]),
        _build_entry(
            fields.QUANTITY,
            build_number_input(fields.QUANTITY_ACTION, draft.quantity, MAX_QUANTITY),
            is_live=True,
        ),
        _build_entry(
            fields.PRICE,
            build_number_input(fields.PRICE_ACTION, draft.price, MAX_PRICE),
            is_live=True,
            is_optional=True,
            hint="Per share. Fill in this or the GMV; the other follows.",
        ),
        _build_entry(
            fields.GMV,
            build_number_input(fields.GMV_ACTION, draft.gmv, MAX_GMV),
            is_live=True,
            is_optional=True,
            hint="Gross market value: quantity × price per share",
        ),
        build_context_line(fields.PRICE_LINE, lines[fields.PRICE_LINE]),
        _build_entry(fields.SIDE, _build_side_select(draft.side)),
        _build_entry(fields.PORTFOLIO, _build_portfolio_select(draft)),
        _build_entry(
            fields.NOTE,
            build_text_input(fields.ACTION, draft.note, "", MAX_NOTE_CHARACTERS),
            is_optional=True,
        ),
    ]


def _build_entry(
    block_id: str, element: Json, *, is_live: bool = False, is_optional: bool = False, hint: str = ""
) -> Json:
    return build_input(
        block_id, fields.LABELS[block_id], element, is_live=is_live, is_optional=is_optional, hint=hint
    )


def _build_side_select(initial: str) -> Json:
    element: Json = {"type": "radio_buttons", "action_id": fields.ACTION, "options": list(SIDES.values())}
    chosen = next((choice for side, choice in SIDES.items() if side.value == initial), None)
    return element | omit_empty("initial_option", chosen)


def _build_portfolio_select(draft: Draft) -> Json:
    text = (fields.NEW_PORTFOLIO if draft.is_new_portfolio else "") + draft.portfolio
    element: Json = {
        "type": "external_select",
        "action_id": fields.PORTFOLIO_ACTION,
        "min_query_length": 0,
        "placeholder": build_plain_text("Choose, or type a new name"),
    }
    return element | omit_empty(
        "initial_option", build_option(text, draft.portfolio) if draft.portfolio else None
    )
