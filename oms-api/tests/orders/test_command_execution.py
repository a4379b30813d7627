"""Deciding on ordinary commands reads only what was loaded before."""

from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event, text

from app.database import unit_of_work
from app.orders.queries.book import list_open_orders_in_symbol
from app.orders.queries.executions import executions_of
from app.orders.rules.order_views import Changes
from app.orders.rules.values import GroupKind, Protection, Role, Status, Target
from app.orders.service.batch_processing import batch_handler
from app.orders.service.batch_processing.command_execution import execute_all
from app.orders.service.commands import (
    BustExecution,
    CancelAll,
    CancelOrder,
    ClosePosition,
    CorrectExecution,
    DecideApproval,
    PlaceGroup,
    PlaceOrder,
    PreviewOrder,
    ReplaceOrder,
    ReviewApprovals,
)
from app.orders.service.internal_commands import ExpireOrders, QuoteArrived
from app.risk.rules.limits import LimitCode, LimitScope, SetLimit
from app.risk.service.limiting import set_limit
from app.timestamps import iso
from tests.orders.rig import Rig, ticket

EXITS: dict[str, Any] = {"take_profit": Target(Decimal(110)), "stop_loss": Protection(Decimal(90), None)}
RESTING: dict[str, Any] = {"type": "LIMIT", "limit_price": "95", "time_in_force": "GTC"}


@contextmanager
def statements_of_decisions(rig, monkeypatch):
    """Collect the SQL of the decisions of each batch."""
    found, deciding = [], []

    def execute(*arguments):
        deciding.append(True)
        try:
            return execute_all(*arguments)
        finally:
            deciding.clear()

    def note(_connection, _cursor, statement, *_):
        if deciding:
            found.append(statement)

    monkeypatch.setattr(batch_handler, "execute_all", execute)
    event.listen(rig.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(rig.engine, "before_cursor_execute", note)


def quote(rig, price):
    rig.tick()
    return QuoteArrived(rig.tenant, rig.quote_of("AAPL", price, price, price), iso(rig.now), is_new=True)


def place(rig, **changes):
    asked = ticket(**changes)
    return PlaceOrder(rig.origin(facts=repr(asked)), asked, "Growth", "growth")


def pair(rig, kind, *tickets):
    return PlaceGroup(rig.origin(facts=kind), GroupKind(kind), tickets, "Growth", "growth")


def close(rig):
    return ClosePosition(rig.origin(), "Growth", "growth", "AAPL", "", None, None)


@pytest.fixture
def entry(rig: Rig):
    """Provide a resting bracket, and a position."""
    rig.run(quote(rig, "100"))
    rig.place(quantity="50")
    placed = rig.place(**RESTING, **EXITS)
    assert placed.status is Status.ACCEPTED
    return placed


def list_commands(rig, entry):
    """Return commands that a desk sends every day, in turn."""
    changes = Changes(*(None,) * len(Changes._fields))._replace(quantity=Decimal(12))
    yield place(rig)
    yield place(rig, side="SELL", quantity="1", **RESTING | {"limit_price": "120"})
    yield place(rig, **RESTING, **EXITS)
    yield PreviewOrder(rig.origin(), ticket(), "Growth", "growth")
    sell = {"side": "SELL", "quantity": "2", "time_in_force": "GTC"}
    high, low = (
        ticket(type="LIMIT", limit_price="115", **sell),
        ticket(type="STOP", stop_price="80", **sell),
    )
    yield pair(rig, "OCO", high, low)
    yield pair(rig, "OTO", ticket(**RESTING), high)
    yield ReplaceOrder(rig.origin(), entry.id, changes)
    yield quote(rig, "94")  # fills the entries, and releases their exits
    yield CancelOrder(rig.origin(), entry.id, None)  # was replaced: refused
    yield quote(rig, "112")  # fills take-profits, which cancels the stops
    yield close(rig)
    yield ExpireOrders(rig.tenant, iso(rig.now))
    yield CancelAll(rig.origin(), "growth", "Growth", None, None, None, None)


def test_decisions_on_ordinary_commands_run_no_statement(rig, entry, monkeypatch):
    with statements_of_decisions(rig, monkeypatch) as statements:
        for command in list_commands(rig, entry):
            rig.run(command)
            assert statements == [], command


def test_decisions_after_a_restart_run_no_statement(rig, entry, monkeypatch):
    rig.restart()
    with statements_of_decisions(rig, monkeypatch) as statements:
        rig.run(quote(rig, "94"), place(rig))
        assert statements == []


def set_limit_of_tenant(rig, code, most):
    limit = SetLimit(LimitScope.TENANT, "", "", code, Decimal(most), set_at=iso(rig.now))
    with unit_of_work(rig.engine) as connection:
        set_limit(connection, rig.tenant, limit)
    rig.restart()


def find_execution(rig, order):
    """Return the id of the order's execution."""
    with rig.engine.connect() as connection:
        (execution,) = executions_of(connection, rig.tenant, [order.id])
    return execution.execution_id


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_decisions_on_changed_executions_run_no_statement(rig, entry, monkeypatch, side):
    """A sale reduced the position and its exits: they are restored."""
    rig.place(quantity="5", **EXITS)
    busted, corrected = (rig.place(quantity="53", side=side) for _ in range(2))
    rig.tick()
    named = (busted.id, find_execution(rig, busted)), (corrected.id, find_execution(rig, corrected))
    with statements_of_decisions(rig, monkeypatch) as statements:
        bust = BustExecution(rig.origin("bust"), *named[0], "Clearly erroneous")
        (done,) = rig.run(bust)
        assert done.orders[0].order.filled_quantity == 0
        (repeated,) = rig.run(bust)
        assert repeated.replayed
        (done,) = rig.run(CorrectExecution(rig.origin(), *named[1], Decimal(52), None, "Wrong size"))
        assert done.orders[0].order.filled_quantity == 52
        assert statements == []


def test_decisions_that_reduce_exits_run_no_statement(rig, entry, monkeypatch):
    for _ in range(3):
        rig.place(quantity="5", **EXITS)
    rig.restart()
    with statements_of_decisions(rig, monkeypatch) as statements:
        assert rig.place(side="SELL", quantity="57").status is Status.FILLED
        assert statements == []
    with rig.engine.connect() as connection:
        working = list_open_orders_in_symbol(connection, entry.portfolio_key, "AAPL")
    stops = [order.leaves_quantity for order in working if order.role is Role.STOP_LOSS]
    assert sum(stops) == 8 + entry.quantity  # the position of 65 less 57, and the exits of the resting entry


def test_decisions_at_quotes_with_sizes_run_no_statement(rig, entry, monkeypatch):
    with statements_of_decisions(rig, monkeypatch) as statements:
        rig.quote("99", "101", "100", bid_size="5", ask_size="5")
        partly = rig.place(quantity="8", type="LIMIT", limit_price="101")
        assert partly.filled_quantity == 5
        rig.quote("99", "101", "100", bid_size="5", ask_size="2")
        rig.quote("99", "101", "100", bid_size="5", ask_size="2")
        assert rig.order(partly).status is Status.FILLED
        assert statements == []


@pytest.mark.parametrize(
    "code", [LimitCode.MAX_GROSS_EXPOSURE, LimitCode.MAX_OPEN_ORDERS, LimitCode.MAX_DAILY_LOSS]
)
def test_decisions_under_firm_limits_run_no_statement(rig, entry, monkeypatch, code):
    rig.place(portfolio="Other", **RESTING)
    set_limit_of_tenant(rig, code, 10**8)
    with statements_of_decisions(rig, monkeypatch) as statements:
        assert rig.place().status is Status.FILLED
        assert statements == []


def test_decisions_that_count_executions_run_no_statement(rig, entry, monkeypatch):
    set_limit_of_tenant(rig, LimitCode.REPEATED_EXECUTIONS, 10)
    with statements_of_decisions(rig, monkeypatch) as statements:
        assert rig.place().status is Status.FILLED
        rig.run(quote(rig, "94"))
        assert rig.order(entry).status is Status.FILLED
        assert statements == []


@pytest.mark.parametrize("is_granted", [True, False])
def test_decisions_on_approvals_run_no_statement(rig, entry, monkeypatch, is_granted):
    with unit_of_work(rig.engine) as connection:
        connection.execute(text("UPDATE portfolios SET approval = :policy"), {"policy": '{"mode":"always"}'})
    rig.restart()
    single = rig.place(**RESTING)
    buy = {"quantity": "2", "time_in_force": "GTC"}
    low, high = ticket(type="LIMIT", limit_price="90", **buy), ticket(type="STOP", stop_price="115", **buy)
    first, _ = rig.pair("OCO", low, high)
    rig.restart()
    approver = rig.origin()._replace(actor="slack:T1:U9")
    with statements_of_decisions(rig, monkeypatch) as statements:
        (review,) = rig.run(ReviewApprovals(approver, "approver", 10))
        assert [one.request.order_id for one in review.approvals][:1] == [single.id]
        for order in (single, first):
            rig.run(DecideApproval(approver, order.id, is_granted, "Because", None, "approver"))
            assert rig.order(order).status is (Status.ACCEPTED if is_granted else Status.DENIED)
        assert statements == []
