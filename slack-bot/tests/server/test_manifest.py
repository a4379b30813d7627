"""manifest.json agrees with the registered handlers."""

import json
import re
from pathlib import Path

import pytest

from app.server.slack_endpoint import SLACK_PATHS
from tests import factories
from tests.conftest import Workspace

FOLDER = Path(__file__).parents[2]
MANIFEST = json.loads((FOLDER / "manifest.json").read_text())


def test_every_command_of_the_manifest_is_handled_and_no_other(workspace: Workspace):
    commands = [entry["command"] for entry in MANIFEST["features"]["slash_commands"]]
    assert commands == ["/trade", "/order", "/portfolio", "/trades", "/desk"]
    assert all(workspace.type("help", name).status_code == 200 for name in commands)
    assert workspace.type("help", "/other").status_code == 404


@pytest.mark.parametrize("event", MANIFEST["settings"]["event_subscriptions"]["bot_events"])
def test_every_event_of_the_manifest_is_handled(workspace: Workspace, event):
    kind, _, channel_type = event.partition(".")
    inner = {"type": kind, "channel_type": channel_type}
    body = json.dumps({"type": "event_callback", "event_id": event, "event": inner})
    headers = factories.sign_headers(body) | {"Content-Type": "application/json"}
    assert (
        workspace.bot.web.test_client().post("/slack/events", data=body, headers=headers).status_code == 200
    )


def test_every_address_of_the_manifest_is_served_under_its_path(workspace: Workspace):
    settings = MANIFEST["settings"]
    urls = [entry["url"] for entry in MANIFEST["features"]["slash_commands"]] + [
        settings["event_subscriptions"]["request_url"],
        settings["interactivity"]["request_url"],
        settings["interactivity"]["message_menu_options_url"],
    ]
    paths = {url.removeprefix("https://YOUR-HOST") for url in urls}
    assert paths == set(SLACK_PATHS)
    client = workspace.bot.web.test_client()
    assert {client.post(path).status_code for path in paths} == {401}, "unsigned"


def test_scopes_match_the_methods_that_are_called():
    needed = {
        "chat_postMessage": "chat:write",
        "chat_postEphemeral": "chat:write",
        "chat_update": "chat:write",
        "conversations_open": "im:write",
        "files_completeUploadExternal": "files:write",
        "files_getUploadURLExternal": "files:write",
        "users_info": "users:read",
        "users_list": "users:read",
        "usergroups_users_list": "usergroups:read",
        "conversations_history": "im:history",  # elsewhere, a repeated message is marked
    }
    called = "".join(path.read_text() for path in (FOLDER / "app" / "delivery").glob("*.py"))
    scopes = {scope for method, scope in needed.items() if method in called}
    # commands: the slash commands; chat:write.public: confirmations in public channels without an invitation;
    # app_mentions:read and im:history: the events of mentions and direct messages
    other_scopes = {"commands", "chat:write.public", "app_mentions:read"}
    assert set(MANIFEST["oauth_config"]["scopes"]["bot"]) == scopes | other_scopes
    without_scope = {"views_open", "views_update", "views_push", "views_publish", "auth_test", "api_test"}
    without_scope |= {"token", "proxy"}  # no methods
    methods = set(re.findall(r"self\.client\.(\w+)", called))
    assert methods == without_scope | set(needed)


def test_template_names_every_setting_and_holds_no_secret():
    lines = (FOLDER / ".env.template").read_text().splitlines()
    values = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert set(values) == {
        "SLACK_BOT_TOKEN",
        "SLACK_CLIENT_SECRET",
        "SLACK_SIGNING_SECRET",
        "SLACK_APP_TOKEN",
        "OMS_API_URL",
        "OMS_API_KEY",
        "BOT_STATEMENT_SECRET",
        "BOT_DATABASE_URL",
        "BOT_ENCRYPTION_KEYS",
        "SLACK_CLIENT_ID",
        "TRADING_CHANNEL",
        "APPROVALS_CHANNEL",
        "HOST",
        "PORT",
        "ENVIRONMENT",
        "LOG_FORMAT",
        "OMS_EVENTS_URL",
    }
    assert not any(values[name] for name in values if name.endswith(("TOKEN", "SECRET", "KEY", "KEYS")))
