from decimal import Decimal

import pytest

from app.errors import (
    IdempotencyKeyTaken,
    NotPlaced,
    OmsForbidden,
    OmsRejected,
    OutcomeUnknown,
    TooManyRequests,
)
from app.oms_client.wire import parse_error, parse_exact_amount, parse_trade, serialize_ticket
from tests import factories
from tests.fakes import build_trade_json


def test_amounts_travel_as_strings_and_exactly():
    body = serialize_ticket(
        factories.build_ticket(quantity=Decimal("0.00000001"), gmv=Decimal("99999999.12345678")), "U1"
    )
    assert body["quantity"] == "0.00000001"
    assert body["gmv"] == "99999999.12345678"
    assert parse_exact_amount("99999999.12345678") == Decimal("99999999.12345678")


@pytest.mark.parametrize("value", [1.5, 1, None, "x", "NaN", "Infinity", ""])
def test_inexact_amount_of_the_oms_is_an_error(value):
    with pytest.raises((TypeError, ValueError)):
        parse_exact_amount(value)


def test_trade_is_read_with_the_position_after_it():
    body = {"symbol": "AAPL", "quantity": "4", "gmv": "10", "side": "BUY", "portfolio_name": "Growth"}
    trade = parse_trade(build_trade_json(body, "T1"))
    assert trade.price == Decimal("2.50")
    assert trade.position_quantity == Decimal(4)
    assert trade.position_average_cost == Decimal("2.50")


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, b"", OmsForbidden),
        (403, b"{}", OmsForbidden),
        (409, b"[]", OmsRejected),
        (409, b'{"type": "urn:x:problem/conflict"}', OmsRejected),
        (409, b'{"type": "urn:x:problem/idempotency-key-reused"}', IdempotencyKeyTaken),
        (413, b"<html>", OmsRejected),
        (422, b'{"errors": 3}', OmsRejected),
        (422, b'{"errors": [3]}', OmsRejected),
        (429, b"", TooManyRequests),
        (500, b"", OutcomeUnknown),
        (502, b"<html>", OutcomeUnknown),
        (503, b"", OutcomeUnknown),
        (503, b'{"type": "https://x/problems/not-placed"}', NotPlaced),
        (503, b'{"type": "urn:x:problem/unavailable"}', NotPlaced),
        (503, b'{"type": "https://x/problems/outcome-unknown"}', OutcomeUnknown),
        (504, b"", OutcomeUnknown),
        (307, b"", OutcomeUnknown),
        (200, b"{}", OutcomeUnknown),
    ],
)
def test_each_error_states_whether_a_trade_may_have_been_recorded(status, body, error):
    assert type(parse_error(status, body)) is error


def test_problem_document_names_its_fields():
    body = b'{"detail": "No.", "errors": [{"field": "quantity", "message": "Too many."}]}'
    fault = parse_error(422, body)
    assert isinstance(fault, OmsRejected)
    assert [(problem.field, problem.message) for problem in fault.problems] == [("quantity", "Too many.")]
    assert str(fault) == "No."
