"""A workspace whose OMS has portfolios, and requests of Slack to it."""

import itertools
import json
from dataclasses import dataclass
from typing import Any

from app.forms.text_commands import Verb
from tests import factories
from tests.conftest import Workspace
from tests.portfolio_oms import PortfolioOms

ALL_VERBS = [verb.value for verb in Verb]
_events = itertools.count(1)


@dataclass
class PortfolioWorkspace(Workspace):
    """A workspace with a fake OMS that has portfolios."""

    oms: PortfolioOms

    def query(self, text: str, name: str = "/desk", **changes: Any) -> Any:
        """Type a command and return the reply that came by its response URL."""
        before = len(self.slack.list_requests("respond"))
        response = self.type(text, name, **changes)
        if response.data:
            return response.get_json()
        return self.slack.wait_for("respond", before + 1)[-1].body

    def send_event(self, inner: dict[str, Any], **changes: Any) -> int:
        """Deliver an event and return the status of the response."""
        envelope = {
            "type": "event_callback",
            "team_id": "T1",
            "event_id": f"Ev{next(_events)}",
            "event": inner,
        }
        body = json.dumps(envelope | changes)
        headers = factories.sign_headers(body) | {"Content-Type": "application/json"}
        return self.bot.web.test_client().post("/slack/events", data=body, headers=headers).status_code

    def mention(self, text: str, **changes: Any) -> int:
        event = {"type": "app_mention", "user": "U1", "team": "T1", "channel": "C1", "ts": "1.5"}
        return self.send_event(event | {"text": f"<@UBOT> {text}"} | changes)

    def write_directly(self, text: str, **changes: Any) -> int:
        event = {"type": "message", "channel_type": "im", "user": "U1", "team": "T1", "channel": "D1"}
        return self.send_event(event | {"text": text, "ts": "1.5"} | changes)

    def click(self, action_id: str, value: str = "", by: str = "U1", **more: Any) -> int:
        """Click a button, or choose an option of a select."""
        option = {"text": {"type": "plain_text", "text": value or "-"}, "value": value}
        action = {"action_id": action_id, "block_id": "b", "action_ts": "1.0", "value": value}
        payload = factories.build_interaction("block_actions", actions=[action | {"selected_option": option}])
        payload |= {"user": {"id": by, "team_id": "T1"}, "channel": {"id": "C1"}} | more
        return self.deliver(payload).status_code

    def wait_for_view(self, view_id: str = "V1") -> Any:
        """Return the view after its first update."""
        self.slack.wait_for("views.update")
        return self.slack.shown[view_id]

    def submit_view(self, view: dict[str, Any], by: str = "U1", view_id: str = "V1", **entries: str) -> Any:
        """Submit a form with its initial entries and some other ones. Return the response."""
        values = {
            block["block_id"]: {"entry": _state(block["element"], entries.get(block["block_id"]))}
            for block in view["blocks"]
            if block["type"] == "input"
        }
        shown = view | {"id": view_id, "root_view_id": view_id, "hash": "h", "state": {"values": values}}
        payload = factories.build_interaction("view_submission", view=shown)
        response = self.deliver(payload | {"user": {"id": by, "team_id": "T1"}})
        assert response.status_code == 200
        return response.get_json()


def _state(element: dict[str, Any], value: str | None) -> dict[str, Any]:
    kind = element["type"]
    if kind == "checkboxes":
        return {"type": kind, "selected_options": [{"value": value}] if value else []}
    if kind == "datepicker":
        return {"type": kind, "selected_date": value or element["initial_date"]}
    if kind in ("static_select", "radio_buttons", "external_select"):
        initial = (element.get("initial_option") or {}).get("value")
        chosen = value or initial
        return {"type": kind, "selected_option": {"value": chosen} if chosen else None}
    return {"type": kind, "value": element.get("initial_value") if value is None else value}


def list_texts(view: dict[str, Any]) -> str:
    return json.dumps(view["blocks"], ensure_ascii=False).replace("\u2060", "")
