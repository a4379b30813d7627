"""Signed requests with junk, of strangers and of deactivated people, to every handler that is registered."""

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from app.blocks.kill_switch_forms import EVERYTHING, HALT
from app.forms.orders.approvals import DecisionContext
from app.forms.request_context import RequestContext
from app.forms.trade_buttons import ReversalContext
from app.handlers.registry import RequestKind
from support.conditions import wait_until
from tests import factories
from tests.conftest import close_bot, create_test_bot
from tests.fakes import FakeSlack, Response, build_problem
from tests.handlers.portfolio_workspace import PortfolioWorkspace
from tests.order_factories import build_order_state
from tests.portfolio_oms import PortfolioOms, build_alert

Request = dict[str, Any]
NUMBERS = itertools.count(1)
POSITION = "/Growth/AAPL"
UNINSTALL = {"app_uninstalled", "tokens_revoked"}  # test_workspaces.py
WITHOUT_PERSON = UNINSTALL | {"user_change", "subteam_members_changed"}
# Elements that only redraw a form, open a form that is refused when it is submitted, or have no handler.
QUIET = {
    "entry", "quantity_entry", "price_entry", "gmv_entry", "order_live", "order_portfolio", "order_symbol",
    "order_choice", "order_proposal", "unknown", "settings:time_zone",
    "issue_resolve", "trade_undo",
}  # fmt: skip
VALUES = {
    "form:open": "cancel", "form:open:banner": "resume", "position:open": POSITION,
    "position:close": POSITION, "position:exits": POSITION,
}  # fmt: skip
PATTERNS = {"overview:tab:orders", "form:open:banner", "entry", "unknown"}  # action ids that patterns match
JUNK: tuple[Any, ...] = (
    None, "", "junk", 0, -1, True, [], {}, ["x"], {"x": 1}, "x" * 5000, "\x00\u202e<!channel>", "../../users",
    '{"v":1,"attempt":true,"channel":[],"subject":{}}', '{"v":1,"attempt":1e999}', "[" * 2000,
)  # fmt: skip


@pytest.fixture
def attacked_workspace() -> Iterator[PortfolioWorkspace]:
    slack, oms = FakeSlack(), PortfolioOms()
    workspace = PortfolioWorkspace(create_test_bot(slack, oms), slack, oms)
    yield workspace
    close_bot(workspace)
    slack.stop()
    oms.stop()


READ_PARTS = {"private_metadata", "user"}  # with every junk value


def list_handlers(workspace: PortfolioWorkspace) -> list[tuple[RequestKind, str]]:
    """Return the kind and name of each handler, with an action id for each pattern."""
    first = workspace.bot.workspaces.first
    assert first is not None
    registry = first.dispatcher._registry
    handlers = sorted(registry._handlers)
    matched = {registry.find(build_action(name)) for name in PATTERNS}
    assert {handler for _, handler in registry._patterns} <= matched, "a pattern without an action id here"
    return [*handlers, *((RequestKind.ACTION, name) for name in sorted(PATTERNS))]


def build_option(value: str) -> Request:
    return {"text": {"type": "plain_text", "text": value or "-"}, "value": value}


def build_action(name: str) -> Request:
    value = VALUES.get(name, "O17952360655300000c5d8cbe8")
    action = {"action_id": name, "block_id": "symbol", "action_ts": "1.0", "type": "button", "value": value}
    return factories.build_interaction(
        "block_actions",
        actions=[action | {"selected_option": build_option(value)}],
        channel={"id": "C1"},
        container={"type": "message", "channel_id": "C1", "message_ts": "1.0"},
        message={"ts": "1.0", "text": "BUY", "blocks": []},
        view=build_view("order_form" if name.startswith("order_") else "trade_form"),
    )


def build_entry(value: str) -> Request:
    texts = {"type": "plain_text_input", "value": value, "selected_date": value}
    return {"entry": texts | {"selected_option": build_option(value)}}


ENTRIES: dict[str, dict[str, str]] = {
    "backtest_form": {"strategy": "trend", "from": "2026-10-30", "to": "2026-11-28"},
    "close_form": {"position": POSITION},
    "cancel_form": {"orders": "O17952360655300000c5d8cbe8"},
    "halt_form": {"scope": EVERYTHING, "mode": HALT, "reason": "Bad prices"},
    "resume_form": {"switch": EVERYTHING, "reason": "Good prices"},
    "login_form": {"broker_connection": "zerodha", "request_token": "t"},
    "issue_form": {"issue_action": "ignore", "reason": "Known"},
    "decision_form": {"decision_reason": "Fine"},
    "reversal_form": {"reversal_reason": "Twice"},
}


def build_view(callback_id: str) -> Request:
    contexts = {
        "decision_form": DecisionContext("O1", is_approval=True).dump(),
        "reversal_form": ReversalContext(
            "T1X", "U1", datetime.now(UTC).isoformat(), "C1", "1.0", "BUY"
        ).dump(),
        "exits_form": RequestContext("C1", POSITION).dump(),
    }
    states = {"trade_form": factories.build_state(), "order_form": build_order_state()}
    values = {block: build_entry(value) for block, value in ENTRIES.get(callback_id, {}).items()}
    for block in ("decision_reason", "reversal_reason"):
        if block in values:
            values[block] = {f"{block}_entry": values[block]["entry"]}
    number = next(NUMBERS)
    return factories.build_view(
        id=f"V{number}",
        root_view_id=f"V{number}",
        callback_id=callback_id,
        private_metadata=contexts.get(callback_id, RequestContext("C1", "x").dump()),
        state={"values": states.get(callback_id, values)},
    )


def build_request(kind: RequestKind, name: str) -> Request:
    """Return a request that Slack would send to the handler."""
    match kind:
        case RequestKind.COMMAND:
            return factories.build_command("positions" if name == "/desk" else "", name)
        case RequestKind.EVENT:
            event = {"type": name, "user": "U1", "team": "T1", "channel": "D1", "channel_type": "im"}
            event |= {"text": "positions", "ts": "1.5", "tab": "home"}
            return {
                "type": "event_callback",
                "team_id": "T1",
                "event_id": f"Ev-attack-{next(NUMBERS)}",
                "event": event,
            }
        case RequestKind.ACTION:
            return build_action(name)
        case RequestKind.VIEW:
            return factories.build_interaction("view_submission", view=build_view(name))
        case RequestKind.OPTIONS:
            view = build_view("order_form" if name.startswith("order_") else "trade_form")
            action = {"action_id": name, "block_id": "b", "value": "x"}
            return factories.build_interaction("block_suggestion", view=view, **action)


def send_signed(workspace: PortfolioWorkspace, request: Request) -> tuple[int, str]:
    """Send a signed request. Return the status and the body of the response."""
    if request.get("type") != "event_callback":
        response = workspace.deliver(request)
        return response.status_code, response.get_data(as_text=True)
    body = json.dumps(request)
    headers = factories.sign_headers(body) | {"Content-Type": "application/json"}
    response = workspace.bot.web.test_client().post("/slack/events", data=body, headers=headers)
    return response.status_code, response.get_data(as_text=True)


def list_paths(part: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value of a request, except of what names the handler."""
    items: Any = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, value in items:
        if key not in ("type", "command", "action_id", "callback_id"):
            yield (*path, key)
            yield from list_paths(value, (*path, key))


def replace_at(request: Request, path: tuple[Any, ...], value: Any) -> Request:
    changed: Request = json.loads(json.dumps(request))
    part: Any = changed
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return changed


def wait_for_work(workspace: PortfolioWorkspace) -> None:
    """Wait until the work that requests have started is done."""
    services = workspace.bot.services
    pools = (
        services.form_workers,
        services.trade_workers,
        services.query_workers,
        services.admission_workers,
    )
    places: list[Any] = [pool._places for pool in pools]
    wait_until(lambda: all(each._value == each._initial_value for each in places))
    wait_until(lambda: not services.send_queue._waiting)


def forge_request(request: Request, user: str, team: str) -> Request:
    """Return the request as a person of another workspace would send it in a shared channel."""
    if "command" in request:
        return request | {"team_id": team, "user_id": user}
    if request["type"] == "event_callback":
        return request | {"event": request["event"] | {"user": user, "team": team, "user_team": team}}
    return request | {"user": {"id": user, "team_id": team}}


def test_invalid_values_get_a_response_and_act_for_no_other_user(attacked_workspace: PortfolioWorkspace):
    failures = []
    for kind, name in list_handlers(attacked_workspace):
        if name in UNINSTALL:
            continue
        request = build_request(kind, name)
        for path in list_paths(request):
            values = JUNK if path[-1] in READ_PARTS else (JUNK[next(NUMBERS) % len(JUNK)],)
            for junk in values:
                status, response = send_signed(attacked_workspace, replace_at(request, path, junk))
                if status not in (200, 400, 404) or "Traceback" in response:
                    failures.append((kind, name, path, junk, status))
    wait_for_work(attacked_workspace)
    assert failures == []
    assert attacked_workspace.oms.person_of_calls() <= {"slack:T1:U1", ""}
    assert attacked_workspace.submit(id="V-last", root_view_id="V-last") is not None


def test_people_of_other_workspaces_reach_nothing(attacked_workspace: PortfolioWorkspace):
    attacked_workspace.slack.teams["U7"] = "T2"
    for kind, name in list_handlers(attacked_workspace):
        if name not in WITHOUT_PERSON:
            assert (
                send_signed(attacked_workspace, forge_request(build_request(kind, name), "U7", "T2"))[0]
                == 200
            ), name
    wait_for_work(attacked_workspace)
    assert attacked_workspace.oms.calls == []
    methods = {attacked_workspace.slack.name_of(call) for call in attacked_workspace.slack.calls}
    assert methods <= {"chat.postEphemeral", "chat.postMessage", "views.publish", "users.info"}
    assert "Only members of the workspace" in json.dumps(
        [call.body for call in attacked_workspace.slack.calls]
    )


def test_requests_of_other_workspaces_reach_nothing(attacked_workspace: PortfolioWorkspace):
    for kind, name in list_handlers(attacked_workspace):
        request = forge_request(build_request(kind, name), "U1", "T2") | {
            "team": {"id": "T2"},
            "team_id": "T2",
        }
        assert send_signed(attacked_workspace, request)[0] == 200, name
    wait_for_work(attacked_workspace)
    assert attacked_workspace.oms.calls == []
    assert attacked_workspace.slack.calls == []
    assert send_signed(attacked_workspace, build_request(RequestKind.COMMAND, "/desk"))[0] == 200
    attacked_workspace.oms.wait_for("GET /positions")


def test_deactivated_user_is_refused_everywhere_and_changes_nothing(attacked_workspace: PortfolioWorkspace):
    attacked_workspace.oms.barred["slack:T1:U1"] = build_problem(403, "Deactivated.", kind="person-refused")
    untold = []
    for kind, name in list_handlers(attacked_workspace):
        if name in WITHOUT_PERSON | QUIET:
            continue
        attacked_workspace.slack.calls.clear()
        _, response = send_signed(attacked_workspace, build_request(kind, name))
        wait_for_work(attacked_workspace)
        shown = response + json.dumps([call.body for call in attacked_workspace.slack.calls])
        if "not a member of this desk" not in shown and "not allowed to see" not in shown:
            untold.append(f"{kind.value} {name}")
    assert untold == []
    assert attacked_workspace.oms.changes == {}


def test_replay_of_any_request_changes_nothing_more(attacked_workspace: PortfolioWorkspace):
    for kind, name in list_handlers(attacked_workspace):
        if name in UNINSTALL:
            continue
        request = build_request(kind, name)
        send_signed(attacked_workspace, request)
        wait_for_work(attacked_workspace)
        changes = set(attacked_workspace.oms.changes)
        assert send_signed(attacked_workspace, request)[0] == 200, name
        wait_for_work(attacked_workspace)
        assert set(attacked_workspace.oms.changes) == changes, name
    assert len(attacked_workspace.oms.changes) > 10


@pytest.mark.parametrize("by_command", [True, False])
def test_alert_that_slack_delivers_again_after_a_restart_is_set_once(attacked_workspace, by_command):
    attacked_workspace.oms.results["POST /alerts"] = Response(201, build_alert())
    text = "alert AAPL above 200"
    request = build_request(RequestKind.EVENT, "app_mention")
    request["event"]["text"] = text
    if by_command:
        request = factories.build_command(text, "/desk", attacked_workspace.slack.response_url)
    send_signed(attacked_workspace, request)
    attacked_workspace.oms.wait_for("POST /alerts")
    again = PortfolioWorkspace(
        create_test_bot(attacked_workspace.slack, attacked_workspace.oms),
        attacked_workspace.slack,
        attacked_workspace.oms,
    )
    send_signed(again, request)
    attacked_workspace.oms.wait_for("POST /alerts", 2)
    close_bot(again)
    assert len(attacked_workspace.oms.changes) == 1, "the OMS gets the same idempotency key"
