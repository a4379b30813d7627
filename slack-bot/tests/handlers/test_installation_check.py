"""The bot serves only the workspace of its own token."""

import json
import threading

import pytest

from app.delivery.installation import Installation, InstallationCache
from app.errors import SlackUnreachable
from tests import factories
from tests.conftest import Workspace
from tests.fakes import Response
from tests.limits import check_view
from tests.views import get_notice

REFUSED = "Request of another installation refused"
TYPED = {"action_id": "gmv_entry", "block_id": "gmv", "type": "number_input", "action_ts": "1.0"}
SUGGESTION = {"action_id": "portfolio_entry", "block_id": "portfolio", "value": "x"}


def build_team(team, enterprise=None, *, org_wide=False):
    """Return the fields of an interaction that identify its workspace."""
    return {
        "team": {"id": team, "domain": "theirs"} if team else None,
        "user": {"id": "U1", "team_id": team},
        "enterprise": {"id": enterprise, "name": "Theirs"} if enterprise else None,
        "is_enterprise_install": org_wide,
    }


def build_command_team(team, enterprise=None, *, org_wide=False):
    fields = {"team_id": team or "", "is_enterprise_install": "true" if org_wide else "false"}
    return fields | ({"enterprise_id": enterprise} if enterprise else {})


def deliver_event(workspace, **fields):
    body = json.dumps(
        {"type": "event_callback", "event_id": "Ev1", "event": {"type": "app_uninstalled"}} | fields
    )
    headers = factories.sign_headers(body) | {"Content-Type": "application/json"}
    return workspace.bot.web.test_client().post("/slack/events", data=body, headers=headers)


OTHERS = [
    ("T2", None, False),  # another workspace
    (None, None, False),  # no workspace
    ("T1", "E2", False),  # an enterprise, where the installation has none
    ("T1", None, True),  # installed for a whole organization
    (None, "E1", True),
]


@pytest.mark.parametrize(("team", "enterprise", "org_wide"), OTHERS)
def test_no_request_of_another_installation_reaches_the_oms(
    workspace: Workspace, caplog, team, enterprise, org_wide
):
    interaction = build_team(team, enterprise, org_wide=org_wide)
    command = workspace.type(
        "buy 1 AAPL @ 1", **build_command_team(team, enterprise, org_wide=org_wide)
    ).get_json()
    submitted = workspace.deliver(factories.build_submission() | interaction).get_json()
    payload = (
        factories.build_interaction("block_suggestion", view=factories.build_view(), **SUGGESTION)
        | interaction
    )
    typed = (
        factories.build_interaction("block_actions", view=factories.build_view(), actions=[TYPED])
        | interaction
    )
    closed = factories.build_interaction("view_closed", view=factories.build_view()) | interaction

    assert command["response_type"] == "ephemeral"
    assert submitted["response_action"] == "push", "the form underneath keeps its entries"
    check_view(submitted["view"])
    assert workspace.deliver(payload).get_json() == {"options": []}
    for ignored in (typed, closed):
        assert workspace.deliver(ignored).status_code == 200
        assert workspace.deliver(ignored).data == b""
    expected = "whole organization" if org_wide else "Only members of the workspace"
    assert expected in command["text"]
    assert expected in get_notice(submitted["view"])
    assert workspace.oms.calls == workspace.slack.calls == []
    assert [record.message for record in caplog.records].count(REFUSED) == 7, "one line a request"


EVENTS = [
    {"team_id": "T2"},
    {},
    {"team_id": "T1", "enterprise_id": "E2"},
    {"team_id": "T1", "authorizations": [{"team_id": "T2", "enterprise_id": None}]},
    {"team_id": "T1", "authorizations": [{"team_id": "T1", "is_enterprise_install": True}]},
]


@pytest.mark.parametrize("fields", EVENTS)
def test_event_of_another_installation_is_acknowledged_and_changes_nothing(
    workspace: Workspace, caplog, fields
):
    response = deliver_event(workspace, **fields)
    assert response.status_code == 200
    assert response.data == b""
    assert [record.message for record in caplog.records] == [REFUSED]


def test_event_in_a_shared_channel_counts_by_the_workspace_that_authorized_it(workspace: Workspace, caplog):
    deliver_event(workspace, team_id="T2", authorizations=[{"team_id": "T1", "enterprise_id": None}])
    assert [record.message for record in caplog.records] == ["Installation ended"]


def test_enterprise_grid_request_must_match_workspace_and_enterprise(workspace: Workspace):
    workspace.bot.services.slack.installation.remember(Installation("T1", "E1"))
    assert workspace.deliver(factories.build_submission() | build_team("T1", "E1")).get_json() == {
        "response_action": "clear"
    }
    refused = workspace.deliver(factories.build_submission() | build_team("T1", "E2")).get_json()
    assert refused["response_action"] == "push"
    sister = workspace.type("AAPL", **build_command_team("T3", "E1")).get_json()
    assert "Only members of the workspace" in sister["text"]


def test_org_wide_installation_is_refused(workspace: Workspace):
    workspace.bot.services.slack.installation.remember(Installation("T1", "E1", is_org_wide=True))
    assert "whole organization" in workspace.type("AAPL").get_json()["text"]


def test_ids_that_slack_does_not_make_are_not_logged(workspace: Workspace, caplog):
    workspace.type("AAPL", team_id="T2\nforged line")
    assert "forged" not in str([vars(record) for record in caplog.records])


def forget_installation(workspace, *responses):
    slack = workspace.bot.services.slack
    slack.installation = InstallationCache(slack._load_installation)
    workspace.slack.queue_responses("auth.test", *responses)


def test_first_request_reads_the_workspace_of_the_token(workspace: Workspace):
    forget_installation(workspace)
    assert workspace.type("AAPL", team_id="T2").get_json()["response_type"] == "ephemeral"
    assert workspace.submit() == {"response_action": "clear"}
    assert len(workspace.slack.list_requests("auth.test")) == 1


def test_form_keeps_its_entries_and_sends_nothing_while_the_workspace_is_unknown(workspace: Workspace):
    forget_installation(workspace, Response(500))
    body = workspace.submit()
    assert body["response_action"] == "push"
    assert "could not ask Slack which workspace" in get_notice(body["view"])
    assert workspace.oms.calls == []


def test_failed_auth_test_is_retried_after_a_pause():
    now, calls = [0.0], []

    def load():
        calls.append(now[0])
        if len(calls) == 1:
            raise SlackUnreachable("auth.test")
        return Installation("T1")

    cache = InstallationCache(load, clock=lambda: now[0])
    for _ in range(3):
        with pytest.raises(SlackUnreachable):
            cache.get()
    now[0] = 2.1
    assert cache.get() == Installation("T1")
    assert calls == [0.0, 2.1]


def test_concurrent_requests_share_one_call_of_auth_test():
    calls, release = [], threading.Event()

    def load():
        calls.append(1)
        release.wait(60)
        return Installation("T1")

    cache = InstallationCache(load)
    threads = [threading.Thread(target=cache.get) for _ in range(5)]
    for thread in threads:
        thread.start()
    release.set()
    for thread in threads:
        thread.join(60)
    assert calls == [1]


def test_failed_refresh_keeps_the_cached_installation(workspace: Workspace):
    workspace.slack.refuse("auth.test", "invalid_auth")
    workspace.bot.health.check_services()
    assert workspace.submit() == {"response_action": "clear"}
