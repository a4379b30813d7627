"""The buttons of messages in a channel."""

from tests import factories
from tests.conftest import Workspace


def click_button(workspace: Workspace, action, value, by="U1", channel="C1"):
    message = {
        "ts": "1.0",
        "text": "BUY",
        "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "BUY"}}],
    }
    payload = factories.build_interaction(
        "block_actions",
        container={"type": "message", "message_ts": "1.0", "channel_id": channel},
        channel={"id": channel},
        message=message | {"blocks": [*message["blocks"], {"type": "actions", "elements": []}]},
        response_url=workspace.slack.response_url,
        actions=[{"type": "button", "action_id": action, "block_id": "order_actions", "value": value}],
    )
    assert workspace.deliver(payload | {"user": {"id": by, "team_id": "T1"}}).status_code == 200


def list_buttons(message):
    return [
        element["text"]["text"]
        for block in message["blocks"]
        if block["type"] == "actions"
        for element in block["elements"]
    ]
