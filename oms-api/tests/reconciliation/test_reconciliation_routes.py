"""Listing and resolving reconciliation issues over REST."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text

from app.clock import utc_now
from app.database import set_tenant_scope, unit_of_work
from app.identity.rules.access import Role
from app.reconciliation.queries import Issue, find_issue, insert_issue
from tests.access.api_operations import Members
from tests.support.service import ApiClient

pytestmark = pytest.mark.any_database

CRITICAL = ("quantity_mismatch", "critical", "AAPL", None, "10", "9")


@pytest.fixture
def tenant(service):
    """Provide a tenant with the portfolio Growth, people, and a function that creates an issue."""
    members = Members(service, service.create_client())
    api = members.api
    assert api.post("/portfolios", {"name": "Growth"}).status_code == 201

    def create(*figures, details=None):
        return _create_issue(api, figures or CRITICAL, details)

    def resolve(issue_id, action, role=Role.RISK, key=None):
        headers = ({"X-API-Key": api.key} if role is None else members.headers(role)) | (
            {"Idempotency-Key": key} if key else {}
        )
        path = f"/reconciliation/issues/{issue_id}/resolve"
        return api.post(path, {"action": action, "reason": "Looked at it"}, headers)

    return SimpleNamespace(api=api, create=create, resolve=resolve)


def _create_issue(api: ApiClient, figures: Any, details: str | None) -> str:
    now = utc_now()
    with unit_of_work(api.service.engine) as connection:
        set_tenant_scope(connection, [api.tenant_id])
        portfolio_id = connection.execute(
            text("SELECT id FROM portfolios WHERE tenant_id = :tenant"), {"tenant": api.tenant_id}
        ).scalar_one()
        where = (api.tenant_id, f"ri_{api.tenant_id:024}", "paper", portfolio_id)
        kind, severity, symbol, order_id, own_value, broker_value = figures
        label = (kind, severity, symbol, order_id, own_value, broker_value)
        issue = Issue(*where, *label, "open", None, None, None, now, now, None, None)
        insert_issue(connection, issue._replace(details=details))
    return issue.id


def _get_stored(api, issue_id):
    with unit_of_work(api.service.engine) as connection:
        set_tenant_scope(connection, [api.tenant_id])
        return find_issue(connection, api.tenant_id, issue_id)


def test_issue_shows_both_sides_and_is_filtered(tenant):
    issue_id, api = tenant.create(), tenant.api
    [body] = api.get("/reconciliation/issues", status="open", severity="critical", portfolio="growth").json()
    assert (body["id"], body["ours"], body["theirs"]) == (issue_id, "10", "9")
    assert (body["portfolio_name"], body["proposed_action"], body["owner"]) == ("Growth", "adopt", None)
    assert api.get("/reconciliation/issues", status="resolved").json() == []
    assert api.get("/reconciliation/issues", severity="nothing").status_code == 422


def test_issue_is_assigned_watched_then_ignored_once(tenant):
    issue_id = tenant.create()
    assigned = tenant.resolve(issue_id, "assign", None).json()
    assert (assigned["status"], assigned["owner"]) == ("open", assigned["owner"])
    assert assigned["owner"] is not None
    watched = tenant.resolve(issue_id, "watch").json()
    assert (watched["status"], watched["action"]) == ("open", "watch")
    ignored = tenant.resolve(issue_id, "ignore").json()
    assert (ignored["status"], ignored["action"], ignored["reason"]) == ("resolved", "ignore", "Looked at it")
    assert tenant.resolve(issue_id, "ignore").status_code == 409
    assert len(tenant.api.get("/audit", action="reconciliation.ignore").json()) == 1


def test_key_without_a_person_cannot_make_decisions_of_persons(tenant):
    issue_id = tenant.create()
    for action in ("adopt", "ignore", "watch"):
        assert tenant.resolve(issue_id, action, None).status_code == 403
    assert tenant.resolve(issue_id, "adopt", Role.TRADER).status_code == 403
    assert tenant.resolve(issue_id, "adjust_cash").status_code == 422  # not of this type
    assert _get_stored(tenant.api, issue_id).status == "open"


def test_adopted_position_is_booked_once(tenant):
    api = tenant.api
    issue_id = tenant.create("missing_position", "critical", "AAPL", None, None, "7", details="700.00")
    first = tenant.resolve(issue_id, "adopt", key="once")
    assert (first.status_code, first.json()["action"]) == (200, "adopt"), first.text
    assert tenant.resolve(issue_id, "adopt", key="once").json() == first.json()
    assert tenant.resolve(issue_id, "adopt").status_code == 409
    [trade] = api.get("/trades").json()
    assert (trade["side"], trade["quantity"], trade["gmv"]) == ("BUY", "7", "700.00")
    assert trade["note"] == "Adopted from the broker: Looked at it"
    body = api.get_portfolio()["positions"]["AAPL"]
    assert body["quantity"] == "7"
    assert Decimal(body["cost"]) == 700


def test_position_that_changed_meanwhile_is_not_adopted(tenant):
    issue_id = tenant.create("missing_position", "critical", "AAPL", None, None, "7", details="700.00")
    trade = {"portfolio_name": "Growth", "symbol": "AAPL", "side": "BUY", "quantity": "1", "price": "100"}
    assert tenant.api.post("/trade", trade).status_code == 201
    assert tenant.resolve(issue_id, "adopt").status_code == 409
    assert _get_stored(tenant.api, issue_id).status == "open"


def test_cash_is_adjusted_to_the_brokers(tenant):
    api = tenant.api
    own_cash = api.get("/portfolios/Growth/cash").json()["cash"]
    issue_id = tenant.create("cash_mismatch", "info", None, None, own_cash, "12345.67")
    adjusted = tenant.resolve(issue_id, "adjust_cash")
    assert adjusted.json()["status"] == "resolved", adjusted.text
    cash = api.get("/portfolios/Growth/cash").json()
    assert cash["cash"] == "12345.67"
    assert (cash["rows"][0]["kind"], cash["rows"][0]["reason"]) == (
        "adjustment",
        "Reconciliation: Looked at it",
    )


def test_cash_that_moved_meanwhile_is_not_adjusted(tenant):
    issue_id = tenant.create("cash_mismatch", "info", None, None, "1.00", "2.00")
    assert tenant.resolve(issue_id, "adjust_cash").status_code == 409


def test_missing_execution_is_tried_again(tenant):
    issue_id = tenant.create("missing_execution", "critical", None, "O1", None, "X1: 4 at 90")
    body = tenant.resolve(issue_id, "book_missing", None).json()
    assert (body["status"], body["proposed_action"]) == ("open", "book_missing")
    assert tenant.resolve(issue_id, "adopt").status_code == 422


TERMS = (
    '{"side": "BUY", "type": "LIMIT", "time_in_force": "GTC", "product": "", '
    '"quantity": "10", "limit_price": "90"}'
)


def test_unknown_order_is_adopted_once_by_a_person(tenant):
    api = tenant.api
    issue_id = tenant.create("unknown_order", "warning", "AAPL", "by-hand", None, "by-hand", details=TERMS)
    assert tenant.resolve(issue_id, "adopt", None).status_code == 403
    refused = tenant.resolve(issue_id, "adopt")
    assert (refused.status_code, "does not trade at a broker" in refused.json()["detail"]) == (409, True)
    with unit_of_work(api.service.engine) as connection:
        set_tenant_scope(connection, [api.tenant_id])
        change = (
            "UPDATE portfolios SET broker = 'alpaca', broker_connection = 'paper' WHERE tenant_id = :tenant"
        )
        connection.execute(text(change), {"tenant": api.tenant_id})
    first = tenant.resolve(issue_id, "adopt", key="once")
    assert (first.status_code, first.json()["action"]) == (200, "adopt"), first.text
    assert tenant.resolve(issue_id, "adopt", key="once").json() == first.json()
    order = api.get("/orders/by-hand").json()
    assert (order["status"], order["quantity"], order["limit_price"]) == ("ACCEPTED", "10", "90.00")


def test_order_whose_id_does_not_fit_is_not_adopted(tenant):
    name = "x" * 33
    issue_id = tenant.create("unknown_order", "warning", "AAPL", name, None, name, details=TERMS)
    assert tenant.resolve(issue_id, "adopt").status_code == 409
    assert _get_stored(tenant.api, issue_id).status == "open"


def test_run_is_accepted(api):
    response = api.post("/reconciliation:run")
    assert (response.status_code, response.json()["connections"]) == (202, 0)
