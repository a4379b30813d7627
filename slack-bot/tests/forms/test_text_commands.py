"""Parse commands in words."""

import contextlib
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.errors import InvalidCommand
from app.forms.alerts import AlertRequest
from app.forms.text_commands import EXAMPLES, TextCommand, Verb, parse_text_command

NOW = datetime(2026, 11, 30, 1, 2, tzinfo=UTC)


def parse_line(text) -> TextCommand:
    return parse_text_command(text, NOW)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("positions", {}),
        ("Positions AAPL", {"symbols": ("AAPL",)}),
        ("positions in Growth", {"portfolio": "Growth"}),
        ("positions aapl in “Tech  Fund”", {"symbols": ("AAPL",), "portfolio": "Tech Fund"}),
        ("orders buy AAPL mine", {"side": "BUY", "symbols": ("AAPL",), "is_own": True}),
        ("orders mine aapl BUY", {"side": "BUY", "symbols": ("AAPL",), "is_own": True}),
        ("orders all share", {"is_all": True, "is_shared": True}),
        ("quote aapl $msft", {"symbols": ("AAPL", "MSFT")}),
        ("close 1,000 AAPL of Growth", {"quantity": Decimal(1000), "portfolio": "Growth"}),
        ("cancel O17952360655300000c5d8cbe8", {"order_id": "O17952360655300000c5d8cbe8"}),
        ("trades today", {"since": "2026-11-30T00:00:00Z", "until": "2026-12-01T00:00:00Z"}),
        ("trades yesterday", {"since": "2026-11-29T00:00:00Z", "until": "2026-11-30T00:00:00Z"}),
        ("trades 2026-12", {"since": "2026-12-01T00:00:00Z", "until": "2027-01-01T00:00:00Z"}),
        ("trades 2026-02-28 sell", {"since": "2026-02-28T00:00:00Z", "side": "SELL"}),
        ("export Trades 2026-11", {"table": "trades", "since": "2026-11-01T00:00:00Z"}),
        ("export yesterday cash in Growth", {"table": "cash", "portfolio": "Growth"}),
        ("portfolio Growth in Asia share", {"portfolio": "Growth in Asia", "is_shared": True}),
        ("portfolio", {"portfolio": ""}),
        ("halt in Growth", {"portfolio": "Growth"}),
        ("positions <http://BRK.B|BRK.B>", {"symbols": ("BRK.B",)}),
        ("<@U0BOT> positions   M&amp;M", {"symbols": ("M&M",)}),
    ],
)
def test_words_come_in_any_order_and_the_portfolio_comes_last(text, fields):
    command = parse_line(text)
    assert {name: getattr(command, name) for name in fields} == fields


@pytest.mark.parametrize(
    "text", ["", "help", "?", "HELP", "<@U0BOT>", "positions help", "cancel ?", "halt --help"]
)
def test_every_verb_has_help(text):
    assert parse_line(text).verb is Verb.HELP


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("postions", "Did you mean `positions`?"),
        ("ordrs", "Did you mean `orders`?"),
        ("resum", "Did you mean `resume`?"),
        ("xyzzy", "Unknown word “xyzzy”."),
        ("trade", "type `/trade`"),
        ("alert AAPL", "That alert is not understood."),
        ("alert AAPL above x", "That alert is not understood."),
        ("alert AAPL at 5", "That alert is not understood."),
        ("alert AAPL over 5", "Did you mean `above`?"),
        ("alert MSFT abovv 400", "“abovv” is not understood. Did you mean `above`?"),
        ("alert pnl Belw -5 in Growth", "“Belw” is not understood. Did you mean `below`?"),
        ("alert pnl below -5", "of a portfolio"),
        ("alert AAPL above 5 in Growth", "of a portfolio"),
        ("export ticks", "“ticks” is not understood after `export`"),
        ("export trades AAPL", "Type it like `export trades 2026-11 in Growth`"),
        ("positions AAPL MSFT", "“MSFT” is not understood after `positions`"),
        ("risk now", "“now” is not understood after `risk`"),
        ("quote in Growth", "“in Growth” is not understood after `quote`"),
        ("close 1e3 AAPL", "without an exponent"),
        ("trades 2026-13", "is not a day or month"),
        ("trades 2026-02-30", "is not a day or month"),
        ("positions in a/b", "must not contain a slash"),
        ("quote " + "A " * 11, "not understood"),
        ("x" * 401, "too long"),
    ],
)
def test_unknown_words_are_quoted(text, sentence):
    with pytest.raises(InvalidCommand) as caught:
        parse_line(text)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("verb", Verb)
def test_example_of_each_verb_is_understood(verb):
    assert parse_line(EXAMPLES[verb]).verb is verb


@pytest.mark.parametrize("text", ["cancel AAPL in Growth", "close 5 AAPL", "halt", "resume"])
def test_text_of_a_command_is_parsed_again_to_the_same_command(text):
    command = parse_line(text)
    assert parse_line(command.text) == command


@pytest.mark.parametrize(
    "junk", ["\u202e" * 10, "😀 🚀", "/", "//", "-", "`positions`", "\x00", "<!channel>", "in", "share"]
)
def test_any_text_is_parsed_or_refused(junk):
    with contextlib.suppress(InvalidCommand):
        assert isinstance(parse_line(junk), TextCommand)


@pytest.mark.parametrize(
    ("text", "alert"),
    [
        ("alert aapl above 1,200.50", AlertRequest("price", "AAPL", "", "above", "1200.50")),
        ("alert AAPL below $200 repeat", AlertRequest("price", "AAPL", "", "below", "200", is_repeated=True)),
        ("alert pnl below -500 in Growth", AlertRequest("day_pnl", "", "Growth", "below", "-500")),
        ("alert drawdown above 5% in Growth", AlertRequest("drawdown", "", "Growth", "above", "5")),
        ("alert remove A179", AlertRequest(removed_id="A179")),
    ],
)
def test_alerts_are_on_a_symbol_or_a_portfolio(text, alert):
    assert parse_line(text).alert == alert
