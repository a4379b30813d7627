"""POST /day-close/{date}: a day is signed off once, with its figures and its breaks."""

import csv
import io

import pytest
from sqlalchemy import text

from app.database import connect_engine
from app.day_close.service.breaks import SequenceRange, list_row_breaks
from app.money import ZERO
from app.performance.queries.closes import StoredClose
from app.verify import verify_database
from tests.factories import BOOTSTRAP_KEY
from tests.support.clock import SetClock
from tests.support.jobs import take_snapshots
from tests.support.service import ApiClient, run_service
from tests.verification.forgery import connect_without_guards

DATE, NEXT = "2026-11-20", "2026-11-21"


@pytest.fixture(scope="module")
def clock():
    return SetClock(f"{DATE}T12:00")


@pytest.fixture(scope="module")
def timed_service(backend, new_database, clock):
    """Provide a service whose clock the tests set. Its prices are given by hand."""
    with run_service(new_database(backend), now=clock, price_source="manual") as service:
        yield service


@pytest.fixture
def traded_tenant(timed_service, clock):
    """Provide a tenant that traded on the day, and whose day has ended."""
    clock.set(f"{DATE}T12:00")
    api = timed_service.create_client()
    for name, currency in (("Growth", "USD"), ("India", "INR")):
        body = {"name": name, "base_currency": currency, "opening_cash": "100000"}
        assert api.post("/portfolios", body).status_code == 201
    api.set_quote("USD/INR", "80", "80", "80")
    api.buy("100", "50", charges="1", note="=1+1")
    api.buy("10", "100", symbol="TCS", portfolio_name="India")
    deposit = {"kind": "deposit", "amount": "500", "currency": "USD", "reason": "@capital"}
    assert api.post("/portfolios/Growth/cash", deposit).status_code == 201
    clock.set(f"{DATE}T23:59")
    api.set_quote("AAPL", "52", "52", "52")
    clock.set(f"{NEXT}T00:00:10")
    take_snapshots(timed_service, clock.at)
    return api


def close_day(api, date=DATE, **body):
    return api.post(f"/day-close/{date}", body)


def test_day_is_signed_off_with_its_figures(traded_tenant):
    response = close_day(traded_tenant, note="As expected")
    assert response.status_code == 201, response.text
    signed = response.json()
    growth, india = signed["figures"]
    assert (growth["portfolio_name"], growth["trades"], growth["from"]) == ("Growth", 1, None)
    assert (growth["cash"], growth["market_value"], growth["equity"]) == ("95499.00", "5200.00", "100699.00")
    assert (growth["flows"], growth["price"], growth["fees"]) == ("500.00", "200.00", "-1.00")
    assert (growth["day_pnl"], india["day_pnl"]) == ("199.00", "0.00")
    assert (signed["day_pnl"], signed["currency"], signed["note"]) == ("199.00", "USD", "As expected")
    assert [(rate["currency"], rate["rate"]) for rate in signed["rates"]] == [("INR", "0.0125")]
    assert traded_tenant.get(f"/day-close/{DATE}").json() == signed


def test_day_cannot_be_signed_off_twice(traded_tenant):
    first = close_day(traded_tenant).json()
    response = close_day(traded_tenant)
    assert (response.status_code, response.json()["type"]) == (409, "urn:slackoms:problem/day-already-closed")
    assert response.json()["detail"].startswith(f"{first['signed_by']} signed off {DATE} at {NEXT}T00:00:10")


def test_repeated_request_gets_the_first_response(traded_tenant):
    responses = [traded_tenant.post(f"/day-close/{DATE}", {}, {"Idempotency-Key": "close"}) for _ in range(2)]
    assert [response.status_code for response in responses] == [201, 201]
    assert responses[0].json() == responses[1].json()


def test_day_that_is_not_over_cannot_be_signed_off(traded_tenant, clock):
    clock.set(f"{NEXT}T00:00:09")
    response = close_day(traded_tenant, NEXT)
    assert (response.status_code, response.json()["type"]) == (409, "urn:slackoms:problem/day-not-over")
    assert (
        close_day(traded_tenant.service.create_client(), NEXT).status_code == 409
    )  # also without a portfolio
    assert close_day(traded_tenant.service.create_client(), DATE).json()["figures"] == []


def test_close_that_is_not_stored_yet_is_waited_for(traded_tenant, clock):
    clock.set("2026-11-22T00:00:05")
    response = close_day(traded_tenant, NEXT)
    assert (response.status_code, response.json()["type"]) == (409, "urn:slackoms:problem/close-not-stored")
    clock.set("2026-11-22T03:00:00")
    signed = close_day(traded_tenant, NEXT).json()
    assert [item["kind"] for item in signed["breaks"]] == ["missing_close"] * 2
    assert signed["figures"] == []


def test_open_orders_old_marks_and_stopped_trading_are_breaks(traded_tenant, timed_service):
    order = {
        "portfolio_name": "Growth",
        "symbol": "AAPL",
        "side": "BUY",
        "quantity": "1",
        "limit_price": "40",
    }
    placed = traded_tenant.post("/orders", order | {"type": "LIMIT", "time_in_force": "GTC"}).json()
    halt = {"scope": "portfolio", "name": "India", "state": "REDUCING", "reason": "Look into it"}
    assert traded_tenant.post("/kill-switch", halt).status_code == 200
    events = [
        (item["portfolio_name"], item["kind"], item["subject"])
        for item in close_day(traded_tenant).json()["breaks"]
    ]
    assert events == [
        ("Growth", "working_order", placed["id"]),
        ("India", "stale_mark", "TCS"),
        ("India", "trading_stopped", None),
    ]


def test_forged_rows_of_both_ledgers_are_breaks(traded_tenant, timed_service, clock):
    close_of_growth = StoredClose._make((clock.at, *[ZERO] * 8, None))
    with connect_without_guards(timed_service.engine) as connection:
        key = connection.execute(
            text("SELECT tenant_id, id FROM portfolios WHERE tenant_id = :id AND name = 'Growth'"),
            {"id": traded_tenant.tenant_id},
        ).one()
        arguments = (*key, SequenceRange(0, 1), close_of_growth)
        assert list(list_row_breaks(connection, *arguments)) == []
        for table in ("trades", "cash_movements"):
            connection.execute(text(f"UPDATE {table} SET source = 'x'"))  # noqa: S608  # of the tests
        trade, movement = list_row_breaks(connection, *arguments)
    assert trade.subject.startswith("T")
    assert (trade.kind, movement.kind, movement.subject) == ("unverified_row", "unverified_row", "cash 1")


def test_statement_is_html_or_csv(traded_tenant):
    close_day(traded_tenant)
    path = f"/day-close/{DATE}/statements"
    page = traded_tenant.get(f"{path}/growth", {"Accept": "text/html,*/*"})
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "199.00" in page.text
    for response in (
        traded_tenant.get(f"{path}/Growth.CSV"),
        traded_tenant.get(f"{path}/Growth", {"Accept": "text/csv"}),
    ):
        assert response.headers["content-type"] == "text/csv; charset=utf-8"
        assert response.content.endswith(b"\r\n")
        rows = list(csv.reader(io.StringIO(response.text)))
        assert ["P&L of the day", "Day P&L", "199.00"] in rows
        assert [row[6] for row in rows if row[:2] == ["Cash", f"{DATE}T12:00:00.000000Z"]] == ["'@capital"]
    assert traded_tenant.get(f"{path}/Growth.html", {"Accept": "text/csv"}).text == page.text


def test_statement_needs_a_signed_day_and_a_visible_portfolio(traded_tenant, timed_service):
    assert traded_tenant.get(f"/day-close/{DATE}/statements/Growth").status_code == 404
    assert traded_tenant.get(f"/day-close/{DATE}").status_code == 404
    close_day(traded_tenant)
    narrow = traded_tenant.post(
        "/api-keys", {"name": "narrow", "scopes": ["read"], "portfolios": ["India"]}
    ).json()
    other = traded_tenant.with_key(narrow["key"])
    assert other.get(f"/day-close/{DATE}/statements/India").status_code == 200
    assert other.get(f"/day-close/{DATE}/statements/Growth").status_code == 404
    body = other.get(f"/day-close/{DATE}").json()
    assert ([figure["portfolio_name"] for figure in body["figures"]], body["day_pnl"]) == (["India"], None)
    assert timed_service.create_client().get(f"/day-close/{DATE}").status_code == 404


def test_day_close_is_published_and_audited(traded_tenant):
    signed = close_day(traded_tenant).json()
    (event,) = traded_tenant.get("/events", type="day.closed").json()
    assert (event["data"]["digest"], event["data"]["signed_by"]) == (signed["digest"], signed["signed_by"])
    (entry,) = traded_tenant.get("/audit", action="day.closed").json()
    assert (entry["target"], entry["after"]["digest"]) == (DATE, signed["digest"])


def test_books_with_signed_days_are_verified(traded_tenant, timed_service):
    close_day(traded_tenant)
    engine = connect_engine(timed_service.database_url)
    assert verify_database(engine).is_clean
    engine.dispose()


def set_session(timed, day, **session):
    response = ApiClient(timed, 1, BOOTSTRAP_KEY).put(
        f"/calendar/XNYS/{day}", {"source": "Announced late", **session}
    )
    assert response.status_code == 200, response.text


@pytest.fixture
def new_york_tenant(timed_service, clock):
    """Provide a tenant that traded on two New York days, whose second one just ended."""
    clock.set("2026-11-18T12:00")
    set_session(timed_service, "2026-11-19", kind="regular")
    api = timed_service.create_client()
    body = {"name": "Growth", "opening_cash": "100000", "calendar": "XNYS"}
    assert api.post("/portfolios", body).status_code == 201
    for day, price in (("2026-11-18", "50"), ("2026-11-19", "51")):
        clock.set(f"{day}T18:00")
        api.buy("10", price, charges="1")
        clock.set(f"{day}T21:00:10")
        take_snapshots(timed_service, clock.at)
    return api


def test_day_whose_session_vanished_after_its_close_keeps_its_figures(new_york_tenant, timed_service):
    set_session(timed_service, "2026-11-19", kind="holiday")
    signed = close_day(new_york_tenant, "2026-11-19").json()
    (growth,) = signed["figures"]
    assert (growth["trades"], growth["day_pnl"], growth["fees"]) == (1, "9.00", "-1.00")
    assert [item["kind"] for item in signed["breaks"] if item["kind"] == "missing_close"] == []


def test_day_whose_close_moved_is_signed_off_once_with_all_its_figures(new_york_tenant, timed_service, clock):
    set_session(timed_service, "2026-11-19", kind="half_day", sessions=[{"open": "09:30", "close": "13:00"}])
    take_snapshots(timed_service, clock.at)  # adds no second close of the day
    (growth,) = close_day(new_york_tenant, "2026-11-19").json()["figures"]
    assert (growth["to"], growth["trades"], growth["day_pnl"]) == ("2026-11-19T21:00:00.000000Z", 1, "9.00")


def test_close_that_moved_to_later_replaces_the_earlier_one(new_york_tenant, timed_service, clock):
    set_session(timed_service, "2026-11-19", kind="special", sessions=[{"open": "09:30", "close": "17:00"}])
    clock.set("2026-11-19T21:30")
    assert close_day(new_york_tenant, "2026-11-19").json()["type"] == "urn:slackoms:problem/day-not-over"
    new_york_tenant.buy("1", "51", charges="1")
    clock.set("2026-11-19T22:00:10")
    take_snapshots(timed_service, clock.at)
    (growth,) = close_day(new_york_tenant, "2026-11-19").json()["figures"]
    assert (growth["to"], growth["trades"], growth["fees"]) == ("2026-11-19T22:00:00.000000Z", 2, "-2.00")
