"""`/trade`."""

import json

import pytest

from app.blocks.trade_form import get_shown_lines
from app.services.state.open_forms import postpone_redraw
from tests import factories
from tests.conftest import Workspace
from tests.fakes import Response
from tests.portfolio_oms import build_quote


def get_entry(view, block_id):
    return next(block["element"] for block in view["blocks"] if block["block_id"] == block_id)


def test_command_is_acknowledged_before_slack_has_opened_the_form(workspace: Workspace):
    workspace.slack.queue_responses("views.open", Response(slow=60.0))
    response = workspace.type("AAPL")
    assert response.status_code == 200
    assert response.data == b""
    workspace.slack.wait_for("views.open")
    assert not workspace.slack.answered


def test_form_is_opened_before_any_other_call(workspace: Workspace):
    workspace.type("AAPL")
    workspace.slack.wait_for("views.open")
    call = workspace.oms.wait_for("me")[0]
    opened = workspace.slack.calls[0]
    assert workspace.slack.name_of(opened) == "views.open"
    assert opened.at < call.at


@pytest.mark.parametrize(
    ("typed", "symbol"),
    [
        (" aapl ", "AAPL"),
        ("banknifty24dec53000ce", "BANKNIFTY24DEC53000CE"),
        ("m&amp;m", "M&M"),
        ("a" * 40, "A" * 40),
    ],
)
def test_symbol_is_filled_in(workspace: Workspace, typed, symbol):
    workspace.type(typed)
    view = workspace.slack.wait_for("views.open")[0].body["view"]
    assert get_entry(view, "symbol")["initial_value"] == symbol
    assert "initial_option" not in get_entry(view, "side")


def test_form_that_opens_with_a_symbol_shows_its_instrument_and_quote(workspace: Workspace):
    workspace.oms.instruments["AAPL"] = "Apple"
    workspace.oms.quotes["AAPL"] = build_quote("AAPL")
    workspace.type("buy 10 AAPL @ 175")
    lines = get_shown_lines(workspace.slack.wait_for("views.update")[0].body["view"])
    assert lines["symbol_line"] == "AAPL (Apple)"
    assert lines["price_line"].startswith("Price per share: 175.00 · GMV: 1,750.00 · Quote: 175.00")


def test_form_is_not_redrawn_during_typing(workspace: Workspace):
    workspace.oms.queue_responses("symbols", Response(body=[], slow=30.0))
    workspace.type("AAPL")
    workspace.oms.wait_for("symbols")
    postpone_redraw(workspace.bot.services.open_forms, "V1")  # a keystroke
    workspace.oms.released.set()
    workspace.oms.wait_for("/preferences")  # read after the quote
    assert workspace.slack.list_requests("views.update") == []


def test_full_line_fills_the_whole_form(workspace: Workspace):
    workspace.type("buy 100 AAPL @ 175 in R&amp;D")
    view = workspace.slack.wait_for("views.open")[0].body["view"]
    assert [get_entry(view, each)["initial_value"] for each in ("symbol", "quantity", "price")] == [
        "AAPL",
        "100",
        "175",
    ]
    assert "initial_value" not in get_entry(view, "gmv")
    assert get_entry(view, "side")["initial_option"]["value"] == "BUY"
    assert get_entry(view, "portfolio")["initial_option"]["value"] == "R&D"
    assert "Price per share: 175.00 \u00b7 GMV: 17,500.00" in json.dumps(view, ensure_ascii=False)


def test_form_carries_the_channel_and_no_secret(workspace: Workspace):
    workspace.type("AAPL")
    metadata = workspace.slack.wait_for("views.open")[0].body["view"]["private_metadata"]
    assert json.loads(metadata) == {"v": 1, "channel": "C1", "attempt": 0}


@pytest.mark.parametrize("text", ["help", "?"])
def test_help_is_private(workspace: Workspace, text):
    response = workspace.type(text).get_json()
    assert response["response_type"] == "ephemeral"
    assert "buy 100 AAPL @ 175 in Growth" in response["text"]
    assert workspace.slack.calls == []


@pytest.mark.parametrize("text", ["$$$ <!channel>", "buy 1e3 AAPL", "what is this"])
def test_invalid_command_gets_one_private_hint(workspace: Workspace, text):
    response = workspace.type(text).get_json()
    assert response["response_type"] == "ephemeral"
    assert response["text"].endswith("`/trade help` shows more.")
    assert "\n" not in response["text"]
    assert "<!channel>" not in response["text"]
    assert workspace.slack.calls == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("positions", "`/desk positions` show positions"),
        ("list", "only records trades"),
        ("LIST trades", "only records trades"),
        ("undo", "`/trade sell 100 AAPL @ 175 in Growth`"),
        ("cancel T123", "enter the opposite trade"),
    ],
)
def test_other_commands_get_advice(workspace: Workspace, text, expected):
    assert expected in workspace.type(text).get_json()["text"]
    assert workspace.slack.calls == []


def test_symbol_equal_to_a_keyword_is_typed_as_a_cashtag(workspace: Workspace):
    workspace.type("$list")
    view = workspace.slack.wait_for("views.open")[0].body["view"]
    assert get_entry(view, "symbol")["initial_value"] == "LIST"


def test_number_with_two_readings_is_echoed_in_the_form(workspace: Workspace):
    workspace.type("buy 1,125 AAPL @ 1.000")
    view = workspace.slack.wait_for("views.open")[0].body["view"]
    assert "Quantity 1,125 is read as 1125; Price 1.000 is read as 1" in json.dumps(view)


@pytest.mark.parametrize("code", ["expired_trigger_id", "exchanged_trigger_id", "invalid_trigger_id"])
def test_trigger_that_is_too_old_asks_privately_to_run_the_command_again(workspace: Workspace, code, caplog):
    workspace.slack.refuse("views.open", code)
    workspace.type("AAPL")
    message = workspace.slack.wait_for("respond")[0].body
    assert message["response_type"] == "ephemeral"
    assert "Please run `/trade` again." in message["text"]
    assert all(record.exc_info is None for record in caplog.records)


@pytest.mark.parametrize(
    "trouble", [Response(drop=True), Response(503, b"oops"), Response(body={"ok": False, "error": "fatal"})]
)
def test_any_other_failure_is_reported_privately_with_a_reference(workspace: Workspace, trouble):
    workspace.slack.queue_responses("views.open", trouble)
    request_id = workspace.type("AAPL").headers["X-Request-ID"]
    assert request_id in workspace.slack.wait_for("respond")[0].body["text"]
    assert len(workspace.slack.list_requests("views.open")) == 1, "a send is never repeated blindly"


def test_reply_without_a_response_url_is_sent_as_a_direct_message(workspace: Workspace):
    workspace.slack.refuse("views.open", "expired_trigger_id")
    workspace.slack.default_responses["respond"] = Response(404, b"expired_url")
    workspace.type("AAPL")
    assert workspace.slack.wait_for("chat.postMessage")[0].body["channel"] == "D-U1"


def test_replayed_command_gets_the_response_of_the_first_and_opens_nothing(workspace: Workspace, monkeypatch):
    started = []
    monkeypatch.setattr(workspace.bot.services.form_workers, "submit", lambda *work: started.append(work))
    payload = factories.build_command("AAPL", response_url=workspace.slack.response_url)
    first, second = workspace.deliver(payload), workspace.deliver(payload)
    assert first.status_code == second.status_code
    assert first.data == second.data
    assert len(started) == 1


def test_user_gets_a_message_without_a_free_worker(workspace: Workspace):
    workspace.bot.services.form_workers.stop()
    response = workspace.type("AAPL").get_json()
    assert response["response_type"] == "ephemeral"
    assert "busy" in response["text"]
