"""Deciding on ordinary commands reads only what was loaded before."""

from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event

from app.orders.rules.order_views import Changes
from app.orders.rules.values import GroupKind, Protection, Status, Target
from app.orders.service import batch_handler
from app.orders.service.command_execution import execute_all
from app.orders.service.commands import (
    CancelAll,
    CancelOrder,
    ClosePosition,
    PlaceGroup,
    PlaceOrder,
    PreviewOrder,
    ReplaceOrder,
)
from app.orders.service.internal_commands import ExpireOrders, QuoteArrived
from app.timestamps import format_timestamp
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
    return QuoteArrived(
        rig.tenant, rig.quote_of("AAPL", price, price, price), format_timestamp(rig.now), is_new=True
    )


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
    yield ExpireOrders(rig.tenant, format_timestamp(rig.now))
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
