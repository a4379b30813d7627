"""Reactions of a strategy process: valid reactions are parsed, and everything else is refused."""

from datetime import UTC, datetime
from decimal import Decimal

import orjson
import pytest

from app.orders.rules.order_views import OrderChanges
from app.orders.rules.values import OrderType, StopLoss, TakeProfit, Ticket
from app.sandbox.errors import InvalidFrame
from app.strategies.errors import MessageLimitExceeded
from app.strategies.rules.actions import CancelAction, PlaceAction, Reaction, ReplaceAction
from app.strategies.rules.journal import InputKind, JournalInput
from app.strategies.rules.reaction_frames import (
    MAX_ACTIONS,
    MAX_STATE_BYTES,
    ActionScope,
    pack_input,
    pack_reaction,
    parse_input,
    parse_reaction,
)

SCOPE = ActionScope("trend", {"AAPL": None}, "G1-1-7")
STATE = '{"state":{"bars":1},"account":{},"orders":[]}'
TICKET = Ticket("AAPL", "BUY", OrderType.MARKET, Decimal(5))


def parse_frame(**changes):
    fields = pack_reaction(7, Reaction((PlaceAction(TICKET),), STATE)) | changes
    return parse_reaction(orjson.loads(orjson.dumps(fields)), 7, SCOPE)


def test_input_is_the_same_after_the_transport():
    at = datetime(2026, 11, 20, 15, 4, 5, 123456, UTC)
    journal_input = JournalInput(1, "trend", 7, 1, InputKind.BARS, at, '{"bars":[]}', "0" * 64)
    assert parse_input(orjson.loads(orjson.dumps(pack_input(journal_input)))) == journal_input


def test_actions_are_the_same_after_the_transport_and_ids_are_numbered():
    bracket = Ticket(
        "AAPL", "SELL", OrderType.LIMIT, Decimal("1.5"), limit_price=Decimal(10), product="CNC",
        reason="Take profit", take_profit=TakeProfit(Decimal(9)), stop_loss=StopLoss(Decimal(11)),
    )  # fmt: skip
    changes = OrderChanges(Decimal(2), Decimal(11), None, client_order_id="G1-1-7-2")
    actions = (
        PlaceAction(bracket._replace(client_order_id="G1-1-7-1", strategy="trend")),
        CancelAction("G1-1-3-1"),
        ReplaceAction("G1-1-3-2", changes),
        PlaceAction(TICKET._replace(client_order_id="G1-1-7-3", strategy="trend")),
    )
    sent = orjson.loads(orjson.dumps(pack_reaction(7, Reaction(actions, STATE))))
    assert parse_reaction(sent, 7, SCOPE) == Reaction(actions, STATE)


def test_reason_has_no_control_characters():
    command = ["S", 0, "AAPL", "BUY", "MARKET", "1", *[None] * 9, "a\x00b"]
    (action,) = parse_frame(actions=[command]).actions
    assert action.ticket.reason == "a b"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"sequence": 6}, "a message that is not a reaction to its input"),
        ({"actions": None}, "a message that is not a reaction"),
        ({"state": {}}, "a message that is not a reaction"),
        ({"actions": [["S", 0, "MSFT", "BUY", "MARKET", "1"]]}, "its symbol is unknown"),
        ({"actions": [["S", 0, "AAPL", "BUY", "LIMIT", "1"]]}, "limit_price: A LIMIT order needs"),
        ({"actions": [["S", 0, "AAPL", "BUY", "MARKET", "NaN"]]}, "an amount is wrong"),
        ({"actions": [["S", 0, "AAPL", "BUY", "MARKET", "1", *[None] * 6, "X"]]}, "its product is unknown"),
        ({"actions": [["C", 0, "é"]]}, "an order id is wrong"),
        ({"actions": [5]}, "it is not a command"),
        ({"state": "x" * (MAX_STATE_BYTES + 1)}, "at most 1000000 are allowed"),
        ({"state": "{"}, "a state that is not JSON"),
        ({"state": '{"state":' + "[" * 253 + "]" * 253 + "}"}, "a state that is not JSON"),
        ({"state": "[]"}, "whose fields are not `state`"),
        ({"state": "{}"}, "whose fields are not `state`"),
    ],
)
def test_wrong_reaction_is_refused(changes, problem):
    with pytest.raises(InvalidFrame, match=problem):
        parse_frame(**changes)


def test_too_many_orders_are_refused():
    with pytest.raises(MessageLimitExceeded, match="The strategy sent 1001 order commands at once"):
        parse_frame(actions=[["C", 0, "x"]] * (MAX_ACTIONS + 1))
