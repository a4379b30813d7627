"""A refused command leaves the state of its batch unchanged."""

import copy
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from sqlalchemy import text

from app.database import unit_of_work
from app.errors import OmsError
from app.group_commit.writing import BatchWriter
from app.ledger.rules.accounting import Side
from app.ledger.rules.tickets import compute_trade_value
from app.ledger.service.commands import RecordTrade, ReverseTrade
from app.orders.errors import NothingToClose
from app.orders.rules.order_views import Changes
from app.orders.rules.values import GroupKind, TimeInForce
from app.orders.service import command_execution, placement
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
from app.orders.service.exposure import exposure_in
from app.timestamps import format_timestamp
from tests.orders.rig import ticket

NOT_COMPARED = {  # what the memory is read from, what is only read, and what is derived: see `state_of`
    "LedgerState": {"connection", "_ids", "_listed"},
    "OrderStore": {"_books", "_connection", "_orders", "dirty"},
    "BatchContext": {
        *("batch", "services", "books", "connection", "order_store", "request_id", "_command", "_messages"),
        *("_rate_counts", "exposures", "unlocked_totals", "consumed_liquidity", "repeats"),
        *("_quotes", "_instruments", "_symbol_states", "_switches", "limits", "recent_orders", "repeat_keys"),
    },
    "LedgerBatch": {
        "books",
        "guard",
        "get_reserved_quantity",
        "originals",
        "_rates",
        "_cached_rates",
        "_cached_ids",
        "_tenants",
    },
}


def state_of(context):
    """Return the whole memory of a batch, to be compared."""
    state = {}
    for part in (context.books, context.order_store, context, context.batch):
        kind = type(part).__name__
        for name, value in vars(part).items():
            if name not in NOT_COMPARED[kind]:
                state[kind, name] = copy.deepcopy(value)
    changed = {
        key: order
        for key, order in context.order_store._orders.items()
        if key in context.order_store._changed
    }
    exposures = {
        portfolio_key: exposure_in(context, portfolio_key).total
        for portfolio_key in sorted(context.order_store.portfolio_keys)
    }
    return {**state, "orders": changed, "exposures": exposures}


@dataclass
class Watched:
    """The refusals of batches, and how many of each kind left the memory as it was."""

    kinds: list[str]


@pytest.fixture
def watched(monkeypatch):
    """Compare the memory before and after each command that is refused, and each preview."""
    seen = Watched([])
    process = command_execution.execute_command

    def compare(context, command):
        before = state_of(context)
        outcome = process(context, command)
        if isinstance(outcome, OmsError) or isinstance(command, PreviewOrder):
            after = state_of(context)
            assert after == before, [name for name in before if before[name] != after.get(name)]
            seen.kinds.append(type(outcome).__name__)
        return outcome

    monkeypatch.setattr(command_execution, "execute_command", compare)
    return seen


def booked_by(rig, name="", key=None):
    """Return who reports a trade: without a key there is no hash of the request."""
    origin = rig.origin(key, name)
    return origin if key else origin._replace(request_hash=None)


def trade(rig, name, quantity="1", price="100", portfolio="Growth", key=None):
    valued = compute_trade_value(Decimal(quantity), None, Decimal(price))
    return RecordTrade(
        booked_by(rig, name, key), "AAPL", "", Side.BUY, valued, portfolio, portfolio.casefold(), None
    )


def order(rig, name="", key=None, portfolio="Growth", **asked):
    return PlaceOrder(
        rig.origin(key, name), ticket(**({"quantity": "1"} | asked)), portfolio, portfolio.casefold()
    )


@pytest.fixture
def make_commands(rig):
    """Return commands that pass and commands that are refused, for a portfolio that has traded."""

    def make():
        (first,) = rig.run(trade(rig, "first", "20", key="first"))
        (second,) = rig.run(trade(rig, "second", key="second"))
        (reversal,) = rig.run(ReverseTrade(booked_by(rig), second.row.trade_id, "twice"))
        mine = rig.one(order(rig, "mine", "mine", type="LIMIT", limit_price="90", client_order_id="mine"))
        done = rig.one(order(rig, "done"))
        rig.run(trade(rig, "stopped", portfolio="Stopped"))
        ending = rig.place(
            type="LIMIT",
            limit_price="90",
            time_in_force=TimeInForce.GTD,
            expires_at=format_timestamp(rig.now + timedelta(seconds=1)),
        )
        with unit_of_work(rig.engine) as connection:
            connection.execute(
                text("UPDATE portfolios SET trading_state = 'HALTED' WHERE name_key = 'stopped'")
            )
        rig.tick(seconds=2)
        past: dict[str, Any] = {
            "time_in_force": TimeInForce.GTD,
            "expires_at": format_timestamp(rig.now - timedelta(days=1)),
        }
        limit = ticket(quantity="1", type="LIMIT", limit_price="90")
        refused = [
            trade(rig, "another", key="first"),
            trade(rig, "full", "999999999", "99999999"),
            trade(rig, "halted", portfolio="Stopped"),
            ReverseTrade(booked_by(rig), "T-unknown", "twice"),
            ReverseTrade(booked_by(rig), second.row.trade_id, "again"),
            ReverseTrade(booked_by(rig), reversal.row.trade_id, "back"),
            order(rig, "another", "mine"),
            order(rig, "another", client_order_id="mine"),
            order(rig, type="LIMIT", limit_price="90", **past),
            PlaceGroup(rig.origin(), GroupKind.OCO, (limit, limit._replace(**past)), "Growth", "growth"),
            CancelOrder(rig.origin(), "O-unknown", None),
            CancelOrder(rig.origin(), done.id, None),
            CancelOrder(rig.origin(), ending.id, None),
            ReplaceOrder(rig.origin(), "O-unknown", Changes(quantity=Decimal(2))),
            ReplaceOrder(rig.origin(), done.id, Changes(quantity=Decimal(2))),
            ReplaceOrder(rig.origin(), mine.id, Changes(client_order_id="mine")),
            ReplaceOrder(rig.origin(), mine.id, Changes(limit_price=Decimal(-1))),
            CancelAll(rig.origin(), "nowhere", "Nowhere", None, None, None, None),
            ClosePosition(rig.origin(), "Growth", "growth", "MSFT", "", None, None),
            ClosePosition(rig.origin(), "Growth", "growth", "AAPL", "", Decimal(999), None),
            SetExits(rig.origin(), "Growth", "growth", "MSFT", "", None, None),
            DecideApproval(rig.origin(), "O-unknown", True, None, None, None),
            DecideApproval(rig.origin(), done.id, False, "No.", None, None),
            RequestOverride(rig.origin(), done.id, "Once more", 30),
            BustExecution(rig.origin(), done.id, "X-unknown", "Wrong"),
            CorrectExecution(rig.origin(), done.id, "X-unknown", Decimal(2), None, "Wrong"),
            PreviewOrder(rig.origin(), limit, "Growth", "growth"),
            PreviewOrder(rig.origin(), limit, "Nowhere", "nowhere"),
            PreviewOrder(rig.origin(), limit._replace(**past), "Growth", "growth"),
        ]
        passing = [
            trade(rig, "passing"),
            trade(rig, "new", portfolio="New"),
            ReverseTrade(booked_by(rig), first.row.trade_id, "wrong"),
            order(rig),
            order(rig, type="LIMIT", limit_price="90"),
            order(rig, quantity="999999", type="LIMIT", limit_price="101"),  # denied
            PlaceGroup(rig.origin(), GroupKind.OCO, (limit, limit), "Growth", "growth"),
            ReplaceOrder(rig.origin(), mine.id, Changes(limit_price=Decimal(91))),
            ClosePosition(rig.origin(), "Growth", "growth", "AAPL", "", Decimal(1), None),
        ]
        return passing, refused

    return make


def test_rejected_command_leaves_the_batch_state_unchanged(rig, make_commands, watched):
    passing, refused = make_commands()
    for seed in range(6):
        dice = Random(seed)
        batch = [*dice.sample(passing, len(passing)), *refused]
        dice.shuffle(batch)
        with rig.engine.connect().execution_options(writes=True) as connection, connection.begin() as lost:
            rig.handler.handle(connection, batch, {})
            lost.rollback()
        rig.restart()
    kinds = set(watched.kinds)
    expected = {
        *("KeyReused", "AmountTooLarge", "TradingHalted", "NoSuchTrade", "AlreadyReversed", "OrderKeyReused"),
        *("ReversalOfReversal", "ClientOrderIdReused", "Invalid", "NoSuchOrder"),
        *("NotAwaitingApproval", "NotOverridable", "NoSuchExecution"),
        *("OrderIsFinal", "NoSuchPortfolio", "NothingToClose", "MoreThanHeld", "OrderPreview"),
    }
    assert kinds >= expected


def test_rejected_command_on_an_expired_order_still_expires_it(rig, make_commands):
    _, refused = make_commands()
    (cancel,) = (one for one in refused if isinstance(one, CancelOrder) and one is refused[12])
    (outcome,) = rig.run(cancel)
    assert isinstance(outcome, OmsError)
    assert rig.rows("SELECT count(*) FROM orders WHERE status = 'EXPIRED'") == [(1,)]


def test_late_rejection_is_rolled_back_without_affecting_other_commands(rig, monkeypatch):
    """No rule refuses so late; a defect that did would be found out, and leave nothing."""
    send = placement.send_order

    def refuse(context, placed):
        send(context, placed)
        if placed.quantity == 7:
            raise NothingToClose("AAPL")

    rig.open_portfolio()
    monkeypatch.setattr(placement, "send_order", refuse)
    writing = BatchWriter(rig.engine, rig.handler, get_lock_group)
    works = [order(rig), order(rig, quantity="7"), order(rig, quantity="2"), trade(rig, "passing")]
    outcomes = writing.write(works)
    writing.drop_connection()
    assert [type(one).__name__ for one in outcomes] == [
        "OrderResult",
        "NothingToClose",
        "OrderResult",
        "RecordedTrade",
    ]
    quantities = sorted(Decimal(str(row[0])) for row in rig.rows("SELECT quantity FROM orders"))
    assert quantities == [1, 2]
    assert rig.rows("SELECT count(*) FROM trades") == [(3,)]
