"""A submitted form and its answer: slack.md lines 7, 8, 12–14, 19, 20, 35."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.blocks.trade_form import trade_form
from app.forms.context import FormContext
from app.forms.questions import portfolio_id
from app.forms.ticket import Draft
from tests import factories
from tests.conftest import Workspace
from tests.fakes import Answer, problem
from tests.limits import check_view
from tests.reading import NOTHING_RECORDED, banner_of, blocks_of, questions_of, reasons_of


def test_the_usual_answer_comes_back_in_the_form_itself(desk: Workspace):
    assert desk.submit() == {"response_action": "clear"}
    assert desk.slack.named("views.update") == []


def test_the_oms_gets_the_trade_as_it_was_typed(desk: Workspace):
    desk.submit(factories.state(quantity="1,000.5", gmv="175087.5", note="why"))
    call = desk.oms.wait_for("place")[0]
    assert call.body == {
        "symbol": "AAPL",
        "quantity": "1000.5",
        "gmv": "175087.5",
        "side": "BUY",
        "portfolio_name": "Growth",
        "user_id": "U1",
        "note": "why",
    }
    assert call.headers["x-api-key"] == factories.OMS_KEY


def test_all_bad_fields_are_shown_at_once_and_nothing_is_called(desk: Workspace):
    answer = desk.submit(factories.state(symbol="!", quantity="1e3", gmv="NaN", side=None, portfolio=None))
    assert answer["response_action"] == "errors"
    assert set(answer["errors"]) == {"symbol", "quantity", "gmv", "side", "portfolio"}
    assert desk.oms.calls == []


def test_fields_that_the_oms_refuses_are_shown_at_those_fields(desk: Workspace):
    errors = [
        {"field": "portfolio_name", "message": "No such name."},
        {"field": "body.quantity", "message": "Too many."},
    ]
    desk.oms.script("place", problem(422, "Refused.", errors))
    assert desk.submit() == {
        "response_action": "errors",
        "errors": {"portfolio": "No such name.", "quantity": "Too many."},
    }


def test_two_problems_of_one_field_are_both_said_there(desk: Workspace):
    errors = [{"field": "price", "message": "Too low."}, {"field": "gmv", "message": ""}]
    desk.oms.script("place", problem(422, "Refused.", errors))
    assert desk.submit()["errors"] == {"gmv": "Too low. The trading system does not accept this."}


# What the OMS says of limits that are narrower than the form's, word for word: field by field.
LIMITS = [
    ({"field": "quantity", "message": "Quantity must be at most 50.", "code": "too_large"}, "quantity"),
    ({"field": "gmv", "message": "The gross market value must be at most 10.", "code": "too_large"}, "gmv"),
    (
        {
            "field": "gmv",
            "message": "The price per unit must be between 1 and 100.",
            "code": "price_out_of_range",
        },
        "gmv",
    ),
    ({"field": "portfolio_name", "message": "At most 100 characters.", "code": "value_error"}, "portfolio"),
    ({"field": "symbol", "message": "Not traded here.", "code": "value_error"}, "symbol"),
    ({"field": "side", "message": "No short sales.", "code": "value_error"}, "side"),
    ({"field": "note", "message": "At most 10 characters.", "code": "string_too_long"}, "note"),
]


@pytest.mark.parametrize(("error", "block_id"), LIMITS)
def test_limits_of_the_oms_are_said_at_the_fields_of_the_form(desk: Workspace, error, block_id):
    desk.oms.script("place", problem(422, "1 field is not acceptable.", [error]))
    shown = {block["block_id"] for block in trade_form(Draft(), FormContext("C1"))["blocks"]}
    assert block_id in shown
    assert desk.submit() == {"response_action": "errors", "errors": {block_id: error["message"]}}


def test_all_limits_that_are_passed_are_said_at_once(desk: Workspace):
    desk.oms.script("place", problem(422, "7 fields are not acceptable.", [error for error, _ in LIMITS]))
    assert set(desk.submit()["errors"]) == {block_id for _, block_id in LIMITS}


def test_beside_a_fault_that_is_no_field_of_the_form_the_fields_are_named(desk: Workspace):
    errors = [{"field": "quantity", "message": "Too many."}, {"field": "user_id", "message": "Unknown."}]
    desk.oms.script("place", problem(422, "2 fields are not acceptable.", errors))
    assert "*Not placed.* Quantity: Too many. Unknown." in banner_of(desk.submit()["view"])


def test_a_corrected_form_can_be_sent_again_with_the_same_key(desk: Workspace):
    desk.oms.script("place", problem(422, "Refused.", [{"field": "quantity", "message": "Too many."}]))
    desk.submit()
    assert desk.submit(factories.state(quantity="90", gmv="15750")) == {"response_action": "clear"}
    assert [call.headers["idempotency-key"] for call in desk.oms.named("place")] == ["T1:V1:0", "T1:V1:0"]


def test_a_denial_without_a_field_is_said_in_the_form_and_raises_the_attempt(desk: Workspace):
    desk.oms.script(
        "place", problem(422, "Beyond the limit <b>.", [{"field": "elsewhere", "message": "Beyond <b>."}])
    )
    answer = desk.submit()
    assert answer["response_action"] == "update"
    assert "Beyond &lt;b&gt;." in banner_of(answer["view"])
    metadata = answer["view"]["private_metadata"]
    assert json.loads(metadata)["attempt"] == 1
    desk.submit(private_metadata=metadata)
    assert [call.headers["idempotency-key"] for call in desk.oms.named("place")] == ["T1:V1:0", "T1:V1:1"]


def test_the_entries_stay_in_a_form_that_is_shown_again(desk: Workspace):
    desk.oms.script("place", NOTHING_RECORDED)
    blocks = blocks_of(desk.submit(factories.state(note="why")))
    assert blocks["quantity"]["element"]["initial_value"] == "100"
    assert blocks["note"]["element"]["initial_value"] == "why"
    assert blocks["portfolio"]["element"]["initial_option"]["value"] == "Growth"


def test_the_key_is_of_the_root_view(desk: Workspace):
    desk.submit(id="V9", root_view_id="V7")
    assert desk.oms.named("place")[0].headers["idempotency-key"] == "T1:V7:0"


def test_a_refused_connection_means_not_placed(desk: Workspace):
    desk.oms.stop()
    answer = desk.submit()
    assert banner_of(answer["view"]).startswith("*Not placed.*")
    assert json.loads(answer["view"]["private_metadata"])["attempt"] == 0


@pytest.mark.parametrize(
    "answer", [NOTHING_RECORDED, problem(503, "Away.", kind="unavailable"), problem(429, "Slow down.")]
)
def test_what_was_certainly_not_recorded_is_said_to_be_not_placed(desk: Workspace, answer):
    desk.oms.script("place", answer)
    assert banner_of(desk.submit()["view"]).startswith("*Not placed.*")
    assert desk.oms.named("find") == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_a_plain_sentence_and_a_reference(desk: Workspace, status):
    desk.oms.script("place", problem(status, "secret detail"))
    answer = desk.deliver(factories.submission())
    banner = banner_of(answer.get_json()["view"])
    assert "does not accept this app's key" in banner
    assert answer.headers["X-Request-ID"] in banner
    assert "secret detail" not in banner


def test_one_request_id_runs_through_the_answer_the_error_and_the_oms(desk: Workspace, caplog):
    caplog.set_level("INFO")
    desk.oms.script("place", NOTHING_RECORDED)
    answer = desk.deliver(factories.submission())
    request_id = answer.headers["X-Request-ID"]
    assert request_id in banner_of(answer.get_json()["view"])
    assert desk.oms.named("place")[0].headers["x-request-id"] == request_id
    assert request_id in {getattr(record, "request_id", "") for record in caplog.records}


# Prices


def test_a_price_is_enough_and_makes_the_gmv(desk: Workspace):
    assert desk.submit(factories.state(gmv=None, price="175")) == {"response_action": "clear"}
    assert desk.oms.named("place")[0].body["gmv"] == "17500"


def test_a_price_and_a_gmv_that_do_not_agree_are_an_error_at_the_field_and_nothing_is_asked(desk: Workspace):
    answer = desk.submit(factories.state(gmv="17400", price="175"))
    assert answer["errors"] == {
        "gmv": "Quantity × price is 17,500.00, not 17,400.00. Correct one, or clear it."
    }
    assert desk.oms.calls == []


def test_what_the_oms_says_of_the_gmv_stands_at_the_price_where_that_was_typed(desk: Workspace):
    desk.oms.script("place", problem(422, "Refused.", [{"field": "gmv", "message": "Too much."}]))
    assert desk.submit(factories.state(gmv=None, price="175"))["errors"] == {"price": "Too much."}


def test_a_typed_price_stays_a_price_in_a_form_that_is_shown_again(desk: Workspace):
    blocks = blocks_of(desk.submit(factories.state(gmv=None, price="0.001")))
    assert blocks["price"]["element"]["initial_value"] == "0.001"
    assert "initial_value" not in blocks["gmv"]["element"]
    assert "price_ok:AAPL:0.001" in blocks


@pytest.mark.parametrize(("quantity", "gmv", "price"), [("1000", "1", "0.001"), ("1", "100001", "100001")])
def test_an_odd_price_is_asked_about_before_it_trades(desk: Workspace, quantity, gmv, price):
    values = factories.state(quantity=quantity, gmv=gmv)
    answer = desk.submit(values)
    assert questions_of(answer["view"]) == [f"price_ok:AAPL:{price}"]
    assert desk.oms.named("place") == []
    assert desk.submit(values | factories.ticked(price)) == {"response_action": "clear"}


def test_a_price_far_from_the_last_trade_is_asked_about(desk: Workspace):
    desk.submit()
    answer = desk.submit(factories.state(gmv="1750"), id="V2", root_view_id="V2")
    assert "more than 20% away from the last trade at 175.00" in reasons_of(answer["view"])
    assert len(desk.oms.trades) == 1


@pytest.mark.parametrize(
    ("quote", "asked"),
    [
        ({"mid": "17.5", "last": None, "age_seconds": 1.0}, "from the quote at 17.50"),
        ({"mid": None, "last": "17.5", "age_seconds": 1.0}, "from the quote at 17.50"),
        ({"mid": "175", "last": "17.5", "age_seconds": 1.0}, ""),
        ({"mid": "17.5", "last": "17.5", "age_seconds": 61.0}, ""),
        ({"mid": None, "last": None, "age_seconds": 1.0}, ""),
        ({"mid": "17.5", "last": None, "age_seconds": 1.0, "source": "simulated"}, ""),
        ({}, ""),
    ],
)
def test_a_price_is_compared_with_the_live_quote_before_the_last_trade(desk: Workspace, quote, asked):
    desk.oms.quotes["AAPL"] = {"source": "manual"} | quote
    answer = desk.submit()
    if asked:
        assert asked in reasons_of(answer["view"])
    else:
        assert answer == {"response_action": "clear"}


def test_a_tick_for_one_price_does_not_confirm_another(desk: Workspace):
    answer = desk.submit(factories.state(quantity="1000", gmv="2") | factories.ticked("0.001"))
    assert questions_of(answer["view"]) == ["price_ok:AAPL:0.002"]
    assert desk.oms.named("place") == []


# Portfolios

SLIP = factories.state(portfolio="Growht")


def test_a_portfolio_that_the_books_do_not_have_is_asked_about_before_it_is_opened(desk: Workspace):
    answer = desk.submit(SLIP)
    check_view(answer["view"])
    assert "There is none called Growht yet. Did you mean Growth?" in reasons_of(answer["view"])
    assert desk.oms.named("place") == []
    assert desk.submit(SLIP | factories.opens("Growht")) == {"response_action": "clear"}
    assert desk.oms.named("place")[0].body["portfolio_name"] == "Growht"


def test_the_books_are_asked_about_a_portfolio_until_they_have_it(desk: Workspace):
    for form in ("V1", "V2", "V3"):
        desk.submit(factories.state(portfolio="GROWTH"), id=form, root_view_id=form)
    assert len(desk.oms.named("portfolio_named")) == 1
    for _ in range(2):
        desk.submit(SLIP, id="V4", root_view_id="V4")
    assert len(desk.oms.named("portfolio_named")) == 3


def test_a_tick_for_one_portfolio_opens_no_other(desk: Workspace):
    answer = desk.submit(factories.state(portfolio="Incoem") | factories.opens("Growht"))
    assert "There is none called Incoem yet. Did you mean Income?" in reasons_of(answer["view"])


def test_choosing_another_portfolio_is_an_answer_too(desk: Workspace):
    desk.submit(SLIP)
    assert desk.submit() == {"response_action": "clear"}


def test_what_was_chosen_as_a_new_portfolio_is_asked_about_too_and_stays_so_marked(desk: Workspace):
    values = factories.state(portfolio="Fresh", portfolio_text="New portfolio: Fresh")
    answer = desk.submit(values)
    assert "There is none called Fresh yet." in reasons_of(answer["view"])
    chosen = blocks_of(answer)["portfolio"]["element"]["initial_option"]
    assert chosen["text"]["text"] == "New portfolio: Fresh"
    assert desk.submit(values | factories.opens("Fresh")) == {"response_action": "clear"}


def test_without_an_answer_about_the_nearest_names_the_portfolio_is_asked_about_all_the_same(desk: Workspace):
    desk.oms.always["portfolios"] = Answer(500)
    assert reasons_of(desk.submit(SLIP)["view"]).endswith("There is none called Growht yet.")


def test_price_and_portfolio_are_asked_about_at_once(desk: Workspace):
    values = factories.state(gmv="0.1", portfolio="Growht")
    assert questions_of(desk.submit(values)["view"]) == ["price_ok:AAPL:0.001", portfolio_id("Growht")]
    ticked = values | factories.ticked("0.001") | factories.opens("Growht")
    assert desk.submit(ticked) == {"response_action": "clear"}


def test_answering_one_question_does_not_forget_the_other(desk: Workspace):
    values = factories.state(gmv="0.1", portfolio="Growht")
    first = desk.submit(values)["view"]
    second = desk.submit(values | factories.ticked("0.001"), private_metadata=first["private_metadata"])[
        "view"
    ]
    assert questions_of(second) == [portfolio_id("Growht")]
    third = desk.submit(values | factories.opens("Growht"), private_metadata=second["private_metadata"])
    assert third == {"response_action": "clear"}


def test_what_was_confirmed_holds_for_no_other_price_or_portfolio(desk: Workspace):
    values = factories.state(gmv="0.1", portfolio="Growht")
    asked = desk.submit(values | factories.ticked("0.001"))["view"]["private_metadata"]
    other = desk.submit(factories.state(gmv="0.2", portfolio="Growth"), private_metadata=asked)
    assert questions_of(other["view"]) == ["price_ok:AAPL:0.002"]


def test_a_price_that_was_confirmed_for_one_symbol_is_asked_about_for_another(desk: Workspace):
    desk.oms.instruments["MSFT"] = ""
    asked = desk.submit(factories.state(gmv="0.1"))["view"]["private_metadata"]
    values = factories.state(symbol="MSFT", gmv="0.1") | factories.ticked("0.001")
    answer = desk.submit(values, private_metadata=asked)
    assert questions_of(answer["view"]) == ["price_ok:MSFT:0.001"]


# Symbols


def test_a_symbol_that_nobody_knows_is_asked_about_with_the_nearest_ones(desk: Workspace):
    values = factories.state(symbol="APPL")
    answer = desk.submit(values)
    check_view(answer["view"])
    assert questions_of(answer["view"]) == ["symbol_ok:APPL"]
    assert "APPL is not a listed instrument" in reasons_of(answer["view"])
    assert "Did you mean AAPL (Apple Inc.)?" in reasons_of(answer["view"])
    assert desk.oms.named("place") == []
    assert desk.submit(values | factories.answered("symbol_ok:APPL")) == {"response_action": "clear"}


def test_a_name_that_was_typed_as_the_symbol_finds_its_instrument(desk: Workspace):
    desk.oms.instruments |= {"APPLX": "", "MLP": "Maui Land & Pineapple"}
    said = reasons_of(desk.submit(factories.state(symbol="APPLE"))["view"])
    assert "Did you mean AAPL (Apple Inc.), MLP (Maui Land &amp; Pineapple) or APPLX?" in said


def test_without_an_answer_about_instruments_the_symbol_is_asked_about_all_the_same(desk: Workspace):
    desk.oms.always["symbols"] = Answer(500)
    said = reasons_of(desk.submit(factories.state(symbol="APPL"))["view"])
    assert said.endswith("nobody has traded it here.")


def test_a_symbol_that_was_traded_or_has_a_live_quote_is_known(desk: Workspace):
    desk.oms.quotes["APPL"] = {"source": "manual", "mid": "175", "last": None, "age_seconds": 1.0}
    assert desk.submit(factories.state(symbol="APPL")) == {"response_action": "clear"}
    del desk.oms.quotes["APPL"]
    again = factories.state(symbol="APPL", quantity="90", gmv="15750")
    assert desk.submit(again, id="V2", root_view_id="V2") == {"response_action": "clear"}
    assert desk.oms.named("is_listed") == []


def test_correcting_the_symbol_is_an_answer_and_a_tick_confirms_no_other_symbol(desk: Workspace):
    asked = desk.submit(factories.state(symbol="APPL"))["view"]["private_metadata"]
    other = factories.state(symbol="AAPLE") | factories.answered("symbol_ok:APPL")
    assert questions_of(desk.submit(other, private_metadata=asked)["view"]) == ["symbol_ok:AAPLE"]
    assert desk.submit(private_metadata=asked) == {"response_action": "clear"}


# Short sales

SALE = factories.state(side="SELL", quantity="500", gmv="87500")


def held(quantity: str, average_cost: str = "170.00", rate: str | None = None):
    return {"quantity": quantity, "avg_cost": average_cost, "fx_rate": rate}


@pytest.mark.parametrize(
    ("position", "reason"),
    [
        (held("51"), "Closes 51 (realised +255.00) and opens a short of 449."),
        (held("51", "180.125"), "Closes 51 (realised -261.38) and opens a short of 449."),
        (held("51", "14000.00", "83.5"), "Closes 51 (realised +31,237.50) and opens a short of 449."),
        (held("0", "0.00"), "Growth holds no AAPL: this opens a short of 500."),
        (None, "Growth holds no AAPL: this opens a short of 500."),
        (held("500"), ""),
        (held("-20"), ""),
    ],
)
def test_a_sale_that_opens_a_short_is_asked_about(desk: Workspace, position, reason):
    if position:
        desk.oms.holdings["Growth", "AAPL"] = position
    answer = desk.submit(SALE)
    if not reason:
        assert answer == {"response_action": "clear"}
        return
    check_view(answer["view"])
    assert reason in reasons_of(answer["view"])
    (question,) = questions_of(answer["view"])
    assert desk.oms.named("place") == []
    assert desk.submit(SALE | factories.answered(question)) == {"response_action": "clear"}


def test_a_short_is_asked_about_anew_when_the_quantity_or_the_position_is_another(desk: Workspace):
    desk.oms.holdings["Growth", "AAPL"] = held("51")
    asked = desk.submit(SALE)["view"]
    ticked = factories.answered(*questions_of(asked))
    more = factories.state(side="SELL", quantity="600", gmv="105000") | ticked
    assert "opens a short of 549" in reasons_of(desk.submit(more)["view"])
    desk.oms.holdings["Growth", "AAPL"] = held("20")
    assert "opens a short of 480" in reasons_of(desk.submit(SALE | ticked)["view"])


def test_a_position_that_cannot_be_read_lets_nothing_trade(desk: Workspace):
    desk.oms.script("holding", Answer(body={"quantity": 3}))
    assert banner_of(desk.submit(SALE)["view"]).startswith("*Not placed.*")
    assert desk.oms.named("place") == []


# The same trade again


def place_now(desk: Workspace, seconds_ago: float = 0.0, **changes: Any):
    """A trade of Ann's that the books have."""
    desk.submit()
    (trade,) = desk.oms.trades.values()
    moment = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    trade |= {"timestamp": moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")} | changes


def again(desk: Workspace, values: Any = None, by: str = "U1"):
    return desk.submit(values, by=by, id="V2", root_view_id="V2")


def test_the_same_trade_within_a_minute_is_asked_about(desk: Workspace):
    place_now(desk, 40)
    answer = again(desk)
    check_view(answer["view"])
    (question,) = questions_of(answer["view"])
    assert "You placed BUY 100 AAPL at 175.00 in Growth at " in reasons_of(answer["view"])
    assert len(desk.oms.trades) == 1
    assert again(desk, factories.state() | factories.answered(question)) == {"response_action": "clear"}


@pytest.mark.parametrize(
    ("change", "by", "values"),
    [
        ({"seconds_ago": 61}, "U1", factories.state()),
        ({}, "U2", factories.state()),
        ({}, "U1", factories.state(quantity="101", gmv="17675")),
        ({}, "U1", factories.state(gmv="17600")),
        ({}, "U1", factories.state(portfolio="Income")),
        ({"reversed_by": "T2"}, "U1", factories.state()),
    ],
)
def test_what_is_not_the_same_trade_of_a_moment_ago_is_not_asked_about(desk: Workspace, change, by, values):
    place_now(desk, **change)
    assert again(desk, values, by) == {"response_action": "clear"}


def test_everything_doubtful_is_asked_in_one_step(desk: Workspace):
    values = factories.state(symbol="APPL", gmv="0.1", side="SELL", portfolio="Growht")
    answer = desk.submit(values)
    check_view(answer["view"])
    asked = questions_of(answer["view"])
    assert [each.partition(":")[0] for each in asked] == ["symbol_ok", "price_ok", "portfolio_ok", "short_ok"]
    metadata = answer["view"]["private_metadata"]
    for question in asked[:-1]:
        answer = desk.submit(values | factories.answered(question), private_metadata=metadata)
        metadata = answer["view"]["private_metadata"]
        assert question not in questions_of(answer["view"])
    last = desk.submit(values | factories.answered(asked[-1]), private_metadata=metadata)
    assert last == {"response_action": "clear"}


# Forms left open


def test_a_form_of_an_older_version_trades_and_confirms_to_the_person(desk: Workspace):
    assert desk.submit(private_metadata="{}") == {"response_action": "clear"}
    assert desk.slack.wait_for("chat.postMessage")[0].body["channel"] == "D-U1"
