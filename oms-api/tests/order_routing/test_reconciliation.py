"""A session compares its account with the books, books what it missed, and keeps the issues."""

from decimal import Decimal

import pytest
from sqlalchemy import text

from app.brokers.rules.values import BrokerOrder, BrokerPosition
from app.database import set_tenant_scope, unit_of_work
from app.ledger.errors import NoRate
from app.orders.rules.values import Status
from app.orders.service.commands import AdoptOrder
from app.reconciliation import queries
from app.reconciliation.rules.order_terms import parse_ticket
from tests.orders.writer_harness import build_ticket

pytestmark = pytest.mark.any_database

RECONCILED = 400  # seconds, longer than the interval
CONFIRMED = 8  # seconds, in which a difference is found twice


def list_issues(routing, status="open"):
    """Return the issues but for the cash, which differs from the start."""
    with routing.harness.engine.connect() as connection:
        issue_filter = queries.IssueFilter(status, None, "growth")
        issues = queries.list_issues(
            set_tenant_scope(connection, [routing.harness.tenant]), 1, issue_filter, 100
        )
    return [issue for issue in issues if issue.type != "cash_mismatch"]


def set_broker_position(routing, quantity, cost=None):
    """Let the broker hold a position in AAPL, whatever its fills say."""
    cost = Decimal(quantity if cost is None else cost)
    routing.broker.list_positions = lambda: [BrokerPosition(0, "AAPL", Decimal(quantity), cost)]


def run_reconciliation(routing):
    with unit_of_work(routing.harness.engine) as connection:
        set_tenant_scope(connection, [routing.harness.tenant])
        routing.harness.advance_clock()
        queries.request_comparison(connection, routing.harness.tenant, routing.harness.now)
    routing.run_session(CONFIRMED)


def test_missed_execution_is_booked_once_and_marked(routing):
    order = routing.place_working_order()
    routing.broker.is_silent = True
    fill = routing.broker.fill(order, "4")
    routing.harness.advance_clock(seconds=10)
    run_reconciliation(routing)
    run_reconciliation(routing)
    routing.broker.is_silent = False
    routing.run_session()
    assert routing.harness.get_order(order).filled_quantity == 4
    assert [execution[0] for execution in routing.list_executions()] == [fill.execution_id]
    [issue] = [row for row in list_issues(routing, "resolved") if row.type == "missing_execution"]
    assert (issue.action, issue.order_id) == ("book_missing", order.id)


def test_position_that_differs_is_one_issue_until_it_agrees(routing):
    set_broker_position(routing, 7)
    run_reconciliation(routing)
    run_reconciliation(routing)
    [issue] = list_issues(routing)
    assert issue.type == "missing_position"
    assert issue.severity == "critical"
    assert issue.ours is None
    assert issue.theirs == "7"
    set_broker_position(routing, 0)
    run_reconciliation(routing)
    assert list_issues(routing) == []
    [resolved] = list_issues(routing, "resolved")
    assert (resolved.action, resolved.resolved_by) == ("gone", "reconciliation")


@pytest.mark.parametrize(("number", "is_paper"), [("PA1", False), ("PA2", True)])
def test_account_that_has_become_another_one_is_not_compared(routing, number, is_paper):
    routing.broker.number, routing.broker.is_paper = number, is_paper
    set_broker_position(routing, 7)
    run_reconciliation(routing)
    assert list_issues(routing) == []
    assert routing.get_connection().status == "refused"


def test_open_issue_is_reported_again_when_a_figure_changes(routing):
    def list_reports():
        statement = "SELECT type, payload FROM events WHERE type LIKE 'reconciliation.%' ORDER BY id"
        return [row for row in routing.harness.query(statement) if "missing_position" in str(row)]

    set_broker_position(routing, 7)
    run_reconciliation(routing)
    run_reconciliation(routing)
    assert [kind for kind, _ in list_reports()] == ["reconciliation.opened"]
    set_broker_position(routing, 8)
    run_reconciliation(routing)
    run_reconciliation(routing)
    assert [kind for kind, _ in list_reports()] == ["reconciliation.opened", "reconciliation.changed"]
    assert [issue.theirs for issue in list_issues(routing)] == ["8"]


def test_ignored_issue_comes_back_with_other_figures_only(routing):
    set_broker_position(routing, 7)
    run_reconciliation(routing)
    [issue] = list_issues(routing)
    with unit_of_work(routing.harness.engine) as connection:
        set_tenant_scope(connection, [routing.harness.tenant])
        resolution = {"status": "resolved", "action": "ignore", "resolved_at": routing.harness.now}
        queries.update_issue(connection, issue, resolution)
    run_reconciliation(routing)
    assert list_issues(routing) == []
    set_broker_position(routing, 8)
    run_reconciliation(routing)
    assert [row.theirs for row in list_issues(routing)] == ["8"]


def test_foreign_order_at_the_broker_is_shown(routing):
    order = routing.place_working_order()
    foreign = routing.broker._book.find(order.id)._replace(id="placed-by-hand")
    assert isinstance(foreign, BrokerOrder)
    routing.broker._book.add(foreign)
    run_reconciliation(routing)
    [issue] = list_issues(routing)
    assert (issue.type, issue.order_id) == ("unknown_order", "placed-by-hand")
    assert routing.harness.get_order(order).status is Status.ACCEPTED


@pytest.fixture
def adopted_order(routing):
    """Let somebody place an order at the broker by hand, of which a part fills, and adopt it."""
    order = routing.place_working_order(quantity="20")
    foreign = routing.broker._book.find(order.id)
    routing.broker.cancel(order.id, routing.harness.now)
    routing.broker.submit(foreign._replace(id="placed-by-hand", leaves=foreign.quantity), routing.harness.now)
    by_hand = order._replace(id="placed-by-hand")
    routing.broker.fill(by_hand, "5")
    routing.harness.advance_clock(seconds=10)
    run_reconciliation(routing)
    [issue] = [row for row in list_issues(routing) if row.type == "unknown_order"]
    ticket = parse_ticket("AAPL", issue.details, "Known")
    command = AdoptOrder(routing.harness.build_origin(), issue.order_id, ticket, "Growth", "growth")
    for _ in range(2):  # a repeat changes nothing
        routing.harness.run(command)
    run_reconciliation(routing)
    return by_hand


def test_adopted_order_has_its_fills_and_follows_its_events(routing, adopted_order):
    assert [issue.type for issue in list_issues(routing) if issue.type == "unknown_order"] == []
    order = routing.harness.get_order(adopted_order)
    assert (order.source, order.filled_quantity) == ("external", 5)
    routing.broker.fill(adopted_order, "15")
    routing.run_session()
    assert routing.harness.get_order(adopted_order).status is Status.FILLED
    assert len(routing.list_executions()) == 2


def test_adopted_order_is_canceled_at_its_broker(routing, adopted_order):
    routing.harness.cancel(routing.harness.get_order(adopted_order))
    routing.run_session()
    assert routing.harness.get_order(adopted_order).status is Status.CANCELED
    assert ("cancel", "placed-by-hand") in routing.broker.received


def test_order_that_ended_before_it_was_adopted_ends_with_the_next_comparison(routing):
    order = routing.place_working_order(quantity="20")
    foreign = routing.broker._book.find(order.id)._replace(id="placed-by-hand")
    routing.broker.submit(foreign, routing.harness.now)
    by_hand = order._replace(id="placed-by-hand")
    routing.broker.fill(by_hand, "5")
    routing.broker.cancel(by_hand.id, routing.harness.now)
    routing.run_session()
    terms = build_ticket(type="LIMIT", limit_price="90", quantity="20", time_in_force="GTC")
    routing.harness.run(AdoptOrder(routing.harness.build_origin(), by_hand.id, terms, "Growth", "growth"))
    run_reconciliation(routing)
    ended = routing.harness.get_order(by_hand)
    assert (ended.status, ended.filled_quantity) == (Status.CANCELED, 5)
    assert routing.harness.get_order(order).status is Status.ACCEPTED


def test_accounts_are_compared_at_intervals(routing):
    routing.run_session()
    set_broker_position(routing, 7)
    routing.run_session()
    assert list_issues(routing) == []
    routing.harness.advance_clock(seconds=RECONCILED)
    routing.run_session(CONFIRMED)
    assert len(list_issues(routing)) == 1


def test_moving_figures_are_not_an_issue(routing):
    for quantity in range(1, 6):  # a fill is on its way at each comparison
        set_broker_position(routing, quantity)
        routing.run_session(3)
    assert list_issues(routing) == []
    run_reconciliation(routing)
    assert len(list_issues(routing)) == 1


def test_critical_issue_stops_orders_that_open_positions_until_it_is_gone(routing):
    order = routing.place_working_order(quantity="4")
    routing.broker.fill(order, "4")
    routing.run_session()
    set_broker_position(routing, 3, 270)
    run_reconciliation(routing)
    assert [issue.severity for issue in list_issues(routing)] == ["critical"]
    stopped = routing.place_order()
    assert stopped.status is Status.DENIED
    assert (
        '"RECONCILIATION_BREAK"'
        in routing.harness.query(
            f"SELECT denial FROM orders WHERE id = '{stopped.id}'"  # noqa: S608  # an id of our own
        )[0][0]
    )
    assert routing.place_order(side="SELL", quantity="4", limit_price="110").status is Status.SUBMITTED
    set_broker_position(routing, 4, 360)
    run_reconciliation(routing)
    assert list_issues(routing) == []
    assert routing.place_order().status is Status.SUBMITTED


def test_watched_issue_stays_open_and_stops_nothing(routing):
    set_broker_position(routing, 7)
    run_reconciliation(routing)
    [issue] = list_issues(routing)
    with unit_of_work(routing.harness.engine) as connection:
        set_tenant_scope(connection, [routing.harness.tenant])
        queries.update_issue(connection, issue, {"action": "watch"})
    set_broker_position(routing, 8)
    run_reconciliation(routing)
    assert [(row.action, row.theirs) for row in list_issues(routing)] == [("watch", "8")]
    assert routing.place_order().status is Status.SUBMITTED


def test_other_average_cost_is_a_warning(routing):
    order = routing.place_working_order(quantity="4")
    routing.broker.fill(order, "4")
    routing.run_session()
    set_broker_position(routing, 4, 400)
    run_reconciliation(routing)
    [issue] = list_issues(routing)
    assert issue.type == "price_mismatch"
    assert issue.severity == "warning"
    assert issue.ours == "90"
    assert issue.theirs == "100"
    assert routing.place_order().status is Status.SUBMITTED


def test_execution_that_cannot_be_booked_is_an_open_critical_issue(routing, monkeypatch):
    order = routing.place_working_order()
    routing.broker.is_silent = True
    fill = routing.broker.fill(order, "4")
    routing.harness.advance_clock(seconds=10)

    def refuse(*_):
        raise NoRate("AAPL", "USD", "EUR")

    with monkeypatch.context() as patched:
        patched.setattr("app.orders.service.broker_reports.execution_reports.record_execution", refuse)
        run_reconciliation(routing)
    [issue] = [row for row in list_issues(routing) if row.type == "missing_execution"]
    assert (issue.severity, issue.order_id) == ("critical", order.id)
    assert fill.execution_id in (issue.theirs or "")
    run_reconciliation(routing)
    assert [row for row in list_issues(routing) if row.type == "missing_execution"] == []
    assert [execution[0] for execution in routing.list_executions()] == [fill.execution_id]


def test_issues_end_when_no_portfolio_trades_over_the_connection(routing):
    set_broker_position(routing, 7)
    run_reconciliation(routing)
    with unit_of_work(routing.harness.engine) as connection:
        set_tenant_scope(connection, [routing.harness.tenant])
        connection.execute(text("UPDATE portfolios SET broker = 'paper', broker_connection = NULL"))
    run_reconciliation(routing)
    assert list_issues(routing) == []
    assert routing.get_connection().critical_issues == 0
