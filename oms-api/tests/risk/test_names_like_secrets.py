"""A request with a name that looks like a secret is executed, and the audit log does not contain the name."""

from tests.risk.risk_requests import list_events, post_order, put_limit, set_quote, set_switch

SECRET = "oms_" + "a" * 30


def list_audit_entries(api, action):
    return api.get("/audit", action=action).json()


def test_kill_switch_accepts_a_reason_that_looks_like_a_secret(api):
    set_quote(api)
    response = set_switch(api, "HALTED", reason=f"Found {SECRET} in a chat")
    assert response.status_code == 200, response.text
    assert post_order(api).json()["denial"]["code"] == "HALTED"
    assert [item["after"] for item in list_audit_entries(api, "kill_switch.turned")] == [
        {"state": "HALTED", "reason": "…"}
    ]


def test_latch_works_for_a_strategy_name_that_looks_like_a_secret(api):
    set_quote(api)
    put_limit(api, "REPEATED_EXECUTIONS", "1")
    resting = post_order(api, strategy=SECRET, type="LIMIT", limit_price="50")
    set_quote(api, bid="49", ask="50", last="50")
    assert api.get_order(resting.json()["id"])["status"] == "FILLED"
    assert post_order(api, strategy=SECRET).json()["denial"]["code"] == "REPEATED_EXECUTION"
    assert [item["name"] for item in api.get("/latches").json()] == [SECRET]
    assert [item["data"]["name"] for item in list_events(api, "latch.set")] == [SECRET]
    assert [item["after"]["name"] for item in list_audit_entries(api, "latch.set")] == ["…"]
