"""Scopes of the manifest that Slack did not grant."""

import logging

import pytest

from app.delivery.scopes import GrantedScopes, list_manifest_scopes
from tests.conftest import Workspace
from tests.fakes import Response

GRANTED = ",".join(
    manifest_scope for manifest_scope in list_manifest_scopes() if manifest_scope != "files:write"
)
AUTH = {"ok": True, "team_id": "T1"}


@pytest.mark.parametrize("value", ["a, b", ["a,b"], "a,b,c"])
def test_all_scopes_are_granted(value):
    scopes = GrantedScopes(("a", "b"))
    scopes.update({"X-OAuth-Scopes": value})
    assert scopes.missing == ()
    assert scopes.has("a")


def test_scopes_are_not_reported_missing_without_the_header():
    scopes = GrantedScopes(("a",))
    scopes.update({"Content-Type": "application/json"})
    assert scopes.has("a")


def test_missing_scope_is_logged_and_shown_by_health_and_by_its_command(workspace: Workspace, caplog):
    workspace.slack.default_responses["auth.test"] = Response(body=AUTH, headers={"x-oauth-scopes": GRANTED})
    with caplog.at_level(logging.WARNING, "app.delivery.scopes"):
        workspace.bot.health.check_services()
        workspace.bot.health.check_services()
    assert [record.scopes for record in caplog.records if hasattr(record, "scopes")] == ["files:write"]
    assert workspace.bot.health.report()["missing_scopes"] == ["files:write"]
    workspace.type("export trades", "/desk")
    assert "`files:write`" in workspace.slack.wait_for("respond")[0].body["text"]
    workspace.slack.default_responses["auth.test"].headers["x-oauth-scopes"] += ",files:write"
    workspace.bot.health.check_services()
    assert "missing_scopes" not in workspace.bot.health.report()
