"""One idempotency key, one trade: repeats have the same answer."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.factories import trade_body

REPLAYED = "Idempotent-Replayed"


def test_repeated_request_returns_the_same_answer_marked_as_repeated(api):
    first, again = api.report("K"), api.report("K")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert REPLAYED not in first.headers
    assert again.headers[REPLAYED] == "true"
    assert len(api.trades()) == 1


def test_trade_is_found_by_its_idempotency_key(api):
    trade = api.trade("K")
    api.trade("k")
    assert api.trades(idempotency_key="K") == [trade]


def test_requests_without_a_key_are_separate_trades(api):
    assert api.trade()["trade_id"] != api.trade()["trade_id"]


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
    first = api.report("K", user_id="U1", note="n")
    response = api.report("K", **({"user_id": "U1", "note": "n"} | change))
    assert response.status_code == 409
    assert response.json()["type"] == "urn:slackoms:problem/idempotency-key-reused"
    assert api.trades() == [first.json()["trade"]]
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
    first = api.report("K")
    again = api.report("K", **written)
    assert (again.status_code, again.headers.get(REPLAYED)) == (201, "true")
    assert again.json() == first.json()


def test_malformed_request_binds_no_idempotency_key(api):
    assert api.report("K", quantity="x").status_code == 422
    assert api.report("K", gmv="999999999").status_code == 422
    assert api.post("/trade", b"{", {"Idempotency-Key": "K"}).status_code == 422
    response = api.report("K")
    assert (response.status_code, response.headers.get(REPLAYED)) == (201, None)


def test_repeat_after_a_reversal_returns_the_trade_and_books_nothing(api):
    first = api.report("K")
    api.reverse(first.json()["trade_id"])
    again = api.report("K")
    assert (again.json(), again.headers[REPLAYED]) == (first.json(), "true")
    assert len(api.trades()) == 2


def test_trades_and_reversals_have_separate_key_spaces(api):
    trade = api.trade("K")
    response = api.reverse(trade["trade_id"], key="K")
    assert (response.status_code, response.headers.get(REPLAYED)) == (201, None)
    assert [item["kind"] for item in api.trades(idempotency_key="K")] == ["reversal", "trade"]


def test_tenants_have_separate_key_spaces(api, service):
    first = api.trade("K")
    response = service.api().report("K", quantity="7")
    assert (response.status_code, response.headers.get(REPLAYED)) == (201, None)
    assert response.json()["trade_id"] != first["trade_id"]


@pytest.mark.parametrize("key", ["x" * 200, "!", "a b", "~:/\\'\""])
def test_key_of_up_to_200_printable_characters_is_accepted(api, key):
    api.trade(key)
    assert api.report(key).headers[REPLAYED] == "true"


@pytest.mark.parametrize("key", [b"", b"x" * 201, b"caf\xc3\xa9", b"a\tb", b"\x7f"])
@pytest.mark.parametrize("path", ["/trade", "/trades:batch", "/trades/T1:reverse"])
def test_invalid_key_is_rejected(api, path, key):
    body = {"/trade": trade_body(), "/trades:batch": {"trades": [trade_body()]}}.get(path, {"reason": "x"})
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
        answers = [future.result() for future in [racers.submit(api.report, "K") for _ in range(100)]]
    assert {response.status_code for response in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert sum(REPLAYED not in answer.headers for answer in answers) == 1
    assert len(api.trades()) == 1


def test_concurrent_requests_with_two_bodies_get_one_trade_and_conflicts(api):
    with ThreadPoolExecutor(40) as racers:
        futures = [racers.submit(api.report, "K", quantity=str(100 + n % 2)) for n in range(40)]
        statuses = [future.result().status_code for future in futures]
    assert sorted(statuses) == [201] * 20 + [409] * 20
    assert len(api.trades()) == 1


def test_concurrent_reversals_reverse_once(api):
    trade = api.trade()
    with ThreadPoolExecutor(20) as racers:
        futures = [racers.submit(api.reverse, trade["trade_id"]) for _ in range(20)]
        statuses = [future.result().status_code for future in futures]
    assert sorted(statuses) == [201] + [409] * 19
    assert len(api.trades()) == 2
