"""Views for analysts show what the API shows, and on PostgreSQL only the tenants that a role is given."""

from datetime import timedelta

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import ProgrammingError

from app.clock import utc_now
from app.database import normalize_url, set_tenant_scope, unit_of_work
from app.reconciliation.queries import Issue, insert_issue

VIEWS = ("v_active_positions", "v_today_orders", "v_daily_stats", "v_reconciliation_issues")


@pytest.fixture
def api_with_history(api):
    """Provide a position, its orders, and a day with a gain."""
    api.set_quote("AAPL", "100", "100", "100")
    api.place_order(quantity="10", portfolio_name="Growth")
    api.set_quote("AAPL", "110", "110", "110")
    api.place_order(side="SELL", quantity="4", portfolio_name="Growth")
    return api


def read_view(service, view, tenant_id):
    with service.open_connection() as connection:
        rows = connection.execute(text(f"SELECT * FROM {view} WHERE tenant_id = :id"), {"id": tenant_id})  # noqa: S608
        return [row._mapping for row in rows]


def test_analyst_views_match_the_api(api_with_history):
    service, tenant_id = api_with_history.service, api_with_history.tenant_id
    (position,) = read_view(service, "v_active_positions", tenant_id)
    assert (position["portfolio_name"], position["symbol"], position["currency"]) == ("Growth", "AAPL", "USD")
    assert (position["quantity"], position["cost"], position["average_cost"]) == (6, 600, 100)
    orders = read_view(service, "v_today_orders", tenant_id)
    assert {order["id"] for order in orders} == {
        order["id"] for order in api_with_history.get("/orders").json()
    }
    assert {order["status"] for order in orders} == {"FILLED"}
    (day,) = read_view(service, "v_daily_stats", tenant_id)
    (body,) = api_with_history.get("/daily-stats").json()
    assert (str(day["day"]), day["trades"], day["wins"]) == (body["date"], body["trades"], body["wins"])
    assert (day["volume"], day["realized_pnl"], day["net_pnl"]) == (1440, 40, 40)


def test_view_of_issues_shows_their_age(api):
    api.open_portfolio()
    now = utc_now()
    with unit_of_work(api.service.engine) as connection:
        set_tenant_scope(connection, [api.tenant_id])
        home = connection.execute(
            text("SELECT id FROM portfolios WHERE tenant_id = :id"), {"id": api.tenant_id}
        ).scalar_one()
        label = ("quantity_mismatch", "critical", "AAPL", None, "10", "9", "open", "bob", None, None)
        times = (now - timedelta(hours=3), now, None, None)
        insert_issue(connection, Issue(api.tenant_id, "ri_1", "paper", home, *label, *times))
    (issue,) = read_view(api.service, "v_reconciliation_issues", api.tenant_id)
    assert issue["portfolio_name"] == "Growth"
    assert issue["ours"] == "10"
    assert issue["theirs"] == "9"
    assert issue["owner"] == "bob"
    assert float(issue["hours_unresolved"]) == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_analyst_sees_only_the_tenants_of_their_roles(api_with_history, service):
    role, stranger = (
        f"slackoms_analyst_{api_with_history.tenant_id}",
        f"stranger_{api_with_history.tenant_id}",
    )
    with service.engine.begin() as connection:
        connection.execute(text(f"CREATE ROLE {role} NOLOGIN"))
        for name in (f"jane_{api_with_history.tenant_id}", stranger):
            connection.execute(text(f"CREATE ROLE {name} LOGIN"))
        connection.execute(text(f"GRANT SELECT ON {', '.join(VIEWS)} TO {role}, {stranger}"))
        connection.execute(text(f"GRANT {role} TO jane_{api_with_history.tenant_id}"))
    assert list_visible_tenants(service, f"jane_{api_with_history.tenant_id}") == {api_with_history.tenant_id}
    assert list_visible_tenants(service, stranger) == set()
    with pytest.raises(ProgrammingError, match="permission denied"):
        read_as(service, f"jane_{api_with_history.tenant_id}", "SELECT tenant_id FROM trades")


def list_visible_tenants(service, user):
    return {
        tenant_id
        for view in VIEWS
        for tenant_id in read_as(service, user, f"SELECT tenant_id FROM {view}")  # noqa: S608
    }


def read_as(service, user, statement):
    url = normalize_url(service.database_url).set(username=user)
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return connection.execute(text(statement)).scalars().all()
    finally:
        engine.dispose()
