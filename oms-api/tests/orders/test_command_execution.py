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
from tests.orders.writer_harness import WriterHarness, build_ticket

EXITS: dict[str, Any] = {"take_profit": Target(Decimal(110)), "stop_loss": Protection(Decimal(90), None)}
RESTING: dict[str, Any] = {"type": "LIMIT", "limit_price": "95", "time_in_force": "GTC"}


@contextmanager
def record_statements(harness, monkeypatch):
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
    event.listen(harness.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(harness.engine, "before_cursor_execute", note)


def publish_quote(harness, price):
    harness.advance_clock()
    return QuoteArrived(
        harness.tenant,
        harness.build_quote("AAPL", price, price, price),
        format_timestamp(harness.now),
        is_new=True,
    )


def place_order(harness, **changes):
    asked = build_ticket(**changes)
    return PlaceOrder(harness.build_origin(facts=repr(asked)), asked, "Growth", "growth")


def place_pair(harness, kind, *tickets):
    return PlaceGroup(harness.build_origin(facts=kind), GroupKind(kind), tickets, "Growth", "growth")


def close_position(harness):
    return ClosePosition(harness.build_origin(), "Growth", "growth", "AAPL", "", None, None)


@pytest.fixture
def bracket_entry(harness: WriterHarness):
    """Provide a resting bracket, and a position."""
    harness.run(publish_quote(harness, "100"))
    harness.place_order(quantity="50")
    placed = harness.place_order(**RESTING, **EXITS)
    assert placed.status is Status.ACCEPTED
    return placed


def list_commands(harness, entry):
    """Return commands that a desk sends every day, in turn."""
    changes = Changes(*(None,) * len(Changes._fields))._replace(quantity=Decimal(12))
    yield place_order(harness)
    yield place_order(harness, side="SELL", quantity="1", **RESTING | {"limit_price": "120"})
    yield place_order(harness, **RESTING, **EXITS)
    yield PreviewOrder(harness.build_origin(), build_ticket(), "Growth", "growth")
    sell = {"side": "SELL", "quantity": "2", "time_in_force": "GTC"}
    high, low = (
        build_ticket(type="LIMIT", limit_price="115", **sell),
        build_ticket(type="STOP", stop_price="80", **sell),
    )
    yield place_pair(harness, "OCO", high, low)
    yield place_pair(harness, "OTO", build_ticket(**RESTING), high)
    yield ReplaceOrder(harness.build_origin(), entry.id, changes)
    yield publish_quote(harness, "94")  # fills the entries, and releases their exits
    yield CancelOrder(harness.build_origin(), entry.id, None)  # was replaced: refused
    yield publish_quote(harness, "112")  # fills take-profits, which cancels the stops
    yield close_position(harness)
    yield ExpireOrders(harness.tenant, format_timestamp(harness.now))
    yield CancelAll(harness.build_origin(), "growth", "Growth", None, None, None, None)


def test_decisions_on_ordinary_commands_run_no_statement(harness, bracket_entry, monkeypatch):
    with record_statements(harness, monkeypatch) as statements:
        for command in list_commands(harness, bracket_entry):
            harness.run(command)
            assert statements == [], command


def test_decisions_after_a_restart_run_no_statement(harness, bracket_entry, monkeypatch):
    harness.restart()
    with record_statements(harness, monkeypatch) as statements:
        harness.run(publish_quote(harness, "94"), place_order(harness))
        assert statements == []
