"""Requests for approval: posted to the approvers, decided once, never by the person who placed the order."""

from dataclasses import replace

import pytest

from app.delivery.posted_messages import MessageKind
from app.services.orders.messages import refresh_order
from support.conditions import wait_until
from tests import factories
from tests.conftest import Workspace
from tests.fakes import build_problem
from tests.handlers.message_buttons import click_button, list_buttons
from tests.limits import check_message, check_view
from tests.order_factories import build_order_state

ESTIMATE = {
    "price": "410.00", "value": "20500.00", "charges": "1.20", "cash_after": "79498.80",
    "position_after": "50", "gross_exposure": "0.00", "net_exposure": "0.00", "equity": "100000.00",
}  # fmt: skip


@pytest.fixture
def order_id(workspace: Workspace):
    """Place an order that waits for approval."""
    workspace.oms.instruments["MSFT"] = "Microsoft"
    workspace.oms.orders.next_status = "AWAITING_APPROVAL"
    object.__setattr__(workspace.bot.services, "approvals_channel", "C-APPROVERS")
    workspace.submit(build_order_state(type="LIMIT", limit_price="410"), callback_id="order_form")
    workspace.slack.wait_for("chat.postMessage", 2)
    (placed,) = workspace.oms.orders.orders
    store = workspace.bot.services.posted_messages
    wait_until(lambda: all(store.find(placed, kind) for kind in (MessageKind.ORDER, MessageKind.APPROVAL)))
    return placed


def get_approval_request(workspace: Workspace):
    posted = workspace.slack.list_requests("chat.postMessage")
    return next(call.body for call in posted if call.body["channel"] == "C-APPROVERS")


def submit_decision(workspace: Workspace, view, by="U2", reason="Within the mandate"):
    values = {"decision_reason": {"decision_reason_entry": {"type": "plain_text_input", "value": reason}}}
    return workspace.submit(
        values, by=by, callback_id="decision_form", private_metadata=view["private_metadata"]
    )


def open_decision(workspace: Workspace, order_id, action="approval_approve", by="U2"):
    click_button(workspace, action, order_id, by=by, channel="C-APPROVERS")
    return workspace.slack.wait_for("views.update")[-1].body["view"]


def test_request_is_posted_in_the_approvers_channel(workspace: Workspace, order_id):
    request = get_approval_request(workspace)
    check_message(request["text"], request["blocks"])
    assert "*Approval needed*: BUY 50 MSFT limit 410.00 DAY in Growth" in request["text"]
    assert "Requested by <@U1>" in request["text"]
    assert list_buttons(request) == ["Approve", "Reject"]


def build_waiting(workspace: Workspace, order_id, price, estimate):
    """Return the order as the OMS lists it for its approvers, with the price and the estimates now."""
    return {
        "order": workspace.oms.orders.orders[order_id], "rule": "always", "requested_by": "slack:T1:U1",
        "requested_at": "2026-11-29T10:00:00Z", "expires_at": "2026-11-29T10:30:00Z",
        "approvers": ["role:approver"], "price_seen": "410.00", "price": price, "max_move_percent": "1",
        "then": ESTIMATE, "now": estimate, "denial": None,
        "override_of": None, "waived": None, "reason": None,
    }  # fmt: skip


def test_form_shows_the_estimates_then_and_now(workspace: Workspace, order_id):
    current = ESTIMATE | {"value": "20600.00", "charges": None}
    workspace.oms.orders.waiting = [build_waiting(workspace, order_id, "412.00", current)]
    view = open_decision(workspace, order_id)
    check_view(view)
    text = view["blocks"][0]["text"]["text"]
    assert "Market price: 410.00 when it was placed, *412.00 now*" in text
    assert "Value: 20,500.00 when it was placed, *20,600.00 now*" in text
    assert "Charges: 1.20 when it was placed, *unknown now*" in text
    assert "Equity: 100,000.00, unchanged" in text


def test_form_reports_an_unchanged_order_once(workspace: Workspace, order_id):
    workspace.oms.orders.waiting = [build_waiting(workspace, order_id, "410.00", ESTIMATE)]
    text = open_decision(workspace, order_id)["blocks"][0]["text"]["text"]
    assert "Unchanged since it was placed:\nMarket price: 410.00\n" in text
    assert text.endswith("Equity: 100,000.00")


def test_approval_notifies_the_requester_and_closes_the_request(workspace: Workspace, order_id):
    assert submit_decision(workspace, open_decision(workspace, order_id)) == {"response_action": "clear"}
    sent = workspace.oms.list_requests("approve")[0]
    assert (sent.body, sent.headers["x-on-behalf-of"]) == ({"reason": "Within the mandate"}, "slack:T1:U2")
    thread = workspace.slack.wait_for("chat.postMessage", 3)[2].body
    assert thread["text"] == "<@U1>, your order was approved by <@U2>: Within the mandate"
    closed = next(
        call.body
        for call in workspace.slack.wait_for("chat.update", 2)
        if call.body["channel"] == "C-APPROVERS"
    )
    assert "*Approved by <@U2>*: Within the mandate" in closed["text"]
    assert list_buttons(closed) == []


def test_rejection_requires_and_shows_a_reason(workspace: Workspace, order_id):
    view = open_decision(workspace, order_id, "approval_reject")
    assert "optional" not in view["blocks"][1]
    submit_decision(workspace, view, reason="Too large today")
    assert (
        "was rejected by <@U2>: Too large today"
        in workspace.slack.wait_for("chat.postMessage", 3)[2].body["text"]
    )


def test_user_cannot_approve_their_own_order(workspace: Workspace, order_id):
    body = submit_decision(workspace, open_decision(workspace, order_id, by="U1"), by="U1")
    assert f"You placed order {order_id} yourself." in body["view"]["blocks"][0]["text"]["text"]
    assert workspace.oms.orders.orders[order_id]["status"] == "AWAITING_APPROVAL"


def test_second_approver_sees_the_first_decision(workspace: Workspace, order_id):
    first, second = open_decision(workspace, order_id), open_decision(workspace, order_id, by="U3")
    submit_decision(workspace, first)
    body = submit_decision(workspace, second, by="U3")
    check_view(body["view"])
    assert "already approved by slack:T1:U2" in body["view"]["blocks"][0]["text"]["text"]


def test_moved_price_is_shown_and_confirmed_by_approving_again(workspace: Workspace, order_id):
    price_moved = build_problem(409, "The price has moved.", kind="price-moved")
    price_moved.body |= {"price_seen": "410.00", "price": "421.00", "max_move_percent": "1"}
    workspace.oms.queue_responses("approve", price_moved)
    view = submit_decision(workspace, open_decision(workspace, order_id))["view"]
    check_view(view)
    assert "from 410.00 to 421.00" in view["blocks"][0]["text"]["text"]
    assert submit_decision(workspace, view) == {"response_action": "clear"}
    first, second = workspace.oms.list_requests("approve")
    assert second.body["price_seen"] == "421.00"
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]


def test_person_of_another_workspace_decides_nothing(workspace: Workspace, order_id):
    payload = factories.build_interaction(
        "block_actions", channel={"id": "C1"}, message={"ts": "1.0", "text": "x", "blocks": []},
        user={"id": "U2", "team_id": "T2"},
        actions=[{"type": "button", "action_id": "approval_approve", "value": order_id}],
    )  # fmt: skip
    workspace.deliver(payload)
    assert workspace.slack.list_requests("views.open") == []
    assert workspace.oms.list_requests("approve") == []


def test_form_that_opens_too_late_is_reported_to_its_user(workspace: Workspace, order_id):
    workspace.slack.refuse("views.open", "expired_trigger_id")
    click_button(workspace, "approval_approve", order_id, by="U2", channel="C-APPROVERS")
    text = workspace.slack.wait_for("respond")[0].body["text"]
    assert text == "The form could not be opened in time. Please click again."


def test_slow_decision_gets_a_response_in_time_and_shown_later(workspace: Workspace, order_id):
    view = open_decision(workspace, order_id)
    object.__setattr__(workspace.bot.services, "waits", replace(workspace.bot.services.waits, submission=0.1))
    price_moved = build_problem(409, "The price has moved.", kind="price-moved")
    price_moved.body |= {"price_seen": "410.00", "price": "421.00"}
    price_moved.slow = 1.0
    workspace.oms.queue_responses("approve", price_moved)
    body = submit_decision(workspace, view)
    check_view(body["view"])
    assert body["view"]["title"]["text"] == "Working…"
    shown = workspace.slack.wait_for("views.update", 2)[-1].body["view"]
    assert "from 410.00 to 421.00" in shown["blocks"][0]["text"]["text"]


def test_changed_order_closes_its_request(workspace: Workspace, order_id):
    orders = workspace.oms.orders
    successor = orders.add(orders.orders[order_id] | {"limit_price": "409"}, "slack:T1:U1")
    orders.orders[order_id]["replaced_by"] = successor["id"]
    orders.move(order_id, "REPLACED", "slack:T1:U1")
    refresh_order(workspace.bot.services, order_id, "req-1")
    edited = [call.body for call in workspace.slack.wait_for("chat.update", 2)]
    closed = next(item for item in edited if item["channel"] == "C-APPROVERS")
    assert "*Changed by <@U1>*" in closed["text"]
    assert list_buttons(closed) == []
