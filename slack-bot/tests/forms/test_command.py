import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidCommand
from app.forms.command import HelpRequest, parse_command
from app.forms.ticket import Draft

FULL = Draft("AAPL", "100", "", "BUY", "Growth", price="175")


@pytest.mark.parametrize(
    ("typed", "draft"),
    [
        ("", Draft()),
        (" aapl ", Draft("AAPL")),
        ("btc/usd", Draft("BTC/USD")),
        ("buy 100 AAPL @ 175 in Growth", FULL),
        ("BUY 100 aapl @175 IN Growth", FULL),
        ("buy 100 AAPL@175 in Growth", FULL),
        ("buy 100 AAPL at $175 in Growth", FULL),
        ("sell 1,000 BRK.B @ 0.5", Draft("BRK.B", "1000", "", "SELL", price="0.5")),
        ("sell 0.5 BTC/USD in My own book", Draft("BTC/USD", "0.5", "", "SELL", "My own book")),
        ("buy 100 $AAPL at 175 USD in Growth", FULL),
        ("buy 100 shares of AAPL @ $175 in “Growth”", FULL),
        ("buy 100 of aapl @ USD 175 in 'Growth'", FULL),
        ("buy\u00a0100\u00a0AAPL\u00a0@\u00a0175 in Growth", FULL),
        ("buy 1,00,000 AAPL @ ₹175", Draft("AAPL", "100000", "", "BUY", price="175")),
        ("sell 1\u00a0500 AAPL", Draft("AAPL", "1500", "", "SELL")),
        ("buy 1 X in Ava’s book", Draft("X", "1", "", "BUY", "Ava’s book")),
        ("buy 10shares AAPL", Draft("AAPL", "10", "", "BUY")),
        ("buy 10 UNIT @ 5", Draft("UNIT", "10", "", "BUY", price="5")),
        ("$aapl", Draft("AAPL")),
        ("“AAPL”", Draft("AAPL")),
        ("buy 3 X @ 3.33333333 in R&amp;D", Draft("X", "3", "", "BUY", "R&D", price="3.33333333")),
    ],
)
def test_values_of_a_command_fill_the_form(typed, draft):
    assert parse_command(typed) == draft


@pytest.mark.parametrize("typed", ["help", " HELP ", "?"])
def test_help_is_requested(typed):
    assert isinstance(parse_command(typed), HelpRequest)


@pytest.mark.parametrize(
    "typed",
    [
        "$$$",
        "hello there world",
        "buy",
        "buy AAPL",
        "buy 1e3 AAPL",
        "buy -1 AAPL",
        "buy 1 AAPL @ NaN",
        "x" * 500,
        "buy 1 AAPL @ 175 in a/b",
        "buy 1000000 AAPL @ 1000000",
        "buy 0.00000001 X @ 0.00000001",
        "buy 1 !! @ 2",
        "buy 1 AAPL @ ",
        "A" * 41,
        "buy 0,001 BTC/USD @ 60000",
        "buy –5 AAPL",
        "buy 5 AAPL @ —3",
        "buy $100 AAPL",
        "buy 1 000 AAPL",
        "buy 10 shares @ 175",
        "buy 10 shares of @ 175",
    ],
)
def test_invalid_command_is_refused_with_a_sentence(typed):
    with pytest.raises(InvalidCommand, match=r"\.$"):
        parse_command(typed)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("buy 1,125 AAPL @ 1.000", "Quantity 1,125 is read as 1125; Price 1.000 is read as 1"),
        ("buy 1125 AAPL @ 0.001", ""),
    ],
)
def test_ambiguous_numbers_are_explained(typed, expected):
    draft = parse_command(typed)
    assert isinstance(draft, Draft)
    assert draft.read_as == expected


@given(st.text(max_size=500))
def test_any_text_gives_a_draft_help_or_a_refusal(text):
    try:
        parse_command(text)
    except InvalidCommand as error:
        assert str(error)  # noqa: PT017 - both results are correct
