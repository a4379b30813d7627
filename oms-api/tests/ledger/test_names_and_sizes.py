"""Names that look alike or cannot be asked for, and amounts that no column holds."""

from decimal import Decimal

import pytest

from app.ledger.service.books import CEILING
from tests.factories import trade_body


def test_joiners_are_text_and_do_not_make_another_portfolio(desk):
    astronaut = "👩\u200d🚀"
    assert desk.trade(portfolio_name=f"Space {astronaut}")["portfolio_name"] == f"Space {astronaut}"
    assert desk.trade(portfolio_name="Space 👩🚀")["sequence"] == 2


@pytest.mark.parametrize("name", [".", "..", "\u200d", " \u200c "])
def test_a_name_that_cannot_be_asked_for_or_seen_is_refused(desk, name):
    answer = desk.report(portfolio_name=name)
    assert answer.json()["errors"][0]["field"] == "portfolio_name"


@pytest.mark.parametrize("character", ["\ufffe", "\uffff", "\ufdd0", "\U0001fffe"])
def test_what_is_no_character_is_refused(desk, character):
    assert desk.report(note=f"a{character}").status_code == 422


def test_a_character_newer_than_this_python_is_taken(desk):
    assert desk.trade(note="\U0001fadf")["note"] == "\U0001fadf"


def test_an_amount_that_the_books_cannot_hold_is_refused_and_the_book_goes_on(serve):
    most = CEILING / 1000
    with serve(max_gmv=Decimal(10) ** 12, max_price=Decimal(10) ** 12) as service:
        desk = service.desk()
        bodies = [trade_body(quantity="1", gmv=f"{most:f}", side="BUY")] * 1001
        outcomes = [
            one["status"]
            for part in (bodies[:500], bodies[500:])
            for one in desk.post("/trades:batch", {"trades": part}).json()["outcomes"]
        ]
        assert set(outcomes) == {201, 409}
        assert outcomes.index(409) >= 999
        assert desk.report(side="SELL", quantity="1", gmv=f"{most:f}").status_code == 201
