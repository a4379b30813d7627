"""A picture of the gallery: a view or message with the function that builds it."""

from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

from app.blocks.messages import Message, build_notice
from app.blocks.replies import Reply
from app.blocks.text import Json, truncate
from app.delivery.slack_api import MAX_TEXT_CHARACTERS

Surface = Literal["message", "modal", "home"]


class Picture(NamedTuple):
    """The content that Slack receives: a view, or the text and the blocks of a message.

    `builder` is the function of `app.blocks` whose result it shows.
    """

    name: str
    builder: Callable[..., Any]
    surface: Surface
    content: Json


def draw_view(name: str, builder: Callable[..., Json], *sizes: Json) -> Iterator[Picture]:
    """Yield a picture of each size of a form or of a home tab, the smallest first."""
    for label, content in _name_sizes(name, sizes):
        yield Picture(label, builder, "home" if content["type"] == "home" else "modal", content)


def draw_message(name: str, builder: Callable[..., Message], *sizes: Message) -> Iterator[Picture]:
    """Yield a picture of each size of a message, the smallest first."""
    for label, content in _name_sizes(name, sizes):
        yield _picture(label, builder, content)


def draw_reply(name: str, builder: Callable[..., Reply], *sizes: Reply) -> Iterator[Picture]:
    """Yield two pictures of each size of a reply: with tables, and with lines of text in their place."""
    for label, content in _name_sizes(name, sizes):
        message_with_tables, plain_message = content.build_message(), content.build_plain_message()
        yield _picture(label, builder, message_with_tables)
        if plain_message != message_with_tables:
            yield _picture(f"{label}-lines", builder, plain_message)


def draw_sentence(name: str, builder: Callable[..., Any], *sizes: str) -> Iterator[Picture]:
    """Yield a picture of each text in mrkdwn that becomes a message of its own."""
    for label, content in _name_sizes(name, sizes):
        yield _picture(label, builder, build_notice(content))


def _name_sizes(name: str, sizes: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    for number, content in enumerate(sizes, 1):
        yield (name if len(sizes) == 1 else f"{name}-{number}"), content


def _picture(name: str, builder: Callable[..., Any], content: Message) -> Picture:
    text = truncate(content.text, MAX_TEXT_CHARACTERS)  # as it is sent
    return Picture(name, builder, "message", {"text": text, "blocks": list(content.blocks)})
