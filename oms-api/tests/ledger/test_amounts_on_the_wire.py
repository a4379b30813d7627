"""The accepted formats of amounts, for each field that has one."""

import json

import pytest

from tests.factories import build_trade_body

pytestmark = pytest.mark.any_database

NOT_PLAIN_TEXT = [
    "1e5",
    "1E5",
    "1_000",
    "1,000",
    "١٢",
    "１２",
    "+1",
    "-1",
    "-0",
    " 1",
    "1 ",
    "",
    ".",
    "1.",
    ".5",
    "0x10",
    "NaN",
    "Infinity",
    "inf",
    "1\n",
    "1\u0000",
    "0." + "0" * 28 + "1",
    "1." + "0" * 29,
    "9" * 25,
    "9" * 5000,
    "²",
    "½",
    "1.2.3",
    "--1",
]
NOT_PLAIN_NUMBERS = ["1e5", "1E-5", "1e999", "-1e5", "1e-05", "9" * 5000, "0." + "1" * 29]
NOT_AMOUNTS = ["null", "true", "false", "[]", "{}", '["1"]', '{"amount":"1"}']


def send_amount(api, field, written):
    body = build_trade_body(**{field: "@"} | ({"gmv": None} if field == "price" else {}))
    return api.post("/trade", json.dumps(body).replace('"@"', written).encode())


@pytest.mark.parametrize("field", ["quantity", "gmv", "price"])
@pytest.mark.parametrize("text", NOT_PLAIN_TEXT)
def test_amount_string_in_another_format_is_rejected(api, field, text):
    response = send_amount(api, field, json.dumps(text))
    assert response.status_code == 422
    assert [bad["field"] for bad in response.json()["errors"]] == [field]


@pytest.mark.parametrize("number", NOT_PLAIN_NUMBERS)
def test_json_number_that_is_not_plain_is_rejected_with_a_hint_to_use_a_string(api, number):
    response = send_amount(api, "quantity", number)
    assert response.status_code == 422
    assert "send it as a string" in response.json()["errors"][0]["message"]


@pytest.mark.parametrize("value", NOT_AMOUNTS)
def test_non_numeric_amount_is_rejected(api, value):
    response = send_amount(api, "quantity", value)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "quantity")


def test_json_number_of_sixteen_digits_is_rejected_with_a_hint_to_use_a_string(api):
    response = send_amount(api, "gmv", "12345678.12345678")
    assert "send a string" in response.json()["errors"][0]["message"]
    assert send_amount(api, "gmv", '"12345678.12345678"').status_code == 201


@pytest.mark.parametrize("text", ["0", "0.00000000", "0.000000001", "1.123456789", "12345678901234567"])
def test_amount_that_cannot_be_stored_exactly_is_rejected(api, text):
    response = send_amount(api, "quantity", json.dumps(text))
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "quantity")


@pytest.mark.parametrize("number", ["100", "100.0", "100.00000000", "1.5", "0.1"])
def test_plain_json_numbers_are_accepted(api, number):
    assert send_amount(api, "quantity", number).status_code == 201


@pytest.mark.parametrize("text", ["100", "100.00", "007", "0.10000000"])
def test_plain_amount_strings_are_accepted(api, text):
    assert send_amount(api, "quantity", json.dumps(text)).status_code == 201
