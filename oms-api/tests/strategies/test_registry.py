"""Strategies over REST: versions, status, statistics, limits and permissions."""

import pytest

from tests.support.event_schemas import VALIDATORS

CROSS = "slackoms_strategy.examples.moving_average_cross:MovingAverageCross"
STRATEGY = {
    "name": "trend",
    "entry_point": "moving_average_cross",
    "portfolio": "Growth",
    "symbols": ["aapl"],
    "interval": "1m",
    "parameters": {"fast": 5, "slow": "20"},
    "mode": "paper",
}


@pytest.fixture
def registered_api(api):
    """Provide a tenant with a portfolio, a price and a strategy."""
    api.open_portfolio("Growth")
    api.set_quote("AAPL", "99", "101", "100")
    create_strategy(api)
    return api


def create_strategy(api, **changes):
    response = api.post("/strategies", {**STRATEGY, **changes})
    assert response.status_code == 201, response.text
    return response.json()


def post_action(api, action, name="trend", **body):
    return api.post(f"/strategies/{name}:{action}", body)


def assert_refused(response, status, field=None):
    assert response.status_code == status, response.text
    fields = [error["field"] for error in response.json()["errors"]]
    assert fields == ([] if field is None else [field])
    return response.json()


def test_created_strategy_has_hashed_code_and_all_parameters(registered_api):
    body = registered_api.get("/strategies/trend").json()
    assert (body["status"], body["version"], body["run"]) == ("INACTIVE", 1, 0)
    assert (body["entry_point"], len(body["code_hash"])) == (CROSS, 64)
    assert (body["parameters"]["fast"], body["parameters"]["slow"]) == (5, 20)
    assert (body["portfolio"], body["symbols"], body["last_error"]) == ("Growth", ["AAPL"], None)
    definition = next(
        parameter_definition
        for parameter_definition in body["parameter_definitions"]
        if parameter_definition["name"] == "fast"
    )
    assert (definition["type"], definition["minimum"]) == ("a whole number", "1")
    assert body["statistics"]["trades"] == 0
    names = [item["name"] for item in registered_api.get("/strategies").json()]
    assert names == ["manual", "trend"]


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"name": "trend"}, 409, None),
        ({"name": "manual"}, 409, None),
        ({"name": "a:b"}, 422, "name"),
        ({"parameters": {"fast": 0}}, 422, "parameters.fast"),
        ({"parameters": {"fast": "x"}}, 422, "parameters.fast"),
        ({"parameters": {"speed": 1}}, 422, "parameters.speed"),
        ({"entry_point": "os:path"}, 422, "entry_point"),
        ({"entry_point": "app.backtest:main"}, 422, "entry_point"),
        ({"portfolio": "Nowhere"}, 422, "portfolio"),
        ({"mode": "live"}, 422, "mode"),
        ({"interval": "2m"}, 422, "interval"),
        ({"symbols": []}, 422, "symbols"),
        ({"limits": {"NO_LIMIT": "1"}}, 422, "limits.NO_LIMIT.code"),
        ({"limits": {"MAX_ORDER_VALUE": "-1"}}, 422, "limits.MAX_ORDER_VALUE.value"),
    ],
)
def test_wrong_strategy_is_refused_by_field(registered_api, changes, status, field):
    assert_refused(
        registered_api.post("/strategies", {**STRATEGY, "name": "other", **changes}), status, field
    )


def test_status_follows_the_table_and_repeats_change_nothing(registered_api):
    assert post_action(registered_api, "pause").status_code == 409
    for action, status in (
        ("start", "ACTIVE"),
        ("pause", "PAUSED"),
        ("start", "ACTIVE"),
        ("stop", "INACTIVE"),
    ):
        for _ in range(2):
            response = post_action(registered_api, action, reason="Test")
            assert (response.status_code, response.json()["status"]) == (200, status), response.text
    assert registered_api.get("/strategies/trend").json()["run"] == 2
    events = registered_api.get("/events", type="strategy.*").json()
    kinds = [event["type"].partition(".")[2] for event in reversed(events)]
    assert kinds == ["started", "paused", "started", "stopped"]
    for event in events:
        VALIDATORS[event["type"]].validate(event["data"])
    actions = [entry["action"] for entry in registered_api.get("/audit", action="strategy.started").json()]
    assert actions == ["strategy.started"] * 2


@pytest.mark.any_database
def test_body_of_start_may_be_left_out(registered_api):
    assert registered_api.post("/strategies/trend:start", b"").json()["status"] == "ACTIVE"


@pytest.mark.any_database
def test_patch_of_code_or_symbols_while_active_is_refused_and_parameters_make_a_version(registered_api):
    post_action(registered_api, "start")
    for changes in ({"entry_point": "breakout"}, {"symbols": ["MSFT"]}):
        assert_refused(registered_api.patch("/strategies/trend", changes), 409)
    changed = registered_api.patch("/strategies/trend", {"parameters": {"fast": 6}}).json()
    assert (changed["version"], changed["parameters"]["fast"], changed["parameters"]["slow"]) == (2, 6, 20)
    assert_refused(
        registered_api.patch("/strategies/trend", {"parameters": {"fast": 0}}), 422, "parameters.fast"
    )
    post_action(registered_api, "pause")
    assert registered_api.patch("/strategies/trend", {"symbols": ["MSFT", "AAPL"]}).json()["version"] == 3


def test_pause_cancels_entries_and_keeps_exits(registered_api):
    post_action(registered_api, "start")
    body = registered_api.place_order(side="BUY", quantity="10", strategy="trend")
    exits = {"take_profit": {"limit_price": "150"}, "stop_loss": {"stop_price": "50"}}
    assert body["status"] == "FILLED"
    entry = registered_api.place_order(
        type="LIMIT", limit_price="60", quantity="5", strategy="trend", **exits
    )
    closing = registered_api.place_order(
        side="SELL", type="LIMIT", limit_price="140", quantity="10", strategy="trend"
    )
    assert post_action(registered_api, "pause").status_code == 200
    assert registered_api.get_order(entry["id"])["status"] == "CANCELED"
    assert registered_api.get_order(closing["id"])["status"] == "ACCEPTED"


def test_statistics_count_the_round_trips_of_the_strategy_alone(registered_api):
    registered_api.place_order(side="BUY", quantity="10", strategy="trend")
    registered_api.set_quote("AAPL", "109", "111", "110")
    registered_api.place_order(side="BUY", quantity="3")
    registered_api.place_order(side="SELL", quantity="10", strategy="trend")
    statistics = registered_api.get("/strategies/trend").json()["statistics"]
    assert statistics["trades"] == 1
    assert statistics["wins"] == 1
    assert statistics["losses"] == 0
    assert statistics["win_rate"] == 1.0
    assert statistics["pnl_net"] == "80.00"
    registered_api.place_order(side="SELL", quantity="3")
    manual = registered_api.get("/strategies/manual").json()["statistics"]
    assert (manual["trades"], manual["pnl_net"]) == (1, "-6.00")


def test_limits_of_a_strategy_are_risk_limits(api):
    api.open_portfolio("Growth")
    api.set_quote("AAPL", "99", "101", "100")
    assert create_strategy(api, limits={"MAX_ORDER_VALUE": "500"})["limits"] == {"MAX_ORDER_VALUE": "500"}
    assert api.post_order(quantity="10", strategy="trend").status_code == 422
    changed = api.patch("/strategies/trend", {"limits": {"MAX_ORDER_VALUE": None}}).json()
    assert changed["limits"] == {}
    assert api.post_order(quantity="10", strategy="trend").json()["status"] == "FILLED"


@pytest.mark.any_database
def test_trader_may_change_parameters_only(registered_api):
    key = {"X-API-Key": registered_api.service.create_key("trade", registered_api.tenant_id)}
    assert registered_api.patch("/strategies/trend", {"parameters": {"fast": 7}}, key).status_code == 200
    assert registered_api.patch("/strategies/trend", {"symbols": ["MSFT"]}, key).status_code == 403
    assert (
        registered_api.patch("/strategies/trend", {"limits": {"MAX_ORDER_VALUE": "1"}}, key).status_code
        == 403
    )


@pytest.mark.any_database
def test_manual_strategy_has_no_status_to_change(registered_api):
    assert_refused(post_action(registered_api, "pause", "manual"), 409)
    assert_refused(post_action(registered_api, "start", "nothing"), 404)


def test_signal_rules_run_as_a_strategy(api):
    api.open_portfolio("Growth")
    api.set_quote("AAPL", "99", "101", "100")
    rules = {"portfolio": "Growth", "qty": "1"}
    assert api.put("/signals/strategies/momentum", rules).status_code == 200
    body = api.get("/strategies/momentum").json()
    assert (body["kind"], body["status"], body["portfolio"]) == ("signals", "ACTIVE", "Growth")
    signal = {"symbol": "AAPL", "side": "BUY", "strategy": "momentum"}
    assert post_action(api, "pause", "momentum").status_code == 200
    assert_refused(api.post("/signals", signal), 422, "strategy")
    assert post_action(api, "start", "momentum").status_code == 200
    assert api.post("/signals", signal).json()["status"] == "filled"
    assert_refused(api.patch("/strategies/momentum", {"parameters": {}}), 409)
    assert api.put("/signals/strategies/manual", rules).status_code == 422
    assert api.delete("/signals/strategies/momentum").status_code == 204
    assert api.get("/strategies/momentum").status_code == 404
