"""`/desk strategies`: the list, and the buttons that start and pause strategies."""

import pytest

from tests.fakes import Response, build_problem
from tests.handlers.portfolio_workspace import PortfolioWorkspace
from tests.limits import check_message
from tests.portfolio_oms import build_strategy


@pytest.fixture
def running_strategy(trading: PortfolioWorkspace) -> PortfolioWorkspace:
    manual = build_strategy(
        "manual", kind="manual", portfolio=None, symbols=[], interval=None, status="ACTIVE"
    )
    failed = build_strategy("pairs", status="ERROR", last_error="ValueError: no data (pairs.py, line 12)")
    trading.oms.rows["/strategies"] = [manual, failed, build_strategy("trend")]
    return trading


def list_buttons(message):
    elements = [
        element for block in message["blocks"] if block["type"] == "actions" for element in block["elements"]
    ]
    return [(element["action_id"], element["value"]) for element in elements]


def test_list_shows_status_profit_and_actions_of_a_trader(running_strategy: PortfolioWorkspace):
    message = running_strategy.query("strategies")
    check_message(message["text"], message["blocks"])
    assert "*trend* · ACTIVE · P&amp;L +1,250.40 · 7 of 12 round trips won" in message["text"]
    assert "*orders without a strategy* · P&amp;L" in message["text"]
    shown = "\n".join(block["text"]["text"] for block in message["blocks"] if block["type"] == "section")
    assert "Paper in Growth · AAPL · bars of 1m" in shown
    assert "Error: ValueError: no data (pairs.py, line 12)" in shown.replace("\u2060", "")
    assert list_buttons(message) == [
        ("strategy:restart", "pairs"),
        ("strategy:stop", "pairs"),
        ("strategy:parameters", "pairs"),
        ("strategy:backtest", "pairs"),
        ("strategy:pause", "trend"),
        ("strategy:stop", "trend"),
        ("strategy:parameters", "trend"),
        ("strategy:backtest", "trend"),
    ]


STOPS = [("strategy:stop", "pairs"), ("strategy:pause", "trend"), ("strategy:stop", "trend")]


@pytest.mark.parametrize(("role", "expected"), [("viewer", []), ("risk", STOPS)])
def test_list_has_the_buttons_of_the_role(running_strategy: PortfolioWorkspace, role, expected):
    running_strategy.oms.roles["slack:T1:U1"] = role
    assert list_buttons(running_strategy.query("strategies")) == expected


def test_many_strategies_with_hostile_names_fit(trading: PortfolioWorkspace):
    name = "<!channel>*" + "n" * 80
    texts = {"last_error": "e" * 5_000, "reason": "r" * 500, "status": "ERROR", "symbols": ["S" * 40] * 100}
    trading.oms.rows["/strategies"] = [build_strategy(f"{name}{number:03}", **texts) for number in range(100)]
    message = trading.query("strategies")
    check_message(message["text"], message["blocks"])
    assert "the first 7 of 100" in message["text"]
    assert "<!channel>" not in message["text"]
    trading.oms.rows["/strategies"] = [
        build_strategy("new", statistics={"trades": 0, "wins": 0, "pnl_net": "0"})
    ]
    assert "P&amp;L 0.00 · no round trips" in trading.query("strategies")["text"]
    trading.oms.rows["/strategies"] = []
    assert "no strategies" in trading.query("strategies")["text"]


def test_clicks_pause_start_and_stop_once_as_the_person(running_strategy: PortfolioWorkspace):
    running_strategy.oms.results["POST /strategies/trend:pause"] = Response(
        body=build_strategy("trend", status="PAUSED")
    )
    running_strategy.click(
        "strategy:pause", "trend", trigger_id="t1", response_url=running_strategy.slack.response_url
    )
    assert "*trend* is PAUSED now." in running_strategy.slack.wait_for("respond")[0].body["text"]
    running_strategy.click(
        "strategy:pause", "trend", trigger_id="t1", response_url=running_strategy.slack.response_url
    )
    running_strategy.oms.results["POST /strategies/pairs:start"] = Response(body=build_strategy("pairs"))
    running_strategy.click(
        "strategy:restart", "pairs", trigger_id="t2", response_url=running_strategy.slack.response_url
    )
    assert "*pairs* is ACTIVE now." in running_strategy.slack.wait_for("respond", 2)[1].body["text"]
    running_strategy.oms.results["POST /strategies/trend:stop"] = Response(
        body=build_strategy("trend", status="INACTIVE")
    )
    running_strategy.click(
        "strategy:stop", "trend", trigger_id="t3", response_url=running_strategy.slack.response_url
    )
    assert "*trend* is INACTIVE now." in running_strategy.slack.wait_for("respond", 3)[2].body["text"]
    assert list(running_strategy.oms.changes.values()) == [
        ("POST", "/strategies/trend:pause", {}),
        ("POST", "/strategies/pairs:start", {"acknowledge_error": True}),
        ("POST", "/strategies/trend:stop", {}),
    ]
    assert running_strategy.oms.person_of_calls() == {"slack:T1:U1"}


def test_refused_click_is_explained_to_the_person(running_strategy: PortfolioWorkspace):
    path = "POST /strategies/trend:start"
    running_strategy.oms.queue_responses(path, build_problem(403, "Not allowed.", kind="forbidden"))
    running_strategy.click(
        "strategy:start", "trend", trigger_id="t1", response_url=running_strategy.slack.response_url
    )
    text = running_strategy.slack.wait_for("respond")[0].body["text"]
    assert "*Not done.* Your role at this desk does not include starting and stopping strategies." in text
    running_strategy.oms.queue_responses(
        path, build_problem(409, "The strategy failed.", kind="strategy-status")
    )
    running_strategy.click(
        "strategy:start", "trend", trigger_id="t2", response_url=running_strategy.slack.response_url
    )
    assert "*Not done.* The strategy failed." in running_strategy.slack.wait_for("respond", 2)[1].body["text"]


def test_nearest_verb_is_suggested(trading: PortfolioWorkspace):
    assert "Did you mean `strategies`?" in trading.query("strategie")["text"]
