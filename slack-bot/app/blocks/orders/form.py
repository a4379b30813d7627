"""Build the order form. It shows only the fields that the chosen type needs."""

from collections.abc import Sequence
from decimal import ROUND_DOWN, Decimal, InvalidOperation

from app.blocks.inputs import (
    LIVE,
    build_context_line,
    build_input,
    build_number_input,
    build_text_input,
    omit_empty,
)
from app.blocks.text import Json, build_option, build_plain_text, build_section, escape
from app.blocks.trade_form import ASKING, BANNER, SIDES, build_question_blocks
from app.forms.instruments import SYMBOL_PROMPT
from app.forms.numbers import format_grouped, format_plain, is_whole_text
from app.forms.orders import fields
from app.forms.orders.context import OrderContext
from app.forms.orders.order import Denial
from app.forms.orders.submission import hide_entries
from app.forms.orders.ticket import PRICE_ENTRIES, TIME_NAMES, TYPE_NAMES, OrderDraft, TimeInForce
from app.forms.questions import Question
from app.forms.ticket import MAX_GMV, MAX_NOTE_CHARACTERS, MAX_PRICE, MAX_QUANTITY

TYPES = {order_type.value: build_option(name, order_type.value) for order_type, name in TYPE_NAMES.items()}
TIMES = {
    time_in_force.value: build_option(name, time_in_force.value) for time_in_force, name in TIME_NAMES.items()
}
PREVIEW_PROMPT = "Fill in the entries above: price, charges, cash and limits are shown here."
STOPS = ("HALTED", "REDUCING")  # codes of denials by a kill switch
STOP_HINT = "`/desk risk` shows who stopped it, and why."
MAX_TRAIL_CHARACTERS = 20
PROPOSAL_SEPARATOR = ":"  # between the entry and its text in the value of the proposal's button


def build_order_form(
    draft: OrderDraft,
    context: OrderContext,
    banner: str = "",
    questions: Sequence[Json] = (),
    lines: Sequence[str] = (SYMBOL_PROMPT, PREVIEW_PROMPT),
) -> Json:
    """Return the view with the given entries, a banner in mrkdwn, and the blocks of questions.

    `lines` are the line below the symbol and the preview, in mrkdwn.
    """
    texts = "\n".join(part for part in (banner, escape(draft.read_as)) if part)
    banners = [build_section(texts, BANNER)] if texts else []
    return {
        "type": "modal",
        "callback_id": fields.ORDER_FORM,
        "title": build_plain_text("Change order" if context.replaces else "New order"),
        "submit": build_plain_text("Change order" if context.replaces else "Place order"),
        "close": build_plain_text("Close"),
        "private_metadata": hide_entries(draft, context).dump(),
        "blocks": [*banners, *questions, *_build_entries(draft, context, *lines)],
    }


def build_loading_view(sentence: str) -> Json:
    """Return the view to show until the form is filled in, or instead of it."""
    return {
        "type": "modal",
        "title": build_plain_text("Order"),
        "close": build_plain_text("Close"),
        "private_metadata": "",
        "blocks": [build_section(sentence)],
    }


def build_order_question_form(
    draft: OrderDraft,
    context: OrderContext,
    questions: Sequence[Question],
    lines: Sequence[str] = (SYMBOL_PROMPT, PREVIEW_PROMPT),
) -> Json:
    """Return the form with all questions that need a confirmation. Entries are kept."""
    blocks = [block for question in questions for block in build_question_blocks(question)]
    return build_order_form(draft, context, ASKING, blocks, lines)


def build_proposal(denial: Denial, draft: OrderDraft) -> Json | None:
    """Return the block with one button that fills in the nearest passing order, or None."""
    proposal = find_proposal(denial, draft)
    if proposal is None:
        return None
    entry, text = proposal
    label = f"Use {fields.LABELS[entry].lower()} {format_grouped(Decimal(text))} instead"
    button = {
        "type": "button",
        "action_id": fields.PROPOSAL_ACTION,
        "style": "primary",
        "text": build_plain_text(label),
        "value": f"{entry}{PROPOSAL_SEPARATOR}{text}",
    }
    return {"type": "actions", "block_id": fields.PROPOSAL, "elements": [button]}


def find_proposal(denial: Denial, draft: OrderDraft) -> tuple[str, str] | None:
    """Return the entry to change and its nearest passing text. None if no change of one entry passes."""
    if denial.nearest_price is not None:
        prices = PRICE_ENTRIES[draft.order_type]
        entry = next((name for name in (fields.LIMIT, fields.STOP) if name in prices), None)
        return (entry, format_plain(denial.nearest_price)) if entry else None
    if denial.largest_passing:
        return fields.QUANTITY, format_plain(_round_like_typed(denial.largest_passing, draft.quantity))
    return None


def _round_like_typed(largest: Decimal, typed: str) -> Decimal:
    """Return the largest quantity, in whole units if whole units were typed and at least one passes."""
    whole = largest.to_integral_value(ROUND_DOWN)
    return whole if whole and is_whole_text(typed) else largest


def get_shown_order_lines(view: Json) -> tuple[str, str]:
    """Return the lines that an open view shows, in mrkdwn. `view` has the form of Slack's payloads."""
    blocks = {block.get("block_id"): block for block in view["blocks"]}
    symbol_line = blocks.get(fields.SYMBOL_LINE)
    preview = blocks.get(fields.PREVIEW)
    return (
        symbol_line["elements"][0]["text"] if symbol_line else SYMBOL_PROMPT,
        preview["text"]["text"] if preview else PREVIEW_PROMPT,
    )


def update_order_lines(view: Json, symbol_line: str, preview: str) -> Json:
    """Return the content of an open view for `views.update`, with its lines updated."""
    updated = {
        fields.SYMBOL_LINE: build_context_line(fields.SYMBOL_LINE, symbol_line),
        fields.PREVIEW: build_section(preview, fields.PREVIEW),
    }
    blocks = [updated.get(block.get("block_id"), block) for block in view["blocks"]]
    copied_fields = ("type", "callback_id", "title", "submit", "close", "private_metadata")
    return {name: view[name] for name in copied_fields if view.get(name)} | {"blocks": blocks}


def _build_entries(draft: OrderDraft, context: OrderContext, symbol_line: str, preview: str) -> list[Json]:
    builder = _EntryBuilder(draft, context)
    prices = [builder.build_price(entry) for entry in PRICE_ENTRIES[draft.order_type]]
    expires = [builder.build_expiry()] if draft.time_in_force == TimeInForce.GTD else []
    terms = [*prices, builder.build_select(fields.TIME_IN_FORCE, TIMES), *expires]
    if context.replaces:
        total = builder.build_number(fields.QUANTITY, hint="The total, including what has filled.")
        return [_build_fixed_terms(draft), total, *terms, builder.build_reason()]
    exits = [
        builder.build_number(name, is_optional=True, hint=hint)
        for name, hint in (
            (fields.STOP_LOSS, "Optional: a stop order that closes the position."),
            (fields.TAKE_PROFIT, "Optional: a limit order that closes the position."),
        )
    ]
    return [
        builder.build_select(fields.TYPE, TYPES),
        builder.build_symbol(),
        build_context_line(fields.SYMBOL_LINE, symbol_line),
        builder.build_side(),
        builder.build_number(fields.QUANTITY, is_optional=True, hint="Fill in this or the value."),
        builder.build_number(fields.VALUE, is_optional=True, hint="In the instrument's currency."),
        *terms,
        *exits,
        builder.build_portfolio(),
        builder.build_reason(),
        build_section(preview, fields.PREVIEW),
    ]


def _build_fixed_terms(draft: OrderDraft) -> Json:
    type_name = TYPE_NAMES[draft.order_type].lower()
    text = f"*{escape(draft.side)} {escape(draft.symbol)}* · {type_name} order in {escape(draft.portfolio)}"
    return build_section(text, "fixed_terms")


class _EntryBuilder:
    """Build the input blocks of one form."""

    def __init__(self, draft: OrderDraft, context: OrderContext):
        self._draft = draft
        self._revision = context.revision

    def build_select(self, entry: str, options: dict[str, Json]) -> Json:
        element = {
            "type": "static_select",
            "action_id": fields.CHOICE_ACTION,
            "options": list(options.values()),
            "initial_option": options[getattr(self._draft, entry)],
        }
        return self._build_input(entry, element, is_live=True)

    def build_symbol(self) -> Json:
        symbol = self._draft.symbol
        element: Json = {
            "type": "external_select",
            "action_id": fields.SYMBOL_ACTION,
            "min_query_length": 0,
            "placeholder": build_plain_text("Type a symbol or a name"),
        }
        chosen = build_option(symbol, symbol) if symbol else None
        return self._build_input(fields.SYMBOL, element | omit_empty("initial_option", chosen), is_live=True)

    def build_side(self) -> Json:
        chosen = next((choice for side, choice in SIDES.items() if side.value == self._draft.side), None)
        element: Json = {
            "type": "radio_buttons",
            "action_id": fields.LIVE_ACTION,
            "options": list(SIDES.values()),
        }
        return self._build_input(fields.SIDE, element | omit_empty("initial_option", chosen), is_live=True)

    def build_number(self, entry: str, *, is_optional: bool = False, hint: str = "") -> Json:
        largest = {fields.QUANTITY: MAX_QUANTITY, fields.VALUE: MAX_GMV}.get(entry, MAX_PRICE)
        element = build_number_input(fields.LIVE_ACTION, getattr(self._draft, entry), largest)
        return self._build_input(entry, element, is_live=True, is_optional=is_optional, hint=hint)

    def build_price(self, entry: str) -> Json:
        if entry != fields.TRAIL:
            return self.build_number(entry)
        element = (
            build_text_input(fields.LIVE_ACTION, self._draft.trail, "2.50 or 5%", MAX_TRAIL_CHARACTERS) | LIVE
        )
        return self._build_input(
            entry, element, is_live=True, hint="Distance from the best price: per unit, or in %."
        )

    def build_expiry(self) -> Json:
        seconds = self._draft.expires_at
        element: Json = {"type": "datetimepicker", "action_id": fields.ENTRY_ACTION}
        return self._build_input(
            fields.EXPIRES, element | omit_empty("initial_date_time", int(seconds) if seconds else None)
        )

    def build_portfolio(self) -> Json:
        name = self._draft.portfolio
        element: Json = {
            "type": "external_select",
            "action_id": fields.PORTFOLIO_ACTION,
            "min_query_length": 0,
            "placeholder": build_plain_text("Choose a portfolio"),
        }
        chosen = build_option(name, name) if name else None
        return self._build_input(
            fields.PORTFOLIO, element | omit_empty("initial_option", chosen), is_live=True
        )

    def build_reason(self) -> Json:
        element = build_text_input(fields.ENTRY_ACTION, self._draft.reason, "", MAX_NOTE_CHARACTERS)
        return self._build_input(fields.REASON, element, is_optional=True)

    def _build_input(
        self, entry: str, element: Json, *, is_live: bool = False, is_optional: bool = False, hint: str = ""
    ) -> Json:
        block_id = fields.build_block_id(entry, self._revision)
        return build_input(
            block_id, fields.LABELS[entry], element, is_live=is_live, is_optional=is_optional, hint=hint
        )


def format_denial(denial: Denial) -> str:
    """Return why an order was denied, in mrkdwn: the rule, the numbers, and what passes."""
    nearest = _format_nearest(denial)
    if denial.code in STOPS:
        passing = nearest if denial.largest_passing else ""
        return f"*Denied, because trading is stopped*: {escape(denial.message)}{passing} {STOP_HINT}"
    numbers = [
        f"{name} {_format_figure(text)}"
        for name, text in (("limit", denial.limit), ("asked", denial.asked))
        if text
    ]
    rule = denial.code.replace("_", " ").lower()
    figures = f" ({', '.join(numbers)})" if numbers else ""
    return f"*Denied by {escape(rule)}*{figures}: {escape(denial.message)}{nearest}"


def _format_nearest(denial: Denial) -> str:
    if denial.nearest_price is not None:
        return f" The nearest allowed price is {format_grouped(denial.nearest_price)}."
    if denial.largest_passing is None:
        return ""
    if not denial.largest_passing:
        return " No quantity is allowed."
    return f" The largest allowed quantity is {format_grouped(denial.largest_passing)}."


def _format_figure(text: str) -> str:
    """Return a number of a denial with groups of thousands, and any other text as it is, in mrkdwn."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return escape(text)
    return format_grouped(value) if value.is_finite() else escape(text)
