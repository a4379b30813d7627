"""A restart in the middle of an order loses no message."""

import time
from dataclasses import replace

import pytest

from app.delivery.pending_orders import PendingOrderStore, PendingState
from app.delivery.posted_messages import MessageKind
from app.forms.portfolio_values import PositionKey
from app.services.notifications.delivery import deliver_notifications
from app.services.orders.closes import CLOSE_PREFIX
from app.services.orders.recovery import recover_orders
from app.storage.connection import open_database
from app.storage.storage import create_storage
from support.conditions import wait_until
from tests.conftest import Workspace
from tests.fake_orders import build_denial_json
from tests.fakes import Response
from tests.order_factories import build_order_state
from tests.services.orders.pending_orders import ORDER_BODY, ORDER_KEY, PENDING_ORDER


def add_pending_order(workspace: Workspace, status="ACCEPTED"):
    orders = workspace.oms.orders
    order = orders.add(ORDER_BODY | {"client_order_id": ORDER_KEY}, "slack:T1:U1")
    orders.move(order["id"], status, "slack:T1:U1")
    return order["id"]


def test_order_without_a_message_gets_it_after_the_restart(workspace: Workspace):
    add_pending_order(workspace)
    workspace.bot.services.pending_orders.add(PENDING_ORDER)
    recover_orders(workspace.bot.services, 1330.0)
    posted = workspace.slack.wait_for("chat.postMessage")[0].body
    assert posted["channel"] == "C1"
    assert "BUY 50 MSFT" in posted["text"]
    wait_until(lambda: not workspace.bot.services.pending_orders.list_unresolved())
    recover_orders(workspace.bot.services, 1335.0)
    workspace.bot.services.send_queue.close(60.0)
    assert len(workspace.slack.list_requests("chat.postMessage")) == 1


def test_interrupted_post_is_repeated_with_a_note(workspace: Workspace):
    add_pending_order(workspace)
    workspace.bot.services.pending_orders.add(replace(PENDING_ORDER, state=PendingState.INTERRUPTED))
    recover_orders(workspace.bot.services, 1330.0)
    assert "you may see it twice" in workspace.slack.wait_for("chat.postMessage")[0].body["text"]


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("", "no record of BUY 50 MSFT in Growth"),
        (
            "DENIED",
            "*Denied.* BUY 50 MSFT in Growth: An order may have at most 40 units. Nothing was traded.",
        ),
    ],
)
def test_order_that_was_not_placed_is_reported_to_its_user_with_the_reason(
    workspace: Workspace, status, text
):
    if status:
        order_id = add_pending_order(workspace, status)
        workspace.oms.orders.orders[order_id]["denial"] = build_denial_json()
    workspace.bot.services.pending_orders.add(PENDING_ORDER)
    recover_orders(workspace.bot.services, 1330.0)
    body = workspace.slack.wait_for("chat.postMessage")[0].body
    assert body["channel"] == "D-U1"
    assert text in body["text"]
    assert workspace.bot.services.pending_orders.list_unresolved() == []


def test_notice_survives_a_bot_that_is_killed_before_it_sends_it(workspace: Workspace, monkeypatch):
    services = workspace.bot.services
    monkeypatch.setattr(services.send_queue, "put", lambda *_, **__: None)  # the bot is killed first
    services.pending_orders.add(PENDING_ORDER)
    recover_orders(services, 1330.0)
    assert services.pending_orders.list_unresolved() == []
    clock = time.time
    monkeypatch.setattr("app.services.notifications.delivery.time.time", lambda: clock() + 31)
    deliver_notifications(services)
    (call,) = workspace.slack.list_requests("chat.postMessage")
    assert call.body["channel"] == "D-U1"
    assert "no record of BUY 50 MSFT" in call.body["text"]


def test_request_for_approval_survives_a_bot_that_is_killed_before_it_posts_it(
    workspace: Workspace, monkeypatch
):
    services, order_id = workspace.bot.services, add_pending_order(workspace, "AWAITING_APPROVAL")
    services.pending_orders.add(PENDING_ORDER)
    with monkeypatch.context() as killed:
        killed.setattr(services.send_queue, "put", lambda *_, **__: None)
        recover_orders(services, 1330.0)
    services.storage.database.execute("UPDATE pending_orders SET owner = 'dead'")
    for _ in range(2):
        recover_orders(services, 1335.0)
    texts = [call.body["text"] for call in workspace.slack.wait_for("chat.postMessage", 2)]
    assert sum(text.startswith("*Approval needed*") for text in texts) == 1
    wait_until(lambda: not services.storage.database.execute("SELECT key FROM pending_orders"))
    services.send_queue.close(60.0)
    assert len(workspace.slack.list_requests("chat.postMessage")) == 2
    assert services.posted_messages.find(order_id, MessageKind.APPROVAL) is not None


def test_message_of_a_close_is_posted_after_a_restart(workspace: Workspace):
    orders, services = workspace.oms.orders, workspace.bot.services
    ticket = ORDER_BODY | {"side": "SELL", "client_order_id": "of-the-oms"}
    orders.move(orders.add(ticket, "slack:T1:U1")["id"], "FILLED", "slack:T1:U1")
    key = f"{CLOSE_PREFIX}{ORDER_KEY}|{PositionKey('Growth', 'MSFT').dump()}"
    services.pending_orders.add(replace(PENDING_ORDER, key=key))
    recover_orders(services, 1330.0)
    assert "SELL 50 MSFT" in workspace.slack.wait_for("chat.postMessage")[0].body["text"]
    wait_until(lambda: not services.pending_orders.list_unresolved())


def test_oms_has_time_to_record_an_order(workspace: Workspace):
    workspace.bot.services.pending_orders.add(PENDING_ORDER)
    recover_orders(workspace.bot.services, 1050.0)
    workspace.oms.default_responses["find_order"] = Response(500)
    recover_orders(workspace.bot.services, 1330.0)
    assert workspace.slack.list_requests("chat.postMessage") == []
    assert workspace.bot.services.pending_orders.list_unresolved() == [PENDING_ORDER]


def test_placed_order_and_a_denied_one_leave_nothing_pending(workspace: Workspace):
    services = workspace.bot.services
    workspace.oms.instruments["MSFT"] = "Microsoft"
    workspace.submit(build_order_state(), callback_id="order_form")
    workspace.slack.wait_for("chat.postMessage")
    wait_until(lambda: not services.storage.database.execute("SELECT key FROM pending_orders"))


def test_rows_of_an_earlier_process_are_adopted(tmp_path):
    url = f"sqlite:///{tmp_path / 'bot.db'}"
    first = create_storage(open_database(url))
    store = PendingOrderStore(first)
    now = time.time()
    store.add(replace(PENDING_ORDER, key="a", submitted_at=now, state=PendingState.SUBMITTED))
    store.add(replace(PENDING_ORDER, key="b", submitted_at=now + 1, state=PendingState.POSTING))
    assert store.list_unresolved() == []
    first.database.close()
    second = create_storage(open_database(url))
    states = [
        (pending_order.key, pending_order.state)
        for pending_order in PendingOrderStore(second).list_unresolved()
    ]
    assert states == [("a", PendingState.UNKNOWN), ("b", PendingState.INTERRUPTED)]
    second.close()
