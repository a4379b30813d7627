"""Requests and kill switches after the rename of a portfolio."""


def test_repeated_request_finds_its_order_after_a_portfolio_rename(market):
    first = market.place_order("K")
    assert market.patch("/portfolios/Growth", {"name": "Renamed"}).status_code == 200
    repeated = market.post_order("K")
    assert (repeated.status_code, repeated.json()["id"]) == (201, first["id"])
    assert repeated.json()["portfolio_name"] == "Renamed"


def test_renamed_portfolio_stays_halted(market):
    market.place_order()
    halt = {"scope": "portfolio", "name": "Growth", "state": "HALTED", "reason": "Drill"}
    assert market.post("/kill-switch", halt).status_code == 200
    assert market.patch("/portfolios/Growth", {"name": "Renamed"}).status_code == 200
    assert market.post_order(portfolio_name="Renamed").json()["denial"]["code"] == "HALTED"
