"""Every call to Slack fails once in every way: it is repeated, reported to a person, or kept for later."""

import itertools
import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.blocks.messages import build_notice
from app.delivery.message_sender import Recipient
from app.delivery.posted_messages import MessageKind, PostedMessage
from app.delivery.reply_sender import ReplyAddress
from app.errors import SlackError
from app.forms.text_commands import parse_text_command
from app.forms.trade_buttons import ReversalContext
from app.oms_client import Person
from app.oms_client.daily_reports import DailyReport
from app.oms_client.order_wire import parse_order
from app.oms_client.slack_settings import SlackSettings
from app.services.brokers.issue_cards import show_issue
from app.services.clicked_message import ClickedMessage
from app.services.kill_switches.banner_recovery import recover_banners
from app.services.kill_switches.banners import announce_switch
from app.services.notifications.daily_reports import store_report
from app.services.notifications.delivery import deliver_notifications, notify_channel
from app.services.notifications.reminders import add_reminder
from app.services.orders.actions import cancel_order
from app.services.orders.approvals import publish_approval
from app.services.orders.messages import publish_order, refresh_open_orders, refresh_order
from app.services.orders.recovery import recover_orders
from app.services.pending_notices import send_notice
from app.services.queries.exports import send_export
from app.services.queries.overview import show_overview
from app.services.request_origin import RequestOrigin
from app.services.settings.slack_settings import sync_group_roles
from app.services.settings.slack_statuses import report_changes
from app.services.strategies.backtests import send_backtest_result
from app.services.strategies.threads import show_strategy_event
from app.services.trades.reversal import reverse_trade
from support.conditions import wait_until
from tests import portfolio_oms
from tests.conftest import close_bot, create_test_bot
from tests.fakes import FakeSlack, Response
from tests.handlers.portfolio_workspace import PortfolioWorkspace

CODES = (
    "not_in_channel", "channel_not_found", "is_archived", "account_inactive", "token_revoked", "msg_too_long",
    "invalid_blocks", "expired_trigger_id",
)  # fmt: skip
FAILURES = {code: Response(body={"ok": False, "error": code}) for code in CODES}
FAILURES |= {
    "429": Response(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "0"}),
    "503": Response(503),
    "no response": Response(drop=True),
}
AVA = Person("T1", "U1")
ORDER_BODY = {
    "portfolio_name": "Growth", "symbol": "MSFT", "side": "BUY", "quantity": "50", "type": "LIMIT",
    "limit_price": "410",
}  # fmt: skip
NUMBERS = itertools.count(1)
Reached = Callable[[], bool]  # whether the outcome is reached


@pytest.fixture(scope="module")
def shared_bot() -> Iterator[PortfolioWorkspace]:
    """One bot and one pair of servers for all combinations."""
    slack, oms = FakeSlack(), portfolio_oms.PortfolioOms()
    oms.exports["trades"] = b"trade_id\r\nT1\r\n"
    workspace = PortfolioWorkspace(create_test_bot(slack, oms), slack, oms)
    object.__setattr__(workspace.bot.services, "trading_channel", "C1")
    yield workspace
    close_bot(workspace)
    slack.stop()
    oms.stop()


@pytest.fixture
def workspace(shared_bot: PortfolioWorkspace, monkeypatch) -> PortfolioWorkspace:
    monkeypatch.setattr("app.services.notifications.delivery.CLAIM_SECONDS", 0.0)
    monkeypatch.setattr("app.services.pending_notices.CLAIM_SECONDS", 0.0)
    monkeypatch.setattr("app.services.brokers.issue_cards.CLAIM_SECONDS", 0.0)
    monkeypatch.setattr("app.services.notifications.daily_reports.CLAIM_SECONDS", 0.2)
    monkeypatch.setattr("app.services.state.notification_pace.BURST_SECONDS", 0.0)
    monkeypatch.setattr("app.delivery.notification_store.CLAIM_SECONDS", 0.0)
    services = shared_bot.bot.services
    queues = (services.send_queue, services.overview_queue)  # a job of the test before may still store a row
    wait_until(lambda: not any(queue._waiting for queue in queues))
    for each in (shared_bot.slack.calls, shared_bot.slack.queued_responses):
        each.clear()
    for table in ("banners", "owed_banners", "order_messages", "pending_orders", "notifications"):
        shared_bot.bot.services.storage.database.execute(f"DELETE FROM {table}")  # noqa: S608 - fixed names
    return shared_bot


def build_origin() -> RequestOrigin:
    return RequestOrigin(f"req-{next(NUMBERS)}", AVA, f"trigger-{next(NUMBERS)}", "C1")


def list_posts(workspace: PortfolioWorkspace, text: str) -> list[dict]:
    """Return the messages with a text, whichever way they were sent."""
    calls = [
        call.body
        for method in ("chat.postMessage", "chat.postEphemeral", "respond", "chat.update")
        for call in workspace.slack.list_requests(method)
    ]
    return [each for each in calls if text in json.dumps(each, ensure_ascii=False)]


def is_repeated(workspace: PortfolioWorkspace, text: str) -> bool:
    """Return whether a message was sent again after the attempt that failed."""
    return len(list_posts(workspace, text)) >= 2


def place_order(workspace: PortfolioWorkspace, status="ACCEPTED"):
    order = workspace.oms.orders.add(ORDER_BODY, "slack:T1:U1")
    workspace.oms.orders.move(order["id"], status, "slack:T1:U1")
    workspace.oms.rows[f"/orders/{order['id']}"] = order
    return parse_order(order)


def show_order(workspace: PortfolioWorkspace, order, kind=MessageKind.ORDER):
    store = workspace.bot.services.posted_messages
    store.save(PostedMessage(order.id, kind, "C1", "5.0", "T1", "U1", sequence=1))
    return store


def post_order(workspace: PortfolioWorkspace) -> Reached:
    services, order = workspace.bot.services, place_order(workspace)
    publish_order(services, build_origin(), order, "C1")
    return lambda: services.posted_messages.find(order.id, MessageKind.ORDER) is not None


def edit_order(workspace: PortfolioWorkspace) -> Reached:
    services, order = workspace.bot.services, place_order(workspace)
    store = show_order(workspace, order)
    workspace.oms.orders.fill(order.id, "50", "410")
    refresh_order(services, order.id, "r")

    def is_shown() -> bool:
        refresh_open_orders(services)
        shown = store.find(order.id, MessageKind.ORDER)
        return shown is not None and not shown.is_open and bool(list_posts(workspace, "Filled 50 at"))

    return is_shown


def announce_approval_request(workspace: PortfolioWorkspace) -> Reached:
    services, order = workspace.bot.services, place_order(workspace, "AWAITING_APPROVAL")
    publish_approval(services, build_origin(), order, "C1")

    def is_asked() -> bool:
        recover_orders(services, time.time())
        return services.posted_messages.find(order.id, MessageKind.APPROVAL) is not None

    return is_asked


def announce_change(workspace: PortfolioWorkspace, text: str) -> None:
    """Post the banner of a change that the OMS has made."""
    services, is_end = workspace.bot.services, text == "Resumed"
    with announce_switch(services, build_origin(), "C1", "Growth", build_notice(text), is_end=is_end):
        pass


def show_stop(workspace: PortfolioWorkspace) -> Reached:
    announce_change(workspace, "Stopped")
    return lambda: _recover(workspace) and is_repeated(workspace, "Stopped")


def show_end(workspace: PortfolioWorkspace) -> Reached:
    services = workspace.bot.services
    announce_change(workspace, "Stopped")
    wait_until(lambda: services.banners.find("Growth"))
    announce_change(workspace, "Resumed")
    return lambda: _recover(workspace) and is_repeated(workspace, "Resumed")


def _recover(workspace: PortfolioWorkspace) -> bool:
    recover_banners(workspace.bot.services, time.time())
    return True


def alert_channel(workspace: PortfolioWorkspace) -> Reached:
    services, key = workspace.bot.services, f"E{next(NUMBERS)}"
    notify_channel(services, "C1", "alert.fired", "Alert fired", key, AVA)
    return lambda: _deliver(workspace) and is_repeated(workspace, "Alert fired")


def _deliver(workspace: PortfolioWorkspace) -> bool:
    deliver_notifications(workspace.bot.services)
    return True


def send_private_note(workspace: PortfolioWorkspace) -> Reached:
    key = f"N{next(NUMBERS)}"
    send_notice(workspace.bot.services, Recipient("U1", "", "", key), "A note", key)
    workspace.slack.wait_for("conversations.open")  # the attempt that fails
    return lambda: _deliver(workspace) and bool(list_posts(workspace, "A note"))


def send_command(workspace: PortfolioWorkspace) -> Reached:
    workspace.mention("positions")
    return lambda: is_repeated(workspace, "Growth")


def mention_without_team(workspace: PortfolioWorkspace) -> Reached:
    workspace.mention("positions", team="", user=f"U{next(NUMBERS)}")
    return lambda: bool(workspace.slack.list_requests("chat.postEphemeral"))


def respond_to_command(workspace: PortfolioWorkspace) -> Reached:
    workspace.type("positions", "/desk")
    return lambda: is_repeated(workspace, "Growth")


def open_form(workspace: PortfolioWorkspace) -> Reached:
    workspace.type("buy 50 MSFT in Growth", "/order")
    return lambda: bool(workspace.slack.list_requests("respond"))


def open_request_form(workspace: PortfolioWorkspace) -> Reached:
    workspace.type("close MSFT", "/desk")
    return lambda: bool(workspace.slack.list_requests("respond"))


def fill_in_form(workspace: PortfolioWorkspace) -> Reached:
    workspace.type("close MSFT", "/desk")
    return lambda: len(workspace.slack.list_requests("views.update")) >= 2


def publish_overview(workspace: PortfolioWorkspace) -> Reached:
    show_overview(workspace.bot.services, AVA, "r")
    return lambda: len(workspace.slack.list_requests("views.publish")) >= 2


def export_trades(workspace: PortfolioWorkspace) -> Reached:
    command = parse_text_command("export trades", workspace.bot.services.now())
    send_export(
        workspace.bot.services, AVA, command, ReplyAddress("U1", "C1", "r", workspace.slack.response_url)
    )
    return lambda: bool(list_posts(workspace, "Slack did not accept the file"))


def upload_report(workspace: PortfolioWorkspace) -> Reached:
    services, day = workspace.bot.services, "2026-11-20T00:00:00Z"
    report = DailyReport("trades", "2026-11-20", "csv", day, "2026-11-21T00:00:00Z")
    store_report(services, "C1", report, f"E{next(NUMBERS)}")

    def is_uploaded() -> bool:
        deliver_notifications(services)
        return bool(workspace.slack.list_requests("files.completeUploadExternal")) and not (
            services.notifications.list_due(1e12)
        )

    return is_uploaded


def confirm_trade(workspace: PortfolioWorkspace) -> Reached:
    workspace.bot.services.message_sender.post_to_channel(
        Recipient("U1", "C1", "", "r"), build_notice("Confirmed")
    )
    return lambda: is_repeated(workspace, "Confirmed")


def refuse_person(workspace: PortfolioWorkspace) -> Reached:
    to, url = Recipient("U1", "C1", "", "r"), workspace.slack.response_url
    workspace.bot.services.message_sender.respond(to, url, build_notice("Refused"))
    return lambda: is_repeated(workspace, "Refused")


ISSUE = {
    "issue_id": "ri_1", "issue_type": "cash_mismatch", "severity": "warning", "status": "open",
    "portfolio_name": "Growth", "connection": "paper", "ours": "100", "theirs": "90",
    "proposed_action": "adjust_cash",
}  # fmt: skip


def show_card(workspace: PortfolioWorkspace) -> Reached:
    services = workspace.bot.services
    services.posted_messages.save(PostedMessage("ri_2", MessageKind.ISSUE, "C1", "5.0", "T1", ""))
    for issue_id in ("ri_1", "ri_2"):
        show_issue(services, ISSUE | {"issue_id": issue_id}, f"E{next(NUMBERS)}")
    wait_until(lambda: is_repeated(workspace, "Cash differs"))  # the first attempts; one attempt fails
    return lambda: _deliver(workspace) and len(list_posts(workspace, "Cash differs")) >= 3


def show_strategy(workspace: PortfolioWorkspace) -> Reached:
    started = {"name": "trend", "portfolio_name": "Growth", "status": "ACTIVE", "version": 1, "run": 1}
    show_strategy_event(workspace.bot.services, "strategy.started", started, f"E{next(NUMBERS)}")
    wait_until(lambda: list_posts(workspace, "*Strategy"))  # the first attempt, which fails
    return lambda: _deliver(workspace) and bool(list_posts(workspace, "was started"))


def edit_strategy(workspace: PortfolioWorkspace) -> Reached:
    message = PostedMessage("T1:trend", MessageKind.STRATEGY, "C1", "5.0", "T1", "")
    workspace.bot.services.posted_messages.save(message)
    return show_strategy(workspace)


def remind_approver(workspace: PortfolioWorkspace) -> Reached:
    services, order = workspace.bot.services, place_order(workspace, "AWAITING_APPROVAL")
    show_order(workspace, order, MessageKind.APPROVAL)
    request = {"order_id": order.id, "approvers": ["slack:T1:U2"], "expires_at": "2026-11-21T00:00:00Z"}
    add_reminder(services, "2026-11-20T00:00:00Z", request)
    return lambda: _deliver(workspace) and is_repeated(workspace, "still waits for a decision")


def send_result(workspace: PortfolioWorkspace) -> Reached:
    payload = {"backtest_id": "B1", "strategy": "trend", "status": "done", "actor": "slack:T1:U1"}
    workspace.oms.rows |= {"/backtests/B1": portfolio_oms.build_backtest(), "/backtests/B1/equity": []}
    send_backtest_result(workspace.bot.services, AVA, payload, f"E{next(NUMBERS)}")
    workspace.slack.wait_for("conversations.open")
    return lambda: _deliver(workspace) and bool(list_posts(workspace, "trend"))


def close_request(workspace: PortfolioWorkspace) -> Reached:
    services, order = workspace.bot.services, place_order(workspace, "AWAITING_APPROVAL")
    store = show_order(workspace, order, MessageKind.APPROVAL)
    workspace.oms.orders.move(order.id, "ACCEPTED", "slack:T1:U2")

    def is_ended() -> bool:
        refresh_open_orders(services)
        request = store.find(order.id, MessageKind.APPROVAL)
        return request is not None and not request.is_open

    return is_ended


def submit_cancel(workspace: PortfolioWorkspace) -> Reached:
    services, order = workspace.bot.services, place_order(workspace)
    show_order(workspace, order)
    cancel_order(services, build_origin(), order.id, ClickedMessage("C1", "5.0", "BUY", ()))
    return lambda: (
        is_repeated(workspace, "BUY 50 MSFT") or len(workspace.slack.list_requests("chat.update")) >= 2
    )


def submit_reversal(workspace: PortfolioWorkspace) -> Reached:
    workspace.oms.results["POST /trades/T1X:reverse"] = Response(body={})
    context = ReversalContext("T1X", "U1", datetime.now(UTC).isoformat(), "C1", "5.0", "BUY 1 AAPL")
    values = {"reversal_reason": {"reversal_reason_entry": {"type": "plain_text_input", "value": "Twice"}}}
    view = {"id": "V1", "private_metadata": context.dump(), "state": {"values": values}}
    assert reverse_trade(workspace.bot.services, build_origin(), view) == {"response_action": "clear"}
    return lambda: is_repeated(workspace, "*Reversed* by")


def push_form(workspace: PortfolioWorkspace) -> Reached:
    view = {"type": "modal", "id": "V1"}
    workspace.click("position:close", "/Growth/AAPL", view=view, response_url=workspace.slack.response_url)
    return lambda: bool(workspace.slack.list_requests("respond"))


def sync_groups(workspace: PortfolioWorkspace) -> Reached:
    cache = workspace.bot.services.slack_settings
    cache.current, cache._loaded_at = SlackSettings({}, {"S1": "trader"}), time.monotonic()
    return _sync(lambda: sync_group_roles(workspace.bot.services))


def sync_people(workspace: PortfolioWorkspace) -> Reached:
    return _sync(lambda: report_changes(workspace.bot.services))


def _sync(work: Callable[[], None]) -> Reached:
    with pytest.raises(SlackError):  # the thread logs it and tries again
        work()
    work()
    return lambda: True


SITES = {
    "order message": ("chat.postMessage", post_order, "orders/message_queue"),
    "edit of an order message": ("chat.update", edit_order, "orders/messages"),
    "line in the thread": ("chat.postMessage", edit_order, "orders/messages"),
    "request for approval": ("chat.postMessage", announce_approval_request, "orders/approvals"),
    "end of a request": ("chat.update", close_request, "orders/messages"),
    "clicked button": ("chat.update", submit_cancel, "orders/actions"),
    "confirmation": ("chat.postMessage", confirm_trade, "message_sender"),
    "reversal": ("chat.update", submit_reversal, "trades/reversal"),
    "banner": ("chat.postMessage", show_stop, "kill_switches/banners"),
    "end of a banner": ("chat.update", show_end, "kill_switches/banners"),
    "card": ("chat.postMessage", show_card, "brokers/issue_cards"),
    "edit of a card": ("chat.update", show_card, "brokers/issue_cards"),
    "message of a strategy": ("chat.postMessage", show_strategy, "strategies/threads"),
    "edit of a strategy": ("chat.update", edit_strategy, "strategies/threads"),
    "message of an alert": ("chat.postMessage", alert_channel, "notifications/delivery"),
    "reminder": ("chat.postMessage", remind_approver, "notifications/reminders"),
    "note": ("conversations.open", send_private_note, "message_sender"),
    "result of a backtest": ("conversations.open", send_result, "strategies/backtests"),
    "reply to a mention": ("chat.postEphemeral", send_command, "reply_sender"),
    "who writes": ("users.info", mention_without_team, "event_person"),
    "reply by a response URL": ("respond", respond_to_command, "reply_sender"),
    "refusal by a response URL": ("respond", refuse_person, "message_sender"),
    "form": ("views.open", open_form, "forms/views"),
    "form of a request": ("views.open", open_request_form, "request_forms"),
    "form over a form": ("views.push", push_form, "request_forms"),
    "overview": ("views.publish", publish_overview, "queries/overview"),
    "place for a file": ("files.getUploadURLExternal", export_trades, "queries/exports"),
    "file": ("files.completeUploadExternal", export_trades, "queries/exports"),
    "content of a file": ("upload", export_trades, "queries/exports"),
    "place for a report": ("files.getUploadURLExternal", upload_report, "notifications/daily_reports"),
    "report": ("files.completeUploadExternal", upload_report, "notifications/daily_reports"),
    "content of a report": ("upload", upload_report, "notifications/daily_reports"),
    "user groups": ("usergroups.users.list", sync_groups, "settings/slack_settings"),
    "people": ("users.list", sync_people, "settings/slack_statuses"),
}
# Modules and methods whose failures the named tests cover, or that lose nothing when they fail.
ELSEWHERE = {
    "forms/response_deadline": "handlers/orders/test_approvals.py",
    "queries/chart_images": "handlers/test_chart_images.py",
    "trades/confirmation_recovery": "services/trades/test_confirmation_recovery.py",
    "forms/submission": "handlers/test_request_forms.py",
    "trades/live_price": "handlers/test_events_and_options.py",
    "orders/approval_requests": "services/orders/test_approval_requests.py",
    "orders/form": "handlers/orders/test_order_entry.py",
    "orders/recovery": "services/orders/test_recovery.py",
    "queries/text_requests": "handlers/test_text_commands.py",
    "trades/submission": "handlers/test_slow_submissions.py",
}
OTHER_METHODS = {
    "api.test": "server/test_web.py",
    "auth.revoke": "server/test_oauth.py",
    "auth.test": "handlers/test_installation_check.py",
    "conversations.history": "services/test_two_bots.py",
    "oauth.v2.access": "server/test_oauth.py",
    "views.update": "handlers/test_request_forms.py",
}
APP = Path(__file__).parents[2] / "app"
CALL = re.compile(r"services\.(?:slack\.(?!installation|scopes|client)|file_sender\.|reply_sender\.)\w+\(")
GIVEN_UP = {"reminder"}  # if Slack refuses it: the approvers still have the request
REPEATABLE = {"429", "503", "no response"}


COMBINATIONS = [
    (site, failure)
    for site in SITES
    for failure in FAILURES
    if (SITES[site][0] != "upload" and site not in GIVEN_UP) or failure in REPEATABLE
]


@pytest.mark.parametrize(("site", "failure"), COMBINATIONS)
def test_failed_call_to_slack_is_repeated_or_reported(workspace: PortfolioWorkspace, site, failure):
    method, act, _ = SITES[site]
    workspace.slack.queue_responses(method, FAILURES[failure])
    wait_until(act(workspace))


@pytest.mark.parametrize("failure", sorted(REPEATABLE))
def test_form_is_filled_in_although_the_first_update_fails(workspace: PortfolioWorkspace, failure):
    workspace.slack.queue_responses("views.update", FAILURES[failure])
    wait_until(fill_in_form(workspace))


def test_line_that_slack_may_have_is_marked_when_it_is_repeated(workspace: PortfolioWorkspace):
    workspace.slack.queue_responses("chat.postMessage", FAILURES["503"])
    wait_until(edit_order(workspace))
    wait_until(lambda: is_repeated(workspace, "Filled 50 at"))
    first, second = list_posts(workspace, "Filled 50 at")
    assert "you may see it twice" not in first["text"]
    assert "you may see it twice" in second["text"]


def test_every_module_and_method_that_calls_slack_is_covered():
    sources = {
        str(path.relative_to(APP / "services").with_suffix("")): path.read_text()
        for path in (APP / "services").rglob("*.py")
    }
    calling = {module for module, source in sources.items() if CALL.search(source)}
    covered = {module for _, _, module in SITES.values()} | set(ELSEWHERE)
    assert calling <= covered
    assert covered <= calling | {"message_sender", "reply_sender"}
    delivery = "".join(path.read_text() for path in (APP / "delivery").glob("*.py"))
    methods = set(re.findall(r"(?:call_slack|repeat_call)\(\s*\"([\w.]+)\"", delivery))
    assert methods == {method for method, _, _ in SITES.values()} - {"respond", "upload"} | set(OTHER_METHODS)
    test_files = {*ELSEWHERE.values(), *OTHER_METHODS.values()}
    assert all((APP.parent / "tests" / name).is_file() for name in test_files)
