"""Parse the words after `/desk`, `/portfolio` and `/trades`, of a mention, and of a direct message."""

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from app.errors import InvalidCommand
from app.forms.alerts import AlertRequest, parse_alert
from app.forms.input_normalization import normalize_punctuation, strip_name_quotes
from app.forms.numbers import InvalidAmount, parse_quantity
from app.forms.periods import parse_period
from app.forms.text import InvalidName, parse_portfolio, parse_symbol, unescape
from app.forms.ticket import MAX_QUANTITY

MAX_LINE_CHARACTERS = 400
MAX_SYMBOLS = 10
MIN_LIKENESS = 0.6
LINK = re.compile(r"<(?:https?://|mailto:)?([^<>|]+)(?:\|([^<>]+))?>")
MENTION = re.compile(r"<[@!#][^<>]*>")
IN = re.compile(r"(?:^|\s)(?:in|of|for)\s+(\S.*)$", re.IGNORECASE | re.DOTALL)
SHARE = re.compile(r"(?:^|\s)share$", re.IGNORECASE)
ORDER_ID = re.compile(r"O[0-9][0-9a-z]{9,30}", re.ASCII)
HELP_WORDS = ("help", "?", "--help")


class Verb(StrEnum):
    """The request of a person."""

    HELP = "help"
    PORTFOLIO = "portfolio"
    POSITIONS = "positions"
    ORDERS = "orders"
    TRADES = "trades"
    PNL = "pnl"
    QUOTE = "quote"
    RISK = "risk"
    APPROVALS = "approvals"
    ALERT = "alert"
    ALERTS = "alerts"
    WATCH = "watch"
    STRATEGIES = "strategies"
    BACKTEST = "backtest"
    SETTINGS = "settings"
    EXPORT = "export"
    CANCEL = "cancel"
    CLOSE = "close"
    HALT = "halt"
    RESUME = "resume"
    LOGIN = "login"


FORM_VERBS = frozenset(
    {Verb.CANCEL, Verb.CLOSE, Verb.HALT, Verb.RESUME, Verb.SETTINGS, Verb.LOGIN, Verb.BACKTEST}
)  # each opens a form
SYNONYMS = {
    "?": Verb.HELP,
    "--help": Verb.HELP,
    "portfolios": Verb.PORTFOLIO,
    "position": Verb.POSITIONS,
    "holdings": Verb.POSITIONS,
    "p&l": Verb.PNL,
    "pl": Verb.PNL,
    "quotes": Verb.QUOTE,
    "price": Verb.QUOTE,
    "exposure": Verb.RISK,
    "limits": Verb.RISK,
    "approval": Verb.APPROVALS,
    "strategy": Verb.STRATEGIES,
    "stop": Verb.HALT,
    "unhalt": Verb.RESUME,
}
VERBS = {verb.value: verb for verb in Verb} | SYNONYMS
OTHER_COMMANDS = {
    "trade": "To report a trade, type `/trade` in the message box. It opens a form.",
    "order": "To place an order, type `/order` in the message box. It opens a form.",
    "buy": "To report a trade, type `/trade buy 100 AAPL @ 175 in Growth` in the message box.",
    "sell": "To report a trade, type `/trade sell 100 AAPL @ 175 in Growth` in the message box.",
}

EXPORT_TABLES = ("trades", "orders", "positions", "pnl", "cash", "charges", "risk")


class Part(StrEnum):
    """A part of a command that some verbs accept."""

    SYMBOL = "symbol"
    SYMBOLS = "symbols"
    SIDE = "side"
    PERIOD = "period"
    QUANTITY = "quantity"
    ORDER_ID = "order id"
    ALL = "all"
    MINE = "mine"
    TABLE = "table"
    PORTFOLIO = "portfolio"


PARTS: dict[Verb, frozenset[Part]] = {
    Verb.HELP: frozenset(),
    Verb.PORTFOLIO: frozenset(),
    Verb.POSITIONS: frozenset({Part.SYMBOL, Part.PORTFOLIO}),
    Verb.ORDERS: frozenset({Part.SYMBOL, Part.SIDE, Part.ALL, Part.MINE, Part.PORTFOLIO}),
    Verb.TRADES: frozenset({Part.SYMBOL, Part.SIDE, Part.PERIOD, Part.MINE, Part.PORTFOLIO}),
    Verb.PNL: frozenset({Part.PORTFOLIO}),
    Verb.QUOTE: frozenset({Part.SYMBOLS}),
    Verb.RISK: frozenset({Part.PORTFOLIO}),
    Verb.APPROVALS: frozenset(),
    Verb.ALERT: frozenset(),
    Verb.ALERTS: frozenset(),
    Verb.WATCH: frozenset({Part.SYMBOLS}),
    Verb.STRATEGIES: frozenset(),
    Verb.BACKTEST: frozenset(),
    Verb.SETTINGS: frozenset(),
    Verb.EXPORT: frozenset({Part.TABLE, Part.PERIOD, Part.PORTFOLIO}),
    Verb.CANCEL: frozenset({Part.SYMBOL, Part.SIDE, Part.ORDER_ID, Part.ALL, Part.PORTFOLIO}),
    Verb.CLOSE: frozenset({Part.SYMBOL, Part.QUANTITY, Part.PORTFOLIO}),
    Verb.HALT: frozenset({Part.PORTFOLIO}),
    Verb.RESUME: frozenset({Part.PORTFOLIO}),
    Verb.LOGIN: frozenset(),
}
EXAMPLES: dict[Verb, str] = {
    Verb.HELP: "help",
    Verb.PORTFOLIO: "portfolio Growth",
    Verb.POSITIONS: "positions AAPL in Growth",
    Verb.ORDERS: "orders AAPL in Growth",
    Verb.TRADES: "trades buy AAPL today in Growth",
    Verb.PNL: "pnl in Growth",
    Verb.QUOTE: "quote AAPL MSFT",
    Verb.RISK: "risk in Growth",
    Verb.APPROVALS: "approvals",
    Verb.ALERT: "alert AAPL above 200",
    Verb.ALERTS: "alerts",
    Verb.WATCH: "watch AAPL MSFT",
    Verb.STRATEGIES: "strategies",
    Verb.BACKTEST: "backtest trend",
    Verb.SETTINGS: "settings",
    Verb.EXPORT: "export trades 2026-11 in Growth",
    Verb.CANCEL: "cancel AAPL in Growth",
    Verb.CLOSE: "close 100 AAPL in Growth",
    Verb.HALT: "halt in Growth",
    Verb.RESUME: "resume",
    Verb.LOGIN: "login",
}

FLAGS: tuple[tuple[Part, tuple[str, ...], Callable[[str], dict[str, Any]]], ...] = (
    (Part.SIDE, ("buy", "sell"), lambda word: {"side": word.upper()}),
    (Part.ALL, ("all",), lambda _word: {"is_all": True}),
    (Part.MINE, ("mine",), lambda _word: {"is_own": True}),
    (Part.TABLE, EXPORT_TABLES, lambda word: {"table": word}),
)


@dataclass(frozen=True)
class TextCommand:
    """A command in words.

    Empty fields were not typed. `since` and `until` are instants in ISO 8601 (UTC). `text` is the command as
    it can be parsed again.
    """

    verb: Verb
    symbols: tuple[str, ...] = ()
    portfolio: str = ""
    side: str = ""
    quantity: Decimal | None = None
    order_id: str = ""
    since: str = ""
    until: str = ""
    is_all: bool = False
    is_own: bool = False
    is_shared: bool = False
    table: str = ""  # to export
    strategy: str = ""  # to test
    alert: AlertRequest | None = None
    text: str = ""

    @property
    def symbol(self) -> str:
        """The symbol, empty if none was typed."""
        return self.symbols[0] if self.symbols else ""


def parse_text_command(text: str, now: datetime) -> TextCommand:
    """Return the command of the text. `now` is the time in UTC. Raises `InvalidCommand`."""
    line = _remove_mentions_and_links(text)
    if len(line) > MAX_LINE_CHARACTERS:
        raise InvalidCommand("That line is too long.")
    word, _, arguments = line.partition(" ")
    if not word:
        return TextCommand(Verb.HELP)
    verb = _parse_verb(word)
    arguments, is_shared = _split_share(arguments.strip())
    if verb is Verb.HELP or arguments.casefold() in HELP_WORDS:
        return TextCommand(Verb.HELP, is_shared=is_shared)
    command = TextCommand(verb, is_shared=is_shared, text=line)
    if verb is Verb.PORTFOLIO:
        return replace(command, portfolio=_parse_portfolio(arguments) if arguments else "")
    if verb is Verb.BACKTEST:
        return replace(command, strategy=strip_name_quotes(arguments))
    if verb is Verb.ALERT:
        return replace(command, alert=parse_alert(normalize_punctuation(arguments)))
    return _parse_parts(command, arguments, now)


def _remove_mentions_and_links(text: str) -> str:
    """Return the text without mentions and links. Slack turns words such as `BRK.B` into links."""
    without = LINK.sub(lambda match: match[2] or match[1], MENTION.sub(" ", text))
    line = unescape(without).replace("\u00a0", " ").strip()
    return re.sub(r"\s+", " ", line).removeprefix("/desk ").removeprefix("/")


def _split_share(arguments: str) -> tuple[str, bool]:
    match = SHARE.search(arguments)
    return (arguments[: match.start()].strip(), True) if match else (arguments, False)


def _parse_verb(word: str) -> Verb:
    name = word.casefold().rstrip("?!.,:") or word
    if name in VERBS:
        return VERBS[name]
    if name in OTHER_COMMANDS:
        raise InvalidCommand(OTHER_COMMANDS[name])
    nearest = difflib.get_close_matches(name, [*VERBS, *OTHER_COMMANDS], 1, MIN_LIKENESS)
    if nearest:
        raise InvalidCommand(f"Unknown word {_quote_word(word)}. Did you mean `{nearest[0]}`?")
    raise InvalidCommand(f"Unknown word {_quote_word(word)}.")


def _quote_word(word: str) -> str:
    return f"“{word[:40]}”"


def _parse_parts(command: TextCommand, arguments: str, now: datetime) -> TextCommand:
    """Return the command with its parts. They may come in any order, a portfolio comes last."""
    accepted = PARTS[command.verb]
    if match := IN.search(arguments):
        if Part.PORTFOLIO not in accepted:
            raise _build_error(command.verb, match[0].strip())
        command = replace(command, portfolio=_parse_portfolio(match[1]))
        arguments = arguments[: match.start()]
    for word in normalize_punctuation(arguments).split():
        command = _add_word(command, accepted, word, now)
    return command


def _add_word(command: TextCommand, accepted: frozenset[Part], word: str, now: datetime) -> TextCommand:
    """Return the command with one more word. Raises `InvalidCommand` if its verb does not accept the word."""
    name = word.casefold()
    period = parse_period(name, now) if Part.PERIOD in accepted else None
    if period:
        return replace(command, since=period[0], until=period[1])
    for part, flag_names, change in FLAGS:
        if part in accepted and name in flag_names:
            return replace(command, **change(name))
    if Part.ORDER_ID in accepted and ORDER_ID.fullmatch(word):
        return replace(command, order_id=word)
    if Part.QUANTITY in accepted and word[0].isdigit() and command.quantity is None:
        return replace(command, quantity=_parse_quantity(word))
    return _add_symbol(command, accepted, word)


def _add_symbol(command: TextCommand, accepted: frozenset[Part], word: str) -> TextCommand:
    most = MAX_SYMBOLS if Part.SYMBOLS in accepted else 1 if Part.SYMBOL in accepted else 0
    if len(command.symbols) >= most:
        raise _build_error(command.verb, word)
    try:
        return replace(command, symbols=(*command.symbols, parse_symbol(word)))
    except InvalidName:
        raise _build_error(command.verb, word) from None


def _build_error(verb: Verb, unparsed: str) -> InvalidCommand:
    return InvalidCommand(
        f"{_quote_word(unparsed)} is not understood after `{verb}`. Type it like `{EXAMPLES[verb]}`."
    )


def _parse_portfolio(text: str) -> str:
    name = strip_name_quotes(text)
    try:
        return parse_portfolio(name)
    except InvalidName as error:
        raise InvalidCommand(str(error)) from None


def _parse_quantity(word: str) -> Decimal:
    try:
        return parse_quantity(word, MAX_QUANTITY)
    except InvalidAmount as error:
        raise InvalidCommand(f"Quantity: {error}") from None
