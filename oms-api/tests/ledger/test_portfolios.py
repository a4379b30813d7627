"""GET /portfolio/{name} and GET /portfolios: the books now and at an earlier time."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.pages import iterate_pages


def test_portfolio_shows_counters_cash_and_positions(api):
    api.buy("100", "10", portfolio_name="Tech Portfolio")
    api.buy("100", "12", portfolio_name="Tech Portfolio")
    api.sell("150", "13", portfolio_name="tech portfolio")
    api.sell("2", "0.5", portfolio_name="Tech Portfolio", symbol="BTC/USD")
    api.set_quote("AAPL", "13", "15", None)
    api.set_quote("BTC/USD", None, None, "0.75")
    expected = {
        "portfolio_name": "Tech Portfolio",
        "base_currency": "USD",
        "total_trades": 4,
        "total_buys": 2,
        "total_sells": 2,
        "realized_pnl": "300.00",
        "cash": "999751.00",
        "cost_schedule": "none",
        "last_sequence": 4,
        "charges": "0.00",
        "net_realized_pnl": "300.00",
        "equity": "1000449.50",
        "gross_exposure": "701.50",
        "net_exposure": "698.50",
        "unrealized_pnl": "149.50",
        "day_pnl": "449.50",
        "total_pnl": "449.50",
        "positions": {
            "AAPL": {"quantity": "50", "avg_cost": "11.00", "cost": "550.00", "realized_pnl": "300.00"},
            "BTC/USD": {"quantity": "-2", "avg_cost": "0.50", "cost": "-1.00", "realized_pnl": "0.00"},
        },
    }
    portfolio = api.get_portfolio("TECH%20portfolio%20")
    assert {name: portfolio[name] for name in expected} == expected


def test_flat_position_keeps_its_realised_profit(api):
    api.buy("1", "10")
    api.sell("1", "11")
    expected_position = {"quantity": "0", "avg_cost": "0.00", "cost": "0.00", "realized_pnl": "1.00"}
    assert api.get_portfolio()["positions"] == {"AAPL": expected_position}


def test_documented_portfolio_example_runs_step_by_step(api):
    steps = [
        (api.buy, "100", "10", ("100", "10.00", "0.00")),
        (api.buy, "100", "12", ("200", "11.00", "0.00")),
        (api.sell, "150", "13", ("50", "11.00", "300.00")),
        (api.sell, "100", "9", ("-50", "9.00", "200.00")),
        (api.buy, "50", "8", ("0", "0.00", "250.00")),
    ]
    for act, quantity, price, expected in steps:
        position = act(quantity, price)["position"]
        assert (position["quantity"], position["avg_cost"], position["realized_pnl"]) == expected


def test_unknown_portfolio_is_not_found(api):
    response = api.get("/portfolio/Nobody")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("name", ["%00", "a%0Ab", "%E2%80%AE", "x" * 401])
def test_invalid_portfolio_name_is_rejected(api, name):
    assert api.get(f"/portfolio/{name}").status_code == 422


def test_rejected_trade_creates_no_portfolio(api):
    assert api.post_trade(quantity="0").status_code == 422
    assert api.get("/portfolios").json() == []


@pytest.fixture
def five_portfolios(api):
    """Provide a desk with five portfolios."""
    for name in ("Growth", "growth 100%", "Income_1", "Größe", "日本"):
        api.record_trade(portfolio_name=name, quantity="1", gmv="2")
    return api


@pytest.mark.parametrize(
    ("part", "expected_names"),
    [
        ("GROWTH", ["Growth", "growth 100%"]),
        ("%", ["growth 100%"]),
        ("_", ["Income_1"]),
        ("größ", ["Größe"]),
        ("GRÖSS", ["Größe"]),
        ("本", ["日本"]),
        ("nothing", []),
        ("\\", []),
        ("'", []),
        (" come ", ["Income_1"]),
    ],
)
def test_q_matches_a_part_of_the_name_case_insensitively(five_portfolios, part, expected_names):
    assert five_portfolios.get("/portfolios", q=part).json() == expected_names


def test_portfolio_names_keep_one_sequence_for_every_page_size(five_portfolios):
    everything = five_portfolios.get("/portfolios").json()
    assert sorted(everything) == sorted(["Growth", "growth 100%", "Income_1", "Größe", "日本"])
    for limit in (1, 2, 5):
        assert [
            name for page in iterate_pages(five_portfolios, "/portfolios", limit=limit) for name in page
        ] == everything


def test_detailed_list_equals_single_portfolios_without_positions(five_portfolios):
    summaries = [
        portfolio
        for page in iterate_pages(five_portfolios, "/portfolios", detail="true", limit=2)
        for portfolio in page
    ]
    assert len(summaries) == 5
    for summary in summaries:
        book = five_portfolios.get_recorded_values(summary["portfolio_name"].replace("%", "%25"))
        of_positions = {"positions", "charges", "net_realized_pnl"}
        assert summary == {name: value for name, value in book.items() if name not in of_positions}


@pytest.mark.parametrize(
    ("name", "value"),
    [("limit", "0"), ("limit", "1001"), ("detail", "maybe"), ("skip", "1"), ("q", "\u0000")],
)
def test_invalid_query_parameter_is_rejected_by_name(api, name, value):
    response = api.get("/portfolios", **{name: value})
    assert (response.status_code, [bad["field"] for bad in response.json()["errors"]]) == (422, [name])


NOT_OF_THE_PAST = dict.fromkeys(("buying_power", "settled_cash", "unsettled_cash"))
moves = st.tuples(
    st.sampled_from(["BUY", "SELL"]),
    st.sampled_from(["1", "3", "0.5"]),
    st.sampled_from(["10", "33.33333333"]),
    st.sampled_from(["X", "Y", "Z"]),
    st.booleans(),
)


@settings(max_examples=10)
@given(st.lists(moves, min_size=1, max_size=8))
def test_past_portfolio_is_exact_by_sequence_number_and_by_instant(service, history):
    api = service.create_client()
    stood, instants = {}, {}
    for side, quantity, price, symbol, undo in history:
        trade = api.record_trade(side=side, quantity=quantity, price=price, gmv=None, symbol=symbol)
        rows = [trade, api.post_reversal(trade["trade_id"]).json()["trade"]] if undo else [trade]
        stood[rows[-1]["sequence"]] = api.get_recorded_values()
        instants[rows[-1]["sequence"]] = rows[-1]["created_at"]
    for sequence, book in stood.items():
        assert api.get_recorded_values(as_of=sequence) == book
        if list(instants.values()).count(instants[sequence]) == 1:
            assert api.get_recorded_values(as_of=instants[sequence]) == book


def test_portfolio_before_the_first_trade_has_only_opening_cash(api):
    first = datetime.fromisoformat(api.record_trade()["created_at"])
    for moment in ("0", (first - timedelta(microseconds=1)).isoformat(), "0001-01-01T00:00:00Z"):
        book = api.get_portfolio(as_of=moment)
        assert book["cash"] == "1000000.00"
        assert book["last_sequence"] == 0
        assert book["total_trades"] == 0
        assert book["positions"] == {}


def test_last_sequence_number_gives_the_current_portfolio(api):
    api.record_trade()
    assert api.get_recorded_values(as_of="1") == api.get_recorded_values()


def test_instant_with_an_unescaped_plus_sign_is_parsed(api):
    api.record_trade()
    assert api.get("/portfolio/Growth?as_of=2001-01-01T00:00:00+05:30").json()["last_sequence"] == 0


@pytest.mark.parametrize(
    "moment",
    [
        "2",
        "999999999999999",
        "9" * 16,
        "9" * 41,
        "-1",
        "yesterday",
        "2026-11-20",
        "2026-11-20T12:00:00",
        "",
        "²",
        "1.0",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "T1",
    ],
)
def test_invalid_instant_is_rejected(api, moment):
    api.record_trade()
    response = api.get("/portfolio/Growth", as_of=moment)
    assert response.status_code == 422
    assert [bad["field"] for bad in response.json()["errors"]] == ["as_of"]
