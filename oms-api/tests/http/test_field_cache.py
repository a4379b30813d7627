"""A body that is validated field by field has the result of a validation as a whole, or none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from app.errors import OmsError
from app.http.body import parse_model, read_json, validate_flat, validate_model
from app.http.field_cache import MAX_TEXT_LENGTH, MAX_TEXTS, FieldCache
from app.ledger.schemas import TradeIn
from app.orders.schemas.requests import TicketIn
from tests.factories import build_ticket_body, build_trade_body

JSON = b"application/json"
VALUES = [
    *('"AAPL"', '" aapl "', '"100"', '"0"', '"-5"', '"1e3"', '"0.123456789"', '"buy"', '"HOLD"', '""', '" "'),
    *('"Büro"', '"a/b"', '"\\u0041"', '"\\ud800"', '"x\\ny"', '"market"', '"GTC"', '"2026-11-20T12:00:00Z"'),
    *("0", "-0", "5", "-5", "100.0", "1e2", "17500.25", "10000000000000000000", "0.10000000000000000555"),
    *("true", "false", "null", "[]", "{}", '{"limit_price": "5"}', "NaN", "01", "x"),
]
TRADE, TICKET = build_trade_body(gmv=None, price="175"), build_ticket_body()


@st.composite
def draw_bodies(draw: st.DrawFn, model: type[BaseModel], good: dict[str, str]) -> bytes:
    """Draw a body: the good body with some fields left out, repeated, replaced or added, in any order."""
    names = [*model.model_fields, "qty", "SYMBOL", "symb\\u006fl"]
    fields = [(name, json.dumps(value)) for name, value in good.items() if draw(st.integers(0, 9))]
    changed = draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(VALUES)), max_size=3))
    pairs = draw(st.permutations([*fields, *changed]))
    if draw(st.booleans()):
        pairs = list(dict(pairs).items())
    return ("{" + ", ".join(f'"{name}": {value}' for name, value in pairs) + "}").encode()


def parse_or_catch(parse, *arguments):
    """Return the parsed model, or the text of the error."""
    try:
        return parse(*arguments)
    except OmsError as error:
        return type(error), error.detail, error.errors


def validate_whole(model, body):
    return validate_model(model, read_json(JSON, body))


@given(draw_bodies(TradeIn, TRADE))
def test_cached_trade_validation_equals_full_validation(body):
    assert parse_or_catch(parse_model, TradeIn, JSON, body) == parse_or_catch(validate_whole, TradeIn, body)


@given(draw_bodies(TradeIn, TRADE))
def test_cached_validation_of_parsed_json_equals_full_validation(body):
    def validate_parsed(model, body):
        return validate_flat(model, read_json(JSON, body))

    assert parse_or_catch(validate_parsed, TradeIn, body) == parse_or_catch(validate_whole, TradeIn, body)


@given(draw_bodies(TicketIn, TICKET))
def test_cached_ticket_validation_equals_full_validation(body):
    parsed, whole = (
        parse_or_catch(parse_model, TicketIn, JSON, body),
        parse_or_catch(validate_whole, TicketIn, body),
    )
    assert parsed == whole
    if isinstance(whole, TicketIn):
        assert parsed.to_ticket() == whole.to_ticket()
        assert parsed.model_fields_set == whole.model_fields_set


@pytest.mark.parametrize("body", [b"", b"x", b"\xff", b"[]", b"5", b"[" * 2000, b'{"symbol": "AAPL"}'])
def test_invalid_body_has_no_result(body):
    assert FieldCache(TradeIn).parse(body) is None


def test_valid_body_has_a_result_every_time():
    cache = FieldCache(TradeIn)
    body = json.dumps(TRADE).encode()
    assert cache.parse(body) == cache.parse(body) == validate_whole(TradeIn, body)


def test_cache_size_is_bounded():
    cache = FieldCache(TradeIn)
    for number in range(MAX_TEXTS + 5):
        cache.parse(json.dumps(TRADE | {"note": f"note {number}"}).encode())
    cache.parse(json.dumps(TRADE | {"note": "n" * (MAX_TEXT_LENGTH + 1)}).encode())
    assert sorted(cache.list_cached("note")) == sorted(
        f"note {number}" for number in range(MAX_TEXTS, MAX_TEXTS + 5)
    )


def parse_trade(body: bytes) -> object:
    return read_json(JSON, body)


def test_number_and_text_of_the_same_characters_have_separate_results():
    cache = FieldCache(TradeIn)
    as_text, as_number = (parse_trade(json.dumps(TRADE | {"note": note}).encode()) for note in ("5", 5))
    for _ in range(2):
        assert cache.validate(as_text) == TradeIn.model_validate(TRADE | {"note": "5"})
        assert cache.validate(as_number) is None


def test_number_keeps_its_digits_when_it_is_cached():
    cache = FieldCache(TradeIn)
    for quantity in ("12.10", "12.1", "12.10"):
        validated = cache.validate(
            parse_trade(json.dumps(TRADE).encode().replace(b'"100"', quantity.encode()))
        )
        assert validated is not None
        assert str(validated.quantity) == quantity
