"""Splits, symbol changes and dividends: previewed, booked, verified and reversed over REST."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from starlette.testclient import TestClient

from app.clock import utc_now
from app.corporate_actions.service.changes import load_record
from app.database import connect_engine, set_tenant_scope
from app.instruments.rules import InstrumentKey
from app.ledger.queries import audit
from app.ledger.rules.keys import PortfolioKey
from app.ledger.service.projection_rebuild import load_ledger_state, rebuild_portfolio
from app.main import create_app
from app.verify import verify_database
from tests.identity.administration import assert_ok, list_audit_entries
from tests.support.service import Service, build_settings

pytestmark = pytest.mark.usefixtures("decides_on_loaded_state")

SPLIT = {"kind": "split", "symbol": "AAPL", "new_units": "2", "old_units": "1", "reason": "Announced"}
EARLIER = {"backdated": True, "backdated_reason": "Found late"}


def get_today():
    return datetime.now(UTC).date()


def get_date_before_today(days):
    return (datetime.now(UTC) - timedelta(days=days)).isoformat()


def post_action(api, ex_date=None, **changes):
    return api.post("/corporate-actions", SPLIT | {"ex_date": str(ex_date or get_today())} | changes)


def apply_action(api, **changes):
    body = assert_ok(post_action(api, **changes), 201)
    assert body["status"] == "booked"
    return body


def assert_refused(response, status):
    assert response.status_code == status, response.text
    return response.json()


def reverse_action(api, made, reason="Wrong ratio"):
    return api.post(f"/corporate-actions/{made['id']}:reverse", {"reason": reason})


def get_position(api, symbol="AAPL", name="Growth"):
    quantities = {
        item["symbol"]: item for item in assert_ok(api.get("/positions", portfolio=name, include_closed=True))
    }
    body = quantities[symbol]
    return body["quantity"], body["avg_cost"], body["realized_pnl"]


def assert_verified(api):
    result = verify_database(api.service.engine)
    assert result.is_clean, result.reported


@dataclass
class Clock:
    """The wall clock, moved by an offset."""

    offset: timedelta = timedelta(0)

    def __call__(self):
        return utc_now() + self.offset


@pytest.fixture(scope="module")
def clock():
    """Provide the clock of the service of this module."""
    return Clock()


@pytest.fixture(scope="module")
def service(backend, new_database, clock):
    """Provide a service with quotes that tests give, and a clock that they move."""
    url = new_database(backend)
    app, engine = (
        create_app(build_settings(url, price_source="manual"), clock),
        connect_engine(url, readers=2),
    )
    with TestClient(app, base_url="http://127.0.0.1:8001", raise_server_exceptions=False) as client:
        yield Service(app, client, engine, url)
    engine.dispose()


@pytest.fixture
def api_with_shares(api):
    """Provide 100 AAPL at 10, bought two days ago."""
    assert_ok(api.post("/portfolios", {"name": "Growth", "opening_cash": "10000"}), 201)
    api.buy("100", "10", portfolio_name="Growth", executed_at=get_date_before_today(2))
    return api


def test_split_multiplies_the_quantity_and_keeps_cost_cash_and_pnl(api_with_shares):
    body = SPLIT | {"ex_date": str(get_today())}
    preview = assert_ok(api_with_shares.post("/corporate-actions:preview", body))
    (change,) = preview["positions"]
    assert (change["quantity_before"], change["quantity_after"]) == ("100", "200")
    assert (change["average_before"], change["average_after"], change["cash"]) == ("10.00", "5.00", "0.00")
    assert get_position(api_with_shares)[0] == "100"  # a preview records nothing
    action = apply_action(api_with_shares)
    assert get_position(api_with_shares) == ("200", "5.00", "0.00")
    assert api_with_shares.get_portfolio()["cash"] == "9000.00"
    row = api_with_shares.list_trades()[0]
    assert (row["kind"], row["quantity"], row["gmv"]) == ("split", "100", "0.00")
    assert assert_ok(api_with_shares.get(f"/corporate-actions/{action['id']}"))["status"] == "booked"
    assert [item["id"] for item in assert_ok(api_with_shares.get("/corporate-actions"))] == [action["id"]]
    actions = [entry["action"] for entry in list_audit_entries(api_with_shares)]
    assert actions[:2] == ["corporate_action.booked", "corporate_action.created"]
    assert_verified(api_with_shares)


def test_reverse_split_pays_the_fraction_in_cash(api_with_shares):
    api_with_shares.buy("5", "10", portfolio_name="Growth", executed_at=get_date_before_today(1))
    apply_action(api_with_shares, new_units="1", old_units="10", cash_in_lieu_price="120")
    quantity, average, realized = get_position(api_with_shares)
    assert (quantity, average) == ("10", "100.00")
    assert realized == "10.00"  # half a share: 60 less its cost 50
    assert api_with_shares.get_portfolio()["cash"] == "9010.00"
    assert_verified(api_with_shares)


def test_fraction_without_a_price_is_paid_at_the_average_cost(api_with_shares):
    api_with_shares.sell("35", "10", portfolio_name="Growth", executed_at=get_date_before_today(1))
    apply_action(api_with_shares, new_units="1", old_units="10")
    assert get_position(api_with_shares) == ("6", "100.00", "0.00")
    assert api_with_shares.get_portfolio()["cash"] == "9400.00"


def test_late_split_books_the_difference_to_a_replay(api_with_shares):
    api_with_shares.sell("150", "6", portfolio_name="Growth")  # in new units: books show a short of 50
    assert get_position(api_with_shares)[0] == "-50"
    apply_action(api_with_shares)
    assert get_position(api_with_shares) == ("50", "5.00", "150.00")
    assert api_with_shares.get_portfolio()["realized_pnl"] == "150.00"
    assert_verified(api_with_shares)


def test_reversal_of_a_split_restores_the_position_in_separate_rows(api_with_shares):
    action = apply_action(api_with_shares, new_units="1", old_units="3", cash_in_lieu_price="50")
    assert get_position(api_with_shares)[0] == "33"
    undone = assert_ok(reverse_action(api_with_shares, action))
    assert (undone["status"], undone["reversal_reason"]) == ("reversed", "Wrong ratio")
    assert get_position(api_with_shares) == ("100", "10.00", "0.00")
    assert api_with_shares.get_portfolio()["cash"] == "9000.00"
    assert_refused(reverse_action(api_with_shares, action), 409)
    assert [row["kind"] for row in api_with_shares.list_trades()] == [
        "reversal",
        "reversal",
        "trade",
        "split",
        "trade",
    ]
    assert_verified(api_with_shares)


def test_trade_before_a_split_is_only_reversed_after_the_split(api_with_shares):
    bought = api_with_shares.list_trades()[0]
    action = apply_action(api_with_shares)
    split = api_with_shares.list_trades()[0]
    later = api_with_shares.buy("10", "6", portfolio_name="Growth")
    assert (
        "corporate action" in assert_refused(api_with_shares.post_reversal(bought["trade_id"]), 409)["detail"]
    )
    assert (
        "reverse the action"
        in assert_refused(api_with_shares.post_reversal(split["trade_id"]), 409)["detail"]
    )
    assert api_with_shares.post_reversal(later["trade_id"]).status_code == 201  # replayed across the split
    assert get_position(api_with_shares) == ("200", "5.00", "0.00")
    assert_ok(reverse_action(api_with_shares, action))
    assert api_with_shares.post_reversal(bought["trade_id"]).status_code == 201
    assert get_position(api_with_shares)[0] == "0"
    assert_verified(api_with_shares)


def test_symbol_change_moves_position_and_cost_and_cancels_open_orders(api_with_shares):
    api_with_shares.set_quote("FB", "11", "12", "11.5")
    api_with_shares.buy(
        "10", "20", portfolio_name="Growth", symbol="FB", executed_at=get_date_before_today(1)
    )
    working = api_with_shares.place_order(
        symbol="FB", type="LIMIT", limit_price="9", time_in_force="GTC", quantity="5"
    )
    change = {"kind": "symbol_change", "symbol": "FB", "new_symbol": "META", "ex_date": str(get_today())}
    body = change | {"reason": "Renamed"}
    preview = assert_ok(api_with_shares.post("/corporate-actions:preview", body))
    assert [(order["order_id"], order["change"]) for order in preview["orders"]] == [
        (working["id"], "cancelled")
    ]
    assert preview["positions"][0]["symbol_after"] == "META"
    corporate_action = assert_ok(api_with_shares.post("/corporate-actions", body), 201)
    assert get_position(api_with_shares, "FB")[0] == "0"
    assert get_position(api_with_shares, "META") == ("10", "20.00", "0.00")
    assert api_with_shares.get_order(working["id"])["status"] == "CANCELED"
    api_with_shares.sell("4", "25", portfolio_name="Growth", symbol="META")
    assert get_position(api_with_shares, "META") == ("6", "20.00", "20.00")
    assert_verified(api_with_shares)
    assert_ok(reverse_action(api_with_shares, corporate_action))
    assert (get_position(api_with_shares, "FB")[0], get_position(api_with_shares, "META")[0]) == ("10", "-4")
    assert_verified(api_with_shares)


def test_symbol_change_is_refused_where_the_old_symbol_was_traded_since(api_with_shares):
    api_with_shares.buy("1", "10", portfolio_name="Growth")
    body = {"kind": "symbol_change", "symbol": "AAPL", "new_symbol": "PEAR", "ex_date": str(get_today())}
    response = assert_refused(api_with_shares.post("/corporate-actions", body | {"reason": "Renamed"}), 409)
    assert "was traded" in response["detail"]
    assert assert_ok(api_with_shares.get("/corporate-actions")) == []


def test_dividend_is_paid_to_longs_less_withholding_and_by_shorts_gross(api_with_shares):
    assert_ok(api_with_shares.post("/portfolios", {"name": "Short", "opening_cash": "10000"}), 201)
    api_with_shares.sell("40", "10", portfolio_name="Short", executed_at=get_date_before_today(2))
    api_with_shares.buy("100", "10", portfolio_name="Growth")  # on the ex-date: without the dividend
    terms = {"kind": "dividend", "amount": "0.5", "currency": "USD", "withholding_percent": "15"}
    corporate_action = assert_ok(api_with_shares.post("/corporate-actions", _build_dividend(terms)), 201)
    assert api_with_shares.get_portfolio()["cash"] == "8042.50"
    assert api_with_shares.get_portfolio("Short")["cash"] == "10380.00"
    rows = assert_ok(api_with_shares.get("/portfolios/Growth/cash"))["rows"][:2]
    assert [(row["kind"], row["amount"]) for row in rows] == [("withholding", "-7.50"), ("dividend", "50.00")]
    assert get_position(api_with_shares)[2] == "0.00"  # no realized P&L
    assert_verified(api_with_shares)
    assert_ok(reverse_action(api_with_shares, corporate_action))
    assert api_with_shares.get_portfolio()["cash"] == "8000.00"
    assert_verified(api_with_shares)


def _build_dividend(terms):
    return {"symbol": "AAPL", "ex_date": str(get_today()), "reason": "Quarterly"} | terms


def test_dividend_in_another_currency_needs_a_rate(api_with_shares):
    terms = {"kind": "dividend", "amount": "1", "currency": "EUR"}
    assert_refused(api_with_shares.post("/corporate-actions", _build_dividend(terms)), 422)
    api_with_shares.set_quote("EUR/USD", "1.10", "1.10", "1.10")
    assert_ok(api_with_shares.post("/corporate-actions", _build_dividend(terms)), 201)
    assert api_with_shares.get_portfolio()["cash"] == "9110.00"
    assert_verified(api_with_shares)


def test_split_restates_open_orders_and_reversal_restates_them_back(api_with_shares, clock):
    clock.offset = timedelta(days=-1)
    api_with_shares.set_quote("AAPL", "10", "11", "10.5")
    exits = {"take_profit": {"limit_price": "15"}, "stop_loss": {"stop_price": "8"}}
    entry = api_with_shares.place_order(
        quantity="10", type="LIMIT", limit_price="11", time_in_force="GTC", **exits
    )
    limit = api_with_shares.place_order(type="LIMIT", limit_price="9.01", time_in_force="GTC", quantity="5")
    trailing = api_with_shares.place_order(
        side="SELL", type="TRAILING_STOP", trail_amount="2", quantity="3", time_in_force="GTC"
    )
    clock.offset = timedelta(0)
    action = apply_action(api_with_shares)
    restated = api_with_shares.get_order(limit["id"])
    assert (restated["quantity"], restated["limit_price"], restated["status"]) == ("10", "4.505", "ACCEPTED")
    legs = {leg["role"]: leg for leg in api_with_shares.get_order(entry["id"])["legs"]}
    assert (legs["take_profit"]["quantity"], legs["take_profit"]["limit_price"]) == ("20", "7.50")
    assert (legs["stop_loss"]["quantity"], legs["stop_loss"]["stop_price"]) == ("20", "4.00")
    old = api_with_shares.get_order(trailing["id"])
    new = api_with_shares.get_order(old["replaced_by"])
    assert (old["status"], new["quantity"], new["trail_amount"]) == ("REPLACED", "6", "1.00")
    assert_verified(api_with_shares)
    assert_ok(reverse_action(api_with_shares, action))
    again = api_with_shares.get_order(limit["id"])
    assert (again["quantity"], again["limit_price"]) == ("5", "9.01")
    assert_verified(api_with_shares)


def test_scheduled_action_is_booked_when_its_date_begins_and_can_be_withdrawn(api_with_shares):
    tomorrow = get_today() + timedelta(days=2)
    body = assert_ok(post_action(api_with_shares, ex_date=tomorrow), 201)
    assert (body["status"], body["booked_at"]) == ("scheduled", None)
    assert get_position(api_with_shares)[0] == "100"
    assert assert_ok(reverse_action(api_with_shares, body))["status"] == "reversed"
    assert_verified(api_with_shares)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"new_units": None}, "new_units"),
        ({"new_units": "1"}, "new_units"),
        ({"amount": "1"}, "amount"),
        ({"kind": "dividend", "new_units": None, "old_units": None, "amount": "1"}, "currency"),
        ({"kind": "symbol_change", "new_units": None, "old_units": None, "new_symbol": "AAPL"}, "new_symbol"),
        ({"kind": "merger"}, "kind"),
        ({"ex_date": "2026-02-30"}, "ex_date"),
        ({"reason": ""}, "reason"),
    ],
)
@pytest.mark.any_database
def test_terms_that_do_not_fit_the_kind_are_refused(api, changes, field):
    body = assert_refused(
        api.post("/corporate-actions", SPLIT | {"ex_date": str(get_today())} | changes), 422
    )
    assert field in [error["field"] for error in body["errors"]]


def test_same_key_books_once(api_with_shares):
    body = SPLIT | {"ex_date": str(get_today())}
    first = assert_ok(api_with_shares.post("/corporate-actions", body, {"Idempotency-Key": "split-1"}), 201)
    assert (
        assert_ok(api_with_shares.post("/corporate-actions", body, {"Idempotency-Key": "split-1"}), 201)["id"]
        == first["id"]
    )
    assert get_position(api_with_shares)[0] == "200"


def test_reports_treat_a_split_as_a_restatement(api_with_shares):
    apply_action(api_with_shares)
    (lot,) = assert_ok(api_with_shares.get("/lots", portfolio="Growth"))["open"]
    assert (lot["quantity"], lot["unit_cost"]) == ("200", "5.00")
    api_with_shares.sell("200", "6", portfolio_name="Growth")
    (trip,) = assert_ok(api_with_shares.get("/round-trips"))
    assert (trip["quantity"], trip["entry_price"], trip["realized_pnl"]) == ("200", "5.00", "200.00")
    (body,) = assert_ok(api_with_shares.get("/pnl"))["items"]
    assert (body["trades"], body["realized_pnl"]) == (2, "200.00")


def test_position_without_a_quote_is_marked_at_the_restated_price(api_with_shares):
    apply_action(api_with_shares)
    (body,) = assert_ok(api_with_shares.get("/positions", portfolio="Growth"))
    assert (body["quantity"], Decimal(body["unrealized_pnl"])) == ("200", Decimal(0))


def test_rebuild_recomputes_positions_across_the_action(api_with_shares):
    apply_action(api_with_shares, new_units="1", old_units="3", cash_in_lieu_price="50")
    with (
        api_with_shares.service.engine.connect().execution_options(writes=True) as connection,
        connection.begin(),
    ):
        set_tenant_scope(connection, [api_with_shares.tenant_id])
        (portfolio,) = audit.iterate_portfolio_rows(connection, f"tenant_id = {api_with_shares.tenant_id:d}")
        key = PortfolioKey(portfolio.tenant_id, portfolio.id)
        rebuilt = rebuild_portfolio(connection, key, load_ledger_state(connection, key))
    assert rebuilt.differences == ()


def test_action_on_which_another_one_acted_is_reversed_last(api_with_shares):
    split = apply_action(api_with_shares, ex_date=get_today() - timedelta(days=1))
    change = apply_action(
        api_with_shares, kind="symbol_change", new_symbol="APPL", new_units=None, old_units=None
    )
    assert change["id"] in assert_refused(reverse_action(api_with_shares, split), 409)["detail"]
    assert get_position(api_with_shares, "APPL")[0] == "200"
    assert_ok(reverse_action(api_with_shares, change))
    assert_ok(reverse_action(api_with_shares, split))
    assert get_position(api_with_shares)[0] == "100"
    assert_verified(api_with_shares)


def test_late_split_of_a_symbol_that_was_changed_books_nothing(api_with_shares):
    apply_action(api_with_shares, kind="symbol_change", new_symbol="APPL", new_units=None, old_units=None)
    response = post_action(
        api_with_shares, ex_date=get_today() - timedelta(days=1), new_units="1", old_units="3"
    )
    assert response.status_code == 409 or response.json()["status"] == "pending", response.text
    assert (get_position(api_with_shares)[0], get_position(api_with_shares, "APPL")[0]) == ("0", "100")


def test_action_is_not_booked_after_its_reversal(api_with_shares):
    body = apply_action(api_with_shares)
    assert_ok(reverse_action(api_with_shares, body))
    service = api_with_shares.service

    async def book_again():
        await service.app.state.corporate_actions.book(record)

    with service.engine.connect() as connection:
        set_tenant_scope(connection, [api_with_shares.tenant_id])
        record = load_record(connection, api_with_shares.tenant_id, body["id"])
    service.client.portal.call(book_again)
    assert get_position(api_with_shares)[0] == "100"
    assert_verified(api_with_shares)


CHANGE = {"kind": "symbol_change", "new_symbol": "APPL", "new_units": None, "old_units": None}
REVERSE_SPLIT = {"new_units": "1", "old_units": "3", "cash_in_lieu_price": "36"}


def test_split_with_a_fraction_and_symbol_change_take_effect_on_the_same_date(api_with_shares):
    split = apply_action(api_with_shares, **REVERSE_SPLIT)
    change = apply_action(api_with_shares, **CHANGE)
    assert (get_position(api_with_shares)[0], get_position(api_with_shares, "APPL")[:2]) == (
        "0",
        ("33", "30.00"),
    )
    assert_verified(api_with_shares)
    assert change["id"] in assert_refused(reverse_action(api_with_shares, split), 409)["detail"]
    assert_ok(reverse_action(api_with_shares, change))
    assert_ok(reverse_action(api_with_shares, split))
    assert get_position(api_with_shares) == ("100", "10.00", "0.00")
    assert_verified(api_with_shares)


def test_actions_announced_for_the_same_date_are_booked_before_the_symbol_changes(api_with_shares, clock):
    tomorrow = get_today() + timedelta(days=1)
    for terms in (CHANGE, REVERSE_SPLIT):
        assert_ok(post_action(api_with_shares, ex_date=tomorrow, **terms), 201)
    dividend = {"kind": "dividend", "amount": "1", "currency": "USD", "new_units": None, "old_units": None}
    assert_ok(post_action(api_with_shares, ex_date=tomorrow, **dividend), 201)
    clock.offset = timedelta(days=1)
    try:
        api_with_shares.service.client.portal.call(
            api_with_shares.service.app.state.corporate_actions.book_due
        )
        assert (get_position(api_with_shares)[0], get_position(api_with_shares, "APPL")[0]) == ("0", "33")
        rows = assert_ok(api_with_shares.get("/portfolios/Growth/cash"))["rows"]
        assert [row["amount"] for row in rows if row["kind"] == "dividend"] == ["100.00"]
        assert_verified(api_with_shares)
    finally:
        clock.offset = timedelta(0)


def test_split_of_a_symbol_that_changed_on_its_date_is_refused_and_works_under_the_new_one(api_with_shares):
    apply_action(api_with_shares, **CHANGE)
    assert_refused(post_action(api_with_shares, **REVERSE_SPLIT), 409)
    apply_action(api_with_shares, **REVERSE_SPLIT | {"symbol": "APPL"})
    assert get_position(api_with_shares, "APPL")[0] == "33"
    assert_verified(api_with_shares)


def test_fraction_of_a_late_split_has_the_cost_before_the_later_trades(api_with_shares):
    api_with_shares.buy("7", "90", portfolio_name="Growth")  # in new units
    preview = assert_ok(
        api_with_shares.post(
            "/corporate-actions:preview", SPLIT | REVERSE_SPLIT | {"ex_date": str(get_today())}
        )
    )
    apply_action(api_with_shares, **REVERSE_SPLIT)
    # 100 at 10 became 33.33333333 at 30; 0.33333333 was paid 36 a unit. 33 at 30 and 7 at 90 remain.
    assert get_position(api_with_shares) == ("40", "40.50", "1.99999998")
    (change,) = preview["positions"]
    assert (change["quantity_after"], change["average_after"], change["cash"]) == (
        "40",
        "40.50",
        "11.99999988",
    )
    assert_verified(api_with_shares)


def test_reversal_of_a_reverse_split_restores_quantities_that_were_rounded(api_with_shares, clock):
    clock.offset = timedelta(days=-1)
    api_with_shares.set_quote("AAPL", "10", "11", "10.5")
    stop = api_with_shares.place_order(
        side="SELL", type="STOP", stop_price="8", quantity="35", time_in_force="GTC"
    )
    trailing = api_with_shares.place_order(
        side="SELL", type="TRAILING_STOP", trail_amount="2", quantity="25", time_in_force="GTC"
    )
    clock.offset = timedelta(0)
    action = apply_action(api_with_shares, new_units="1", old_units="10", cash_in_lieu_price="100")
    assert (
        api_with_shares.get_order(stop["id"])["quantity"],
        api_with_shares.get_order(stop["id"])["stop_price"],
    ) == ("3", "80.00")
    assert_ok(reverse_action(api_with_shares, action))
    assert (
        api_with_shares.get_order(stop["id"])["quantity"],
        api_with_shares.get_order(stop["id"])["stop_price"],
    ) == ("35", "8.00")
    restated = api_with_shares.get_order(api_with_shares.get_order(trailing["id"])["replaced_by"])
    restored = api_with_shares.get_order(restated["replaced_by"])
    assert (restated["quantity"], restored["quantity"], restored["trail_amount"]) == ("2", "25", "2.00")
    assert_verified(api_with_shares)


def test_held_exits_of_a_waiting_entry_are_restated(api_with_shares, clock):
    clock.offset = timedelta(days=-1)
    api_with_shares.set_quote("AAPL", "10", "11", "10.5")
    exits = {"take_profit": {"limit_price": "15"}, "stop_loss": {"stop_price": "6"}}
    entry = api_with_shares.place_order(
        quantity="10", type="LIMIT", limit_price="9", time_in_force="GTC", **exits
    )
    clock.offset = timedelta(0)
    apply_action(api_with_shares)
    api_with_shares.set_quote("AAPL", "4.4", "4.5", "4.45")
    legs = {leg["role"]: leg for leg in api_with_shares.get_order(entry["id"])["legs"]}
    assert {leg["status"] for leg in legs.values()} == {"ACCEPTED"}
    assert (legs["take_profit"]["quantity"], legs["take_profit"]["limit_price"]) == ("20", "7.50")
    assert (legs["stop_loss"]["quantity"], legs["stop_loss"]["stop_price"]) == ("20", "3.00")
    assert_verified(api_with_shares)


def test_stored_prices_follow_a_split_and_its_reversal(api_with_shares, clock):
    clock.offset = timedelta(days=-1)
    api_with_shares.set_quote("AAPL", "10", "11", "10.5")
    until = str(get_today() + timedelta(days=2)) + "T00:00:00Z"
    mark = {"price": "12", "reason": "Thin market", "expires_at": until}
    assert_ok(api_with_shares.put("/marks/AAPL", mark))
    clock.offset = timedelta(0)
    action = apply_action(api_with_shares)
    quote = assert_ok(api_with_shares.get("/quotes/AAPL"))
    assert (quote["bid"], quote["ask"], quote["last"]) == ("5.00", "5.50", "5.25")
    (body,) = assert_ok(api_with_shares.get("/positions"))
    assert (body["mark"], body["market_value"]) == ("6.00", "1200.00")
    booked_at = utc_now()
    api_with_shares.set_quote("AAPL", "20", "20", "20")
    with api_with_shares.service.engine.connect() as connection:
        set_tenant_scope(connection, [api_with_shares.tenant_id])
        key = InstrumentKey(api_with_shares.tenant_id, "AAPL")
        quotes = api_with_shares.service.app.state.market.load_past_quotes(connection, [key], booked_at)
    assert quotes[key].last == Decimal("5.25")  # a tick at the time of the booking
    assert_ok(reverse_action(api_with_shares, action))
    assert assert_ok(api_with_shares.get("/quotes/AAPL"))["last"] == "20.00"  # it arrived after the split
    (body,) = assert_ok(api_with_shares.get("/positions"))
    assert (body["mark"], body["market_value"]) == ("12.00", "1200.00")
    assert_verified(api_with_shares)


def test_reversal_multiplies_the_quote_that_the_split_divided(api_with_shares, clock):
    clock.offset = timedelta(days=-1)
    api_with_shares.set_quote("AAPL", "10", "11", "10.5")
    clock.offset = timedelta(0)
    assert_ok(api_with_shares.post("/portfolios", {"name": "Second", "opening_cash": "10000"}), 201)
    api_with_shares.buy("10", "10", portfolio_name="Second", executed_at=get_date_before_today(2))
    assert_ok(reverse_action(api_with_shares, apply_action(api_with_shares)))
    quote = assert_ok(api_with_shares.get("/quotes/AAPL"))
    assert (quote["bid"], quote["ask"], quote["last"]) == ("10.00", "11.00", "10.50")


def test_extremes_of_a_position_are_in_the_units_after_a_split(api_with_shares):
    api_with_shares.set_quote("AAPL", "14", "14", "14")
    action = apply_action(api_with_shares)
    (body,) = assert_ok(api_with_shares.get("/positions"))
    assert (body["highest_price"], body["lowest_price"]) == ("14.00", "5.00")  # 14 is a price of today
    assert_ok(reverse_action(api_with_shares, action))
    (body,) = assert_ok(api_with_shares.get("/positions"))
    assert (body["highest_price"], body["lowest_price"]) == ("14.00", "10.00")
