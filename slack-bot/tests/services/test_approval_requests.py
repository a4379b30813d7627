"""Orders that programs and signals placed are put to the approvers in Slack."""

import time

import pytest

from app.delivery.order_messages import MessageKind, OrderMessage
from app.events.registry import Event
from app.services.orders.messages import refresh_open_orders
from app.services.orders.recovery import recover_orders
from tests.conftest import Workspace
from tests.fakes import Answer
from tests.limits import check_message
from tests.reading import wait_until

TICKET = {"portfolio_name": "Growth", "symbol": "MSFT", "side": "BUY", "quantity": "50", "type": "MARKET"}


@pytest.fixture
def approving(workspace: Workspace):
    object.__setattr__(workspace.bot.services, "approvals_channel", "C-APPROVERS")
    return workspace


def place(workspace: Workspace, actor="", client_order_id="s-1"):
    """Place an order over the API. It waits for approval."""
    orders = workspace.oms.orders
    order = orders.add(TICKET | {"client_order_id": client_order_id}, actor)
    orders.move(order["id"], "AWAITING_APPROVAL", actor)
    return str(order["id"])


def request(workspace: Workspace, order_id, by="key:strategy-1", event_id="E1"):
    data = {"order_id": order_id, "requested_by": by, "approvers": ["role:risk"], "expires_at": ""}
    send(workspace, event_id, "approval.requested", data)


def send(workspace: Workspace, event_id, event_type, data):
    assert workspace.bot.receiver.handle_once(Event(event_id, event_type, "2026-11-29T10:00:00Z", data))


def find(workspace: Workspace, order_id):
    return workspace.bot.services.order_messages.find(order_id, MessageKind.APPROVAL)


def posted(workspace: Workspace):
    return [call.body for call in workspace.slack.named("chat.postMessage")]


def test_order_of_a_program_is_posted_to_the_approvers_once(approving: Workspace):
    order_id = place(approving)
    request(approving, order_id)
    wait_until(lambda: find(approving, order_id))
    request(approving, order_id, event_id="E2")
    recover_orders(approving.bot.services, time.time() + 60)
    approving.bot.services.outbox.close(5.0)
    (message,) = posted(approving)
    check_message(message["text"], message["blocks"])
    assert message["channel"] == "C-APPROVERS"
    assert "*Approval needed*: BUY 50 MSFT" in message["text"]
    assert "Requested by strategy-1" in message["text"]
    assert message["metadata"]["event_type"] == "approval_request"
    (read,) = {call.headers.get("x-on-behalf-of", "") for call in approving.oms.named("get_order")}
    assert read == "", "read with the key of the bot: nobody in Slack has placed it"


@pytest.mark.parametrize(
    ("status", "actor", "outcome"),
    [
        ("ACCEPTED", "slack:T1:U2", "*Approved by <@U2>*"),
        ("DENIED", "slack:T1:U2", "*Rejected by <@U2>*"),
        ("EXPIRED", "clock", "*Expired*"),
        ("CANCELED", "key:strategy-1", "*Cancelled by key:strategy-1*"),
    ],
)
def test_request_shows_how_it_ended(approving: Workspace, status, actor, outcome):
    order_id = place(approving)
    request(approving, order_id)
    wait_until(lambda: find(approving, order_id))
    approving.oms.orders.move(order_id, status, actor)
    send(approving, "E2", f"order.{status.lower()}", {"order_id": order_id})
    edited = approving.slack.wait_for("chat.update")[0].body
    assert edited["channel"] == "C-APPROVERS"
    assert edited["text"].startswith(outcome)
    assert all(block["type"] != "actions" for block in edited["blocks"])
    wait_until(lambda: not find(approving, order_id).is_open)


def test_decision_whose_event_is_lost_is_shown_by_the_refresh(approving: Workspace):
    order_id = place(approving)
    request(approving, order_id)
    wait_until(lambda: find(approving, order_id))
    approving.oms.orders.move(order_id, "ACCEPTED", "slack:T1:U2")
    refresh_open_orders(approving.bot.services)
    assert approving.slack.wait_for("chat.update")[0].body["text"].startswith("*Approved by <@U2>*")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("granted", "*Approved:* your order"),
        ("rejected", "*Not approved:*"),
        ("expired", "*Expired:* nobody"),
    ],
)
def test_requester_in_slack_is_notified(approving: Workspace, kind, text):
    order_id = place(approving, actor="slack:T1:U1")
    request(approving, order_id, by="slack:T1:U1")
    wait_until(lambda: find(approving, order_id))
    data = {"order_id": order_id, "decided_by": "slack:T1:U2", "reason": ""}
    send(approving, "E2", f"approval.{kind}", data)
    body = approving.slack.wait_for("chat.postMessage", 2)[1].body
    assert (body["channel"], body["text"].startswith(text)) == ("D-U1", True)


def test_request_of_a_form_is_left_to_the_form(approving: Workspace):
    order_id = place(approving, actor="slack:T1:U1", client_order_id="T1:V1:0")
    request(approving, order_id, by="slack:T1:U1")
    services = approving.bot.services
    approving.oms.wait_for("get_order")
    recover_orders(services, time.time())
    assert posted(approving) == []
    recover_orders(services, time.time() + 6)  # the bot of the form was killed
    wait_until(lambda: find(approving, order_id))
    assert len(posted(approving)) == 1


def test_request_is_posted_later_if_the_oms_fails_or_the_bot_is_killed(approving: Workspace, monkeypatch):
    services, order_id = approving.bot.services, place(approving)
    approving.oms.script("get_order", Answer(500))
    request(approving, order_id)
    approving.oms.wait_for("get_order")
    with monkeypatch.context() as killed:
        killed.setattr(services.outbox, "put", lambda *_, **__: None)
        recover_orders(services, time.time())
    services.storage.database.execute("UPDATE pending_orders SET owner = 'dead'")
    recover_orders(services, time.time())
    wait_until(lambda: find(approving, order_id))
    assert len(posted(approving)) == 1


def test_request_that_slack_has_is_not_posted_again_after_a_crash(approving: Workspace):
    services, order_id = approving.bot.services, place(approving)
    request(approving, order_id)
    wait_until(lambda: find(approving, order_id))
    row = services.storage.database.execute("SELECT ts FROM order_messages")[0]
    services.storage.database.execute("DELETE FROM order_messages")
    metadata = posted(approving)[0]["metadata"]
    history = {"ok": True, "messages": [{"ts": row[0], "metadata": metadata}]}
    approving.slack.always["conversations.history"] = Answer(body=history)
    services.storage.database.execute(
        """INSERT INTO pending_orders
        (key, submitted_at, team, "user", channel, request_id, order_text, state, owner)
        VALUES (?, 1.0, 'T1', '', 'C-APPROVERS', 'E1', '', 'posting', 'dead')""",
        f"approval:{order_id}",
    )
    recover_orders(services, time.time())
    assert find(approving, order_id).ts == row[0]
    assert len(posted(approving)) == 1


def test_nothing_is_posted_without_a_channel_or_for_another_workspace(workspace: Workspace):
    order_id = place(workspace)
    request(workspace, order_id)
    object.__setattr__(workspace.bot.services, "trading_channel", "C9")
    request(workspace, order_id, by="slack:T2:U1", event_id="E2")
    assert workspace.oms.named("get_order") == []
    request(workspace, order_id, event_id="E3")
    assert workspace.slack.wait_for("chat.postMessage")[0].body["channel"] == "C9"


def test_message_of_a_change_follows_the_order_after_a_crash(workspace: Workspace):
    services, orders = workspace.bot.services, workspace.oms.orders
    previous = orders.add(TICKET | {"client_order_id": "T1:V1:0"}, "slack:T1:U1")
    successor = orders.add(TICKET | {"client_order_id": "T1:V2:0"}, "slack:T1:U1", replaces=previous["id"])
    orders.move(previous["id"], "REPLACED", "slack:T1:U1")
    previous["replaced_by"] = successor["id"]
    services.order_messages.save(OrderMessage(previous["id"], MessageKind.ORDER, "C1", "5.0", "T1", "U1"))
    services.storage.database.execute(
        """INSERT INTO pending_orders
        (key, submitted_at, team, "user", channel, request_id, order_text, state, owner)
        VALUES ('T1:V2:0', 1.0, 'T1', 'U1', 'C1', 'req-1', '', 'submitted', 'dead')"""
    )
    recover_orders(services, 30.0)
    edited = workspace.slack.wait_for("chat.update")[0].body
    assert (edited["channel"], edited["ts"]) == ("C1", "5.0")
    wait_until(lambda: services.order_messages.find(successor["id"], MessageKind.ORDER))
    order_message = services.order_messages.find(successor["id"], MessageKind.ORDER)
    assert order_message is not None
    assert order_message.ts == "5.0"
    assert not services.storage.database.execute("SELECT key FROM pending_orders")
    assert all("thread_ts" in item and item["thread_ts"] for item in posted(workspace))
