"""One key, one trade: the same answer whenever and however often it is sent."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.factories import trade_body

REPLAYED = "Idempotent-Replayed"


def test_a_repeat_gives_the_same_answer_and_says_so(desk):
    first, again = desk.report("K"), desk.report("K")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert REPLAYED not in first.headers
    assert again.headers[REPLAYED] == "true"
    assert len(desk.trades()) == 1


def test_a_trade_is_found_by_its_key(desk):
    trade = desk.trade("K")
    desk.trade("k")
    assert desk.trades(idempotency_key="K") == [trade]


def test_without_a_key_every_report_is_a_trade(desk):
    assert desk.trade()["trade_id"] != desk.trade()["trade_id"]


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
def test_another_body_under_the_key_conflicts_and_records_nothing(desk, change):
    first = desk.report("K", user_id="U1", note="n")
    answer = desk.report("K", **({"user_id": "U1", "note": "n"} | change))
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:slackoms:problem/idempotency-key-reused"
    assert desk.trades() == [first.json()["trade"]]
    assert desk.get("/portfolios").json() == ["Growth"]


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
def test_the_same_body_written_otherwise_is_the_same(desk, written):
    first = desk.report("K")
    again = desk.report("K", **written)
    assert (again.status_code, again.headers.get(REPLAYED)) == (201, "true")
    assert again.json() == first.json()


def test_a_malformed_request_binds_no_key(desk):
    assert desk.report("K", quantity="x").status_code == 422
    assert desk.report("K", gmv="999999999").status_code == 422
    assert desk.post("/trade", b"{", {"Idempotency-Key": "K"}).status_code == 422
    answer = desk.report("K")
    assert (answer.status_code, answer.headers.get(REPLAYED)) == (201, None)


def test_a_repeat_after_the_reversal_still_tells_the_trade_and_books_nothing(desk):
    first = desk.report("K")
    desk.reverse(first.json()["trade_id"])
    again = desk.report("K")
    assert (again.json(), again.headers[REPLAYED]) == (first.json(), "true")
    assert len(desk.trades()) == 2


def test_reports_and_reversals_have_keys_of_their_own(desk):
    trade = desk.trade("K")
    answer = desk.reverse(trade["trade_id"], key="K")
    assert (answer.status_code, answer.headers.get(REPLAYED)) == (201, None)
    assert [found["kind"] for found in desk.trades(idempotency_key="K")] == ["reversal", "trade"]


def test_tenants_have_keys_of_their_own(desk, service):
    first = desk.trade("K")
    answer = service.desk().report("K", quantity="7")
    assert (answer.status_code, answer.headers.get(REPLAYED)) == (201, None)
    assert answer.json()["trade_id"] != first["trade_id"]


@pytest.mark.parametrize("key", ["x" * 200, "!", "a b", "~:/\\'\""])
def test_a_key_is_up_to_200_printable_characters(desk, key):
    desk.trade(key)
    assert desk.report(key).headers[REPLAYED] == "true"


@pytest.mark.parametrize("key", [b"", b"x" * 201, b"caf\xc3\xa9", b"a\tb", b"\x7f"])
@pytest.mark.parametrize("path", ["/trade", "/trades:batch", "/trades/T1:reverse"])
def test_any_other_key_is_refused(desk, path, key):
    body = {"/trade": trade_body(), "/trades:batch": {"trades": [trade_body()]}}.get(path, {"reason": "x"})
    answer = desk.service.client.post(
        f"/api/v1{path}",
        content=json.dumps(body),
        headers=[
            (b"X-API-Key", desk.key.encode()),
            (b"Content-Type", b"application/json"),
            (b"Idempotency-Key", key),
        ],
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"


def test_of_a_hundred_racers_one_trades_and_all_get_its_answer(desk):
    with ThreadPoolExecutor(100) as racers:
        answers = [future.result() for future in [racers.submit(desk.report, "K") for _ in range(100)]]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert sum(REPLAYED not in answer.headers for answer in answers) == 1
    assert len(desk.trades()) == 1


def test_racers_with_two_bodies_get_one_trade_and_conflicts(desk):
    with ThreadPoolExecutor(40) as racers:
        futures = [racers.submit(desk.report, "K", quantity=str(100 + n % 2)) for n in range(40)]
        statuses = [future.result().status_code for future in futures]
    assert sorted(statuses) == [201] * 20 + [409] * 20
    assert len(desk.trades()) == 1


def test_racing_reversals_undo_once(desk):
    trade = desk.trade()
    with ThreadPoolExecutor(20) as racers:
        futures = [racers.submit(desk.reverse, trade["trade_id"]) for _ in range(20)]
        statuses = [future.result().status_code for future in futures]
    assert sorted(statuses) == [201] + [409] * 19
    assert len(desk.trades()) == 2
