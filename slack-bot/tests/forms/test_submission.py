from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import BadFields
from app.forms.questions import portfolio_id
from app.forms.submission import answers, parse_draft, read_draft
from app.forms.text import NotAName, parse_note, parse_portfolio, parse_symbol
from app.forms.ticket import Draft, Side
from tests import factories


def test_a_filled_form_becomes_a_ticket():
    ticket = parse_draft(read_draft(factories.state(symbol=" aapl ", quantity="1,000", note=" why ")))
    assert (ticket.symbol, ticket.quantity, ticket.side, ticket.note) == (
        "AAPL",
        Decimal(1000),
        Side.BUY,
        "why",
    )
    assert ticket.price == Decimal("17.5")


def test_a_ticket_makes_the_same_form_again():
    ticket = factories.ticket(note="why")
    assert parse_draft(ticket.draft()) == ticket


def test_all_bad_fields_are_named_at_once():
    draft = Draft("!", "1e3", "-1", "", "a/b", "\u202e")
    with pytest.raises(BadFields) as bad:
        parse_draft(draft)
    assert set(bad.value.sentences) == {"symbol", "quantity", "gmv", "side", "portfolio", "note"}


def test_an_empty_form_needs_everything_but_the_note():
    with pytest.raises(BadFields) as bad:
        parse_draft(read_draft({}))
    assert set(bad.value.sentences) == {"symbol", "quantity", "gmv", "side", "portfolio"}


@pytest.mark.parametrize(("quantity", "gmv"), [("0.00000001", "1"), ("1000000", "0.00000001")])
def test_a_price_beyond_the_books_limits_is_refused_at_the_gmv(quantity, gmv):
    with pytest.raises(BadFields) as bad:
        parse_draft(Draft("X", quantity, gmv, "BUY", "Growth"))
    assert list(bad.value.sentences) == ["gmv"]


def test_what_is_ticked_is_an_answer_and_nothing_else_is():
    state = factories.state() | factories.ticked("175") | factories.opens("Growht")
    assert answers(state) == ["price_ok:AAPL:175", portfolio_id("Growht")]
    assert answers({"price_ok:AAPL:175": {"entry": {"selected_options": []}}}) == []


@pytest.mark.parametrize(
    "name", ["", "  ", "a/b", "x" * 101, "a\u202eb", "a\x00b", "zero\u200bwidth", "\u200d \u200c", ".", ".."]
)
def test_a_portfolio_name_that_would_confuse_is_refused(name):
    with pytest.raises(NotAName):
        parse_portfolio(name)


def test_names_are_normalised():
    assert parse_portfolio(" Cafe\u0301 ") == "Café"
    assert parse_symbol(" brk.b ") == "BRK.B"


@pytest.mark.parametrize("text", ["👩\u200d🚀", "می\u200cخواهم", "हिन्दी", "🫨 newer than this Python"])
def test_scripts_and_emoji_are_taken_as_the_oms_takes_them(text):
    assert parse_portfolio(text) == parse_note(text) == text


def test_a_note_has_its_limits():
    assert parse_note(" two\r\nlines ") == "two lines"
    with pytest.raises(NotAName, match="500"):
        parse_note("x" * 501)


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30), st.text(max_size=120))
def test_any_entries_make_a_ticket_or_sentences(symbol, quantity, gmv, portfolio):
    try:
        ticket = parse_draft(Draft(symbol, quantity, gmv, "SELL", portfolio))
    except BadFields as bad:
        assert all(bad.sentences.values())  # noqa: PT017 - either way out is right
    else:
        assert ticket.quantity > 0
        assert ticket.gmv > 0
