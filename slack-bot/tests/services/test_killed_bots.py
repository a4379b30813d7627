"""A bot is killed in the middle of a report, a decision or a banner. The other bot loses nothing."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from app.blocks.messages import build_notice
from app.delivery.posted_messages import MessageKind, PostedMessage
from app.forms.orders.approvals import DecisionContext
from app.forms.trade_buttons import ReversalContext
from app.oms_client.daily_reports import DailyReport
from app.services.kill_switches.banner_recovery import recover_banners
from app.services.kill_switches.banners import show_banner
from app.services.notifications.daily_reports import CLAIM_LEASE_SECONDS, store_report
from app.services.notifications.delivery import deliver_notifications
from app.services.orders.messages import refresh_open_orders
from app.storage.sqlite import SqliteDatabase
from support.conditions import wait_until
from tests import factories
from tests.conftest import close_bot, create_test_bot
from tests.fakes import FakeSlack, Response, build_trade_json
from tests.handlers.portfolio_workspace import PortfolioWorkspace
from tests.portfolio_oms import PortfolioOms
from tests.services.orders.pending_orders import ORDER_BODY
from tests.services.shared_storage import create_storages, expire_lease

MARK = "you may see it twice"
HANGS = Response(slow=60.0)
REVERSED = {"symbol": "AAPL", "side": "SELL", "quantity": "1", "gmv": "175", "portfolio_name": "Growth"}
REPORT = DailyReport("trades", "2026-11-20", "csv", "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z")


@pytest.fixture
def bots(slack: FakeSlack) -> Iterator[tuple[PortfolioWorkspace, PortfolioWorkspace]]:
    """Provide two bots on one database. The calls of the first one to Slack may hang: then it is killed."""
    oms = PortfolioOms()
    oms.exports["trades"] = b"trade_id\r\nT1\r\n"
    storages = create_storages(SqliteDatabase())
    first, second = (
        PortfolioWorkspace(create_test_bot(slack, oms, storage=storage), slack, oms) for storage in storages
    )
    yield first, second
    close_bot(first)
    close_bot(second)
    oms.stop()


def list_posts(workspace: PortfolioWorkspace) -> list[str]:
    return [call.body["text"] for call in workspace.slack.list_requests("chat.postMessage")]


def add_waiting_order(workspace: PortfolioWorkspace, *kinds: MessageKind) -> str:
    """Add an order that waits for approval, with its messages."""
    orders = workspace.oms.orders
    order = orders.add(ORDER_BODY, "slack:T1:U1")
    orders.move(order["id"], "AWAITING_APPROVAL", "slack:T1:U1")
    workspace.oms.rows[f"/orders/{order['id']}"] = order
    workspace.oms.results[f"POST /orders/{order['id']}/approve"] = Response(body=order)
    for kind in kinds:
        workspace.bot.services.posted_messages.save(
            PostedMessage(order["id"], kind, "C1", "5.0", "T1", "U1", sequence=1)
        )
    return str(order["id"])


def decide_order(workspace: PortfolioWorkspace, order_id: str) -> None:
    reason = {"decision_reason_entry": {"type": "plain_text_input", "value": "Fine"}}
    context = DecisionContext(order_id, is_approval=True, channel="C1").dump()
    view = factories.build_view(
        callback_id="decision_form", private_metadata=context, state={"values": {"decision_reason": reason}}
    )
    payload = factories.build_interaction("view_submission", view=view)
    workspace.deliver(payload | {"user": {"id": "U2", "team_id": "T1"}})


@pytest.mark.parametrize("method", ["files.getUploadURLExternal", "upload", "files.completeUploadExternal"])
def test_report_is_uploaded_by_the_other_bot_with_a_mark_and_once(bots, method, monkeypatch):
    first, second = bots
    first.slack.queue_responses(method, HANGS)
    store_report(first.bot.services, "C9", REPORT, "E1")
    deliver_notifications(first.bot.services)
    first.slack.wait_for(method)
    deliver_notifications(second.bot.services)
    assert len(first.slack.list_requests("files.getUploadURLExternal")) == 1, "the first bot is uploading"
    clock = time.time
    monkeypatch.setattr(
        "app.services.notifications.delivery.time.time", lambda: clock() + CLAIM_LEASE_SECONDS + 1
    )
    deliver_notifications(second.bot.services)
    store = second.bot.services.notifications
    wait_until(lambda: not store.list_due(1e12))
    deliver_notifications(second.bot.services)
    shared = [call.body for call in second.slack.list_requests("files.completeUploadExternal")]
    assert [each["channel_id"] for each in shared] == ["C9"] * len(shared)
    assert MARK in shared[-1]["initial_comment"]
    assert sum(MARK in each["initial_comment"] for each in shared) == 1


@pytest.mark.parametrize("method", ["chat.update", "chat.postMessage"])
def test_decision_is_shown_by_the_other_bot_with_at_most_one_marked_line(bots, method):
    first, second = bots
    order_id = add_waiting_order(first, MessageKind.ORDER, MessageKind.APPROVAL)
    first.oms.orders.move(order_id, "ACCEPTED", "slack:T1:U2", "Fine")
    first.slack.queue_responses(method, HANGS)
    decide_order(first, order_id)
    first.slack.wait_for(method)
    expire_lease(first.bot.services.storage)
    store = second.bot.services.posted_messages

    def is_shown() -> bool:
        refresh_open_orders(second.bot.services)
        request = store.find(order_id, MessageKind.APPROVAL)
        return request is not None and not request.is_open

    wait_until(is_shown)
    lines = [text for text in list_posts(second) if "was approved by <@U2>: Fine" in text]
    assert [MARK in line for line in lines][-1:] == [True]
    assert len(lines) == (2 if method == "chat.postMessage" else 1)


def test_decision_of_the_oms_is_shown_after_a_crash_of_the_bot(bots, monkeypatch):
    first, second = bots
    order_id = add_waiting_order(first, MessageKind.ORDER, MessageKind.APPROVAL)
    with monkeypatch.context() as killed:
        killed.setattr("app.services.orders.approvals.refresh_order", lambda *_, **__: None)
        decide_order(first, order_id)
    first.oms.orders.move(order_id, "ACCEPTED", "slack:T1:U2", "Fine")
    expire_lease(first.bot.services.storage)
    refresh_open_orders(second.bot.services)
    wait_until(lambda: list_posts(second))
    decide_order(second, order_id)  # the person saw an error, and presses Approve again
    wait_until(lambda: not second.bot.services.send_queue._waiting)
    (line,) = list_posts(second)
    assert "was approved by <@U2>: Fine" in line
    assert MARK not in line
    keys = [
        call.headers["idempotency-key"]
        for call in second.oms.list_requests(f"POST /orders/{order_id}/approve")
    ]
    assert len(keys) == 2
    assert len(set(keys)) == 1, "the OMS decides once"


def test_banner_is_posted_by_the_other_bot_with_a_mark_and_once(bots):
    first, second = bots
    for workspace in bots:
        object.__setattr__(workspace.bot.services, "trading_channel", "C9")
    first.slack.queue_responses("chat.postMessage", HANGS)
    show_banner(first.bot.services, "Growth", build_notice("Trading is stopped"))
    first.slack.wait_for("chat.postMessage")
    recover_banners(second.bot.services, time.time())
    assert len(list_posts(second)) == 1, "the first bot is posting it"
    expire_lease(first.bot.services.storage)
    for _ in range(2):
        recover_banners(second.bot.services, time.time())
    wait_until(lambda: second.bot.services.banners.find("Growth"))
    wait_until(lambda: not second.bot.services.send_queue._waiting)
    assert [MARK in text for text in list_posts(second)] == [False, True]


@pytest.mark.parametrize("is_reversed", [True, False])
def test_reversal_is_shown_by_the_other_bot_if_the_oms_has_made_it(bots, is_reversed, monkeypatch):
    first, second = bots
    first.oms.results["POST /trades/T1X:reverse"] = Response(body={})
    first.oms.rows["/trades"] = [build_trade_json(REVERSED, "T2X")] if is_reversed else []
    context = ReversalContext("T1X", "U1", datetime.now(UTC).isoformat(), "C1", "5.0", "BUY 1 AAPL")
    reason = {"reversal_reason_entry": {"type": "plain_text_input", "value": "Twice"}}
    view = factories.build_view(
        callback_id="reversal_form",
        private_metadata=context.dump(),
        state={"values": {"reversal_reason": reason}},
    )
    with monkeypatch.context() as killed:
        killed.setattr("app.services.trades.reversal._show_reversal", lambda *_: None)
        first.deliver(factories.build_interaction("view_submission", view=view))
    deliver_notifications(second.bot.services)
    assert second.slack.list_requests("chat.update") == [], "the first bot shows it"
    clock = time.time
    monkeypatch.setattr("app.services.notifications.delivery.time.time", lambda: clock() + 31)
    for _ in range(2):
        deliver_notifications(second.bot.services)
    edits = [call.body for call in second.slack.list_requests("chat.update")]
    assert [edit["text"] for edit in edits] == ["BUY 1 AAPL\n*Reversed* by <@U1>: Twice"] * is_reversed
    assert list_posts(second) == []
