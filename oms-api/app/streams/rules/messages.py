"""The messages of clients: parsed, and refused with a reason."""

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from typing_extensions import override

from app.instruments.rules import normalize_symbol
from app.streams.errors import MessageRefused

MAX_CHANNELS_IN_MESSAGE = 500
MAX_NAME_LENGTH = 400
_FIELDS_BY_ACTION = {
    "auth": {"key", "token", "on_behalf_of"},
    "subscribe": {"channels", "after"},
    "unsubscribe": {"channels"},
    "ping": set[str](),
}


class ChannelKind(StrEnum):
    """The kind of items in a channel."""

    ORDERS = "orders"
    POSITIONS = "positions"
    TRADES = "trades"
    EVENTS = "events"
    QUOTES = "quotes"
    PNL = "pnl"


# The event types of each channel of events; None: all.
EVENT_TYPES: dict[ChannelKind, tuple[str, ...] | None] = {
    ChannelKind.ORDERS: ("order.*",),
    ChannelKind.POSITIONS: ("position.*",),
    ChannelKind.TRADES: ("trade.*",),
    ChannelKind.EVENTS: None,
}
_NAMED_KINDS = frozenset({ChannelKind.QUOTES, ChannelKind.PNL})


class StreamChannel(NamedTuple):
    """A channel: its kind, and the symbol of quotes or the portfolio of P&L ("": all portfolios)."""

    kind: ChannelKind
    name: str = ""

    @override
    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else str(self.kind)


class Authenticate(NamedTuple):
    """A client sends its key or its access token, and for a key the person that it acts for."""

    key: str | None
    token: str | None
    on_behalf_of: str | None


class Subscribe(NamedTuple):
    """A client wants channels; those of events from after an event on, None: from now on."""

    channels: tuple[StreamChannel, ...]
    after: str | None


class Unsubscribe(NamedTuple):
    """A client does not want channels any more."""

    channels: tuple[StreamChannel, ...]


class Ping(NamedTuple):
    """A client asks for an answer."""


ClientMessage = Authenticate | Subscribe | Unsubscribe | Ping


def parse_message(text: str) -> ClientMessage:
    """Parse a message. Raises MessageRefused."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise MessageRefused("malformed", "Send a JSON object.") from None
    if not isinstance(value, dict):
        raise MessageRefused("malformed", "Send a JSON object.")
    action = value.pop("action", None)
    fields = _FIELDS_BY_ACTION.get(action) if isinstance(action, str) else None
    if fields is None:
        raise MessageRefused("unknown_action", f"`action` must be one of {', '.join(_FIELDS_BY_ACTION)}.")
    unknown = sorted(value.keys() - fields)
    if unknown:
        name = unknown[0][:40].encode("ascii", "backslashreplace").decode()  # it may not be valid Unicode
        raise MessageRefused("unknown_field", f"Unknown field `{name}` in `{action}`.")
    return _build_message(action, value)


def _build_message(action: str, value: dict[str, Any]) -> ClientMessage:
    if action == "auth":
        return Authenticate(*(_read_text(value, name) for name in ("key", "token", "on_behalf_of")))
    if action == "subscribe":
        return Subscribe(_read_channels(value), _read_text(value, "after"))
    return Unsubscribe(_read_channels(value)) if action == "unsubscribe" else Ping()


def _read_text(value: dict[str, Any], name: str) -> str | None:
    text = value.get(name)
    if text is not None and not isinstance(text, str):
        raise MessageRefused("malformed", f"`{name}` must be a string.")
    return text


def _read_channels(value: dict[str, Any]) -> tuple[StreamChannel, ...]:
    names = value.get("channels")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise MessageRefused("malformed", '`channels` must be a list of names, such as ["orders"].')
    if len(names) > MAX_CHANNELS_IN_MESSAGE:
        raise MessageRefused("too_many", f"Send at most {MAX_CHANNELS_IN_MESSAGE} channels in a message.")
    return tuple(dict.fromkeys(map(parse_channel, names)))


def parse_channel(text: str) -> StreamChannel:
    """Parse the name of a channel, such as "orders" or "quotes:AAPL". Raises MessageRefused."""
    word, colon, name = text.partition(":")
    if word not in set(ChannelKind):
        raise MessageRefused(
            "unknown_channel", f"There is no channel {text[:60]!r}; there are {', '.join(ChannelKind)}."
        )
    kind = ChannelKind(word)
    if kind is ChannelKind.QUOTES:
        return StreamChannel(kind, _require_symbol(name))
    if colon and (kind not in _NAMED_KINDS or not 0 < len(name.strip()) <= MAX_NAME_LENGTH):
        raise MessageRefused("unknown_channel", f"There is no channel {text[:60]!r}.")
    return StreamChannel(kind, name.strip())


def _require_symbol(text: str) -> str:
    symbol = normalize_symbol(text)
    if symbol is None:
        raise MessageRefused("unknown_channel", "Send quotes with a symbol, such as quotes:AAPL.")
    return symbol


def is_origin_allowed(origin: str | None, host: str | None, allowed_origins: Sequence[str]) -> bool:
    """Return whether a page may connect: one of this host, or of the allowed origins.

    Programs send no origin.
    """
    if origin is None or origin in allowed_origins:
        return True
    return host is not None and origin.partition("://")[2].lower() == host.lower()
