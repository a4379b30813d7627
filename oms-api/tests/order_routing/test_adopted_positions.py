"""A fill or a bust that was part of an adopted position counts once when its broker reports it later."""

from decimal import Decimal

import pytest

from app.brokers.rules.values import Busted, Executed
from app.ledger.errors import BeforeCorporateAction
from app.ledger.rules.accounting import Side
from app.ledger.rules.chain import hash_request
from app.ledger.rules.keys import build_adoption_key
from app.ledger.rules.tickets import compute_trade_value
from app.ledger.service.commands import RecordTrade
from app.money import ZERO
from app.orders.service.commands import AdoptOrder
from app.verify import verify_database
from tests.orders.writer_harness import build_ticket, to_decimal

pytestmark = pytest.mark.any_database


def adopt_position(routing, quantity, value, side=Side.BUY, product="", issue="ri_1"):
    """Adopt a position as the resolution of an issue does."""
    routing.harness.advance_clock(seconds=10)
    key = build_adoption_key(issue)
    origin = routing.harness.build_origin()._replace(idempotency_key=key, request_hash=hash_request(key))
    trade = compute_trade_value(Decimal(quantity), Decimal(value), None)
    terms = (origin, "AAPL", product, side, trade, "Growth", "growth", "Adopted")
    routing.harness.run(RecordTrade(*terms, charges=ZERO))
    routing.harness.advance_clock(seconds=10)


def get_position(routing):
    """Return the quantity and the cost over all products."""
    rows = routing.harness.query("SELECT quantity, cost FROM positions WHERE symbol = 'AAPL'")
    return sum(to_decimal(row[0]) for row in rows), sum(to_decimal(row[1]) for row in rows)


def list_trades(routing):
    rows = routing.harness.query("SELECT kind, side, quantity FROM trades ORDER BY sequence")
    return [(kind, side, to_decimal(quantity)) for kind, side, quantity in rows]


def assert_books_consistent(routing):
    assert set(verify_database(routing.harness.engine).failed) <= {"portfolio record"}  # it was set by SQL


@pytest.fixture
def missed_fill(routing):
    """Return a fill of 4 units at 90 that the broker did not report."""
    order = routing.place_working_order()
    fill = routing.broker.fill(order, "4")
    routing.broker._events.remove(fill)
    return fill


@pytest.mark.parametrize("product", ["", "CNC"])
def test_fill_that_was_adopted_counts_once(routing, missed_fill, product):
    adopt_position(routing, "4", "360", product=product)
    routing.broker.report(missed_fill)
    routing.run_session()
    assert get_position(routing) == (4, 360)
    assert list_trades(routing) == [("trade", "BUY", 4), ("trade", "BUY", 4), ("reversal", "SELL", 4)]
    [(note,)] = routing.harness.query("SELECT note FROM trades WHERE kind = 'reversal'")
    assert missed_fill.execution_id in note
    assert_books_consistent(routing)


def test_adoption_of_more_than_the_fill_is_left_to_the_next_comparison(routing, missed_fill):
    adopt_position(routing, "10", "910")
    routing.broker.report(missed_fill)
    routing.run_session()
    assert get_position(routing) == (4, 360)  # of ten: the difference of six is found again
    adopt_position(routing, "6", "550", issue="ri_2")
    assert get_position(routing) == (10, 910)
    routing.broker.report(missed_fill)
    routing.run_session()
    assert get_position(routing) == (10, 910)


def test_fill_after_the_adoption_leaves_it(routing):
    order = routing.place_working_order()
    adopt_position(routing, "4", "360")
    fill = Executed(order.id, "X9", Decimal(3), Decimal(90), Decimal(270), routing.harness.now)
    routing.harness.advance_clock(seconds=10)  # it is reported late all the same
    routing.broker.report(fill)
    routing.run_session()
    assert get_position(routing) == (7, 630)


def test_adoption_that_cannot_be_reversed_stays_and_the_fill_is_booked(routing, missed_fill, monkeypatch):
    def refuse(*_):
        raise BeforeCorporateAction("T1", "ca_1")

    monkeypatch.setattr("app.orders.service.execution_changes.adoption_reversal.append_reversal", refuse)
    adopt_position(routing, "4", "360")
    routing.broker.report(missed_fill)
    routing.run_session()
    assert get_position(routing) == (8, 720)  # which the next comparison finds
    assert_books_consistent(routing)


def test_order_that_is_adopted_after_its_position_counts_once(routing):
    order = routing.place_working_order(quantity="20")
    foreign = routing.broker._book.find(order.id)._replace(id="placed-by-hand")
    routing.broker.submit(foreign, routing.harness.now)
    routing.broker.fill(order._replace(id="placed-by-hand"), "5")
    routing.run_session()
    adopt_position(routing, "5", "450")
    terms = build_ticket(type="LIMIT", limit_price="90", quantity="20", time_in_force="GTC")
    routing.harness.run(
        AdoptOrder(routing.harness.build_origin(), "placed-by-hand", terms, "Growth", "growth")
    )
    routing.harness.advance_clock(seconds=301)  # to the next comparison, which books its earlier fills
    routing.run_session()
    assert len(routing.list_executions()) == 1
    assert get_position(routing) == (5, 450)


@pytest.mark.reads_while_deciding  # a second reversal of a position
def test_bust_that_was_adopted_counts_once(routing):
    order = routing.place_working_order()
    fill = routing.broker.fill(order, "4")
    routing.run_session()
    bust = Busted(order.id, fill.execution_id, "Clearly erroneous", routing.harness.now)
    adopt_position(routing, "4", "360", side=Side.SELL)  # the broker's position has not got it any more
    assert get_position(routing) == (0, 0)
    routing.broker.report(bust)
    routing.run_session()
    assert get_position(routing) == (0, 0)
    assert_books_consistent(routing)
