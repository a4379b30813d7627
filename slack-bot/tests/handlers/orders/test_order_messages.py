"""One order, one message: changes edit it and add a line to its thread; its buttons act on the order."""

import itertools

import pytest

from app.delivery.posted_messages import MessageKind, PostedMessage, PostedMessageStore
from app.events.registry import Event
from app.services.orders.messages import refresh_open_orders
from app.storage.connection import open_database
from app.storage.storage import create_storage
from support.conditions import wait_until
from tests import factories
from tests.conftest import WAITS, Workspace, close_bot, create_test_bot
from tests.fakes import build_problem
from tests.handlers.message_buttons import click_button, list_buttons
from tests.limits import check_message, check_view
from tests.order_factories import build_order_state

LIMIT = build_order_state(type="LIMIT", limit_price="410", time_in_force="GTC", stop_loss="395")

NUMBERS = itertools.count(1)


@pytest.fixture
def order_id(workspace: Workspace):
    """Place an order, and wait for its message."""
    workspace.oms.instruments["MSFT"] = "Microsoft"
    assert workspace.submit(LIMIT, callback_id="order_form") == {"response_action": "clear"}
    workspace.slack.wait_for("chat.postMessage")
    (placed,) = workspace.oms.orders.orders
    wait_until(lambda: find_row(workspace, placed))
    return placed


def find_row(workspace: Workspace, order_id, kind=MessageKind.ORDER):
    return workspace.bot.services.posted_messages.find(order_id, kind)


def send_change(workspace: Workspace, **payload):
    event = Event(f"E{next(NUMBERS)}", "order.changed", "2026-11-29T10:00:00.000000Z", payload)
    assert workspace.bot.receiver.handle_once(event)


def test_fill_edits_the_message_and_adds_one_line_to_its_thread(workspace: Workspace, order_id):
    workspace.oms.orders.fill(order_id, "20", "409.95")
    send_change(workspace, order_id=order_id)
    edited = workspace.slack.wait_for("chat.update")[0].body
    check_message(edited["text"], edited["blocks"])
    assert edited["channel"] == "C1"
    assert edited["ts"] == "1.0"
    assert "Status: *Partially filled* · filled 20 of 50 at 409.95" in edited["text"]
    assert list_buttons(edited) == ["Cancel", "Change", "Close position"]
    line = workspace.slack.wait_for("chat.postMessage", 2)[1].body
    assert line["thread_ts"] == "1.0"
    assert line["text"] == "Filled 20 at 409.95"


def test_same_event_twice_changes_nothing_more(workspace: Workspace, order_id):
    workspace.oms.orders.fill(order_id, "20", "409.95")
    send_change(workspace, order_id=order_id)
    wait_until(lambda: find_row(workspace, order_id).sequence == 2)
    send_change(workspace, order_id=order_id)
    refresh_open_orders(workspace.bot.services)
    workspace.oms.wait_for("get_order", 4)
    workspace.bot.services.send_queue.close(60.0)
    assert len(workspace.slack.list_requests("chat.update")) == 1
    assert len(workspace.slack.list_requests("chat.postMessage")) == 2


def test_refresh_finds_changes_without_an_event(workspace: Workspace, order_id):
    workspace.oms.orders.move(order_id, "EXPIRED", "calendar")
    refresh_open_orders(workspace.bot.services)
    edited = workspace.slack.wait_for("chat.update")[0].body
    assert list_buttons(edited) == ["Trade again"]
    assert workspace.slack.wait_for("chat.postMessage", 2)[1].body["text"] == "Expired"


def test_exit_is_reported_in_the_thread_of_its_order(workspace: Workspace, order_id):
    order = workspace.oms.orders.orders[order_id]
    workspace.oms.orders.fill(order_id, "50", "410.00")
    order["legs"][0] |= {"status": "FILLED", "filled_quantity": "50", "average_price": "394.90"}
    send_change(workspace, order_id=order["legs"][0]["id"], parent_id=order_id)
    lines = workspace.slack.wait_for("chat.postMessage", 2)[1].body["text"]
    assert lines == "Filled 50 at 410.00\nStop loss stop 395.00: Filled 50 at 394.90"


def test_cancel_strips_the_buttons_at_once_and_shows_who_canceled(workspace: Workspace, order_id):
    click_button(workspace, "order_cancel", order_id, by="U2")
    first, last = workspace.slack.wait_for("chat.update", 2)
    assert list_buttons(first.body) == []
    assert "Canceling…" in first.body["blocks"][-1]["text"]["text"]
    assert "Status: *Canceled*" in last.body["text"]
    assert workspace.oms.list_requests("cancel_order")[0].headers["x-on-behalf-of"] == "slack:T1:U2"
    assert workspace.slack.wait_for("chat.postMessage", 2)[1].body["text"] == "Canceled by <@U2>"


def test_late_cancel_is_reported_privately_and_restores_the_buttons(workspace: Workspace, order_id):
    workspace.oms.orders.fill(order_id, "50", "410.00")
    click_button(workspace, "order_cancel", order_id)
    body = workspace.slack.wait_for("respond")[0].body
    assert body["response_type"] == "ephemeral"
    assert f"Order {order_id} is FILLED" in body["text"]
    assert list_buttons(workspace.slack.wait_for("chat.update", 2)[-1].body) == [
        "Close position",
        "Trade again",
    ]


def test_user_without_trading_rights_cannot_cancel(workspace: Workspace, order_id):
    workspace.oms.queue_responses("cancel_order", build_problem(403, "Not allowed.", kind="forbidden"))
    click_button(workspace, "order_cancel", order_id, by="U9")
    assert (
        "Your role at this desk does not include trading"
        in workspace.slack.wait_for("respond")[0].body["text"]
    )


def test_repeated_delivery_of_a_click_acts_once(workspace: Workspace, order_id):
    payload = factories.build_interaction(
        "block_actions", channel={"id": "C1"}, message={"ts": "1.0", "text": "x", "blocks": []},
        response_url=workspace.slack.response_url,
        actions=[{"type": "button", "action_id": "order_cancel", "value": order_id}],
    )  # fmt: skip
    for _ in range(3):
        workspace.deliver(payload)
    workspace.slack.wait_for("chat.update", 2)
    assert len(workspace.oms.list_requests("cancel_order")) == 1


def test_form_of_a_change_has_the_terms_and_sends_only_changed_fields(workspace: Workspace, order_id):
    click_button(workspace, "order_change", order_id)
    opened = workspace.slack.wait_for("views.update")[0].body["view"]
    check_view(opened)
    assert opened["submit"]["text"] == "Change order"
    ids = [block["block_id"] for block in opened["blocks"]]
    assert ids == ["fixed_terms", "quantity", "limit_price", "time_in_force", "reason"]
    shown = {name: build_order_state(limit_price="409.5", time_in_force="GTC")[name] for name in ids[1:]}
    response = workspace.submit(
        shown,
        callback_id="order_form",
        private_metadata=opened["private_metadata"],
        id="V7",
        root_view_id="V7",
    )
    assert response == {"response_action": "clear"}
    changed = workspace.oms.list_requests("replace_order")[0]
    assert changed.body == {"limit_price": "409.5", "client_order_id": "T1:V7:0"}
    edited = workspace.slack.wait_for("chat.update")[0].body
    assert "limit 409.50" in edited["text"]
    assert edited["channel"] == "C1"
    assert edited["ts"] == "1.0"
    line = workspace.slack.wait_for("chat.postMessage", 2)[1].body
    assert line["thread_ts"] == "1.0"
    assert line["text"] == "Changed by <@U1>"

    successor = list(workspace.oms.orders.orders)[-1]
    wait_until(lambda: find_row(workspace, successor))
    workspace.oms.orders.fill(successor, "50", "409.50")
    send_change(workspace, order_id=successor)
    assert workspace.slack.wait_for("chat.postMessage", 3)[2].body["thread_ts"] == "1.0"


def test_change_without_a_difference_is_refused(workspace: Workspace, order_id):
    click_button(workspace, "order_change", order_id)
    opened = workspace.slack.wait_for("views.update")[0].body["view"]
    names = ("quantity", "limit_price", "time_in_force", "reason")
    same = {name: build_order_state(limit_price="410", time_in_force="GTC")[name] for name in names}
    body = workspace.submit(
        same,
        callback_id="order_form",
        private_metadata=opened["private_metadata"],
        id="V7",
        root_view_id="V7",
    )
    assert "Nothing was changed" in body["view"]["blocks"][0]["text"]["text"]
    assert workspace.oms.list_requests("replace_order") == []


def test_final_order_cannot_be_changed(workspace: Workspace, order_id):
    workspace.oms.orders.fill(order_id, "50", "410.00")
    click_button(workspace, "order_change", order_id)
    view = workspace.slack.wait_for("views.update")[0].body["view"]
    assert "no longer open" in view["blocks"][0]["text"]["text"]


def test_close_posts_the_closing_order_and_a_second_click_closes_nothing(workspace: Workspace, order_id):
    workspace.oms.orders.fill(order_id, "50", "410.00")
    click_button(workspace, "order_close", order_id)
    posted = workspace.slack.wait_for("chat.postMessage", 2)
    closing = next(call.body for call in posted if "SELL 50 MSFT market" in call.body["text"])
    assert closing["channel"] == "C1"
    assert "thread_ts" not in closing
    assert list_buttons(closing) == ["Trade again"]
    click_button(workspace, "order_close", order_id)
    assert "being closed already" in workspace.slack.wait_for("respond")[0].body["text"]
    assert len(workspace.oms.list_requests("close_position")) == 1


def test_close_that_the_oms_refused_can_be_clicked_again_at_once(workspace: Workspace, order_id):
    workspace.oms.orders.fill(order_id, "50", "410.00")
    workspace.oms.queue_responses(
        "close_position", build_problem(409, "The market is closed.", kind="conflict")
    )
    click_button(workspace, "order_close", order_id)
    assert "The market is closed." in workspace.slack.wait_for("respond")[0].body["text"]
    click_button(workspace, "order_close", order_id)
    assert len(workspace.oms.wait_for("close_position", 2)) == 2


def test_close_with_an_unknown_outcome_is_not_reported_as_not_done(workspace: Workspace, order_id):
    workspace.oms.orders.fill(order_id, "50", "410.00")
    workspace.oms.queue_responses("close_position", build_problem(503, "?", kind="outcome-unknown"))
    click_button(workspace, "order_close", order_id)
    text = workspace.slack.wait_for("respond")[0].body["text"]
    assert "*Outcome unknown.*" in text
    assert "check the order before you try again" in text


def test_trade_again_opens_the_form_with_the_same_terms(workspace: Workspace, order_id):
    workspace.oms.orders.fill(order_id, "50", "410.00")
    click_button(workspace, "order_again", order_id)
    view = workspace.slack.wait_for("views.update")[0].body["view"]
    check_view(view)
    entries = {block["block_id"]: block["element"] for block in view["blocks"] if block["type"] == "input"}
    names = ("quantity", "limit_price", "stop_loss")
    assert [entries[name]["initial_value"] for name in names] == ["50", "410", "395"]
    assert entries["symbol"]["initial_option"]["value"] == "MSFT"
    assert view["submit"]["text"] == "Place order"


def test_messages_of_orders_survive_a_restart(tmp_path):
    url = f"sqlite:///{tmp_path / 'bot.db'}"
    first = create_storage(open_database(url))
    order_message = PostedMessage(
        subject_id="O1",
        kind=MessageKind.ORDER,
        channel="C1",
        ts="1.0",
        team="T1",
        user="U1",
        sequence=3,
        legs={"O2": "Held"},
    )
    PostedMessageStore(first, lambda: "T1").save(order_message)
    first.close()
    second = create_storage(open_database(url))
    assert PostedMessageStore(second, lambda: "T1").find("O1", MessageKind.ORDER) == order_message
    assert PostedMessageStore(second, lambda: "T1").list_open(5) == [order_message]
    assert PostedMessageStore(second, lambda: "T2").find("O1", MessageKind.ORDER) is None
    assert PostedMessageStore(second, lambda: "T2").list_open(5) == []
    second.close()


def test_events_without_a_change_do_not_delay_other_messages(slack, oms):
    workspace = Workspace(
        create_test_bot(slack, oms, WAITS, pace=1.0),
        slack,
        oms,
    )
    oms.instruments["MSFT"] = "Microsoft"
    workspace.submit(LIMIT, callback_id="order_form")
    slack.wait_for("chat.postMessage")
    (placed,) = oms.orders.orders
    wait_until(lambda: find_row(workspace, placed))
    for _ in range(30):
        send_change(workspace, order_id=placed)
    other = build_order_state(type="LIMIT", limit_price="409")
    workspace.submit(other, callback_id="order_form", id="V2", root_view_id="V2")
    slack.wait_for("chat.postMessage", 2)
    assert slack.list_requests("chat.update") == []
    close_bot(workspace)
