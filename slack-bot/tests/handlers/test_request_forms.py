"""Forms that close positions, set exits, cancel orders, and stop and resume trading."""

import threading
from concurrent.futures import Future

import pytest

from app.blocks.form_parts import build_modal
from app.forms import action_ids
from app.forms.request_context import RequestContext
from app.handlers.request_forms import FORMS
from app.services.forms.submission import FormResult
from support.conditions import wait_until
from tests import portfolio_oms
from tests.fakes import Response, build_problem
from tests.handlers.portfolio_workspace import PortfolioWorkspace, list_texts
from tests.limits import check_view

KEY = "/Growth/AAPL"
HALTED = {
    "scope": "tenant", "name": None, "state": "HALTED", "reason": "Bad prices", "set_by": "slack:T1:U1",
    "set_at": "2026-11-29T10:00:00.000000Z", "portfolios": 2, "pending_portfolios": [],
    "canceled": ["O1", "O2"], "flattened": None,
}  # fmt: skip


@pytest.fixture
def risk_workspace(trading: PortfolioWorkspace) -> PortfolioWorkspace:
    for user in ("U1", "U2"):
        trading.oms.roles[f"slack:T1:{user}"] = "risk"
    trading.oms.results["POST /kill-switch"] = Response(body=HALTED)
    return trading


def open_form(trading: PortfolioWorkspace, text: str, **changes):
    trading.type(text, "/desk", **changes)
    view = trading.wait_for_view()
    check_view(view)
    return view


# Positions


def test_chosen_position_shows_its_history_and_exits(trading: PortfolioWorkspace):
    trading.click("position:open", KEY)
    view = trading.wait_for_view()
    check_view(view)
    shown = list_texts(view)
    assert "100 at an average cost of 171.50 USD" in shown
    assert "Stop-loss 160.00 · take-profit none" in shown
    assert "BUY 100 AAPL at 171.50" in shown
    assert [element["action_id"] for element in view["blocks"][-1]["elements"]] == [
        "position:close",
        "position:exits",
    ]


def test_viewer_gets_no_buttons(trading: PortfolioWorkspace):
    trading.oms.roles["slack:T1:U1"] = "viewer"
    trading.click("position:open", KEY)
    assert "position:close" not in list_texts(trading.wait_for_view())


def test_position_is_closed_once_per_form(trading: PortfolioWorkspace):
    filled = portfolio_oms.build_order(
        side="SELL", quantity="100", filled_quantity="100", average_price="174.90", status="FILLED"
    )
    trading.oms.results["POST /positions:close"] = Response(201, filled)
    view = open_form(trading, "close 40 AAPL in Growth")
    for _ in range(2):
        response = trading.submit_view(view, reason="Risk off")
    assert response["response_action"] == "update"
    check_view(response["view"])
    assert "filled, 100 filled at 174.90" in list_texts(response["view"])
    body = {"portfolio_name": "Growth", "symbol": "AAPL", "reason": "Risk off", "quantity": "40"}
    assert list(trading.oms.changes.values()) == [("POST", "/positions:close", body)]
    message = trading.slack.wait_for("chat.postMessage")[0].body
    assert message["channel"] == "C1"
    assert "SELL 100 AAPL" in message["text"]
    wait_until(lambda: not trading.bot.services.storage.database.execute("SELECT key FROM pending_orders"))
    assert len(trading.slack.list_requests("chat.postMessage")) == 1


def test_exits_are_set_and_removed(trading: PortfolioWorkspace):
    legs = [portfolio_oms.build_order(role="take_profit", side="SELL", limit_price="190.00")]
    trading.oms.results["PUT /positions/Growth/AAPL/exits"] = Response(body={"orders": legs})
    trading.click("position:exits", KEY, view={"type": "modal", "id": "V0"})
    trading.slack.wait_for("views.push")
    view = trading.wait_for_view()
    check_view(view)
    response = trading.submit_view(view, take_profit="190", stop_loss="")
    assert "The exits of *AAPL*" in list_texts(response["view"])
    body = {"take_profit": {"limit_price": "190"}, "stop_loss": None}
    assert list(trading.oms.changes.values()) == [("PUT", "/positions/Growth/AAPL/exits", body)]


def test_error_of_an_exit_appears_at_its_field(trading: PortfolioWorkspace):
    errors = [{"field": "stop_loss.stop_price", "message": "Must be below the price."}]
    trading.oms.results["PUT /positions/Growth/AAPL/exits"] = build_problem(422, "Bad.", errors)
    trading.click("position:exits", KEY)
    response = trading.submit_view(trading.wait_for_view(), stop_loss="200")
    assert response == {"response_action": "errors", "errors": {"stop_loss": "Must be below the price."}}


def test_denial_keeps_the_form_and_gets_a_new_key(trading: PortfolioWorkspace):
    trading.oms.results["POST /positions:close"] = build_problem(
        422, "Trading is HALTED: no new orders.", kind="denied"
    )
    view = open_form(trading, "close AAPL in Growth")
    body = trading.submit_view(view)
    check_view(body["view"])
    assert "*Not done.* Trading is HALTED: no new orders." in list_texts(body["view"])
    trading.submit_view(body["view"])
    assert len(trading.oms.changes) == 2


def test_same_key_is_sent_again_after_a_lost_response(trading: PortfolioWorkspace):
    trading.oms.queue_responses("POST /positions:close", Response(drop=True))
    trading.oms.results["POST /positions:close"] = Response(201, portfolio_oms.build_order())
    view = open_form(trading, "close AAPL in Growth")
    body = trading.submit_view(view)
    assert "*Outcome unknown.*" in list_texts(body["view"])
    trading.submit_view(body["view"])
    keys = [call.headers["idempotency-key"] for call in trading.oms.list_requests("POST /positions:close")]
    assert len(set(keys)) == 1
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("second", "sentence", "keys"),
    [
        (
            build_problem(503, "Full.", kind="not-placed"),
            "It is still unknown whether your earlier request",
            1,
        ),
        (build_problem(422, "No."), "It is still unknown whether your earlier request", 1),
        (build_problem(409, "Used.", kind="idempotency-key-reused"), "took effect, with other entries", 2),
        (build_problem(422, "No.", kind="order-denied"), "*Not done.* No.", 2),
    ],
)
def test_key_is_kept_until_the_outcome_of_an_earlier_submission_is_known(
    trading: PortfolioWorkspace, second, sentence, keys
):
    trading.oms.queue_responses("POST /positions:close", Response(drop=True), second)
    trading.oms.results["POST /positions:close"] = Response(201, portfolio_oms.build_order())
    body = trading.submit_view(open_form(trading, "close AAPL in Growth"))
    body = trading.submit_view(body["view"])
    assert sentence in list_texts(body["view"])
    trading.submit_view(body["view"])
    sent = [call.headers["idempotency-key"] for call in trading.oms.list_requests("POST /positions:close")]
    assert len(sent) == 3
    assert len(set(sent)) == keys


def test_slow_oms_redraws_the_form_later(hasty_trading: PortfolioWorkspace):
    hasty_trading.oms.queue_responses(
        "POST /positions:close", Response(201, portfolio_oms.build_order(), slow=60.0)
    )
    body = hasty_trading.submit_view(open_form(hasty_trading, "close AAPL in Growth"))
    assert body["view"]["title"]["text"] == "Working…"
    hasty_trading.oms.released.set()
    hasty_trading.slack.wait_for("views.update", 2)
    assert "closes the position" in list_texts(hasty_trading.slack.shown["V1"])


@pytest.mark.parametrize(
    ("response", "text"),
    [
        (Response(201, portfolio_oms.build_order(), slow=60.0), "*Position closed*"),
        (build_problem(422, "Nothing to close."), "*Not done.* Nothing to close."),
        (Response(503), "before you retry"),
        (
            build_problem(503, "Busy.", kind="not-placed"),
            "*Not done.* The trading system cannot record anything at the moment.",
        ),
    ],
)
def test_late_result_of_a_form_that_was_closed_is_sent_to_the_person(
    hasty_trading: PortfolioWorkspace, response, text
):
    response.slow = 60.0
    hasty_trading.oms.queue_responses("POST /positions:close", response)
    view = open_form(hasty_trading, "close AAPL in Growth")
    hasty_trading.slack.refuse("views.update", "not_found")
    hasty_trading.submit_view(view)
    hasty_trading.oms.released.set()
    wait_until(lambda: any(text in notice["text"] for notice in list_notices(hasty_trading)))
    wait_until(lambda: not list_pending_notices(hasty_trading))


def test_late_result_survives_a_bot_that_is_killed_before_it_is_shown(
    hasty_trading: PortfolioWorkspace, monkeypatch
):
    hasty_trading.oms.queue_responses("POST /positions:close", build_problem(422, "Nothing to close."))
    hasty_trading.oms.queued_responses["POST /positions:close"][0].slow = 60.0
    view = open_form(hasty_trading, "close AAPL in Growth")

    answered = threading.Event()
    monkeypatch.setattr(hasty_trading.bot.services.slack, "update_view", lambda *_: answered.wait(30.0))
    hasty_trading.submit_view(view)
    hasty_trading.oms.released.set()
    wait_until(lambda: list_pending_notices(hasty_trading))
    assert [row.user for row in list_pending_notices(hasty_trading)] == ["U1"], (
        "another bot sends it when it is due"
    )
    answered.set()
    wait_until(lambda: not list_pending_notices(hasty_trading))


def list_pending_notices(trading: PortfolioWorkspace):
    return trading.bot.services.notifications.list_due(1e12)


def list_notices(trading: PortfolioWorkspace):
    messages = [call.body for call in trading.slack.list_requests("chat.postMessage")]
    return [message for message in messages if message["channel"] == "D-U1"]


def test_two_hundred_positions_can_be_chosen(trading: PortfolioWorkspace):
    rows = [
        portfolio_oms.build_position("S" * 37 + f"{number:03}", "P" * 100, product="NRML")
        for number in range(200)
    ]
    trading.oms.rows["/positions"] = rows
    view = open_form(trading, "close")
    groups = view["blocks"][0]["element"]["option_groups"]
    assert [len(group["options"]) for group in groups] == [100, 100]


@pytest.mark.parametrize("text", ["close AAPL", "cancel AAPL", "cancel O17952360655300000c5d8cbe8"])
def test_form_is_not_opened_without_anything_to_change(trading: PortfolioWorkspace, text):
    trading.oms.rows["/positions"] = trading.oms.rows["/orders"] = []
    view = open_form(trading, text)
    assert "submit" not in view


# Orders


def test_all_matching_orders_are_canceled(trading: PortfolioWorkspace):
    orders = [portfolio_oms.build_order(f"O{number}") for number in range(3)]
    trading.oms.rows["/orders"] = orders
    trading.oms.results["POST /orders:cancel-all"] = Response(body={"orders": orders})
    view = open_form(trading, "cancel AAPL buy in Growth")
    assert "All that match (3 orders)" in list_texts(view)
    response = trading.submit_view(view, reason="End of the day")
    assert "*3 orders canceled.*" in list_texts(response["view"])
    body = {"portfolio_name": "Growth", "symbol": "AAPL", "side": "BUY", "reason": "End of the day"}
    assert list(trading.oms.changes.values()) == [("POST", "/orders:cancel-all", body)]


def test_one_order_of_many_is_canceled(trading: PortfolioWorkspace):
    trading.oms.rows["/orders"] = [
        portfolio_oms.build_order(f"O1795236065530000{number}") for number in range(101)
    ]
    trading.oms.results["POST /orders/O17952360655300005/cancel"] = Response(body=portfolio_oms.build_order())
    view = open_form(trading, "cancel")
    assert trading.submit_view(view)["errors"] == {"orders": "Choose what to cancel."}
    body = trading.submit_view(view, orders="O17952360655300005")
    assert "*1 order canceled.*" in list_texts(body["view"])


# Kill switch


def test_halt_lists_orders_that_stay_open_and_posts_a_banner(risk_workspace: PortfolioWorkspace):
    risk_workspace.oms.rows["/orders"] = [
        portfolio_oms.build_order("O1"),
        portfolio_oms.build_order("O2", role="stop_loss"),
    ]
    view = open_form(risk_workspace, "halt")
    assert "2 working orders, 1 of them exits, and 1 position" in list_texts(view)
    response = risk_workspace.submit_view(view, reason="Bad prices")
    assert "Canceled: 2 orders." in list_texts(response["view"])
    body = {"scope": "tenant", "state": "HALTED", "exits": "keep", "reason": "Bad prices"}
    assert list(risk_workspace.oms.changes.values()) == [("POST", "/kill-switch", body)]
    banner = risk_workspace.slack.wait_for("chat.postMessage")[0].body
    assert banner["channel"] == "C1"
    assert "is HALTED* by <@U1>: Bad prices" in banner["text"]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("reduce", {"state": "REDUCING"}),
        ("halt_exits", {"state": "HALTED", "exits": "cancel"}),
        ("flatten", {"state": "HALTED", "exits": "flatten"}),
    ],
)
def test_portfolio_is_reduced_or_flattened(risk_workspace: PortfolioWorkspace, mode, expected):
    view = open_form(risk_workspace, "halt in growth")
    risk_workspace.submit_view(view, mode=mode, reason="Bad prices", flatten_ok="yes")
    body = {"scope": "portfolio", "name": "Growth", "reason": "Bad prices"} | expected
    assert [change[2] for change in risk_workspace.oms.changes.values()] == [body]


def test_flattening_needs_a_second_confirmation_and_every_halt_a_reason(risk_workspace: PortfolioWorkspace):
    view = open_form(risk_workspace, "halt")
    body = risk_workspace.submit_view(view, mode="flatten", reason="Bad prices")
    assert list(body["errors"]) == ["flatten_ok"]
    assert list(risk_workspace.submit_view(view, reason=" ")["errors"]) == ["reason"]
    assert risk_workspace.oms.changes == {}


@pytest.mark.parametrize("text", ["halt", "resume"])
def test_trader_gets_no_kill_switch(trading: PortfolioWorkspace, text):
    assert "does not include the kill switch" in list_texts(open_form(trading, text))


def test_oms_refuses_a_person_without_the_role(risk_workspace: PortfolioWorkspace):
    view = open_form(risk_workspace, "halt")
    risk_workspace.oms.results["POST /kill-switch"] = build_problem(403, "No.", kind="forbidden")
    body = risk_workspace.submit_view(view, reason="Bad prices")
    assert "Your role at this desk does not include the kill switch." in list_texts(body["view"])


def test_another_person_resumes_and_the_banner_is_edited(risk_workspace: PortfolioWorkspace):
    risk_workspace.submit_view(open_form(risk_workspace, "halt"), reason="Bad prices")
    risk_workspace.slack.wait_for("chat.postMessage")
    risk_workspace.oms.rows["/kill-switch"] = [
        portfolio_oms.build_switch(state="HALTED", set_by="slack:T1:U1", reason="Bad prices")
    ]
    risk_workspace.oms.results["POST /kill-switch"] = Response(
        body=HALTED | {"state": "ACTIVE", "canceled": []}
    )
    risk_workspace.click("form:open", "resume", by="U2")
    risk_workspace.slack.wait_for("views.update", 2)
    view = risk_workspace.slack.shown["V2"]
    check_view(view)
    body = risk_workspace.submit_view(view, by="U2", view_id="V2", reason="Prices are good")
    assert "is ACTIVE" in list_texts(body["view"])
    edited = risk_workspace.slack.wait_for("chat.update")[0].body
    assert edited["ts"] == "1.0"
    assert "was resumed* by <@U2>: Prices are good" in edited["text"]
    assert risk_workspace.slack.wait_for("chat.postMessage", 2)[-1].body["thread_ts"] == "1.0"


def test_user_who_halted_cannot_resume(risk_workspace: PortfolioWorkspace):
    risk_workspace.oms.rows["/kill-switch"] = [
        portfolio_oms.build_switch(state="HALTED", set_by="slack:T1:U1")
    ]
    assert "Another person" in list_texts(open_form(risk_workspace, "resume"))
    risk_workspace.type("resume", "/desk", user_id="U2")
    risk_workspace.slack.wait_for("views.update", 2)
    body = risk_workspace.submit_view(risk_workspace.slack.shown["V2"], by="U1", view_id="V2", reason="Mine")
    assert list(body["errors"]) == ["switch"]
    assert risk_workspace.oms.changes == {}


def test_refused_banner_is_sent_to_its_user(risk_workspace: PortfolioWorkspace):
    risk_workspace.slack.queue_responses(
        "chat.postMessage", Response(body={"ok": False, "error": "not_in_channel"})
    )
    risk_workspace.submit_view(open_form(risk_workspace, "halt"), reason="Bad prices")
    sent = risk_workspace.slack.wait_for("chat.postMessage", 2)[-1].body
    assert sent["channel"] == "D-U1"
    assert "/invite" in sent["text"]


def test_banner_is_edited_after_a_click_that_follows_a_restart(risk_workspace: PortfolioWorkspace):
    stopped = {"state": "REDUCING", "set_by": "slack:T1:U1"}
    risk_workspace.oms.rows["/kill-switch"] = [
        portfolio_oms.build_switch(),
        portfolio_oms.build_switch("portfolio", "Growth", **stopped),
        portfolio_oms.build_switch("portfolio", "Income", **stopped),
    ]
    risk_workspace.oms.results["POST /kill-switch"] = Response(
        body=HALTED | {"state": "ACTIVE", "canceled": []}
    )
    container = {"type": "message", "channel_id": "C1", "message_ts": "7.0", "is_ephemeral": False}
    risk_workspace.click("form:open:banner", "resume in growth", by="U2", container=container)
    view = risk_workspace.wait_for_view()
    assert "Income" not in list_texts(view)
    risk_workspace.submit_view(view, by="U2", reason="Prices are good")
    body = {"scope": "portfolio", "name": "Growth", "state": "ACTIVE", "reason": "Prices are good"}
    assert [change[2] for change in risk_workspace.oms.changes.values()] == [body]
    assert risk_workspace.slack.wait_for("chat.update")[0].body["ts"] == "7.0"


def test_button_of_a_member_does_not_become_the_banner(risk_workspace: PortfolioWorkspace):
    """Somebody could post such a button in a channel that nobody reads, to draw the next banner there."""
    container = {"type": "message", "channel_id": "C666", "message_ts": "7.0", "is_ephemeral": False}
    view = open_form(risk_workspace, "halt in growth")
    risk_workspace.click("form:open", "resume in growth", by="U2", container=container)
    risk_workspace.slack.wait_for("views.open", 2)
    risk_workspace.submit_view(view, reason="Bad prices")
    assert risk_workspace.slack.wait_for("chat.postMessage")[0].body["channel"] == "C1"
    assert risk_workspace.slack.list_requests("chat.update") == []


def test_halt_from_the_home_tab_is_shown_in_the_channel_of_the_settings(risk_workspace: PortfolioWorkspace):
    risk_workspace.click("form:open", "halt", channel=None)
    risk_workspace.submit_view(risk_workspace.wait_for_view(), reason="Bad prices")
    sent = risk_workspace.slack.wait_for("chat.postMessage")[0].body
    assert sent["channel"] == "D-U1"
    assert "This was not posted to a channel" in sent["text"]
    object.__setattr__(risk_workspace.bot.services, "trading_channel", "C9")
    risk_workspace.click("form:open", "halt", channel=None)
    risk_workspace.slack.wait_for("views.update", 2)
    risk_workspace.submit_view(risk_workspace.slack.shown["V2"], view_id="V2", reason="Bad prices")
    assert risk_workspace.slack.wait_for("chat.postMessage", 2)[-1].body["channel"] == "C9"


# Failures


@pytest.mark.parametrize("text", ["halt", "resume", "cancel", "close AAPL"])
def test_expired_trigger_is_reported_privately(trading: PortfolioWorkspace, text):
    trading.slack.refuse("views.open", "expired_trigger_id")
    trading.type(text, "/desk")
    message = trading.slack.wait_for("respond")[0].body["text"]
    assert message == "The form could not be opened in time. Please try again."
    assert trading.oms.calls == []


@pytest.mark.parametrize("action", ["position:open", "position:close", "position:exits"])
def test_expired_trigger_of_a_button_names_no_command(trading: PortfolioWorkspace, action):
    trading.slack.refuse("views.open", "expired_trigger_id")
    trading.click(action, KEY)
    message = trading.slack.wait_for("chat.postMessage")[0].body["text"]
    assert message == "The form could not be opened in time. Please try again."


@pytest.mark.parametrize("callback_id", FORMS)
def test_internal_error_of_a_form_says_that_the_outcome_is_not_known(
    trading: PortfolioWorkspace, monkeypatch, callback_id
):
    monkeypatch.setattr(trading.bot.services.trade_workers, "submit", lambda *_: 1 / 0)
    response = trading.submit_view(build_modal("Any form", [], RequestContext(), callback_id=callback_id))
    assert response["response_action"] == "push", "the form stays underneath"
    check_view(response["view"])
    assert response["view"]["title"]["text"] == "Outcome unknown"
    text = list_texts(response["view"])
    assert "may or may not have been done. Go back and submit the form again" in text
    assert "/trade" not in text


def test_internal_error_of_a_late_form_advises_to_check_first(hasty_trading: PortfolioWorkspace, monkeypatch):
    failure: Future[FormResult] = Future()
    monkeypatch.setattr(hasty_trading.bot.services.trade_workers, "submit", lambda *_: failure)
    view = build_modal("Any form", [], RequestContext(), callback_id=action_ids.CLOSE_FORM)
    response = hasty_trading.submit_view(view)
    assert response["view"]["title"]["text"] == "Working…"
    failure.set_exception(ZeroDivisionError())
    view = hasty_trading.wait_for_view()
    assert view["title"]["text"] == "Outcome unknown"
    assert "may or may not have been done. Please check orders and positions" in list_texts(view)


@pytest.mark.parametrize("text", ["halt", "resume", "cancel", "close AAPL"])
def test_failing_oms_is_reported_in_the_view(trading: PortfolioWorkspace, text):
    trading.oms.queue_responses("me", Response(500))
    assert "does not respond" in list_texts(open_form(trading, text))


@pytest.mark.parametrize("action", ["position:open", "position:close", "position:exits", "form:open"])
@pytest.mark.parametrize("value", ["", "nonsense", "a/b", "xyzzy 1 2 3"])
def test_invalid_button_value_changes_nothing(trading: PortfolioWorkspace, action, value):
    assert trading.click(action, value) == 200
    assert trading.oms.changes == {}
