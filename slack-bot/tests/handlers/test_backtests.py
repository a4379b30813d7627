"""`/desk backtest`: the form, the request to the OMS, and the result as a direct message."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.blocks.backtest_reports import build_backtest_reply
from app.events.registry import Event, EventRegistry
from app.events.subscriptions import register_subscriptions
from app.forms.portfolio_values import EquityPoint
from app.forms.strategy_values import get_proposed_days
from app.forms.text_commands import FORM_VERBS
from app.oms_client.rows import parse_backtest, parse_rows
from app.services.queries import chart_images
from app.services.queries.command_replies import REPLY_LOADERS
from app.services.queries.text_requests import BUTTON_TEXTS
from tests import portfolio_oms
from tests.fakes import Response, build_problem
from tests.handlers.portfolio_workspace import PortfolioWorkspace, list_texts
from tests.limits import check_message, check_view

PNG = b"\x89PNG\r\n\x1a\n"
EQUITY = "/backtests/B1/equity"


@pytest.fixture
def finished_backtest(trading: PortfolioWorkspace) -> PortfolioWorkspace:
    trading.oms.rows["/backtests/B1"] = portfolio_oms.build_backtest()
    trading.oms.rows[EQUITY] = portfolio_oms.build_equities(30)
    return trading


def open_form(workspace: PortfolioWorkspace, text: str):
    workspace.type(text, "/desk")
    view = workspace.wait_for_view()
    check_view(view)
    return view


def report_state(workspace: PortfolioWorkspace, state="done", **changes):
    registry = EventRegistry()
    register_subscriptions(registry)
    payload = {
        "backtest_id": "B1",
        "strategy": "trend",
        "status": state,
        "error": None,
        "actor": "slack:T1:U1",
    }
    event = Event("E1", f"backtest.{state}", "2026-11-29T10:00:00Z", payload | changes)
    registry.handle(workspace.bot.services, event)


def test_form_proposes_the_last_30_complete_days_and_requests_the_backtest(trading: PortfolioWorkspace):
    view = open_form(trading, "backtest trend")
    assert "Backtest of *trend*" in list_texts(view)
    trading.oms.results["POST /backtests"] = Response(202, portfolio_oms.build_backtest(status="queued"))
    entries = {"from": "2026-10-30", "to": "2026-11-28"}
    response = trading.submit_view(view, **entries)
    assert "The backtest of *trend* is queued." in list_texts(response["view"])
    body = {"strategy": "trend", "from": "2026-10-30", "to": "2026-11-29"}
    assert list(trading.oms.changes.values()) == [("POST", "/backtests", body)]
    days = get_proposed_days(datetime(2026, 11, 29, 10, tzinfo=UTC))
    assert [day.isoformat() for day in days] == ["2026-10-30", "2026-11-28"]


def test_form_asks_for_the_strategy_and_checks_its_entries(trading: PortfolioWorkspace):
    trading.oms.rows["/strategies"] = [portfolio_oms.build_strategy("manual", kind="manual")] + [
        portfolio_oms.build_strategy(f"trend{number}") for number in range(150)
    ]
    view = open_form(trading, "backtest")
    assert list(trading.submit_view(view)["errors"]) == ["strategy"]
    chosen = {"strategy": "trend7", "from": "2026-11-28"}
    assert list(trading.submit_view(view, **chosen, to="2026-11-27")["errors"]) == ["to"]
    assert list(trading.submit_view(view, **chosen, to="2026-11-28", symbols="A<B")["errors"]) == ["symbols"]
    error = {"field": "from", "message": "These are more than 5,000,000 bars.", "code": "too_many_bars"}
    trading.oms.results["POST /backtests"] = build_problem(422, "1 field.", kind="invalid", errors=[error])
    refused = trading.submit_view(view, **chosen, to="2026-11-28", symbols="AAPL, msft")
    assert refused["errors"] == {"from": "These are more than 5,000,000 bars."}
    sent = next(iter(trading.oms.changes.values()))[2]
    assert sent["symbols"] == ["AAPL", "MSFT"]
    assert sent["strategy"] == "trend7"


def test_form_of_an_unregistered_name_needs_symbols(trading: PortfolioWorkspace):
    view = open_form(trading, "backtest moving_average_cross")
    assert "installed but not registered" in list_texts(view)
    assert "optional" not in view["blocks"][-1]


def test_viewer_gets_no_form_and_a_desk_without_code_an_example(trading: PortfolioWorkspace):
    trading.oms.rows["/strategies"] = []
    assert "`/desk backtest moving_average_cross`" in list_texts(open_form(trading, "backtest"))
    trading.oms.roles["slack:T1:U1"] = "viewer"
    trading.type("backtest trend", "/desk")
    trading.slack.wait_for("views.update", 2)
    assert "does not include backtests" in list_texts(trading.slack.shown["V2"])


def test_button_of_the_list_opens_the_form(trading: PortfolioWorkspace):
    trading.click("strategy:backtest", "trend")
    assert "Backtest of *trend*" in list_texts(trading.wait_for_view())


def test_every_form_has_a_button_for_direct_messages():
    assert BUTTON_TEXTS.keys() == FORM_VERBS - REPLY_LOADERS.keys()


def test_person_gets_the_numbers_and_a_chart(finished_backtest: PortfolioWorkspace):
    cursor = {"Link": f'</api/v1{EQUITY}?limit=1000&cursor=next%3D>; rel="next"'}
    finished_backtest.oms.queue_responses(
        f"GET {EQUITY}", Response(body=portfolio_oms.build_equities(15), headers=cursor)
    )
    report_state(finished_backtest)
    message = finished_backtest.slack.wait_for("chat.postMessage")[0].body
    check_message(message["text"], message["blocks"])
    assert message["channel"] == "D-U1"
    assert "*Backtest of trend* is done (`B1`)" in message["text"]
    assert "AAPL · 2026-10-30 to 2026-11-28 · bars of 1m" in message["text"]
    assert "P&amp;L +1,250.40 (+0.13%) · equity 1,001,250.40 · charges 12.00" in message["text"]
    assert "12 round trips, 7 won · 24 fills · max drawdown 1.20% · Sharpe 1.34" in message["text"]
    assert "Equity: from 1,000,000.00 to 1,002,900.00" in message["text"]
    kinds = [block["type"] for block in message["blocks"]]
    assert kinds == ["section", "data_visualization"]
    assert [query.get("cursor") for path, query in finished_backtest.oms.reads() if path == EQUITY] == [
        None,
        "next=",
    ]
    finished_backtest.bot.services.send_queue.close(60.0)  # the posted message is recorded
    assert finished_backtest.bot.services.notifications.list_due(1e12) == []


@pytest.mark.parametrize(
    ("share", "shown"), [(-0.000012, "(-0.0012%)"), (0.0, "(+0.00%)"), (0.0001, "(+0.01%)"), (None, "(none)")]
)
def test_small_results_are_not_shown_as_zero(share, shown):
    statistics = portfolio_oms.build_backtest()["statistics"] | {"return": share}
    result = parse_backtest(portfolio_oms.build_backtest(statistics=statistics))
    assert shown in build_backtest_reply(result, []).text


def test_image_has_more_points_than_the_chart(finished_backtest: PortfolioWorkspace, monkeypatch):
    drawn = []

    def draw(block):
        drawn.append(block)
        return PNG

    monkeypatch.setattr(chart_images, "has_matplotlib", lambda: True)
    monkeypatch.setattr(chart_images, "draw_chart", draw)
    report_state(finished_backtest)
    blocks = finished_backtest.slack.wait_for("chat.postMessage")[0].body["blocks"]
    assert [block["type"] for block in blocks] == ["section", "image"]
    assert len(drawn[0]["chart"]["series"][0]["data"]) == 30
    assert finished_backtest.slack.list_requests("upload")[0].body[:8] == PNG


def test_long_curve_is_thinned_to_the_maximum_of_slack():
    points = [
        EquityPoint(f"2026-11-{1 + n // 1440:02}T{n // 60 % 24:02}:{n % 60:02}:00Z", Decimal(1000 + n))
        for n in range(4000)
    ]
    reply = build_backtest_reply(parse_backtest(portfolio_oms.build_backtest()), points)
    message = reply.build_message()
    check_message(message.text, list(message.blocks))
    chart_points = reply.charts[0]["chart"]["series"][0]["data"]
    assert [len(chart_points), chart_points[0]["value"], chart_points[-1]["value"]] == [20, 1000.0, 4999.0]
    no_points = build_backtest_reply(
        parse_backtest(portfolio_oms.build_backtest()), parse_rows(EquityPoint, [])
    )
    assert no_points.charts == ()


def test_failed_backtest_is_reported_to_its_user(trading: PortfolioWorkspace):
    report_state(trading, "failed", error="ValueError: no data (<trend>.py, line 12)")
    text = trading.slack.wait_for("chat.postMessage")[0].body["text"]
    assert text.startswith("The backtest of *trend* failed (`B1`): ValueError: no data (&lt;trend&gt;.py")


def test_unreadable_result_is_reported_as_a_sentence(trading: PortfolioWorkspace):
    report_state(trading)
    trading.oms.wait_for("GET /backtests/B1")
    (pending,) = trading.bot.services.notifications.list_due(1e12)
    assert pending.text == "The backtest of *trend* is done (`B1`)."
    assert trading.slack.list_requests("chat.postMessage") == []


@pytest.mark.parametrize("actor", ["key:k1", "slack:T2:U1", None])
def test_backtests_of_other_users_are_not_reported(trading: PortfolioWorkspace, actor):
    report_state(trading, actor=actor)
    assert trading.bot.services.notifications.list_due(1e12) == []
    assert trading.oms.calls == []
