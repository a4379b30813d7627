"""Two bots share a database: each pending message is sent once, even if one of them crashes."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from app.blocks.messages import build_notice
from app.delivery.confirmation_store import ConfirmationStore
from app.delivery.event_store import EventClaim, EventStore
from app.delivery.pending_orders import PendingOrderStore, PendingState
from app.delivery.posted_messages import MessageKind, PostedMessage, PostedMessageClaim, PostedMessageStore
from app.forms.overview_tabs import Tab
from app.oms_client import Person
from app.services.kill_switches.banners import replace_banner, show_banner
from app.services.orders.recovery import recover_orders
from app.services.queries.overview import publish_overview, queue_changed_overviews
from app.services.state.shared_ids import SharedIds
from app.services.trades.confirmation_recovery import recover_confirmations
from app.storage.sqlite import SqliteDatabase
from app.storage.storage import Storage
from support.conditions import wait_until
from tests.conftest import Workspace, close_bot, create_test_bot
from tests.delivery.pending_confirmations import CONFIRMATION
from tests.fakes import Response
from tests.services.orders.pending_orders import PENDING_ORDER
from tests.services.shared_storage import create_storages, expire_lease, require_claim
from tests.services.trades.trade_requests import TRADE_REQUEST


@pytest.fixture
def storages() -> Iterator[tuple[Storage, Storage]]:
    database = SqliteDatabase()
    yield create_storages(database)
    database.close()


def list_keys(store):
    return [(each.pending.key, each.is_interrupted) for each in store.list_unresolved()]


def test_messages_of_a_running_bot_are_not_adopted(storages):
    first, second = map(ConfirmationStore, storages)
    first.add(CONFIRMATION)
    assert list_keys(second) == []
    claim = require_claim(first.claim(CONFIRMATION.key))
    assert claim.begin()
    assert list_keys(second) == []
    assert second.claim(CONFIRMATION.key) is None
    claim.finish()


def test_pending_messages_of_a_stopped_bot_are_adopted_once_and_refused_to_that_bot(storages):
    first, second = map(ConfirmationStore, storages)
    first.add(CONFIRMATION)
    paused = require_claim(first.claim(CONFIRMATION.key))
    expire_lease(storages[0])
    assert list_keys(second) == [(CONFIRMATION.key, False)]
    claim = require_claim(second.claim_unresolved(CONFIRMATION))
    assert second.claim_unresolved(CONFIRMATION) is None
    assert not paused.begin(), "the bot only paused; the other one sends the confirmation"
    assert claim.begin()
    paused.finish()
    assert storages[0].database.execute("SELECT state FROM owed_confirmations") == [("sending",)]


def test_repeated_delivery_at_the_other_bot_does_not_lose_the_confirmation(storages):
    first, second = map(ConfirmationStore, storages)
    first.add(CONFIRMATION)
    second.add(replace(CONFIRMATION, submitted_at=1001.0))
    assert second.claim_pending(CONFIRMATION.key) is None, (
        "the OMS responded that the trade was recorded before"
    )
    second.release(CONFIRMATION.key, is_unknown=False)
    assert require_claim(first.claim(CONFIRMATION.key)).begin()


def test_interrupted_confirmation_is_repeated_once_after_several_crashes(storages):
    first, second = map(ConfirmationStore, storages)
    first.add(CONFIRMATION)
    require_claim(first.claim(CONFIRMATION.key)).begin()
    expire_lease(storages[0])
    assert list_keys(second) == [(CONFIRMATION.key, True)]
    require_claim(second.claim_unresolved(CONFIRMATION)).begin()
    expire_lease(storages[1])
    storages[0].bots.beat()
    assert list_keys(first) == []


def test_order_message_is_posted_by_one_bot(storages):
    first, second = map(PendingOrderStore, storages)
    first.add(PENDING_ORDER)
    first.set_state(PENDING_ORDER.key, PendingState.POSTING)
    assert second.list_unresolved() == []
    expire_lease(storages[0])
    (adopted,) = second.list_unresolved()
    assert adopted.state is PendingState.INTERRUPTED
    assert second.claim(adopted)
    assert not first.claim(adopted)
    assert not first.set_state(PENDING_ORDER.key, PendingState.POSTING)
    first.remove(PENDING_ORDER.key)
    assert second.set_state(PENDING_ORDER.key, PendingState.POSTING)


def test_message_is_edited_by_one_bot_at_a_time(storages):
    first, second = (PostedMessageStore(storage, lambda: "T1") for storage in storages)
    order_message = PostedMessage(
        subject_id="O1", kind=MessageKind.ORDER, channel="C1", ts="1.0", team="T1", user="U1", sequence=3
    )
    first.save(order_message)
    assert first.claim("O1") is first.claim("O1") is PostedMessageClaim.NEW
    assert second.claim("O1") is PostedMessageClaim.TAKEN
    second.release("O1")
    assert second.claim("O1") is PostedMessageClaim.TAKEN
    first.release("O1")
    assert second.claim("O1") is PostedMessageClaim.NEW
    expire_lease(storages[1])
    assert first.claim("O1") is PostedMessageClaim.INTERRUPTED
    first.save(replace(order_message, sequence=4))
    assert second.claim("O1") is PostedMessageClaim.NEW


def test_event_is_handled_by_one_bot_and_again_if_that_bot_stops(storages):
    first, second = (EventStore(storage, lambda: "T1") for storage in storages)
    at = "2026-11-29T10:00:00Z"
    assert first.claim("e1", at) is EventClaim.NEW
    assert second.claim("e1", at) is EventClaim.TAKEN
    assert second.find_cursor() is None, "an event that is being handled is no cursor"
    expire_lease(storages[0])
    assert second.claim("e1", at) is EventClaim.NEW
    second.add("e1", at)
    assert first.claim("e1", at) is EventClaim.HANDLED
    assert first.find_cursor() == at
    assert EventStore(storages[0], lambda: "T2").claim("e1", at) is EventClaim.NEW


def test_delivery_that_slack_repeats_at_the_other_bot_opens_no_second_form(storages):
    first, second = (SharedIds(storage, lambda: "T1") for storage in storages)
    assert first.add("trigger-1")
    assert "trigger-1" in second
    assert not second.add("trigger-1")
    assert SharedIds(storages[1], lambda: "T2").add("trigger-1")


@pytest.fixture
def bots(slack, oms) -> Iterator[tuple[Workspace, Workspace]]:
    """Provide two complete bots on one database."""
    first_storage, second_storage = create_storages(SqliteDatabase())
    first = Workspace(create_test_bot(slack, oms, storage=first_storage), slack, oms)
    second = Workspace(create_test_bot(slack, oms, storage=second_storage), slack, oms)
    yield first, second
    close_bot(first)
    close_bot(second)


def list_texts(workspace: Workspace) -> list[str]:
    return [call.body["text"] for call in workspace.slack.list_requests("chat.postMessage")]


def test_submission_that_reaches_both_bots_is_confirmed_once(bots):
    first, second = bots
    assert first.submit() == second.submit() == {"response_action": "clear"}
    first.slack.wait_for("chat.postMessage", 2)
    wait_until(
        lambda: not (first.bot.services.send_queue._waiting or second.bot.services.send_queue._waiting)
    )
    channels = [call.body["channel"] for call in first.slack.list_requests("chat.postMessage")]
    assert sorted(channels) == ["C1", "D-U1"], "one confirmation, and a private note"
    assert len(first.oms.trades) == 1


def test_confirmation_of_a_bot_that_was_killed_is_sent_by_the_other_one_with_a_mark(bots):
    first, second = bots
    first.slack.queue_responses("chat.postMessage", Response(slow=30.0))
    first.submit()
    first.slack.wait_for("chat.postMessage")
    expire_lease(first.bot.services.storage)
    for _ in range(2):
        recover_confirmations(second.bot.services, time.time())
    second.slack.wait_for("chat.postMessage", 2)
    wait_until(lambda: not second.bot.services.send_queue._waiting)
    assert len(list_texts(second)) == 2
    assert "you may see it twice" in list_texts(second)[1]


def test_message_that_slack_shows_to_the_bot_is_not_repeated(bots):
    first, second = bots
    first.slack.queue_responses("chat.postMessage", Response(slow=30.0))
    first.submit()
    (posted,) = first.slack.wait_for("chat.postMessage")
    expire_lease(first.bot.services.storage)
    message = {"ts": "7.0", "metadata": posted.body["metadata"]}
    first.slack.default_responses["conversations.history"] = Response(
        body={"ok": True, "messages": [{"ts": "6.0"}, message]}
    )
    recover_confirmations(second.bot.services, time.time())
    wait_until(lambda: not second.bot.services.send_queue._waiting)
    assert len(list_texts(second)) == 1
    assert second.bot.services.confirmations.list_unresolved() == []


def test_two_recovering_bots_send_one_confirmation(bots):
    first, second = bots
    first.oms.record(CONFIRMATION.key, TRADE_REQUEST)
    pending = replace(CONFIRMATION, submitted_at=time.time() - 60)
    first.bot.services.confirmations.add(pending)
    first.bot.services.confirmations.release(pending.key, is_unknown=True)
    for workspace in bots:
        recover_confirmations(workspace.bot.services, time.time())
        recover_orders(workspace.bot.services, time.time())
    first.slack.wait_for("chat.postMessage")
    wait_until(
        lambda: not (first.bot.services.send_queue._waiting or second.bot.services.send_queue._waiting)
    )
    assert len(list_texts(first)) == 1


def test_event_at_one_bot_redraws_the_overview_of_a_user_at_the_other(bots):
    first, second = bots
    ava = Person("T1", "U1")
    first.bot.services.overview_viewers.record(ava, Tab.ORDERS)
    publish_overview(first.bot.services, ava, "r")
    queue_changed_overviews(second.bot.services, "order.filled", "e")
    second.slack.wait_for("views.publish", 2)
    assert second.bot.services.overview_viewers.get_tab(ava) is Tab.ORDERS
    queue_changed_overviews(second.bot.services, "cash.deposited", "e2")  # not on this tab
    wait_until(lambda: not second.bot.services.overview_queue._waiting)
    assert len(second.slack.list_requests("views.publish")) == 2


def test_banner_of_one_bot_is_edited_by_the_other(bots):
    first, second = bots
    for workspace, channel in zip(bots, ("C1", "C2"), strict=True):
        object.__setattr__(workspace.bot.services, "trading_channel", channel)
    show_banner(first.bot.services, "Growth", build_notice("Trading is stopped"))
    first.slack.wait_for("chat.postMessage")
    wait_until(lambda: first.bot.services.banners.find("growth") is not None)
    replace_banner(second.bot.services, "Growth", build_notice("Trading is resumed"))
    (edited,) = second.slack.wait_for("chat.update")
    assert edited.body["channel"] == "C1"
    assert edited.body["text"] == "Trading is resumed"
    wait_until(lambda: first.bot.services.banners.find("Growth") is None)
