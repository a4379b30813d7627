"""The overview in the home tab of the app."""

import json

import pytest

from app.forms.overview_tabs import Tab
from app.oms_client import Person
from app.services.queries.overview import queue_changed_overviews
from app.services.state.overview_viewers import MAX_IDLE_SECONDS, OverviewViewers
from tests import portfolio_oms
from tests.conftest import finish_work
from tests.fakes import Response, build_problem
from tests.handlers.portfolio_workspace import PortfolioWorkspace
from tests.limits import check_overview


def open_overview(trading: PortfolioWorkspace, user="U1", **changes):
    """Open the home tab and return the view that was published."""
    before = len(trading.slack.list_requests("views.publish"))
    event = {"type": "app_home_opened", "user": user, "channel": "D1", "tab": "home"}
    assert trading.send_event(event | changes) == 200
    return trading.slack.wait_for("views.publish", before + 1)[-1].body["view"]


def choose_tab(trading: PortfolioWorkspace, tab: str, user="U1"):
    before = len(trading.slack.list_requests("views.publish"))
    assert trading.click(f"overview:tab:{tab}", tab, by=user) == 200
    return trading.slack.wait_for("views.publish", before + 1)[-1].body["view"]


def list_words(view):
    return json.dumps(view, ensure_ascii=False).replace("\u2060", "")


def list_tabs(view):
    return [element["value"] for element in view["blocks"][0]["elements"]]


def test_opening_shows_the_overview(trading: PortfolioWorkspace):
    view = open_overview(trading)
    check_overview(view)
    assert list_tabs(view) == [tab.value for tab in Tab]
    assert "equity 1,000,500.00 USD" in list_words(view)
    assert "Report a trade" in list_words(view)
    assert "Stop trading" not in list_words(view)


@pytest.mark.parametrize("tab", Tab)
def test_empty_tab_explains_its_content(trading: PortfolioWorkspace, tab):
    for path in ("/positions", "/orders", "/trades", "/approvals", "/portfolios"):
        trading.oms.rows[path] = []
    view = choose_tab(trading, tab.value)
    check_overview(view)
    assert view["private_metadata"] == tab.value


@pytest.mark.parametrize("tab", Tab)
@pytest.mark.parametrize("role", ["viewer", "trader", "risk", "admin"])
def test_every_tab_fits_at_its_largest(trading: PortfolioWorkspace, tab, role):
    trading.oms.roles["slack:T1:U1"] = role
    names = [f"{'SYMBOL-' * 5}{number:03}" for number in range(201)]
    orders = [portfolio_oms.build_order(f"O{name[-30:]}", portfolio_name="P" * 100) for name in names[:101]]
    rows = trading.oms.rows
    rows["/positions"] = [portfolio_oms.build_position(name, "P" * 100, product="NRML") for name in names]
    rows["/orders"] = orders
    rows["/trades"] = [portfolio_oms.build_trade(portfolio_name="P" * 100) for _ in range(20)]
    rows["/approvals"] = [
        portfolio_oms.build_approval(order=order, reason="r" * 500) for order in orders[:100]
    ]
    rows["/portfolios"] = [f"{'P' * 97}{number:03}" for number in range(100)]
    rows |= {f"/portfolio/{name}": portfolio_oms.build_portfolio(name) for name in rows["/portfolios"]}
    rows["/kill-switch"] = [
        portfolio_oms.build_switch(
            "portfolio", "P" * 100, state="HALTED", reason="r" * 500, set_by="slack:T1:U2"
        )
        for _ in range(100)
    ]
    check_overview(choose_tab(trading, tab.value))


def test_viewer_sees_no_approvals_and_no_buttons(trading: PortfolioWorkspace):
    trading.oms.roles["slack:T1:U1"] = "viewer"
    view = open_overview(trading)
    assert "approvals" not in list_tabs(view)
    assert "Report a trade" not in list_words(view)
    assert choose_tab(trading, "approvals")["private_metadata"] == "overview"
    assert "Cancel orders" not in list_words(choose_tab(trading, "orders"))


def test_risk_manager_sees_the_kill_switch_and_its_state(trading: PortfolioWorkspace):
    trading.oms.roles["slack:T1:U1"] = "risk"
    trading.oms.rows["/kill-switch"] = [portfolio_oms.build_switch(state="HALTED", set_by="slack:T1:U2")]
    view = open_overview(trading)
    check_overview(view)
    assert "As of <!date^" in list_words(view), "in the time zone of the reader"
    assert "The whole desk is HALTED* by <@U2>" in list_words(view)
    assert "Stop trading…" in list_words(view)
    assert trading.click("form:open:resume", "resume", view=view) == 200
    assert trading.wait_for_view()["callback_id"] == "resume_form"


@pytest.mark.parametrize("form", ["trade", "order"])
def test_buttons_of_the_overview_open_the_forms(trading: PortfolioWorkspace, form):
    trading.click(f"overview:{form}")
    assert trading.slack.wait_for("views.open")[0].body["view"]["callback_id"] == f"{form}_form"


def test_waiting_orders_have_buttons_that_decide(trading: PortfolioWorkspace):
    trading.oms.rows["/approvals"] = [portfolio_oms.build_approval()]
    view = choose_tab(trading, "approvals")
    buttons = view["blocks"][2]["elements"]
    assert [button["action_id"] for button in buttons] == ["approval_approve", "approval_reject"]
    trading.click(buttons[0]["action_id"], buttons[0]["value"], channel=None)
    assert "callback_id" in trading.slack.wait_for("views.open")[0].body["view"]


def test_chosen_tab_stays_at_the_next_opening(trading: PortfolioWorkspace):
    choose_tab(trading, "orders")
    assert open_overview(trading)["private_metadata"] == "orders"
    assert open_overview(trading, user="U2")["private_metadata"] == "overview"


def test_two_hundred_positions_and_a_hundred_orders_are_published(trading: PortfolioWorkspace):
    trading.oms.rows["/positions"] = [portfolio_oms.build_position(f"SYM{number}") for number in range(200)]
    trading.oms.rows["/orders"] = [portfolio_oms.build_order(f"O{number}") for number in range(100)]
    check_overview(choose_tab(trading, "positions"))


def test_workspace_that_refuses_tables_gets_lines(trading: PortfolioWorkspace):
    trading.slack.queue_responses("views.publish", Response(body={"ok": False, "error": "invalid_blocks"}))
    trading.click("overview:tab:positions", "positions")
    view = trading.slack.wait_for("views.publish", 2)[-1].body["view"]
    check_overview(view)
    assert not any(block["type"] == "data_table" for block in view["blocks"])
    assert "*AAPL* · Portfolio Growth · Quantity 100" in list_words(view)


def test_burst_of_events_redraws_each_overview_at_most_twice(trading: PortfolioWorkspace):
    open_overview(trading)
    open_overview(trading, user="U2")
    services, before = trading.bot.services, len(trading.slack.list_requests("views.publish"))
    for _ in range(50):
        queue_changed_overviews(services, "trade.recorded", "req-1")
    finish_work(trading.bot)
    redrawn = len(trading.slack.list_requests("views.publish")) - before
    assert 2 <= redrawn <= 4
    assert services.overview_queue is not services.send_queue, "confirmations must not wait for overviews"


def test_only_the_tabs_that_change_are_redrawn(trading: PortfolioWorkspace):
    choose_tab(trading, "settings")
    choose_tab(trading, "orders", user="U2")
    before = len(trading.slack.list_requests("views.publish"))
    for event_type in ("trade.recorded", "order.filled", "limit.changed", "webhook.disabled"):
        queue_changed_overviews(trading.bot.services, event_type, "req-1")
    finish_work(trading.bot)
    drawn = trading.slack.list_requests("views.publish")[before:]
    assert [call.body["user_id"] for call in drawn] == ["U2"]


def test_overviews_of_other_users_are_not_redrawn(trading: PortfolioWorkspace):
    queue_changed_overviews(trading.bot.services, "kill_switch.halted", "req-1")
    finish_work(trading.bot)
    assert trading.slack.list_requests("views.publish") == []


def test_overview_of_an_inactive_user_is_not_redrawn():
    now = [0.0]
    viewers = OverviewViewers(lambda: now[0])
    person = Person("T1", "U1")
    viewers.record(person, Tab.ORDERS)
    assert viewers.list_active([Tab.ORDERS]) == [person]
    now[0] = MAX_IDLE_SECONDS + 1
    assert viewers.list_active([Tab.ORDERS]) == []


@pytest.mark.parametrize(
    ("trouble", "expected"),
    [(Response(500), "does not respond"), (build_problem(403, "No.", kind="person-refused"), "not a member")],
)
def test_failing_oms_is_reported_in_the_overview(trading: PortfolioWorkspace, trouble, expected):
    trading.oms.queue_responses("me", trouble)
    view = open_overview(trading)
    check_overview(view)
    assert expected in list_words(view)


def test_people_of_another_workspace_see_a_refusal(trading: PortfolioWorkspace):
    trading.slack.teams["U9"] = "T9"
    assert "Only members" in list_words(open_overview(trading, user="U9"))
    assert trading.oms.calls == []


def test_messages_tab_is_left_alone(trading: PortfolioWorkspace):
    event = {"type": "app_home_opened", "user": "U1", "channel": "D1", "tab": "messages"}
    assert trading.send_event(event) == 200
    finish_work(trading.bot)
    assert trading.slack.calls == []


def test_overview_is_published_after_a_rate_limit(trading: PortfolioWorkspace):
    trading.slack.queue_responses("views.publish", Response(429, headers={"Retry-After": "0"}))
    trading.click("overview:tab:orders", "orders")
    assert trading.slack.wait_for("views.publish", 2)[-1].body["view"]["private_metadata"] == "orders"
