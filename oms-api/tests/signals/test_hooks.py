"""Hooks: messages of charting services become signals, once each."""

import json
import time
from datetime import timedelta

import pytest

from app.clock import utc_now
from app.timestamps import format_timestamp
from tests.support.conditions import wait_until

pytestmark = pytest.mark.any_database

MESSAGE = {"symbol": "AAPL", "side": "buy", "qty": "10", "portfolio": "Growth"}


@pytest.fixture
def trader(api):
    """Provide a tenant with a portfolio and a price."""
    api.open_portfolio("Growth")
    api.set_quote("AAPL", "99", "101", "100")
    return api


def create_hook(api, **terms):
    response = api.post("/signals/hooks", {"name": "charts", **terms})
    assert response.status_code == 201, response.text
    return response.json()


def post_to_hook(api, hook, message, **headers):
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return api.service.client.post(hook["path"], content=body, headers=headers)


def wait_for_outcome(api, signal_id):
    """Return the signal once it was acted on."""
    path = f"/signals/{signal_id}"
    wait_until(lambda: api.get(path).json()["status"] != "received", "the outcome of the signal")
    return api.get(path).json()


def test_message_is_stored_and_then_filled_without_a_key(trader):
    hook = create_hook(trader)
    sent = post_to_hook(trader, hook, {**MESSAGE, "id": "alert-1"})
    assert sent.status_code == 202, sent.text
    signal = wait_for_outcome(trader, sent.json()["id"])
    assert (signal["status"], signal["channel"], signal["source"]) == ("filled", "hook", "hook:charts")
    assert trader.get("/signals/hooks").json()[0]["id"] == hook["id"]
    assert "token" not in trader.get("/signals/hooks").json()[0]


def test_message_counts_once_by_its_id_or_its_content(trader):
    hook, other = create_hook(trader), create_hook(trader)
    ids = [post_to_hook(trader, hook, {**MESSAGE, "id": "one", "qty": str(n)}).json()["id"] for n in (1, 2)]
    assert ids[0] == ids[1]
    same = [post_to_hook(trader, hook, MESSAGE).json()["id"] for _ in range(2)]
    assert same[0] == same[1]
    assert post_to_hook(trader, other, MESSAGE).json()["id"] != same[0]
    assert post_to_hook(trader, hook, {**MESSAGE, "qty": "3"}).json()["id"] != same[0]
    assert len(trader.get("/signals").json()) == 4


def test_text_by_a_template_and_json_of_other_names(trader):
    text = create_hook(trader, template="{side} {symbol} {qty} in {portfolio}")
    sent = post_to_hook(trader, text, b"BUY aapl 10 in Growth\n", **{"Content-Type": "text/plain"})
    assert wait_for_outcome(trader, sent.json()["id"])["size"] == {"qty": "10"}
    assert post_to_hook(trader, text, b"BUY aapl 10").status_code == 422
    mapped = create_hook(trader, paths={"symbol": "ticker", "side": "order.action", "qty": "order.contracts",
                                   "portfolio": "account"})  # fmt: skip
    payload = {"ticker": "AAPL", "order": {"action": "sell", "contracts": 4}, "account": "Growth"}
    assert wait_for_outcome(trader, post_to_hook(trader, mapped, payload).json()["id"])["side"] == "SELL"


def test_late_message_is_recorded_as_expired(trader):
    hook = create_hook(trader, max_age_seconds=60)
    late = post_to_hook(
        trader, hook, {**MESSAGE, "time": format_timestamp(utc_now() - timedelta(minutes=2))}
    ).json()
    assert late["status"] == "expired"
    timely = post_to_hook(trader, hook, {**MESSAGE, "time": format_timestamp(utc_now())}).json()
    assert wait_for_outcome(trader, timely["id"])["status"] == "filled"
    assert post_to_hook(trader, hook, {**MESSAGE, "time": "noon"}).status_code == 422


def test_rotated_unknown_deleted_and_outside_callers_get_the_same_404(trader):
    old_hook = create_hook(trader)
    rotated = trader.post(f"/signals/hooks/{old_hook['id']}:rotate").json()
    unknown = {"path": "/api/v1/signals/hook/sigh_unknown"}
    deleted = create_hook(trader)
    assert trader.delete(f"/signals/hooks/{deleted['id']}").status_code == 204
    outside = create_hook(trader, allowed_networks=["203.0.113.0/24"])
    responses = [post_to_hook(trader, url, MESSAGE) for url in (old_hook, unknown, deleted, outside)]
    assert {response.status_code for response in responses} == {404}
    assert len({response.json()["detail"] for response in responses}) == 1
    assert post_to_hook(trader, rotated, MESSAGE).status_code == 202
    with trader.service.open_connection() as connection:
        stored = str(connection.exec_driver_sql("SELECT * FROM signal_hooks").all())
        audited = str(connection.exec_driver_sql("SELECT * FROM audit_log").all())
    assert rotated["token"] not in stored + audited


@pytest.mark.parametrize("body", [b"", b"[]", b"not json", b'{"symbol":"AAPL"}', b'{"a":1,"a":2}'])
def test_malformed_message_is_refused(trader, body):
    assert post_to_hook(trader, create_hook(trader), body).status_code == 422
    assert trader.get("/signals").json() == []


def test_large_message_is_refused(trader):
    assert post_to_hook(trader, create_hook(trader), {**MESSAGE, "reason": "x" * 17_000}).status_code == 413


@pytest.mark.parametrize(
    "terms",
    [
        {"template": "buy now"},
        {"template": "{symbol} {symbol}"},
        {"template": "{token}"},
        {"paths": {"tenant_id": "x"}},
        {"template": "{symbol}", "paths": {"symbol": "s"}},
        {"allowed_networks": ["everywhere"]},
        {"max_age_seconds": 0},
    ],
)
def test_terms_of_a_hook_are_validated(trader, terms):
    assert trader.post("/signals/hooks", {"name": "charts", **terms}).status_code == 422


def test_token_is_not_logged(trader, capsys):
    hook = create_hook(trader)
    post_to_hook(trader, hook, MESSAGE)
    trader.service.client.get(hook["path"])
    time.sleep(0.2)
    assert hook["token"] not in capsys.readouterr().out
