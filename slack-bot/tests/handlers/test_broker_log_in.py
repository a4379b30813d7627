"""The form of the daily login at a broker, and the message that asks for it."""

import pytest

from tests.fakes import Response, build_problem
from tests.handlers.portfolio_workspace import PortfolioWorkspace, list_texts
from tests.limits import check_view

PAGE = "https://kite.zerodha.com/connect/login?v=3&api_key=key"
PATH = "/brokers/zerodha/session"


@pytest.fixture
def risk_workspace(trading: PortfolioWorkspace) -> PortfolioWorkspace:
    trading.oms.roles["slack:T1:U1"] = "risk"
    trading.oms.rows["/broker-connections"] = [
        {"name": "zerodha", "broker": "zerodha"}, {"name": "alpaca", "broker": "alpaca"},
    ]  # fmt: skip
    trading.oms.rows[PATH] = {"login_url": PAGE, "expires_at": None}
    trading.oms.results[f"POST {PATH}"] = Response(body={"expires_at": "2026-11-30T00:30:00.000000Z"})
    return trading


def open_form(workspace: PortfolioWorkspace):
    workspace.type("login", "/desk")
    view = workspace.wait_for_view()
    check_view(view)
    return view


def test_form_has_the_page_of_each_connection_that_needs_a_log_in(risk_workspace: PortfolioWorkspace):
    shown = list_texts(open_form(risk_workspace))
    assert f"<{PAGE.replace('&', '&amp;')}|Log in for zerodha> (not logged in)" in shown
    assert "alpaca" not in shown


def test_token_is_sent_once_and_the_end_of_the_session_is_shown(risk_workspace: PortfolioWorkspace):
    view = open_form(risk_workspace)
    body = risk_workspace.submit_view(view, request_token=" token ")
    assert "is logged in until 2026-11-30 00:30 UTC" in list_texts(body["view"])
    assert list(risk_workspace.oms.changes.values()) == [("POST", PATH, {"request_token": "token"})]


def test_token_is_needed_and_may_be_refused(risk_workspace: PortfolioWorkspace):
    view = open_form(risk_workspace)
    assert list(risk_workspace.submit_view(view, request_token=" ")["errors"]) == ["request_token"]
    error = {
        "field": "body.request_token",
        "message": "The broker did not accept it.",
        "code": "request_token",
    }
    risk_workspace.oms.results[f"POST {PATH}"] = build_problem(
        422, "1 field is not valid.", kind="invalid", errors=[error]
    )
    assert risk_workspace.submit_view(view, request_token="old")["errors"] == {
        "request_token": "The broker did not accept it."
    }


def test_trader_gets_no_form_and_a_desk_without_such_brokers_none_either(trading: PortfolioWorkspace):
    assert "does not include the login" in list_texts(open_form(trading))
    trading.oms.roles["slack:T1:U1"] = "risk"
    trading.oms.rows["/broker-connections"] = []
    trading.type("login", "/desk")
    trading.slack.wait_for("views.update", 2)
    assert "needs a daily login" in list_texts(trading.slack.shown["V2"])
