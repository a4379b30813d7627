"""The chain of a journal, and its payloads."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.market_data.rules.values import Bar, Quote
from app.orders.rules.order_views import OrderChanges
from app.orders.rules.values import OrderType, Ticket
from app.strategies.rules.actions import PlaceAction, ReplaceAction
from app.strategies.rules.journal import (
    NO_HEAD,
    InputKind,
    JournalHead,
    NewInput,
    compute_journal_end,
    find_broken_sequence,
    link_inputs,
)
from app.strategies.rules.journal_values import (
    parse_bars,
    parse_fill,
    parse_order,
    parse_quote,
    serialize_bars,
    serialize_order,
    serialize_quote,
)
from slackoms_strategy import OrderState, OrderStatus, Side
from slackoms_strategy import OrderType as StrategyType

AT = datetime(2026, 1, 5, 15, tzinfo=UTC)


def build_linked_entries(count=4, head=NO_HEAD):
    inputs = [NewInput(InputKind.BARS, AT, f'{{"n":{number}}}') for number in range(count)]
    return link_inputs(1, "trend", 1, head, inputs)


def test_inputs_follow_each_other_and_a_part_of_them_too():
    inputs = build_linked_entries()
    assert [item.sequence for item in inputs] == [1, 2, 3, 4]
    assert find_broken_sequence(inputs) is None
    assert find_broken_sequence(inputs[2:]) is None
    assert find_broken_sequence([]) is None
    more = build_linked_entries(1, JournalHead(4, inputs[-1].hash))
    assert find_broken_sequence([*inputs, *more]) is None


@pytest.mark.parametrize("number", range(4))
def test_changed_input_breaks_the_chain_there(number):
    inputs = build_linked_entries()
    inputs[number] = inputs[number]._replace(payload="{}")
    assert find_broken_sequence(inputs) == number + 1


def test_end_is_the_last_input_or_the_last_before_the_break():
    inputs = build_linked_entries()
    assert compute_journal_end([]) == (None, NO_HEAD)
    assert compute_journal_end(inputs) == (None, (4, inputs[-1].hash))
    inputs[2] = inputs[2]._replace(run=2)
    assert compute_journal_end(inputs) == (3, (2, inputs[1].hash))


def test_missing_input_breaks_the_chain():
    inputs = build_linked_entries()
    assert find_broken_sequence([*inputs[:1], *inputs[2:]]) == 3


def test_payloads_are_read_as_they_were_written():
    quote = Quote("AAPL", Decimal(1), None, Decimal("1.5"), None, None, AT, "manual")
    read = parse_quote(serialize_quote(quote))
    assert read.bid == Decimal(1)
    assert read.ask is None
    assert read.last == Decimal("1.5")
    assert read.at == AT
    prices = (Decimal(1), Decimal(2), Decimal("0.5"), Decimal("1.25"))
    bars = [Bar("AAPL", AT, prices[0], prices[1], prices[2], prices[3], Decimal(7))]
    columns = parse_bars(serialize_bars("AAPL", 60, bars))
    assert (columns.places, list(columns.closes), list(columns.volumes)) == (2, [125], [7])
    order = OrderState(
        "x", "AAPL", Side.SELL, StrategyType.LIMIT, Decimal(3), OrderStatus.ACCEPTED, limit_price=Decimal(9)
    )
    assert parse_order(serialize_order(order)) == order
    amounts = {"quantity": "1", "price": "2", "value": "2", "charges": "0.1"}
    shown = {"order_id": "x", "symbol": "AAPL", "side": "BUY", **amounts, "at": AT.isoformat()}
    assert parse_fill(shown).charges == Decimal("0.1")


def test_action_has_the_id_of_its_order():
    ticket = Ticket("AAPL", "BUY", OrderType.MARKET, Decimal(1), client_order_id="g-1-2-1")
    assert PlaceAction(ticket).order_id == "g-1-2-1"
    assert PlaceAction(ticket._replace(client_order_id=None)).order_id == ""
    assert ReplaceAction("a", OrderChanges(client_order_id="b")).changes.client_order_id == "b"
