"""Several bots report the people who are deactivated or active again in Slack."""

from app.services.settings.slack_statuses import report_changes, report_status
from tests.conftest import Workspace
from tests.fakes import Response


def test_people_who_are_active_again_get_access_back_although_the_event_is_lost(workspace: Workspace):
    """Their user_change reached nobody, and another bot had reported that they were deactivated."""
    services = workspace.bot.services
    services.reported_statuses.record("U2", "deactivated")
    members = [
        {"id": user, "team_id": "T1", "deleted": False, "is_bot": False} for user in ("U1", "U2", "U3")
    ]
    workspace.slack.default_responses["users.list"] = Response(body={"ok": True, "members": members})
    for _ in range(2):
        report_changes(services)
    reported = [call.body for call in workspace.oms.calls if call.path.endswith("/slack-status")]
    assert reported == [{"person": "slack:T1:U2", "status": "active"}]


def test_bots_share_reported_statuses(workspace: Workspace):
    """Another bot reported that the person is active, so a second deactivation is a change for this bot."""
    services = workspace.bot.services
    person = {"id": "U2", "team_id": "T1", "deleted": True}
    report_status(services, person, "r")
    services.storage.database.execute("UPDATE reported_statuses SET status = 'active'")  # by the other bot
    report_status(services, person, "r")
    assert len(workspace.oms.list_requests("/slack-status")) == 2
