from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidEntries
from app.forms.questions import build_portfolio_id
from app.forms.submission import list_confirmed, parse_draft, read_draft
from app.forms.text import InvalidName, parse_note, parse_portfolio, parse_symbol
from app.forms.ticket import Draft, Side
from tests import factories


def test_filled_form_becomes_a_ticket():
    ticket = parse_draft(read_draft(factories.build_state(symbol=" aapl ", quantity="1,000", note=" why ")))
    assert ticket.symbol == "AAPL"
    assert ticket.quantity == Decimal(1000)
    assert ticket.side == Side.BUY
    assert ticket.note == "why"
    assert ticket.price == Decimal("17.5")


def test_ticket_of_a_form_rebuilds_the_form():
    ticket = factories.build_ticket(note="why")
    assert parse_draft(ticket.draft()) == ticket


def test_all_bad_fields_are_named_at_once():
    draft = Draft("!", "1e3", "-1", "", "a/b", "\u202e")
    with pytest.raises(InvalidEntries) as bad:
        parse_draft(draft)
    assert set(bad.value.sentences) == {"symbol", "quantity", "gmv", "side", "portfolio", "note"}


def test_empty_form_needs_everything_but_the_note():
    with pytest.raises(InvalidEntries) as bad:
        parse_draft(read_draft({}))
    assert set(bad.value.sentences) == {"symbol", "quantity", "price", "side", "portfolio"}


AMOUNTS = [
    ({"price": "175"}, "17500", "175"),
    ({"gmv": "17500"}, "17500", "175"),
    ({"price": "175", "gmv": "17500"}, "17500", "175"),
    ({"price": "175.33", "gmv": "17533.3"}, "17533.3", "175.333"),
    ({"price": "175.333", "gmv": "17533.3"}, "17533.3", "175.333"),
]


@pytest.mark.parametrize(("typed", "gmv", "price"), AMOUNTS)
def test_trade_needs_a_price_or_a_gmv_or_both_if_they_agree(typed, gmv, price):
    draft = replace(Draft("X", "100", "", "BUY", "Growth"), **typed)
    ticket = parse_draft(draft)
    assert ticket.gmv == Decimal(gmv)
    assert ticket.price == Decimal(price)
    assert ticket.draft() == draft, "what was typed stays, and nothing else is filled in"


@pytest.mark.parametrize(
    ("typed", "block_id", "sentence"),
    [
        ({"price": "175", "gmv": "17400"}, "gmv", "Quantity × price is 17,500.00, not 17,400.00."),
        ({"price": "33", "gmv": "3333.33"}, "gmv", "Quantity × price is 3,300.00, not 3,333.33."),
        ({"price": "1000000"}, "", ""),
        ({"price": "1000001"}, "price", "The largest that can be traded is 1,000,000."),
        ({"price": "x", "gmv": "17500"}, "price", "Enter a plain number"),
        ({}, "price", "Enter a price per share or a GMV."),
    ],
)
def test_price_and_gmv_that_do_not_agree_are_refused_at_a_field(typed, block_id, sentence):
    draft = replace(Draft("X", "100", "", "BUY", "Growth"), **typed)
    if not block_id:
        assert parse_draft(draft).gmv == Decimal(100_000_000)
        return
    with pytest.raises(InvalidEntries) as bad:
        parse_draft(draft)
    assert list(bad.value.sentences) == [block_id]
    assert bad.value.sentences[block_id].startswith(sentence)


def test_product_that_cannot_be_traded_is_refused_at_the_price():
    for quantity, price in (("1000000", "1000000"), ("0.00000001", "0.00000001")):
        with pytest.raises(InvalidEntries) as bad:
            parse_draft(Draft("X", quantity, "", "BUY", "Growth", price=price))
        assert list(bad.value.sentences) == ["price"]


@pytest.mark.parametrize(("quantity", "gmv"), [("0.00000001", "1"), ("1000000", "0.00000001")])
def test_price_outside_the_limits_is_refused_at_the_gmv(quantity, gmv):
    with pytest.raises(InvalidEntries) as bad:
        parse_draft(Draft("X", quantity, gmv, "BUY", "Growth"))
    assert list(bad.value.sentences) == ["gmv"]


def test_only_ticked_questions_are_confirmed():
    state = (
        factories.build_state()
        | factories.build_confirmed_price_state("175")
        | factories.build_new_portfolio_state("Growht")
    )
    assert list_confirmed(state) == ["price_ok:AAPL:175", build_portfolio_id("Growht")]
    assert list_confirmed({"price_ok:AAPL:175": {"entry": {"selected_options": []}}}) == []


@pytest.mark.parametrize(
    "name",
    [
        *("", "  ", "a/b", "x" * 101, "a\u202eb", "a\x00b", "zero\u200bwidth", "\u200d \u200c", ".", ".."),
        *("Gro\u200dwth", "Gro\ufe0fwth", "Gro\u3164wth", "Gro\u034fwth", "Gro\ufffewth"),
    ],
)
def test_portfolio_name_that_would_confuse_is_refused(name):
    with pytest.raises(InvalidName):
        parse_portfolio(name)


def test_names_are_normalized():
    assert parse_portfolio(" Cafe\u0301 ") == "Café"
    assert parse_symbol(" brk.b ") == "BRK.B"


def test_symbol_has_up_to_forty_characters():
    assert parse_symbol("a" * 40) == "A" * 40
    with pytest.raises(InvalidName, match="40 characters at most"):
        parse_symbol("a" * 41)


@pytest.mark.parametrize("text", ["👩\u200d🚀", "می\u200cخواهم", "हिन्दी", "🫨 newer than this Python"])
def test_note_may_be_in_any_script_and_contain_emoji(text):
    assert parse_note(text) == text


@pytest.mark.parametrize("text", ["हिन्दी", "🫨 newer than this Python"])
def test_portfolio_name_may_be_in_any_script(text):
    assert parse_portfolio(text) == text


def test_note_has_its_limits():
    assert parse_note(" two\r\nlines ") == "two lines"
    with pytest.raises(InvalidName, match="500"):
        parse_note("x" * 501)


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30), st.text(max_size=120))
def test_any_entries_make_a_ticket_or_sentences(symbol, quantity, gmv, portfolio):
    try:
        ticket = parse_draft(Draft(symbol, quantity, gmv, "SELL", portfolio))
    except InvalidEntries as bad:
        assert all(bad.sentences.values())  # noqa: PT017 - either way out is right
    else:
        assert ticket.quantity > 0
        assert ticket.gmv > 0
