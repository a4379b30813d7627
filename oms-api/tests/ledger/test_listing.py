"""GET /trades: newest first, filtered, in pages; GET /trades/{trade_id}."""

from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.factories import build_trade_body
from tests.support.pages import iterate_pages


@pytest.fixture
def api_with_trades(api):
    """Provide a desk with 24 trades: 2 portfolios × 3 symbols × 2 sides × 2 people."""
    trades = [
        build_trade_body(portfolio_name=name, symbol=symbol, side=side, user_id=user, quantity="1", gmv="1")
        for name in ("Growth", "Income")
        for symbol in ("AAPL", "BTC/USD", "MSFT")
        for side in ("BUY", "SELL")
        for user in ("U1", "U2")
    ]
    response = api.post("/trades:batch", {"trades": trades})
    assert [outcome["status"] for outcome in response.json()["outcomes"]] == [201] * len(trades)
    return api


def get_cursor(response):
    return parse_qs(urlsplit(response.headers["link"].split(">")[0][1:]).query)["cursor"][0]


def test_trades_are_listed_newest_first(api_with_trades):
    ids = [trade["trade_id"] for trade in api_with_trades.list_trades()]
    assert len(ids) == 24
    assert ids == sorted(ids, reverse=True)


def test_empty_list_is_an_empty_array_without_a_link(api):
    response = api.get("/trades")
    assert (response.json(), "link" in response.headers) == ([], False)


@pytest.mark.parametrize(
    ("params", "picked"),
    [
        ({"symbol": " aapl"}, lambda trade: trade["symbol"] == "AAPL"),
        ({"symbol": "BTC/USD"}, lambda trade: trade["symbol"] == "BTC/USD"),
        ({"portfolio": "GROWTH "}, lambda trade: trade["portfolio_name"] == "Growth"),
        ({"side": "SELL"}, lambda trade: trade["side"] == "SELL"),
        ({"user": "U2"}, lambda trade: trade["user_id"] == "U2"),
        (
            {"user": "U1", "side": "BUY", "symbol": "MSFT", "portfolio": "income"},
            lambda trade: [trade[n] for n in ("user_id", "side", "symbol")] == ["U1", "BUY", "MSFT"],
        ),
        ({"portfolio": "nobody's"}, lambda _: False),
        ({"user": "%"}, lambda _: False),
    ],
)
def test_filter_selects_matching_trades(api_with_trades, params, picked):
    everything = api_with_trades.list_trades()
    expected = [trade for trade in everything if picked(trade)]
    if {"user", "portfolio"} <= params.keys():
        expected = [trade for trade in expected if trade["portfolio_name"] == "Income"]
    assert api_with_trades.list_trades(**params) == expected
    if "nobody" not in str(params) and params != {"user": "%"}:
        assert 0 < len(expected) < len(everything)


@pytest.mark.parametrize("limit", [1, 5, 12, 24, 25, 1000])
@pytest.mark.parametrize(
    "filters", [{}, {"portfolio": "Growth"}, {"symbol": "MSFT"}, {"portfolio": "Income", "side": "BUY"}]
)
def test_cursor_pages_together_give_the_whole_list(api_with_trades, limit, filters):
    walked = [
        trade for page in iterate_pages(api_with_trades, "/trades", limit=limit, **filters) for trade in page
    ]
    assert walked == api_with_trades.list_trades(limit=1000, **filters)


def test_page_is_at_most_the_requested_limit(api_with_trades):
    assert [len(page) for page in iterate_pages(api_with_trades, "/trades", limit=10)] == [10, 10, 4]


def test_trades_recorded_during_pagination_do_not_disturb_it(api_with_trades):
    before = api_with_trades.list_trades()
    walk = iterate_pages(api_with_trades, "/trades", limit=10)
    first_page = next(walk)
    api_with_trades.record_trade(portfolio_name="Income")
    for page in walk:
        first_page += page
    assert first_page == before


def test_skip_omits_the_newest_trades(api_with_trades):
    assert api_with_trades.list_trades(skip=20) == api_with_trades.list_trades()[20:]
    assert (
        api_with_trades.list_trades(skip=3, limit=4, portfolio="Growth")
        == api_with_trades.list_trades(portfolio="Growth")[3:7]
    )
    walked = [trade for page in iterate_pages(api_with_trades, "/trades", limit=10, skip=5) for trade in page]
    assert walked == api_with_trades.list_trades()[5:]


def test_time_range_includes_its_start_and_excludes_its_end(api):
    trades = [api.record_trade(quantity=str(number)) for number in range(1, 6)][::-1]
    for index, trade in enumerate(trades):
        at = trade["created_at"]
        not_before = [other for other in trades if other["created_at"] >= at]
        assert api.list_trades(from_=at) == not_before, index
        assert api.list_trades(to_=at) == [other for other in trades if other not in not_before], index
    assert api.list_trades(from_=trades[-1]["created_at"], to_=trades[0]["created_at"]) == trades[1:]


@pytest.mark.parametrize(
    "instant", ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "2001-02-03T04:05:06+05:30"]
)
def test_time_filter_from_the_distant_past_returns_everything(api_with_trades, instant):
    assert len(api_with_trades.list_trades(from_=instant)) == 24
    assert api_with_trades.list_trades(to_=instant) == []


@pytest.mark.parametrize("instant", ["2286-11-20T17:46:40Z", "9999-12-31T23:59:59Z"])
def test_time_filter_from_the_future_returns_nothing(api_with_trades, instant):
    assert api_with_trades.list_trades(from_=instant) == []
    assert len(api_with_trades.list_trades(to_=instant)) == 24


def test_time_filter_respects_the_utc_offset(api):
    at = datetime.fromisoformat(api.record_trade()["created_at"])
    there = (at + timedelta(hours=5, minutes=30)).replace(tzinfo=None).isoformat() + "+05:30"
    assert len(api.list_trades(from_=there)) == 1
    assert api.list_trades(to_=there) == []
    assert len(api.get(f"/trades?from={there}").json()) == 1  # the plus sign unescaped


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "1001"),
        ("limit", "-1"),
        ("limit", "x"),
        ("limit", "1e2"),
        ("limit", "9" * 5000),
        ("skip", "-1"),
        ("skip", "10001"),
        ("side", "HOLD"),
        ("symbol", "?"),
        ("user", "\u0000"),
        ("portfolio", "a\nb"),
        ("from_", "yesterday"),
        ("from_", "2026-11-20T12:00:00"),
        ("from_", "1"),
        ("to_", "9999-12-31T23:59:59-23:59"),
        ("to_", "0001-01-01T00:00:00+23:59"),
        ("unknown", "1"),
        ("since", "2026-11-20T12:00:00Z"),
    ],
)
def test_invalid_query_parameter_is_rejected_by_name(api_with_trades, name, value):
    response = api_with_trades.get("/trades", **{name: value})
    assert response.status_code == 422
    assert [bad["field"] for bad in response.json()["errors"]] == [name.removesuffix("_")]


def test_single_trade_equals_its_list_item(api_with_trades):
    for trade in api_with_trades.list_trades(limit=3):
        assert api_with_trades.get(f"/trades/{trade['trade_id']}").json() == trade


@pytest.mark.parametrize("trade_id", ["T1", "x", "T17636400000000000a1b2c3d4", "%2E%2E%2Ftrade", "a%20b"])
def test_unknown_trade_is_not_found(api, trade_id):
    assert api.get(f"/trades/{trade_id}").status_code == 404


def test_trade_of_another_tenant_is_not_found(api, service):
    other = service.create_client()
    trade = other.record_trade("K")
    assert api.get(f"/trades/{trade['trade_id']}").status_code == 404
    assert api.get("/portfolio/Growth").status_code == 404
    assert api.get("/portfolios").json() == []
    assert (
        api.list_trades() == api.list_trades(idempotency_key="K") == api.list_trades(portfolio="Growth") == []
    )


def tamper_with(cursor):
    yield cursor[:-1] + ("A" if cursor[-1] != "A" else "B")
    yield ("A" if cursor[0] != "A" else "B") + cursor[1:]
    yield from (cursor[:10], cursor + "AAAA", "x", "é", "=", "A" * 2000, "2", "%00", cursor[:16] + "OTk5OTk5")


def test_forged_cursor_is_rejected(api_with_trades):
    cursor = get_cursor(api_with_trades.get("/trades", limit=5))
    assert api_with_trades.get("/trades", cursor=cursor).status_code == 200
    for forged in tamper_with(cursor):
        response = api_with_trades.get("/trades", cursor=forged)
        assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "cursor"), forged


def test_cursor_is_valid_only_for_its_list_and_tenant(api_with_trades, service):
    other = service.create_client()
    for name in ("1", "2", "²"):
        api_with_trades.record_trade(portfolio_name=name)
    by_id, by_sequence = (
        get_cursor(api_with_trades.get("/trades", limit=5, **f)) for f in ({}, {"portfolio": "Growth"})
    )
    by_name = [get_cursor(api_with_trades.get("/portfolios", limit=number)) for number in (1, 2, 3)]
    foreign = [
        *((api_with_trades, "/trades", {"cursor": cursor}) for cursor in (by_sequence, *by_name)),
        *(
            (api_with_trades, "/trades", {"cursor": cursor, "portfolio": "Growth"})
            for cursor in (by_id, *by_name)
        ),
        *((api_with_trades, "/portfolios", {"cursor": cursor}) for cursor in (by_id, by_sequence)),
        (other, "/trades", {"cursor": by_id}),
        (other, "/trades", {"cursor": by_sequence, "portfolio": "Growth"}),
        (other, "/portfolios", {"cursor": by_name[0]}),
    ]
    for api, path, params in foreign:
        assert api.get(path, **params).status_code == 422, (path, params)
