from decimal import Decimal

import pytest

from app.errors import KeyTaken, NotAllowed, NotPlaced, OutcomeUnknown, Refused, TooManyRequests
from app.oms_client.wire import amount, parse_error, ticket_to_json, trade_from_json
from tests import factories
from tests.fakes import trade_json


def test_amounts_travel_as_strings_and_exactly():
    body = ticket_to_json(
        factories.ticket(quantity=Decimal("0.00000001"), gmv=Decimal("99999999.12345678")), "U1"
    )
    assert (body["quantity"], body["gmv"]) == ("0.00000001", "99999999.12345678")
    assert amount("99999999.12345678") == Decimal("99999999.12345678")


@pytest.mark.parametrize("value", [1.5, 1, None, "x", "NaN", "Infinity", ""])
def test_inexact_amount_of_the_oms_is_an_error(value):
    with pytest.raises((TypeError, ValueError)):
        amount(value)


def test_trade_is_read_with_the_position_after_it():
    body = {"symbol": "AAPL", "quantity": "4", "gmv": "10", "side": "BUY", "portfolio_name": "Growth"}
    trade = trade_from_json(trade_json(body, "T1"))
    assert (trade.price, trade.position_quantity, trade.position_average_cost) == (
        Decimal("2.50"),
        Decimal(4),
        Decimal("2.50"),
    )


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, b"", NotAllowed),
        (403, b"{}", NotAllowed),
        (409, b"[]", Refused),
        (409, b'{"type": "urn:x:problem/conflict"}', Refused),
        (409, b'{"type": "urn:x:problem/idempotency-key-reused"}', KeyTaken),
        (413, b"<html>", Refused),
        (422, b'{"errors": 3}', Refused),
        (422, b'{"errors": [3]}', Refused),
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
    assert isinstance(fault, Refused)
    assert [(problem.field, problem.message) for problem in fault.problems] == [("quantity", "Too many.")]
    assert str(fault) == "No."
