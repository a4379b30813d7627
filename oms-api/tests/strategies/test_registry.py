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
def registered(api):
    """Provide a tenant with a portfolio, a price and a strategy."""
    api.open_portfolio("Growth")
    api.quote("AAPL", "99", "101", "100")
    created(api)
    return api


def created(api, **changes):
    response = api.post("/strategies", {**STRATEGY, **changes})
    assert response.status_code == 201, response.text
    return response.json()


def act(api, action, name="trend", **body):
    return api.post(f"/strategies/{name}:{action}", body)


def refused(answer, status, field=None):
    assert answer.status_code == status, answer.text
    fields = [error["field"] for error in answer.json()["errors"]]
    assert fields == ([] if field is None else [field])
    return answer.json()


def test_created_strategy_has_hashed_code_and_all_parameters(registered):
    body = registered.get("/strategies/trend").json()
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
    names = [item["name"] for item in registered.get("/strategies").json()]
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
def test_wrong_strategy_is_refused_by_field(registered, changes, status, field):
    refused(registered.post("/strategies", {**STRATEGY, "name": "other", **changes}), status, field)


def test_status_follows_the_table_and_repeats_change_nothing(registered):
    assert act(registered, "pause").status_code == 409
    for action, status in (
        ("start", "ACTIVE"),
        ("pause", "PAUSED"),
        ("start", "ACTIVE"),
        ("stop", "INACTIVE"),
    ):
        for _ in range(2):
            response = act(registered, action, reason="Test")
            assert (response.status_code, response.json()["status"]) == (200, status), response.text
    assert registered.get("/strategies/trend").json()["run"] == 2
    events = registered.get("/events", type="strategy.*").json()
    kinds = [event["type"].partition(".")[2] for event in reversed(events)]
    assert kinds == ["started", "paused", "started", "stopped"]
    for event in events:
        VALIDATORS[event["type"]].validate(event["data"])
    actions = [entry["action"] for entry in registered.get("/audit", action="strategy.started").json()]
    assert actions == ["strategy.started"] * 2


@pytest.mark.any_database
def test_body_of_start_may_be_left_out(registered):
    assert registered.post("/strategies/trend:start", b"").json()["status"] == "ACTIVE"


@pytest.mark.any_database
def test_patch_of_code_or_symbols_while_active_is_refused_and_parameters_make_a_version(registered):
    act(registered, "start")
    for changes in ({"entry_point": "breakout"}, {"symbols": ["MSFT"]}):
        refused(registered.patch("/strategies/trend", changes), 409)
    changed = registered.patch("/strategies/trend", {"parameters": {"fast": 6}}).json()
    assert (changed["version"], changed["parameters"]["fast"], changed["parameters"]["slow"]) == (2, 6, 20)
    refused(registered.patch("/strategies/trend", {"parameters": {"fast": 0}}), 422, "parameters.fast")
    act(registered, "pause")
    assert registered.patch("/strategies/trend", {"symbols": ["MSFT", "AAPL"]}).json()["version"] == 3


def test_pause_cancels_entries_and_keeps_exits(registered):
    act(registered, "start")
    body = registered.order(side="BUY", quantity="10", strategy="trend")
    exits = {"take_profit": {"limit_price": "150"}, "stop_loss": {"stop_price": "50"}}
    assert body["status"] == "FILLED"
    entry = registered.order(type="LIMIT", limit_price="60", quantity="5", strategy="trend", **exits)
    closing = registered.order(side="SELL", type="LIMIT", limit_price="140", quantity="10", strategy="trend")
    assert act(registered, "pause").status_code == 200
    assert registered.found(entry["id"])["status"] == "CANCELED"
    assert registered.found(closing["id"])["status"] == "ACCEPTED"


def test_statistics_count_the_round_trips_of_the_strategy_alone(registered):
    registered.order(side="BUY", quantity="10", strategy="trend")
    registered.quote("AAPL", "109", "111", "110")
    registered.order(side="BUY", quantity="3")
    registered.order(side="SELL", quantity="10", strategy="trend")
    statistics = registered.get("/strategies/trend").json()["statistics"]
    assert (statistics["trades"], statistics["wins"], statistics["losses"], statistics["win_rate"]) == (
        1,
        1,
        0,
        1.0,
    )
    assert statistics["pnl_net"] == "80.00"
    registered.order(side="SELL", quantity="3")
    manual = registered.get("/strategies/manual").json()["statistics"]
    assert (manual["trades"], manual["pnl_net"]) == (1, "-6.00")


def test_limits_of_a_strategy_are_risk_limits(api):
    api.open_portfolio("Growth")
    api.quote("AAPL", "99", "101", "100")
    assert created(api, limits={"MAX_ORDER_VALUE": "500"})["limits"] == {"MAX_ORDER_VALUE": "500"}
    assert api.place(quantity="10", strategy="trend").status_code == 422
    changed = api.patch("/strategies/trend", {"limits": {"MAX_ORDER_VALUE": None}}).json()
    assert changed["limits"] == {}
    assert api.place(quantity="10", strategy="trend").json()["status"] == "FILLED"


@pytest.mark.any_database
def test_trader_may_change_parameters_only(registered):
    key = {"X-API-Key": registered.service.mint("trade", registered.tenant_id)}
    assert registered.patch("/strategies/trend", {"parameters": {"fast": 7}}, key).status_code == 200
    assert registered.patch("/strategies/trend", {"symbols": ["MSFT"]}, key).status_code == 403
    assert registered.patch("/strategies/trend", {"limits": {"MAX_ORDER_VALUE": "1"}}, key).status_code == 403


@pytest.mark.any_database
def test_manual_strategy_has_no_status_to_change(registered):
    refused(act(registered, "pause", "manual"), 409)
    refused(act(registered, "start", "nothing"), 404)


def test_rules_of_signals_are_a_strategy_too(api):
    api.open_portfolio("Growth")
    api.quote("AAPL", "99", "101", "100")
    rules = {"portfolio": "Growth", "qty": "1"}
    assert api.put("/signals/strategies/momentum", rules).status_code == 200
    body = api.get("/strategies/momentum").json()
    assert (body["kind"], body["status"], body["portfolio"]) == ("signals", "ACTIVE", "Growth")
    signal = {"symbol": "AAPL", "side": "BUY", "strategy": "momentum"}
    assert act(api, "pause", "momentum").status_code == 200
    refused(api.post("/signals", signal), 422, "strategy")
    assert act(api, "start", "momentum").status_code == 200
    assert api.post("/signals", signal).json()["status"] == "filled"
    refused(api.patch("/strategies/momentum", {"parameters": {}}), 409)
    assert api.put("/signals/strategies/manual", rules).status_code == 422
    assert api.delete("/signals/strategies/momentum").status_code == 204
    assert api.get("/strategies/momentum").status_code == 404
