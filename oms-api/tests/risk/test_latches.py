"""Latches: a strategy or key with too many executions in a symbol waits until a person releases it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.access.api_operations import Members, Work
from tests.risk.risk_requests import list_events, post_order, put_limit, set_quote


@pytest.fixture
def quoted_api(api):
    set_quote(api)
    return api


@pytest.fixture
def members(service, api):
    return Members(service, api)


def build_person_headers(members, role="risk"):
    """Headers of the bot that acts for a person."""
    return {"X-API-Key": members.key, "X-On-Behalf-Of": f"slack:{members.team}:U{role.upper()}"}


def execute_orders(api, count, **changes):
    for _ in range(count):
        response = post_order(api, quantity="1", **changes)
        assert response.status_code == 201, response.text


def get_denial(response):
    assert response.status_code == 422, response.text
    return response.json()["denial"]


def list_latches(api, **params):
    response = api.get("/latches", **params)
    assert response.status_code == 200, response.text
    return response.json()


def release_latch(api, latch_id, headers=None, **body):
    return api.post(f"/latches/{latch_id}/release", body, headers)


def test_no_executions_are_counted_without_a_limit(quoted_api):
    execute_orders(quoted_api, 30, strategy="momentum")
    assert list_latches(quoted_api) == []


def test_no_latch_queries_run_without_a_limit(quoted_api, monkeypatch):
    monkeypatch.setattr("app.risk.service.controls.MAX_AGE_SECONDS", 600)
    execute_orders(quoted_api, 1, strategy="momentum")
    quoted_api.record_trade()

    def read_controls():
        with Work() as work:
            execute_orders(quoted_api, 1, strategy="momentum")
            quoted_api.record_trade()
        assert work.statements
        return [statement for statement in work.statements if "latches" in statement or "limits" in statement]

    # Another service of this process may read its controls at the same time.
    assert min((read_controls() for _ in range(3)), key=len) == []


def test_strategy_is_latched_only_in_its_symbol(quoted_api):
    set_quote(quoted_api, "MSFT")
    put_limit(quoted_api, "REPEATED_EXECUTIONS", "3")
    execute_orders(quoted_api, 3, strategy="momentum")
    body = get_denial(post_order(quoted_api, strategy="momentum", side="SELL"))
    assert body["code"] == "REPEATED_EXECUTION"
    assert body["limit"] == "3"
    assert body["asked"] == "3"
    assert body["largest_passing"] == "0"
    execute_orders(quoted_api, 1, strategy="momentum", symbol="MSFT")
    execute_orders(quoted_api, 1, strategy="carry")
    execute_orders(quoted_api, 1)
    [latch] = list_latches(quoted_api)
    fields = ("scope", "name", "symbol", "executions", "limit", "released_at", "released_by")
    assert tuple(latch[name] for name in fields) == ("strategy", "momentum", "AAPL", 3, 3, None, None)


def test_executed_orders_are_counted_across_portfolios(quoted_api):
    put_limit(quoted_api, "REPEATED_EXECUTIONS", "3")
    execute_orders(quoted_api, 4, strategy="momentum", type="LIMIT", limit_price="50")  # these only rest
    execute_orders(quoted_api, 1, strategy="momentum")
    execute_orders(quoted_api, 1, strategy="momentum", portfolio_name="Income")
    assert list_latches(quoted_api) == []
    set_quote(quoted_api, bid="49", ask="50", last="50")  # and now four more fill
    assert [latch["executions"] for latch in list_latches(quoted_api)] == [3]
    assert get_denial(post_order(quoted_api, strategy="momentum"))["code"] == "REPEATED_EXECUTION"


def test_key_without_a_user_is_latched_but_a_user_is_not(quoted_api, members):
    put_limit(quoted_api, "REPEATED_EXECUTIONS", "2")
    put_limit(quoted_api, "REPEAT_ORDER_SECONDS", "0")
    trader = build_person_headers(members, "trader")
    quoted_api.open_portfolio()
    ticket = {"portfolio_name": "Growth", "symbol": "AAPL", "side": "BUY", "quantity": "1", "type": "MARKET"}
    for _ in range(4):
        assert quoted_api.post("/orders", ticket, trader).status_code == 201
    assert list_latches(quoted_api) == []
    execute_orders(quoted_api, 2)
    assert get_denial(post_order(quoted_api))["code"] == "REPEATED_EXECUTION"
    assert quoted_api.post("/orders", ticket, trader).status_code == 201
    assert [latch["scope"] for latch in list_latches(quoted_api)] == ["key"]


def test_every_order_of_one_batch_is_counted(quoted_api):
    """However many orders the writer takes at once, only the first ones pass."""
    put_limit(quoted_api, "REPEATED_EXECUTIONS", "5")
    with ThreadPoolExecutor(16) as pool:
        responses = list(pool.map(lambda _: post_order(quoted_api, quantity="1").status_code, range(40)))
    assert responses.count(201) == 5
    assert responses.count(422) == 35
    assert len(list_latches(quoted_api)) == 1


def test_latched_key_cannot_continue_under_a_strategy_name(quoted_api):
    put_limit(quoted_api, "REPEATED_EXECUTIONS", "2")
    execute_orders(quoted_api, 2)
    denial = get_denial(post_order(quoted_api, strategy="another"))
    assert (denial["code"], denial["asked"]) == ("REPEATED_EXECUTION", "2")
    assert [latch["scope"] for latch in list_latches(quoted_api)] == ["key"]


def test_denial_reveals_no_executions_of_other_portfolios_to_restricted_users(quoted_api):
    quoted_api.record_trade(portfolio_name="Growth")
    response = quoted_api.post("/api-keys", {"name": "narrow", "scopes": ["trade"], "portfolios": ["Growth"]})
    assert quoted_api.with_key(response.json()["key"]).get("/latches").status_code == 403


def test_latch_allows_cancels_and_keeps_working_orders(quoted_api):
    resting = post_order(quoted_api, strategy="momentum", type="LIMIT", limit_price="50").json()["id"]
    other = post_order(quoted_api, strategy="momentum", type="LIMIT", limit_price="51").json()["id"]
    put_limit(quoted_api, "REPEATED_EXECUTIONS", "1")
    execute_orders(quoted_api, 1, strategy="momentum")
    changed = quoted_api.patch(f"/orders/{other}", {"quantity": "5"})
    assert get_denial(changed)["code"] == "REPEATED_EXECUTION"
    assert quoted_api.post(f"/orders/{other}/cancel", {}).status_code == 200
    set_quote(quoted_api, bid="49", ask="50", last="50")
    assert quoted_api.get_order(resting)["status"] == "FILLED"


def place_bracket(api, target):
    entry = {"type": "LIMIT", "limit_price": "95", "take_profit": {"limit_price": target}}
    response = post_order(api, quantity="1", strategy="momentum", **entry)
    assert response.status_code == 201, response.text
    return response.json()["id"]


def test_latch_does_not_block_bracket_exits(quoted_api):
    entry = place_bracket(quoted_api, "110")
    put_limit(quoted_api, "REPEATED_EXECUTIONS", "1")
    execute_orders(quoted_api, 1, strategy="momentum")
    assert len(list_latches(quoted_api, released="false")) == 1
    set_quote(quoted_api, bid="94", ask="95", last="95")  # the entry works on and fills, its exit is released
    assert [leg["status"] for leg in quoted_api.get_order(entry)["legs"]] == ["ACCEPTED"]


def test_bracket_exits_are_not_counted(quoted_api):
    put_limit(quoted_api, "REPEATED_EXECUTIONS", "3")
    entry = place_bracket(quoted_api, "104")
    set_quote(quoted_api, bid="94", ask="95", last="95")  # an execution that counts
    set_quote(quoted_api, bid="104", ask="106", last="104")  # and its exit
    execute_orders(quoted_api, 1, strategy="momentum")
    assert [leg["status"] for leg in quoted_api.get_order(entry)["legs"]] == ["FILLED"]
    assert list_latches(quoted_api) == []
    execute_orders(quoted_api, 1, strategy="momentum")
    assert [latch["executions"] for latch in list_latches(quoted_api)] == [3]


def test_latch_can_only_be_released_by_a_user(quoted_api, members):
    put_limit(quoted_api, "REPEATED_EXECUTIONS", "2")
    execute_orders(quoted_api, 2, strategy="momentum")
    [latch] = list_latches(quoted_api)
    refused = release_latch(quoted_api, latch["id"])
    assert refused.status_code == 403
    assert (
        refused.json()["detail"]
        == "This operation needs a named person. Log in, or act for a person by X-On-Behalf-Of."
    )
    assert release_latch(quoted_api, latch["id"], build_person_headers(members, "trader")).status_code == 403
    assert get_denial(post_order(quoted_api, strategy="momentum"))["code"] == "REPEATED_EXECUTION"
    response = release_latch(quoted_api, latch["id"], build_person_headers(members), reason="Looked at it")
    assert response.status_code == 200, response.text
    body = response.json()
    assert (body["released_by"], body["reason"]) == (f"slack:{members.team}:URISK", "Looked at it")
    assert list_latches(quoted_api) == [body]
    assert list_latches(quoted_api, released="false") == []
    assert list_latches(quoted_api, released="true") == [body]
    assert list_latches(quoted_api, standing="true") == []  # the former name of the filter
    assert list_latches(quoted_api, standing="false") == [body]


def test_executions_before_a_release_are_not_counted_again(quoted_api, members):
    put_limit(quoted_api, "REPEATED_EXECUTIONS", "2")
    execute_orders(quoted_api, 2, strategy="momentum")
    [latch] = list_latches(quoted_api)
    assert release_latch(quoted_api, latch["id"], build_person_headers(members)).status_code == 200
    execute_orders(quoted_api, 2, strategy="momentum")
    assert get_denial(post_order(quoted_api, strategy="momentum"))["code"] == "REPEATED_EXECUTION"
    assert [item["released_at"] is None for item in list_latches(quoted_api)] == [True, False]


def test_repeated_release_is_applied_once(quoted_api, members):
    put_limit(quoted_api, "REPEATED_EXECUTIONS", "1")
    execute_orders(quoted_api, 1, strategy="momentum")
    [latch] = list_latches(quoted_api)
    headers = build_person_headers(members) | {"Idempotency-Key": "again"}
    first = release_latch(quoted_api, latch["id"], headers)
    again = release_latch(quoted_api, latch["id"], headers)
    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    assert release_latch(quoted_api, latch["id"], build_person_headers(members)).status_code == 409
    assert release_latch(quoted_api, "L0", build_person_headers(members)).status_code == 404


def test_latch_remains_after_its_limit_is_deleted(quoted_api):
    put_limit(quoted_api, "REPEATED_EXECUTIONS", "1")
    execute_orders(quoted_api, 1, strategy="momentum")
    put_limit(quoted_api, "REPEATED_EXECUTIONS", None)
    assert get_denial(post_order(quoted_api, strategy="momentum"))["code"] == "REPEATED_EXECUTION"


def test_execution_limit_of_zero_disables_counting_and_a_positive_one_applies(quoted_api):
    put_limit(quoted_api, "REPEATED_EXECUTIONS", "0", "strategy", "maker")
    execute_orders(quoted_api, 3, strategy="maker")
    assert list_latches(quoted_api) == []
    put_limit(quoted_api, "REPEATED_EXECUTIONS", "5")
    execute_orders(quoted_api, 2, strategy="maker")
    assert get_denial(post_order(quoted_api, strategy="maker"))["code"] == "REPEATED_EXECUTION"


def test_latches_persist_across_restarts_and_processes(quoted_api, members, serve_another):
    put_limit(quoted_api, "REPEATED_EXECUTIONS", "2")
    execute_orders(quoted_api, 1, strategy="momentum")
    other = serve_another(quoted_api)
    execute_orders(other, 1, strategy="momentum")  # two in all: counted in the database
    assert get_denial(post_order(quoted_api, strategy="momentum"))["code"] == "REPEATED_EXECUTION"
    assert get_denial(post_order(other, strategy="momentum"))["code"] == "REPEATED_EXECUTION"
    later = serve_another(quoted_api)
    assert get_denial(post_order(later, strategy="momentum"))["code"] == "REPEATED_EXECUTION"
    [latch] = list_latches(later)
    assert release_latch(quoted_api, latch["id"], build_person_headers(members)).status_code == 200
    execute_orders(other, 1, strategy="momentum")


def test_latches_are_published_as_events_and_audited(quoted_api, members):
    put_limit(quoted_api, "REPEATED_EXECUTIONS", "1")
    execute_orders(quoted_api, 1, strategy="momentum")
    [latch] = list_latches(quoted_api)
    release_latch(quoted_api, latch["id"], build_person_headers(members), reason="Fine")
    fields = {"scope": "strategy", "name": "momentum", "symbol": "AAPL", "executions": 1, "most": 1}
    events = list_events(quoted_api, "latch.*")
    release = {"reason": "Fine", "released_by": f"slack:{members.team}:URISK"}
    assert [(item["type"], item["data"]) for item in events] == [
        ("latch.released", {"latch_id": latch["id"], **fields, **release}),
        ("latch.set", {"latch_id": latch["id"], **fields}),
    ]
    trail = [item for item in quoted_api.get("/audit").json() if item["action"].startswith("latch.")]
    assert [(item["action"], item["actor"], item["target"]) for item in trail] == [
        ("latch.released", f"slack:{members.team}:URISK", latch["id"]),
        ("latch.set", "risk", latch["id"]),
    ]


def test_latches_are_listed_newest_first_in_pages(quoted_api):
    put_limit(quoted_api, "REPEATED_EXECUTIONS", "1")
    for name in ("a", "b", "c"):
        execute_orders(quoted_api, 1, strategy=name)
    first = quoted_api.get("/latches", limit=2)
    assert [item["name"] for item in first.json()] == ["c", "b"]
    second = quoted_api.service.client.get(first.links["next"]["url"], headers={"X-API-Key": quoted_api.key})
    assert [item["name"] for item in second.json()] == ["a"]
    assert "next" not in second.links


def test_latches_are_separate_for_each_tenant(service, quoted_api):
    put_limit(quoted_api, "REPEATED_EXECUTIONS", "1")
    execute_orders(quoted_api, 1, strategy="momentum")
    other = service.create_client()
    set_quote(other)
    execute_orders(other, 3, strategy="momentum")
    assert list_latches(other) == []


@pytest.mark.parametrize("value", ["1.5", "-1", "1000001", "many"])
def test_invalid_execution_limit_is_rejected(api, value):
    response = put_limit(api, "REPEATED_EXECUTIONS", value)
    assert (response.status_code, [error["field"] for error in response.json()["errors"]]) == (422, ["value"])
