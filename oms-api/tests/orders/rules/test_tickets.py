"""The required and allowed fields of each type of ticket."""

from decimal import Decimal

import pytest

from app.orders.rules.tickets import (
    describe_unsupported_time,
    list_exit_errors,
    list_expiry_errors,
    list_ticket_errors,
    parse_order_type,
)
from app.orders.rules.values import StopLoss, TakeProfit, TimeInForce
from tests.orders.writer_harness import build_ticket

NOW = "2026-11-20T12:00:00.000000Z"


def list_codes(**changes):
    return [
        (error.field, error.code)
        for error in list_ticket_errors(build_ticket(**changes))
        + list_expiry_errors(build_ticket(**changes), NOW)
    ]


@pytest.mark.parametrize(
    ("word", "kind"), [("SL", "STOP_LIMIT"), ("SL-M", "STOP"), ("MARKET", "MARKET"), ("LIMIT", "LIMIT")]
)
def test_order_type_aliases_are_accepted(word, kind):
    assert parse_order_type(word) == kind


def test_unknown_order_type_is_rejected():
    with pytest.raises(ValueError, match="FUNNY"):
        parse_order_type("FUNNY")


@pytest.mark.parametrize(
    "good",
    [
        {},
        {"type": "LIMIT", "limit_price": "1"},
        {"type": "STOP", "stop_price": "1"},
        {"type": "STOP_LIMIT", "stop_price": "1", "limit_price": "1"},
        {"type": "TRAILING_STOP", "trail_amount": "1"},
        {"type": "TRAILING_STOP", "trail_percent": "99"},
        {"quantity": None, "notional": "100"},
        {"time_in_force": "GTD", "expires_at": "2026-11-20T12:00:00.000001Z"},
        {"stop_loss": StopLoss(Decimal(2), Decimal(1))},
        {"side": "SELL", "stop_loss": StopLoss(Decimal(2), Decimal(3))},
        {"take_profit": TakeProfit(Decimal(2)), "stop_loss": StopLoss(Decimal(1))},
        {"side": "SELL", "take_profit": TakeProfit(Decimal(1)), "stop_loss": StopLoss(Decimal(2))},
    ],
)
def test_complete_ticket_has_no_errors(good):
    assert list_codes(**good) == []


STOP = {"type": "STOP", "stop_price": "1"}
LIMIT = {"type": "LIMIT", "limit_price": "10"}


@pytest.mark.parametrize(
    ("bad", "errors"),
    [
        ({"type": "STOP_LIMIT", "stop_price": "1"}, [("limit_price", "missing")]),
        ({"limit_price": "1"}, [("limit_price", "not_of_this_type")]),
        ({"type": "TRAILING_STOP"}, [("trail_amount", "one_trail")]),
        ({"type": "TRAILING_STOP", "trail_percent": "100"}, [("trail_percent", "too_large")]),
        ({"quantity": None}, [("quantity", "sized_once")]),
        (
            {"type": "STOP", "stop_price": "1", "quantity": None, "notional": "1"},
            [("notional", "not_of_this_type")],
        ),
        ({"time_in_force": "GTD"}, [("expires_at", "expires_at")]),
        ({"expires_at": "2027-01-01T00:00:00.000000Z"}, [("expires_at", "expires_at")]),
        ({"time_in_force": "GTD", "expires_at": NOW}, [("expires_at", "in_the_past")]),
        (
            {"type": "STOP", "stop_price": "1", "time_in_force": "CLS"},
            [("time_in_force", "not_of_this_type")],
        ),
        ({"stop_loss": StopLoss(Decimal(90), Decimal(200))}, [("stop_loss.limit_price", "misplaced")]),
        (
            {"side": "SELL", "stop_loss": StopLoss(Decimal(90), Decimal(80))},
            [("stop_loss.limit_price", "misplaced")],
        ),
        (LIMIT | {"take_profit": TakeProfit(Decimal(10))}, [("take_profit.limit_price", "misplaced")]),
        (LIMIT | {"stop_loss": StopLoss(Decimal(10))}, [("stop_loss.stop_price", "misplaced")]),
        (
            {"type": "STOP", "stop_price": "10", "stop_loss": StopLoss(Decimal(11))},
            [("stop_loss.stop_price", "misplaced")],
        ),
        (
            {"take_profit": TakeProfit(Decimal(1)), "stop_loss": StopLoss(Decimal(1))},
            [("stop_loss.stop_price", "misplaced")],
        ),
        (
            LIMIT | {"side": "SELL", "take_profit": TakeProfit(Decimal(11))},
            [("take_profit.limit_price", "misplaced")],
        ),
    ],
)
def test_invalid_ticket_names_each_faulty_field(bad, errors):
    assert list_codes(**bad) == errors


def test_limit_short_of_its_stop_is_an_error_of_an_exit():
    terms = {"side": "SELL", "type": "STOP_LIMIT", "stop_price": "90"}
    assert [error.field for error in list_exit_errors(build_ticket(**terms, limit_price="91"))] == [
        "limit_price"
    ]
    assert list_exit_errors(build_ticket(**terms, limit_price="90")) == []


def test_message_of_an_unsupported_time_names_it():
    assert "has no OPG here" in describe_unsupported_time(TimeInForce.OPG)
