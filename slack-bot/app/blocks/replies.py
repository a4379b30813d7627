"""A reply to a command in words: sentences, tables and elements to click."""

from collections.abc import Iterable
from dataclasses import dataclass

from app.blocks.messages import Message
from app.blocks.tables import Table, build_data_tables, build_table_lines
from app.blocks.text import Json, build_option, build_plain_text, build_section
from app.forms import action_ids
from app.forms.portfolio_values import Position

MAX_GROUP_OPTIONS = 100
MAX_SELECT_CHARACTERS = 2_500  # of all options; Slack accepts 12,000 in the blocks of a message
BUTTON_STYLES = ("primary", "danger")


@dataclass(frozen=True)
class Reply:
    """A message with tables and charts.

    `text` is complete without the blocks, because notifications show only the text.
    """

    text: str
    head: tuple[Json, ...] = ()
    tables: tuple[Table, ...] = ()
    charts: tuple[Json, ...] = ()
    foot: tuple[Json, ...] = ()
    images: tuple[Json, ...] = ()  # uploaded images of the charts, in their place

    def build_message(self) -> Message:
        """Return the message with Slack's tables and charts."""
        charts = self.images or self.charts
        return Message(
            self.text,
            (*self.head, *build_data_tables(*self.tables), *charts, *self.foot)
            or (build_section(self.text),),
        )

    def build_plain_message(self) -> Message:
        """Return the message for workspaces that refuse tables or charts."""
        return Message(
            self.text,
            (*self.head, *build_table_lines(*self.tables), *self.foot) or (build_section(self.text),),
        )


def build_sentence_reply(sentence: str, *foot: Json) -> Reply:
    """Return a reply of one sentence in mrkdwn."""
    return Reply(sentence, (build_section(sentence),), foot=foot)


def build_button(text: str, action_id: str, value: str = "", style: str = "") -> Json:
    """Return a button."""
    extra = ({"value": value} if value else {}) | ({"style": style} if style in BUTTON_STYLES else {})
    return {"type": "button", "action_id": action_id, "text": build_plain_text(text)} | extra


def build_actions(*elements: Json, block_id: str = "") -> Json:
    """Return a block of elements."""
    return {"type": "actions", "elements": list(elements)} | ({"block_id": block_id} if block_id else {})


def build_position_select(
    positions: Iterable[Position], *, has_portfolios: bool = True, max_characters: int = MAX_SELECT_CHARACTERS
) -> Json:
    """Return a select that opens a position. It offers the first ones, up to that many characters.

    `has_portfolios`: the positions are of several portfolios, so that the options name them.
    """
    options: list[Json] = []
    remaining_characters = max_characters
    for position in positions:
        portfolio = f" in {position.portfolio_name}" if has_portfolios else ""
        product = f" {position.product}" if position.product else ""
        offered = build_option(f"{position.symbol}{product}{portfolio}", position.key)
        remaining_characters -= len(offered["text"]["text"])
        if remaining_characters < 0 or len(options) == MAX_GROUP_OPTIONS**2:
            break
        options.append(offered)
    placeholder = (
        f"Select one of the first {len(options)}" if remaining_characters < 0 else "Select a position"
    )
    groups = [options[at : at + MAX_GROUP_OPTIONS] for at in range(0, len(options), MAX_GROUP_OPTIONS)]
    select: Json = {
        "type": "static_select",
        "action_id": action_ids.POSITION_VIEW,
        "placeholder": build_plain_text(placeholder),
    }
    if len(groups) == 1:
        return select | {"options": groups[0]}
    labels = [f"{group[0]['text']['text'].split(' in ')[0]} – …"[:75] for group in groups]
    return select | {
        "option_groups": [
            {"label": build_plain_text(label), "options": group}
            for label, group in zip(labels, groups, strict=True)
        ]
    }
