"""Build test data: settings, trades, form states and Slack's requests."""

import itertools
import json
import time
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from slack_sdk.signature import SignatureVerifier

from app.config import Settings
from app.forms.questions import build_portfolio_id, build_price_id
from app.forms.ticket import Side, Ticket, Trade

SECRET = "signing-secret-for-the-tests"
TOKEN = "xoxb-for-the-tests"
OMS_KEY = "k" * 40
_numbers = itertools.count(1)


def build_settings(
    slack_api_url: str = "http://127.0.0.1:9/api/", oms_url: str = "http://127.0.0.1:9", **more: Any
) -> Settings:
    values: dict[str, Any] = {
        "slack_bot_token": TOKEN,
        "slack_signing_secret": SECRET,
        "oms_api_key": OMS_KEY,
        "oms_api_url": oms_url,
        "slack_api_url": slack_api_url,
        "environment": "test",
    }
    return Settings(**(values | more))


def build_ticket(**changes: Any) -> Ticket:
    values: dict[str, Any] = {
        "symbol": "AAPL",
        "quantity": Decimal(100),
        "gmv": Decimal(17500),
        "side": Side.BUY,
        "portfolio": "Growth",
    }
    return Ticket(**(values | changes))


def build_trade(**changes: Any) -> Trade:
    values: dict[str, Any] = {
        "trade_id": "T1697234567123ABC",
        "symbol": "AAPL",
        "side": "BUY",
        "quantity": Decimal(100),
        "price": Decimal("175.00"),
        "gmv": Decimal("17500.00"),
        "portfolio": "Growth",
        "timestamp": "2026-11-21T10:00:00.123456Z",
        "position_quantity": Decimal(250),
        "position_average_cost": Decimal("171.50"),
    }
    return Trade(**(values | changes))


def build_state(
    *,
    symbol: str | None = "AAPL",
    quantity: str | None = "100",
    gmv: str | None = "17500",
    side: str | None = "BUY",
    portfolio: str | None = "Growth",
    portfolio_text: str = "",
    note: str | None = None,
    price: str | None = None,
) -> dict[str, Any]:
    """Return a view's `state.values` of the trade form in Slack's format."""
    return {
        "symbol": {"entry": {"type": "plain_text_input", "value": symbol}},
        "quantity": {"quantity_entry": {"type": "number_input", "value": quantity}},
        "price": {"price_entry": {"type": "number_input", "value": price}},
        "gmv": {"gmv_entry": {"type": "number_input", "value": gmv}},
        "side": {"entry": {"type": "radio_buttons", "selected_option": _option(side)}},
        "portfolio": {
            "portfolio_entry": {
                "type": "external_select",
                "selected_option": _option(portfolio, portfolio_text),
            }
        },
        "note": {"entry": {"type": "plain_text_input", "value": note}},
    }


def _option(value: str | None, text: str = "") -> dict[str, Any] | None:
    return None if value is None else {"text": {"type": "plain_text", "text": text or value}, "value": value}


def build_confirmed_state(*question_ids: str) -> dict[str, Any]:
    """Return the state of questions whose checkboxes are ticked."""
    tick = {"entry": {"type": "checkboxes", "selected_options": [_option("yes")]}}
    return dict.fromkeys(question_ids, tick)


def build_new_portfolio_state(portfolio: str) -> dict[str, Any]:
    """Return the state of the checkbox that confirms a new portfolio."""
    return build_confirmed_state(build_portfolio_id(portfolio))


def build_confirmed_price_state(price: str, symbol: str = "AAPL") -> dict[str, Any]:
    """Return the state of the checkbox that confirms a price."""
    return build_confirmed_state(build_price_id(symbol, Decimal(price)))


def build_command(
    text: str = "", name: str = "/trade", response_url: str = "", **changes: Any
) -> dict[str, Any]:
    number = next(_numbers)
    return {
        "command": name,
        "text": text,
        "team_id": "T1",
        "user_id": "U1",
        "channel_id": "C1",
        "trigger_id": f"trigger-{number}",
        "response_url": response_url,
        "api_app_id": "A1",
    } | changes


def build_interaction(kind: str, **more: Any) -> dict[str, Any]:
    number = next(_numbers)
    return {
        "type": kind,
        "team": {"id": "T1", "domain": "desk"},
        "user": {"id": "U1", "team_id": "T1"},
        "api_app_id": "A1",
        "trigger_id": f"trigger-{number}",
    } | more


def build_view(blocks: list[Any] | None = None, **changes: Any) -> dict[str, Any]:
    return {
        "id": "V1",
        "root_view_id": "V1",
        "type": "modal",
        "callback_id": "trade_form",
        "hash": "h1",
        "title": {"type": "plain_text", "text": "New trade"},
        "submit": {"type": "plain_text", "text": "Place trade"},
        "close": {"type": "plain_text", "text": "Cancel"},
        "private_metadata": json.dumps({"v": 1, "channel": "C1", "attempt": 0}),
        "blocks": blocks or [],
        "state": {"values": build_state()},
    } | changes


def build_submission(values: dict[str, Any] | None = None, **view_changes: Any) -> dict[str, Any]:
    return build_interaction(
        "view_submission", view=build_view(state={"values": values or build_state()}, **view_changes)
    )


def build_form_body(payload: dict[str, Any]) -> str:
    """Return the body of a command (its fields) or of an interaction (`payload=` JSON)."""
    return urlencode(payload if "command" in payload else {"payload": json.dumps(payload)})


def sign_headers(body: str, at: float | None = None, secret: str = SECRET) -> dict[str, str]:
    """Return the headers that Slack sends with this body."""
    timestamp = str(int(time.time() if at is None else at))
    signature = SignatureVerifier(secret).generate_signature(timestamp=timestamp, body=body)
    return {
        "X-Slack-Request-Timestamp": timestamp,
        "X-Slack-Signature": str(signature),
        "Content-Type": "application/x-www-form-urlencoded",
    }
