"""Forms that close positions, set exits, cancel orders, and stop and resume trading."""

import threading

import pytest

from tests import portfolio_oms
from tests.fakes import Answer, problem
from tests.handlers.portfolio_workspace import PortfolioWorkspace, texts_of
from tests.limits import check_view
from tests.reading import wait_until

KEY = "/Growth/AAPL"
HALTED = {
    "scope": "tenant", "name": None, "state": "HALTED", "reason": "Bad prices", "set_by": "slack:T1:U1",
    "set_at": "2026-11-29T10:00:00.000000Z", "portfolios": 2, "unsettled": [], "canceled": ["O1", "O2"],
    "flattened": None,
}  # fmt: skip


@pytest.fixture
def risk(trading: PortfolioWorkspace) -> PortfolioWorkspace:
    for user in ("U1", "U2"):
        trading.oms.roles[f"slack:T1:{user}"] = "risk"
    trading.oms.results["POST /kill-switch"] = Answer(body=HALTED)
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
    shown = texts_of(view)
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
    assert "position:close" not in texts_of(trading.wait_for_view())


def test_position_is_closed_once_per_form(trading: PortfolioWorkspace):
    filled = portfolio_oms.order(
        side="SELL", quantity="100", filled_quantity="100", average_price="174.90", status="FILLED"
    )
    trading.oms.results["POST /positions:close"] = Answer(201, filled)
    view = open_form(trading, "close 40 AAPL in Growth")
    for _ in range(2):
        answer = trading.submit_view(view, reason="Risk off")
    assert answer["response_action"] == "update"
    check_view(answer["view"])
    assert "filled, 100 filled at 174.90" in texts_of(answer["view"])
    body = {"portfolio_name": "Growth", "symbol": "AAPL", "reason": "Risk off", "quantity": "40"}
    assert list(trading.oms.changes.values()) == [("POST", "/positions:close", body)]
    message = trading.slack.wait_for("chat.postMessage")[0].body
    assert (message["channel"], "SELL 100 AAPL" in message["text"]) == ("C1", True)
    wait_until(lambda: not trading.bot.services.storage.database.execute("SELECT key FROM pending_orders"))
    assert len(trading.slack.named("chat.postMessage")) == 1


def test_exits_are_set_and_removed(trading: PortfolioWorkspace):
    legs = [portfolio_oms.order(role="take_profit", side="SELL", limit_price="190.00")]
    trading.oms.results["PUT /positions/Growth/AAPL/exits"] = Answer(body={"orders": legs})
    trading.click("position:exits", KEY, view={"type": "modal", "id": "V0"})
    trading.slack.wait_for("views.push")
    view = trading.wait_for_view()
    check_view(view)
    answer = trading.submit_view(view, take_profit="190", stop_loss="")
    assert "The exits of *AAPL*" in texts_of(answer["view"])
    body = {"take_profit": {"limit_price": "190"}, "stop_loss": None}
    assert list(trading.oms.changes.values()) == [("PUT", "/positions/Growth/AAPL/exits", body)]


def test_error_of_an_exit_appears_at_its_field(trading: PortfolioWorkspace):
    errors = [{"field": "stop_loss.stop_price", "message": "Must be below the price."}]
    trading.oms.results["PUT /positions/Growth/AAPL/exits"] = problem(422, "Bad.", errors)
    trading.click("position:exits", KEY)
    answer = trading.submit_view(trading.wait_for_view(), stop_loss="200")
    assert answer == {"response_action": "errors", "errors": {"stop_loss": "Must be below the price."}}


def test_denial_keeps_the_form_and_gets_a_new_key(trading: PortfolioWorkspace):
    trading.oms.results["POST /positions:close"] = problem(
        422, "Trading is HALTED: no new orders.", kind="denied"
    )
    view = open_form(trading, "close AAPL in Growth")
    body = trading.submit_view(view)
    check_view(body["view"])
    assert "*Not done.* Trading is HALTED: no new orders." in texts_of(body["view"])
    trading.submit_view(body["view"])
    assert len(trading.oms.changes) == 2


def test_same_key_is_sent_again_after_a_lost_answer(trading: PortfolioWorkspace):
    trading.oms.script("POST /positions:close", Answer(drop=True))
    trading.oms.results["POST /positions:close"] = Answer(201, portfolio_oms.order())
    view = open_form(trading, "close AAPL in Growth")
    body = trading.submit_view(view)
    assert "*Not known yet.*" in texts_of(body["view"])
    trading.submit_view(body["view"])
    keys = [call.headers["idempotency-key"] for call in trading.oms.named("POST /positions:close")]
    assert len(set(keys)) == 1
    assert len(keys) == 2


def test_slow_oms_redraws_the_form_later(trading: PortfolioWorkspace):
    trading.oms.script("POST /positions:close", Answer(201, portfolio_oms.order(), slow=0.8))
    body = trading.submit_view(open_form(trading, "close AAPL in Growth"))
    assert body["view"]["title"]["text"] == "Working…"
    trading.slack.wait_for("views.update", 2)
    assert "closes the position" in texts_of(trading.slack.shown["V1"])


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Answer(201, portfolio_oms.order(), slow=0.8), "*Position closed*"),
        (problem(422, "Nothing to close."), "*Not done.* Nothing to close."),
        (Answer(503), "before you do it again"),
    ],
)
def test_late_result_of_a_form_that_was_closed_is_sent_to_the_person(
    trading: PortfolioWorkspace, answer, text
):
    answer.slow = 0.8
    trading.oms.script("POST /positions:close", answer)
    view = open_form(trading, "close AAPL in Growth")
    trading.slack.refuse("views.update", "not_found")
    trading.submit_view(view)
    wait_until(lambda: any(text in note["text"] for note in notes_of(trading)))
    wait_until(lambda: not owed_notes(trading))


def test_late_result_survives_a_bot_that_is_killed_before_it_is_shown(
    trading: PortfolioWorkspace, monkeypatch
):
    trading.oms.script("POST /positions:close", problem(422, "Nothing to close."))
    trading.oms.scripts["POST /positions:close"][0].slow = 0.8
    view = open_form(trading, "close AAPL in Growth")

    answered = threading.Event()
    monkeypatch.setattr(trading.bot.services.slack, "update_view", lambda *_: answered.wait(30.0))
    trading.submit_view(view)
    wait_until(lambda: owed_notes(trading))
    assert [row.user for row in owed_notes(trading)] == ["U1"], "another bot sends it when it is due"
    answered.set()
    wait_until(lambda: not owed_notes(trading))


def owed_notes(trading: PortfolioWorkspace):
    return trading.bot.services.notifications.list_due(1e12)


def notes_of(trading: PortfolioWorkspace):
    messages = [call.body for call in trading.slack.named("chat.postMessage")]
    return [message for message in messages if message["channel"] == "D-U1"]


def test_two_hundred_positions_can_be_chosen(trading: PortfolioWorkspace):
    rows = [
        portfolio_oms.position("S" * 37 + f"{number:03}", "P" * 100, product="NRML") for number in range(200)
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


def test_all_matching_orders_are_cancelled(trading: PortfolioWorkspace):
    orders = [portfolio_oms.order(f"O{number}") for number in range(3)]
    trading.oms.rows["/orders"] = orders
    trading.oms.results["POST /orders:cancel-all"] = Answer(body={"orders": orders})
    view = open_form(trading, "cancel AAPL buy in Growth")
    assert "All that match (3 orders)" in texts_of(view)
    answer = trading.submit_view(view, reason="End of the day")
    assert "*3 orders cancelled.*" in texts_of(answer["view"])
    body = {"portfolio_name": "Growth", "symbol": "AAPL", "side": "BUY", "reason": "End of the day"}
    assert list(trading.oms.changes.values()) == [("POST", "/orders:cancel-all", body)]


def test_one_order_of_many_is_cancelled(trading: PortfolioWorkspace):
    trading.oms.rows["/orders"] = [portfolio_oms.order(f"O1795236065530000{number}") for number in range(101)]
    trading.oms.results["POST /orders/O17952360655300005/cancel"] = Answer(body=portfolio_oms.order())
    view = open_form(trading, "cancel")
    assert trading.submit_view(view)["errors"] == {"orders": "Choose what to cancel."}
    body = trading.submit_view(view, orders="O17952360655300005")
    assert "*1 order cancelled.*" in texts_of(body["view"])


# Kill switch


def test_halt_says_what_stays_open_and_posts_a_banner(risk: PortfolioWorkspace):
    risk.oms.rows["/orders"] = [portfolio_oms.order("O1"), portfolio_oms.order("O2", role="stop_loss")]
    view = open_form(risk, "halt")
    assert "2 working orders, 1 of them exits, and 1 position" in texts_of(view)
    answer = risk.submit_view(view, reason="Bad prices")
    assert "Cancelled: 2 orders." in texts_of(answer["view"])
    body = {"scope": "tenant", "state": "HALTED", "exits": "keep", "reason": "Bad prices"}
    assert list(risk.oms.changes.values()) == [("POST", "/kill-switch", body)]
    banner = risk.slack.wait_for("chat.postMessage")[0].body
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
def test_portfolio_is_reduced_or_flattened(risk: PortfolioWorkspace, mode, expected):
    view = open_form(risk, "halt in growth")
    risk.submit_view(view, mode=mode, reason="Bad prices", flatten_ok="yes")
    body = {"scope": "portfolio", "name": "Growth", "reason": "Bad prices"} | expected
    assert [change[2] for change in risk.oms.changes.values()] == [body]


def test_flattening_needs_a_second_confirmation_and_every_halt_a_reason(risk: PortfolioWorkspace):
    view = open_form(risk, "halt")
    body = risk.submit_view(view, mode="flatten", reason="Bad prices")
    assert list(body["errors"]) == ["flatten_ok"]
    assert list(risk.submit_view(view, reason=" ")["errors"]) == ["reason"]
    assert risk.oms.changes == {}


@pytest.mark.parametrize("text", ["halt", "resume"])
def test_trader_gets_no_kill_switch(trading: PortfolioWorkspace, text):
    assert "does not include the kill switch" in texts_of(open_form(trading, text))


def test_oms_refuses_a_person_without_the_role(risk: PortfolioWorkspace):
    view = open_form(risk, "halt")
    risk.oms.results["POST /kill-switch"] = problem(403, "No.", kind="forbidden")
    body = risk.submit_view(view, reason="Bad prices")
    assert "Your role at this desk does not include the kill switch." in texts_of(body["view"])


def test_another_person_resumes_and_the_banner_is_edited(risk: PortfolioWorkspace):
    risk.submit_view(open_form(risk, "halt"), reason="Bad prices")
    risk.slack.wait_for("chat.postMessage")
    risk.oms.rows["/kill-switch"] = [
        portfolio_oms.switch(state="HALTED", set_by="slack:T1:U1", reason="Bad prices")
    ]
    risk.oms.results["POST /kill-switch"] = Answer(body=HALTED | {"state": "ACTIVE", "canceled": []})
    risk.click("form:open", "resume", by="U2")
    risk.slack.wait_for("views.update", 2)
    view = risk.slack.shown["V2"]
    check_view(view)
    body = risk.submit_view(view, by="U2", view_id="V2", reason="Prices are good")
    assert "is ACTIVE" in texts_of(body["view"])
    edited = risk.slack.wait_for("chat.update")[0].body
    assert edited["ts"] == "1.0"
    assert "was resumed* by <@U2>: Prices are good" in edited["text"]
    assert risk.slack.wait_for("chat.postMessage", 2)[-1].body["thread_ts"] == "1.0"


def test_user_who_halted_cannot_resume(risk: PortfolioWorkspace):
    risk.oms.rows["/kill-switch"] = [portfolio_oms.switch(state="HALTED", set_by="slack:T1:U1")]
    assert "Another person" in texts_of(open_form(risk, "resume"))
    risk.type("resume", "/desk", user_id="U2")
    risk.slack.wait_for("views.update", 2)
    body = risk.submit_view(risk.slack.shown["V2"], by="U1", view_id="V2", reason="Mine")
    assert list(body["errors"]) == ["switch"]
    assert risk.oms.changes == {}


def test_refused_banner_is_sent_to_its_user(risk: PortfolioWorkspace):
    risk.slack.script("chat.postMessage", Answer(body={"ok": False, "error": "not_in_channel"}))
    risk.submit_view(open_form(risk, "halt"), reason="Bad prices")
    sent = risk.slack.wait_for("chat.postMessage", 2)[-1].body
    assert sent["channel"] == "D-U1"
    assert "/invite" in sent["text"]


def test_banner_is_edited_after_a_click_that_follows_a_restart(risk: PortfolioWorkspace):
    stopped = {"state": "REDUCING", "set_by": "slack:T1:U1"}
    risk.oms.rows["/kill-switch"] = [
        portfolio_oms.switch(),
        portfolio_oms.switch("portfolio", "Growth", **stopped),
        portfolio_oms.switch("portfolio", "Income", **stopped),
    ]
    risk.oms.results["POST /kill-switch"] = Answer(body=HALTED | {"state": "ACTIVE", "canceled": []})
    container = {"type": "message", "channel_id": "C1", "message_ts": "7.0", "is_ephemeral": False}
    risk.click("form:open:banner", "resume in growth", by="U2", container=container)
    view = risk.wait_for_view()
    assert "Income" not in texts_of(view)
    risk.submit_view(view, by="U2", reason="Prices are good")
    body = {"scope": "portfolio", "name": "Growth", "state": "ACTIVE", "reason": "Prices are good"}
    assert [change[2] for change in risk.oms.changes.values()] == [body]
    assert risk.slack.wait_for("chat.update")[0].body["ts"] == "7.0"


def test_button_of_a_member_does_not_become_the_banner(risk: PortfolioWorkspace):
    """Somebody could post such a button in a channel that nobody reads, to draw the next banner there."""
    container = {"type": "message", "channel_id": "C666", "message_ts": "7.0", "is_ephemeral": False}
    view = open_form(risk, "halt in growth")
    risk.click("form:open", "resume in growth", by="U2", container=container)
    risk.slack.wait_for("views.open", 2)
    risk.submit_view(view, reason="Bad prices")
    assert risk.slack.wait_for("chat.postMessage")[0].body["channel"] == "C1"
    assert risk.slack.named("chat.update") == []


def test_halt_from_the_home_tab_is_shown_in_the_channel_of_the_settings(risk: PortfolioWorkspace):
    risk.click("form:open", "halt", channel=None)
    risk.submit_view(risk.wait_for_view(), reason="Bad prices")
    sent = risk.slack.wait_for("chat.postMessage")[0].body
    assert sent["channel"] == "D-U1"
    assert "No channel got this message" in sent["text"]
    object.__setattr__(risk.bot.services, "trading_channel", "C9")
    risk.click("form:open", "halt", channel=None)
    risk.slack.wait_for("views.update", 2)
    risk.submit_view(risk.slack.shown["V2"], view_id="V2", reason="Bad prices")
    assert risk.slack.wait_for("chat.postMessage", 2)[-1].body["channel"] == "C9"


# Failures


@pytest.mark.parametrize("text", ["halt", "resume", "cancel", "close AAPL"])
def test_expired_trigger_is_reported_privately(trading: PortfolioWorkspace, text):
    trading.slack.refuse("views.open", "expired_trigger_id")
    trading.type(text, "/desk")
    assert "run the command again" in trading.slack.wait_for("respond")[0].body["text"]
    assert trading.oms.calls == []


@pytest.mark.parametrize("text", ["halt", "resume", "cancel", "close AAPL"])
def test_failing_oms_is_reported_in_the_view(trading: PortfolioWorkspace, text):
    trading.oms.script("me", Answer(500))
    assert "does not answer" in texts_of(open_form(trading, text))


@pytest.mark.parametrize("action", ["position:open", "position:close", "position:exits", "form:open"])
@pytest.mark.parametrize("value", ["", "nonsense", "a/b", "xyzzy 1 2 3"])
def test_invalid_button_value_changes_nothing(trading: PortfolioWorkspace, action, value):
    assert trading.click(action, value) == 200
    assert trading.oms.changes == {}
