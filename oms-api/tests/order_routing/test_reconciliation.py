"""A session compares its account with the books, books what it missed, and keeps the issues."""

import pytest

from app.brokers.rules.values import BrokerOrder, Holding
from app.database import set_tenant_scope, unit_of_work
from app.orders.rules.values import Status
from app.reconciliation import queries

pytestmark = pytest.mark.any_database

RECONCILED = 400  # seconds, longer than the interval


def issues(routing, status="open"):
    """Return the issues but for the cash, which differs from the start."""
    with routing.rig.engine.connect() as connection:
        wanted = queries.IssueFilter(status, None, "growth")
        found = queries.list_issues(set_tenant_scope(connection, [routing.rig.tenant]), 1, wanted, 100)
    return [one for one in found if one.type != "cash_mismatch"]


def hold(routing, quantity):
    """Let the broker hold a position in AAPL, whatever its fills say."""
    routing.broker.positions = lambda: [Holding(0, "AAPL", quantity, quantity)]


def reconcile(routing):
    with unit_of_work(routing.rig.engine) as connection:
        set_tenant_scope(connection, [routing.rig.tenant])
        routing.rig.tick()
        queries.request_run(connection, routing.rig.tenant, routing.rig.now)
    routing.run(3)


def test_missed_execution_is_booked_once_and_marked(routing):
    order = routing.work()
    routing.broker.is_silent = True
    fill = routing.broker.fill(order, "4")
    routing.rig.tick(seconds=10)
    reconcile(routing)
    reconcile(routing)
    routing.broker.is_silent = False
    routing.run()
    assert routing.rig.order(order).filled_quantity == 4
    assert [one[0] for one in routing.executions()] == [fill.execution_id]
    [issue] = [one for one in issues(routing, "resolved") if one.type == "missing_execution"]
    assert (issue.action, issue.order_id) == ("book_missing", order.id)


def test_position_that_differs_is_one_issue_until_it_agrees(routing):
    hold(routing, 7)
    reconcile(routing)
    reconcile(routing)
    [issue] = issues(routing)
    assert (issue.type, issue.severity, issue.ours, issue.theirs) == (
        "missing_position",
        "critical",
        None,
        "7",
    )
    hold(routing, 0)
    reconcile(routing)
    assert issues(routing) == []
    [resolved] = issues(routing, "resolved")
    assert (resolved.action, resolved.resolved_by) == ("gone", "reconciliation")


def test_ignored_issue_comes_back_with_other_figures_only(routing):
    hold(routing, 7)
    reconcile(routing)
    [issue] = issues(routing)
    with unit_of_work(routing.rig.engine) as connection:
        set_tenant_scope(connection, [routing.rig.tenant])
        done = {"status": "resolved", "action": "ignore", "resolved_at": routing.rig.now}
        queries.update_issue(connection, issue, done)
    reconcile(routing)
    assert issues(routing) == []
    hold(routing, 8)
    reconcile(routing)
    assert [one.theirs for one in issues(routing)] == ["8"]


def test_order_that_is_not_ours_is_shown(routing):
    order = routing.work()
    foreign = routing.session._sender._convert(routing.rig.order(order))._replace(id="placed-by-hand")
    assert isinstance(foreign, BrokerOrder)
    routing.broker._book.add(foreign)
    reconcile(routing)
    [issue] = issues(routing)
    assert (issue.type, issue.order_id) == ("unknown_order", "placed-by-hand")
    assert routing.rig.order(order).status is Status.ACCEPTED


def test_accounts_are_compared_at_intervals(routing):
    routing.run()
    hold(routing, 7)
    routing.run()
    assert issues(routing) == []
    routing.rig.tick(seconds=RECONCILED)
    routing.run()
    assert len(issues(routing)) == 1
