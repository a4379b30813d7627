"""Aliases of instruments: a request with an alias is recorded under the symbol."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from alembic import command
from sqlalchemy import bindparam, event, text

from app.database import Instant, set_tenant_scope, unit_of_work
from app.ids import SortableIds
from app.instruments.rules import Instrument, list_default_aliases
from app.instruments.service import set_terms as set_listing
from app.ledger.rules.keys import PositionKey
from app.ledger.service.batch import LedgerBatch
from app.migrate import build_alembic_config, migrate

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TERMS = {"tick_size": "0.01", "lot_size": "1"}
COINS = {"asset_class": "crypto", "tick_size": "0.01", "lot_size": "0.0001"}


@pytest.mark.parametrize(
    ("instrument", "aliases"),
    [
        (Instrument("BRK.B"), ("BRK-B",)),
        (Instrument("BF-A"), ("BF.A",)),
        (Instrument("BRK.B", currency="CAD"), ()),
        (Instrument("BRK.B", asset_class="option"), ()),
        (Instrument("BAJAJ-AUTO"), ()),
        (Instrument("AAPL"), ()),
        (Instrument("BTC/USD"), ("BTC-USD", "BTCUSD")),
        (Instrument("ETHUSDT", currency="INR"), ("ETH-USDT", "ETH/USDT")),
    ],
)
def test_share_classes_and_crypto_have_their_usual_aliases(instrument, aliases):
    assert list_default_aliases(instrument) == aliases


@pytest.fixture
def api_with_class_shares(api):
    """Provide a desk at which BRK.B is listed and quoted."""
    assert api.put("/instruments/BRK.B", TERMS).json()["aliases"] == ["BRK-B"]
    api.set_quote("BRK-B", "99", "100", "100")
    return api


def test_trades_and_orders_under_an_alias_make_one_position(api_with_class_shares):
    assert api_with_class_shares.record_trade(symbol="BRK.B", quantity="2", gmv="200")["symbol"] == "BRK.B"
    assert api_with_class_shares.record_trade(symbol="brk-b", quantity="3", gmv="300")["symbol"] == "BRK.B"
    assert api_with_class_shares.place_order(symbol="BRK-B", quantity="1")["symbol"] == "BRK.B"
    (body,) = api_with_class_shares.get("/positions", symbol="BRK-B").json()
    assert (body["symbol"], body["quantity"]) == ("BRK.B", "6")
    assert len(api_with_class_shares.get("/positions").json()) == 1
    assert api_with_class_shares.get("/positions/Growth/BRK-B").json()["quantity"] == "6"
    closed = api_with_class_shares.post("/positions:close", {"portfolio_name": "Growth", "symbol": "BRK-B"})
    assert closed.status_code == 201, closed.text
    assert api_with_class_shares.get("/positions/Growth/BRK-B").json()["quantity"] == "0"


def test_lists_quotes_and_bars_accept_an_alias(api_with_class_shares):
    api_with_class_shares.record_trade(symbol="BRK.B", quantity="2", gmv="200")
    api_with_class_shares.place_order(symbol="BRK.B", quantity="1")
    for listing in ("/trades", "/orders", "/positions"):
        body = api_with_class_shares.get(listing, symbol="BRK-B").json()
        assert {item["symbol"] for item in body} == {"BRK.B"}
    assert api_with_class_shares.get("/quotes/BRK-B").json()["symbol"] == "BRK.B"
    assert (
        api_with_class_shares.get("/bars/BRK-B").json()
        == api_with_class_shares.get("/bars/BRK.B").json()
        != []
    )
    assert api_with_class_shares.get("/instruments/BRK-B").json()["symbol"] == "BRK.B"
    assert [item["symbol"] for item in api_with_class_shares.get("/instruments", q="brk-").json()] == [
        "BRK.B"
    ]


def test_batch_of_trades_shows_the_alias_and_the_symbol(api_with_class_shares):
    trades = [
        {"symbol": symbol, "quantity": "1", "price": "100", "side": "BUY", "portfolio_name": "Growth"}
        for symbol in ("BRK-B", "BRK.B", "AAPL", "BRK-B")
    ]
    outcomes = api_with_class_shares.post("/trades:batch", {"trades": trades}).json()["outcomes"]
    assert [outcome["trade"]["symbol"] for outcome in outcomes] == ["BRK.B", "BRK.B", "AAPL", "BRK.B"]
    assert api_with_class_shares.get("/positions/Growth/BRK.B").json()["quantity"] == "3"


def test_order_groups_previews_and_cancels_accept_an_alias(api_with_class_shares):
    limit = {"symbol": "BRK-B", "quantity": "1", "type": "LIMIT", "time_in_force": "GTC"}
    api_with_class_shares.record_trade(symbol="BRK.B", quantity="2", gmv="200")
    first = {**limit, "portfolio_name": "Growth", "side": "SELL", "limit_price": "120"}
    second = {**first, "type": "STOP", "stop_price": "80", "limit_price": None}
    group = {"kind": "OCO", "orders": [first, second]}
    response = api_with_class_shares.post("/orders:group", group)
    assert response.status_code == 201, response.text
    assert [item["symbol"] for item in api_with_class_shares.get("/orders", open="true").json()] == [
        "BRK.B",
        "BRK.B",
    ]
    ticket = {"symbol": "BRK-B", "quantity": "1", "side": "BUY", "type": "MARKET", "portfolio_name": "Growth"}
    preview = api_with_class_shares.post("/orders:preview", ticket).json()
    assert (preview["symbol"], preview["position_after"]) == ("BRK.B", "3")
    api_with_class_shares.post("/orders:cancel-all", {"symbol": "BRK-B"})
    assert api_with_class_shares.get("/orders", open="true").json() == []


def test_limits_under_an_alias_apply_to_the_instrument(api_with_class_shares):
    limit = {"scope": "instrument", "name": "BRK-B", "code": "MAX_ORDER_QUANTITY", "value": "2"}
    assert api_with_class_shares.put("/limits", limit).json()["name"] == "BRK.B"
    assert (
        api_with_class_shares.post_order(symbol="BRK.B", quantity="3").json()["denial"]["code"]
        == "MAX_ORDER_QUANTITY"
    )
    allowed = {"scope": "tenant", "name": None, "code": "ALLOWED_SYMBOLS", "value": "brk-b,AAPL"}
    assert api_with_class_shares.put("/limits", allowed).json()["value"] == "AAPL,BRK.B"
    assert api_with_class_shares.post_order(symbol="BRK-B", quantity="1").status_code == 201


def test_repeated_request_gets_the_first_answer_after_the_alias_is_removed(api_with_class_shares):
    first = api_with_class_shares.record_trade("once", symbol="BRK-B", quantity="2", gmv="200")
    assert api_with_class_shares.put("/instruments/BRK.B", {**TERMS, "aliases": []}).json()["aliases"] == []
    assert api_with_class_shares.record_trade("once", symbol="BRK-B", quantity="2", gmv="200") == first
    assert api_with_class_shares.get("/positions/Growth/BRK.B").json()["quantity"] == "2"
    assert api_with_class_shares.record_trade(symbol="BRK-B", quantity="1", gmv="100")["symbol"] == "BRK-B"


def test_terms_can_be_set_under_an_alias_and_aliases_stay_unless_sent(api_with_class_shares):
    response = api_with_class_shares.put(
        "/instruments/BRK.B", {**TERMS, "aliases": [" brk/b ", "BRK-B", "BRK-B"]}
    )
    assert response.json()["aliases"] == ["BRK-B", "BRK/B"]
    renamed = api_with_class_shares.put("/instruments/BRK%2FB", {**TERMS, "lot_size": "5"}).json()
    assert (renamed["symbol"], renamed["lot_size"], renamed["aliases"]) == ("BRK.B", "5", ["BRK-B", "BRK/B"])
    assert [item["aliases"] for item in api_with_class_shares.get("/instruments").json()] == [
        ["BRK-B", "BRK/B"]
    ]
    newest = api_with_class_shares.get("/audit", action="instrument.set").json()[0]
    assert (newest["target"], newest["after"]["aliases"]) == ("BRK.B", ["BRK-B", "BRK/B"])


def test_alias_must_not_name_another_instrument(api_with_class_shares):
    api_with_class_shares.put("/instruments/AAPL", {**TERMS, "aliases": ["APPLE"]})
    for aliases, number, sentence in (
        (["MINE", "BRK.B"], 1, "BRK.B is an instrument itself; leave it out."),
        (["AAPL"], 0, "AAPL is an instrument itself; leave it out."),
        (["APPLE"], 0, "APPLE is an alias of AAPL; remove it there first."),
    ):
        response = api_with_class_shares.put("/instruments/BRK.B", {**TERMS, "aliases": aliases})
        assert response.status_code == 422
        (error,) = response.json()["errors"]
        assert (error["field"], error["message"]) == (f"aliases.{number}", sentence)
    assert api_with_class_shares.get("/instruments/BRK.B").json()["aliases"] == ["BRK-B"]


@pytest.mark.parametrize("aliases", [["A B"], [f"A{number}" for number in range(11)], "BRK-B"])
def test_number_and_format_of_aliases_are_limited(api, aliases):
    assert api.put("/instruments/BRK.B", {**TERMS, "aliases": aliases}).status_code == 422


def test_name_in_use_cannot_become_an_alias(api):
    api.record_trade(symbol="BRK-B", quantity="2", gmv="200")
    assert api.put("/instruments/BRK.B", TERMS).json()["aliases"] == []
    response = api.put("/instruments/BRK.B", {**TERMS, "aliases": ["BRK-B"]})
    assert response.status_code == 409
    assert response.json()["detail"].startswith("BRK-B cannot become an alias while positions")
    limit = {"scope": "instrument", "name": "BRKB", "code": "MAX_ORDER_QUANTITY", "value": "2"}
    assert api.put("/limits", limit).status_code == 200
    assert api.put("/instruments/BRK.B", {**TERMS, "aliases": ["BRKB"]}).status_code == 409
    api.record_trade(symbol="BRK-B", side="SELL", quantity="2", gmv="200")
    assert api.put("/instruments/BRK.B", {**TERMS, "aliases": ["BRK-B"]}).status_code == 200
    assert {item["symbol"] for item in api.get("/trades").json()} == {"BRK-B"}  # history stays as it is


def test_crypto_pair_is_one_instrument(api):
    api.put("/instruments/BTC/USD", COINS)
    for symbol in ("BTC-USD", "BTCUSD", "BTC/USD"):
        assert api.record_trade(symbol=symbol, quantity="0.1", gmv="6000")["symbol"] == "BTC/USD"
    assert api.get("/positions/Growth/BTC/USD").json()["quantity"] == "0.3"


def test_trade_under_an_alias_is_in_the_instrument_currency(api):
    api.put("/instruments/INFY", {**TERMS, "currency": "INR", "aliases": ["INFY.NS"]})
    trade = api.record_trade(symbol="INFY.NS", quantity="1", gmv="1500")
    assert (trade["symbol"], trade["currency"]) == ("INFY", "INR")


def test_concurrent_listings_create_one_instrument(service, api):
    def list_instrument(symbol):
        with unit_of_work(service.engine) as connection:
            set_tenant_scope(connection, [api.tenant_id])
            if connection.dialect.name == "postgresql":  # the other one commits late on a slow machine
                connection.execute(text("SET LOCAL lock_timeout = '60s'"))
            terms = Instrument(symbol, is_listed=True)
            listing_change = set_listing(connection, api.tenant_id, terms, None, nobody, nobody, NOON)
            time.sleep(0.2)
        return listing_change.updated.terms.symbol

    def nobody(*_):
        return ()

    with ThreadPoolExecutor(2) as both:
        first, second = both.map(list_instrument, ("BRK.B", "BRK-B"))
    assert first == second
    assert [item["symbol"] for item in api.get("/instruments").json()] == [first]


def test_name_becomes_an_alias_after_running_trades_are_recorded(service, api):
    api.record_trade(symbol="AAPL", quantity="1", gmv="100")
    lock = text("UPDATE portfolios SET cash = cash WHERE tenant_id = :tenant_id")
    with ThreadPoolExecutor(1) as thread:
        with unit_of_work(service.engine) as connection:
            set_tenant_scope(connection, [api.tenant_id])
            connection.execute(lock, {"tenant_id": api.tenant_id})
            listed = thread.submit(api.put, "/instruments/BRK.B", TERMS)
            time.sleep(0.1)  # much less than the service waits for a lock
            assert not listed.done()
        assert listed.result().json()["aliases"] == ["BRK-B"]


def test_each_tenant_has_its_own_aliases(service, api_with_class_shares):
    other = service.create_client()
    assert other.record_trade(symbol="BRK-B")["symbol"] == "BRK-B"


def test_batch_of_trades_makes_one_extra_query_only_for_an_alias(service, api_with_class_shares):
    statements: list[str] = []
    with service.open_connection() as connection:
        set_tenant_scope(connection, [api_with_class_shares.tenant_id])
        event.listen(connection, "before_cursor_execute", lambda *args: statements.append(args[2]))
        for symbol, count in (("AAPL", 1), ("BRK.B", 1), ("BRK-B", 2)):
            statements.clear()
            LedgerBatch(connection, SortableIds()).load_positions(
                [PositionKey(api_with_class_shares.tenant_id, 0, symbol, "")]
            )
            assert len([statement for statement in statements if "positions" in statement]) == count


_LIST_BEFORE = text(
    "INSERT INTO instruments (tenant_id, symbol, exchange, asset_class, currency, tick_size, lot_size, "
    "is_tradable, is_restricted, name, updated_at) "
    "VALUES (1, :symbol, '', 'equity', 'USD', '0.01', '1', true, false, '', :at)"
).bindparams(bindparam("at", type_=Instant))


def test_migration_gives_listed_instruments_their_usual_aliases(engine):
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        command.downgrade(build_alembic_config(connection), "0012")
        for symbol in ("BRK.B", "BF.A", "BF-A", "BTC/USD"):
            connection.execute(_LIST_BEFORE, {"symbol": symbol, "at": NOON})
        connection.execute(
            text(
                "INSERT INTO quotes (tenant_id, symbol, last, at, source) "
                "VALUES (1, 'BTCUSD', '1.00000000', '2026-11-20T12:00:00.000000Z', 'manual')"
            )
            if connection.dialect.name == "sqlite"
            else text(
                "INSERT INTO quotes (tenant_id, symbol, last, at, source) "
                "VALUES (1, 'BTCUSD', 1, '2026-11-20T12:00:00Z', 'manual')"
            )
        )
    migrate(engine)
    with engine.connect() as connection:
        aliases = connection.execute(text("SELECT alias, symbol FROM instrument_aliases ORDER BY 1")).all()
    assert [tuple(row) for row in aliases] == [("BRK-B", "BRK.B"), ("BTC-USD", "BTC/USD")]
