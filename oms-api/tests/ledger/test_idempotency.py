"""One idempotency key, one trade: repeats have the same answer."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.factories import build_trade_body

REPLAYED = "Idempotent-Replayed"


def test_repeated_request_returns_the_same_answer_marked_as_repeated(api):
    first, again = api.post_trade("K"), api.post_trade("K")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert REPLAYED not in first.headers
    assert again.headers[REPLAYED] == "true"
    assert len(api.list_trades()) == 1


def test_trade_is_found_by_its_idempotency_key(api):
    trade = api.record_trade("K")
    api.record_trade("k")
    assert api.list_trades(idempotency_key="K") == [trade]


def test_requests_without_a_key_are_separate_trades(api):
    assert api.record_trade()["trade_id"] != api.record_trade()["trade_id"]


@pytest.mark.parametrize(
    "change",
    [
        {"quantity": "101"},
        {"gmv": "17501"},
        {"symbol": "MSFT"},
        {"side": "SELL"},
        {"portfolio_name": "Other"},
        {"user_id": "U2"},
        {"note": "other"},
        {"user_id": None},
        {"gmv": None, "price": "176"},
    ],
)
def test_other_body_under_the_same_key_conflicts_and_records_nothing(api, change):
    first = api.post_trade("K", user_id="U1", note="n")
    response = api.post_trade("K", **({"user_id": "U1", "note": "n"} | change))
    assert response.status_code == 409
    assert response.json()["type"] == "urn:slackoms:problem/idempotency-key-reused"
    assert api.list_trades() == [first.json()["trade"]]
    assert api.get("/portfolios").json() == ["Growth"]


@pytest.mark.parametrize(
    "written",
    [
        {"quantity": 100},
        {"quantity": 100.0},
        {"quantity": "100.00"},
        {"gmv": 17500.00},
        {"gmv": None, "price": "175"},
        {"symbol": "aapl "},
        {"portfolio_name": " GROWTH"},
        {"user_id": ""},
        {"note": "  "},
    ],
)
def test_equivalent_body_under_the_same_key_is_a_repeat(api, written):
    first = api.post_trade("K")
    again = api.post_trade("K", **written)
    assert (again.status_code, again.headers.get(REPLAYED)) == (201, "true")
    assert again.json() == first.json()


def test_malformed_request_binds_no_idempotency_key(api):
    assert api.post_trade("K", quantity="x").status_code == 422
    assert api.post_trade("K", gmv="999999999").status_code == 422
    assert api.post("/trade", b"{", {"Idempotency-Key": "K"}).status_code == 422
    response = api.post_trade("K")
    assert (response.status_code, response.headers.get(REPLAYED)) == (201, None)


def test_repeat_after_a_reversal_returns_the_trade_and_books_nothing(api):
    first = api.post_trade("K")
    api.post_reversal(first.json()["trade_id"])
    again = api.post_trade("K")
    assert (again.json(), again.headers[REPLAYED]) == (first.json(), "true")
    assert len(api.list_trades()) == 2


def test_trades_and_reversals_have_separate_key_spaces(api):
    trade = api.record_trade("K")
    response = api.post_reversal(trade["trade_id"], key="K")
    assert (response.status_code, response.headers.get(REPLAYED)) == (201, None)
    assert [item["kind"] for item in api.list_trades(idempotency_key="K")] == ["reversal", "trade"]


def test_tenants_have_separate_key_spaces(api, service):
    first = api.record_trade("K")
    response = service.create_client().post_trade("K", quantity="7")
    assert (response.status_code, response.headers.get(REPLAYED)) == (201, None)
    assert response.json()["trade_id"] != first["trade_id"]


@pytest.mark.parametrize("key", ["x" * 200, "!", "a b", "~:/\\'\""])
def test_key_of_up_to_200_printable_characters_is_accepted(api, key):
    api.record_trade(key)
    assert api.post_trade(key).headers[REPLAYED] == "true"


@pytest.mark.parametrize("key", [b"", b"x" * 201, b"caf\xc3\xa9", b"a\tb", b"\x7f"])
@pytest.mark.parametrize("path", ["/trade", "/trades:batch", "/trades/T1:reverse"])
def test_invalid_key_is_rejected(api, path, key):
    body = {"/trade": build_trade_body(), "/trades:batch": {"trades": [build_trade_body()]}}.get(
        path, {"reason": "x"}
    )
    response = api.service.client.post(
        f"/api/v1{path}",
        content=json.dumps(body),
        headers=[
            (b"X-API-Key", api.key.encode()),
            (b"Content-Type", b"application/json"),
            (b"Idempotency-Key", key),
        ],
    )
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "Idempotency-Key"


def test_concurrent_requests_with_one_key_record_one_trade(api):
    with ThreadPoolExecutor(100) as racers:
        responses = [future.result() for future in [racers.submit(api.post_trade, "K") for _ in range(100)]]
    assert {response.status_code for response in responses} == {201}
    assert len({answer.text for answer in responses}) == 1
    assert sum(REPLAYED not in answer.headers for answer in responses) == 1
    assert len(api.list_trades()) == 1


def test_concurrent_requests_with_two_bodies_get_one_trade_and_conflicts(api):
    with ThreadPoolExecutor(40) as racers:
        futures = [racers.submit(api.post_trade, "K", quantity=str(100 + n % 2)) for n in range(40)]
        statuses = [future.result().status_code for future in futures]
    assert sorted(statuses) == [201] * 20 + [409] * 20
    assert len(api.list_trades()) == 1


def test_concurrent_reversals_reverse_once(api):
    trade = api.record_trade()
    with ThreadPoolExecutor(20) as racers:
        futures = [racers.submit(api.post_reversal, trade["trade_id"]) for _ in range(20)]
        statuses = [future.result().status_code for future in futures]
    assert sorted(statuses) == [201] + [409] * 19
    assert len(api.list_trades()) == 2
