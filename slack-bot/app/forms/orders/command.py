"""Parse the text after `/order`. The order of the words is free."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from app.errors import InvalidCommand
from app.forms.command import MAX_LINE_CHARACTERS, HelpRequest
from app.forms.input_normalization import GROUPING_SPACE, normalize_punctuation
from app.forms.numbers import InvalidAmount, format_plain, parse_amount, parse_quantity
from app.forms.orders import fields
from app.forms.orders.submission import parse_trail
from app.forms.orders.ticket import OrderDraft, OrderType, TimeInForce
from app.forms.price import describe_ambiguous
from app.forms.text import InvalidName, parse_note, parse_portfolio, parse_symbol, unescape
from app.forms.ticket import MAX_GMV, MAX_PRICE, MAX_QUANTITY

EXAMPLE = "`/order buy 50 MSFT limit 410 gtc in Growth sl 395 tp 440`"
TOKEN = re.compile(r'"[^"]*"|\S+')
PRICE_SIGN = re.compile(r"\s*@\s*(?=[\d.$₹€£¥])")
NUMBER = re.compile(r"[-+]?[\d.,]*\d[\d.,]*(?:[eE][+-]?\d+)?", re.ASCII)
MONEY = re.compile(r"[$₹€£¥][\d.,]+", re.ASCII)
SIDES = {"buy": "BUY", "sell": "SELL"}
TYPES = {
    "market": OrderType.MARKET,
    "mkt": OrderType.MARKET,
    "stop-limit": OrderType.STOP_LIMIT,
    "stoplimit": OrderType.STOP_LIMIT,
}
TIMES = {
    time_in_force.value.lower(): time_in_force.value
    for time_in_force in TimeInForce
    if time_in_force is not TimeInForce.GTD
}
AMOUNTS = {
    **dict.fromkeys(("limit", "lmt", "@", "at"), fields.LIMIT),
    **dict.fromkeys(("stop", "stp", "trigger"), fields.STOP),
    **dict.fromkeys(("trail", "trailing"), fields.TRAIL),
    **dict.fromkeys(("sl", "stop-loss", "stoploss"), fields.STOP_LOSS),
    **dict.fromkeys(("tp", "take-profit", "takeprofit", "target"), fields.TAKE_PROFIT),
    **dict.fromkeys(("value", "worth", "notional"), fields.VALUE),
    **dict.fromkeys(("qty", "quantity"), fields.QUANTITY),
}
DATES = ("until", "gtd")
REASONS = ("because", "reason", "note")
FILLERS = ("of", "share", "shares", "unit", "units", "order", "with", "and")
KEYWORDS = frozenset({*SIDES, *TYPES, *TIMES, *AMOUNTS, *DATES, *REASONS, "in", "private"})
END_OF_DAY = timedelta(hours=23, minutes=59)


@dataclass
class _Reader:
    """Read tokens from left to right into the entries of the form."""

    tokens: list[str]
    entries: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    typed: list[tuple[str, str]] = field(default_factory=list)
    type: OrderType | None = None
    is_private: bool = False

    def read_tokens(self) -> None:
        while self.tokens:
            token = self.tokens.pop(0)
            word = normalize_punctuation(token).casefold()
            self._read_keyword(token, word) if word in KEYWORDS else self._read_other(token, word)

    def _read_keyword(self, token: str, word: str) -> None:
        if word in SIDES:
            self._set_entry(fields.SIDE, SIDES[word], token)
        elif word in TIMES:
            self._set_entry(fields.TIME_IN_FORCE, TIMES[word], token)
        elif word in TYPES:
            self.type = TYPES[word]
        elif word == "private":
            self.is_private = True
        elif word in AMOUNTS:
            self._read_amount(AMOUNTS[word], token)
        else:
            self._read_text(token, word)

    def _read_text(self, token: str, word: str) -> None:
        if word in DATES:
            self._read_date(token)
        elif word in REASONS:
            reason = " ".join(self.tokens)
            self.tokens = []
            self._parse_entry(fields.REASON, parse_note, reason, token)
        else:
            self._parse_entry(fields.PORTFOLIO, parse_portfolio, self._read_name(), token)

    def _read_name(self) -> str:
        """Return the words of a portfolio's name: a quoted name, or the words up to the next keyword."""
        name_words: list[str] = []
        while self.tokens and (
            not name_words or normalize_punctuation(self.tokens[0]).casefold() not in KEYWORDS
        ):
            name_words.append(self.tokens.pop(0))
            if normalize_punctuation(name_words[0])[:1] == '"':
                break
        return " ".join(name_words)

    def _read_amount(self, entry: str, token: str) -> None:
        if not self.tokens or normalize_punctuation(self.tokens[0]).casefold() in KEYWORDS:
            self._set_type_without_price(entry, token)
            return
        text = self.tokens.pop(0)
        self._parse_entry(entry, PARSERS[entry], normalize_punctuation(text), f"{token} {text}")
        self.typed.append((fields.LABELS[entry], text))

    def _set_type_without_price(self, entry: str, word: str) -> None:
        types = {
            fields.LIMIT: OrderType.LIMIT,
            fields.STOP: OrderType.STOP,
            fields.TRAIL: OrderType.TRAILING_STOP,
        }
        if entry in types and word != "@":
            self.type = types[entry]
        else:
            self._add_problem(word, "the amount after it is missing")

    def _read_date(self, token: str) -> None:
        text = self.tokens.pop(0) if self.tokens else ""
        try:
            day = datetime.strptime(normalize_punctuation(text), "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            self._add_problem(f"{token} {text}".strip(), "write the date like 2026-12-31")
            return
        self._set_entry(fields.TIME_IN_FORCE, TimeInForce.GTD.value, token)
        self._set_entry(fields.EXPIRES, str(int((day + END_OF_DAY).timestamp())), text)

    def _read_other(self, token: str, word: str) -> None:
        text = normalize_punctuation(token)
        if word in FILLERS:
            return
        if MONEY.fullmatch(text):
            self._parse_entry(fields.VALUE, PARSERS[fields.VALUE], text, token)
        elif NUMBER.fullmatch(text):
            self._parse_entry(fields.QUANTITY, PARSERS[fields.QUANTITY], text, token)
            self.typed.append((fields.LABELS[fields.QUANTITY], text))
        else:
            self._parse_entry(fields.SYMBOL, parse_symbol, text, token)

    def _parse_entry(self, entry: str, parse: Callable[[str], str], text: str, token: str) -> None:
        try:
            self._set_entry(entry, parse(text), token)
        except (InvalidAmount, InvalidName) as error:
            self._add_problem(token, str(error))

    def _set_entry(self, entry: str, text: str, token: str) -> None:
        if self.entries.get(entry, text) != text:
            self._add_problem(token, f"{fields.LABELS[entry].lower()} is already {self.entries[entry]}")
        else:
            self.entries[entry] = text

    def _add_problem(self, token: str, reason: str) -> None:
        self.problems.append(f"“{token}”: {reason.rstrip('.')}")


def _create_amount_parser(largest: Decimal) -> Callable[[str], str]:
    return lambda text: format_plain(parse_amount(text, largest))


PARSERS: dict[str, Callable[[str], str]] = {
    fields.QUANTITY: lambda text: format_plain(parse_quantity(text, MAX_QUANTITY)),
    fields.VALUE: _create_amount_parser(MAX_GMV),
    fields.TRAIL: lambda text: parse_trail(text).text,
    **dict.fromkeys(
        (fields.LIMIT, fields.STOP, fields.STOP_LOSS, fields.TAKE_PROFIT), _create_amount_parser(MAX_PRICE)
    ),
}


def parse_order_command(text: str) -> OrderDraft | HelpRequest:
    """Return the initial entries of the order form for the text after `/order`.

    `read_as` states exactly what was not understood. Raises `InvalidCommand` if nothing was.
    """
    line = PRICE_SIGN.sub(" @ ", GROUPING_SPACE.sub(",", unescape(text))).strip()
    if len(line) > MAX_LINE_CHARACTERS:
        raise InvalidCommand("That line is too long.")
    if line.casefold() in ("help", "?", "--help"):
        return HelpRequest()
    reader = _Reader(TOKEN.findall(line))
    reader.read_tokens()
    if reader.problems and not reader.entries:
        raise InvalidCommand(f"Not understood: {'; '.join(reader.problems)}. Type it like {EXAMPLE}.")
    return _build_draft(reader)


def _build_draft(reader: _Reader) -> OrderDraft:
    entries = dict(reader.entries)
    draft = OrderDraft(**entries, is_private=reader.is_private)  # type: ignore[arg-type]
    not_understood = f"Not understood: {'; '.join(reader.problems)}." if reader.problems else ""
    ambiguous = describe_ambiguous(*((name, text) for name, text in reader.typed if _is_amount(text)))
    read_as = " ".join(part for part in (not_understood, ambiguous) if part)
    has_type = reader.type is not None or not entries.keys().isdisjoint(TYPED_PRICES)
    return replace(
        draft,
        type=(reader.type or _infer_type(entries)).value,
        has_type=has_type,
        has_time_in_force=fields.TIME_IN_FORCE in entries,
        read_as=read_as,
    )


TYPED_PRICES = (fields.LIMIT, fields.STOP, fields.TRAIL)


def _is_amount(text: str) -> bool:
    try:
        parse_amount(text, MAX_GMV)
    except InvalidAmount:
        return False
    return True


def _infer_type(entries: dict[str, str]) -> OrderType:
    if fields.TRAIL in entries:
        return OrderType.TRAILING_STOP
    if fields.STOP in entries:
        return OrderType.STOP_LIMIT if fields.LIMIT in entries else OrderType.STOP
    return OrderType.LIMIT if fields.LIMIT in entries else OrderType.MARKET
