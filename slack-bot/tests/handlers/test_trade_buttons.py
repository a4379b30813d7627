"""The buttons under a recorded trade: Reverse trade by its author within a minute, and Trade again."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from app.forms.trade_buttons import ReversalContext, build_again_value
from tests import factories
from tests.conftest import Workspace
from tests.fakes import build_problem
from tests.handlers.message_buttons import click_button
from tests.limits import check_view


def build_button_value(seconds_ago: float = 5.0, user: str = "U1") -> str:
    at = datetime.fromtimestamp(time.time(), UTC) - timedelta(seconds=seconds_ago)
    return ReversalContext("T1X", user, at.isoformat()).dump()


def open_reversal(workspace: Workspace):
    click_button(workspace, "trade_undo", build_button_value())
    return workspace.slack.wait_for("views.open")[0].body["view"]


def submit_reason(workspace: Workspace, view, reason="Reported twice"):
    values = {"reversal_reason": {"reversal_reason_entry": {"type": "plain_text_input", "value": reason}}}
    return workspace.submit(values, callback_id="reversal_form", private_metadata=view["private_metadata"])


def test_author_reverses_a_trade_within_a_minute(workspace: Workspace):
    view = open_reversal(workspace)
    check_view(view)
    assert submit_reason(workspace, view) == {"response_action": "clear"}
    sent = workspace.oms.list_requests("reverse")[0]
    assert sent.path == "/api/v1/trades/T1X:reverse"
    assert sent.body == {"reason": "Reported twice"}
    assert sent.headers["idempotency-key"] == "T1:T1X:reverse"
    edited = workspace.slack.wait_for("chat.update")[0].body
    assert edited["text"] == "BUY\n*Reversed* by <@U1>: Reported twice"
    assert [block["type"] for block in edited["blocks"]] == ["section"]


@pytest.mark.parametrize(
    ("build_value", "expected_text"),
    [
        (lambda: build_button_value(61), "for one minute only"),
        (lambda: build_button_value(user="U2"), "Only <@U2>, who reported this trade"),
        (lambda: "{}", "for one minute only"),
        (lambda: "junk", "for one minute only"),
    ],
    ids=["late", "another person", "empty", "junk"],
)
def test_reversal_is_limited_to_the_author_and_one_minute(workspace: Workspace, build_value, expected_text):
    click_button(workspace, "trade_undo", build_value())
    assert expected_text in workspace.slack.wait_for("respond")[0].body["text"]
    assert workspace.slack.list_requests("views.open") == []


@pytest.mark.parametrize(
    ("changes", "expected_text"),
    [({"recorded_at": "2026-11-21T10:00:00.000000Z"}, "for one minute only"), ({"user": "U2"}, "Only <@U2>")],
    ids=["late", "another person"],
)
def test_author_and_time_limit_are_checked_again_at_submission(workspace: Workspace, changes, expected_text):
    view = open_reversal(workspace)
    context = json.loads(view["private_metadata"]) | changes
    body = submit_reason(workspace, {"private_metadata": json.dumps(context)})
    check_view(body["view"])
    assert expected_text in body["view"]["blocks"][0]["text"]["text"]
    assert workspace.oms.list_requests("reverse") == []


def test_refusal_of_the_oms_is_shown_in_the_form(workspace: Workspace):
    view = open_reversal(workspace)
    workspace.oms.queue_responses(
        "reverse", build_problem(409, "The trade is reversed already.", kind="conflict")
    )
    body = submit_reason(workspace, view)
    check_view(body["view"])
    assert "The trade is reversed already." in body["view"]["blocks"][0]["text"]["text"]
    assert workspace.slack.list_requests("chat.update") == []


def test_trade_again_fills_in_the_form(workspace: Workspace):
    click_button(workspace, "trade_again", build_again_value(factories.build_trade()))
    view = workspace.slack.wait_for("views.open")[0].body["view"]
    entries = {block["block_id"]: block["element"] for block in view["blocks"] if block["type"] == "input"}
    assert [entries[name]["initial_value"] for name in ("symbol", "quantity", "price")] == [
        "AAPL",
        "100",
        "175",
    ]
    assert entries["portfolio"]["initial_option"]["value"] == "Growth"


def test_every_confirmation_has_the_buttons(workspace: Workspace):
    workspace.submit()
    posted = workspace.slack.wait_for("chat.postMessage")[0].body
    labels = [element["text"]["text"] for element in posted["blocks"][-1]["elements"]]
    assert labels == ["Reverse trade", "Trade again"]
