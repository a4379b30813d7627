"""An order needs an existing portfolio; only a recorded trade creates one."""

from decimal import Decimal

import pytest

from app.database import unit_of_work
from app.ledger.errors import AmountTooLarge, NoSuchPortfolio, StalePortfolioIds
from app.ledger.queries.books import insert_portfolios
from app.ledger.rules.accounting import Side
from app.ledger.rules.tickets import Valued
from app.ledger.service.commands import Origin, Recorded, RecordTrade
from app.ledger.service.portfolio_state import empty_portfolio, portfolio_row
from app.ledger.service.reading import nearest_names
from app.orders.rules.values import Status
from app.orders.service.commands import CancelAll, ClosePosition, PlaceOrder, PreviewOrder
from tests.factories import ticket_body, trade_body
from tests.orders.rig import ticket
from tests.risk.risk_requests import set_switch

pytestmark = pytest.mark.any_database

TICKET = ticket_body(portfolio_name="Grwoth", type="LIMIT", limit_price="90")
LEG = {"limit_price": "95"}
REQUESTS = {
    "order": ("/orders", TICKET),
    "bracket": ("/orders", TICKET | {"take_profit": LEG}),
    "preview": ("/orders:preview", TICKET),
    "group": ("/orders:group", {"kind": "OTO", "orders": [TICKET, TICKET]}),
    "close": ("/positions:close", {"portfolio_name": "Grwoth", "symbol": "AAPL"}),
    "cancel all": ("/orders:cancel-all", {"portfolio_name": "Grwoth"}),
}


def portfolios(api):
    return api.get("/portfolios").json()


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_unknown_portfolio_error_suggests_the_nearest_names(market, request_):
    path, body = request_
    answer = market.post(path, body, {"Idempotency-Key": "K"})
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:slackoms:problem/not-found")
    assert answer.json()["detail"] == (
        "There is no portfolio 'Grwoth'. Did you mean 'Growth'? "
        "Create it with `POST /portfolios`, or report a trade in it."
    )
    assert portfolios(market) == ["Growth"]


def test_rejected_order_creates_no_portfolio(market):
    past = TICKET | {"time_in_force": "GTD", "expires_at": "2020-01-01T00:00:00Z"}
    assert market.post("/orders", past).status_code == 422
    assert portfolios(market) == ["Growth"]


def test_trader_creates_a_portfolio_and_places_an_order(api):
    trader = api.with_key(api.service.mint("trade", api.tenant_id))
    assert trader.post("/orders", TICKET).status_code == 404
    assert trader.post("/portfolios", {"name": "Grwoth"}).status_code == 201
    assert trader.post("/orders", TICKET).status_code == 201


def test_suggestions_name_only_portfolios_visible_to_the_caller(api):
    for name in ("Income", "Incomes", "Incoming"):
        api.open_portfolio(name)
    with api.service.reading() as connection:
        assert nearest_names(connection, api.tenant_id, "INCOM", frozenset({"incomes"})) == ["Incomes"]
        assert set(nearest_names(connection, api.tenant_id, "incom", None)) == {
            "Income", "Incomes", "Incoming"
        }  # fmt: skip
        assert nearest_names(connection, api.tenant_id, "Macro", None) == []


def test_rejected_trade_creates_no_portfolio(api):
    set_switch(api, "HALTED", "portfolio", "Stopped")
    trades = [trade_body(portfolio_name=name) for name in ("Stopped", "Fine", "Stopped")]
    told = api.post("/trades:batch", {"trades": trades}).json()["outcomes"]
    assert [one["status"] for one in told] == [422, 201, 422]
    assert portfolios(api) == ["Fine"]
    set_switch(api, "ACTIVE", "portfolio", "Stopped")
    assert api.report(portfolio_name="Stopped").status_code == 201


def record(rig, value="100"):
    origin = Origin(rig.tenant, "key", None, rig.now, None, None)
    valued = Valued(Decimal(1), Decimal(value), Decimal(value))
    return RecordTrade(origin, "AAPL", "", Side.BUY, valued, "New", "new", None)


def place(rig):
    return PlaceOrder(rig.origin(), ticket(), "New", "new")


def test_order_finds_a_portfolio_created_by_an_earlier_trade_of_its_batch(rig):
    early, trade, late = rig.run(place(rig), record(rig), place(rig))
    assert isinstance(early, NoSuchPortfolio)
    assert isinstance(trade, Recorded)
    assert late.orders[0].order.status is Status.FILLED
    assert rig.place("New").status is Status.FILLED


def test_order_after_a_rejected_trade_finds_no_portfolio(rig):
    refused, *others = rig.run(
        record(rig, value=10**15),
        place(rig),
        PreviewOrder(rig.origin(), ticket(), "New", "new"),
        ClosePosition(rig.origin(), "New", "new", "AAPL", "", None, None),
        CancelAll(rig.origin(), "new", "New", None, None, None, None),
    )
    assert isinstance(refused, AmountTooLarge)
    assert [type(one) for one in others] == [NoSuchPortfolio] * 4
    assert rig.rows("SELECT name FROM portfolios") == []


def test_portfolio_created_by_another_process_is_looked_up_again(rig):
    with unit_of_work(rig.engine) as connection:
        batch = rig.handler._ledger_handler.load(connection, [record(rig)])
        theirs = portfolio_row(
            empty_portfolio(4711, rig.tenant, "New", "new", opening_cash=Decimal(1_000_000)), rig.now
        )
        insert_portfolios(connection, [theirs])
        batch.portfolio_named(rig.tenant, "new").last_sequence = 1
        with pytest.raises(StalePortfolioIds):
            batch.flush()
