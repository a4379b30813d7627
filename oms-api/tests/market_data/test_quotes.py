"""Quotes over REST: a given quote replaces the one of the price source."""

import json
from datetime import datetime

import pytest

from app.clock import utc_now
from app.config import ConfigurationError
from app.main import create_app
from tests.support.service import build_settings

AAPL = {"bid": "99", "ask": "101", "last": "100", "bid_size": "5", "ask_size": None}


def test_given_quote_is_returned_with_its_age(api):
    response = api.put("/quotes/AAPL", AAPL)
    assert response.status_code == 200
    body = api.get("/quotes/aapl").json()
    assert body == response.json() | {"age_seconds": body["age_seconds"]}
    assert 0 <= body.pop("age_seconds") < 60
    assert datetime.fromisoformat(body.pop("at")) <= utc_now()
    assert body == {
        "symbol": "AAPL",
        "bid": "99.00",
        "ask": "101.00",
        "last": "100.00",
        "mid": "100.00",
        "bid_size": "5",
        "ask_size": None,
        "source": "manual",
    }


def test_newest_quote_replaces_earlier_ones(api):
    api.put("/quotes/AAPL", AAPL)
    api.put("/quotes/AAPL", {"last": "105.5"})
    body = api.get("/quotes/AAPL").json()
    assert body["bid"] is None
    assert body["ask"] is None
    assert body["last"] == "105.50"
    assert body["mid"] is None


def test_symbol_without_a_given_quote_has_the_source_quote(api):
    body = api.get("/quotes/BTC/USD").json()
    assert body["source"] == "simulated"
    assert body["age_seconds"] < 60
    assert api.get("/quotes/BTC%2FUSD").status_code == 200


def test_manual_source_has_only_given_quotes(serve):
    with serve(price_source="manual") as service:
        api = service.create_client()
        response = api.get("/quotes/AAPL")
        assert response.status_code == 404
        assert "AAPL" in response.json()["detail"]
        api.put("/quotes/AAPL", AAPL)
        assert api.get("/quotes/AAPL").status_code == 200
        assert api.get("/bars/MSFT").json() == []


def test_given_quotes_are_separate_for_each_tenant(service):
    first, second = service.create_client(), service.create_client()
    first.put("/quotes/AAPL", AAPL)
    assert second.get("/quotes/AAPL").json()["source"] == "simulated"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"bid": "102"}, "bid"),
        ({"bid": None, "ask": None, "last": None}, "last"),
        ({"last": "0"}, "last"),
        ({"last": "-1"}, "last"),
        ({"ask": "1e3"}, "ask"),
        ({"bid_size": "-1"}, "bid_size"),
        ({"bid_size": "0.123456789"}, "bid_size"),
        ({"at": "2026-01-01T00:00:00Z"}, "at"),
    ],
)
def test_invalid_quote_is_rejected_by_field(api, change, field):
    response = api.put("/quotes/AAPL", AAPL | change)
    assert response.status_code == 422
    assert [bad["field"] for bad in response.json()["errors"]] == [field]


def test_quoted_size_may_be_zero(api):
    assert api.put("/quotes/AAPL", AAPL | {"bid_size": "0"}).json()["bid_size"] == "0"


def test_malformed_json_is_rejected(api):
    sent = {"X-API-Key": api.key, "Content-Type": "text/plain"}
    put = api.service.client.put
    assert put("/api/v1/quotes/AAPL", content=json.dumps(AAPL).encode(), headers=sent).status_code == 415


def test_only_an_admin_key_sets_quotes(service):
    trader = service.create_client("trade")
    assert trader.put("/quotes/AAPL", AAPL).status_code == 403
    assert trader.get("/quotes/AAPL").status_code == 200


def test_unknown_price_source_is_reported(database_url):
    with pytest.raises(ConfigurationError, match="PRICE_SOURCE must be one of alpaca, manual, simulated"):
        create_app(build_settings(database_url, price_source="x"))
