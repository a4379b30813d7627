"""Instruments over REST: authorized callers set the terms, and all users of the tenant read them."""

from decimal import Decimal

import pytest

from app.instruments.queries import load_instruments
from app.instruments.rules import Instrument, InstrumentKey, get_unlisted_terms

RELIANCE = {
    "name": "Reliance Industries",
    "exchange": "NSE",
    "asset_class": "equity",
    "currency": "INR",
    "sector": "Energy",
    "tick_size": "0.05",
    "lot_size": "1",
}


def test_terms_are_set_and_read_back(api):
    response = api.put("/instruments/RELIANCE", RELIANCE)
    body = {"symbol": "RELIANCE", **RELIANCE, "tradable": True, "restricted": False, "listed": True}
    body["aliases"] = []
    assert (response.status_code, response.json()) == (200, body)
    assert api.get("/instruments/reliance").json() == body
    assert api.get("/instruments").json() == [body]


def test_terms_are_replaced_as_a_whole(api):
    api.put("/instruments/RELIANCE", {**RELIANCE, "restricted": True})
    changed = api.put("/instruments/RELIANCE", {"tick_size": "0.10", "lot_size": "5", "tradable": False})
    assert changed.json() == {
        "symbol": "RELIANCE",
        "name": "",
        "exchange": "",
        "asset_class": "equity",
        "currency": "USD",
        "sector": "",
        "tick_size": "0.1",
        "lot_size": "5",
        "tradable": False,
        "restricted": False,
        "listed": True,
        "aliases": [],
    }
    assert api.get("/instruments/RELIANCE").json() == changed.json()


@pytest.mark.parametrize(("symbol", "asset_class"), [("NOBODY", "equity"), ("BTC/EUR", "crypto")])
def test_unlisted_symbol_can_be_traded_in_the_finest_steps(api, symbol, asset_class):
    body = api.get(f"/instruments/{symbol}").json()
    assert body["listed"] is False
    assert body["tradable"] is True
    assert body["asset_class"] == asset_class
    assert body["tick_size"] == body["lot_size"] == "0.00000001"
    assert api.get("/instruments").json() == []


def test_symbol_may_contain_a_slash(api):
    api.put("/instruments/BTC/USD", {"asset_class": "crypto", "tick_size": "0.01", "lot_size": "0.0001"})
    assert api.get("/instruments/btc%2Fusd").json()["lot_size"] == "0.0001"


def test_instruments_are_listed_by_symbol_in_pages(api):
    for symbol in ("TCS", "INFY", "RELIANCE"):
        api.put(f"/instruments/{symbol}", RELIANCE | {"name": ""})
    first = api.get("/instruments", limit=2)
    assert [item["symbol"] for item in first.json()] == ["INFY", "RELIANCE"]
    path = first.links["next"]["url"].removeprefix("/api/v1")
    assert [item["symbol"] for item in api.get(path).json()] == ["TCS"]
    assert [item["symbol"] for item in api.get("/instruments", q="i").json()] == ["INFY", "RELIANCE"]


def test_instruments_are_found_by_symbol_and_by_name(api):
    for symbol, name in (
        ("TCS", "Tata Consultancy Services"),
        ("INFY", "Infosys"),
        ("TATA", "Tata 100% Äther"),
    ):
        api.put(f"/instruments/{symbol}", RELIANCE | {"name": name})
    instruments = {
        part: [item["symbol"] for item in api.get("/instruments", q=part).json()]
        for part in ("tat", "TATA CON", " infosys ", "Äther", "0%", "%", "_", "nothing")
    }
    assert instruments == {
        "tat": ["TATA", "TCS"],
        "TATA CON": ["TCS"],
        " infosys ": ["INFY"],
        "Äther": ["TATA"],
        "0%": ["TATA"],
        "%": ["TATA"],
        "_": [],
        "nothing": [],
    }


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "x" * 101}, "name"),
        ({"name": "a\u202eb"}, "name"),
        ({"tick_size": "0"}, "tick_size"),
        ({"lot_size": None}, "lot_size"),
        ({"lot_size": "0.000000001"}, "lot_size"),
        ({"currency": "rupees"}, "currency"),
        ({"asset_class": "house"}, "asset_class"),
        ({"exchange": "New York"}, "exchange"),
        ({"tradable": "yes"}, "tradable"),
        ({"tenant_id": 1}, "tenant_id"),
    ],
)
def test_invalid_terms_are_rejected_by_field(api, change, field):
    response = api.put("/instruments/RELIANCE", RELIANCE | change)
    assert response.status_code == 422
    assert [bad["field"] for bad in response.json()["errors"]] == [field]


def test_invalid_symbol_is_rejected(api):
    assert api.put("/instruments/-", RELIANCE).status_code == 422
    assert api.get("/instruments/%D9%A1").status_code == 422


def test_only_an_admin_key_sets_terms(service):
    trader = service.create_client("trade")
    assert trader.put("/instruments/RELIANCE", RELIANCE).status_code == 403
    assert trader.get("/instruments/RELIANCE").status_code == 200


def test_each_tenant_has_its_own_terms(service):
    first, second = service.create_client(), service.create_client()
    first.put("/instruments/RELIANCE", RELIANCE)
    assert second.get("/instruments").json() == []
    assert second.get("/instruments/RELIANCE").json()["listed"] is False


def test_instruments_of_several_tenants_are_found_together(service, api):
    api.put("/instruments/RELIANCE", RELIANCE)
    instrument_keys = (
        (api.tenant_id, "RELIANCE"),
        (api.tenant_id, "AAPL"),
        (api.tenant_id + 10**6, "RELIANCE"),
    )
    keys = [InstrumentKey(*name) for name in instrument_keys]
    with service.open_connection() as connection:
        instruments = load_instruments(connection, keys)
    instrument = Instrument(
        "RELIANCE",
        "NSE",
        "equity",
        "INR",
        Decimal("0.05"),
        Decimal(1),
        is_listed=True,
        name="Reliance Industries",
        sector="Energy",
    )
    assert list(instruments.values()) == [
        instrument,
        get_unlisted_terms("AAPL"),
        get_unlisted_terms("RELIANCE"),
    ]


def test_change_of_terms_is_audited_with_previous_values(api):
    api.put("/instruments/RELIANCE", RELIANCE)
    api.put("/instruments/RELIANCE", {**RELIANCE, "restricted": True})
    newest, first = api.get("/audit", action="instrument.set").json()
    assert (first["target"], first["before"], first["after"]["restricted"]) == ("RELIANCE", None, False)
    assert (newest["before"]["restricted"], newest["after"]["restricted"]) == (False, True)
    assert newest["actor"].startswith("key:")


@pytest.mark.parametrize(
    ("symbol", "asset_class"),
    [
        *[
            (symbol, "crypto")
            for symbol in ("BTCUSDT", "BTCUSD", "BTC-USD", "BTC/USD", "ETHEUR", "SOL-INR", "XRPUSDC")
        ],
        *[
            (symbol, "equity")
            for symbol in ("AAPL", "BTC", "USDT", "BTCGBP", "BTC.USD", "XBTCUSD", "BTCUSDTX", "BRK-B")
        ],
    ],
)
def test_known_crypto_pair_is_crypto_without_a_listing(symbol, asset_class):
    assert get_unlisted_terms(symbol).asset_class == asset_class
