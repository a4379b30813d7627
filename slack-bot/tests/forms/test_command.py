import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import BadCommand
from app.forms.command import HelpWanted, parse_command
from app.forms.ticket import Draft

FULL = Draft("AAPL", "100", "17500", "BUY", "Growth")


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
        ("sell 1,000 BRK.B @ 0.5", Draft("BRK.B", "1000", "500", "SELL")),
        ("sell 0.5 BTC/USD in My own book", Draft("BTC/USD", "0.5", "", "SELL", "My own book")),
        ("buy 3 X @ 3.33333333 in R&amp;D", Draft("X", "3", "9.99999999", "BUY", "R&D")),
    ],
)
def test_a_line_fills_the_form_as_far_as_it_goes(typed, draft):
    assert parse_command(typed) == draft


@pytest.mark.parametrize("typed", ["help", " HELP ", "?"])
def test_help_is_understood(typed):
    assert isinstance(parse_command(typed), HelpWanted)


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
        "A" * 21,
    ],
)
def test_junk_is_refused_with_a_sentence(typed):
    with pytest.raises(BadCommand, match=r"\.$"):
        parse_command(typed)


@given(st.text(max_size=500))
def test_any_text_is_a_draft_help_or_a_sentence(text):
    try:
        parse_command(text)
    except BadCommand as refused:
        assert str(refused)  # noqa: PT017 - either way out is right
