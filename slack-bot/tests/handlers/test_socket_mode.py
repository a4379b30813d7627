"""Requests over Slack's WebSocket reach the same handlers."""

from slack_bolt import BoltRequest

from tests import factories
from tests.conftest import Workspace


def deliver_payload(workspace: Workspace, payload):
    return workspace.bot.bolt.dispatch(BoltRequest(mode="socket_mode", body=payload))


def test_command_opens_the_form(workspace: Workspace):
    assert deliver_payload(workspace, factories.build_command("AAPL")).status == 200
    assert workspace.slack.wait_for("views.open")[0].body["view"]["callback_id"] == "trade_form"


def test_submission_trades_and_has_a_new_request_id(workspace: Workspace):
    assert deliver_payload(workspace, factories.build_submission()).status == 200
    assert workspace.oms.wait_for("place")[0].headers["x-request-id"].startswith("req-")
    assert workspace.slack.wait_for("chat.postMessage")[0].body["channel"] == "C1"
