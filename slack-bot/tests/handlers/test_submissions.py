"""A submitted form and its response."""

import json

import pytest

from app.blocks.trade_form import build_trade_form
from app.forms.context import FormContext
from app.forms.ticket import Draft
from tests import factories
from tests.conftest import Workspace
from tests.fakes import build_problem
from tests.views import NOTHING_RECORDED, get_banner, get_reasons, index_blocks, list_question_ids


def test_accepted_submission_closes_the_form(workspace: Workspace):
    assert workspace.submit() == {"response_action": "clear"}
    assert workspace.slack.list_requests("views.update") == []


def test_oms_gets_the_trade_as_it_was_typed(workspace: Workspace):
    workspace.submit(factories.build_state(quantity="1,000.5", gmv="175087.5", note="why"))
    call = workspace.oms.wait_for("place")[0]
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


def test_all_bad_fields_are_shown_at_once_and_nothing_is_called(workspace: Workspace):
    body = workspace.submit(
        factories.build_state(symbol="!", quantity="1e3", gmv="NaN", side=None, portfolio=None)
    )
    assert body["response_action"] == "errors"
    assert set(body["errors"]) == {"symbol", "quantity", "gmv", "side", "portfolio"}
    assert workspace.oms.calls == []


def test_fields_that_the_oms_refuses_are_shown_at_those_fields(workspace: Workspace):
    errors = [
        {"field": "portfolio_name", "message": "No such name."},
        {"field": "body.quantity", "message": "Too many."},
    ]
    workspace.oms.queue_responses("place", build_problem(422, "Refused.", errors))
    assert workspace.submit() == {
        "response_action": "errors",
        "errors": {"portfolio": "No such name.", "quantity": "Too many."},
    }


def test_both_errors_of_one_field_are_shown_at_the_field(workspace: Workspace):
    errors = [{"field": "price", "message": "Too low."}, {"field": "gmv", "message": ""}]
    workspace.oms.queue_responses("place", build_problem(422, "Refused.", errors))
    assert workspace.submit()["errors"] == {"gmv": "Too low. The trading system does not accept this."}


# The OMS's errors for limits that are narrower than the form's, by field.
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
def test_limits_of_the_oms_are_shown_at_the_fields_of_the_form(workspace: Workspace, error, block_id):
    workspace.oms.queue_responses("place", build_problem(422, "1 field is not valid; see `errors`.", [error]))
    block_ids = {block["block_id"] for block in build_trade_form(Draft(), FormContext("C1"))["blocks"]}
    assert block_id in block_ids
    assert workspace.submit() == {"response_action": "errors", "errors": {block_id: error["message"]}}


def test_all_exceeded_limits_are_shown_at_once(workspace: Workspace):
    workspace.oms.queue_responses(
        "place", build_problem(422, "7 fields are not valid; see `errors`.", [error for error, _ in LIMITS])
    )
    assert set(workspace.submit()["errors"]) == {block_id for _, block_id in LIMITS}


def test_error_without_a_field_of_the_form_names_the_fields(workspace: Workspace):
    errors = [{"field": "quantity", "message": "Too many."}, {"field": "user_id", "message": "Unknown."}]
    workspace.oms.queue_responses(
        "place", build_problem(422, "2 fields are not valid; see `errors`.", errors)
    )
    assert "*Not placed.* Quantity: Too many. Unknown." in get_banner(workspace.submit()["view"])


def test_corrected_form_can_be_sent_again_with_the_same_key(workspace: Workspace):
    workspace.oms.queue_responses(
        "place", build_problem(422, "Refused.", [{"field": "quantity", "message": "Too many."}])
    )
    workspace.submit()
    assert workspace.submit(factories.build_state(quantity="90", gmv="15750")) == {"response_action": "clear"}
    assert [call.headers["idempotency-key"] for call in workspace.oms.list_requests("place")] == [
        "T1:V1:0",
        "T1:V1:0",
    ]


def test_refusal_without_a_field_is_shown_in_the_form_and_raises_the_attempt(workspace: Workspace):
    workspace.oms.queue_responses(
        "place",
        build_problem(422, "Beyond the limit <b>.", [{"field": "elsewhere", "message": "Beyond <b>."}]),
    )
    body = workspace.submit()
    assert body["response_action"] == "update"
    assert "Beyond &lt;b&gt;." in get_banner(body["view"])
    metadata = body["view"]["private_metadata"]
    assert json.loads(metadata)["attempt"] == 1
    workspace.submit(private_metadata=metadata)
    assert [call.headers["idempotency-key"] for call in workspace.oms.list_requests("place")] == [
        "T1:V1:0",
        "T1:V1:1",
    ]


def test_entries_stay_in_a_form_that_is_shown_again(workspace: Workspace):
    workspace.oms.queue_responses("place", NOTHING_RECORDED)
    blocks = index_blocks(workspace.submit(factories.build_state(note="why")))
    assert blocks["quantity"]["element"]["initial_value"] == "100"
    assert blocks["note"]["element"]["initial_value"] == "why"
    assert blocks["portfolio"]["element"]["initial_option"]["value"] == "Growth"


def test_idempotency_key_contains_the_root_view(workspace: Workspace):
    workspace.submit(id="V9", root_view_id="V7")
    assert workspace.oms.list_requests("place")[0].headers["idempotency-key"] == "T1:V7:0"


def test_refused_connection_means_not_placed(workspace: Workspace):
    workspace.oms.stop()
    body = workspace.submit()
    assert get_banner(body["view"]).startswith("*Not placed.*")
    assert json.loads(body["view"]["private_metadata"])["attempt"] == 0


@pytest.mark.parametrize(
    "response",
    [NOTHING_RECORDED, build_problem(503, "Away.", kind="unavailable"), build_problem(429, "Slow down.")],
)
def test_trade_that_was_certainly_not_recorded_is_reported_as_not_placed(workspace: Workspace, response):
    workspace.oms.queue_responses("place", response)
    assert get_banner(workspace.submit()["view"]).startswith("*Not placed.*")
    assert workspace.oms.list_requests("find") == []


@pytest.mark.parametrize("status", [401, 403])
def test_refused_key_is_a_plain_sentence_and_a_reference(workspace: Workspace, status):
    workspace.oms.queue_responses("place", build_problem(status, "secret detail"))
    response = workspace.deliver(factories.build_submission())
    banner = get_banner(response.get_json()["view"])
    assert "does not accept this app's key" in banner
    assert response.headers["X-Request-ID"] in banner
    assert "secret detail" not in banner


def test_header_message_oms_call_and_log_have_the_same_request_id(workspace: Workspace, caplog):
    caplog.set_level("INFO")
    workspace.oms.queue_responses("place", NOTHING_RECORDED)
    response = workspace.deliver(factories.build_submission())
    request_id = response.headers["X-Request-ID"]
    assert request_id in get_banner(response.get_json()["view"])
    assert workspace.oms.list_requests("place")[0].headers["x-request-id"] == request_id
    assert request_id in {getattr(record, "request_id", "") for record in caplog.records}


# Prices


def test_price_is_enough_and_makes_the_gmv(workspace: Workspace):
    assert workspace.submit(factories.build_state(gmv=None, price="175")) == {"response_action": "clear"}
    assert workspace.oms.list_requests("place")[0].body["gmv"] == "17500"


def test_price_and_gmv_that_do_not_agree_are_refused_before_any_request(
    workspace: Workspace,
):
    body = workspace.submit(factories.build_state(gmv="17400", price="175"))
    assert body["errors"] == {
        "gmv": "Quantity × price is 17,500.00, not 17,400.00. Correct one, or clear it."
    }
    assert workspace.oms.calls == []


def test_error_of_the_gmv_is_shown_at_the_price_if_that_was_typed(workspace: Workspace):
    workspace.oms.queue_responses(
        "place", build_problem(422, "Refused.", [{"field": "gmv", "message": "Too much."}])
    )
    assert workspace.submit(factories.build_state(gmv=None, price="175"))["errors"] == {"price": "Too much."}


def test_typed_price_stays_a_price_in_a_form_that_is_shown_again(workspace: Workspace):
    blocks = index_blocks(workspace.submit(factories.build_state(gmv=None, price="0.001")))
    assert blocks["price"]["element"]["initial_value"] == "0.001"
    assert "initial_value" not in blocks["gmv"]["element"]
    assert "price_ok:AAPL:0.001" in blocks


@pytest.mark.parametrize(("quantity", "gmv", "price"), [("1000", "1", "0.001"), ("1", "100001", "100001")])
def test_unusual_price_needs_a_confirmation(workspace: Workspace, quantity, gmv, price):
    values = factories.build_state(quantity=quantity, gmv=gmv)
    body = workspace.submit(values)
    assert list_question_ids(body["view"]) == [f"price_ok:AAPL:{price}"]
    assert workspace.oms.list_requests("place") == []
    assert workspace.submit(values | factories.build_confirmed_price_state(price)) == {
        "response_action": "clear"
    }


def test_price_far_from_the_last_trade_needs_a_confirmation(workspace: Workspace):
    workspace.submit()
    body = workspace.submit(factories.build_state(gmv="1750"), id="V2", root_view_id="V2")
    assert "more than 20% away from the last trade at 175.00" in get_reasons(body["view"])
    assert len(workspace.oms.trades) == 1


@pytest.mark.parametrize(
    ("quote", "expected"),
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
def test_price_is_compared_with_the_live_quote_before_the_last_trade(workspace: Workspace, quote, expected):
    workspace.oms.quotes["AAPL"] = {"source": "manual"} | quote
    body = workspace.submit()
    if expected:
        assert expected in get_reasons(body["view"])
    else:
        assert body == {"response_action": "clear"}


def test_confirming_one_price_does_not_confirm_another(workspace: Workspace):
    body = workspace.submit(
        factories.build_state(quantity="1000", gmv="2") | factories.build_confirmed_price_state("0.001")
    )
    assert list_question_ids(body["view"]) == ["price_ok:AAPL:0.002"]
    assert workspace.oms.list_requests("place") == []


# Forms that stay open


def test_form_of_an_older_version_trades_and_confirms_to_the_person(workspace: Workspace):
    assert workspace.submit(private_metadata="{}") == {"response_action": "clear"}
    assert workspace.slack.wait_for("chat.postMessage")[0].body["channel"] == "D-U1"
