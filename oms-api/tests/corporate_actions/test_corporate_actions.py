"""Splits, symbol changes and dividends: previewed, booked, verified and reversed over REST."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from starlette.testclient import TestClient

from app.clock import utc_now
from app.corporate_actions.service.changes import get_record
from app.database import connect_engine, set_tenant_scope
from app.instruments.rules import InstrumentKey
from app.ledger.queries import audit
from app.ledger.rules.keys import PortfolioKey
from app.ledger.service.rebuilding import read_ahead, rebuild_portfolio
from app.main import create_app
from app.verify import verify_database
from tests.identity.administration import assert_ok, list_audit_entries
from tests.support.service import Service, settings_for

TODAY = datetime.now(UTC).date()
SPLIT = {"kind": "split", "symbol": "AAPL", "new_units": "2", "old_units": "1", "reason": "Announced"}
EARLIER = {"backdated": True, "backdated_reason": "Found late"}


def ago(days):
    return (datetime.now(UTC) - timedelta(days=days)).isoformat()


def post_action(api, ex_date=TODAY, **changes):
    return api.post("/corporate-actions", SPLIT | {"ex_date": str(ex_date)} | changes)


def book(api, **changes):
    body = assert_ok(post_action(api, **changes), 201)
    assert body["status"] == "booked"
    return body


def refused(answer, status):
    assert answer.status_code == status, answer.text
    return answer.json()


def reverse(api, made, reason="Wrong ratio"):
    return api.post(f"/corporate-actions/{made['id']}:reverse", {"reason": reason})


def position(api, symbol="AAPL", name="Growth"):
    held = {
        item["symbol"]: item for item in assert_ok(api.get("/positions", portfolio=name, include_closed=True))
    }
    body = held[symbol]
    return body["quantity"], body["avg_cost"], body["realized_pnl"]


def assert_verified(api):
    verdict = verify_database(api.service.engine)
    assert verdict.clean, verdict.reported


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
    app, engine = create_app(settings_for(url, price_source="manual"), clock), connect_engine(url, readers=2)
    with TestClient(app, base_url="http://127.0.0.1:8001", raise_server_exceptions=False) as client:
        yield Service(app, client, engine, url)
    engine.dispose()


@pytest.fixture
def books(api):
    """Provide 100 AAPL at 10, bought two days ago."""
    assert_ok(api.post("/portfolios", {"name": "Growth", "opening_cash": "10000"}), 201)
    api.buy("100", "10", portfolio_name="Growth", executed_at=ago(2))
    return api


def test_split_multiplies_the_quantity_and_keeps_cost_cash_and_pnl(books):
    body = SPLIT | {"ex_date": str(TODAY)}
    preview = assert_ok(books.post("/corporate-actions:preview", body))
    (change,) = preview["positions"]
    assert (change["quantity_before"], change["quantity_after"]) == ("100", "200")
    assert (change["average_before"], change["average_after"], change["cash"]) == ("10.00", "5.00", "0.00")
    assert position(books)[0] == "100"  # a preview records nothing
    made = book(books)
    assert position(books) == ("200", "5.00", "0.00")
    assert books.portfolio()["cash"] == "9000.00"
    row = books.trades()[0]
    assert (row["kind"], row["quantity"], row["gmv"]) == ("split", "100", "0.00")
    assert assert_ok(books.get(f"/corporate-actions/{made['id']}"))["status"] == "booked"
    assert [item["id"] for item in assert_ok(books.get("/corporate-actions"))] == [made["id"]]
    actions = [entry["action"] for entry in list_audit_entries(books)]
    assert actions[:2] == ["corporate_action.booked", "corporate_action.created"]
    assert_verified(books)


def test_reverse_split_pays_the_fraction_in_cash(books):
    books.buy("5", "10", portfolio_name="Growth", executed_at=ago(1))
    book(books, new_units="1", old_units="10", cash_in_lieu_price="120")
    quantity, average, realized = position(books)
    assert (quantity, average) == ("10", "100.00")
    assert realized == "10.00"  # half a share: 60 less its cost 50
    assert books.portfolio()["cash"] == "9010.00"
    assert_verified(books)


def test_fraction_without_a_price_is_paid_at_the_average_cost(books):
    books.sell("35", "10", portfolio_name="Growth", executed_at=ago(1))
    book(books, new_units="1", old_units="10")
    assert position(books) == ("6", "100.00", "0.00")
    assert books.portfolio()["cash"] == "9400.00"


def test_late_split_books_the_difference_to_a_replay(books):
    books.sell("150", "6", portfolio_name="Growth")  # in new units: books show a short of 50
    assert position(books)[0] == "-50"
    book(books)
    assert position(books) == ("50", "5.00", "150.00")
    assert books.portfolio()["realized_pnl"] == "150.00"
    assert_verified(books)


def test_reversal_of_a_split_restores_the_position_in_rows_of_its_own(books):
    made = book(books, new_units="1", old_units="3", cash_in_lieu_price="50")
    assert position(books)[0] == "33"
    undone = assert_ok(reverse(books, made))
    assert (undone["status"], undone["reversal_reason"]) == ("reversed", "Wrong ratio")
    assert position(books) == ("100", "10.00", "0.00")
    assert books.portfolio()["cash"] == "9000.00"
    refused(reverse(books, made), 409)
    assert [row["kind"] for row in books.trades()] == ["reversal", "reversal", "trade", "split", "trade"]
    assert_verified(books)


def test_trade_before_a_split_is_only_reversed_after_the_split(books):
    bought = books.trades()[0]
    made = book(books)
    split = books.trades()[0]
    later = books.buy("10", "6", portfolio_name="Growth")
    assert "corporate action" in refused(books.reverse(bought["trade_id"]), 409)["detail"]
    assert "reverse the action" in refused(books.reverse(split["trade_id"]), 409)["detail"]
    assert books.reverse(later["trade_id"]).status_code == 201  # replayed across the split
    assert position(books) == ("200", "5.00", "0.00")
    assert_ok(reverse(books, made))
    assert books.reverse(bought["trade_id"]).status_code == 201
    assert position(books)[0] == "0"
    assert_verified(books)


def test_symbol_change_moves_position_and_cost_and_cancels_open_orders(books):
    books.quote("FB", "11", "12", "11.5")
    books.buy("10", "20", portfolio_name="Growth", symbol="FB", executed_at=ago(1))
    working = books.order(symbol="FB", type="LIMIT", limit_price="9", time_in_force="GTC", quantity="5")
    change = {"kind": "symbol_change", "symbol": "FB", "new_symbol": "META", "ex_date": str(TODAY)}
    body = change | {"reason": "Renamed"}
    preview = assert_ok(books.post("/corporate-actions:preview", body))
    assert [(order["order_id"], order["change"]) for order in preview["orders"]] == [
        (working["id"], "cancelled")
    ]
    assert preview["positions"][0]["symbol_after"] == "META"
    made = assert_ok(books.post("/corporate-actions", body), 201)
    assert position(books, "FB")[0] == "0"
    assert position(books, "META") == ("10", "20.00", "0.00")
    assert books.found(working["id"])["status"] == "CANCELED"
    books.sell("4", "25", portfolio_name="Growth", symbol="META")
    assert position(books, "META") == ("6", "20.00", "20.00")
    assert_verified(books)
    assert_ok(reverse(books, made))
    assert (position(books, "FB")[0], position(books, "META")[0]) == ("10", "-4")
    assert_verified(books)


def test_symbol_change_is_refused_where_the_old_symbol_was_traded_since(books):
    books.buy("1", "10", portfolio_name="Growth")
    body = {"kind": "symbol_change", "symbol": "AAPL", "new_symbol": "PEAR", "ex_date": str(TODAY)}
    answer = refused(books.post("/corporate-actions", body | {"reason": "Renamed"}), 409)
    assert "was traded" in answer["detail"]
    assert assert_ok(books.get("/corporate-actions")) == []


def test_dividend_is_paid_to_longs_less_withholding_and_by_shorts_gross(books):
    assert_ok(books.post("/portfolios", {"name": "Short", "opening_cash": "10000"}), 201)
    books.sell("40", "10", portfolio_name="Short", executed_at=ago(2))
    books.buy("100", "10", portfolio_name="Growth")  # on the ex-date: without the dividend
    terms = {"kind": "dividend", "amount": "0.5", "currency": "USD", "withholding_percent": "15"}
    made = assert_ok(books.post("/corporate-actions", _dividend(terms)), 201)
    assert books.portfolio()["cash"] == "8042.50"
    assert books.portfolio("Short")["cash"] == "10380.00"
    rows = assert_ok(books.get("/portfolios/Growth/cash"))["rows"][:2]
    assert [(row["kind"], row["amount"]) for row in rows] == [("withholding", "-7.50"), ("dividend", "50.00")]
    assert position(books)[2] == "0.00"  # no realized P&L
    assert_verified(books)
    assert_ok(reverse(books, made))
    assert books.portfolio()["cash"] == "8000.00"
    assert_verified(books)


def _dividend(terms):
    return {"symbol": "AAPL", "ex_date": str(TODAY), "reason": "Quarterly"} | terms


def test_dividend_in_another_currency_needs_a_rate(books):
    terms = {"kind": "dividend", "amount": "1", "currency": "EUR"}
    refused(books.post("/corporate-actions", _dividend(terms)), 422)
    books.quote("EUR/USD", "1.10", "1.10", "1.10")
    assert_ok(books.post("/corporate-actions", _dividend(terms)), 201)
    assert books.portfolio()["cash"] == "9110.00"
    assert_verified(books)


def test_split_restates_open_orders_and_reversal_restates_them_back(books, clock):
    clock.offset = timedelta(days=-1)
    books.quote("AAPL", "10", "11", "10.5")
    exits = {"take_profit": {"limit_price": "15"}, "stop_loss": {"stop_price": "8"}}
    entry = books.order(quantity="10", type="LIMIT", limit_price="11", time_in_force="GTC", **exits)
    limit = books.order(type="LIMIT", limit_price="9.01", time_in_force="GTC", quantity="5")
    trailing = books.order(
        side="SELL", type="TRAILING_STOP", trail_amount="2", quantity="3", time_in_force="GTC"
    )
    clock.offset = timedelta(0)
    made = book(books)
    restated = books.found(limit["id"])
    assert (restated["quantity"], restated["limit_price"], restated["status"]) == ("10", "4.505", "ACCEPTED")
    legs = {leg["role"]: leg for leg in books.found(entry["id"])["legs"]}
    assert (legs["take_profit"]["quantity"], legs["take_profit"]["limit_price"]) == ("20", "7.50")
    assert (legs["stop_loss"]["quantity"], legs["stop_loss"]["stop_price"]) == ("20", "4.00")
    old = books.found(trailing["id"])
    new = books.found(old["replaced_by"])
    assert (old["status"], new["quantity"], new["trail_amount"]) == ("REPLACED", "6", "1.00")
    assert_verified(books)
    assert_ok(reverse(books, made))
    again = books.found(limit["id"])
    assert (again["quantity"], again["limit_price"]) == ("5", "9.01")
    assert_verified(books)


def test_scheduled_action_is_booked_when_its_date_begins_and_can_be_withdrawn(books):
    tomorrow = TODAY + timedelta(days=2)
    body = assert_ok(post_action(books, ex_date=tomorrow), 201)
    assert (body["status"], body["booked_at"]) == ("scheduled", None)
    assert position(books)[0] == "100"
    assert assert_ok(reverse(books, body))["status"] == "reversed"
    assert_verified(books)


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
    body = refused(api.post("/corporate-actions", SPLIT | {"ex_date": str(TODAY)} | changes), 422)
    assert field in [error["field"] for error in body["errors"]]


def test_same_key_books_once(books):
    body = SPLIT | {"ex_date": str(TODAY)}
    first = assert_ok(books.post("/corporate-actions", body, {"Idempotency-Key": "split-1"}), 201)
    assert (
        assert_ok(books.post("/corporate-actions", body, {"Idempotency-Key": "split-1"}), 201)["id"]
        == first["id"]
    )
    assert position(books)[0] == "200"


def test_reports_treat_a_split_as_a_restatement(books):
    book(books)
    (lot,) = assert_ok(books.get("/lots", portfolio="Growth"))["open"]
    assert (lot["quantity"], lot["unit_cost"]) == ("200", "5.00")
    books.sell("200", "6", portfolio_name="Growth")
    (trip,) = assert_ok(books.get("/round-trips"))
    assert (trip["quantity"], trip["entry_price"], trip["realized_pnl"]) == ("200", "5.00", "200.00")
    (body,) = assert_ok(books.get("/pnl"))["items"]
    assert (body["trades"], body["realized_pnl"]) == (2, "200.00")


def test_position_without_a_quote_is_marked_at_the_restated_price(books):
    book(books)
    (body,) = assert_ok(books.get("/positions", portfolio="Growth"))
    assert (body["quantity"], Decimal(body["unrealized_pnl"])) == ("200", Decimal(0))


def test_rebuild_recomputes_positions_across_the_action(books):
    book(books, new_units="1", old_units="3", cash_in_lieu_price="50")
    with books.service.engine.connect().execution_options(writes=True) as connection, connection.begin():
        set_tenant_scope(connection, [books.tenant_id])
        (portfolio,) = audit.iterate_portfolio_rows(connection, f"tenant_id = {books.tenant_id:d}")
        key = PortfolioKey(portfolio.tenant_id, portfolio.id)
        rebuilt = rebuild_portfolio(connection, key, read_ahead(connection, key))
    assert rebuilt.differences == ()


def test_action_on_which_another_one_acted_is_reversed_last(books):
    split = book(books, ex_date=TODAY - timedelta(days=1))
    change = book(books, kind="symbol_change", new_symbol="APPL", new_units=None, old_units=None)
    assert change["id"] in refused(reverse(books, split), 409)["detail"]
    assert position(books, "APPL")[0] == "200"
    assert_ok(reverse(books, change))
    assert_ok(reverse(books, split))
    assert position(books)[0] == "100"
    assert_verified(books)


def test_late_split_of_a_symbol_that_was_changed_books_nothing(books):
    book(books, kind="symbol_change", new_symbol="APPL", new_units=None, old_units=None)
    response = post_action(books, ex_date=TODAY - timedelta(days=1), new_units="1", old_units="3")
    assert response.status_code == 409 or response.json()["status"] == "pending", response.text
    assert (position(books)[0], position(books, "APPL")[0]) == ("0", "100")


def test_action_is_not_booked_after_its_reversal(books):
    body = book(books)
    assert_ok(reverse(books, body))
    service = books.service

    async def book_again():
        await service.app.state.corporate_actions.book(record)

    with service.engine.connect() as connection:
        set_tenant_scope(connection, [books.tenant_id])
        record = get_record(connection, books.tenant_id, body["id"])
    service.client.portal.call(book_again)
    assert position(books)[0] == "100"
    assert_verified(books)


CHANGE = {"kind": "symbol_change", "new_symbol": "APPL", "new_units": None, "old_units": None}
REVERSE_SPLIT = {"new_units": "1", "old_units": "3", "cash_in_lieu_price": "36"}


def test_split_with_a_fraction_and_symbol_change_take_effect_on_the_same_date(books):
    split = book(books, **REVERSE_SPLIT)
    change = book(books, **CHANGE)
    assert (position(books)[0], position(books, "APPL")[:2]) == ("0", ("33", "30.00"))
    assert_verified(books)
    assert change["id"] in refused(reverse(books, split), 409)["detail"]
    assert_ok(reverse(books, change))
    assert_ok(reverse(books, split))
    assert position(books) == ("100", "10.00", "0.00")
    assert_verified(books)


def test_actions_announced_for_the_same_date_are_booked_before_the_symbol_changes(books, clock):
    tomorrow = TODAY + timedelta(days=1)
    for terms in (CHANGE, REVERSE_SPLIT):
        assert_ok(post_action(books, ex_date=tomorrow, **terms), 201)
    dividend = {"kind": "dividend", "amount": "1", "currency": "USD", "new_units": None, "old_units": None}
    assert_ok(post_action(books, ex_date=tomorrow, **dividend), 201)
    clock.offset = timedelta(days=1)
    try:
        books.service.client.portal.call(books.service.app.state.corporate_actions.book_due)
        assert (position(books)[0], position(books, "APPL")[0]) == ("0", "33")
        rows = assert_ok(books.get("/portfolios/Growth/cash"))["rows"]
        assert [row["amount"] for row in rows if row["kind"] == "dividend"] == ["100.00"]
        assert_verified(books)
    finally:
        clock.offset = timedelta(0)


def test_split_of_a_symbol_that_changed_on_its_date_is_refused_and_works_under_the_new_one(books):
    book(books, **CHANGE)
    refused(post_action(books, **REVERSE_SPLIT), 409)
    book(books, **REVERSE_SPLIT | {"symbol": "APPL"})
    assert position(books, "APPL")[0] == "33"
    assert_verified(books)


def test_fraction_of_a_late_split_has_the_cost_before_the_later_trades(books):
    books.buy("7", "90", portfolio_name="Growth")  # in new units
    preview = assert_ok(
        books.post("/corporate-actions:preview", SPLIT | REVERSE_SPLIT | {"ex_date": str(TODAY)})
    )
    book(books, **REVERSE_SPLIT)
    # 100 at 10 became 33.33333333 at 30; 0.33333333 was paid 36 a unit. 33 at 30 and 7 at 90 remain.
    assert position(books) == ("40", "40.50", "1.99999998")
    (change,) = preview["positions"]
    assert (change["quantity_after"], change["average_after"], change["cash"]) == (
        "40",
        "40.50",
        "11.99999988",
    )
    assert_verified(books)


def test_reversal_of_a_reverse_split_restores_quantities_that_were_rounded(books, clock):
    clock.offset = timedelta(days=-1)
    books.quote("AAPL", "10", "11", "10.5")
    stop = books.order(side="SELL", type="STOP", stop_price="8", quantity="35", time_in_force="GTC")
    trailing = books.order(
        side="SELL", type="TRAILING_STOP", trail_amount="2", quantity="25", time_in_force="GTC"
    )
    clock.offset = timedelta(0)
    made = book(books, new_units="1", old_units="10", cash_in_lieu_price="100")
    assert (books.found(stop["id"])["quantity"], books.found(stop["id"])["stop_price"]) == ("3", "80.00")
    assert_ok(reverse(books, made))
    assert (books.found(stop["id"])["quantity"], books.found(stop["id"])["stop_price"]) == ("35", "8.00")
    restated = books.found(books.found(trailing["id"])["replaced_by"])
    restored = books.found(restated["replaced_by"])
    assert (restated["quantity"], restored["quantity"], restored["trail_amount"]) == ("2", "25", "2.00")
    assert_verified(books)


def test_held_exits_of_a_waiting_entry_are_restated(books, clock):
    clock.offset = timedelta(days=-1)
    books.quote("AAPL", "10", "11", "10.5")
    exits = {"take_profit": {"limit_price": "15"}, "stop_loss": {"stop_price": "6"}}
    entry = books.order(quantity="10", type="LIMIT", limit_price="9", time_in_force="GTC", **exits)
    clock.offset = timedelta(0)
    book(books)
    books.quote("AAPL", "4.4", "4.5", "4.45")
    legs = {leg["role"]: leg for leg in books.found(entry["id"])["legs"]}
    assert {leg["status"] for leg in legs.values()} == {"ACCEPTED"}
    assert (legs["take_profit"]["quantity"], legs["take_profit"]["limit_price"]) == ("20", "7.50")
    assert (legs["stop_loss"]["quantity"], legs["stop_loss"]["stop_price"]) == ("20", "3.00")
    assert_verified(books)


def test_stored_prices_follow_a_split_and_its_reversal(books, clock):
    clock.offset = timedelta(days=-1)
    books.quote("AAPL", "10", "11", "10.5")
    until = str(TODAY + timedelta(days=2)) + "T00:00:00Z"
    mark = {"price": "12", "reason": "Thin market", "expires_at": until}
    assert_ok(books.put("/marks/AAPL", mark))
    clock.offset = timedelta(0)
    made = book(books)
    quote = assert_ok(books.get("/quotes/AAPL"))
    assert (quote["bid"], quote["ask"], quote["last"]) == ("5.00", "5.50", "5.25")
    (body,) = assert_ok(books.get("/positions"))
    assert (body["mark"], body["market_value"]) == ("6.00", "1200.00")
    booked_at = utc_now()
    books.quote("AAPL", "20", "20", "20")
    with books.service.engine.connect() as connection:
        set_tenant_scope(connection, [books.tenant_id])
        key = InstrumentKey(books.tenant_id, "AAPL")
        found = books.service.app.state.market.quotes_at(connection, [key], booked_at)
    assert found[key].last == Decimal("5.25")  # a tick at the time of the booking
    assert_ok(reverse(books, made))
    assert assert_ok(books.get("/quotes/AAPL"))["last"] == "20.00"  # it arrived after the split
    (body,) = assert_ok(books.get("/positions"))
    assert (body["mark"], body["market_value"]) == ("12.00", "1200.00")
    assert_verified(books)


def test_reversal_multiplies_the_quote_that_the_split_divided(books, clock):
    clock.offset = timedelta(days=-1)
    books.quote("AAPL", "10", "11", "10.5")
    clock.offset = timedelta(0)
    assert_ok(books.post("/portfolios", {"name": "Second", "opening_cash": "10000"}), 201)
    books.buy("10", "10", portfolio_name="Second", executed_at=ago(2))
    assert_ok(reverse(books, book(books)))
    quote = assert_ok(books.get("/quotes/AAPL"))
    assert (quote["bid"], quote["ask"], quote["last"]) == ("10.00", "11.00", "10.50")


def test_extremes_of_a_position_are_in_the_units_after_a_split(books):
    books.quote("AAPL", "14", "14", "14")
    made = book(books)
    (body,) = assert_ok(books.get("/positions"))
    assert (body["highest_price"], body["lowest_price"]) == ("14.00", "5.00")  # 14 is a price of today
    assert_ok(reverse(books, made))
    (body,) = assert_ok(books.get("/positions"))
    assert (body["highest_price"], body["lowest_price"]) == ("14.00", "10.00")
