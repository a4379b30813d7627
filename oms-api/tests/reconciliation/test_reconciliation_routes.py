"""Listing and resolving reconciliation issues over REST."""

import pytest
from sqlalchemy import text

from app.clock import utc_now
from app.database import set_tenant_scope, unit_of_work
from app.reconciliation.queries import Issue, insert_issue

pytestmark = pytest.mark.any_database


@pytest.fixture
def issue_id(api):
    """Provide a critical issue of the portfolio Growth."""
    created, now = api.post("/portfolios", {"name": "Growth"}), utc_now()
    assert created.status_code == 201
    with unit_of_work(api.service.engine) as connection:
        set_tenant_scope(connection, [api.tenant_id])
        portfolio_id = _portfolio_id(connection, api.tenant_id)
        where = (api.tenant_id, f"ri_{api.tenant_id:024}", "paper", portfolio_id)
        what = ("quantity_mismatch", "critical", "AAPL", None, "10", "9")
        insert_issue(connection, Issue(*where, *what, "open", None, None, None, now, now, None, None))
    return f"ri_{api.tenant_id:024}"


def _portfolio_id(connection, tenant_id):
    return connection.execute(
        text("SELECT id FROM portfolios WHERE tenant_id = :tenant"), {"tenant": tenant_id}
    ).scalar_one()


def test_issue_shows_both_sides_and_is_filtered(api, issue_id):
    [shown] = api.get("/reconciliation/issues", status="open", severity="critical", portfolio="growth").json()
    assert (shown["id"], shown["ours"], shown["theirs"]) == (issue_id, "10", "9")
    assert (shown["portfolio_name"], shown["proposed_action"], shown["owner"]) == ("Growth", "adopt", None)
    assert api.get("/reconciliation/issues", status="resolved").json() == []
    assert api.get("/reconciliation/issues", severity="nothing").status_code == 422


def test_issue_is_assigned_then_ignored_once(api, issue_id):
    path = f"/reconciliation/issues/{issue_id}/resolve"
    assigned = api.post(path, {"action": "assign", "reason": "I look"}).json()
    assert (assigned["status"], assigned["owner"]) == ("open", assigned["owner"])
    assert assigned["owner"] is not None
    ignored = api.post(path, {"action": "ignore", "reason": "Known"}).json()
    assert (ignored["status"], ignored["action"], ignored["reason"]) == ("resolved", "ignore", "Known")
    assert api.post(path, {"action": "ignore", "reason": "Known"}).status_code == 409
    assert api.post(path, {"action": "adopt", "reason": "Known"}).status_code == 422
    assert len(api.get("/audit", action="reconciliation.ignore").json()) == 1


def test_run_is_accepted(api):
    answer = api.post("/reconciliation:run")
    assert (answer.status_code, answer.json()["connections"]) == (202, 0)
