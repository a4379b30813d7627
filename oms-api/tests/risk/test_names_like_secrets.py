"""A request with a name that looks like a secret is executed, and the audit log does not contain the name."""

from tests.risk.risk_requests import events, put_limit, put_quote, set_switch, try_order

SECRET = "oms_" + "a" * 30


def trail(api, action):
    return api.get("/audit", action=action).json()


def test_kill_switch_accepts_a_reason_that_looks_like_a_secret(api):
    put_quote(api)
    response = set_switch(api, "HALTED", reason=f"Found {SECRET} in a chat")
    assert response.status_code == 200, response.text
    assert try_order(api).json()["denial"]["code"] == "HALTED"
    assert [item["after"] for item in trail(api, "kill_switch.turned")] == [
        {"state": "HALTED", "reason": "…"}
    ]


def test_latch_works_for_a_strategy_name_that_looks_like_a_secret(api):
    put_quote(api)
    put_limit(api, "REPEATED_EXECUTIONS", "1")
    resting = try_order(api, strategy=SECRET, type="LIMIT", limit_price="50")
    put_quote(api, bid="49", ask="50", last="50")
    assert api.found(resting.json()["id"])["status"] == "FILLED"
    assert try_order(api, strategy=SECRET).json()["denial"]["code"] == "REPEATED_EXECUTION"
    assert [item["name"] for item in api.get("/latches").json()] == [SECRET]
    assert [item["data"]["name"] for item in events(api, "latch.set")] == [SECRET]
    assert [item["after"]["name"] for item in trail(api, "latch.set")] == ["…"]
