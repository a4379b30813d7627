"""An order needs an existing portfolio; only a recorded trade creates one."""

from decimal import Decimal

import pytest

from app.database import unit_of_work
from app.ledger.errors import AmountTooLarge, NoSuchPortfolio, StalePortfolioIds
from app.ledger.queries.batch_statements import insert_portfolios
from app.ledger.rules.accounting import Side
from app.ledger.rules.tickets import TradeValue
from app.ledger.service.commands import CommandOrigin, RecordedTrade, RecordTrade
from app.ledger.service.portfolio_state import build_portfolio, build_portfolio_row
from app.ledger.service.portfolio_statements import find_similar_names
from app.orders.rules.values import Status
from app.orders.service.commands import CancelAll, ClosePosition, PlaceOrder, PreviewOrder
from tests.factories import build_ticket_body, build_trade_body
from tests.orders.writer_harness import build_ticket
from tests.risk.risk_requests import set_switch

pytestmark = pytest.mark.any_database

TICKET = build_ticket_body(portfolio_name="Grwoth", type="LIMIT", limit_price="90")
LEG = {"limit_price": "95"}
REQUESTS = {
    "order": ("/orders", TICKET),
    "bracket": ("/orders", TICKET | {"take_profit": LEG}),
    "preview": ("/orders:preview", TICKET),
    "group": ("/orders:group", {"kind": "OTO", "orders": [TICKET, TICKET]}),
    "close": ("/positions:close", {"portfolio_name": "Grwoth", "symbol": "AAPL"}),
    "cancel all": ("/orders:cancel-all", {"portfolio_name": "Grwoth"}),
}


def list_portfolios(api):
    return api.get("/portfolios").json()


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_unknown_portfolio_error_suggests_the_nearest_names(market, request_):
    path, body = request_
    response = market.post(path, body, {"Idempotency-Key": "K"})
    assert (response.status_code, response.json()["type"]) == (404, "urn:slackoms:problem/not-found")
    assert response.json()["detail"] == (
        "There is no portfolio 'Grwoth'. Did you mean 'Growth'? "
        "Create it with `POST /portfolios`, or report a trade in it."
    )
    assert list_portfolios(market) == ["Growth"]


def test_rejected_order_creates_no_portfolio(market):
    past = TICKET | {"time_in_force": "GTD", "expires_at": "2020-01-01T00:00:00Z"}
    assert market.post("/orders", past).status_code == 422
    assert list_portfolios(market) == ["Growth"]


def test_trader_creates_a_portfolio_and_places_an_order(api):
    trader = api.with_key(api.service.create_key("trade", api.tenant_id))
    assert trader.post("/orders", TICKET).status_code == 404
    assert trader.post("/portfolios", {"name": "Grwoth"}).status_code == 201
    assert trader.post("/orders", TICKET).status_code == 201


def test_suggestions_name_only_portfolios_visible_to_the_caller(api):
    for name in ("Income", "Incomes", "Incoming"):
        api.open_portfolio(name)
    with api.service.open_connection() as connection:
        assert find_similar_names(connection, api.tenant_id, "INCOM", frozenset({"incomes"})) == ["Incomes"]
        assert set(find_similar_names(connection, api.tenant_id, "incom", None)) == {
            "Income", "Incomes", "Incoming"
        }  # fmt: skip
        assert find_similar_names(connection, api.tenant_id, "Macro", None) == []


def test_rejected_trade_creates_no_portfolio(api):
    set_switch(api, "HALTED", "portfolio", "Stopped")
    trades = [build_trade_body(portfolio_name=name) for name in ("Stopped", "Fine", "Stopped")]
    outcomes = api.post("/trades:batch", {"trades": trades}).json()["outcomes"]
    assert [outcome["status"] for outcome in outcomes] == [422, 201, 422]
    assert list_portfolios(api) == ["Fine"]
    set_switch(api, "ACTIVE", "portfolio", "Stopped")
    assert api.post_trade(portfolio_name="Stopped").status_code == 201


def build_record_trade(harness, value="100"):
    origin = CommandOrigin(harness.tenant, "key", None, harness.now, None, None)
    valued = TradeValue(Decimal(1), Decimal(value), Decimal(value))
    return RecordTrade(origin, "AAPL", "", Side.BUY, valued, "New", "new", None)


def build_place_order(harness):
    return PlaceOrder(harness.build_origin(), build_ticket(), "New", "new")


def test_order_finds_a_portfolio_created_by_an_earlier_trade_of_its_batch(harness):
    early, trade, late = harness.run(
        build_place_order(harness), build_record_trade(harness), build_place_order(harness)
    )
    assert isinstance(early, NoSuchPortfolio)
    assert isinstance(trade, RecordedTrade)
    assert late.orders[0].order.status is Status.FILLED
    assert harness.place_order("New").status is Status.FILLED


def test_order_after_a_rejected_trade_finds_no_portfolio(harness):
    refused, *other_results = harness.run(
        build_record_trade(harness, value=10**15),
        build_place_order(harness),
        PreviewOrder(harness.build_origin(), build_ticket(), "New", "new"),
        ClosePosition(harness.build_origin(), "New", "new", "AAPL", "", None, None),
        CancelAll(harness.build_origin(), "New", "new", None, None, None, None),
    )
    assert isinstance(refused, AmountTooLarge)
    assert [type(other) for other in other_results] == [NoSuchPortfolio] * 4
    assert harness.query("SELECT name FROM portfolios") == []


def test_portfolio_created_by_another_process_is_looked_up_again(harness):
    with unit_of_work(harness.engine) as connection:
        batch = harness.handler._ledger_handler.load(connection, [build_record_trade(harness)])
        other_row = build_portfolio_row(
            build_portfolio(4711, harness.tenant, "New", "new", opening_cash=Decimal(1_000_000)), harness.now
        )
        insert_portfolios(connection, [other_row])
        batch.get_portfolio_by_name(harness.tenant, "new").last_sequence = 1
        with pytest.raises(StalePortfolioIds):
            batch.flush()
