"""Latches: a strategy or key with too many executions in a symbol waits until a person releases it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.access.rig import Members, Work
from tests.risk.risk_requests import events, put_limit, put_quote, try_order


@pytest.fixture
def quoted(api):
    put_quote(api)
    return api


@pytest.fixture
def members(service, api):
    return Members(service, api)


def person(members, role="risk"):
    """Headers of the bot that acts for a person."""
    return {"X-API-Key": members.key, "X-On-Behalf-Of": f"slack:{members.team}:U{role.upper()}"}


def execute(api, count, **changes):
    for _ in range(count):
        response = try_order(api, quantity="1", **changes)
        assert response.status_code == 201, response.text


def denial(answer):
    assert answer.status_code == 422, answer.text
    return answer.json()["denial"]


def latches(api, **params):
    response = api.get("/latches", **params)
    assert response.status_code == 200, response.text
    return response.json()


def release(api, latch_id, headers=None, **body):
    return api.post(f"/latches/{latch_id}/release", body, headers)


def test_no_executions_are_counted_without_a_limit(quoted):
    execute(quoted, 30, strategy="momentum")
    assert latches(quoted) == []


def test_no_latch_queries_run_without_a_limit(quoted, monkeypatch):
    monkeypatch.setattr("app.risk.service.controls.MAX_AGE_SECONDS", 600)
    execute(quoted, 1, strategy="momentum")
    quoted.trade()

    def read_controls():
        with Work() as work:
            execute(quoted, 1, strategy="momentum")
            quoted.trade()
        assert work.statements
        return [statement for statement in work.statements if "latches" in statement or "limits" in statement]

    # Another service of this process may read its own beside one of them.
    assert min((read_controls() for _ in range(3)), key=len) == []


def test_strategy_is_latched_only_in_its_symbol(quoted):
    put_quote(quoted, "MSFT")
    put_limit(quoted, "REPEATED_EXECUTIONS", "3")
    execute(quoted, 3, strategy="momentum")
    body = denial(try_order(quoted, strategy="momentum", side="SELL"))
    assert (body["code"], body["limit"], body["asked"], body["largest_passing"]) == (
        *("REPEATED_EXECUTION", "3", "3", "0"),
    )
    execute(quoted, 1, strategy="momentum", symbol="MSFT")
    execute(quoted, 1, strategy="carry")
    execute(quoted, 1)
    [latch] = latches(quoted)
    named = ("scope", "name", "symbol", "executions", "limit", "released_at", "released_by")
    assert tuple(latch[name] for name in named) == ("strategy", "momentum", "AAPL", 3, 3, None, None)


def test_executed_orders_are_counted_across_portfolios(quoted):
    put_limit(quoted, "REPEATED_EXECUTIONS", "3")
    execute(quoted, 4, strategy="momentum", type="LIMIT", limit_price="50")  # these only rest
    execute(quoted, 1, strategy="momentum")
    execute(quoted, 1, strategy="momentum", portfolio_name="Income")
    assert latches(quoted) == []
    put_quote(quoted, bid="49", ask="50", last="50")  # and now four more fill
    assert [latch["executions"] for latch in latches(quoted)] == [3]
    assert denial(try_order(quoted, strategy="momentum"))["code"] == "REPEATED_EXECUTION"


def test_key_without_a_user_is_latched_but_a_user_is_not(quoted, members):
    put_limit(quoted, "REPEATED_EXECUTIONS", "2")
    put_limit(quoted, "REPEAT_ORDER_SECONDS", "0")
    trader = person(members, "trader")
    quoted.open_portfolio()
    ticket = {"portfolio_name": "Growth", "symbol": "AAPL", "side": "BUY", "quantity": "1", "type": "MARKET"}
    for _ in range(4):
        assert quoted.post("/orders", ticket, trader).status_code == 201
    assert latches(quoted) == []
    execute(quoted, 2)
    assert denial(try_order(quoted))["code"] == "REPEATED_EXECUTION"
    assert quoted.post("/orders", ticket, trader).status_code == 201
    assert [latch["scope"] for latch in latches(quoted)] == ["key"]


def test_every_order_of_one_batch_is_counted(quoted):
    """However many orders the writer takes at once, only the first ones pass."""
    put_limit(quoted, "REPEATED_EXECUTIONS", "5")
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: try_order(quoted, quantity="1").status_code, range(40)))
    assert answers.count(201) == 5
    assert answers.count(422) == 35
    assert len(latches(quoted)) == 1


def test_latched_key_cannot_continue_under_a_strategy_name(quoted):
    put_limit(quoted, "REPEATED_EXECUTIONS", "2")
    execute(quoted, 2)
    refused = denial(try_order(quoted, strategy="another"))
    assert (refused["code"], refused["asked"]) == ("REPEATED_EXECUTION", "2")
    assert [latch["scope"] for latch in latches(quoted)] == ["key"]


def test_denial_reveals_no_executions_of_other_portfolios_to_restricted_users(quoted):
    quoted.trade(portfolio_name="Growth")
    response = quoted.post("/api-keys", {"name": "narrow", "scopes": ["trade"], "portfolios": ["Growth"]})
    assert quoted.with_key(response.json()["key"]).get("/latches").status_code == 403


def test_latch_allows_cancels_and_keeps_working_orders(quoted):
    resting = try_order(quoted, strategy="momentum", type="LIMIT", limit_price="50").json()["id"]
    other = try_order(quoted, strategy="momentum", type="LIMIT", limit_price="51").json()["id"]
    put_limit(quoted, "REPEATED_EXECUTIONS", "1")
    execute(quoted, 1, strategy="momentum")
    changed = quoted.patch(f"/orders/{other}", {"quantity": "5"})
    assert denial(changed)["code"] == "REPEATED_EXECUTION"
    assert quoted.post(f"/orders/{other}/cancel", {}).status_code == 200
    put_quote(quoted, bid="49", ask="50", last="50")
    assert quoted.found(resting)["status"] == "FILLED"


def bracket(api, target):
    entry = {"type": "LIMIT", "limit_price": "95", "take_profit": {"limit_price": target}}
    response = try_order(api, quantity="1", strategy="momentum", **entry)
    assert response.status_code == 201, response.text
    return response.json()["id"]


def test_latch_does_not_block_bracket_exits(quoted):
    entry = bracket(quoted, "110")
    put_limit(quoted, "REPEATED_EXECUTIONS", "1")
    execute(quoted, 1, strategy="momentum")
    assert len(latches(quoted, released="false")) == 1
    put_quote(quoted, bid="94", ask="95", last="95")  # the entry works on and fills, its exit is released
    assert [leg["status"] for leg in quoted.found(entry)["legs"]] == ["ACCEPTED"]


def test_bracket_exits_are_not_counted(quoted):
    put_limit(quoted, "REPEATED_EXECUTIONS", "3")
    entry = bracket(quoted, "104")
    put_quote(quoted, bid="94", ask="95", last="95")  # one that counts
    put_quote(quoted, bid="104", ask="106", last="104")  # and its exit
    execute(quoted, 1, strategy="momentum")
    assert [leg["status"] for leg in quoted.found(entry)["legs"]] == ["FILLED"]
    assert latches(quoted) == []
    execute(quoted, 1, strategy="momentum")
    assert [latch["executions"] for latch in latches(quoted)] == [3]


def test_latch_can_only_be_released_by_a_user(quoted, members):
    put_limit(quoted, "REPEATED_EXECUTIONS", "2")
    execute(quoted, 2, strategy="momentum")
    [latch] = latches(quoted)
    refused = release(quoted, latch["id"])
    assert refused.status_code == 403
    assert (
        refused.json()["detail"]
        == "This operation needs a named person. Log in, or act for a person by X-On-Behalf-Of."
    )
    assert release(quoted, latch["id"], person(members, "trader")).status_code == 403
    assert denial(try_order(quoted, strategy="momentum"))["code"] == "REPEATED_EXECUTION"
    response = release(quoted, latch["id"], person(members), reason="Looked at it")
    assert response.status_code == 200, response.text
    body = response.json()
    assert (body["released_by"], body["reason"]) == (f"slack:{members.team}:URISK", "Looked at it")
    assert latches(quoted) == [body]
    assert latches(quoted, released="false") == []
    assert latches(quoted, released="true") == [body]
    assert latches(quoted, standing="true") == []  # the former name of the filter
    assert latches(quoted, standing="false") == [body]


def test_executions_before_a_release_are_not_counted_again(quoted, members):
    put_limit(quoted, "REPEATED_EXECUTIONS", "2")
    execute(quoted, 2, strategy="momentum")
    [latch] = latches(quoted)
    assert release(quoted, latch["id"], person(members)).status_code == 200
    execute(quoted, 2, strategy="momentum")
    assert denial(try_order(quoted, strategy="momentum"))["code"] == "REPEATED_EXECUTION"
    assert [item["released_at"] is None for item in latches(quoted)] == [True, False]


def test_repeated_release_is_applied_once(quoted, members):
    put_limit(quoted, "REPEATED_EXECUTIONS", "1")
    execute(quoted, 1, strategy="momentum")
    [latch] = latches(quoted)
    headers = person(members) | {"Idempotency-Key": "again"}
    first = release(quoted, latch["id"], headers)
    again = release(quoted, latch["id"], headers)
    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    assert release(quoted, latch["id"], person(members)).status_code == 409
    assert release(quoted, "L0", person(members)).status_code == 404


def test_latch_remains_after_its_limit_is_deleted(quoted):
    put_limit(quoted, "REPEATED_EXECUTIONS", "1")
    execute(quoted, 1, strategy="momentum")
    put_limit(quoted, "REPEATED_EXECUTIONS", None)
    assert denial(try_order(quoted, strategy="momentum"))["code"] == "REPEATED_EXECUTION"


def test_execution_limit_of_zero_disables_counting_and_a_positive_one_applies(quoted):
    put_limit(quoted, "REPEATED_EXECUTIONS", "0", "strategy", "maker")
    execute(quoted, 3, strategy="maker")
    assert latches(quoted) == []
    put_limit(quoted, "REPEATED_EXECUTIONS", "5")
    execute(quoted, 2, strategy="maker")
    assert denial(try_order(quoted, strategy="maker"))["code"] == "REPEATED_EXECUTION"


def test_latches_persist_across_restarts_and_processes(quoted, members, serve_another):
    put_limit(quoted, "REPEATED_EXECUTIONS", "2")
    execute(quoted, 1, strategy="momentum")
    other = serve_another(quoted)
    execute(other, 1, strategy="momentum")  # two in all: counted in the database
    assert denial(try_order(quoted, strategy="momentum"))["code"] == "REPEATED_EXECUTION"
    assert denial(try_order(other, strategy="momentum"))["code"] == "REPEATED_EXECUTION"
    later = serve_another(quoted)
    assert denial(try_order(later, strategy="momentum"))["code"] == "REPEATED_EXECUTION"
    [latch] = latches(later)
    assert release(quoted, latch["id"], person(members)).status_code == 200
    execute(other, 1, strategy="momentum")


def test_latches_are_published_as_events_and_audited(quoted, members):
    put_limit(quoted, "REPEATED_EXECUTIONS", "1")
    execute(quoted, 1, strategy="momentum")
    [latch] = latches(quoted)
    release(quoted, latch["id"], person(members), reason="Fine")
    fields = {"scope": "strategy", "name": "momentum", "symbol": "AAPL", "executions": 1, "most": 1}
    told = events(quoted, "latch.*")
    who = {"reason": "Fine", "released_by": f"slack:{members.team}:URISK"}
    assert [(item["type"], item["data"]) for item in told] == [
        ("latch.released", {"latch_id": latch["id"], **fields, **who}),
        ("latch.set", {"latch_id": latch["id"], **fields}),
    ]
    trail = [item for item in quoted.get("/audit").json() if item["action"].startswith("latch.")]
    assert [(item["action"], item["actor"], item["target"]) for item in trail] == [
        ("latch.released", f"slack:{members.team}:URISK", latch["id"]),
        ("latch.set", "risk", latch["id"]),
    ]


def test_latches_are_listed_newest_first_in_pages(quoted):
    put_limit(quoted, "REPEATED_EXECUTIONS", "1")
    for name in ("a", "b", "c"):
        execute(quoted, 1, strategy=name)
    first = quoted.get("/latches", limit=2)
    assert [item["name"] for item in first.json()] == ["c", "b"]
    second = quoted.service.client.get(first.links["next"]["url"], headers={"X-API-Key": quoted.key})
    assert [item["name"] for item in second.json()] == ["a"]
    assert "next" not in second.links


def test_latches_are_separate_for_each_tenant(service, quoted):
    put_limit(quoted, "REPEATED_EXECUTIONS", "1")
    execute(quoted, 1, strategy="momentum")
    other = service.api()
    put_quote(other)
    execute(other, 3, strategy="momentum")
    assert latches(other) == []


@pytest.mark.parametrize("value", ["1.5", "-1", "1000001", "many"])
def test_invalid_execution_limit_is_rejected(api, value):
    response = put_limit(api, "REPEATED_EXECUTIONS", value)
    assert (response.status_code, [error["field"] for error in response.json()["errors"]]) == (422, ["value"])
