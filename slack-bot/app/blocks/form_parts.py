"""Parts of the forms that change orders, positions and kill switches."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from app.blocks.inputs import build_input
from app.blocks.text import Json, build_option, build_plain_text, build_section
from app.forms import fields
from app.forms.numbers import format_plain
from app.forms.request_context import RequestContext
from app.forms.ticket import MAX_PRICE, MIN_AMOUNT

BANNER = "banner"
MAX_GROUP_OPTIONS = 100
MAX_REASON_CHARACTERS = 500


def build_modal(title: str, blocks: Sequence[Json], context: RequestContext, **more: str) -> Json:
    """Return a view. With `submit` and `callback_id`, it is a form."""
    texts = {name: build_plain_text(more[name]) for name in ("submit",) if name in more}
    callback = {"callback_id": more["callback_id"]} if "callback_id" in more else {}
    return {
        "type": "modal",
        "title": build_plain_text(title),
        "close": build_plain_text(more.get("close", "Cancel" if texts else "Close")),
        "private_metadata": context.dump(),
        "blocks": list(blocks),
        **texts,
        **callback,
    }


def build_text_view(title: str, text: str) -> Json:
    """Return a view with one text in mrkdwn."""
    return build_modal(title, [build_section(text)], RequestContext())


def redraw_with_banner(view: Mapping[str, Any], banner: str, context: RequestContext) -> Json:
    """Return a submitted form with a sentence above it. Its entries stay."""
    copied_fields = ("type", "callback_id", "title", "submit", "close")
    blocks = [block for block in view["blocks"] if block.get("block_id") != BANNER]
    return {name: view[name] for name in copied_fields if view.get(name)} | {
        "private_metadata": context.dump(),
        "blocks": [build_section(banner, BANNER), *blocks],
    }


def build_entry(
    block_id: str, label: str, element: Json, *, is_optional: bool = False, hint: str = ""
) -> Json:
    """Return an entry of a form. Its element gets the common action id if it has none."""
    element = {"action_id": fields.ACTION} | element
    return build_input(block_id, label, element, is_optional=is_optional, hint=hint)


def build_select(options: Sequence[Json], initial: Json | None = None) -> Json:
    """Return a select with up to 10,000 options, in groups of 100 if there are more than 100."""
    element: Json = {"type": "static_select", "placeholder": build_plain_text("Choose")}
    if initial is not None:
        element |= {"initial_option": initial}
    if len(options) <= MAX_GROUP_OPTIONS:
        return element | {"options": list(options)}
    groups = [options[at : at + MAX_GROUP_OPTIONS] for at in range(0, len(options), MAX_GROUP_OPTIONS)]
    return element | {
        "option_groups": [
            {"label": build_plain_text(f"Group {number}"), "options": list(group)}
            for number, group in enumerate(groups[:100], 1)
        ]
    }


def build_choice(choices: Mapping[str, str], initial: str) -> Json:
    """Return radio buttons. `choices` are labels by value."""
    options = {value: build_option(label, value) for value, label in choices.items()}
    return {
        "type": "radio_buttons",
        "options": list(options.values()),
        "initial_option": options[initial],
    }


def build_checkbox(label: str) -> Json:
    """Return one checkbox with the value `yes`."""
    return {"type": "checkboxes", "options": [build_option(label, "yes")]}


def build_number(initial: Decimal | None, largest: Decimal = MAX_PRICE) -> Json:
    """Return an entry for a positive number."""
    limits = {"min_value": format_plain(MIN_AMOUNT), "max_value": format_plain(largest)}
    value = {} if initial is None else {"initial_value": format_plain(min(initial, largest))}
    return {"type": "number_input", "is_decimal_allowed": True} | limits | value


def build_reason() -> Json:
    """Return an entry for a reason."""
    return {"type": "plain_text_input", "max_length": MAX_REASON_CHARACTERS}
