"""Malformed bodies: a problem that names the error, and nothing recorded."""

import json

import pytest

from tests.factories import build_trade_body

pytestmark = pytest.mark.any_database

GOOD = json.dumps(build_trade_body()).encode()
DEEP = 20_000

MALFORMED = {
    "empty": b"",
    "half": GOOD[:-1],
    "trailing": GOOD + b"x",
    "duplicate": GOOD[:-1] + b',"quantity":1}',
    "duplicate below": GOOD[:-1] + b',"note":{"a":1,"a":2}}',
    "NaN": GOOD.replace(b'"100"', b"NaN"),
    "Infinity": GOOD.replace(b'"100"', b"-Infinity"),
    "Latin-1": GOOD.replace(b"Growth", b"Gr\xf6\xdfe"),
    "overlong": GOOD.replace(b"Growth", b"\xc0\xaf"),
    "encoded surrogate": GOOD.replace(b"Growth", b"\xed\xa0\x80"),
    "byte order mark": b"\xef\xbb\xbf" + GOOD,
    "UTF-16": GOOD.decode().encode("utf-16"),
    "surrogate": GOOD.replace(b"Growth", b"\\ud800"),
    "surrogate name": GOOD[:-1] + b',"\\uDfff":1}',
    "control": GOOD.replace(b"Growth", b"a\nb"),
    "nested arrays": b"[" * DEEP + b"]" * DEEP,
    "nested objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "nested below": GOOD[:-1] + b',"note":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "XML": b"<trade/>",
    "single quotes": b"{'symbol': 'AAPL'}",
}


@pytest.mark.parametrize("path", ["/trade", "/trades:batch", "/trades/T1:reverse"])
@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_body_is_rejected_and_records_nothing(api, path, body):
    response = api.post(path, body)
    assert response.status_code == 422, response.text
    problem = response.json()
    assert problem["type"] == "urn:slackoms:problem/malformed"
    assert problem["detail"]
    assert api.list_trades() == []


@pytest.mark.parametrize("depth", range(940, 1000))
def test_surrogate_check_handles_deep_nesting(api, depth):
    body = GOOD[:-1] + b',"note":' + b"[" * depth + b'"\\ud83d\\ude00"' + b"]" * depth + b"}"
    assert api.post("/trade", body).status_code == 422


def test_duplicate_name_among_a_thousand_is_found_quickly(api):
    names = ",".join(f'"{number}":0' for number in range(80_000))
    response = api.post("/trade", f'{{{names},"79999":0}}'.encode())
    assert "'79999' occurs twice" in response.json()["detail"]
    assert response.elapsed.total_seconds() < 30


def test_paired_surrogates_are_accepted_as_one_character(api):
    body = GOOD.replace(b"Growth", b"Rocket \\ud83d\\ude80")
    assert api.post("/trade", body).json()["trade"]["portfolio_name"] == "Rocket 🚀"


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/xml", "application/jsonx", "application/x-www-form-urlencoded"],
)
def test_other_content_type_is_rejected(api, content_type):
    response = api.post("/trade", GOOD, {"Content-Type": content_type})
    assert response.status_code == 415


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON", "application/json; charset=utf-8"]
)
def test_equivalent_json_spellings_are_accepted(api, content_type):
    assert api.post("/trade", GOOD, {"Content-Type": content_type}).status_code == 201
