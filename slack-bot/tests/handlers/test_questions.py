"""The form asks about everything unusual before it trades."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.forms.questions import build_portfolio_id
from tests import factories
from tests.conftest import Workspace
from tests.fakes import Response
from tests.limits import check_view
from tests.views import get_banner, get_reasons, index_blocks, list_question_ids

# Portfolios

SLIP = factories.build_state(portfolio="Growht")


def test_new_portfolio_needs_a_confirmation(workspace: Workspace):
    body = workspace.submit(SLIP)
    check_view(body["view"])
    assert "There is no portfolio named Growht. Did you mean Growth?" in get_reasons(body["view"])
    assert workspace.oms.list_requests("place") == []
    assert workspace.submit(SLIP | factories.build_new_portfolio_state("Growht")) == {
        "response_action": "clear"
    }
    assert workspace.oms.list_requests("place")[0].body["portfolio_name"] == "Growht"


def test_portfolio_is_looked_up_until_it_exists(workspace: Workspace):
    for form in ("V1", "V2", "V3"):
        workspace.submit(factories.build_state(portfolio="GROWTH"), id=form, root_view_id=form)
    assert len(workspace.oms.list_requests("portfolio_named")) == 1
    for _ in range(2):
        workspace.submit(SLIP, id="V4", root_view_id="V4")
    assert len(workspace.oms.list_requests("portfolio_named")) == 3


def test_confirming_one_new_portfolio_does_not_confirm_another(workspace: Workspace):
    body = workspace.submit(
        factories.build_state(portfolio="Incoem") | factories.build_new_portfolio_state("Growht")
    )
    assert "There is no portfolio named Incoem. Did you mean Income?" in get_reasons(body["view"])


def test_choice_of_another_portfolio_resolves_the_question(workspace: Workspace):
    workspace.submit(SLIP)
    assert workspace.submit() == {"response_action": "clear"}


def test_new_portfolio_needs_a_confirmation_and_stays_marked_as_new(workspace: Workspace):
    values = factories.build_state(portfolio="Fresh", portfolio_text="New portfolio: Fresh")
    body = workspace.submit(values)
    assert "There is no portfolio named Fresh." in get_reasons(body["view"])
    chosen = index_blocks(body)["portfolio"]["element"]["initial_option"]
    assert chosen["text"]["text"] == "New portfolio: Fresh"
    assert workspace.submit(values | factories.build_new_portfolio_state("Fresh")) == {
        "response_action": "clear"
    }


def test_portfolio_is_confirmed_even_if_the_nearest_names_cannot_be_loaded(
    workspace: Workspace,
):
    workspace.oms.default_responses["portfolios"] = Response(500)
    assert get_reasons(workspace.submit(SLIP)["view"]).endswith("There is no portfolio named Growht.")


def test_price_and_portfolio_are_asked_about_at_once(workspace: Workspace):
    values = factories.build_state(gmv="0.1", portfolio="Growht")
    assert list_question_ids(workspace.submit(values)["view"]) == [
        "price_ok:AAPL:0.001",
        build_portfolio_id("Growht"),
    ]
    ticked = (
        values
        | factories.build_confirmed_price_state("0.001")
        | factories.build_new_portfolio_state("Growht")
    )
    assert workspace.submit(ticked) == {"response_action": "clear"}


def test_confirmation_of_one_question_keeps_the_confirmation_of_another(workspace: Workspace):
    values = factories.build_state(gmv="0.1", portfolio="Growht")
    first = workspace.submit(values)["view"]
    second = workspace.submit(
        values | factories.build_confirmed_price_state("0.001"), private_metadata=first["private_metadata"]
    )["view"]
    assert list_question_ids(second) == [build_portfolio_id("Growht")]
    third = workspace.submit(
        values | factories.build_new_portfolio_state("Growht"), private_metadata=second["private_metadata"]
    )
    assert third == {"response_action": "clear"}


def test_confirmation_is_not_valid_for_another_price_or_portfolio(workspace: Workspace):
    values = factories.build_state(gmv="0.1", portfolio="Growht")
    metadata = workspace.submit(values | factories.build_confirmed_price_state("0.001"))["view"][
        "private_metadata"
    ]
    other = workspace.submit(factories.build_state(gmv="0.2", portfolio="Growth"), private_metadata=metadata)
    assert list_question_ids(other["view"]) == ["price_ok:AAPL:0.002"]


def test_confirmed_price_needs_a_confirmation_for_another_symbol(workspace: Workspace):
    workspace.oms.instruments["MSFT"] = ""
    metadata = workspace.submit(factories.build_state(gmv="0.1"))["view"]["private_metadata"]
    values = factories.build_state(symbol="MSFT", gmv="0.1") | factories.build_confirmed_price_state("0.001")
    body = workspace.submit(values, private_metadata=metadata)
    assert list_question_ids(body["view"]) == ["price_ok:MSFT:0.001"]


# Symbols


def test_unknown_symbol_needs_a_confirmation_and_shows_the_nearest_symbols(workspace: Workspace):
    values = factories.build_state(symbol="APPL")
    body = workspace.submit(values)
    check_view(body["view"])
    assert list_question_ids(body["view"]) == ["symbol_ok:APPL"]
    assert "APPL is not a listed instrument" in get_reasons(body["view"])
    assert "Did you mean AAPL (Apple Inc.)?" in get_reasons(body["view"])
    assert workspace.oms.list_requests("place") == []
    assert workspace.submit(values | factories.build_confirmed_state("symbol_ok:APPL")) == {
        "response_action": "clear"
    }


def test_name_that_was_typed_as_the_symbol_finds_its_instrument(workspace: Workspace):
    workspace.oms.instruments |= {"APPLX": "", "MLP": "Maui Land & Pineapple"}
    reasons = get_reasons(workspace.submit(factories.build_state(symbol="APPLE"))["view"])
    assert "Did you mean AAPL (Apple Inc.), MLP (Maui Land &amp; Pineapple) or APPLX?" in reasons


def test_symbol_is_confirmed_even_if_instruments_cannot_be_loaded(workspace: Workspace):
    workspace.oms.default_responses["symbols"] = Response(500)
    reasons = get_reasons(workspace.submit(factories.build_state(symbol="APPL"))["view"])
    assert reasons.endswith("was never traded here.")


def test_symbol_that_was_traded_or_has_a_live_quote_is_known(workspace: Workspace):
    workspace.oms.quotes["APPL"] = {"source": "manual", "mid": "175", "last": None, "age_seconds": 1.0}
    assert workspace.submit(factories.build_state(symbol="APPL")) == {"response_action": "clear"}
    del workspace.oms.quotes["APPL"]
    again = factories.build_state(symbol="APPL", quantity="90", gmv="15750")
    assert workspace.submit(again, id="V2", root_view_id="V2") == {"response_action": "clear"}
    assert workspace.oms.list_requests("is_listed") == []


def test_corrected_symbol_resolves_the_question_and_a_confirmation_is_for_one_symbol(workspace: Workspace):
    metadata = workspace.submit(factories.build_state(symbol="APPL"))["view"]["private_metadata"]
    other = factories.build_state(symbol="AAPLE") | factories.build_confirmed_state("symbol_ok:APPL")
    assert list_question_ids(workspace.submit(other, private_metadata=metadata)["view"]) == [
        "symbol_ok:AAPLE"
    ]
    assert workspace.submit(private_metadata=metadata) == {"response_action": "clear"}


# Short sales

SALE = factories.build_state(side="SELL", quantity="500", gmv="87500")


def build_holding(quantity: str, average_cost: str = "170.00", rate: str | None = None):
    return {"quantity": quantity, "avg_cost": average_cost, "fx_rate": rate}


@pytest.mark.parametrize(
    ("position", "reason"),
    [
        (build_holding("51"), "Closes 51 (realized +255.00) and opens a short of 449."),
        (build_holding("51", "180.125"), "Closes 51 (realized -261.38) and opens a short of 449."),
        (
            build_holding("51", "14000.00", "83.5"),
            "Closes 51 (realized +31,237.50) and opens a short of 449.",
        ),
        (build_holding("0", "0.00"), "Growth holds no AAPL: this opens a short of 500."),
        (None, "Growth holds no AAPL: this opens a short of 500."),
        (build_holding("500"), ""),
        (build_holding("-20"), ""),
    ],
)
def test_sale_that_opens_a_short_needs_a_confirmation(workspace: Workspace, position, reason):
    if position:
        workspace.oms.holdings["Growth", "AAPL"] = position
    body = workspace.submit(SALE)
    if not reason:
        assert body == {"response_action": "clear"}
        return
    check_view(body["view"])
    assert reason in get_reasons(body["view"])
    (question,) = list_question_ids(body["view"])
    assert workspace.oms.list_requests("place") == []
    assert workspace.submit(SALE | factories.build_confirmed_state(question)) == {"response_action": "clear"}


def test_short_needs_a_new_confirmation_after_a_change_of_quantity_or_position(workspace: Workspace):
    workspace.oms.holdings["Growth", "AAPL"] = build_holding("51")
    view = workspace.submit(SALE)["view"]
    ticked = factories.build_confirmed_state(*list_question_ids(view))
    more = factories.build_state(side="SELL", quantity="600", gmv="105000") | ticked
    assert "opens a short of 549" in get_reasons(workspace.submit(more)["view"])
    workspace.oms.holdings["Growth", "AAPL"] = build_holding("20")
    assert "opens a short of 480" in get_reasons(workspace.submit(SALE | ticked)["view"])


def test_unreadable_position_prevents_a_trade(workspace: Workspace):
    workspace.oms.queue_responses("holding", Response(body={"quantity": 3}))
    assert get_banner(workspace.submit(SALE)["view"]).startswith("*Not placed.*")
    assert workspace.oms.list_requests("place") == []


# The same trade again


def record_trade(workspace: Workspace, seconds_ago: float = 0.0, **changes: Any):
    """Record a trade of Ann."""
    workspace.submit()
    (trade,) = workspace.oms.trades.values()
    moment = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    trade |= {"timestamp": moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")} | changes


def submit_again(workspace: Workspace, values: Any = None, by: str = "U1"):
    return workspace.submit(values, by=by, id="V2", root_view_id="V2")


def test_repeated_trade_within_a_minute_needs_a_confirmation(workspace: Workspace):
    record_trade(workspace, 40)
    body = submit_again(workspace)
    check_view(body["view"])
    (question,) = list_question_ids(body["view"])
    assert "You placed BUY 100 AAPL at 175.00 in Growth at " in get_reasons(body["view"])
    assert len(workspace.oms.trades) == 1
    assert submit_again(workspace, factories.build_state() | factories.build_confirmed_state(question)) == {
        "response_action": "clear"
    }


@pytest.mark.parametrize(
    ("change", "by", "values"),
    [
        ({"seconds_ago": 61}, "U1", factories.build_state()),
        ({}, "U2", factories.build_state()),
        ({}, "U1", factories.build_state(quantity="101", gmv="17675")),
        ({}, "U1", factories.build_state(gmv="17600")),
        ({}, "U1", factories.build_state(portfolio="Income")),
        ({"reversed_by": "T2"}, "U1", factories.build_state()),
    ],
)
def test_different_trade_needs_no_confirmation(workspace: Workspace, change, by, values):
    record_trade(workspace, **change)
    assert submit_again(workspace, values, by) == {"response_action": "clear"}


def test_all_questions_are_asked_in_one_step(workspace: Workspace):
    values = factories.build_state(symbol="APPL", gmv="0.1", side="SELL", portfolio="Growht")
    body = workspace.submit(values)
    check_view(body["view"])
    questions = list_question_ids(body["view"])
    assert [each.partition(":")[0] for each in questions] == [
        "symbol_ok",
        "price_ok",
        "portfolio_ok",
        "short_ok",
    ]
    metadata = body["view"]["private_metadata"]
    for question in questions[:-1]:
        body = workspace.submit(values | factories.build_confirmed_state(question), private_metadata=metadata)
        metadata = body["view"]["private_metadata"]
        assert question not in list_question_ids(body["view"])
    last = workspace.submit(
        values | factories.build_confirmed_state(questions[-1]), private_metadata=metadata
    )
    assert last == {"response_action": "clear"}
