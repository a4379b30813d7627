"""The operator sets the sessions of a date: for every process of the tenant only, and audited."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from app.calendars.service import Calendars, verify_calendars
from app.database import unit_of_work
from app.orders.rules.values import Status
from tests.factories import BOOTSTRAP_KEY
from tests.orders.writer_harness import WriterHarness
from tests.support.service import ApiClient, run_service

JUBILEE = {
    "kind": "special",
    "name": "Jubilee",
    "sessions": [{"open": "10:00", "close": "11:00"}],
    "source": "a circular",
}


@pytest.fixture(scope="module")
def own_service(backend, new_database):
    """Provide a separate service: calendars of the operator apply to all of its tenants."""
    with run_service(new_database(backend)) as running:
        yield running


@pytest.fixture(scope="module")
def operator(own_service):
    return ApiClient(own_service, 1, BOOTSTRAP_KEY)


@pytest.fixture(scope="module")
def tenant(own_service):
    return own_service.create_client()


def list_sessions(api, day, market="XNYS"):
    (body,) = api.get("/calendar", market=market, from_=day, to=day).json()
    return body["kind"], [(session["open"][11:16], session["close"][11:16]) for session in body["sessions"]]


def test_date_override_applies_to_every_tenant_and_is_audited(operator, tenant):
    response = operator.put("/calendar/xnys/2027-03-05", JUBILEE)
    assert response.status_code == 200, response.text
    assert response.json()["name"] == "Jubilee"
    assert list_sessions(tenant, "2027-03-05") == ("special", [("15:00", "16:00")])
    assert operator.put("/calendar/XNYS/2027-03-05", {"kind": "holiday", "source": "b"}).status_code == 200
    assert list_sessions(tenant, "2027-03-05") == ("holiday", [])
    last = operator.get("/audit", action="calendar.set").json()[0]
    assert (last["target"], last["before"]["name"], last["after"]["kind"]) == (
        "XNYS 2027-03-05",
        "Jubilee",
        "holiday",
    )


def test_table_can_be_extended_by_overrides(operator, tenant):
    assert tenant.get("/calendar", market="XNSE", from_="2027-01-04", to="2027-01-04").status_code == 422
    for day in ("2027-01-01", "2027-01-04"):
        assert operator.put(f"/calendar/XNSE/{day}", {"kind": "regular", "source": "c"}).status_code == 200
    assert list_sessions(tenant, "2027-01-04", "XNSE") == ("regular", [("03:45", "10:00")])
    assert tenant.get("/clock", market="XNSE").json()["known_until"] == "2027-01-04"


def test_only_the_operator_sets_a_date_override(operator, tenant):
    assert tenant.put("/calendar/XNYS/2027-03-05", JUBILEE).status_code == 403


@pytest.mark.parametrize(
    ("path", "change", "field"),
    [
        ("XNYS/2027-03-05", {"kind": "holiday"}, "sessions"),
        ("XNYS/2027-03-05", {"sessions": []}, "sessions"),
        ("XNYS/2027-03-05", {"sessions": [{"open": "9:30", "close": "13:00"}]}, "sessions.0.open"),
        ("XNYS/2027-03-05", {"sessions": [{"open": "11:00", "close": "10:00"}]}, "sessions"),
        ("XNYS/2027-03-05", {"source": ""}, "source"),
        ("XNYS/2027-03-05", {"kind": "festival"}, "kind"),
        ("XNYS/2023-12-29", {}, "date"),
        ("XNYS/2035-01-02", {}, "date"),
        ("XNYS/yesterday", {}, "date"),
        ("XLON/2027-03-05", {}, "market"),
        ("CRYPTO/2027-03-05", {}, "date"),
    ],
)
@pytest.mark.any_database
def test_invalid_override_is_rejected_by_field(operator, path, change, field):
    response = operator.put(f"/calendar/{path}", JUBILEE | change)
    assert response.status_code == 422, response.text
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_other_process_uses_an_override_at_its_next_order(operator, own_service):
    harness = WriterHarness(own_service.engine)
    harness.publish_quote("99", "101", "100")
    harness.list_instrument()
    harness.enforce_sessions("deny")
    harness.now = datetime(2026, 11, 20, 15, tzinfo=UTC)
    assert harness.place_order().status is Status.FILLED
    assert operator.put("/calendar/XNYS/2026-11-20", {"kind": "holiday", "source": "d"}).status_code == 200
    assert harness.place_order().status is Status.DENIED


def test_processes_have_the_same_calendars_after_overrides(operator, own_service):
    calendars = Calendars.load()
    operator.put("/calendar/XNYS/2027-03-05", JUBILEE)
    with own_service.engine.connect() as connection:
        calendars.refresh(connection)
    instant = datetime(2027, 3, 5, 15, 30, tzinfo=UTC)
    assert calendars.may_be_open("NYSE", "equity", instant)
    assert not calendars.may_be_open("NYSE", "equity", instant.replace(hour=17))


def test_overrides_pass_verification(operator, own_service):
    operator.put("/calendar/XNYS/2027-03-05", JUBILEE)
    with unit_of_work(own_service.engine) as connection:
        assert list(verify_calendars(connection)) == []
        connection.execute(text("UPDATE calendar_days SET name = 'Forged' WHERE date = '2027-03-05'"))
        (difference,) = verify_calendars(connection)
        connection.rollback()
    assert (difference.location, difference.field, difference.stored) == (
        "calendar day XNYS 2027-03-05",
        "name",
        "Forged",
    )
