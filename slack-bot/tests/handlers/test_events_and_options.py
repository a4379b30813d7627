"""Events, options of the portfolio field, and the price line."""

import json
import threading
from dataclasses import dataclass
from typing import Any

import pytest

from app.blocks.trade_form import build_trade_form, get_shown_lines
from app.forms.context import FormContext
from app.forms.ticket import Draft
from app.services.settings.slack_statuses import report_changes
from support.conditions import wait_until
from tests import factories
from tests.conftest import Workspace
from tests.fakes import Response, build_problem
from tests.limits import check_options, check_view


def request_options(workspace: Workspace, typed=""):
    payload = factories.build_interaction(
        "block_suggestion",
        action_id="portfolio_entry",
        block_id="portfolio",
        value=typed,
        view=factories.build_view(),
        container={"type": "view", "view_id": "V1"},
    )
    response = workspace.deliver(payload).get_json()
    return response["options"] if "options" in response else response["option_groups"][0]["options"]


def test_existing_portfolios_are_offered(workspace: Workspace):
    assert [option["value"] for option in request_options(workspace)] == ["Growth", "Income"]


def test_typed_name_is_offered_as_a_new_portfolio(workspace: Workspace):
    offered = request_options(workspace, "Inc")
    assert [option["text"]["text"] for option in offered] == [
        "Income · 100,000.00 USD",
        "New portfolio: Inc",
    ]
    assert workspace.oms.list_requests("portfolios")[0].query == {
        "q": "Inc",
        "limit": "101",
        "detail": "true",
    }


def test_five_thousand_portfolios_fit(workspace: Workspace):
    workspace.oms.portfolios = [f"Portfolio {number}" for number in range(5000)]
    offered = request_options(workspace, "portfolio 4999")
    assert [option["value"] for option in offered] == ["Portfolio 4999"]
    offered = request_options(workspace, "Portfolio")
    check_options(offered, 100)
    assert offered[-1]["value"] == "Portfolio"


def test_existing_name_beyond_the_first_hundred_is_not_offered_as_new(workspace: Workspace):
    workspace.oms.portfolios = [*(f"A Fund {number}" for number in range(200)), "Fund"]
    offered = request_options(workspace, "fund")
    assert offered[0]["value"] == "Fund"
    assert not any(option["text"]["text"].startswith("New") for option in offered)


SILENT = "The trading system does not respond. Please try again."


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (Response(500), SILENT),
        (Response(drop=True), SILENT),
        (Response(body=b"nonsense"), SILENT),
        (Response(body={"a": 1}), SILENT),
        (Response(401), "You are not allowed to see portfolios here."),
        (Response(403), "You are not allowed to see portfolios here."),
        (Response(429), "Too many requests at the moment. Please try again."),
    ],
)
def test_failing_oms_is_explained_by_the_only_option(workspace: Workspace, trouble, reason):
    workspace.oms.queue_responses("portfolios", trouble)
    offered = request_options(workspace, "x")
    check_options(offered, 1)
    assert [option["text"]["text"] for option in offered] == [reason]


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("a/b", "A portfolio's name must not contain a slash or invisible characters."),
        ("a\u202eb", "A portfolio's name must not contain a slash or invisible characters."),
        ("x" * 101, "A portfolio's name has at most 100 characters."),
        ("", "There are no portfolios yet. Type the name of a new one."),
    ],
)
@pytest.mark.parametrize("trouble", [None, Response(422)])
def test_only_option_explains_an_empty_result(workspace: Workspace, typed, reason, trouble):
    workspace.oms.portfolios = []
    if trouble and typed:
        workspace.oms.queue_responses("portfolios", trouble)
    offered = request_options(workspace, typed)
    check_options(offered, 1)
    assert [option["text"]["text"] for option in offered] == [reason]


def test_option_that_explains_missing_options_is_not_a_portfolio(workspace: Workspace):
    workspace.oms.queue_responses("portfolios", Response(500))
    (option,) = request_options(workspace, "x")
    body = workspace.submit(
        factories.build_state(portfolio=option["value"], portfolio_text=option["text"]["text"])
    )
    assert body["errors"] == {"portfolio": "Choose a portfolio, or type the name of a new one."}


def test_suggestions_arrive_in_time_or_report_a_timeout(hasty_workspace: Workspace):
    hasty_workspace.oms.queue_responses("portfolios", Response(slow=60.0))  # the bot waits less long
    assert [option["text"]["text"] for option in request_options(hasty_workspace, "x")] == [SILENT]


def type_in_form(
    workspace: Workspace,
    *,
    quantity: str,
    gmv: str,
    at: str = "1.0",
    view_hash: str = "h1",
    action="quantity_entry",
    block: str = "quantity",
    symbol: str = "AAPL",
):
    blocks = build_trade_form(Draft("AAPL"), FormContext("C1"))["blocks"]
    view = factories.build_view(
        blocks,
        hash=view_hash,
        state={"values": factories.build_state(symbol=symbol, quantity=quantity, gmv=gmv)},
    )
    action = {
        "type": "number_input",
        "action_id": action,
        "block_id": block,
        "value": quantity,
        "action_ts": at,
    }
    return workspace.deliver(factories.build_interaction("block_actions", view=view, actions=[action]))


@pytest.mark.parametrize("action", ["quantity_entry", "price_entry", "gmv_entry"])
def test_price_per_share_is_shown_while_filling_in(workspace: Workspace, action):
    assert type_in_form(workspace, quantity="100", gmv="17500", action=action).status_code == 200
    redrawn = workspace.slack.wait_for("views.update")[0].body
    check_view(redrawn["view"])
    assert "Price per share: 175.00" in str(redrawn["view"]["blocks"])
    assert redrawn["hash"] == "h1"


def test_quote_and_its_age_are_shown_while_filling_in(workspace: Workspace):
    quote = {"source": "manual", "mid": "174.95", "last": None, "age_seconds": 2.2}
    workspace.oms.quotes["AAPL"] = quote
    type_in_form(workspace, quantity="100", gmv="")
    redrawn = workspace.slack.wait_for("views.update")[0].body
    assert "Quote: 174.95, 2 s old" in str(redrawn["view"]["blocks"])
    assert workspace.oms.list_requests("quoted_price")[0].headers["x-on-behalf-of"] == "slack:T1:U1"


@pytest.mark.parametrize(
    ("symbol", "line"),
    [
        ("apple", "Matching instruments: AAPL (Apple Inc.)"),
        ("apple inc", "Matching instruments: AAPL (Apple Inc.)"),
        ("aapl", "AAPL (Apple Inc.)"),
        ("ZZZ", "ZZZ is not a listed instrument."),
        ("no such?", "No listed instrument matches no such?."),
    ],
)
def test_symbol_being_typed_is_searched_by_symbol_and_name(workspace: Workspace, symbol, line):
    type_in_form(workspace, quantity="", gmv="", action="entry", block="symbol", symbol=symbol)
    redrawn = workspace.slack.wait_for("views.update")[0].body["view"]
    check_view(redrawn)
    assert get_shown_lines(redrawn)["symbol_line"] == line


@pytest.mark.parametrize("trouble", [Response(500), Response(403), Response(drop=True), Response(body=b"x")])
def test_price_per_share_is_shown_without_a_quote(workspace: Workspace, trouble):
    workspace.oms.queue_responses("quoted_price", trouble)
    type_in_form(workspace, quantity="100", gmv="17500")
    assert "Price per share: 175.00" in str(
        workspace.slack.wait_for("views.update")[0].body["view"]["blocks"]
    )


def test_redraw_keeps_block_and_action_ids(workspace: Workspace):
    type_in_form(workspace, quantity="100", gmv="17500")
    redrawn = workspace.slack.wait_for("views.update")[0].body["view"]["blocks"]
    first = build_trade_form(Draft(), FormContext("C1"))["blocks"]
    ids = [(block["block_id"], block.get("element", {}).get("action_id")) for block in first]
    assert [(block["block_id"], block.get("element", {}).get("action_id")) for block in redrawn] == ids


def test_line_that_stays_the_same_is_not_redrawn(workspace: Workspace):
    type_in_form(workspace, quantity="100", gmv="", symbol="")
    type_in_form(workspace, quantity="100", gmv="17500", at="2.0")
    workspace.slack.wait_for("views.update")
    assert len(workspace.slack.list_requests("views.update")) == 1


def test_last_of_quick_keystrokes_is_shown(workspace: Workspace):
    workspace.slack.current_hash["V1"] = "h1"
    threads = [
        threading.Thread(
            target=type_in_form,
            args=(workspace,),
            kwargs={"quantity": "1" + "0" * n, "gmv": "17500", "at": f"{n}.0"},
        )
        for n in range(6)
    ]
    for thread in threads:
        thread.start()
        thread.join(60)
    wait_until(lambda: "Price per share: 0.175" in str(workspace.slack.shown.get("V1")))


@dataclass
class Clock:
    """A monotonic clock that only the test advances. It counts how often it was read."""

    now: float = 100.0
    reads: int = 0

    def monotonic(self) -> float:
        self.reads += 1
        return self.now


def test_form_with_typed_text_is_not_redrawn(workspace: Workspace, monkeypatch):
    clock, pause = Clock(), workspace.bot.services.waits.typing_pause
    for module in ("trades.live_price", "state.open_forms"):
        monkeypatch.setattr(f"app.services.{module}.time", clock)
    for number in range(6):
        type_in_form(workspace, quantity="1" + "0" * number, gmv="17500", at=f"{number}.0")
        clock.now += pause * 0.9
    for text in "Growth":
        request_options(workspace, text)
        clock.now += pause * 0.9
    reads = clock.reads
    wait_until(lambda: clock.reads >= reads + 3, "the waiting thread reads the clock")
    assert workspace.slack.list_requests("views.update") == []
    clock.now += pause
    workspace.slack.wait_for("views.update")
    workspace.bot.services.price_workers.stop(wait=True)
    assert len(workspace.slack.list_requests("views.update")) == 1
    assert "Price per share: 0.175" in str(workspace.slack.shown["V1"])


def test_redrawn_form_keeps_its_price_line(workspace: Workspace, caplog):
    workspace.slack.refuse("views.update", "hash_conflict")
    assert type_in_form(workspace, quantity="100", gmv="17500").status_code == 200
    workspace.slack.wait_for("views.update")
    assert all(record.levelname != "ERROR" for record in caplog.records)


def test_unknown_action_is_acknowledged(workspace: Workspace):
    action = {"type": "button", "action_id": "old_button", "block_id": "b", "action_ts": "1.0"}
    assert (
        workspace.deliver(
            factories.build_interaction("block_actions", view=factories.build_view(), actions=[action])
        ).status_code
        == 200
    )


@pytest.mark.parametrize("event", ["app_uninstalled", "tokens_revoked"])
def test_end_of_an_installation_is_acknowledged_and_logged_once(workspace: Workspace, event, caplog):
    body = json.dumps({
        "type": "event_callback", "team_id": "T1", "event_id": "Ev1",
        "event": {"type": event, "tokens": {"bot": ["U1"]}},
    })  # fmt: skip
    for _ in range(2):
        headers = factories.sign_headers(body) | {"Content-Type": "application/json"}
        assert (
            workspace.bot.web.test_client().post("/slack/events", data=body, headers=headers).status_code
            == 200
        )
    assert [record.message for record in caplog.records].count("Installation ended") == 1


def deliver_profile(workspace: Workspace, event_id: str, **profile: Any) -> None:
    event = {"type": "user_change", "user": {"id": "U2", "team_id": "T1", "deleted": True} | profile}
    body = json.dumps({"type": "event_callback", "team_id": "T1", "event_id": event_id, "event": event})
    headers = factories.sign_headers(body) | {"Content-Type": "application/json"}
    response = workspace.bot.web.test_client().post("/slack/events", data=body, headers=headers)
    assert response.status_code == 200


def test_deactivated_person_is_reported_until_the_oms_responds(workspace: Workspace):
    workspace.oms.queue_responses("/slack-status", Response(503), Response(drop=True))
    deliver_profile(workspace, "Ev1")
    deliver_profile(workspace, "Ev1")
    calls = workspace.oms.wait_for("/slack-status", 3)
    assert {json.dumps(call.body) for call in calls} == {
        json.dumps({"person": "slack:T1:U2", "status": "deactivated"})
    }
    assert {call.method for call in calls} == {"PUT"}
    assert all("x-on-behalf-of" not in call.headers for call in calls)


def test_changes_of_a_profile_are_reported_only_if_the_status_changed(workspace: Workspace):
    for number, deleted in enumerate([False, False, True, False, False]):
        deliver_profile(workspace, f"Ev{number}", deleted=deleted)
    workspace.bot.services.status_workers.submit("r", lambda: None).result(30)  # behind the others
    statuses = [call.body["status"] for call in workspace.oms.list_requests("/slack-status")]
    assert statuses == ["active", "deactivated", "active"]


def test_people_of_other_workspaces_or_unknown_to_the_oms_are_not_reported_again(
    workspace: Workspace,
):
    deliver_profile(workspace, "Ev1", team_id="T2")
    deliver_profile(workspace, "Ev2", id="no id")
    workspace.oms.queue_responses("/slack-status", build_problem(404, "No such person.", kind="not-found"))
    deliver_profile(workspace, "Ev3")
    workspace.bot.services.status_workers.submit("r", lambda: None).result(30)  # behind the others
    assert len(workspace.oms.list_requests("/slack-status")) == 1


def test_people_who_were_deactivated_while_the_bot_was_down_are_reported_at_its_start(workspace: Workspace):
    def page(cursor, *members):
        return Response(
            body={"ok": True, "members": list(members), "response_metadata": {"next_cursor": cursor}}
        )

    def member(user, **more):
        return {"id": user, "team_id": "T1", "deleted": True} | more

    workspace.slack.queue_responses(
        "users.list",
        page("more", member("U2"), member("U3", deleted=False), member("U4", is_bot=True)),
        page("", member("U5", team_id="T2"), member("U6")),
    )
    report_changes(workspace.bot.services)
    reported = [call.body for call in workspace.oms.calls if call.path.endswith("/slack-status")]
    assert reported == [{"person": f"slack:T1:{user}", "status": "deactivated"} for user in ("U2", "U6")]
