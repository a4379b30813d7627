"""Symbols of up to 40 characters are stored, filtered and used in paths."""

from urllib.parse import quote

import pytest
from alembic import command
from sqlalchemy import text

from app.instruments.rules import MAX_SYMBOL_CHARACTERS
from app.migrate import build_alembic_config

TERMS = {"tick_size": "0.05", "lot_size": "1"}
SYMBOLS = ("BANKNIFTY24DEC53000CE", "AAPL261218C00250000", "M&M", "BTC/USD", "A" * MAX_SYMBOL_CHARACTERS)


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_symbol_is_traded_listed_quoted_and_found(api, symbol):
    path = quote(symbol, safe="")
    assert api.put(f"/instruments/{path}", TERMS).json()["symbol"] == symbol
    assert api.put(f"/quotes/{path}", {"bid": "99", "ask": "100", "last": "100"}).status_code == 200
    assert api.record_trade(symbol=symbol.lower())["symbol"] == symbol
    placed = api.place_order(symbol=symbol, quantity="1")
    assert (placed["symbol"], placed["status"]) == (symbol, "FILLED")
    for listing in ("/trades", "/orders", "/positions"):
        assert {row["symbol"] for row in api.get(listing, symbol=symbol).json()} == {symbol}
    assert [instrument["symbol"] for instrument in api.get("/instruments", q=symbol).json()] == [symbol]
    for item in (f"/instruments/{path}", f"/quotes/{path}", f"/positions/Growth/{path}"):
        assert api.get(item).json()["symbol"] == symbol
    assert len(api.get(f"/bars/{path}").json()) == 1
    limit = {"scope": "instrument", "name": symbol, "code": "MAX_ORDER_QUANTITY", "value": "2"}
    assert api.put("/limits", limit).status_code == 200
    assert api.post_order(symbol=symbol, quantity="3").json()["denial"]["code"] == "MAX_ORDER_QUANTITY"


def test_symbol_error_states_the_rule(api):
    body = api.post_trade(symbol="A" * (MAX_SYMBOL_CHARACTERS + 1)).json()["errors"][0]
    assert body["message"] == (
        "A symbol has 1 to 40 characters: the letters A to Z, digits and . & / _ - "
        "It begins with a letter or a digit."
    )


def test_long_symbols_keep_the_columns_wide(serve, engine):
    with serve() as service:  # it ends before the downgrade, since its background work locks the database
        service.create_client().put("/instruments/BANKNIFTY24DEC53000CE", TERMS)
    with engine.connect() as connection, pytest.raises(RuntimeError, match="restore a backup instead"):
        command.downgrade(build_alembic_config(connection), "0005")
    with engine.connect() as connection:
        symbols = connection.execute(text("SELECT symbol FROM instruments")).scalars().all()
    assert symbols == ["BANKNIFTY24DEC53000CE"]
