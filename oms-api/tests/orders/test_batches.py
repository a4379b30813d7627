"""Trades and orders in one batch, a commit with a lost answer, and unusual fills."""

import gc
import weakref
from decimal import Decimal

import pytest

from app.brokers.rules.settings import PaperSettings
from app.brokers.rules.values import Accepted
from app.database import unit_of_work
from app.errors import OmsError
from app.ledger.rules.accounting import Side
from app.ledger.rules.tickets import TradeValue
from app.ledger.service.commands import RecordedTrade, RecordTrade, ReverseTrade
from app.market_data.rules.values import Quote
from app.orders.errors import NoSuchOrder
from app.orders.queries import orders as order_queries
from app.orders.rules.order_views import OrderChanges
from app.orders.rules.values import Status
from app.orders.service.commands import (
    CancelAll,
    CancelOrder,
    ClosePosition,
    ReplaceOrder,
    get_lock_group,
)
from app.orders.service.internal_commands import ApplyBrokerReport, ExpireOrders, MatchQuote
from app.orders.service.risk_checks import duplicate_orders
from app.orders.service.write_path import batch_handler
from app.orders.service.write_path.batch_loading import load_batch
from app.timestamps import BEFORE_ALL, format_timestamp
from tests.orders.commands import build_origin_without_key, build_place_order, build_record_trade
from tests.orders.writer_harness import WriterHarness

RESTING_LIMIT_ORDER = {"type": "LIMIT", "limit_price": "90", "time_in_force": "GTC"}


def open_order(harness):
    """Return an order in a portfolio that exists before the batch."""
    harness.open_portfolio()
    return build_place_order(harness)


def test_memory_of_a_batch_is_freed_without_the_garbage_collector(harness, monkeypatch):
    contexts = []

    def load_and_watch(*arguments):
        context, commands = load_batch(*arguments)
        if context.services is harness.services:
            contexts.append(weakref.ref(context))
        return context, commands

    monkeypatch.setattr(batch_handler, "load_batch", load_and_watch)
    commands = [open_order(harness), build_record_trade(harness), build_place_order(harness, quantity="3")]
    gc.collect()
    gc.disable()
    try:
        harness.run(*commands)
        assert [context() for context in contexts] == [None]
    finally:
        gc.enable()


def test_batch_applies_trades_and_orders_in_sequence(harness):
    bought, sold, reversed_ = harness.run(
        build_record_trade(harness),
        build_place_order(harness, side="SELL", quantity="10"),
        build_record_trade(harness, "SELL", "5"),
    )
    assert isinstance(bought, RecordedTrade)
    assert sold.orders[0].order.status is Status.FILLED
    assert reversed_.row.position_quantity == "-5.00000000"
    (undone,) = harness.run(ReverseTrade(build_origin_without_key(harness), bought.row.trade_id, "Twice"))
    assert undone.row.position_quantity == "-15.00000000"
    both = harness.run(
        ReverseTrade(build_origin_without_key(harness), reversed_.row.trade_id, "Twice"),
        build_place_order(harness),
    )
    assert [row.row.position_quantity for row in both[:1]] == ["-10.00000000"]
    assert both[1].orders[0].order.filled_quantity == 10


def test_rejected_command_does_not_affect_the_rest_of_its_batch(harness):
    harness.open_portfolio()
    refused, placed = harness.run(CancelOrder(harness.build_origin(), "O0", None), build_place_order(harness))
    assert isinstance(refused, NoSuchOrder)
    assert placed.orders[0].order.status is Status.FILLED


def build_quote(harness, *, is_new):
    """Return a quote that matches nothing."""
    return MatchQuote(
        harness.tenant,
        harness.build_quote("AAPL", "98.5", "101.5", "100"),
        format_timestamp(harness.now),
        is_new,
    )


BATCHES = pytest.mark.parametrize(
    "makes",
    [
        lambda harness: [open_order(harness)],
        lambda harness: [build_record_trade(harness)],
        lambda harness: [build_record_trade(harness), build_place_order(harness)],
        lambda harness: [build_quote(harness, is_new=False), build_record_trade(harness)],
        lambda harness: [build_quote(harness, is_new=True)],
    ],
    ids=["an order", "a trade", "both", "a trade beside a look at the market", "a quote"],
)


def post_batch(harness, works, *, commits):
    with (
        harness.engine.connect().execution_options(writes=True) as connection,
        connection.begin() as transaction,
    ):
        result = harness.handler.handle(connection, works, {})
        transaction.commit() if commits else transaction.rollback()
    with unit_of_work(harness.engine) as connection:
        return result.is_recorded(connection)


@BATCHES
def test_committed_batch_is_reported_after_a_lost_commit_reply(harness, makes):
    assert post_batch(harness, makes(harness), commits=True)


@BATCHES
def test_uncommitted_batch_is_not_reported_after_a_lost_commit_reply(harness, makes):
    works = makes(harness)
    assert not post_batch(harness, works, commits=False)
    assert not any(isinstance(outcome, OmsError) for outcome in harness.run(*works))


def test_cached_portfolio_is_not_used_after_a_restore(harness):
    waiting = harness.place_order(**RESTING_LIMIT_ORDER)
    with (
        harness.engine.connect().execution_options(writes=True) as connection,
        connection.begin() as transaction,
    ):
        harness.handler.handle(connection, [CancelOrder(harness.build_origin(), waiting.id, None)], {})
        transaction.rollback()
    assert harness.cancel(waiting).orders[0].order.status is Status.CANCELED


def test_lock_group_is_the_portfolio_or_else_the_order_or_symbol(harness):
    quote = Quote("AAPL", None, None, None, None, None, harness.now, "manual")
    strands = {
        build_place_order(harness): (1, "growth"),
        build_record_trade(harness): (1, "growth"),
        CancelOrder(harness.build_origin(), "O1", None): (1, "/O1"),
        ReplaceOrder(harness.build_origin(), "O1", OrderChanges()): (1, "/O1"),
        CancelAll(harness.build_origin(), "Growth", "growth", None, None, None, None): (1, "growth"),
        ClosePosition(harness.build_origin(), "Growth", "growth", "AAPL", "", None, None): (1, "growth"),
        MatchQuote(1, quote, BEFORE_ALL, False): (1, "/AAPL"),
        ExpireOrders(1, BEFORE_ALL): (1, ""),
        ApplyBrokerReport(1, "O1", Accepted("O1", harness.now), BEFORE_ALL): (1, "/O1"),
    }
    assert {command: get_lock_group(command) for command in strands} == strands


def test_paper_market_rejects_amounts_that_cannot_be_stored(harness):
    harness.run(
        RecordTrade(
            build_origin_without_key(harness), "AAPL", "", Side.SELL,
            TradeValue(Decimal(1), Decimal(999999998999950), Decimal(1)),
            "Growth", "growth", None,
        )
    )  # fmt: skip
    rejected = harness.place_order(side="SELL", quantity="1")
    assert rejected.status is Status.REJECTED


def test_drill_rejects_with_its_reason(engine):
    harness = WriterHarness(engine, PaperSettings(reject_share=Decimal(1)))
    harness.publish_quote("99", "101", "100")
    rejected = harness.place_order()
    assert rejected.status is Status.REJECTED
    with engine.connect() as connection:
        last = order_queries.list_order_events(connection, harness.tenant, rejected.id)[-1]
    assert last.to_status == "REJECTED"
    assert last.broker_reason == "Rejected by the exercise of `PAPER_REJECT_SHARE`."


@pytest.mark.parametrize(
    ("time_in_force", "status"), [("IOC", "CANCELED"), ("FOK", "CANCELED"), ("GTC", "ACCEPTED")]
)
def test_stop_without_a_price_waits_unless_it_is_immediate(harness, time_in_force, status):
    placed = harness.place_order(symbol="NEW", type="STOP", stop_price="50", time_in_force=time_in_force)
    assert placed.status == status


def test_repeated_requests_of_a_batch_are_found_by_one_statement(harness, monkeypatch):
    lists = []
    find = order_queries.list_recent_orders

    def noted(*arguments):
        lists.append(arguments)
        return find(*arguments)

    monkeypatch.setattr(duplicate_orders, "list_recent_orders", noted)

    def by(person, symbol="AAPL"):
        command = open_order(harness)
        ticket = command.ticket._replace(symbol=symbol)
        return command._replace(origin=command.origin._replace(actor=person), ticket=ticket)

    harness.publish_quote("9", "11", "10", "MSFT")
    harness.run(by("first"), by("second", "MSFT"))
    lists.clear()
    results = harness.run(by("first"), by("first", "MSFT"), by("second", "MSFT"), by("third"), by("third"))
    statuses = [outcome.orders[0].order.status for outcome in results]
    assert statuses == [Status.DENIED, Status.FILLED, Status.DENIED, Status.FILLED, Status.DENIED]
    assert len(lists) == 1
