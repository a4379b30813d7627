"""Orders that programs and signals placed are put to the approvers in Slack."""

import time

import pytest

from app.delivery.posted_messages import MessageKind, PostedMessage
from app.events.registry import Event
from app.services.orders.messages import refresh_open_orders
from app.services.orders.recovery import recover_orders
from support.conditions import wait_until
from tests.conftest import Workspace
from tests.fakes import Response
from tests.limits import check_message
from tests.services.orders.pending_orders import ORDER_BODY


@pytest.fixture
def approval_workspace(workspace: Workspace):
    object.__setattr__(workspace.bot.services, "approvals_channel", "C-APPROVERS")
    return workspace


def place_order(workspace: Workspace, actor="", client_order_id="s-1"):
    """Place an order over the API. It waits for approval."""
    orders = workspace.oms.orders
    order = orders.add(ORDER_BODY | {"client_order_id": client_order_id}, actor)
    orders.move(order["id"], "AWAITING_APPROVAL", actor)
    return str(order["id"])


def announce_approval_request(workspace: Workspace, order_id, by="key:strategy-1", event_id="E1"):
    payload = {"order_id": order_id, "requested_by": by, "approvers": ["role:risk"], "expires_at": ""}
    send_event(workspace, event_id, "approval.requested", payload)


def send_event(workspace: Workspace, event_id, event_type, payload):
    assert workspace.bot.receiver.handle_once(Event(event_id, event_type, "2026-11-29T10:00:00Z", payload))


def find_message(workspace: Workspace, order_id):
    return workspace.bot.services.posted_messages.find(order_id, MessageKind.APPROVAL)


def list_posts(workspace: Workspace):
    return [call.body for call in workspace.slack.list_requests("chat.postMessage")]


def test_order_of_a_program_is_posted_to_the_approvers_once(approval_workspace: Workspace):
    order_id = place_order(approval_workspace)
    announce_approval_request(approval_workspace, order_id)
    wait_until(lambda: find_message(approval_workspace, order_id))
    announce_approval_request(approval_workspace, order_id, event_id="E2")
    recover_orders(approval_workspace.bot.services, time.time() + 60)
    approval_workspace.bot.services.send_queue.close(60.0)
    (message,) = list_posts(approval_workspace)
    check_message(message["text"], message["blocks"])
    assert message["channel"] == "C-APPROVERS"
    assert "*Approval needed*: BUY 50 MSFT" in message["text"]
    assert "Requested by strategy-1" in message["text"]
    assert message["metadata"]["event_type"] == "approval_request"
    (read,) = {
        call.headers.get("x-on-behalf-of", "") for call in approval_workspace.oms.list_requests("get_order")
    }
    assert read == "", "read with the key of the bot: nobody in Slack has placed it"


@pytest.mark.parametrize(
    ("status", "actor", "outcome"),
    [
        ("ACCEPTED", "slack:T1:U2", "*Approved by <@U2>*"),
        ("DENIED", "slack:T1:U2", "*Rejected by <@U2>*"),
        ("EXPIRED", "clock", "*Expired*"),
        ("CANCELED", "key:strategy-1", "*Canceled by key:strategy-1*"),
    ],
)
def test_request_shows_how_it_ended(approval_workspace: Workspace, status, actor, outcome):
    order_id = place_order(approval_workspace)
    announce_approval_request(approval_workspace, order_id)
    wait_until(lambda: find_message(approval_workspace, order_id))
    approval_workspace.oms.orders.move(order_id, status, actor)
    send_event(approval_workspace, "E2", f"order.{status.lower()}", {"order_id": order_id})
    edited = approval_workspace.slack.wait_for("chat.update")[0].body
    assert edited["channel"] == "C-APPROVERS"
    assert edited["text"].startswith(outcome)
    assert all(block["type"] != "actions" for block in edited["blocks"])
    wait_until(lambda: not find_message(approval_workspace, order_id).is_open)


def test_decision_whose_event_is_lost_is_shown_by_the_refresh(approval_workspace: Workspace):
    order_id = place_order(approval_workspace)
    announce_approval_request(approval_workspace, order_id)
    wait_until(lambda: find_message(approval_workspace, order_id))
    approval_workspace.oms.orders.move(order_id, "ACCEPTED", "slack:T1:U2")
    refresh_open_orders(approval_workspace.bot.services)
    assert approval_workspace.slack.wait_for("chat.update")[0].body["text"].startswith("*Approved by <@U2>*")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("granted", "*Approved:* your order"),
        ("rejected", "*Not approved:*"),
        ("expired", "*Expired:* nobody"),
    ],
)
def test_requester_in_slack_is_notified(approval_workspace: Workspace, kind, text):
    order_id = place_order(approval_workspace, actor="slack:T1:U1")
    announce_approval_request(approval_workspace, order_id, by="slack:T1:U1")
    wait_until(lambda: find_message(approval_workspace, order_id))
    payload = {"order_id": order_id, "decided_by": "slack:T1:U2", "reason": ""}
    send_event(approval_workspace, "E2", f"approval.{kind}", payload)
    body = approval_workspace.slack.wait_for("chat.postMessage", 2)[1].body
    assert body["channel"] == "D-U1"
    assert body["text"].startswith(text)


def test_request_of_a_form_is_left_to_the_form(approval_workspace: Workspace):
    order_id = place_order(approval_workspace, actor="slack:T1:U1", client_order_id="T1:V1:0")
    announce_approval_request(approval_workspace, order_id, by="slack:T1:U1")
    services = approval_workspace.bot.services
    approval_workspace.oms.wait_for("get_order")
    recover_orders(services, time.time())
    assert list_posts(approval_workspace) == []
    recover_orders(services, time.time() + 6)  # the bot of the form was killed
    wait_until(lambda: find_message(approval_workspace, order_id))
    assert len(list_posts(approval_workspace)) == 1


def test_request_is_posted_later_if_the_oms_fails_or_the_bot_is_killed(
    approval_workspace: Workspace, monkeypatch
):
    services, order_id = approval_workspace.bot.services, place_order(approval_workspace)
    approval_workspace.oms.queue_responses("get_order", Response(500))
    announce_approval_request(approval_workspace, order_id)
    approval_workspace.oms.wait_for("get_order")
    with monkeypatch.context() as killed:
        killed.setattr(services.send_queue, "put", lambda *_, **__: None)
        recover_orders(services, time.time())
    services.storage.database.execute("UPDATE pending_orders SET owner = 'dead'")
    recover_orders(services, time.time())
    wait_until(lambda: find_message(approval_workspace, order_id))
    assert len(list_posts(approval_workspace)) == 1


def test_request_that_slack_has_is_not_posted_again_after_a_crash(approval_workspace: Workspace):
    services, order_id = approval_workspace.bot.services, place_order(approval_workspace)
    announce_approval_request(approval_workspace, order_id)
    wait_until(lambda: find_message(approval_workspace, order_id))
    row = services.storage.database.execute("SELECT ts FROM order_messages")[0]
    services.storage.database.execute("DELETE FROM order_messages")
    metadata = list_posts(approval_workspace)[0]["metadata"]
    history = {"ok": True, "messages": [{"ts": row[0], "metadata": metadata}]}
    approval_workspace.slack.default_responses["conversations.history"] = Response(body=history)
    services.storage.database.execute(
        """INSERT INTO pending_orders
        (key, submitted_at, team, "user", channel, request_id, order_text, state, owner)
        VALUES (?, 1.0, 'T1', '', 'C-APPROVERS', 'E1', '', 'posting', 'dead')""",
        f"approval:{order_id}",
    )
    recover_orders(services, time.time())
    assert find_message(approval_workspace, order_id).ts == row[0]
    assert len(list_posts(approval_workspace)) == 1


def test_nothing_is_posted_without_a_channel_or_for_another_workspace(workspace: Workspace):
    order_id = place_order(workspace)
    announce_approval_request(workspace, order_id)
    object.__setattr__(workspace.bot.services, "trading_channel", "C9")
    announce_approval_request(workspace, order_id, by="slack:T2:U1", event_id="E2")
    assert workspace.oms.list_requests("get_order") == []
    announce_approval_request(workspace, order_id, event_id="E3")
    assert workspace.slack.wait_for("chat.postMessage")[0].body["channel"] == "C9"


def test_message_of_a_change_follows_the_order_after_a_crash(workspace: Workspace):
    services, orders = workspace.bot.services, workspace.oms.orders
    previous = orders.add(ORDER_BODY | {"client_order_id": "T1:V1:0"}, "slack:T1:U1")
    successor = orders.add(
        ORDER_BODY | {"client_order_id": "T1:V2:0"}, "slack:T1:U1", replaces=previous["id"]
    )
    orders.move(previous["id"], "REPLACED", "slack:T1:U1")
    previous["replaced_by"] = successor["id"]
    services.posted_messages.save(PostedMessage(previous["id"], MessageKind.ORDER, "C1", "5.0", "T1", "U1"))
    services.storage.database.execute(
        """INSERT INTO pending_orders
        (key, submitted_at, team, "user", channel, request_id, order_text, state, owner)
        VALUES ('T1:V2:0', 1.0, 'T1', 'U1', 'C1', 'req-1', '', 'submitted', 'dead')"""
    )
    recover_orders(services, 30.0)
    edited = workspace.slack.wait_for("chat.update")[0].body
    assert edited["channel"] == "C1"
    assert edited["ts"] == "5.0"
    wait_until(lambda: services.posted_messages.find(successor["id"], MessageKind.ORDER))
    order_message = services.posted_messages.find(successor["id"], MessageKind.ORDER)
    assert order_message is not None
    assert order_message.ts == "5.0"
    assert not services.storage.database.execute("SELECT key FROM pending_orders")
    assert all("thread_ts" in item and item["thread_ts"] for item in list_posts(workspace))
