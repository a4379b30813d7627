"""Workspaces install the app over Slack's consent page."""

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from app.delivery.scopes import list_manifest_scopes
from app.server.build import create_bot
from app.storage.installations import InstalledWorkspace
from tests import factories
from tests.conftest import Workspace, create_test_bot
from tests.fakes import Response

CLIENT = {"slack_client_id": "1.2", "slack_client_secret": "client-canary"}
GRANTED = {
    "ok": True,
    "access_token": "xoxb-second",
    "token_type": "bot",
    "scope": "commands,chat:write",
    "bot_user_id": "UBOT",
    "team": {"id": "T2", "name": "Second <desk>"},
    "enterprise": None,
    "is_enterprise_install": False,
}
REDIRECT = "/slack/oauth_redirect"


@pytest.fixture
def open_workspace(slack, oms):
    """Provide a bot that other workspaces can install."""
    workspace = Workspace(create_test_bot(slack, oms, changes=CLIENT), slack, oms)
    slack.default_responses["oauth.v2.access"] = Response(body=GRANTED)
    yield workspace
    workspace.bot.stop(1.0)


def start_installation(workspace):
    response = workspace.bot.web.test_client().get("/slack/install")
    assert response.status_code == 302
    return urlsplit(response.headers["Location"])


def get_state(address):
    return parse_qs(address.query)["state"][0]


def finish_installation(workspace, **arguments):
    return workspace.bot.web.test_client().get(REDIRECT, query_string=arguments)


def test_install_link_leads_to_slack_with_the_scopes_of_the_manifest(open_workspace, slack):
    address = start_installation(open_workspace)
    assert f"{address.scheme}://{address.netloc}{address.path}" == f"{slack.url}/oauth/v2/authorize"
    body = parse_qs(address.query)
    assert body["client_id"] == ["1.2"]
    assert body["scope"] == [",".join(list_manifest_scopes())]
    assert len(get_state(address)) >= 40
    assert factories.build_settings("https://slack.com/api/").slack_authorize_url == (
        "https://slack.com/oauth/v2/authorize"
    )


def test_workspace_that_consents_is_stored_and_waits_for_the_operator(open_workspace, slack):
    response = finish_installation(
        open_workspace, code="c1", state=get_state(start_installation(open_workspace))
    )
    assert response.status_code == 200
    assert "Second &lt;desk&gt; (T2)" in response.text
    assert "no-referrer" in response.headers["Referrer-Policy"]
    (call,) = slack.list_requests("oauth.v2.access")
    assert call.body["code"] == "c1"
    installation = open_workspace.bot.services.installations.find("T2")
    assert installation.bot_token == "xoxb-second"
    assert installation.oms_key == ""
    assert installation.scopes == "commands,chat:write"
    assert "python -m app.workspaces" in open_workspace.type("AAPL", team_id="T2").get_json()["text"]


def test_another_bot_on_the_database_finishes_the_installation(open_workspace, slack, oms):
    state = get_state(start_installation(open_workspace))
    other = create_test_bot(slack, oms, storage=open_workspace.bot.services.storage, changes=CLIENT)
    assert finish_installation(Workspace(other, slack, oms), code="c1", state=state).status_code == 200
    assert finish_installation(open_workspace, code="c1", state=state).status_code == 400
    other.services.stop_workspace(1.0)
    other.services.stop_workers()


@pytest.mark.parametrize("state", ["", "forged", "é" * 40])
def test_state_that_the_bot_did_not_issue_is_refused(open_workspace, slack, state):
    assert finish_installation(open_workspace, code="c1", state=state).status_code == 400
    assert slack.calls == []


def test_person_who_declines_installs_nothing(open_workspace, slack):
    response = finish_installation(
        open_workspace, error="access_denied", state=get_state(start_installation(open_workspace))
    )
    assert response.status_code == 400
    assert slack.calls == []


def test_organization_is_refused_with_a_sentence_and_its_token_returned(open_workspace, slack):
    slack.queue_responses(
        "oauth.v2.access", Response(body=GRANTED | {"is_enterprise_install": True, "team": None})
    )
    response = finish_installation(
        open_workspace, code="c1", state=get_state(start_installation(open_workspace))
    )
    assert response.status_code == 400
    assert "whole organization" in response.text
    assert len(slack.list_requests("auth.revoke")) == 1
    assert open_workspace.bot.services.installations.list_all() == []


@pytest.mark.parametrize(
    ("trouble", "status"),
    [
        (Response(body={"ok": False, "error": "invalid_code"}), 400),
        (Response(body=GRANTED | {"access_token": "xoxp-person"}), 400),
        (Response(body=GRANTED | {"team": None}), 400),
        (Response(503), 502),
        (Response(drop=True), 502),
    ],
)
def test_refused_installation_is_reported_and_not_stored(open_workspace, slack, trouble, status, caplog):
    slack.queue_responses("oauth.v2.access", trouble)
    response = finish_installation(
        open_workspace, code="code-canary", state=get_state(start_installation(open_workspace))
    )
    assert response.status_code == status
    assert open_workspace.bot.services.installations.list_all() == []
    logged = str([vars(record) for record in caplog.records]) + response.text
    assert "canary" not in logged


def test_reinstalled_workspace_keeps_its_key(open_workspace):
    store = open_workspace.bot.services.installations
    store.save(
        InstalledWorkspace(
            team="T2",
            enterprise="",
            name="",
            bot_token="xoxb-old",
            oms_key="s" * 40,
            scopes="",
            installed_at=1.0,
        )
    )
    finish_installation(open_workspace, code="c1", state=get_state(start_installation(open_workspace)))
    assert store.find("T2").bot_token == "xoxb-second"
    assert store.find("T2").oms_key == "s" * 40


def test_installation_needs_a_client_id(workspace):
    for path in ("/slack/install", REDIRECT):
        assert workspace.bot.web.test_client().get(path).status_code == 404


def test_bot_without_a_token_serves_workspaces_that_install_it(slack, oms):
    settings = factories.build_settings(slack.api_url, oms.url, slack_bot_token="", oms_api_key="", **CLIENT)
    bot = create_bot(replace(settings, bot_database_url="sqlite://"))
    assert bot.workspaces.first is None
    assert bot.health.report()["slack"] == "ok"
    assert [call.path for call in slack.calls] == ["/api/api.test"]
    workspace = Workspace(bot, slack, oms)
    text = workspace.type("AAPL").get_json()["text"]
    assert "not installed in your workspace" in text
    with pytest.raises(LookupError):
        _ = bot.receiver
    bot.stop(1.0)
