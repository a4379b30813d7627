"""One bot serves several workspaces: each request is handled with its own workspace's token and key."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from app.delivery.installation import InstallationCache
from app.delivery.posted_messages import MessageKind
from app.errors import OmsForbidden
from app.events.registry import Event
from app.oms_client import Person
from app.server import workspaces as workspaces_module
from app.server.supervision import start_new, store_first
from app.storage.installations import InstalledWorkspace
from support.conditions import wait_until
from tests import factories
from tests.conftest import Workspace
from tests.events.signed_events import sign_event
from tests.services.orders.pending_orders import ORDER_BODY

TOKENS = {"T1": factories.TOKEN, "T2": "xoxb-second", "T3": "xoxb-third"}
KEYS = {"T1": factories.OMS_KEY, "T2": "s" * 40}


@pytest.fixture(autouse=True)
def immediate_refresh(monkeypatch):
    """Compare with the store at each request."""
    monkeypatch.setattr(workspaces_module, "CHECK_SECONDS", 0.0)


@pytest.fixture
def three_workspaces(workspace: Workspace) -> Iterator[Workspace]:
    """Provide a bot for T1 (token in the environment), T2 (connected) and T3 (not connected)."""
    store = workspace.bot.services.installations
    store.save(
        InstalledWorkspace(
            team="T2",
            enterprise="",
            name="Second",
            bot_token=TOKENS["T2"],
            oms_key=KEYS["T2"],
            scopes="",
            installed_at=1000.0,
        )
    )
    store.save(
        InstalledWorkspace(
            team="T3",
            enterprise="",
            name="Third",
            bot_token=TOKENS["T3"],
            oms_key="",
            scopes="",
            installed_at=1000.0,
        )
    )
    yield workspace
    workspace.slack.released.set()
    for each in workspace.bot.workspaces.list_all():
        each.services.stop_workspace(1.0)


def find_workspace(workspace: Workspace, team: str) -> Any:
    return workspace.bot.workspaces.find(team)


def secrets_used(workspace: Workspace) -> tuple[set[str], set[str]]:
    tokens = {call.headers["authorization"].removeprefix("Bearer ") for call in workspace.slack.calls}
    keys = {call.headers["x-api-key"] for call in workspace.oms.calls}
    return tokens, keys


def build_team_payload(payload: dict[str, Any], team: str, user: str = "U1") -> dict[str, Any]:
    return payload | {"team": {"id": team}, "user": {"id": user, "team_id": team}}


def deliver_event(workspace: Workspace, event: dict[str, Any], team: str, **more: Any) -> int:
    number = len(workspace.slack.calls)
    payload = {"type": "event_callback", "team_id": team, "event_id": f"Ev{team}{number}", "event": event}
    body = json.dumps(payload | more)
    headers = factories.sign_headers(body) | {"Content-Type": "application/json"}
    return workspace.bot.web.test_client().post("/slack/events", data=body, headers=headers).status_code


def test_each_workspace_is_served_with_its_own_token_and_key(three_workspaces: Workspace):
    for team in ("T1", "T2"):
        three_workspaces.slack.calls.clear()
        three_workspaces.oms.calls.clear()
        response = three_workspaces.deliver(
            build_team_payload(factories.build_submission(id=f"V{team}", root_view_id=f"V{team}"), team)
        )
        assert response.get_json() == {"response_action": "clear"}
        three_workspaces.slack.wait_for("chat.postMessage")
        assert secrets_used(three_workspaces) == ({TOKENS[team]}, {KEYS[team]})
        assert set(three_workspaces.oms.people) == {f"slack:{team}:U1"}


@pytest.mark.parametrize(("installed", "other"), [("T1", "T2"), ("T2", "T1"), ("T1", "T9"), ("T2", "T9")])
def test_forged_ids_of_another_workspace_reach_no_oms(three_workspaces: Workspace, installed, other):
    three_workspaces.type("AAPL", team_id=installed, team=other)
    submission = factories.build_submission()
    three_workspaces.deliver(submission | {"team": {"id": installed}, "user": {"id": "U1", "team_id": other}})
    submission["view"]["app_installed_team_id"] = installed
    three_workspaces.deliver(submission | {"team": {"id": other}, "user": {"id": "U1", "team_id": other}})
    click = factories.build_interaction(
        "block_actions", actions=[{"action_id": "order_cancel", "value": "O1"}]
    )
    three_workspaces.deliver(click | {"team": {"id": other}, "user": {"id": "U1", "team_id": installed}})
    mention = {"type": "app_mention", "user": "U1", "user_team": other, "text": "positions", "channel": "C1"}
    deliver_event(three_workspaces, mention, installed)
    three_workspaces.bot.services.stop_workers(wait=True)
    assert three_workspaces.oms.calls == []
    assert three_workspaces.oms.trades == {}


def test_workspace_without_the_app_gets_a_sentence(three_workspaces: Workspace, caplog):
    three_workspaces.bot.workspaces.find("T1")
    text = three_workspaces.type("AAPL", team_id="T9").get_json()["text"]
    assert "Only members of the workspace" in text
    assert three_workspaces.oms.calls == []


def test_unconnected_workspace_gets_help_only(three_workspaces: Workspace):
    text = three_workspaces.type("buy 100 AAPL @ 175 in Growth", team_id="T3").get_json()["text"]
    assert "python -m app.workspaces bind T3 --oms-key-stdin" in text
    assert "`/trade` opens the trade form" in text
    response = three_workspaces.deliver(build_team_payload(factories.build_submission(), "T3")).get_json()
    assert response["response_action"] == "push"
    message = {"type": "message", "channel_type": "im", "user": "U3", "text": "positions", "channel": "D3"}
    assert deliver_event(three_workspaces, message, "T3") == 200
    (call,) = three_workspaces.slack.wait_for("chat.postMessage")
    assert call.headers["authorization"] == "Bearer xoxb-third"
    assert "not connected" in call.body["text"]
    assert three_workspaces.oms.calls == []


def test_workspace_that_is_connected_meanwhile_is_served(three_workspaces: Workspace):
    three_workspaces.type("AAPL", team_id="T3")
    assert three_workspaces.bot.services.installations.save_oms_key("T3", "t" * 40)
    response = three_workspaces.deliver(build_team_payload(factories.build_submission(), "T3")).get_json()
    assert response == {"response_action": "clear"}
    assert secrets_used(three_workspaces)[1] == {"t" * 40}


@pytest.mark.parametrize(
    "event",
    [{"type": "app_uninstalled"}, {"type": "tokens_revoked", "tokens": {"bot": ["UBOT"], "oauth": []}}],
)
@pytest.mark.parametrize("team", ["T2", "T3"])
def test_uninstalled_workspace_is_removed(three_workspaces: Workspace, event, team):
    assert deliver_event(three_workspaces, event, team, event_time=1000) == 200
    stored: Any = three_workspaces.bot.services.installations.find(team)
    assert not stored.is_active
    assert stored.bot_token == ""
    assert stored.oms_key == ""
    three_workspaces.type("AAPL", team_id=team)
    assert three_workspaces.oms.calls == three_workspaces.slack.calls == []


@pytest.mark.parametrize(
    ("event", "at"),
    [({"type": "app_uninstalled"}, 999), ({"type": "tokens_revoked", "tokens": {"oauth": ["U1"]}}, 2000)],
)
def test_old_event_and_the_token_of_a_person_change_nothing(three_workspaces: Workspace, event, at):
    deliver_event(three_workspaces, event, "T2", event_time=at)
    stored: Any = three_workspaces.bot.services.installations.find("T2")
    assert stored.is_active


def test_workspace_of_the_environment_is_the_first_of_the_store(three_workspaces: Workspace):
    slack = three_workspaces.bot.services.slack
    slack.installation = InstallationCache(slack._load_installation)
    assert three_workspaces.bot.services.team == ""
    assert store_first(three_workspaces.bot.workspaces)
    stored: Any = three_workspaces.bot.services.installations.find("T1")
    assert stored.bot_token == TOKENS["T1"]
    assert stored.oms_key == KEYS["T1"]
    version = three_workspaces.bot.services.installations.find_version("T1")
    assert store_first(three_workspaces.bot.workspaces)
    assert three_workspaces.bot.services.installations.find_version("T1") == version


def test_missing_scopes_of_an_installed_workspace_are_named(three_workspaces: Workspace, caplog):
    scopes = "commands,chat:write"
    three_workspaces.bot.services.installations.save(
        InstalledWorkspace(
            team="T2",
            enterprise="",
            name="Second",
            bot_token=TOKENS["T2"],
            oms_key=KEYS["T2"],
            scopes=scopes,
            installed_at=2000.0,
        )
    )
    assert not find_workspace(three_workspaces, "T2").services.slack.scopes.has("im:history")
    (record,) = [each for each in caplog.records if each.message.startswith("Scopes missing")]
    assert "im:history" in record.scopes
    assert "commands" not in record.scopes


def test_key_of_a_workspace_acts_for_its_own_people_only(three_workspaces: Workspace):
    services = find_workspace(three_workspaces, "T2").services
    with pytest.raises(OmsForbidden):
        services.oms.can_trade(Person("T1", "U1"), request_id="r")
    assert three_workspaces.oms.calls == []


def test_threads_start_once_for_each_connected_workspace(three_workspaces: Workspace, monkeypatch):
    started: list[object] = []
    monkeypatch.setattr("app.server.supervision.start_threads", started.append)
    connected = three_workspaces.bot.workspaces.list_connected()
    assert [workspace.services.team for workspace in connected] == ["T2"]
    running = start_new(connected, [])
    start_new(three_workspaces.bot.workspaces.list_connected(), running)
    assert started == connected


def test_failing_store_does_not_stop_known_workspaces(three_workspaces: Workspace):
    three_workspaces.bot.workspaces.find("T2")
    three_workspaces.bot.services.storage.database.close()
    assert find_workspace(three_workspaces, "T2").services.team == "T2"
    assert three_workspaces.bot.workspaces.find("T1") is three_workspaces.bot.workspaces.first
    assert three_workspaces.bot.workspaces.find("T3") is None


def test_event_is_handled_for_the_workspaces_of_its_tenant(three_workspaces: Workspace, monkeypatch):
    handled: list[tuple[str, str]] = []
    for team in ("T1", "T2"):
        receiver = find_workspace(three_workspaces, team).receiver
        receiver._secret = f"whsec_{base64.b64encode(team.encode() * 12).decode()}"
        registry = receiver._registry
        registry.register("order.filled", lambda services, event: handled.append((services.team, event.id)))
    event = {"id": "e1", "type": "order.filled", "created_at": "2026-11-29T10:00:01Z", "data": {}}
    body = json.dumps(event).encode()
    for team, status in (("T2", 204), ("T9", 401)):
        headers = sign_event(body, secret=f"whsec_{base64.b64encode(team.encode() * 12).decode()}")
        response = three_workspaces.bot.web.test_client().post("/oms/events", data=body, headers=headers)
        assert response.status_code == status
    assert handled == [("T2", "e1")]


def test_workspaces_of_one_tenant_each_update_their_message_of_an_order(three_workspaces: Workspace):
    orders, teams = three_workspaces.oms.orders, {"T1": "C1", "T2": "C2"}
    order = orders.add(ORDER_BODY | {"client_order_id": "s-1"}, "")
    orders.move(order["id"], "AWAITING_APPROVAL", "")
    everyone = [find_workspace(three_workspaces, team).services for team in teams]
    for services in everyone:
        object.__setattr__(services, "approvals_channel", teams[services.team])
    send_to_all(
        three_workspaces, "approval.requested", {"order_id": order["id"], "requested_by": "key:strategy-1"}
    )
    three_workspaces.slack.wait_for("chat.postMessage", 2)
    for services in everyone:
        wait_until(lambda: services.posted_messages.find(order["id"], MessageKind.APPROVAL))  # noqa: B023
    orders.move(order["id"], "DENIED", "slack:T1:U3", "Too large")
    send_to_all(three_workspaces, "order.denied", {"order_id": order["id"]})
    edited = three_workspaces.slack.wait_for("chat.update", 2)
    assert sorted(call.body["channel"] for call in edited) == ["C1", "C2"]
    assert {call.headers["authorization"] for call in edited} == {f"Bearer {TOKENS[team]}" for team in teams}
    assert all("*Rejected by <@U3>*" in call.body["text"] for call in edited)


def send_to_all(several: Workspace, event_type: str, payload: dict[str, Any]) -> None:
    for team in ("T1", "T2"):
        event = Event(f"{event_type}-1", event_type, "2026-11-29T10:00:00Z", payload)
        assert find_workspace(several, team).receiver.handle_once(event)
