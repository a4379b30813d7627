"""Every call to the OMS names the person."""

import json

import pytest

from app.oms_client import Person
from app.services.request_origin import RequestOrigin
from app.services.trades.admission import check_admission
from support.conditions import wait_until
from tests import factories
from tests.conftest import Workspace, create_test_bot
from tests.fakes import Response, build_problem
from tests.limits import check_view
from tests.views import get_banner, get_notice, get_reasons, index_blocks

ANN, BOB = "slack:T1:U1", "slack:T1:U2"
ELSEWHERE = {"view": factories.build_view(app_installed_team_id="T1")}


def request_options(workspace: Workspace, by: str = "U1", typed: str = "", **changes):
    action = {"action_id": "portfolio_entry", "block_id": "portfolio", "value": typed}
    payload = factories.build_interaction("block_suggestion", view=factories.build_view(), **action)
    response = workspace.deliver(payload | {"user": {"id": by, "team_id": "T1"}} | changes).get_json()
    return [option["text"]["text"] for option in response["options"]]


# Identity


def test_every_call_to_the_oms_names_the_person(workspace: Workspace):
    workspace.type("AAPL", user_id="U2")
    workspace.oms.wait_for("/preferences")
    request_options(workspace, by="U2")
    workspace.submit(by="U2")
    assert {workspace.oms.name_of(call) for call in workspace.oms.calls} == {
        "me", "portfolios", "last_price", "quoted_price", "is_listed", "portfolio_named", "own_trades",
        "place", "symbols", "/preferences",
    }  # fmt: skip
    assert set(workspace.oms.people) == {BOB}
    assert {call.headers["x-api-key"] for call in workspace.oms.calls} == {factories.OMS_KEY}


def test_lookup_of_a_trade_names_the_person_too(workspace: Workspace):
    workspace.oms.queue_responses("place", build_problem(503, "?", kind="outcome-unknown"))
    workspace.submit(by="U2")
    assert workspace.oms.wait_for("find")[0].headers["x-on-behalf-of"] == BOB


def test_oms_distinguishes_two_people_of_one_bot(workspace: Workspace):
    workspace.submit(by="U1")
    workspace.submit(by="U2", id="V2", root_view_id="V2")
    assert [trade["actor"] for trade in workspace.oms.trades.values()] == [ANN, BOB]
    assert [trade["user_id"] for trade in workspace.oms.trades.values()] == ["U1", "U2"]


def test_health_check_names_no_person(workspace: Workspace):
    workspace.bot.health.check_services()
    (call,) = workspace.oms.calls
    assert call.path == "/health/ready"
    assert "x-on-behalf-of" not in call.headers


def test_typed_text_never_identifies_the_person(workspace: Workspace):
    claim = "slack:T1:U9"
    workspace.type(f"buy 1 AAPL @ 1 in {claim}", user_name="U9", team_domain="T9")
    workspace.oms.wait_for("me")
    metadata = json.dumps({"v": 1, "channel": "C1", "attempt": 0, "user": "U9", "team": "T9", "actor": claim})
    values = factories.build_state(note=claim, portfolio=claim, portfolio_text=f"New portfolio: {claim}")
    values |= factories.build_new_portfolio_state(claim)
    payload = factories.build_submission(values, private_metadata=metadata)
    payload["user"] |= {"name": claim, "username": claim}
    assert workspace.deliver(payload).get_json() == {"response_action": "clear"}
    assert set(workspace.oms.people) == {ANN}


def test_person_header_from_outside_is_ignored(workspace: Workspace):
    body = factories.build_form_body(factories.build_submission())
    headers = factories.sign_headers(body) | {"X-On-Behalf-Of": "slack:T1:U9"}
    workspace.bot.web.test_client().post("/slack/interactions", data=body, headers=headers)
    assert set(workspace.oms.people) == {ANN}


def test_confirmation_names_who_acted(workspace: Workspace):
    workspace.submit(by="U2")
    assert "By <@U2>" in workspace.slack.wait_for("chat.postMessage")[0].body["text"]


# People of another company in a shared channel


STRANGERS = [
    {"user": {"id": "U7", "team_id": "T2"}},
    {"user": {"id": "U7", "team_id": "T2"}, "team": {"id": "T2", "domain": "theirs"}} | ELSEWHERE,
    {"user": {"id": "U7", "team_id": "T2"}, "team": None} | ELSEWHERE,
]
NOBODY = [
    {"user": {"id": "U7"}},
    {"user": {"id": "U7", "team_id": None}, "team": None},
    {"user": {"team_id": "T1"}},
    {"user": {"id": 7, "team_id": "T1"}},
    {"user": {"id": "U1:x", "team_id": "T1"}},
    {"user": {"id": "U1\r\nX-API-Key: other", "team_id": "T1"}},
    {"user": {"id": "Ü1", "team_id": "T1"}},
    {"user": {"id": "U" * 21, "team_id": "T1"}},
]


@pytest.mark.parametrize("user", [*STRANGERS, *NOBODY])
def test_user_of_another_workspace_can_neither_trade_nor_read(workspace: Workspace, user):
    response = workspace.deliver(factories.build_submission() | user).get_json()
    assert response["response_action"] == "push", "the form underneath keeps its entries"
    check_view(response["view"])
    assert "Only members of the workspace" in get_notice(response["view"])
    assert request_options(workspace, **user) == []
    assert workspace.oms.calls == []


def test_keystroke_of_a_foreign_person_is_acknowledged_without_a_redraw(workspace: Workspace):
    action = {"action_id": "gmv_entry", "block_id": "gmv", "type": "number_input", "action_ts": "1.0"}
    typed = factories.build_interaction("block_actions", view=factories.build_view(), actions=[action])
    assert workspace.deliver(typed | STRANGERS[0]).status_code == 200
    assert workspace.slack.calls == []


def test_foreign_person_is_logged_as_a_warning(workspace: Workspace, caplog):
    workspace.deliver(factories.build_submission() | STRANGERS[0])
    assert "Foreign person refused" in caplog.text
    assert all(record.exc_info is None for record in caplog.records)


def test_command_without_a_person_is_refused_privately(workspace: Workspace):
    response = workspace.type("AAPL", team_id="").get_json()
    assert response["response_type"] == "ephemeral"
    assert "Only members of the workspace" in response["text"]
    assert workspace.slack.calls == []


def test_form_that_slack_opened_for_another_installation_shows_a_refusal(workspace: Workspace):
    view = {"id": "V1", "root_view_id": "V1", "hash": "h1", "app_installed_team_id": "T2"}
    workspace.slack.queue_responses("views.open", Response(body={"ok": True, "view": view}))
    workspace.type("AAPL")
    shown = workspace.slack.wait_for("views.update")[0].body["view"]
    assert "Only members of the workspace" in get_notice(shown)
    assert workspace.oms.calls == []


def test_person_is_accepted_if_the_view_names_the_workspace_of_the_app(workspace: Workspace):
    assert workspace.deliver(factories.build_submission() | {"team": None} | ELSEWHERE | {
        "view": factories.build_view(app_installed_team_id="T1", state={"values": factories.build_state()})
    }).get_json() == {"response_action": "clear"}  # fmt: skip


# Permissions


REFUSALS = [
    (build_problem(403, "raw", kind="person-refused"), "You are not a member of this desk"),
    (build_problem(403, "raw", kind="forbidden"), "Your role at this desk does not include trading"),
    (build_problem(403, "raw", kind="workspace-elsewhere"), "This Slack workspace is not connected"),
    (build_problem(403, "raw", kind="tenant-suspended"), "This desk is suspended"),
    (build_problem(403, "raw", kind="may-not-act-as"), "This app's key may not act for people"),
    (build_problem(403, "raw", kind="not-a-person"), "does not accept this app's key"),
    (Response(403, b"<html>raw"), "does not accept this app's key"),
    (build_problem(401, "raw"), "does not accept this app's key"),
]


@pytest.mark.parametrize("at", ["last_price", "portfolio_named", "place"])
@pytest.mark.parametrize(("response", "sentence"), REFUSALS)
def test_person_who_may_not_trade_gets_a_refusal_and_keeps_the_entries(
    workspace: Workspace, response, sentence, at, caplog
):
    workspace.oms.queue_responses(at, response)
    delivered = workspace.deliver(factories.build_submission(factories.build_state(note="why")))
    shown = delivered.get_json()
    check_view(shown["view"])
    banner = get_banner(shown["view"])
    assert banner.startswith("*Not placed.*")
    assert sentence in banner
    assert delivered.headers["X-Request-ID"] in banner
    assert "raw" not in banner
    entries = index_blocks(shown)
    assert entries["quantity"]["element"]["initial_value"] == "100"
    assert entries["note"]["element"]["initial_value"] == "why"
    assert workspace.oms.trades == {}
    assert "raw" not in caplog.text
    assert workspace.submit(private_metadata=shown["view"]["private_metadata"]) == {
        "response_action": "clear"
    }
    assert workspace.oms.list_requests("place")[-1].headers["idempotency-key"] == "T1:V1:0"


def test_viewer_is_refused_when_the_form_opens(workspace: Workspace):
    workspace.oms.roles[BOB] = "viewer"
    request_id = workspace.type("AAPL", user_id="U2").headers["X-Request-ID"]
    view = workspace.slack.wait_for("views.update")[0].body["view"]
    check_view(view)
    assert "submit" not in view
    assert "*You cannot trade here.* Your role at this desk does not include trading" in get_notice(view)
    assert request_id in get_notice(view)


def test_viewer_is_refused_at_submission(workspace: Workspace):
    workspace.oms.roles[BOB] = "viewer"
    assert "Your role at this desk" in get_banner(workspace.submit(by="U2")["view"])
    assert workspace.submit(by="U1", id="V2", root_view_id="V2") == {"response_action": "clear"}
    assert [trade["actor"] for trade in workspace.oms.trades.values()] == [ANN]


@pytest.mark.parametrize(("response", "sentence"), REFUSALS)
def test_person_without_access_gets_a_refusal_when_the_form_opens(workspace: Workspace, response, sentence):
    workspace.oms.queue_responses("me", response)
    workspace.type("AAPL")
    assert sentence in get_notice(workspace.slack.wait_for("views.update")[0].body["view"])


@pytest.mark.parametrize(
    "response",
    [
        Response(404),
        Response(500),
        Response(429),
        Response(drop=True),
        Response(body=[]),
        Response(body={"scopes": "?"}),
    ],
)
def test_form_stays_open_while_the_oms_does_not_respond_who_may_trade(workspace: Workspace, response):
    workspace.oms.queue_responses("me", response)
    check_admission(workspace.bot.services, RequestOrigin("req-1", Person("T1", "U1"), "trigger-1"), "V1")
    assert len(workspace.oms.list_requests("me")) == 1
    assert workspace.slack.calls == []


def test_forms_open_at_once_while_the_oms_hangs(slack, oms):
    oms.default_responses["me"] = Response(slow=60.0)
    bot = create_test_bot(slack, oms)
    workspace = Workspace(bot, slack, oms)
    for number in range(60):
        assert workspace.type("AAPL", trigger_id=f"t{number}").data == b""
    slack.wait_for("views.open", 60)
    oms.released.set()
    bot.services.stop(1.0)


def test_form_that_slack_does_not_redraw_is_refused_at_submission_at_the_latest(workspace: Workspace, caplog):
    caplog.set_level("INFO")
    workspace.oms.roles[ANN] = "viewer"
    workspace.slack.refuse("views.update", "not_found")
    workspace.type("AAPL")
    wait_until(lambda: "Form not redrawn" in caplog.text)
    assert "Your role at this desk" in get_banner(workspace.submit()["view"])


# Rate limits


@pytest.mark.parametrize(
    ("retry_after", "expected"),
    [
        ("12", "try again in 12 seconds"),
        ("1", "try again in 1 second."),
        ("0", "try again in 1 second."),
        ("", "try again in a while"),
        ("Wed, 21 Oct 2026 07:28:00 GMT", "try again in a while"),
        ("٣", "try again in a while"),
        ("9" * 400, "try again in 3600 seconds"),
    ],
)
@pytest.mark.parametrize("at", ["last_price", "place"])
def test_rate_limited_user_sees_when_to_try_again(workspace: Workspace, at, retry_after, expected):
    refusal = build_problem(429, "raw", kind="rate-limited")
    refusal.headers |= {"Retry-After": retry_after.encode().decode("latin-1")} if retry_after else {}
    workspace.oms.queue_responses(at, refusal)
    banner = get_banner(workspace.submit()["view"])
    assert banner.startswith("*Not placed.* You have sent too many requests")
    assert expected in banner
    assert "Nothing was traded." in banner
    assert workspace.submit() == {"response_action": "clear"}


# Visibility


def test_only_portfolios_that_the_person_may_see_are_offered(workspace: Workspace):
    workspace.oms.narrowed[BOB] = ["Income"]
    assert request_options(workspace, by="U2") == ["Income · 100,000.00 USD"]
    assert len(request_options(workspace, by="U1")) == 2


def test_portfolio_suggestions_of_one_user_are_hidden_from_others(workspace: Workspace):
    workspace.oms.narrowed[BOB] = ["Income"]
    assert workspace.submit(by="U1") == {"response_action": "clear"}
    body = workspace.submit(by="U2", id="V2", root_view_id="V2")
    assert "There is no portfolio named Growth" in get_reasons(body["view"])


def test_portfolio_that_is_not_the_persons_is_refused_at_its_field(workspace: Workspace):
    workspace.oms.narrowed[BOB] = ["Income"]
    values = factories.build_state() | factories.build_new_portfolio_state("Growth")
    assert workspace.submit(values, by="U2") == {
        "response_action": "errors",
        "errors": {"portfolio": "You have no access to this portfolio; ask an administrator for it."},
    }
