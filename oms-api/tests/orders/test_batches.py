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
from app.ledger.rules.tickets import Valued
from app.ledger.service.commands import Recorded, RecordTrade, ReverseTrade
from app.market_data.rules.values import Quote
from app.orders.errors import NoSuchOrder
from app.orders.queries import book
from app.orders.rules.order_views import Changes
from app.orders.rules.values import Status
from app.orders.service.batch_processing import batch_handler
from app.orders.service.batch_processing.batch_loading import load_batch
from app.orders.service.commands import (
    CancelAll,
    CancelOrder,
    ClosePosition,
    PlaceOrder,
    ReplaceOrder,
    get_lock_group,
)
from app.orders.service.internal_commands import BrokerReport, ExpireOrders, QuoteArrived
from app.timestamps import BEFORE_ALL, iso
from tests.orders.rig import Rig, ticket

WAITING = {"type": "LIMIT", "limit_price": "90", "time_in_force": "GTC"}


def origin_without_key(rig):
    """Return the origin of a request without an idempotency key."""
    return rig.origin()._replace(request_hash=None)


def trade(rig, side="BUY", quantity="10"):
    size = Decimal(quantity)
    valued = Valued(size, size * 100, Decimal(100))
    return RecordTrade(origin_without_key(rig), "AAPL", "", Side(side), valued, "Growth", "growth", None)


def order(rig, **changes):
    asked = ticket(**changes)
    return PlaceOrder(rig.origin(facts=repr(asked)), asked, "Growth", "growth")


def opened(rig):
    """Return an order in a portfolio that exists before the batch."""
    rig.open_portfolio()
    return order(rig)


def test_memory_of_a_batch_is_freed_without_the_garbage_collector(rig, monkeypatch):
    contexts = []

    def load_and_watch(*arguments):
        context, commands = load_batch(*arguments)
        if context.services is rig.services:
            contexts.append(weakref.ref(context))
        return context, commands

    monkeypatch.setattr(batch_handler, "load_batch", load_and_watch)
    commands = [opened(rig), trade(rig), order(rig, quantity="3")]
    gc.collect()
    gc.disable()
    try:
        rig.run(*commands)
        assert [context() for context in contexts] == [None]
    finally:
        gc.enable()


def test_batch_applies_trades_and_orders_in_sequence(rig):
    bought, sold, reversed_ = rig.run(
        trade(rig), order(rig, side="SELL", quantity="10"), trade(rig, "SELL", "5")
    )
    assert isinstance(bought, Recorded)
    assert sold.orders[0].order.status is Status.FILLED
    assert reversed_.row.position_quantity == "-5.00000000"
    (undone,) = rig.run(ReverseTrade(origin_without_key(rig), bought.row.trade_id, "Twice"))
    assert undone.row.position_quantity == "-15.00000000"
    both = rig.run(ReverseTrade(origin_without_key(rig), reversed_.row.trade_id, "Twice"), order(rig))
    assert [one.row.position_quantity for one in both[:1]] == ["-10.00000000"]
    assert both[1].orders[0].order.filled_quantity == 10


def test_rejected_command_does_not_affect_the_rest_of_its_batch(rig):
    rig.open_portfolio()
    refused, placed = rig.run(CancelOrder(rig.origin(), "O0", None), order(rig))
    assert isinstance(refused, NoSuchOrder)
    assert placed.orders[0].order.status is Status.FILLED


def quote(rig, *, is_new):
    """Return a quote that matches nothing."""
    return QuoteArrived(rig.tenant, rig.quote_of("AAPL", "98.5", "101.5", "100"), iso(rig.now), is_new)


BATCHES = pytest.mark.parametrize(
    "makes",
    [
        lambda rig: [opened(rig)],
        lambda rig: [trade(rig)],
        lambda rig: [trade(rig), order(rig)],
        lambda rig: [quote(rig, is_new=False), trade(rig)],
        lambda rig: [quote(rig, is_new=True)],
    ],
    ids=["an order", "a trade", "both", "a trade beside a look at the market", "a quote"],
)


def attempt(rig, works, *, commits):
    with rig.engine.connect().execution_options(writes=True) as connection, connection.begin() as transaction:
        result = rig.handler.handle(connection, works, {})
        transaction.commit() if commits else transaction.rollback()
    with unit_of_work(rig.engine) as connection:
        return result.is_recorded(connection)


@BATCHES
def test_committed_batch_is_reported_after_a_lost_commit_reply(rig, makes):
    assert attempt(rig, makes(rig), commits=True)


@BATCHES
def test_uncommitted_batch_is_not_reported_after_a_lost_commit_reply(rig, makes):
    works = makes(rig)
    assert not attempt(rig, works, commits=False)
    assert not any(isinstance(outcome, OmsError) for outcome in rig.run(*works))


def test_cached_portfolio_is_not_used_after_a_restore(rig):
    waiting = rig.place(**WAITING)
    with rig.engine.connect().execution_options(writes=True) as connection, connection.begin() as transaction:
        rig.handler.handle(connection, [CancelOrder(rig.origin(), waiting.id, None)], {})
        transaction.rollback()
    assert rig.cancel(waiting).orders[0].order.status is Status.CANCELED


def test_lock_group_is_the_portfolio_or_else_the_order_or_symbol(rig):
    quote = Quote("AAPL", None, None, None, None, None, rig.now, "manual")
    strands = {
        order(rig): (1, "growth"),
        trade(rig): (1, "growth"),
        CancelOrder(rig.origin(), "O1", None): (1, "/O1"),
        ReplaceOrder(rig.origin(), "O1", Changes()): (1, "/O1"),
        CancelAll(rig.origin(), "growth", "Growth", None, None, None, None): (1, "growth"),
        ClosePosition(rig.origin(), "Growth", "growth", "AAPL", "", None, None): (1, "growth"),
        QuoteArrived(1, quote, BEFORE_ALL, False): (1, "/AAPL"),
        ExpireOrders(1, BEFORE_ALL): (1, ""),
        BrokerReport(1, "O1", Accepted("O1", rig.now), BEFORE_ALL): (1, "/O1"),
    }
    assert {command: get_lock_group(command) for command in strands} == strands


def test_paper_market_rejects_amounts_that_cannot_be_stored(rig):
    rig.run(
        RecordTrade(
            origin_without_key(rig), "AAPL", "", Side.SELL,
            Valued(Decimal(1), Decimal(999999998999950), Decimal(1)),
            "Growth", "growth", None,
        )
    )  # fmt: skip
    rejected = rig.place(side="SELL", quantity="1")
    assert rejected.status is Status.REJECTED


def test_drill_rejects_with_its_reason(engine):
    rig = Rig(engine, PaperSettings(reject_share=Decimal(1)))
    rig.quote("99", "101", "100")
    rejected = rig.place()
    assert rejected.status is Status.REJECTED
    with engine.connect() as connection:
        last = book.list_order_events(connection, rig.tenant, rejected.id)[-1]
    assert last.to_status == "REJECTED"
    assert last.broker_reason == "Rejected by the exercise of `PAPER_REJECT_SHARE`."


@pytest.mark.parametrize(
    ("time_in_force", "status"), [("IOC", "CANCELED"), ("FOK", "CANCELED"), ("GTC", "ACCEPTED")]
)
def test_stop_without_a_price_waits_unless_it_is_immediate(rig, time_in_force, status):
    placed = rig.place(symbol="NEW", type="STOP", stop_price="50", time_in_force=time_in_force)
    assert placed.status == status


def test_repeated_requests_of_a_batch_are_found_by_one_statement(rig, monkeypatch):
    asked = []
    find = book.list_recent_orders

    def noted(*facts):
        asked.append(facts)
        return find(*facts)

    monkeypatch.setattr(book, "list_recent_orders", noted)

    def by(person, symbol="AAPL"):
        command = opened(rig)
        ticket = command.ticket._replace(symbol=symbol)
        return command._replace(origin=command.origin._replace(actor=person), ticket=ticket)

    rig.quote("9", "11", "10", "MSFT")
    rig.run(by("first"), by("second", "MSFT"))
    asked.clear()
    done = rig.run(by("first"), by("first", "MSFT"), by("second", "MSFT"), by("third"), by("third"))
    statuses = [one.orders[0].order.status for one in done]
    assert statuses == [Status.DENIED, Status.FILLED, Status.DENIED, Status.FILLED, Status.DENIED]
    assert len(asked) == 1
