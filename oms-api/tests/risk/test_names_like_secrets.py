"""What has a name that reads like a secret is done all the same, and the trail does not hold the name."""

from tests.risk.desks import events, put_limit, put_quote, try_order, turn

SECRET = "oms_" + "a" * 30


def trail(desk, action):
    return desk.get("/audit", action=action).json()


def test_a_kill_switch_is_turned_whatever_its_reason_reads_like(desk):
    put_quote(desk)
    answer = turn(desk, "HALTED", reason=f"Found {SECRET} in a chat")
    assert answer.status_code == 200, answer.text
    assert try_order(desk).json()["denial"]["code"] == "HALTED"
    assert [one["after"] for one in trail(desk, "kill_switch.turned")] == [{"state": "HALTED", "reason": "…"}]


def test_a_strategy_is_latched_whatever_its_name_reads_like(desk):
    put_quote(desk)
    put_limit(desk, "REPEATED_EXECUTIONS", "1")
    resting = try_order(desk, strategy=SECRET, type="LIMIT", limit_price="50")
    put_quote(desk, bid="49", ask="50", last="50")
    assert desk.found(resting.json()["id"])["status"] == "FILLED"
    assert try_order(desk, strategy=SECRET).json()["denial"]["code"] == "REPEATED_EXECUTION"
    assert [one["name"] for one in desk.get("/latches").json()] == [SECRET]
    assert [one["data"]["name"] for one in events(desk, "latch.set")] == [SECRET]
    assert [one["after"]["name"] for one in trail(desk, "latch.set")] == ["…"]
