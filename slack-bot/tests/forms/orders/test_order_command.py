"""The text after `/order`: free word order, and exact sentences about what was not understood."""

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidCommand
from app.forms.command import HelpRequest
from app.forms.orders.command import parse_order_command
from app.forms.orders.ticket import OrderDraft

PARTS = ("buy", "50", "MSFT", "limit 410", "gtc", "in Growth", "sl 395", "tp 440")
FULL = OrderDraft(
    type="LIMIT", symbol="MSFT", side="BUY", quantity="50", limit_price="410", time_in_force="GTC",
    stop_loss="395", take_profit="440", portfolio="Growth",
)  # fmt: skip


def parse_draft(line: str) -> OrderDraft:
    draft = parse_order_command(line)
    assert isinstance(draft, OrderDraft)
    return draft


@given(st.permutations(PARTS))
def test_order_of_the_words_is_free(parts):
    name_end = parts.index("in Growth") + 1
    if name_end < len(parts) and parts[name_end] in ("50", "MSFT"):
        parts[name_end - 1] = 'in "Growth"'  # otherwise the words belong to the name
    assert parse_order_command(" ".join(parts)) == FULL


@pytest.mark.parametrize(
    ("line", "entries"),
    [
        ("", {}),
        ("msft", {"symbol": "MSFT"}),
        ("sell 10 shares of aapl @ 175", {
            "side": "SELL", "quantity": "10", "symbol": "AAPL", "type": "LIMIT", "limit_price": "175",
        }),
        ("buy $AAPL $5,000", {"side": "BUY", "symbol": "AAPL", "value": "5000"}),
        ("buy AAPL value 5000", {"side": "BUY", "symbol": "AAPL", "value": "5000"}),
        ("buy 1,000 AAPL stop 400 limit 405", {
            "side": "BUY", "quantity": "1000", "symbol": "AAPL", "type": "STOP_LIMIT", "stop_price": "400",
            "limit_price": "405",
        }),
        ("sell 5 TSLA trail 5%", {
            "side": "SELL", "quantity": "5", "symbol": "TSLA", "type": "TRAILING_STOP", "trail": "5%",
        }),
        ("buy 5 TSLA limit", {"side": "BUY", "quantity": "5", "symbol": "TSLA", "type": "LIMIT"}),
        ("buy 5 TSLA until 2026-12-31", {
            "side": "BUY", "quantity": "5", "symbol": "TSLA", "time_in_force": "GTD",
            "expires_at": "1798761540",
        }),
        ("buy 5 S in Tech & Co because of the results", {
            "side": "BUY", "quantity": "5", "symbol": "S", "portfolio": "Tech & Co",
            "reason": "of the results",
        }),
        ("buy 5 M&amp;M mkt private", {
            "side": "BUY", "quantity": "5", "symbol": "M&M", "is_private": True,
        }),
        ("buy 5\u00a0000 AAPL @\u00a0175", {
            "side": "BUY", "quantity": "5000", "symbol": "AAPL", "type": "LIMIT", "limit_price": "175",
        }),
    ],
)  # fmt: skip
def test_every_word_has_its_meaning(line, entries):
    assert parse_order_command(line) == OrderDraft(**entries)


@pytest.mark.parametrize(
    ("line", "reported"),
    [
        ("buy 50 MSFT AAPL", "“AAPL”: symbol is already MSFT"),
        ("buy sell MSFT", "“sell”: side is already BUY"),
        ("buy 50 60 MSFT", "“60”: quantity is already 50"),
        ("buy MSFT 1e3", "“1e3”: Write the number out, without an exponent: 1000 instead of 1e3"),
        ("buy MSFT -5", "“-5”: Enter a number above zero"),
        ("buy MSFT sl", "“sl”: the amount after it is missing"),
        ("buy MSFT until tomorrow", "“until tomorrow”: write the date like 2026-12-31"),
        ("buy MSFT in", "Choose a portfolio"),
        ("buy 5 MSFT limit 1,125", "Limit price 1,125 is read as 1125"),
    ],
)
def test_unknown_words_are_reported(line, reported):
    draft = parse_draft(line)
    assert reported in draft.read_as
    assert draft.symbol == "MSFT"


@pytest.mark.parametrize("line", ["1e9", "-5", "sl", "x" * 401, "?!"])
def test_line_without_any_known_word_is_refused(line):
    with pytest.raises(InvalidCommand):
        parse_order_command(line)


@pytest.mark.parametrize("line", ["help", " HELP ", "?", "--help"])
def test_help_is_recognized(line):
    assert isinstance(parse_order_command(line), HelpRequest)


@given(st.text(max_size=100))
def test_every_text_gives_a_command_or_a_known_error(text):
    with contextlib.suppress(InvalidCommand):
        parse_order_command(text)


def test_second_value_of_an_entry_is_reported():
    for first, second in itertools.permutations(("limit 410", "@ 411")):
        draft = parse_draft(f"buy 5 MSFT {first} {second}")
        assert "limit price is already" in draft.read_as
