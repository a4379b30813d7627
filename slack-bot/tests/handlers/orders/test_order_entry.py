"""`/order` opens a form; its submission places one order, and posts one message."""

import json
from decimal import Decimal

import pytest

from app.blocks.orders.form import find_proposal
from app.delivery.pending_orders import PendingState
from app.forms.orders.order import Denial
from app.forms.orders.ticket import OrderDraft
from support.conditions import wait_until
from tests import factories
from tests.conftest import Workspace
from tests.fake_orders import denial_json
from tests.fakes import Response, build_problem
from tests.limits import check_message, check_view
from tests.order_factories import build_order_state
from tests.views import get_banner, index_blocks, list_question_ids

LINE = "buy 50 MSFT limit 410 gtc in Growth sl 395 tp 440"
LIMIT = build_order_state(
    type="LIMIT", limit_price="410", time_in_force="GTC", stop_loss="395", take_profit="440"
)


@pytest.fixture(autouse=True)
def listed_instrument(workspace: Workspace):
    """List the instrument, so that no question is asked about it."""
    workspace.oms.instruments["MSFT"] = "Microsoft"


def submit_form(workspace: Workspace, values=None, **changes):
    return workspace.submit(values or LIMIT, callback_id="order_form", **changes)


def opened_view(workspace: Workspace):
    return workspace.slack.wait_for("views.open")[-1].body["view"]


def get_element(view, block_id):
    return next(block["element"] for block in view["blocks"] if block.get("block_id") == block_id)


def test_full_line_opens_the_form_filled_in_with_a_preview(workspace: Workspace):
    workspace.type(LINE, "/order")
    view = opened_view(workspace)
    check_view(view)
    entries = ("quantity", "limit_price", "stop_loss", "take_profit")
    assert get_element(view, "symbol")["initial_option"]["value"] == "MSFT"
    assert [get_element(view, each)["initial_value"] for each in entries] == ["50", "410", "395", "440"]
    assert get_element(view, "type")["initial_option"]["value"] == "LIMIT"
    assert get_element(view, "time_in_force")["initial_option"]["value"] == "GTC"
    assert get_element(view, "portfolio")["initial_option"]["value"] == "Growth"
    shown = workspace.slack.wait_for("views.update")[-1].body["view"]
    check_view(shown)
    preview = next(block["text"]["text"] for block in shown["blocks"] if block["block_id"] == "order_preview")
    assert "50 MSFT at about 410.00 = 20,500.00 · charges 1.20" in preview
    assert "cash 100,000.00 USD · resulting cash 79,498.80 USD · buying power 100,000.00 USD" in preview
    assert "Largest quantity within limits: 243 (buying power)" in preview


def test_unknown_words_are_quoted_in_the_error(workspace: Workspace):
    workspace.type("buy 50 MSFT at 1e3 limitt", "/order")
    banner = get_banner(opened_view(workspace))
    assert "“at 1e3”: Write the number out, without an exponent" in banner
    assert "“limitt”: symbol is already MSFT" in banner


def test_help_and_junk_get_private_replies(workspace: Workspace):
    for text, expected in (("help", "Orders from Slack"), ("1e9", "Not understood: “1e9”")):
        response = workspace.type(text, "/order").get_json()
        assert response["response_type"] == "ephemeral"
        assert expected in response["text"]
    assert workspace.slack.list_requests("views.open") == []


def test_only_the_fields_of_the_type_are_shown_and_typed_entries_are_kept(workspace: Workspace):
    payload = factories.build_interaction(
        "block_actions",
        view=factories.build_view(
            callback_id="order_form", state={"values": build_order_state(type="STOP_LIMIT", quantity="7")}
        ),
        actions=[
            {"action_id": "order_choice", "block_id": "type", "type": "static_select", "action_ts": "1.0"}
        ],
    )
    assert workspace.deliver(payload).status_code == 200
    view = workspace.slack.wait_for("views.update")[0].body["view"]
    check_view(view)
    block_ids = [block["block_id"] for block in view["blocks"]]
    assert "stop_price" in block_ids
    assert "limit_price" in block_ids
    assert not {"trail", "expires_at"} & set(block_ids)
    assert get_element(view, "quantity")["initial_value"] == "7"


def test_price_that_another_type_hides_returns_with_its_type(workspace: Workspace):
    hidden = json.dumps({"v": 1, "channel": "C1", "attempt": 0, "hidden": {"limit_price": "410"}})
    payload = factories.build_interaction(
        "block_actions",
        view=factories.build_view(
            callback_id="order_form",
            state={"values": build_order_state(type="LIMIT")},
            private_metadata=hidden,
        ),
        actions=[
            {"action_id": "order_choice", "block_id": "type", "type": "static_select", "action_ts": "1.0"}
        ],
    )
    workspace.deliver(payload)
    view = workspace.slack.wait_for("views.update")[0].body["view"]
    assert get_element(view, "limit_price")["initial_value"] == "410"


def test_order_is_placed_once_and_its_message_is_posted_in_the_channel(workspace: Workspace):
    assert submit_form(workspace) == {"response_action": "clear"}
    call = workspace.oms.list_requests("place_order")[0]
    assert call.body == {
        "portfolio_name": "Growth",
        "symbol": "MSFT",
        "side": "BUY",
        "type": "LIMIT",
        "limit_price": "410",
        "time_in_force": "GTC",
        "quantity": "50",
        "take_profit": {"limit_price": "440"},
        "stop_loss": {"stop_price": "395"},
        "client_order_id": "T1:V1:0",
    }
    assert call.headers["idempotency-key"] == "T1:V1:0"
    posted = workspace.slack.wait_for("chat.postMessage")[0].body
    assert posted["channel"] == "C1"
    check_message(posted["text"], posted["blocks"])
    assert "*BUY 50 MSFT limit 410.00 GTC* in Growth" in posted["text"]
    assert "Status: *Working*" in posted["text"]
    assert "Stop loss stop 395.00 · Held" in posted["text"]
    assert "By <@U1>" in posted["text"]
    buttons = [each["text"]["text"] for each in posted["blocks"][-1]["elements"]]
    assert buttons == ["Cancel", "Change"]


def test_eight_deliveries_place_one_order_with_one_message(workspace: Workspace):
    payload = factories.build_submission(LIMIT, callback_id="order_form")
    for _ in range(8):
        assert workspace.deliver(payload).get_json() == {"response_action": "clear"}
    workspace.slack.wait_for("chat.postMessage")
    assert len(workspace.oms.list_requests("place_order")) == 1
    assert len(workspace.slack.list_requests("chat.postMessage")) == 1


def test_message_without_a_usable_channel_is_sent_as_a_direct_message(workspace: Workspace):
    workspace.slack.queue_responses(
        "chat.postMessage", Response(body={"ok": False, "error": "not_in_channel"})
    )
    submit_form(workspace)
    posted = workspace.slack.wait_for("chat.postMessage", 2)[1].body
    assert posted["channel"] == "D-U1"
    assert "type `/invite`" in posted["text"]


def test_all_bad_fields_are_reported_at_once(workspace: Workspace):
    values = build_order_state(
        type="STOP_LIMIT", quantity=None, symbol="?", portfolio=None, stop_price="0", limit_price=None
    )
    errors = submit_form(workspace, values)["errors"]
    assert set(errors) == {"quantity", "symbol", "portfolio", "stop_price", "limit_price"}
    assert workspace.oms.list_requests("place_order") == []


@pytest.mark.parametrize(
    ("changes", "block"),
    [
        ({"value": "1000"}, "value"),
        ({"time_in_force": "GTD", "expires_at": None}, "expires_at"),
        ({"type": "TRAILING_STOP", "trail": "101%"}, "trail"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(workspace: Workspace, changes, block):
    assert set(submit_form(workspace, build_order_state(**changes))["errors"]) == {block}


def test_errors_of_the_oms_are_shown_at_their_fields(workspace: Workspace):
    errors = [{"field": "stop_loss.stop_price", "message": "Must be below the limit."}]
    workspace.oms.queue_responses("place_order", build_problem(422, "Invalid.", errors))
    assert submit_form(workspace)["errors"] == {"stop_loss": "Must be below the limit."}


def test_unknown_portfolio_is_reported_at_its_field(workspace: Workspace):
    workspace.oms.queue_responses(
        "place_order", build_problem(404, "There is no portfolio.", kind="not-found")
    )
    assert "There is no portfolio called Growth" in submit_form(workspace)["errors"]["portfolio"]


def test_denial_names_rule_and_numbers_and_offers_a_passing_quantity_as_a_button(workspace: Workspace):
    workspace.oms.orders.denial = denial_json()
    body = submit_form(workspace)
    view = body["view"]
    check_view(view)
    assert "*Denied by max order quantity* (limit 40, asked 50)" in get_banner(view)
    assert "The largest allowed quantity is 40." in get_banner(view)
    button = index_blocks(body)["proposal"]["elements"][0]
    assert button["text"]["text"] == "Use quantity 40 instead"
    assert json.loads(view["private_metadata"])["attempt"] == 1

    payload = factories.build_interaction(
        "block_actions",
        view=factories.build_view(
            callback_id="order_form",
            state={"values": LIMIT},
            private_metadata=view["private_metadata"],
            blocks=view["blocks"],
        ),
        actions=[button | {"block_id": "proposal", "action_ts": "1.0"}],
    )
    workspace.oms.orders.denial = None
    workspace.deliver(payload)
    filled = workspace.slack.wait_for("views.update", 2)[-1].body["view"]
    check_view(filled)
    assert "Quantity 40 is filled in" in get_banner(filled)
    assert workspace.oms.list_requests("preview_order")[-1].body["quantity"] == "40"
    assert (
        "Largest quantity within limits: 243"
        in index_blocks({"view": filled})["order_preview"]["text"]["text"]
    )
    assert get_element(filled, "quantity~1")["initial_value"] == "40"
    assert get_element(filled, "limit_price~1")["initial_value"] == "410"
    values = {
        f"{name}~1": state
        for name, state in (LIMIT | {"quantity": build_order_state(quantity="40")["quantity"]}).items()
    }
    assert submit_form(workspace, values, private_metadata=filled["private_metadata"]) == {
        "response_action": "clear"
    }
    placed = workspace.oms.list_requests("place_order")[-1]
    assert placed.body["quantity"] == "40"
    assert placed.headers["idempotency-key"] == "T1:V1:1"


@pytest.mark.parametrize(
    ("asked", "passing", "offered"),
    [("50", "40.75", "40"), ("50.5", "40.75", "40.75"), ("50", "0.75", "0.75"), ("", "40.75", "40.75")],
)
def test_denial_offers_whole_units_for_an_order_in_whole_units(asked, passing, offered):
    denial = Denial("BUYING_POWER", "", "", "", Decimal(passing))
    assert find_proposal(denial, OrderDraft(quantity=asked)) == ("quantity", offered)


def test_denied_price_is_offered_at_the_limit(workspace: Workspace):
    workspace.oms.orders.denial = denial_json(largest_passing=None, nearest_price="405.00")
    button = index_blocks(submit_form(workspace))["proposal"]["elements"][0]
    assert button["value"] == "limit_price:405"


def test_denial_has_no_button_if_no_quantity_passes(workspace: Workspace):
    workspace.oms.orders.denial = denial_json(largest_passing="0")
    body = submit_form(workspace)
    assert "No quantity is allowed." in get_banner(body["view"])
    assert "proposal" not in index_blocks(body)


def test_all_confirmations_are_requested_in_one_step(workspace: Workspace):
    workspace.oms.instruments.clear()
    workspace.oms.quotes["MSFT"] = {"mid": "300.00", "last": None, "age_seconds": 1.0, "source": "manual"}
    del workspace.oms.quotes["MSFT"]
    submit_form(
        workspace, LIMIT | factories.build_confirmed_state("symbol_ok:MSFT"), id="V0", root_view_id="V0"
    )
    values = build_order_state(type="LIMIT", limit_price="410", side="SELL", time_in_force="GTC")
    body = submit_form(workspace, values)
    check_view(body["view"])
    kinds = [each.partition(":")[0] for each in list_question_ids(body["view"])]
    assert kinds == ["symbol_ok", "short_ok"]


def test_repeated_order_within_a_minute_needs_a_confirmation(workspace: Workspace):
    submit_form(workspace)
    body = submit_form(workspace, id="V2", root_view_id="V2")
    repeat = list_question_ids(body["view"])
    assert [each.partition(":")[0] for each in repeat] == ["repeat_ok"]
    again = submit_form(
        workspace, LIMIT | factories.build_confirmed_state(*repeat), id="V2", root_view_id="V2"
    )
    assert again == {"response_action": "clear"}
    assert workspace.oms.list_requests("place_order")[-1].body["confirm_repeat"] is True


def test_unusual_limit_price_needs_a_confirmation(workspace: Workspace):
    workspace.oms.quotes["MSFT"] = {"mid": "41.00", "last": None, "age_seconds": 1.0, "source": "manual"}
    assert list_question_ids(submit_form(workspace)["view"]) == ["price_ok:MSFT:410"]


@pytest.mark.parametrize(
    ("side", "stop", "age", "asked"),
    [
        ("BUY", "400", 1.0, ["stop_ok:MSFT:BUY:400"]),
        ("BUY", "410", 1.0, ["stop_ok:MSFT:BUY:410"]),
        ("BUY", "411", 1.0, []),
        ("BUY", "400", 1e9, []),
        ("SELL", "420", 1.0, ["stop_ok:MSFT:SELL:420"]),
        ("SELL", "410", 1.0, ["stop_ok:MSFT:SELL:410"]),
        ("SELL", "409", 1.0, []),
    ],
)
def test_reached_stop_needs_a_confirmation(workspace: Workspace, side, stop, age, asked):
    workspace.oms.quotes["MSFT"] = {"mid": "410.00", "last": None, "age_seconds": age, "source": "manual"}
    values = build_order_state(type="STOP", side=side, stop_price=stop, time_in_force="GTC")
    body = submit_form(workspace, values)
    questions = list_question_ids(body["view"]) if "view" in body else []
    assert [each for each in questions if each.startswith("stop_ok")] == asked


def test_reached_stop_is_placed_after_it_is_confirmed(workspace: Workspace):
    workspace.oms.quotes["MSFT"] = {"mid": "410.00", "last": None, "age_seconds": 1.0, "source": "manual"}
    values = build_order_state(type="STOP", stop_price="400", time_in_force="GTC")
    view = submit_form(workspace, values)["view"]
    check_view(view)
    assert "The quote at 410.00 is at or above the stop at 400.00, so the order triggers at once." in str(
        view["blocks"]
    )
    assert not workspace.oms.list_requests("place_order")
    again = submit_form(
        workspace,
        values | factories.build_confirmed_state(*list_question_ids(view)),
        id="V2",
        root_view_id="V2",
    )
    assert again == {"response_action": "clear"}
    assert workspace.oms.list_requests("place_order")[-1].body["stop_price"] == "400"


def test_order_whose_response_was_lost_is_looked_up_and_not_sent_again(workspace: Workspace):
    workspace.oms.orders.is_response_lost = True
    response = submit_form(workspace)
    wait_until(lambda: workspace.slack.list_requests("chat.postMessage"))
    assert len(workspace.oms.list_requests("place_order")) == 1
    assert response == {"response_action": "clear"}


def test_order_that_an_earlier_submission_may_place_stays_pending_after_a_refusal(workspace: Workspace):
    metadata = json.dumps({"v": 1, "channel": "C1", "attempt": 0, "unsettled": True})
    workspace.oms.queue_responses("place_order", build_problem(503, "Full.", kind="not-placed"))
    view = submit_form(workspace, private_metadata=metadata)["view"]
    assert "It is still unknown whether it was placed before" in get_banner(view)
    services = workspace.bot.services
    [pending] = services.pending_orders.list_unresolved(services.team)
    assert pending.key == "T1:V1:0"
    assert pending.state == PendingState.UNKNOWN


def test_portfolio_field_offers_existing_portfolios_with_their_cash(workspace: Workspace):
    payload = factories.build_interaction(
        "block_suggestion", view=factories.build_view(callback_id="order_form"),
        block_id="portfolio", action_id="order_portfolio", value="gro",
    )  # fmt: skip
    options = workspace.deliver(payload).get_json()["options"]
    assert [(option["text"]["text"], option["value"]) for option in options] == [
        ("Growth · 100,000.00 USD", "Growth")
    ]


def test_user_without_trading_rights_sees_a_refusal_instead_of_the_form(workspace: Workspace):
    workspace.oms.roles["slack:T1:U1"] = "viewer"
    workspace.type(LINE, "/order")
    view = workspace.slack.wait_for("views.update")[0].body["view"]
    assert "You cannot trade here" in view["blocks"][0]["text"]["text"]
    workspace.bot.services.stop_workers(wait=True)
    assert len(workspace.slack.list_requests("views.update")) == 1


def test_preview_does_not_replace_a_form_that_was_submitted_meanwhile(workspace: Workspace):
    workspace.oms.queue_responses("preview_order", Response(500, slow=60.0))
    workspace.type(LINE, "/order")
    workspace.oms.wait_for("preview_order")
    workspace.slack.current_hash["V1"] = "changed by the response to the submission"
    workspace.oms.released.set()
    late = workspace.slack.wait_for("views.update")[0]
    assert late.body["hash"] == "h1"
    assert "V1" not in workspace.slack.shown


def test_denied_form_keeps_its_lines_and_groups_digits_of_numbers(workspace: Workspace):
    workspace.oms.orders.denial = denial_json() | {"limit": "1000000", "asked": "2000000.5 USD"}
    lines = [
        {
            "type": "context",
            "block_id": "order_symbol_line",
            "elements": [{"type": "mrkdwn", "text": "Apple"}],
        },
        {"type": "section", "block_id": "order_preview", "text": {"type": "mrkdwn", "text": "at 175"}},
    ]
    body = submit_form(workspace, blocks=lines)
    assert "(limit 1,000,000, asked 2000000.5 USD)" in get_banner(body["view"])
    shown = index_blocks(body)
    assert shown["order_symbol_line"]["elements"][0]["text"] == "Apple"
    assert shown["order_preview"]["text"]["text"] == "at 175"


def search_symbols(workspace: Workspace, typed):
    payload = factories.build_interaction(
        "block_suggestion",
        block_id="symbol",
        action_id="order_symbol",
        value=typed,
        view=factories.build_view(),
    )
    options = workspace.deliver(payload).get_json()["options"]
    return [(option["value"], option["text"]["text"]) for option in options]


def test_symbols_are_searched_with_quote_change_and_age(workspace: Workspace):
    workspace.oms.quotes["AAPL"] = {"mid": "175.00", "last": None, "age_seconds": 3.0, "source": "manual"}
    today = f"{workspace.bot.services.now():%Y-%m-%d}T00:00:00Z"
    workspace.oms.bars = [
        {"start": today, "open": "170.00", "close": "175.00"},
        {"start": "2026-01-05T00:00:00Z", "open": "160.00", "close": "172.00"},
    ]
    assert search_symbols(workspace, "app") == [
        ("AAPL", "AAPL · 175.00 · today +3.00 (+1.74%) · 3 s old · Apple Inc."),
        ("APP", "APP · not listed"),
    ]
    assert [value for value, _ in search_symbols(workspace, "")] == ["AAPL", "BRK.B", "MSFT"]
    assert search_symbols(workspace, "no such?") == [("/", "No instrument matches.")]


def test_symbol_field_asks_for_a_symbol_if_no_instruments_are_listed(workspace: Workspace):
    workspace.oms.instruments = {}
    assert search_symbols(workspace, " ") == [
        ("/", "No instruments are listed. Type a symbol, such as AAPL.")
    ]


def test_quotes_of_a_list_are_not_read_again_while_people_type(workspace: Workspace):
    workspace.oms.quotes["AAPL"] = {"mid": "175.00", "last": None, "age_seconds": 3.0, "source": "manual"}
    assert [search_symbols(workspace, typed)[0][0] for typed in ("a", "ap", "app")] == ["AAPL"] * 3
    paths = [call.path for call in workspace.oms.list_requests("quoted_price")]
    assert sum(path.endswith("/AAPL") for path in paths) == 1
    assert len(workspace.oms.list_requests("bars")) == 1
