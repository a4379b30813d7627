"""Names that look alike or do not fit in a path, and amounts that do not fit in a column."""

from decimal import Decimal

import pytest

from app.ledger.service.portfolio_state import MAX_AMOUNT
from tests.factories import build_trade_body

pytestmark = pytest.mark.any_database


@pytest.mark.parametrize(
    "name", ["Space 👩\u200d🚀", "Gro\u034fwth", "❤\ufe0f", "Growth\u3164", "\u115fGrowth"]
)
def test_invisible_characters_do_not_create_another_portfolio(api, name):
    response = api.post_trade(portfolio_name=name)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "portfolio_name")
    assert api.post("/portfolios", {"name": name}).status_code == 422
    assert api.get("/portfolios").json() == []


def test_portfolio_name_ignores_variants_of_spaces_quotes_and_dashes(api):
    api.record_trade(portfolio_name="Bob\u2019s \u201clong\u2013short\u201d")
    assert api.record_trade(portfolio_name='bob\'s   "Long-Short"')["sequence"] == 2
    assert api.post("/portfolios", {"name": "Bob\u00b4s"}).status_code == 201
    assert api.post("/portfolios", {"name": "BOB'S  'LONG\u2014SHORT'"}).status_code == 201
    assert api.post("/portfolios", {"name": 'BOB\'S  "LONG\u2014SHORT"'}).status_code == 409
    assert (
        api.get_portfolio('Bob\'s "long-short"')["portfolio_name"] == "Bob\u2019s \u201clong\u2013short\u201d"
    )


def test_label_ignores_variants_of_spaces_and_dashes(api):
    assert api.record_trade(user_id="Ann\u2013Marie  1")["user_id"] == "Ann-Marie 1"
    assert len(api.list_trades(user="Ann\u2014Marie 1")) == 1
    assert api.post_trade(user_id="Ann\u034f").status_code == 422


@pytest.mark.parametrize("name", [".", "..", "\u200d", " \u200c "])
def test_portfolio_name_of_dots_or_invisible_characters_is_rejected(api, name):
    response = api.post_trade(portfolio_name=name)
    assert response.json()["errors"][0]["field"] == "portfolio_name"


@pytest.mark.parametrize("character", ["\ufffe", "\uffff", "\ufdd0", "\U0001fffe"])
def test_invalid_character_is_rejected(api, character):
    assert api.post_trade(note=f"a{character}").status_code == 422


def test_character_unknown_to_this_python_version_is_accepted(api):
    assert api.record_trade(note="\U0001fadf")["note"] == "\U0001fadf"


def test_amount_that_overflows_the_books_is_rejected_and_later_trades_work(serve):
    most = MAX_AMOUNT / 1000
    with serve(max_gmv=Decimal(10) ** 12, max_price=Decimal(10) ** 12) as service:
        api = service.create_client()
        bodies = [build_trade_body(quantity="1", gmv=f"{most:f}", side="BUY")] * 1001
        outcomes = [
            outcome["status"]
            for part in (bodies[:500], bodies[500:])
            for outcome in api.post("/trades:batch", {"trades": part}).json()["outcomes"]
        ]
        assert set(outcomes) == {201, 409}
        assert outcomes.index(409) >= 999
        assert api.post_trade(side="SELL", quantity="1", gmv=f"{most:f}").status_code == 201
