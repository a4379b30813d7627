"""The JSON parser returns a value or raises Malformed; numbers keep their digits."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Malformed
from app.http.json import JsonNumber, parse_json

values = st.recursive(
    st.none() | st.booleans() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), children, max_size=4)
    ),
    max_leaves=20,
)


@given(values, st.booleans())
def test_serialized_json_is_parsed_back(value, escaped):
    assert parse_json(json.dumps(value, ensure_ascii=escaped).encode()) == value


@given(st.binary(max_size=200))
def test_parser_handles_any_bytes(body):
    with suppress(Malformed):
        parse_json(body)


@given(st.text(st.sampled_from('{}[]",:\\ud8001e-.tnf '), max_size=60))
def test_parser_handles_almost_valid_json(text):
    with suppress(Malformed):
        parse_json(text.encode())


@pytest.mark.parametrize(
    "text", ["1", "0.1", "1e999", "-0", "123456789012345678901234567890.123456789", "9" * 5000]
)
def test_numbers_keep_their_digits(text):
    number = parse_json(text.encode())
    assert isinstance(number, JsonNumber)
    assert number.text == text


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_nan_and_infinity_are_rejected_by_name(word):
    with pytest.raises(Malformed, match=f"{word} is not a JSON number"):
        parse_json(f'{{"a":{word}}}'.encode())


def test_duplicate_name_is_rejected_by_name():
    with pytest.raises(Malformed, match="'quantity' occurs twice"):
        parse_json(b'{"quantity":1,"x":{"quantity":2},"quantity":1}')


@pytest.mark.parametrize("depth", [100_000, 400_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_parser_handles_deep_nesting(depth, opening, closing):
    with pytest.raises(Malformed, match="nested too deeply"):
        parse_json(f"{opening * depth}1{closing * depth}".encode())


@pytest.mark.parametrize(
    "text", ['"\\ud800"', '"\\udc00\\ud800"', '{"\\uD83D":1}', '["\\ud83d\\ud83d\\ude00"]']
)
def test_unpaired_surrogates_are_rejected(text):
    with pytest.raises(Malformed, match="surrogate"):
        parse_json(text.encode())
