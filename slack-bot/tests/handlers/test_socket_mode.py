"""Deliveries over Slack's WebSocket meet the same handlers."""

from slack_bolt import BoltRequest

from tests import factories
from tests.conftest import Workspace


def deliver(desk: Workspace, payload):
    return desk.bot.bolt.dispatch(BoltRequest(mode="socket_mode", body=payload))


def test_a_command_opens_the_form(desk: Workspace):
    assert deliver(desk, factories.command("AAPL")).status == 200
    assert desk.slack.wait_for("views.open")[0].body["view"]["callback_id"] == "trade_form"


def test_a_submission_trades_and_has_a_request_id_of_its_own(desk: Workspace):
    assert deliver(desk, factories.submission()).status == 200
    assert desk.oms.wait_for("place")[0].headers["x-request-id"].startswith("req-")
    assert desk.slack.wait_for("chat.postMessage")[0].body["channel"] == "C1"
