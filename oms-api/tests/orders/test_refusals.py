"""A refused command leaves the state of its batch unchanged."""

import math
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from sqlalchemy import text

from app.database import unit_of_work
from app.errors import OmsError
from app.group_commit.batch_writer import BatchWriter
from app.ledger.rules.accounting import Side
from app.ledger.rules.tickets import compute_trade_value
from app.ledger.service.commands import RecordTrade, ReverseTrade
from app.orders.errors import NothingToClose
from app.orders.rules.order_views import OrderChanges
from app.orders.rules.values import GroupKind, TimeInForce
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
    RequestOverride,
    SetExits,
    get_lock_group,
)
from app.orders.service.execution import placement
from app.orders.service.write_path import command_dispatch
from app.timestamps import format_timestamp
from tests.orders.batch_state import capture_state
from tests.orders.writer_harness import build_ticket


@dataclass
class Watched:
    """The refusals of batches, and how many of each kind left the memory as it was."""

    kinds: list[str]


@pytest.fixture
def refusals_without_change(monkeypatch):
    """Compare the memory before and after each command that is refused, and each preview."""
    watched = Watched([])
    process = command_dispatch.dispatch_command

    def compare(context, command):
        before = capture_state(context)
        outcome = process(context, command)
        if isinstance(outcome, OmsError) or isinstance(command, PreviewOrder):
            after = capture_state(context)
            assert after == before, [name for name in before if before[name] != after.get(name)]
            watched.kinds.append(type(outcome).__name__)
        return outcome

    monkeypatch.setattr(command_dispatch, "dispatch_command", compare)
    return watched


def build_origin(harness, name="", key=None):
    """Return who reports a trade: without a key there is no hash of the request."""
    origin = harness.build_origin(key, name)
    return origin if key else origin._replace(request_hash=None)


def build_record_trade(harness, name, quantity="1", price="100", portfolio="Growth", key=None):
    valued = compute_trade_value(Decimal(quantity), None, Decimal(price))
    return RecordTrade(
        build_origin(harness, name, key), "AAPL", "", Side.BUY, valued, portfolio, portfolio.casefold(), None
    )


def build_place_order(harness, name="", key=None, portfolio="Growth", **asked):
    return PlaceOrder(
        harness.build_origin(key, name),
        build_ticket(**({"quantity": "1"} | asked)),
        portfolio,
        portfolio.casefold(),
    )


@pytest.fixture
def make_commands(harness):
    """Return commands that pass and commands that are refused, for a portfolio that has traded."""

    def make():
        (first,) = harness.run(build_record_trade(harness, "first", "20", key="first"))
        (second,) = harness.run(build_record_trade(harness, "second", key="second"))
        (reversal,) = harness.run(ReverseTrade(build_origin(harness), second.row.trade_id, "twice"))
        own_order = harness.run_order_command(
            build_place_order(harness, "mine", "mine", type="LIMIT", limit_price="90", client_order_id="mine")
        )
        order_command = harness.run_order_command(build_place_order(harness, "done"))
        harness.run(build_record_trade(harness, "stopped", portfolio="Stopped"))
        ending = harness.place_order(
            type="LIMIT",
            limit_price="90",
            time_in_force=TimeInForce.GTD,
            expires_at=format_timestamp(harness.now + timedelta(seconds=1)),
        )
        with unit_of_work(harness.engine) as connection:
            connection.execute(
                text("UPDATE portfolios SET trading_state = 'HALTED' WHERE name_key = 'stopped'")
            )
        harness.advance_clock(seconds=2)
        past: dict[str, Any] = {
            "time_in_force": TimeInForce.GTD,
            "expires_at": format_timestamp(harness.now - timedelta(days=1)),
        }
        limit = build_ticket(quantity="1", type="LIMIT", limit_price="90")
        refused = [
            build_record_trade(harness, "another", key="first"),
            build_record_trade(harness, "full", "999999999", "99999999"),
            build_record_trade(harness, "halted", portfolio="Stopped"),
            ReverseTrade(build_origin(harness), "T-unknown", "twice"),
            ReverseTrade(build_origin(harness), second.row.trade_id, "again"),
            ReverseTrade(build_origin(harness), reversal.row.trade_id, "back"),
            build_place_order(harness, "another", "mine"),
            build_place_order(harness, "another", client_order_id="mine"),
            build_place_order(harness, type="LIMIT", limit_price="90", **past),
            PlaceGroup(
                harness.build_origin(), GroupKind.OCO, (limit, limit._replace(**past)), "Growth", "growth"
            ),
            CancelOrder(harness.build_origin(), "O-unknown", None),
            CancelOrder(harness.build_origin(), order_command.id, None),
            CancelOrder(harness.build_origin(), ending.id, None),
            ReplaceOrder(harness.build_origin(), "O-unknown", OrderChanges(quantity=Decimal(2))),
            ReplaceOrder(harness.build_origin(), order_command.id, OrderChanges(quantity=Decimal(2))),
            ReplaceOrder(harness.build_origin(), own_order.id, OrderChanges(client_order_id="mine")),
            ReplaceOrder(harness.build_origin(), own_order.id, OrderChanges(limit_price=Decimal(-1))),
            CancelAll(harness.build_origin(), "Nowhere", "nowhere", None, None, None, None),
            ClosePosition(harness.build_origin(), "Growth", "growth", "MSFT", "", None, None),
            ClosePosition(harness.build_origin(), "Growth", "growth", "AAPL", "", Decimal(999), None),
            SetExits(harness.build_origin(), "Growth", "growth", "MSFT", "", None, None),
            DecideApproval(harness.build_origin(), "O-unknown", True, None, None, None),
            DecideApproval(harness.build_origin(), order_command.id, False, "No.", None, None),
            RequestOverride(harness.build_origin(), order_command.id, "Once more", 30),
            BustExecution(harness.build_origin(), order_command.id, "X-unknown", "Wrong"),
            CorrectExecution(
                harness.build_origin(), order_command.id, "X-unknown", Decimal(2), None, "Wrong"
            ),
            PreviewOrder(harness.build_origin(), limit, "Growth", "growth"),
            PreviewOrder(harness.build_origin(), limit, "Nowhere", "nowhere"),
            PreviewOrder(harness.build_origin(), limit._replace(**past), "Growth", "growth"),
        ]
        passing = [
            build_record_trade(harness, "passing"),
            build_record_trade(harness, "new", portfolio="New"),
            ReverseTrade(build_origin(harness), first.row.trade_id, "wrong"),
            build_place_order(harness),
            build_place_order(harness, type="LIMIT", limit_price="90"),
            build_place_order(harness, quantity="999999", type="LIMIT", limit_price="101"),  # denied
            PlaceGroup(harness.build_origin(), GroupKind.OCO, (limit, limit), "Growth", "growth"),
            ReplaceOrder(harness.build_origin(), own_order.id, OrderChanges(limit_price=Decimal(91))),
            ClosePosition(harness.build_origin(), "Growth", "growth", "AAPL", "", Decimal(1), None),
        ]
        return passing, refused

    return make


@pytest.mark.reads_while_deciding  # a second reversal of a position
def test_rejected_command_leaves_the_batch_state_unchanged(harness, make_commands, refusals_without_change):
    passing, refused = make_commands()
    for seed in range(6):
        dice = Random(seed)
        batch = [*dice.sample(passing, len(passing)), *refused]
        dice.shuffle(batch)
        with (
            harness.engine.connect().execution_options(writes=True) as connection,
            connection.begin() as lost,
        ):
            harness.handler.handle(connection, batch, {})
            lost.rollback()
        harness.restart()
    kinds = set(refusals_without_change.kinds)
    expected = {
        *("KeyReused", "AmountTooLarge", "TradingHalted", "NoSuchTrade", "AlreadyReversed", "OrderKeyReused"),
        *("ReversalOfReversal", "ClientOrderIdReused", "Invalid", "NoSuchOrder"),
        *("NotAwaitingApproval", "NotOverridable", "NoSuchExecution"),
        *("OrderIsFinal", "NoSuchPortfolio", "NothingToClose", "MoreThanHeld", "OrderPreview"),
    }
    assert kinds >= expected


def test_rejected_command_on_an_expired_order_still_expires_it(harness, make_commands):
    _, refused = make_commands()
    (cancel,) = (
        command for command in refused if isinstance(command, CancelOrder) and command is refused[12]
    )
    (outcome,) = harness.run(cancel)
    assert isinstance(outcome, OmsError)
    assert harness.query("SELECT count(*) FROM orders WHERE status = 'EXPIRED'") == [(1,)]


def test_late_rejection_is_rolled_back_without_affecting_other_commands(harness, monkeypatch):
    """No rule refuses so late; a defect that did would be found out, and leave nothing."""
    send = placement.send_order

    def refuse(context, placed):
        send(context, placed)
        if placed.quantity == 7:
            raise NothingToClose("AAPL")

    harness.open_portfolio()
    monkeypatch.setattr(placement, "send_order", refuse)
    writing = BatchWriter(harness.engine, harness.handler, get_lock_group)
    works = [
        build_place_order(harness),
        build_place_order(harness, quantity="7"),
        build_place_order(harness, quantity="2"),
        build_record_trade(harness, "passing"),
    ]
    outcomes = writing.write(works, math.inf)
    writing.drop_connection()
    assert [type(outcome).__name__ for outcome in outcomes] == [
        "OrderResult",
        "NothingToClose",
        "OrderResult",
        "RecordedTrade",
    ]
    quantities = sorted(Decimal(str(row[0])) for row in harness.query("SELECT quantity FROM orders"))
    assert quantities == [1, 2]
    assert harness.query("SELECT count(*) FROM trades") == [(3,)]
